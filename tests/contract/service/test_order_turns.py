"""Who waits for whom where an order and its point change at once: nobody for ever, and what is told has its order."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import select

from service.orders import moving, stranding, substituting
from service.orders.acting import Act, act, locked_order
from service.orders.rules import Event, Party
from service.stock.counting import count_on, lock_points
from service.store import postgres
from service.store.connections import WriteConnection
from service.store.tables import changes
from tests.contract.service.desk import Desk
from tests.contract.service.talking import problem
from tests.registry import WAIT_S

COUNTER = {"payment": "counter"}
MOMENT_S = 0.5
on_postgres = pytest.mark.parametrize("place", ["postgres"], indirect=True)  # on SQLite nobody waits: one writes


def _told(desk: Desk, kind: str, subject: str) -> list[int]:
    """Return the revisions of a subject in the order in which followers are told of them."""
    query = select(changes.c.revision).where(changes.c.kind == kind, changes.c.subject == subject)
    return [row.revision for row in desk.rows(query.order_by(changes.c.tx, changes.c.id))]


def _pause(desk: Desk, shop: str) -> Any:
    return desk.send("POST", f"/v1/points/{shop}:pause?open_orders=reject", "corner")


@on_postgres
@pytest.mark.parametrize(
    ("event", "party", "state"),
    [(Event.CANCEL, Party.CUSTOMER, "cancelled"), (Event.ACCEPT, Party.MERCHANT, "rejected")],
)
def test_change_of_a_point__waits_for_who_acts_on_its_orders_before_it_locks_the_point(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, event: Event, party: Party, state: str
) -> None:
    shop = desk.shop(stock={"milk": 5})
    order = desk.order(shop, {"milk": 1}, **COUNTER)
    services, is_locked, may_go = desk.registry.services, threading.Event(), threading.Event()

    def locked(connection: WriteConnection, point_ids: Any) -> None:
        lock_points(connection, point_ids)
        may_go.set()

    def write(connection: WriteConnection) -> None:
        found = locked_order(connection, order["order_id"])
        assert found is not None
        is_locked.set()
        assert may_go.wait(WAIT_S)
        threading.Event().wait(MOMENT_S)  # until it waits for the order
        act(connection, services.orders, found, Act(event, party, "somebody"))

    monkeypatch.setattr(stranding, "lock_points", locked)
    monkeypatch.setattr(postgres, "_AGAIN", set())  # a deadlock is not tried again, but seen
    with ThreadPoolExecutor() as pool:
        acted = pool.submit(services.store.write_now, write)
        assert is_locked.wait(WAIT_S)
        answer = _pause(desk, shop)
        acted.result()
    assert answer.status_code == 200, answer.text
    assert desk.read(order)["state"] == state
    told = _told(desk, "order", order["order_id"])
    assert len(told) > 1
    assert told == sorted(told)
    assert (desk.stock(shop, "milk"), desk.in_work(shop)) == ((5, 0), 0)


def test_orders_that_are_left_behind__are_locked_parts_first() -> None:
    rows: Any = [SimpleNamespace(order_id=name, split_of=of) for name, of in (("1", None), ("4", "1"), ("3", "2"))]
    assert stranding.NotLockedError(rows).order_ids == ("3", "4", "1", "2")


@pytest.fixture
def offered(desk: Desk) -> dict[str, Any]:
    """Give an order that waits for the answer to what its shop has offered; another shop could take it over."""
    shop, _ = (desk.shop(stock={"milk": 5, "oatmilk": 5}) for _ in range(2))
    order = desk.order(shop, {"milk": 1}, at=(desk.now + dt.timedelta(hours=9)).isoformat(), **COUNTER)
    return desk.done(order, "offer", "corner", {"line": 1, "sku": "oatmilk"})


@contextmanager
def _counted_before(desk: Desk, shop: str, module: Any, name: str) -> Iterator[None]:
    """
    Let another transaction count the stock of a shop on before a function goes on; afterwards all is told in its order.

    It does not wait for that for ever: the shop may be locked.
    """
    usual, store, others = getattr(module, name), desk.registry.services.store, list[Future[int]]()
    before = _told(desk, "stock", shop)

    def counted(connection: WriteConnection, *more: Any) -> Any:
        others.append(pool.submit(store.write_now, lambda other: count_on(other, "corner", shop)))
        wait(others, MOMENT_S)
        return usual(connection, *more)

    with ThreadPoolExecutor() as pool, pytest.MonkeyPatch.context() as patched:
        patched.setattr(module, name, counted)
        yield
    assert others
    for other in others:
        other.result()
    told = _told(desk, "stock", shop)
    assert len(told) > len(before) + len(others)
    assert told == sorted(told)


@on_postgres
@pytest.mark.parametrize("takes", [True, False])
def test_stock__is_told_in_its_order_where_a_customer_answers(desk: Desk, offered: dict[str, Any], takes: bool) -> None:
    with _counted_before(desk, offered["point_id"], substituting, "count_on"):
        desk.done(offered, "answer", "app", {"line": 2, "takes": takes})


@on_postgres
def test_stock__is_told_in_its_order_where_an_order_is_handed_on(desk: Desk, offered: dict[str, Any]) -> None:
    with _counted_before(desk, offered["point_id"], moving, "_counted_on"):
        moved = desk.done(offered, "reject", "corner", {"reason": "closed"})
    assert (moved["state"], [line["state"] for line in moved["lines"]]) == ("placed", ["wanted", "declined"])
    assert moved["point_id"] != offered["point_id"]


def _orders_between(desk: Desk, shop: str, monkeypatch: pytest.MonkeyPatch, n_orders: int) -> list[dict[str, Any]]:
    """Let an order come in at a shop each time when those that are left behind are about to be locked, so often."""
    store, came = desk.registry.services.store, list[dict[str, Any]]()
    usual = store.write
    bodies = [desk.body(shop, {"milk": 1}, **COUNTER) for _ in range(n_orders)]

    async def write(fn: Any, deadline: Any) -> Any:
        try:
            return await usual(fn, deadline)
        except stranding.NotLockedError:
            if bodies:
                headers = {
                    "Authorization": f"Bearer {desk.registry.keys['app']}",
                    "Idempotency-Key": f"{bodies[-1]['buyer']}",
                }
                made = await desk.registry.client.post("/v1/orders", json=bodies.pop(), headers=headers)
                came.append(made.json())
            raise

    monkeypatch.setattr(store, "write", write)
    return came


def test_order_that_comes_in_before_the_point_is_locked__is_handed_on_too(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = desk.shop(stock={"milk": 5})
    order = desk.order(shop, {"milk": 1}, **COUNTER)
    came = _orders_between(desk, shop, monkeypatch, 2)
    assert _pause(desk, shop).status_code == 200
    assert [desk.read(one)["state"] for one in (order, *came)] == ["rejected"] * 3
    assert (desk.stock(shop, "milk"), desk.in_work(shop)) == ((5, 0), 0)


def test_change_of_a_point__at_which_orders_come_in_all_the_time_is_given_up(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = desk.shop(stock={"milk": 5})
    desk.order(shop, {"milk": 1}, **COUNTER)
    monkeypatch.setattr(stranding, "_MOST_READS", 2)
    came = _orders_between(desk, shop, monkeypatch, 2)
    assert problem(_pause(desk, shop)) == (503, "overloaded")
    assert [desk.read(one)["state"] for one in came] == ["placed"] * 2
    assert desk.in_work(shop) == 3

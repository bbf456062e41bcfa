"""How much is read of orders that are many: what an index finds, and no more of them than is asked for."""

from __future__ import annotations

import functools
import itertools
import random
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import pytest
from sqlalchemy import select

from service.orders import collecting, limits
from service.orders.collecting import Shown
from service.orders.rules import ENDED, State
from service.orders.store import OrderFilter, list_orders
from service.store.order_tables import orders
from tests.contract.service.desk import Desk
from tests.contract.service.plans import on_sqlite, planned

if TYPE_CHECKING:
    pass


@on_sqlite
def test_wrong_code__reads_of_a_point_only_what_was_just_collected_there(desk: Desk) -> None:
    shop, terms = desk.shop(), desk.registry.services.orders
    desk.brought(desk.order(shop, payment="counter"), "accept", "ready", "collect")
    plan = planned(desk, lambda connection: collecting._is_just_used(connection, terms, Shown(shop, "000000")))
    assert [step.partition(" (")[2] for step in plan] == ["point_id=? AND event=? AND at>?)", "order_id=?)"]


WANTED = {
    "owner": (OrderFilter("a"), "orders_of_owner (owner=? AND state=? AND order_id>?)"),
    "owner, state": (OrderFilter("a", state="held"), "orders_of_owner (owner=? AND state=? AND order_id>?)"),
    "owner, point": (OrderFilter("a", point_id="m:1"), "orders_of_point (point_id=? AND state=? AND order_id>?)"),
    "merchant": (OrderFilter(None, "m"), "orders_of_merchant (merchant_id=? AND state=? AND order_id>?)"),
    "merchant, state": (
        OrderFilter(None, "m", state="held"),
        "orders_of_merchant (merchant_id=? AND state=? AND order_id>?)",
    ),
    "merchant, point, state": (
        OrderFilter(None, "m", "m:1", "held"),
        "orders_of_point (point_id=? AND state=? AND order_id>?)",
    ),
    "parts": (OrderFilter("a", split_of="ord_1"), "orders_split (split_of=?)"),
    "all": (OrderFilter(), "sqlite_autoindex_orders_1 (order_id>?)"),
}


@on_sqlite
@pytest.mark.parametrize("name", WANTED)
def test_list__is_read_from_one_index_and_sorted_by_none(desk: Desk, name: str) -> None:
    wanted, index = WANTED[name]
    plan = planned(desk, lambda connection: list_orders(connection, wanted, after="ord_0", limit=51))
    steps = [step for step in plan if "orders" in step]
    assert {step.partition(" INDEX ")[2] for step in steps} == {index}
    assert len(steps) == (1 if wanted.state or name in {"parts", "all"} else len(State))
    assert name == "parts" or not [step for step in plan if "TEMP B-TREE" in step]


def test_list__has_page_by_page_what_there_is_in_all_states(desk: Desk) -> None:
    shop, other = desk.shop(), desk.shop()
    rest = {"order_at": 1, "ended_at": 1}
    first = desk.order(shop)
    desk.add_copies(first, [{"state": state, **rest} for state in State for _ in range(3)])
    desk.add_copies(first, [{"state": state, "point_id": other, "owner": "another"} for state in State])
    rows = desk.rows(select(orders).order_by(orders.c.order_id))

    def paged(wanted: OrderFilter) -> list[str]:
        told = [""]
        read = desk.registry.services.store.read_now
        while page := read(functools.partial(list_orders, wanted=wanted, after=told[-1], limit=4)):
            told += [one.row.order_id for one in page]
        return told[1:]

    owner = desk.row(first).owner
    for given in ({}, {"point_id": shop}, {"point_id": other}, {"state": "ready"}, {"point_id": shop, "state": "held"}):
        for whose in ({"owner": owner}, {"owner": "another"}, {"merchant_id": "corner"}, {"merchant_id": "rival"}, {}):
            its = (given | whose).items()
            expected = [row.order_id for row in rows if all(getattr(row, name) == value for name, value in its)]
            assert paged(OrderFilter(**given, **whose)) == expected


@on_sqlite
def test_holds__are_counted_by_what_an_index_has_of_their_states(desk: Desk) -> None:
    plan = planned(desk, lambda connection: limits._recent(connection, "b", "d", 1))
    found = [step.partition(" INDEX ")[2] for step in plan if "orders" in step]
    its = [f"orders_limiting_{{0}} ({{0}}=? AND state=?{more})" for more in ("", " AND order_at>?", " AND order_at>?")]
    its += ["orders_of_{0} ({0}=?)"]
    assert sorted(found) == sorted(one.format(subject) for one in its for subject in ("buyer", "device"))


class _Made(NamedTuple):
    """What a limit asks of an order."""

    state: State
    order_at: int
    ended_at: int | None
    payment: str | None
    buyer: str
    device: str | None


def _made(seed: int, since_us: int) -> Iterator[_Made]:
    """Yield orders of a few buyers and devices, made around an instant."""
    drawn = random.Random(seed)  # noqa: S311
    for _ in range(60):
        state, order_at = drawn.choice(list(State)), since_us + drawn.choice([-9, -1, 0, 1, 9])
        ended_at = order_at + drawn.choice([0, 5, 20]) if state in ENDED else None
        buyer, device = f"{seed} {drawn.randrange(6)}", drawn.choice([None, *(f"{seed} {one}" for one in range(6))])
        yield _Made(state, order_at, ended_at, drawn.choice([None, "online", "counter"]), buyer, device)


def _is_left(one: _Made, since_us: int) -> bool:
    """Tell whether an order was given up since an instant: when it was made counts, or that nobody came for it."""
    if one.state == "not_collected":
        return one.ended_at is not None and one.ended_at > since_us
    return one.state in {"cancelled", "expired"} and one.order_at > since_us


@pytest.mark.parametrize("seed", range(5))
def test_holds__are_counted_as_when_each_order_is_looked_at(desk: Desk, seed: int) -> None:
    since_us = desk.now_us - 3_600_000_000
    made = list(_made(seed, since_us))
    desk.add_copies(desk.order(desk.shop()), [one._asdict() for one in made])
    names = [f"{seed} {one}" for one in range(6)]
    for buyer, device in itertools.product(names, names):
        theirs = [one for one in made if one.buyer == buyer or one.device == device]
        n_held = min(3, sum(one.state == "held" for one in theirs))
        n_unpaid = sum(one.payment == "counter" and one.ended_at is None for one in theirs)
        n_left = sum(one.payment != "online" and _is_left(one, since_us) for one in theirs)
        is_open = any(one.ended_at is None for one in theirs)
        ask = functools.partial(limits._recent, buyer=buyer, device=device, since_us=since_us)
        found = desk.registry.services.store.read_now(ask)
        assert (found.n_held, found.n_unpaid, found.n_left, found.has_any) == (n_held, n_unpaid, n_left, is_open)

"""What is due is not held up: not by how much it is, and not by a payment provider that takes its time."""

from __future__ import annotations

import contextlib
import datetime as dt
import threading
import time
from collections.abc import Callable, Iterator
from operator import itemgetter
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import NullPool, Table, create_engine, select

from service.bookings import sweeping as bookings_sweeping
from service.errors import ServiceError
from service.orders import sweeping
from service.payments.ports import Outcome, ProviderUnknownError
from service.payments.store import due_payments
from service.store.order_tables import orders
from service.store.visit_tables import bookings
from tests.contract.service.desk import Desk, open_desk
from tests.contract.service.visiting import Visits
from tests.registry import WAIT_S
from tests.serving import fresh_database


class _Provider:
    """Knows of nothing, and tells so once it is asked by several at once; hangs where it is asked of ``slow``."""

    def __init__(self, n_at_once: int, slow: str = "none") -> None:
        self._together = threading.Barrier(n_at_once)
        self._slow = slow
        self.is_over = threading.Event()
        self.told: list[str] = []

    def find(self, reference: str) -> Outcome:
        self.told.append(reference)
        if reference.startswith(self._slow):
            self.is_over.wait()
        else:
            self._together.wait(WAIT_S)
        raise ProviderUnknownError("slow")

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(name)


class _Waits(threading.Event):
    """Notes how long is waited, which it does not do; it is set once the given waits are over."""

    def __init__(self, n_waits: int) -> None:
        super().__init__()
        self._n_waits = n_waits
        self.told: list[float | None] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.told.append(timeout)
        return len(self.told) > self._n_waits


@pytest.fixture
def paying(desk: Desk) -> Iterator[list[dict[str, Any]]]:
    """Give orders that wait for what comes of their payment, ever longer."""
    desk.sweep()
    shop = desk.shop(stock={"milk": 9})
    orders = []
    for _ in range(3):
        orders.append(desk.order(shop, {"milk": 1}))
        desk.done(orders[-1], "place", "app", {"payment": "online", "means": "timeout-lost"})
        desk.registry.clock.at += dt.timedelta(seconds=1)
    desk.registry.clock.at += dt.timedelta(seconds=10)
    yield orders
    desk.pass_(20 * 60)  # nothing is asked of them any more
    assert [desk.payment(order).state for order in orders] == ["released"] * 3


def test_settler__asks_of_several_payments_at_once(
    desk: Desk, paying: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = _Provider(len(paying))
    monkeypatch.setattr(desk.settler, "_provider", provider)
    assert desk.settler.step() == 3
    assert sorted(name.rpartition("-")[0] for name in provider.told) == sorted(one["order_id"] for one in paying)
    assert [desk.payment(one).tries for one in paying] == [1, 1, 1]
    assert desk.settler.unsettled_s == 13


def test_settler__waits_for_no_answer_that_stays_away_and_asks_for_it_once(
    desk: Desk, paying: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = _Provider(2, slow=paying[0]["order_id"])
    with monkeypatch.context() as patched:
        patched.setattr(desk.settler, "_provider", provider)
        patched.setattr(desk.settler, "_ask_s", 0.2)
        try:
            assert desk.settler.step() == 3
            until = time.monotonic() + WAIT_S
            while desk.payment(paying[2]).tries == 0 and time.monotonic() < until:
                time.sleep(0.01)
            assert desk.settler.step() == 0
            assert [desk.payment(one).tries for one in paying] == [0, 1, 1]
            assert len(provider.told) == 3
        finally:
            provider.is_over.set()
    desk.settler.step()  # which awaits the answer


def test_payments_due__are_those_first_for_which_somebody_waits(desk: Desk) -> None:
    desk.sweep()
    ended, waiting = (desk.order(desk.shop(stock={"milk": 9}), {"milk": 1}) for _ in range(2))
    desk.done(ended, "place", "app", {"payment": "online", "means": "ok"})
    desk.done(ended, "cancel", "app", {})
    desk.done(waiting, "place", "app", {"payment": "online", "means": "timeout-lost"})
    desk.registry.clock.at += dt.timedelta(minutes=1)
    now_us, store = desk.now_us, desk.registry.services.store
    due = store.read_now(lambda connection: [row.subject for row in due_payments(connection, now_us)])
    assert due == [waiting["order_id"], ended["order_id"]]


def test_sweeper__does_not_wait_while_more_is_due_than_it_takes_on_at_a_time(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.sweep()
    held = desk.order(desk.shop())
    desk.add_copies(held, [{} for _ in range(249)])
    desk.registry.clock.at += dt.timedelta(minutes=11)
    waits = _Waits(4)
    with monkeypatch.context() as patched:
        patched.setattr(desk.sweeper, "_ended", waits)
        desk.sweeper._run()
    assert waits.told == [1.0, 0.0, 0.0, 1.0, 1.0]
    assert desk.row(held).state == "expired"


@contextlib.contextmanager
def _locked(database: str, table: Table, row_id: str) -> Iterator[None]:
    """Hold the lock of a row, as a transaction does that somebody left open."""
    with create_engine(database, poolclass=NullPool).begin() as connection:
        connection.execute(select(table).where(next(iter(table.primary_key)) == row_id).with_for_update())
        yield


def _swept_until(desk: Desk, is_done: Callable[[], bool]) -> bool:
    """Let the sweeper take its steps as its thread does, whatever comes of them, until something is done."""
    until = time.monotonic() + WAIT_S
    while not is_done() and time.monotonic() < until:
        with contextlib.suppress(ServiceError):
            desk.sweeper.step()
    return is_done()


def test_sweeper__passes_over_what_somebody_else_has_locked(
    tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for module in (sweeping, bookings_sweeping):
        monkeypatch.setattr(module, "_WRITE_S", 1.0)
    database = fresh_database(postgres_url)
    with open_desk(tmp_path, database) as desk:
        visits = Visits(desk)
        shop, provider = desk.shop(), visits.provider("anna", "berta")
        first, second = sorted((desk.order(shop) for _ in range(2)), key=itemgetter("order_id"))  # as they are due
        visit, next_visit = sorted((visits.book(provider) for _ in range(2)), key=itemgetter("booking_id"))
        desk.registry.clock.at += dt.timedelta(minutes=31)
        with (
            _locked(database, orders, first["order_id"]),
            _locked(database, bookings, visit["booking_id"]),
        ):
            assert _swept_until(desk, lambda: desk.row(second).state == "expired")
            assert _swept_until(desk, lambda: visits.row(next_visit).state == "expired")
            assert [desk.row(first).state, visits.row(visit).state] == ["held", "held"]
        for one in (first["order_id"], visit["booking_id"]):
            assert f"{one} is passed over" in caplog.text
        desk.sweep()
        assert [desk.row(first).state, visits.row(visit).state] == ["expired", "expired"]

"""A sweeper that is stopped while it owns the lease comes too late: its number refuses it, no order is swept twice (F13)."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text

from service.errors import DeadlineExceededError
from service.store.database import Store
from tests.contract.service.talking import ask
from tests.faults.buying import at_once, change, unbalanced, unsound
from tests.faults.ordering import enter_shop, order, terms_of, wish
from tests.faults.writing import opened
from tests.feed_store import wait_until
from tests.lived import lived_s
from tests.scale import FULL
from tests.serving import ROOT, Place, environment_of, fresh_database

N_ORDERS = 100
N_STOPS = 50 if FULL else 1
LEASE_S = 1.0
WRITE_S = 5.0  # that the sweeper gives itself for a write
LONG_WRITE_S = 120.0  # so that one which was stopped is refused by its number, not for being late
LONG_S = 30.0 if FULL else 3.0
LOST = "another process has taken over orders"
_SWEPT = "SELECT count(*) FROM orders WHERE state = 'expired'"
_HOLDER = "SELECT holder, fence FROM leases WHERE name = 'orders'"
_IN_TRANSACTION = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'linli' AND xact_start IS NOT NULL
"""


@dataclass
class Sweeping:
    """A process that sweeps."""

    holder: str
    process: subprocess.Popen[bytes]
    log: Path

    def stop(self) -> None:
        """Stop it (SIGSTOP)."""
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it go on."""
        self.process.send_signal(signal.SIGCONT)


@contextmanager
def running_sweeper(place: Place, number: int, write_s: float) -> Iterator[Sweeping]:
    """Give a process that sweeps."""
    folder = place.folder / f"sweeper-{number}"
    folder.mkdir(parents=True)
    words = (place.database, folder, LEASE_S, write_s)
    command = [sys.executable, "-m", "tests.faults.sweeping", *map(str, words)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=environment_of(), stdout=subprocess.PIPE, stderr=log)
    assert process.stdout is not None
    try:
        yield Sweeping(process.stdout.readline().decode().strip(), process, folder / "log")
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.fixture
def place(postgres_url: str, tmp_path: Path) -> Place:
    return Place(tmp_path, fresh_database(postgres_url))


def _holds(place: Place) -> None:
    """Make holds, and let all expire at one moment."""
    with opened(str(place.database)) as store:
        terms = terms_of(store)

        def hold_many(_thread: int) -> None:
            for _ in range(N_ORDERS // 4):
                order(store, terms, wish("milk"))

        at_once(4, hold_many)
    change(place, "UPDATE orders SET expires_at = order_at, due_at = order_at WHERE state = 'held'")


def _stop_between_writes(place: Place, sweeping: Sweeping) -> None:
    """Stop a process while it has no transaction open."""
    while True:
        sweeping.stop()
        if ask(place, _IN_TRANSACTION)[0][0] == 0:
            return
        sweeping.go_on()
        time.sleep(0.003)


def test_sweeper__stopped_while_it_owns_the_lease_is_refused_when_it_goes_on(
    place: Place, record_property: Callable[[str, object], None]
) -> None:
    with opened(str(place.database)) as store:
        store.write_now(lambda connection: enter_shop(connection, {"milk": 10_000_000}))
    stopped_s = []
    with running_sweeper(place, 0, LONG_WRITE_S) as first, running_sweeper(place, 1, LONG_WRITE_S) as second:
        for number in range(N_STOPS):
            n_before, lost_before = ask(place, _SWEPT)[0][0], {one.holder: _n_lost(one) for one in (first, second)}
            _holds(place)
            wait_until(partial(_has_swept, place, n_before + 5), 20, "some are swept")
            holder, fence = ask(place, _HOLDER)[0]
            one = first if first.holder == holder else second
            _stop_between_writes(place, one)
            n_then, begun = ask(place, _SWEPT)[0][0], time.monotonic()
            wait_until(partial(_has_swept, place, n_before + N_ORDERS), 30, "the other goes on")
            time.sleep(max(0.0, (LONG_S if number == 0 else 0.0) - (time.monotonic() - begun)))
            stopped_s.append(time.monotonic() - begun)
            one.go_on()
            assert n_then < n_before + N_ORDERS
            wait_until(partial(_has_lost, one, lost_before[one.holder]), 10, "it is refused")
            assert ask(place, _HOLDER)[0][1] > fence
    twice = "SELECT order_id FROM order_events WHERE event = 'expire' GROUP BY order_id HAVING count(*) > 1"
    assert ask(place, twice) == []
    assert ask(place, "SELECT count(*) FROM order_events WHERE event = 'expire'")[0][0] == N_STOPS * N_ORDERS
    assert unsound(place) == unbalanced(place, {"milk": 10_000_000}) == []
    record_property("stopped", f"{len(stopped_s)} times, {max(stopped_s):.1f} s at most")


def _has_swept(place: Place, n: int) -> bool:
    return int(ask(place, _SWEPT)[0][0]) >= n


def _has_lost(sweeping: Sweeping, n_before: int) -> bool:
    return _n_lost(sweeping) > n_before


def _n_lost(sweeping: Sweeping) -> int:
    return sweeping.log.read_text().count(LOST)


def test_sweeper__stopped_within_a_transaction_holds_nobody_up_for_long(place: Place) -> None:
    with opened(str(place.database)) as store:
        store.write_now(lambda connection: enter_shop(connection, {"milk": 1_000}))
    with psycopg.connect(str(place.database), autocommit=True) as watching, running_sweeper(place, 0, WRITE_S) as one:
        _holds(place)
        wait_until(lambda: ask(place, _SWEPT)[0][0] > 5, 20, "some are swept")
        _stop_within(watching, one)
        with opened(str(place.database)) as store:
            begun, terms = lived_s(), terms_of(store)
            wait_until(lambda: _can_lock_shop(store), 30, "the shop is free again")
            assert lived_s() - begun < WRITE_S + 2.0
            order(store, terms, wish("milk"))
        one.go_on()
        wait_until(lambda: ask(place, _SWEPT)[0][0] == N_ORDERS, 20, "it goes on")
    assert unsound(place) == unbalanced(place, {"milk": 1_000}) == []


def _can_lock_shop(store: Store) -> bool:
    query = text("SELECT point_id FROM points WHERE point_id = 'm0:shop' FOR UPDATE")
    try:
        return store.write_now(lambda connection: connection.value(query), 0.5) is not None
    except DeadlineExceededError:
        return False


def _stop_within(watching: psycopg.Connection, sweeping: Sweeping) -> None:
    """Stop a process while it has a transaction open that has written."""
    query = _IN_TRANSACTION.replace("xact_start", "backend_xid")
    until = time.monotonic() + 20
    while time.monotonic() < until:
        sweeping.stop()
        row = watching.execute(query.encode()).fetchone()
        if row is not None and row[0]:
            return
        sweeping.go_on()
        time.sleep(0.002)
    raise AssertionError("it was never stopped within a transaction")

"""Leases on both databases: one holder at a time, and a late one is refused by its number (fault F13)."""

from __future__ import annotations

import datetime as dt
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import func, insert, select

from service.clock import SettableClock
from service.errors import LeaseLostError
from service.settings import load_settings
from service.store.connections import WriteConnection
from service.store.database import Store
from service.store.leases import Lease, Tenure, demand, give_back, renew, take
from service.store.opening import open_store
from service.store.order_tables import code_tries
from tests.contract.service.talking import together
from tests.feed_store import opened_store
from tests.serving import ROOT, Place, fresh_database

LONG_S, SHORT_S = 60.0, 0.2


@pytest.fixture(scope="module")
def store(place: Place) -> Iterator[Store]:
    with opened_store(place) as store:
        yield store


def _taken(store: Store, name: str, holder: str, seconds: float = LONG_S) -> Lease | None:
    return store.write_now(lambda connection: take(connection, name, holder, seconds))


def _taken_by(store: Store, name: str, number: int) -> Lease | None:
    return _taken(store, name, str(number))


def _enter(store: Store, name: str, lease: Lease) -> None:
    """Write something under a lease."""

    def write(connection: WriteConnection) -> None:
        demand(connection, lease)
        connection.run(insert(code_tries), {"point_id": f"{name} {lease.fence}", "since_at": 0, "wrong": 0})

    store.write_now(write)


def _n_entered(store: Store, name: str) -> int:
    query = select(func.count()).select_from(code_tries).where(code_tries.c.point_id.startswith(name))
    return int(store.read_now(lambda connection: connection.value(query)))


def test_take__gives_a_free_lease_to_one_of_many(store: Store) -> None:
    for number in range(5):
        found = together(8, partial(_taken_by, store, f"race {number}"))
        assert sum(lease is not None for lease in found) == 1


def test_take__gives_a_lease_that_ran_out_a_higher_number(store: Store) -> None:
    first = _taken(store, "out", "a", SHORT_S)
    assert first is not None
    assert _taken(store, "out", "b") is None
    time.sleep(SHORT_S * 1.5)
    second = _taken(store, "out", "b")
    assert second is not None
    assert second.fence > first.fence
    assert not store.write_now(lambda connection: renew(connection, first, LONG_S))
    assert store.write_now(lambda connection: renew(connection, second, LONG_S))


def test_late_holder__is_refused_and_writes_nothing(store: Store) -> None:
    first = _taken(store, "late", "a", 0.0)
    assert first is not None
    _enter(store, "late", first)  # nobody has taken it yet
    second = _taken(store, "late", "b")
    assert second is not None
    with pytest.raises(LeaseLostError):
        _enter(store, "late", first)
    _enter(store, "late", second)
    assert _n_entered(store, "late") == 2


def test_given_back__is_free_at_once_and_not_by_a_late_holder(store: Store) -> None:
    first = _taken(store, "back", "a", 0.0)
    second = _taken(store, "back", "b")
    assert first is not None
    assert second is not None
    store.write_now(lambda connection: give_back(connection, first))
    assert _taken(store, "back", "c") is None
    store.write_now(lambda connection: give_back(connection, second))
    assert _taken(store, "back", "c") is not None


def test_tenure__takes_renews_doubts_and_gives_back(store: Store) -> None:
    one, other = Tenure(store, "tenure", 0.5), Tenure(store, "tenure", 0.5)
    lease = one.held()
    assert lease is not None
    assert other.held() is None
    for _ in range(10):  # longer than it lasts
        time.sleep(0.1)
        assert one.is_sure
        assert one.held() == lease
        assert other.held() is None
    time.sleep(0.45)
    assert not one.is_sure
    time.sleep(0.1)
    assert other.held() is not None
    assert one.held() is None
    other.give_back()
    time.sleep(0.15)
    found = one.held()
    assert found is not None
    assert found.fence == lease.fence + 2


def test_tenure__forgets_no_lease_but_the_one_that_was_lost(store: Store) -> None:
    tenure = Tenure(store, "late answer", LONG_S)
    newer = tenure.held()
    assert newer is not None
    tenure.forget(Lease(newer.name, newer.holder, newer.fence - 1))  # what a thread was asked under an older one
    assert tenure.held() == newer
    tenure.forget(newer)
    assert tenure.held() is None


def test_time_that_stands_still__keeps_a_lease_for_who_renews_it_and_not_for_who_was_killed(place: Place) -> None:
    """The store's time stands still while a clock that was set back has not caught up."""
    environment = {"LINLI_DATA": str(place.folder)} | ({"LINLI_DATABASE": place.database} if place.database else {})
    with open_store(load_settings(environment), SettableClock(dt.datetime.now(dt.UTC))) as store:
        one, other = Tenure(store, "still", 0.5), Tenure(store, "still", 0.5)
        lease = one.held()
        assert lease is not None
        for _ in range(15):  # longer than it lasts, several times
            time.sleep(0.1)
            assert one.held() == lease
            assert other.held() is None
        begun = time.monotonic()  # from here on nobody renews it
        while (found := other.held()) is None:
            assert time.monotonic() < begun + 10.0
            time.sleep(0.02)
        assert time.monotonic() - begun > 0.1
        assert found.fence == lease.fence + 1
        time.sleep(0.2)
        assert one.held() is None


HOLDER = """
import sys, time
from pathlib import Path
from service.errors import LeaseLostError
from service.store.leases import Tenure
from tests.contract.service.test_leases import _enter
from tests.feed_store import opened_store
from tests.serving import Place

with opened_store(Place(Path(sys.argv[1]), sys.argv[2])) as store:
    tenure = Tenure(store, "stopped", 0.4)
    lease = tenure.held()
    print("held", flush=True)
    sys.stdin.readline()  # it is stopped here, and goes on when another has the lease
    print("sure" if tenure.is_sure else "unsure", flush=True)
    try:
        _enter(store, "stopped", lease)
    except LeaseLostError:
        print("refused", flush=True)
"""


def test_stopped_process__is_refused_when_it_goes_on(postgres_url: str, tmp_path: Path) -> None:
    place = Place(tmp_path, fresh_database(postgres_url))
    with opened_store(place) as store:
        _stop_and_go_on(store, place)
        assert _n_entered(store, "stopped") == 0


def _stop_and_go_on(store: Store, place: Place) -> None:
    command = [sys.executable, "-c", HOLDER, str(place.folder), str(place.database)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        os.kill(holder.pid, signal.SIGSTOP)
        time.sleep(0.5)
        lease = _taken(store, "stopped", "other")
        assert lease is not None
        assert lease.fence == 2
        os.kill(holder.pid, signal.SIGCONT)
        told, _ = holder.communicate("\n", timeout=30)
    assert told == "unsure\nrefused\n"

"""PostgreSQL stopped, gone, full or locked: every wait ends within its deadline, reads of the index go on, none is left."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from sqlalchemy import select, text

from service.deadlines import Deadline
from service.errors import DeadlineExceededError, ServiceError, StorageUnavailableError
from service.feed.followers import Follower
from service.feed.index import LiveIndex
from service.store import postgres
from service.store.connections import WriteConnection
from service.store.database import Store
from service.store.tables import merchants
from tests.faults.writing import opened, write
from tests.feed_store import wait_until
from tests.lived import lived_s
from tests.scale import FULL
from tests.servers import PostgresServer, running_postgres
from tests.serving import Place, Serving, fresh_database, running_service

DEADLINE_S, MARGIN_S = 3.0, 0.25
AWAY_S = 30.0 if FULL else 6.0


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """Give a PostgreSQL of this module's own, to be stopped."""
    with running_postgres() as running:
        yield running


@pytest.fixture
def store(server: PostgresServer) -> Iterator[Store]:
    """Give an open store on an empty database."""
    opened_ = opened(fresh_database(server.url))
    yield opened_
    opened_.close()


def processes(server: PostgresServer) -> list[int]:
    """Return the server's processes, the first one first."""
    first = server._server.get_pid()
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            if parent == first:
                found.append(int(entry.name))
    return [first, *found]


@contextmanager
def stopped(server: PostgresServer) -> Iterator[None]:
    """Stop all its processes (SIGSTOP): they hold their connections and answer nothing."""
    pids = processes(server)
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def waited(call: Callable[[Deadline], Coroutine[Any, Any, Any]]) -> tuple[float, Exception | None]:
    """Return how long a call with a deadline took, as we lived it, and how it failed."""
    began, failed = lived_s(), None
    try:
        asyncio.run(call(Deadline.after(DEADLINE_S)))
    except ServiceError as error:
        failed = error
    return lived_s() - began, failed


def ask_much(store: Store) -> list[tuple[float, Exception | None]]:
    """Write and read more at once than there are connections; return how each went."""
    results: list[tuple[float, Exception | None]] = []

    def one(i: int) -> None:
        name = f"w{threading.get_ident()}-{time.monotonic_ns()}"
        if i % 2:
            results.append(waited(lambda deadline: store.write(lambda c: write(c, name), deadline)))
        else:
            results.append(waited(lambda deadline: store.read(lambda c: c.rows(select(merchants)), deadline)))

    threads = [threading.Thread(target=one, args=(i,)) for i in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def works_again(store: Store) -> None:
    """Wait until a write is stored."""
    until = time.monotonic() + 15
    while time.monotonic() < until:
        if waited(lambda deadline: store.write(lambda c: write(c, f"w{time.monotonic_ns()}"), deadline))[1] is None:
            return
        time.sleep(0.1)
    raise AssertionError("it takes no writes 15 s after")


def within(results: list[tuple[float, Exception | None]]) -> bool:
    """Tell whether every wait ended in time, and whether each was refused."""
    assert all(isinstance(error, DeadlineExceededError | StorageUnavailableError) for _seconds, error in results)
    return max(seconds for seconds, _error in results) < DEADLINE_S + MARGIN_S


def test_stopped__every_wait_ends_and_no_thread_is_left(server: PostgresServer, store: Store) -> None:
    with stopped(server):
        assert within(ask_much(store))  # all of them wait at once: there are never more threads than now
    works_again(store)
    n_threads = threading.active_count()
    with stopped(server):
        assert within(ask_much(store))
        assert within(ask_much(store))
    works_again(store)
    assert threading.active_count() <= n_threads


def test_stopped__the_store_closes_all_the_same(server: PostgresServer) -> None:
    store = opened(fresh_database(server.url))
    follower = Follower(store, (LiveIndex(),))
    follower.start()
    ask_much(store)
    with stopped(server):
        store.submit_write(lambda c: write(c, "w-late"), Deadline.after(600))
        time.sleep(0.3)
        began = lived_s()
        follower.close()
        store.close()
        assert lived_s() - began < 8


def test_gone__writes_are_refused_and_come_back_with_it(server: PostgresServer, store: Store) -> None:
    follower = Follower(store, (LiveIndex(),))
    follower.start()
    ask_much(store)
    server.crash()
    try:
        assert within(ask_much(store))
    finally:
        server.start()
    works_again(store)
    until = time.monotonic() + 10
    while (follower.age_s or 0) > 1 and time.monotonic() < until:
        time.sleep(0.05)
    assert (follower.age_s or 0) <= 1
    follower.close()


def test_full__writes_are_refused_in_time(server: PostgresServer, store: Store) -> None:
    with ExitStack() as stack:
        with suppress(psycopg.OperationalError):
            for _ in range(500):
                stack.enter_context(psycopg.connect(server.url))
        assert within(ask_much(store))
    works_again(store)


def test_locked__a_write_waits_no_longer_than_its_deadline_and_others_go_on(
    server: PostgresServer, store: Store
) -> None:
    store.write_now(lambda connection: write(connection, "w-locked"))
    change = text("UPDATE merchants SET name = 'x' WHERE merchant_id = 'w-locked'")
    held, release = threading.Event(), threading.Event()

    def hold(connection: WriteConnection) -> None:
        connection.run(change)
        held.set()
        release.wait(30)

    holding = store.submit_write(hold, Deadline.after(30))
    assert held.wait(10)
    began = time.monotonic()
    seconds, error = waited(lambda deadline: store.write(lambda c: c.run(change), deadline))
    assert time.monotonic() - began > DEADLINE_S - MARGIN_S
    assert isinstance(error, DeadlineExceededError)
    assert seconds < DEADLINE_S + MARGIN_S
    assert waited(lambda deadline: store.write(lambda c: write(c, "w-other"), deadline))[1] is None
    release.set()
    holding.result(10)


def test_stopped_halfway__a_writer_keeps_its_locks_no_longer_than_it_had_time(
    server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has said a part of what goes together, and not yet that this is all, so that its transaction is not idle."""
    url = fresh_database(server.url)
    monkeypatch.setattr(postgres, "_shut", lambda _raw: None)  # who is stopped does not watch, either
    with opened(url) as store, psycopg.connect(url, autocommit=True) as other:
        other.execute("SET lock_timeout = '15s'")

        def stop(connection: WriteConnection) -> None:
            raw: psycopg.Connection[Any] = connection._driver._connection  # type: ignore[attr-defined]
            with raw.pipeline():
                raw.execute("SELECT pg_advisory_xact_lock(7)")
                # What is said in a pipeline is on its way: locked and let go at once, until it has arrived.
                free = "SELECT pg_advisory_unlock(7) FROM (SELECT pg_try_advisory_lock(7) AS got) AS tried WHERE got"
                wait_until(lambda: other.execute(free).fetchone() is None, DEADLINE_S, "the lock is held")
                other.execute("SELECT pg_advisory_lock(7)")

        with pytest.raises(psycopg.OperationalError, match="closed the connection"):
            store.write_now(stop, DEADLINE_S)


@pytest.fixture
def service(server: PostgresServer, tmp_path: Path) -> Iterator[Serving]:
    """Give a service on the server that is stopped."""
    with running_service(Place(tmp_path, fresh_database(server.url))) as serving:
        yield serving


def test_service__lives_and_answers_while_its_database_is_stopped(server: PostgresServer, service: Serving) -> None:
    match = {"lat": 31.2, "lng": 121.4, "offer": "express/parcel_pickup"}
    with service.client() as client:
        asked = client.post("/v1/match", json=match).status_code
        with stopped(server):
            until = time.monotonic() + AWAY_S
            while time.monotonic() < until:
                assert client.get("/healthz").status_code == httpx.codes.OK
                assert client.post("/v1/match", json=match).status_code == asked
                began = lived_s()
                body = {"merchant_id": f"m{time.monotonic_ns()}", "name": "n"}
                refused = client.post("/v1/merchants", json=body, headers={"Idempotency-Key": body["merchant_id"]})
                assert lived_s() - began < DEADLINE_S + MARGIN_S
                assert refused.status_code == httpx.codes.SERVICE_UNAVAILABLE
                assert refused.headers["retry-after"]
            unready = client.get("/readyz")
            assert unready.status_code == httpx.codes.SERVICE_UNAVAILABLE
            assert unready.json()["index_age_s"] > AWAY_S - 1
        until = time.monotonic() + 10
        while client.get("/readyz").status_code != httpx.codes.OK and time.monotonic() < until:
            time.sleep(0.05)
        body = {"merchant_id": "after", "name": "n"}
        made = client.post("/v1/merchants", json=body, headers={"Idempotency-Key": "after"})
        assert made.status_code == httpx.codes.CREATED

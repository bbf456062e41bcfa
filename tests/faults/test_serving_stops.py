"""A server that is told to stop says so first, finishes what it has taken, and loses nothing; one that is killed, neither."""

from __future__ import annotations

import json
import secrets
import signal
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from service.feed.outbox import START, read_changes
from service.store.sqlite_engines import integrity
from tests.faults.test_store_kills import RNG, SEED
from tests.faults.writing import opened
from tests.feed_store import wait_until
from tests.lived import lived_s
from tests.scale import scaled
from tests.serving import LINLI, ROOT, Place, Serving, environment_of, fresh_database, running_service

STOP_S = 10.0
ANNOUNCE_S = 2.0  # a poller among eight clients on a busy machine sees it within that
N_CLIENTS = 8
LATE_S, PATIENCE_S = 2.5, 30.0
N_STOPS = scaled(60)


@pytest.fixture(params=["sqlite", "postgres", "workers"])
def kind(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Place, list[str]]:
    """Give a place and flags: either database, and two workers."""
    if request.param == "sqlite":
        return Place(tmp_path / "data"), []
    url = fresh_database(request.getfixturevalue("postgres_url"))
    return Place(tmp_path / "data", url), ["--workers=2"] if request.param == "workers" else []


@dataclass
class Load:
    """Clients that create merchants, one request after another, as long as the server says that it is ready."""

    serving: Serving
    acked: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    heeds_readiness: bool = True
    was_told: bool = False
    ended: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        targets = [*[self._create] * N_CLIENTS, self._poll]
        self._threads = [threading.Thread(target=target, daemon=True) for target in targets]
        for thread in self._threads:
            thread.start()

    def run_for(self, seconds: float) -> None:
        """Wait until every client may have been answered once, then so long."""
        until = time.monotonic() + 20
        while len(self.acked) < N_CLIENTS and not self.failed and time.monotonic() < until:
            time.sleep(0.01)
        time.sleep(seconds)

    def finish(self) -> None:
        self.ended.set()
        for thread in self._threads:
            thread.join(30)

    def _create(self) -> None:
        with self.serving.client() as client:
            while not self.ended.is_set() and not (self.heeds_readiness and self.was_told):
                name = f"m{secrets.token_hex(6)}"
                try:
                    answer = client.post(
                        "/v1/merchants", json={"merchant_id": name, "name": "n"}, headers={"Idempotency-Key": name}
                    )
                except httpx.TransportError as error:
                    self.failed.append(f"{type(error).__name__} {error}")
                    return
                if answer.status_code == httpx.codes.CREATED:
                    self.acked.append(name)
                else:
                    self.failed.append(f"{answer.status_code} {answer.text}")

    def _poll(self) -> None:
        with self.serving.client("") as client:  # one client: to make one takes as long as many requests
            while not self.ended.is_set():
                try:
                    answer = client.get("/readyz")
                except httpx.TransportError:
                    return
                if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE and answer.json()["why"] == "draining":
                    self.was_told = True
                    return
                time.sleep(0.02)


def missing(place: Place, acked: list[str]) -> list[str]:
    """Return what was acknowledged and has no change record, or none with what it is."""
    store = opened(place.database or str(place.folder))
    try:
        with store.reading() as connection:
            position, changed = START, set()
            while found := read_changes(connection, position):
                changed |= {change.subject for change in found if change.kind == "merchant"}
                position = found[-1].position
            from sqlalchemy import select

            from service.store.tables import merchants

            known = {row[0] for row in connection.rows(select(merchants.c.merchant_id))}
    finally:
        store.close()
    assert known == changed
    return sorted(set(acked) - known)


def test_stop__under_load_is_announced_and_fails_no_request(kind: tuple[Place, list[str]]) -> None:
    place, flags = kind
    key, acked = "", []
    for _ in range(scaled(50) if place.database is None else max(2, scaled(50) // 5)):
        with running_service(place, *flags, admin_key=key, announce_s=ANNOUNCE_S) as serving:
            key, load = serving.admin_key, Load(serving)
            load.start()
            load.run_for(RNG.uniform(0.0, 0.5))
            began = lived_s()
            code = serving.stop()
            took = lived_s() - began
            load.finish()
        assert load.failed == [], f"seed {SEED}"
        assert load.was_told
        assert code == 0
        assert took < STOP_S
        acked += load.acked
    assert len(acked) >= N_CLIENTS
    assert missing(place, acked) == []


def test_checker__catches_a_server_that_announces_nothing(tmp_path: Path) -> None:
    failed: list[str] = []
    for _ in range(3):
        with running_service(tmp_path / secrets.token_hex(4), announce_s=0) as serving:
            load = Load(serving, heeds_readiness=False)
            load.start()
            load.run_for(0.2)
            serving.stop()
            load.finish()
            failed += load.failed
    assert failed != []


@contextmanager
def held(serving: Serving) -> Iterator[Callable[[], bool]]:
    """Hold the lock that a new merchant wants; give what tells whether one waits for it."""
    place = serving.place
    if place.database is None:
        other = sqlite3.connect(place.folder / "linli.db", isolation_level=None)
        with closing(other), serving.client() as client:
            other.execute("BEGIN IMMEDIATE")
            both = "linli_requests_inflight 2.0"  # it and who asks
            yield lambda: both in client.get("/metrics").text
    else:
        with psycopg.connect(place.database) as connection:
            connection.execute("LOCK TABLE merchants IN EXCLUSIVE MODE")
            waiting = "SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 'merchants'::regclass"
            yield lambda: connection.execute(waiting).fetchone() is not None


@dataclass
class Late:
    """What came of a request that was held once its server had begun to stop: an answer, or an error; and the log."""

    answer: httpx.Response | httpx.TransportError
    log: list[dict[str, Any]]

    @property
    def status(self) -> int:
        """The status of the answer; 0 where none came."""
        return self.answer.status_code if isinstance(self.answer, httpx.Response) else 0


def answered_late(kind: tuple[Place, list[str]], *, drain_s: float, held_s: float) -> Late:
    """Return what comes of a request that is held, once the server has begun to stop, so long or until it is cut."""
    place, flags = kind

    def create() -> httpx.Response | httpx.TransportError:
        body = {"merchant_id": "late", "name": "n"}
        try:
            with serving.client() as client:
                return client.post("/v1/merchants", json=body, headers={"Idempotency-Key": "late"})
        except (httpx.NetworkError, httpx.RemoteProtocolError) as error:  # not that it takes too long
            return error

    def all_say(text: str) -> bool:
        return serving.log.read_text().count(f'"event":"{text}') == (2 if flags else 1)

    with (
        running_service(place, *flags, announce_s=0, deadline_s=60, drain_s=drain_s) as serving,
        ThreadPoolExecutor(1) as threads,
    ):
        wait_until(lambda: all_say("Started server process"), PATIENCE_S, "each worker serves")
        with held(serving) as is_waiting:
            answer = threads.submit(create)
            wait_until(is_waiting, PATIENCE_S, "the request is taken")
            serving.process.send_signal(signal.SIGTERM)
            wait_until(lambda: all_say("Shutting down"), PATIENCE_S, "the server takes no more")
            wait([answer], held_s)
        told = answer.result()
        assert serving.process.wait(PATIENCE_S) == 0
        return Late(told, [json.loads(line) for line in serving.log.read_text().splitlines()])


def test_stop__answers_what_it_has_taken_though_that_takes_long(kind: tuple[Place, list[str]]) -> None:
    assert answered_late(kind, drain_s=60, held_s=LATE_S).status == httpx.codes.CREATED
    assert missing(kind[0], ["late"]) == []


def test_stop__tells_what_it_cuts_that_it_stops(kind: tuple[Place, list[str]]) -> None:
    """It is the checker of the test before, too: a server that cuts what takes longer than it may is caught."""
    late = answered_late(kind, drain_s=1, held_s=PATIENCE_S)
    assert late.status == httpx.codes.SERVICE_UNAVAILABLE, late
    assert isinstance(late.answer, httpx.Response)
    headers = late.answer.headers
    assert late.answer.json()["type"] == "https://linli.dev/problems/draining"
    assert [headers[name] for name in ("content-type", "connection", "retry-after")] == [
        "application/problem+json",
        "close",
        "1",
    ]
    assert [line for line in late.log if "exception" in line] == []
    told = [line["event"] for line in late.log if line["level"] == "error"]
    assert told == ["Cancel 1 running task(s), timeout graceful shutdown exceeded"]


@pytest.mark.parametrize(
    ("kind", "second"),
    [("sqlite", signal.SIGTERM), ("sqlite", signal.SIGINT), ("workers", signal.SIGTERM)],
    indirect=["kind"],
)
def test_stop__told_twice_ends_sooner_and_loses_nothing(kind: tuple[Place, list[str]], second: signal.Signals) -> None:
    place, flags = kind
    with running_service(place, *flags, announce_s=30) as serving:
        load = Load(serving)
        load.start()
        load.run_for(0.3)
        serving.process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        serving.process.send_signal(second)
        began = lived_s()
        assert serving.process.wait(25) == 0
        assert lived_s() - began < STOP_S
        load.finish()
    assert missing(place, load.acked) == []


@pytest.mark.parametrize(
    ("kind", "number"),
    [("sqlite", signal.SIGTERM), ("sqlite", signal.SIGINT), ("workers", signal.SIGTERM)],
    indirect=["kind"],
)
def test_stop__told_until_it_ends_ends_well(kind: tuple[Place, list[str]], number: signal.Signals) -> None:
    place, flags = kind
    key = ""
    for _ in range(N_STOPS):
        with running_service(place, *flags, admin_key=key) as serving:
            key = serving.admin_key
            serving.process.send_signal(signal.SIGTERM)
            until = time.monotonic() + PATIENCE_S
            while serving.process.poll() is None and time.monotonic() < until:
                serving.process.send_signal(number)
                time.sleep(0.001)
            assert serving.process.poll() == 0


def test_stop__during_the_start_ends_it_and_the_next_start_works(kind: tuple[Place, list[str]]) -> None:
    place, flags = kind
    for _ in range(scaled(30)):
        command = [*LINLI, "serve", "--port=0", *place.flags, *flags]
        starting = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment_of(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        time.sleep(RNG.uniform(0.0, 3.0))
        starting.send_signal(signal.SIGTERM)
        told = starting.communicate(timeout=STOP_S)[1]
        assert starting.returncode in {0, 128 + signal.SIGTERM, -signal.SIGTERM}, f"seed {SEED}: {told!r}"
        assert b"Traceback" not in told
    with running_service(place, *flags) as serving:
        assert httpx.get(f"{serving.base_url}/readyz", trust_env=False).status_code == httpx.codes.OK


@pytest.mark.parametrize("kind", ["sqlite", "postgres"], indirect=True)
def test_killed__under_load_loses_nothing_that_was_acknowledged(kind: tuple[Place, list[str]]) -> None:
    place, _flags = kind
    key, acked = "", []
    for _ in range(scaled(50) if place.database is None else max(2, scaled(50) // 5)):
        with running_service(place, admin_key=key) as serving:
            key, load = serving.admin_key, Load(serving)
            load.start()
            load.run_for(RNG.uniform(0.0, 0.5))
            serving.kill()
            load.finish()
            acked += load.acked
        assert missing(place, acked) == [], f"seed {SEED}"
    assert len(acked) >= N_CLIENTS
    if place.database is None:
        assert integrity(place.folder / "linli.db") == "ok"

"""Redis killed, stopped, emptied while writes go on: followers poll, no event is lost, no write waits, orders are taken (F7)."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import select

from service.feed.followers import Follower
from service.feed.outbox import Position, feed_id
from service.feed.waking import RedisWaker
from service.store.database import Store
from service.store.tables import changes
from tests.contract.service.talking import ask
from tests.faults.buying import Answer, at_once, body_of, open_market, unbalanced, unsound
from tests.faults.test_late_commits import Seen
from tests.feed_store import fill, opened_store, set_units, wait_until
from tests.scale import FULL, scaled
from tests.servers import ValkeyServer, running_valkey
from tests.serving import Place, fresh_database, running_service

N_FAULTS = scaled(200)
N_FAULTS_OF_ORDERS = 200 if FULL else 6
N_LAST = 20
SELDOM_S, OFTEN_S = 30.0, 0.2
PHASE_S = 0.3
MOST_ADDED_S = 0.020 if FULL else 0.1  # of a short run the p99 is the slowest but few


@dataclass
class Pair:
    """Two workers on one database: one writes, the other follows."""

    writing: Store
    following: Store
    seen: Seen
    follower: Follower
    wakers: list[RedisWaker]

    def write(self, units: int) -> float:
        """Write once; return how long it took."""
        begun = time.perf_counter()
        self.writing.write_now(lambda connection: set_units(connection, "m0:1", "laundry/pickup", units))
        return time.perf_counter() - begun

    def every(self) -> list[Position]:
        """Return the positions of all changes since the follower began."""
        with self.writing.reading() as connection:
            rows = connection.rows(select(changes.c.tx, changes.c.id).order_by(changes.c.tx, changes.c.id))
        return [one for one in (Position(*row) for row in rows) if one > self.seen.from_start]

    def has_all(self) -> bool:
        """Whether the follower was handed each change once, in order."""
        return [change.position for change in self.seen.changes] == self.every()


@pytest.fixture
def valkey_server() -> Iterator[ValkeyServer]:
    with running_valkey() as server:
        yield server


def _url(server: ValkeyServer) -> str:
    return f"unix://{server._server.connection_kwargs['unix_socket_path']}"


@contextmanager
def _pair(database: str, folder: Path, redis_url: str | None, poll_s: float) -> Iterator[Pair]:
    with ExitStack() as stack:
        place = Place(folder, fresh_database(database))
        writing, following = (stack.enter_context(opened_store(place)) for _ in range(2))
        fill(writing, 2, 3)
        seen = Seen()
        follower = Follower(following, [seen], poll_s=poll_s)
        stack.callback(follower.close)
        follower.start()
        wakers = []
        for store, wake in ((writing, lambda: None), (following, follower.wake)):
            if redis_url is not None:
                waker = RedisWaker(redis_url, store, wake, store.read_now(feed_id))
                stack.callback(waker.close)
                waker.start()
                wakers.append(waker)
        yield Pair(writing, following, seen, follower, wakers)


def test_waker__lets_the_other_worker_see_a_write_at_once(
    postgres_url: str, tmp_path: Path, valkey_server: ValkeyServer
) -> None:
    with _pair(postgres_url, tmp_path, _url(valkey_server), SELDOM_S) as pair:
        wait_until(lambda: pair.write(1) > 0 and pair.wakers[1].n_woken > 0, 5, "both are connected")
        for units in range(5):
            pair.write(units)
            wait_until(pair.has_all, 1, "seen long before the next poll")


def test_waker__without_redis_tells_it_once_and_wakes_again_when_it_is_there(
    postgres_url: str, tmp_path: Path, valkey_server: ValkeyServer, caplog: pytest.LogCaptureFixture
) -> None:
    url = _url(valkey_server)
    valkey_server.crash()
    with caplog.at_level(logging.INFO, "service.feed.waking"), _pair(postgres_url, tmp_path, url, OFTEN_S) as pair:
        pair.write(1)
        wait_until(pair.has_all, 2, "polled")
        time.sleep(1)
        assert [record.levelname for record in caplog.records] == ["WARNING"] * 4  # each of the two threads of both
        valkey_server.start()
        wait_until(lambda: pair.write(2) > 0 and pair.wakers[1].n_woken > 0, 10, "woken again")
        assert any("back" in record.message for record in caplog.records)


def _kill(server: ValkeyServer) -> None:
    server.crash()
    time.sleep(PHASE_S)
    server.start()


def _empty(server: ValkeyServer) -> None:
    with server.client() as client:
        client.flushall()
    time.sleep(PHASE_S)


def _stop(server: ValkeyServer) -> None:
    with server.client() as client:
        pid = client.info("server")["process_id"]
    os.kill(pid, signal.SIGSTOP)
    time.sleep(PHASE_S)
    os.kill(pid, signal.SIGCONT)


def test_writes__are_neither_lost_nor_slowed_while_redis_comes_and_goes(
    postgres_url: str,
    tmp_path: Path,
    valkey_server: ValkeyServer,
    record_property: Callable[[str, object], None],
) -> None:
    with (
        _pair(postgres_url, tmp_path, None, OFTEN_S) as without,
        _pair(postgres_url, tmp_path, _url(valkey_server), OFTEN_S) as beside,
    ):
        ended = threading.Event()
        took_s: dict[str, list[float]] = {"without Redis": [], "Redis comes and goes": []}
        writers = [
            threading.Thread(target=_write_on, args=(pair, one, ended))
            for pair, one in zip((without, beside), took_s.values(), strict=True)
        ]
        for writer in writers:
            writer.start()
        for number in range(N_FAULTS):
            (_kill, _empty, _stop)[number % 3](valkey_server)
        ended.set()
        for writer in writers:
            writer.join()
        for pair, one in zip((without, beside), took_s.values(), strict=True):
            wait_until(pair.has_all, 2, "nothing is lost")
            assert len(pair.every()) >= len(one) > 0
    p99_s = {name: float(np.percentile(one, 99)) for name, one in took_s.items()}
    record_property("p99_s", p99_s)
    assert p99_s["Redis comes and goes"] <= p99_s["without Redis"] + MOST_ADDED_S


def _write_on(pair: Pair, took_s: list[float], ended: threading.Event) -> None:
    while not ended.is_set():
        took_s.append(pair.write(len(took_s)))
        ended.wait(0.01)


def test_orders__are_taken_as_ever_while_redis_comes_and_goes(
    postgres_url: str, tmp_path: Path, valkey_server: ValkeyServer, record_property: Callable[[str, object], None]
) -> None:
    place = Place(tmp_path / "data", fresh_database(postgres_url))
    answers: list[Answer] = []  # a list loses none where several threads count
    with (
        running_service(place, "--workers=2", redis=_url(valkey_server)) as serving,
        open_market(serving) as market,
    ):
        market.put_stock("last", N_LAST)
        market.put_stock("milk", 1_000_000)
        ended = threading.Event()

        def buy(number: int) -> None:
            if number == 0:
                for fault in range(N_FAULTS_OF_ORDERS):
                    (_kill, _empty, _stop)[fault % 3](valkey_server)
                ended.set()
                return
            app = market.app()
            while not ended.is_set():
                for sku in ("milk", "last"):
                    answer = app.order(body_of(market.point_id, sku))
                    answers.append(answer)
                    assert answer.status == 201 or (sku, answer.slug) == ("last", "sold-out"), answer
            app.close()

        at_once(5, buy)
    record_property("orders", str(Counter(answer.status for answer in answers)))
    made = sorted(answer.told["order_id"] for answer in answers if answer.status == 201)
    assert len(answers) > len(made) > N_LAST
    assert [row[0] for row in ask(place, "SELECT order_id FROM orders ORDER BY order_id")] == made
    assert ask(place, "SELECT counted, held FROM stock WHERE sku = 'last'") == [(N_LAST, N_LAST)]
    assert unsound(place) == unbalanced(place, {"milk": 1_000_000, "last": N_LAST}) == []

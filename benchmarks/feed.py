"""
How far the indexes of two workers are behind one PostgreSQL while changes keep coming.

Each worker is a process that follows the feed; the lag of a change is the time from its commit to when it is in the
index of the slower of the two. Checked: no change is missing, and both indexes equal the store at the end.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import product

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select

from benchmarks.frame import ROOT, Exactness, Report, Row, say
from service.feed.index import store_digest
from service.feed.outbox import feed_id
from service.feed.waking import RedisWaker
from service.store.connections import WriteConnection
from service.store.database import Store
from service.store.tables import changes
from tests.feed_store import fill, opened_store, some_change
from tests.servers import running_postgres, running_valkey, short_folder
from tests.serving import Place, fresh_database

__all__ = ["PACKAGES", "add_options", "run"]

PACKAGES = ("sqlalchemy", "psycopg", "redis")
N_MERCHANTS, N_WRITERS, N_WORKERS = 20, 4, 2
MERCHANTS_A_SECOND = (1, 10)
"""Of the changes of a second, those that suspend or verify a merchant with all its points."""
MOST_P99_MS = 250.0
SETTLE_S = 1.0
THE_LIMIT = "the limit asked for"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare what can be scaled."""
    parser.add_argument("--points", type=int, default=10_000, help="points (default: %(default)s)")
    parser.add_argument("--rate", type=int, default=200, help="changes a second (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=20.0, help="of each turn (default: %(default)s)")
    parser.add_argument("--poll", type=float, default=0.05, help="seconds between polls (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the changes (default: %(default)s)")


def run(options: argparse.Namespace) -> Report:
    """Let two workers follow, without Redis and with it."""
    say(f"feed: {options.points} points, {options.rate} changes/s")
    report = Report("feed", Exactness(0, 0))
    checked = wrong = 0
    with ExitStack() as stack:
        server = stack.enter_context(running_postgres())
        folder = stack.enter_context(short_folder())
        valkey = stack.enter_context(running_valkey())
        with valkey.client() as client:
            redis_url = f"unix://{client.connection_pool.connection_kwargs['path']}"
        ways = ((f"polled every {options.poll:g} s", ""), ("woken by Redis", redis_url))
        for n_merchants, (how, url) in product(MERCHANTS_A_SECOND, ways):
            lags_ms, n_wrong = _turn(Place(folder, fresh_database(server.url)), url, options, n_merchants)
            checked, wrong = checked + lags_ms.size + N_WORKERS, wrong + n_wrong
            of_merchants = f"{n_merchants} of a merchant with {options.points // N_MERCHANTS} points"
            for name, share in (("p50", 50), ("p99", 99)):
                value = float(np.percentile(lags_ms, share))
                case = f"lag {name} at {options.rate} changes/s, {of_merchants}, {N_WORKERS} workers, {how}"
                reach = 1.0 if name == "p99" and n_merchants == MERCHANTS_A_SECOND[0] else None
                report.rows.append(Row.of_costs(case, THE_LIMIT, "", "ms", value, MOST_P99_MS, reach=reach))
                say(f"  {of_merchants}, {how}: {name} {value:.1f} ms")
    report.exact = Exactness(checked, wrong)
    return report


def _turn(
    place: Place, redis_url: str, options: argparse.Namespace, merchants_a_second: int
) -> tuple[NDArray[np.float64], int]:
    """Return the lag of each change in milliseconds, and how much was missing or differed at the end."""
    with opened_store(place) as store:
        fill(store, N_MERCHANTS, options.points // N_MERCHANTS)
        with _workers(place, redis_url, options.poll) as workers:
            committed = _changed(store, redis_url, options, merchants_a_second / options.rate)
            time.sleep(SETTLE_S)
            told = [json.loads(worker.communicate("", timeout=60)[0]) for worker in workers]
        with store.reading() as connection:
            digest = store_digest(connection)
            first = min(committed, default=0)
            every = {row.id for row in connection.rows(select(changes.c.id).where(changes.c.id >= first))}
    seen = [{int(number): at for number, at in one["at"].items()} for one in told]
    n_missing = sum(len(every - one.keys()) for one in seen)
    n_differing = sum(one["digest"] != digest for one in told)
    lags = [
        max(one[number] for one in seen) - at for number, at in committed.items() if all(number in one for one in seen)
    ]
    return np.maximum(np.array(lags), 0.0) * 1000, n_missing + n_differing


@contextmanager
def _workers(place: Place, redis_url: str, poll_s: float) -> Iterator[list[subprocess.Popen[str]]]:
    command = [sys.executable, "-m", "benchmarks.feed_child", place.database or "", redis_url, str(poll_s)]
    with ExitStack() as stack:
        workers = []
        for _ in range(N_WORKERS):
            worker = stack.enter_context(
                subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # noqa: S603
            )
            stack.callback(worker.kill)
            workers.append(worker)
        for worker in workers:
            if worker.stdout is None or worker.stdout.readline() != "ready\n":
                raise RuntimeError("a worker did not get ready")
        yield workers


def _numbered(connection: WriteConnection, change: Callable[[WriteConnection], None]) -> list[int]:
    """Make a change; return the numbers of its records."""
    change(connection)
    return [row.id for row in connection.rows(select(changes.c.id).where(changes.c.tx == connection.tx))]


def _changed(store: Store, redis_url: str, options: argparse.Namespace, of_merchants: float) -> dict[int, float]:
    """Make changes at a steady pace; return when each was committed, by the number of its record."""
    committed: dict[int, float] = {}
    per_merchant = options.points // N_MERCHANTS
    begun = time.monotonic()

    def write(number: int) -> None:
        drawn = random.Random(f"{options.seed} {number}")  # noqa: S311
        n_done = 0
        while (due := begun + (n_done + number / N_WRITERS) * N_WRITERS / options.rate) < begun + options.seconds:
            time.sleep(max(0.0, due - time.monotonic()))
            n_done += 1
            change = some_change(drawn, N_MERCHANTS, per_merchant, of_merchants)
            numbers = store.write_now(partial(_numbered, change=change))
            at = time.monotonic()
            committed.update(dict.fromkeys(numbers, at))

    writers = [threading.Thread(target=write, args=(number,)) for number in range(N_WRITERS)]
    with ExitStack() as stack:
        if redis_url:
            waker = RedisWaker(redis_url, store, lambda: None, store.read_now(feed_id))
            stack.callback(waker.close)
            waker.start()
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
    return committed

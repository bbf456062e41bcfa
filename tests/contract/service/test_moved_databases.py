"""A database that pg_dump moved to another PostgreSQL server, where transactions have lower numbers, is served like any other."""

from __future__ import annotations

import contextlib
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import psycopg
import pytest

from service.clock import SystemClock
from service.feed.outbox import feed_id, head, kept_from, read_changes
from service.settings import load_settings
from service.store.opening import open_store
from tests.faults.writing import opened as opened_store
from tests.faults.writing import write
from tests.registry import Offer, Point, opened
from tests.serving import fresh_database

_RECORDS = "UPDATE changes SET tx = tx + 1000000000000"
_KEPT = "UPDATE marks SET value = '1000000000000-1' WHERE name = 'kept_from'"
MOVES = {"records": (_RECORDS,), "what is kept": ("DELETE FROM changes", _KEPT), "both": (_RECORDS, _KEPT)}


def _moved(url: str, how: str) -> None:
    """Let a database be as if it came from a server that counts transactions far from here."""
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in MOVES[how]:
            connection.execute(statement)


@pytest.mark.parametrize("how", MOVES)
def test_moved_database__is_followed_from_a_feed_of_its_own(postgres_url: str, tmp_path: Path, how: str) -> None:
    url = fresh_database(postgres_url)
    with opened(tmp_path, database=url) as registry:
        registry.add_merchants(corner="verified")
        registry.put(Point("corner:a", 31.2, 121.5, [Offer("retail/pickup")]))
        before = registry.services.store.read_now(feed_id)
    _moved(url, how)
    with opened(tmp_path, database=url) as registry:
        store = registry.services.store
        assert store.read_now(feed_id) != before
        assert registry.services.why_not_ready() is None
        registry.put(Point("corner:b", 31.2, 121.5001, [Offer("retail/pickup")]))
        found = registry.match(lat=31.2, lng=121.5, offer="retail/pickup", k=2).json()["matches"]
        assert [one["point_id"] for one in found] == ["corner:a", "corner:b"]
        assert store.read_now(kept_from) < store.read_now(head)
        after = store.read_now(feed_id)
    with opened(tmp_path, database=url) as registry:
        assert registry.services.store.read_now(feed_id) == after


def test_moved_database__begins_its_feed_once_where_several_start(
    postgres_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    url = fresh_database(postgres_url)
    opened_store(url).close()
    settings, n_starts = load_settings({}, data=tmp_path, database=url), 4
    _moved(url, "what is kept")
    together = threading.Barrier(n_starts)

    def start(_number: int) -> tuple[str, str]:
        together.wait()
        with contextlib.closing(open_store(settings, SystemClock())) as store:
            return store.read_now(feed_id), str(store.read_now(kept_from))

    with caplog.at_level(logging.WARNING), ThreadPoolExecutor(n_starts) as threads:
        assert len({*threads.map(start, range(n_starts))}) == 1
    assert [record.name for record in caplog.records].count("service.store.moved") == 1


def test_database_that_stayed__keeps_its_feed_while_others_write(postgres_url: str, tmp_path: Path) -> None:
    url = fresh_database(postgres_url)
    settings, ended = load_settings({}, data=tmp_path, database=url), threading.Event()
    with contextlib.closing(opened_store(url)) as store, ThreadPoolExecutor(2) as threads:
        before = store.read_now(feed_id)

        def write_on(name: str) -> int:
            n_written = 0
            while not ended.is_set():
                store.write_now(partial(write, merchant_id=f"{name}{n_written}"))
                n_written += 1
            return n_written

        writing = [threads.submit(write_on, name) for name in ("wa", "wb")]
        try:
            for _ in range(10):
                open_store(settings, SystemClock()).close()
        finally:
            ended.set()
        n_written = sum(one.result() for one in writing)
        assert n_written
        assert store.read_now(feed_id) == before
        assert (
            len(store.read_now(lambda connection: read_changes(connection, kept_from(connection), limit=10**6)))
            == n_written
        )

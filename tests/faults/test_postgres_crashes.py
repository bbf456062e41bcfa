"""PostgreSQL crashes under those who write: what was acknowledged is there when it has replayed its log (R2, F5)."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from service.errors import ServiceError
from service.store.database import Store
from tests.faults.test_store_kills import RNG, SEED, lost
from tests.faults.writing import PREFIX, opened, write
from tests.feed_store import wait_until
from tests.scale import scaled
from tests.servers import PostgresServer, running_postgres
from tests.serving import fresh_database

N_CRASHES = scaled(30)
N_WRITERS, N_ACKED = 8, 24
LATER_S, PATIENCE_S = 0.3, 60.0
LAZY = {"wal_writer_delay": "10s", "wal_writer_flush_after": "1GB"}


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """Give a PostgreSQL that writes its log when a commit asks for it, and hardly ever by itself."""
    with running_postgres() as running:
        with psycopg.connect(running.url, autocommit=True) as connection:
            for name, value in LAZY.items():
                connection.execute(sql.SQL("ALTER SYSTEM SET {} = {}").format(sql.Identifier(name), value))
            connection.execute("SELECT pg_reload_conf()")
        yield running


@dataclass
class Writers:
    """Write merchants, one after another each, whatever becomes of the server, and note what was acknowledged."""

    store: Store
    told: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)

    def write_on(self, number: int) -> None:
        for i in itertools.count():
            if self.ended.is_set():
                return
            name = f"{PREFIX}{number}-{i}"
            try:
                self.store.write_now(partial(write, merchant_id=name))
            except ServiceError:
                self.failed.append(name)
                time.sleep(0.02)
            else:
                self.told.append(f"ok {name}")

    def wait_for_more(self) -> None:
        """Wait until they have written some."""
        enough = len(self.told) + N_ACKED
        wait_until(lambda: len(self.told) >= enough, PATIENCE_S, "they write")


def wrong_after_crashes(server: PostgresServer, url: str, n_crashes: int) -> list[str]:
    """Crash the server so often under writers; return what is lost or torn at first, of what they had been told."""
    with opened(url) as store, ThreadPoolExecutor(N_WRITERS) as threads:
        writers = Writers(store)
        writing = [threads.submit(writers.write_on, number) for number in range(N_WRITERS)]
        try:
            for _ in range(n_crashes):
                writers.wait_for_more()
                time.sleep(RNG.uniform(0.0, LATER_S))
                n_failed = len(writers.failed)
                server.crash()
                server.start()
                told = "\n".join(writers.told)
                if wrong := lost(url, told):
                    return wrong
                assert len(writers.failed) > n_failed, "nobody wrote when it crashed"
            writers.wait_for_more()
        finally:
            writers.ended.set()
        for one in writing:
            one.result()
    return lost(url, "\n".join(writers.told))


def test_postgres__that_crashes_under_writers_keeps_all_that_was_acknowledged(server: PostgresServer) -> None:
    assert wrong_after_crashes(server, fresh_database(server.url), N_CRASHES) == [], f"seed {SEED}"


def test_checker__catches_commits_that_do_not_wait_for_the_log(server: PostgresServer) -> None:
    url = fresh_database(server.url)
    name = sql.Identifier(str(conninfo_to_dict(url)["dbname"]))
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.SQL("ALTER DATABASE {} SET synchronous_commit = off").format(name))
    wrong = wrong_after_crashes(server, url, 1)
    assert wrong
    assert wrong[0].startswith("lost")

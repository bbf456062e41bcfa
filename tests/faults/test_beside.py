"""Two on one place: a second server is refused, commands work beside the first, workers are kept alive."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import httpx
import pytest
from sqlalchemy import select

from service.deadlines import Deadline
from service.errors import StorageUnavailableError
from service.store.tables import merchants
from tests.faults.writing import opened, write
from tests.lived import lived_s
from tests.serving import Place, Serving, fresh_database, linli, running_service

LOG_BYTES = 4 * 1024 * 1024


def test_sqlite__second_server_is_refused_and_commands_work_beside_the_first(tmp_path: Path) -> None:
    place = Place(tmp_path / "data")
    with running_service(place) as serving:
        second = linli("serve", "--port=0", *place.flags)
        assert second.returncode == 1
        assert f"another linli serves {place.folder} (process {serving.process.pid})" in second.stderr
        assert "Traceback" not in second.stderr
        for command in (["backup", str(tmp_path / "b.zip")], ["migrate"], ["doctor"]):
            beside = linli(*command, *place.flags)
            assert beside.returncode == 0, beside.stderr + beside.stdout
        restored = linli("restore", str(tmp_path / "b.zip"), *place.flags, "--force")
        assert restored.returncode == 1
        with serving.client() as client:
            assert client.get("/readyz").status_code == httpx.codes.OK


def test_postgres__restore_is_refused_while_it_is_served(tmp_path: Path, postgres_url: str) -> None:
    place = Place(tmp_path / "data", fresh_database(postgres_url))
    with running_service(place):
        assert linli("backup", str(tmp_path / "b.zip"), *place.flags).returncode == 0
        refused = linli("restore", str(tmp_path / "b.zip"), *place.flags, "--force")
        assert refused.returncode == 1
        assert "stop it first" in refused.stderr


def test_sqlite__lock_of_another_is_waited_for_within_the_deadline(tmp_path: Path) -> None:
    store = opened(str(tmp_path))
    try:
        with closing(sqlite3.connect(tmp_path / "linli.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            began = lived_s()
            waiting = store.submit_write(lambda connection: write(connection, "w1"), Deadline.after(1.0))
            with pytest.raises(StorageUnavailableError, match="locked"):
                waiting.result(10)
            assert lived_s() - began < 4.0
            short = store.submit_write(lambda connection: write(connection, "w2"), Deadline.after(20.0))
            time.sleep(2.5)
            other.execute("COMMIT")
            short.result(10)
        store.write_now(lambda connection: write(connection, "w3"))
    finally:
        store.close()


def test_sqlite__log_shrinks_again_after_a_long_reader(tmp_path: Path) -> None:
    store, log = opened(str(tmp_path)), tmp_path / "linli.db-wal"
    try:
        with store.reading() as reader:
            reader.rows(select(merchants).limit(1))
            for i in range(30):
                store.write_now(partial(write, merchant_id=f"w{i}", size=500_000))
            assert log.stat().st_size > 3 * LOG_BYTES
        for i in range(3):
            store.write_now(partial(write, merchant_id=f"wx{i}"))
        assert log.stat().st_size <= LOG_BYTES
    finally:
        store.close()


@pytest.fixture
def workers(tmp_path: Path, postgres_url: str) -> Iterator[Serving]:
    """Give a service of two workers."""
    with running_service(Place(tmp_path, fresh_database(postgres_url)), "--workers=2") as serving:
        yield serving


def children(pid: int) -> list[int]:
    """Return the processes that a process has started."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def answering(serving: Serving) -> set[str]:
    """Return the numbers of the workers that answer: each request by a connection of its own, some at once."""
    numbers = set()
    for _ in range(40):
        clients = [serving.client() for _ in range(4)]
        for client in clients:
            numbers |= set(re.findall(r'worker="(\d+)"', client.get("/metrics").text))
            client.close()
    return numbers


def wait_for(serving: Serving, numbers: set[str]) -> None:
    """Wait until these workers have answered."""
    until = time.monotonic() + 40
    seen: set[str] = set()
    while time.monotonic() < until and seen != numbers:
        seen |= answering(serving)
    assert seen == numbers


def test_workers__one_that_dies_is_started_again_and_all_end_together(workers: Serving) -> None:
    wait_for(workers, {"1", "2"})
    first = children(workers.process.pid)
    assert len(first) == 2
    os.kill(first[0], signal.SIGKILL)
    until = time.monotonic() + 30
    while (
        len(children(workers.process.pid)) < 2 or first[0] in children(workers.process.pid)
    ) and time.monotonic() < until:
        time.sleep(0.05)
    with workers.client() as client:
        assert client.get("/readyz").status_code == httpx.codes.OK
    wait_for(workers, {"1", "2"})
    second = children(workers.process.pid)
    assert "another starts" in workers.log.read_text()
    assert workers.stop() == 0
    assert not any(Path(f"/proc/{pid}").exists() for pid in second)


def test_workers__end_when_the_first_process_is_killed(workers: Serving) -> None:
    wait_for(workers, {"1", "2"})
    pids = children(workers.process.pid)
    workers.kill()
    until = time.monotonic() + 15
    while any(Path(f"/proc/{pid}").exists() for pid in pids) and time.monotonic() < until:
        time.sleep(0.05)
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)

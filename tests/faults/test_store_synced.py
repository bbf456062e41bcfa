"""What is acknowledged is on the disk, not only in the system's memory: the power may go at any time (R3, F3)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.faults.strace import run_traced
from tests.faults.writing import opened

MODULE = "tests.faults.writing"
N_WRITES = 40
BIG = 300_000  # bytes a write: the log is moved into the file, and begun anew, some times
_LOGGED = re.compile(r"pwrite64\(\d+<[^>]*-wal>")
_SYNC = re.compile(r"f(?:data)?sync\(\d+<[^>]*-wal>")
_SYNCED = re.compile(r"(?:f(?:data)?sync\(\d+<[^>]*-wal>|<\.\.\. f(?:data)?sync resumed>)\) += 0$")
_ACK = re.compile(r'write\(1<[^>]*>, "ok ([\w-]+)')


def acked_unsynced(calls: str) -> list[str]:
    """Return what was acknowledged without a write to SQLite's log before it, or with one that no later sync covers."""
    n_logged = n_synced = n_acked = 0
    syncing: dict[str, int] = {}  # by thread: how many writes stood in the log when its sync began
    unsynced = []
    for line in calls.splitlines():
        thread, call = line.split(maxsplit=1)
        if _LOGGED.match(call):
            n_logged += 1
        if _SYNC.match(call):
            syncing[thread] = n_logged
        if _SYNCED.match(call):
            n_synced = max(n_synced, syncing.pop(thread, 0))
        if ack := _ACK.match(call):
            if not n_acked < n_logged == n_synced:
                unsynced.append(ack[1])
            n_acked = n_logged
    return unsynced


def _acked_and_unsynced(folder: Path, *options: str) -> tuple[int, list[str]]:
    """Return how many writes were acknowledged, and which of them were not synced; one thread writes."""
    place, log = folder / "store", folder / "calls"
    opened(str(place)).close()
    run = run_traced([MODULE, str(place), f"--n={N_WRITES}", *options], log)
    assert run.returncode == 0, run.stderr
    return run.stdout.count("ok "), acked_unsynced(log.read_text())


@pytest.mark.parametrize("size", [1, BIG])
def test_sqlite__acknowledges_what_is_synced_alone(tmp_path: Path, size: int) -> None:
    assert _acked_and_unsynced(tmp_path, f"--size={size}") == (N_WRITES, [])


def test_checker__catches_a_store_that_leaves_its_writes_to_the_system(tmp_path: Path) -> None:
    n_acked, unsynced = _acked_and_unsynced(tmp_path, "--fault=unsynced")
    assert len(unsynced) == n_acked == N_WRITES


@pytest.mark.parametrize(
    ("sync", "n_wrong"),
    [
        ("7 fdatasync(4</store/linli.db-wal>) = 0", 0),
        ("7 fdatasync(4</store/linli.db-wal> <unfinished ...>\n7 <... fdatasync resumed>) = 0", 0),
        ("7 fdatasync(4</store/linli.db-wal> <unfinished ...>", 1),  # it has not come back
        ("7 fdatasync(4</store/linli.db-wal>) = -1 EIO (Input/output error)", 1),
        ("7 fdatasync(5</store/linli.db>) = 0", 1),  # another file's
        ("7 fdatasync(4</store/linli.db-wal>) = 0\n8 pwrite64(4</store/linli.db-wal>, 1, 0) = 1", 1),  # too early
    ],
)
def test_checker__knows_a_sync_that_covers_the_last_write(sync: str, n_wrong: int) -> None:
    ack = '7 write(1</told>, "ok w0\\n", 6) = 6'
    calls = f"7 pwrite64(4</store/linli.db-wal>, 1, 0) = 1\n{sync}\n{ack}"
    assert len(acked_unsynced(calls)) == n_wrong
    assert acked_unsynced(f"{calls}\n{ack}")[-1:] == ["w0"]  # a second word for one write

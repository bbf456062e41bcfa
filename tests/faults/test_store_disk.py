"""A disk that fails once is never trusted again: no acknowledgement after the first error, and reads go on."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.faults.strace import run_with_fault
from tests.faults.test_store_kills import RNG, SEED, lost
from tests.faults.writing import opened
from tests.scale import FULL, scaled

MODULE = "tests.faults.writing"
N_WRITES, N_POINTS = 60, 50
BIG = 300_000  # bytes a write: the log is moved into the file several times
ACK = re.compile(r'write\(1[^,]*, "(ok|no) (\S+)')


def after_failure(log: str) -> str:
    """Return the log of all calls from the first that failed on, but to sync a folder that had been synced; "" for none."""
    before, _, after = log.partition("(INJECTED)")
    while after and _is_synced_again(before):  # strace counts by threads: each has a call that fails
        more, _, after = after.partition("(INJECTED)")
        before += more
    return after


def _is_synced_again(before: str) -> bool:
    folder = re.search(r"(<[^>]*/store>)[^\n]*$", before)
    return folder is not None and re.search(rf"fsync\(\d+{re.escape(folder[1])}\) += 0", before) is not None


def acked_after_failure(log: str) -> list[str]:
    """Return what was acknowledged after a call had failed."""
    return [found[2] for found in ACK.finditer(after_failure(log)) if found[1] == "ok"]


def _points() -> list[int]:
    return (
        list(range(1, N_POINTS + 1))
        if FULL
        else [int(point) + 1 for point in RNG.choice(N_POINTS, scaled(N_POINTS), replace=False)]
    )


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with an empty store, to be copied."""
    folder = tmp_path_factory.mktemp("empty")
    opened(str(folder)).close()
    return folder


def _run(empty: Path, tmp_path: Path, fault: str, *options: str) -> tuple[str, str]:
    folder, log = tmp_path / "store", tmp_path / "log"
    shutil.copytree(empty, folder)
    run = run_with_fault([MODULE, str(folder), f"--n={N_WRITES}", *options], fault, log)
    if run.returncode != 0:  # the disk failed before the store was open
        assert "cannot be used" in run.stderr
        assert "ok " not in run.stdout
    assert lost(str(folder), run.stdout) == []  # what was acknowledged before is there at the next start
    shutil.rmtree(folder)
    return run.stdout, log.read_text()


FAULTS = [
    ("fdatasync,fsync:error=EIO:when={}", f"--size={BIG}"),  # once: a second try would succeed falsely
    ("pwrite64:error=ENOSPC:when={}", "--size=1"),
    ("pwrite64:error=EIO:when={}", f"--size={BIG}"),
    ("pwrite64:error=EROFS:when={}+", "--size=1"),  # the file is made read-only under the store
]


@pytest.mark.parametrize(("fault", "size"), FAULTS)
def test_disk__that_failed_once_is_written_to_no_more_and_is_read(
    empty: Path, tmp_path: Path, fault: str, size: str
) -> None:
    n_failed = 0
    for point in _points():
        told, log = _run(empty, tmp_path, fault.format(point), size)
        failed = bool(after_failure(log))
        n_failed += failed
        assert acked_after_failure(log) == [], f"point {point}, seed {SEED}"
        if "ready" not in told:
            continue
        refused = [line.split()[2] for line in told.splitlines() if line.startswith("no ")]
        assert failed == bool(refused)
        assert set(refused) <= {"StorageUnavailableError"}
        assert re.search(r"^read \d+$", told, re.MULTILINE)
    assert n_failed > 0


def test_checker__catches_a_store_that_tries_again(empty: Path, tmp_path: Path) -> None:
    _told, log = _run(empty, tmp_path, "fdatasync,fsync:error=EIO:when=5", f"--size={BIG}", "--fault=retries")
    assert acked_after_failure(log) != []

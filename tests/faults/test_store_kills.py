"""An acknowledged write survives: the store is killed at every write to the disk, and at any time under load."""

from __future__ import annotations

import secrets
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from service.store.sqlite_engines import integrity
from tests.faults.strace import run_with_fault
from tests.faults.writing import facts, opened
from tests.scale import FULL, scaled
from tests.serving import ROOT, fresh_database

MODULE = "tests.faults.writing"
N_WRITES = 50 if FULL else 20
SEED = secrets.randbelow(2**32)
RNG = np.random.default_rng(SEED)
KILLED = "write,pwrite64,fdatasync,fsync:signal=SIGKILL:when="


def lost(place: str, told: str) -> list[str]:
    """Return what is wrong after a crash: acknowledged writes that are gone, writes of which a part is there."""
    store = opened(place)
    try:
        merchants, changed, audited = store.read_now(facts)
    finally:
        store.close()
    acked = {line.split()[1] for line in told.splitlines() if line.startswith("ok ")}
    return [f"lost {name}" for name in acked - merchants] + [
        f"torn {name}" for name in (merchants ^ changed) | (merchants ^ audited)
    ]


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with an empty store, to be copied."""
    folder = tmp_path_factory.mktemp("empty")
    opened(str(folder)).close()
    return folder


def _killed_at(empty: Path, folder: Path, call: int, *options: str) -> tuple[int, list[str]]:
    shutil.copytree(empty, folder)
    run = run_with_fault([MODULE, str(folder), f"--n={N_WRITES}", *options], f"{KILLED}{call}", folder.parent / "log")
    wrong = lost(str(folder), run.stdout)
    assert integrity(folder / "linli.db") == "ok"
    shutil.rmtree(folder)
    return run.returncode, wrong


def test_sqlite__killed_at_every_write_keeps_all_that_was_acknowledged(empty: Path, tmp_path: Path) -> None:
    step = 1 if FULL else 10
    call, n_killed = (1 if FULL else int(RNG.integers(1, 10))), 0
    while True:
        code, wrong = _killed_at(empty, tmp_path / "store", call)
        assert wrong == [], f"killed at call {call}, seed {SEED}"
        if code == 0:
            break
        call, n_killed = call + step, n_killed + 1
    assert call > 2 * N_WRITES  # each write is at least one to the log and one sync
    assert n_killed >= 2 * N_WRITES // step - 1


def test_checker__catches_a_store_that_acknowledges_too_early(empty: Path, tmp_path: Path) -> None:
    found = [_killed_at(empty, tmp_path / "store", call, "--fault=tells-first")[1] for call in (8, 9, 10)]
    assert any(wrong and wrong[0].startswith("lost") for wrong in found)


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_store__killed_under_many_writers_keeps_all_that_was_acknowledged(
    database: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    place = str(tmp_path) if database == "sqlite" else fresh_database(request.getfixturevalue("postgres_url"))
    opened(place).close()
    told = ""
    for round_ in range(scaled(50)):
        options = [place, "--n=100000", f"--run={round_}", f"--threads={RNG.choice((8, 32))}"]
        with (tmp_path / "told").open("w") as out:
            running = subprocess.Popen([sys.executable, "-m", MODULE, *options], cwd=ROOT, stdout=out)
        until = time.monotonic() + 30
        while (tmp_path / "told").stat().st_size < 7 and time.monotonic() < until:
            time.sleep(0.005)
        time.sleep(RNG.uniform(0.0, 0.6))
        running.kill()
        running.wait()
        lines = (tmp_path / "told").read_text()
        told += lines[: lines.rfind("\n") + 1]  # a line cut short was not told
        assert lost(place, told) == [], f"seed {SEED}"
    if database == "sqlite":
        assert integrity(tmp_path / "linli.db") == "ok"
    assert told.count("ok ") > 100

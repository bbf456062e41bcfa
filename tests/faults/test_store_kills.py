"""An acknowledged write survives: the store is killed at every write to the disk, and at any time under load."""

from __future__ import annotations

import os
import random
import secrets
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from service.store.sqlite_engines import integrity
from tests.faults.killing import Killer, running_killer
from tests.faults.writing import facts, opened
from tests.nursery import nursery
from tests.scale import FULL, scaled
from tests.serving import Place, environment_of, fresh_database

MODULE = "tests.faults.writing"
N_WRITES = 50
STEP, N_KILLED = (1, 50) if FULL else (10, 5)  # of the script
SEED = secrets.randbelow(2**32)
RNG = np.random.default_rng(SEED)
DRAWN = random.Random(SEED)  # noqa: S311


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


@pytest.fixture
def killer(empty: Path, tmp_path: Path) -> Iterator[Killer]:
    def wrong_after(place: Place, told: list[str]) -> list[str]:
        wrong = lost(str(place.folder), "\n".join(told))
        return wrong if integrity(place.folder / "linli.db") == "ok" else [*wrong, "not whole"]

    with running_killer(MODULE, empty, tmp_path, wrong_after, "--killed", f"--n={N_WRITES}") as running:
        yield running


def test_sqlite__killed_at_every_write_keeps_all_that_was_acknowledged(killer: Killer) -> None:
    n_calls = killer.see_all_kept(STEP, N_KILLED, DRAWN)
    assert n_calls > 2 * N_WRITES  # each write is at least one to the log and one sync


def test_checker__catches_a_store_that_acknowledges_too_early(killer: Killer) -> None:
    killer.see_lost((8, 9, 10), 10)


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_store__killed_under_many_writers_keeps_all_that_was_acknowledged(
    database: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    place = str(tmp_path) if database == "sqlite" else fresh_database(request.getfixturevalue("postgres_url"))
    opened(place).close()
    told = ""
    for round_ in range(scaled(50)):
        options = [place, "--n=100000", f"--run={round_}", f"--threads={RNG.choice((8, 32))}"]
        running = nursery().fork(options, environment_of(), tmp_path / "told", Path(os.devnull), MODULE)
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

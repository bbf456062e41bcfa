"""The current version, and the lists of rows that are made beside it."""

from __future__ import annotations

import itertools
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine import Engine, neighbours, parts, snapshots
from engine.errors import EngineError
from engine.kernels.state import Neighbours, Part
from engine.live import _MIN_QUERIES

ROOT = Path(__file__).resolve().parents[3]
OFFER = "retail/pickup"
N = 100


def city(n: int = N, name: str = "p") -> dict[str, Any]:
    rng = np.random.default_rng(n)
    return {
        "point_ids": [f"{name}{i}" for i in range(n)],
        "offers": [OFFER] * n,
        "lat": (31.2 + rng.normal(0, 0.05, n)).tolist(),
        "lng": (121.5 + rng.normal(0, 0.05, n)).tolist(),
    }


def ask_often(engine: Engine) -> None:
    engine.nearest_many([31.2] * (_MIN_QUERIES + 1), [121.5] * (_MIN_QUERIES + 1), OFFER)


def until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < end, "it did not come about in a minute"
        time.sleep(0.001)


class Gate:
    """Lists rows when it is let; counts how often it began."""

    def __init__(self) -> None:
        self.n_begun, self.may_go_on = 0, threading.Event()
        self.errors: Iterator[Exception | None] = itertools.repeat(None)
        self._whole = neighbours.list_neighbours

    def __call__(self, part: Part) -> Neighbours:
        self.n_begun += 1
        assert self.may_go_on.wait(60)
        if (error := next(self.errors)) is not None:
            raise error
        return self._whole(part)


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    monkeypatch.setattr(snapshots, "DELTA_ROWS", 10)
    monkeypatch.setattr(snapshots, "MIN_MIDDLE_ROWS", 20)
    gate = Gate()
    monkeypatch.setattr(parts, "list_neighbours", gate)
    yield gate
    gate.may_go_on.set()
    until(lambda: not any(thread.name == "linli-lists" for thread in threading.enumerate()))


def test_nearest_many__lets_another_thread_list_and_goes_on_with_trees(gate: Gate) -> None:
    engine = Engine.from_columns(**city())
    before = engine.nearest(31.2, 121.5, OFFER, k=9)
    assert gate.n_begun == 0
    ask_often(engine)
    ask_often(engine)
    until(lambda: gate.n_begun == 1)
    assert engine.nearest(31.2, 121.5, OFFER, k=9) == before
    assert not engine._snapshot.base.is_listed
    gate.may_go_on.set()
    until(lambda: engine._snapshot.base.is_listed)
    assert engine.nearest(31.2, 121.5, OFFER, k=9) == before
    ask_often(engine)
    assert gate.n_begun == 1


def test_prepare__lists_before_it_returns_and_keeps_the_version(gate: Gate) -> None:
    gate.may_go_on.set()
    engine = Engine.from_columns(**city())
    list(engine.serving_many([31.2], [121.5], OFFER))
    serving = engine._snapshot.base.serving
    engine.prepare()
    engine.prepare()
    assert (engine._snapshot.base.is_listed, engine.version, gate.n_begun) == (True, 1, 1)
    assert engine._snapshot.base.serving is serving


def test_prepare__waits_for_a_listing_that_has_begun(gate: Gate) -> None:
    engine = Engine.from_columns(**city())
    engine.prepare(wait=False)
    until(lambda: gate.n_begun == 1)
    asking = threading.Thread(target=engine.prepare)
    asking.start()
    asking.join(0.05)
    assert asking.is_alive()
    gate.may_go_on.set()
    asking.join(60)
    assert engine._snapshot.base.is_listed
    assert gate.n_begun == 1


def test_apply__does_not_wait_for_a_listing_and_loses_nothing_by_it(gate: Gate) -> None:
    engine = Engine.from_columns(**city())
    engine.prepare(wait=False)
    until(lambda: gate.n_begun == 1)
    assert engine.set_capacity("p1", OFFER, 7) == 2
    assert engine.upsert({"point_ids": "new", "offers": [OFFER], "lat": 31.2, "lng": 121.5}) == 3
    gate.may_go_on.set()
    until(lambda: engine._snapshot.base.is_listed)
    assert (engine.version, int(engine.units()[1])) == (3, 7)
    assert engine.nearest(31.2, 121.5, OFFER).matches[0].point_id == "new"


def test_apply__that_merges_the_base_has_it_listed_anew(gate: Gate) -> None:
    engine = Engine.from_columns(**city())
    engine.prepare(wait=False)
    until(lambda: gate.n_begun == 1)
    engine.apply({"upsert": city(300, "q")})  # more than a middle may have: while the first base is listed
    assert engine._snapshot.base.columns.n_rows == 300 + N
    gate.may_go_on.set()
    until(lambda: engine._snapshot.base.is_listed)
    assert gate.n_begun == 2
    ask_often(engine)
    ask_often(engine)
    engine.apply({"upsert": city(400, "r")})  # and now that it is listed, and was asked since
    until(lambda: engine._snapshot.base.is_listed)
    assert gate.n_begun == 3
    assert engine._snapshot.base.columns.n_rows == 700 + N


def test_apply__that_merges_the_base_leaves_it_to_questions_to_have_it_listed(gate: Gate) -> None:
    gate.may_go_on.set()
    engine = Engine.from_columns(**city())
    engine.prepare()
    engine.apply({"upsert": city(300, "q")})
    assert (engine._snapshot.base.is_listed, gate.n_begun) == (False, 1)
    ask_often(engine)
    ask_often(engine)
    until(lambda: engine._snapshot.base.is_listed)


def test_prepare__in_the_background_logs_its_error_and_is_tried_again_for_another_base(
    gate: Gate, caplog: pytest.LogCaptureFixture
) -> None:
    gate.may_go_on.set()
    gate.errors = itertools.repeat(MemoryError("no room for lists"))
    engine = Engine.from_columns(**city())
    with caplog.at_level(logging.ERROR, "engine.live"):
        ask_often(engine)
        until(lambda: len(caplog.records) == 1)
        ask_often(engine)
    assert "no room for lists" in caplog.text
    with pytest.raises(MemoryError):
        engine.prepare()
    assert (gate.n_begun, len(caplog.records)) == (2, 1)
    gate.errors = itertools.repeat(None)
    engine.apply({"upsert": city(300, "q")})
    ask_often(engine)
    ask_often(engine)
    until(lambda: engine._snapshot.base.is_listed)


def test_prepare__that_fails_when_another_base_is_in_place_gives_up_the_one_it_tried(
    gate: Gate, caplog: pytest.LogCaptureFixture
) -> None:
    gate.errors = iter([MemoryError("no room for lists"), None])
    engine = Engine.from_columns(**city())
    engine.prepare(wait=False)
    until(lambda: gate.n_begun == 1)
    engine.apply({"upsert": city(300, "q")})
    gate.may_go_on.set()
    until(lambda: len(caplog.records) == 1)
    until(lambda: engine._snapshot.base.is_listed)
    assert engine._snapshot.base.columns.n_rows == 300 + N
    assert gate.n_begun == 2


def test_prepare__of_no_rows_ends(gate: Gate) -> None:
    gate.may_go_on.set()
    engine = Engine.from_columns([], [], [], [])
    engine.prepare()
    ask_often(engine)
    ask_often(engine)
    assert engine.nearest(31.2, 121.5, OFFER).matches == []
    assert gate.n_begun == 1


def test_change__of_a_still_engine_is_refused_and_the_one_it_was_taken_from_stays() -> None:
    engine = Engine.from_columns(["a", "b"], ["r/p"] * 2, [60.0, 60.001], [24.0, 24.0], capacity=[3, 3])
    engine.set_capacity("a", "r/p", 3)
    still = engine.still()
    engine.set_capacity("a", "r/p", 5)
    with pytest.raises(EngineError, match="must be made to the engine that this one was taken from"):
        still.set_capacity("a", "r/p", 0)
    assert engine.units().tolist() == [5, 3]
    assert still.units().tolist() == [3, 3]


def test_change__that_fails_puts_nothing_in_place() -> None:
    engine = Engine.from_columns(**city())
    before = engine._snapshot
    with pytest.raises(ValueError, match="nobody"):
        engine.apply({"upsert": city(3, "q"), "capacity": (["nobody"], [OFFER], [1])})
    assert engine._snapshot is before
    assert engine.remove("p1") == 2  # the lock was given back


ENDING = """
import sys
import time

import numba
import numpy as np

from engine import Engine

n, wait_s = (300 if numba.config.DISABLE_JIT else 150_000), float(sys.argv[1])
rng = np.random.default_rng(0)
ids = [f"p{i}" for i in range(n)]
engine = Engine.from_columns(ids, ["a/b"] * n, 31.2 + rng.normal(0, 0.1, n), 121.5 + rng.normal(0, 0.1, n))
engine.prepare(wait=False)
time.sleep(wait_s)
"""


@pytest.mark.parametrize("wait_s", [0.0, 0.01, 0.05, 0.15, 0.3])
def test_a_process__ends_while_rows_are_listed(wait_s: float) -> None:
    run = subprocess.run(
        [sys.executable, "-c", ENDING, str(wait_s)], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert (run.returncode, run.stderr) == (0, "")

"""A live city whose facts are kept beside the engine: a batch of changes is made before, and entered after, its time."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from benchmarks.feasible_city import OFFERS, Asked
from benchmarks.places import clustered_places, ecef, told_m
from benchmarks.server_truth import SAME_M
from benchmarks.weeks import TIMEZONE, weeks
from engine import Engine

__all__ = ["Batch", "Form", "LiveCity"]

Form = Literal["lists", "Arrow"]
Ints = NDArray[np.int64]
N_WEEKS = 50
RADIUS_M = 45.0
"""Of a middling area at a million points; half of the queries find someone (measured: 47 to 57 %, from 10 thousand points on)."""


@dataclass(frozen=True)
class Batch:
    """Changes ready for `Engine.apply`, and what they make of the facts: arrays by name at these rows."""

    changes: dict[str, Any]
    rows: NDArray[np.int64]
    facts: dict[str, NDArray[Any]]

    @property
    def size(self) -> int:
        """How many points it changes."""
        return self.rows.size


class LiveCity:
    """
    Points of one offer each, an engine that holds them, and batches of changes to both.

    Attributes
    ----------
    facts
        By name, an array of one element a point: ``lat, lng, offer, week, radius_m, units``.
    """

    def __init__(self, n: int, seed: int) -> None:
        self._rng = np.random.default_rng((seed, 3))
        self._weeks = weeks(N_WEEKS, seed)
        self._expressions = [week.expression for week in self._weeks]
        self.facts: dict[str, NDArray[Any]] = {
            "offer": self._rng.integers(len(OFFERS), size=n),
            "week": self._rng.integers(N_WEEKS, size=n),
            "radius_m": RADIUS_M * np.sqrt(1e6 / n) * self._rng.lognormal(sigma=0.4, size=n),
            **self._elsewhere(n),
        }
        self.engine = Engine.from_columns(**self.columns(np.arange(n), self.facts))
        self.engine.prepare()

    @property
    def n(self) -> int:
        """How many points there are."""
        return self.facts["lat"].size

    def columns(self, rows: Ints, facts: dict[str, NDArray[Any]]) -> dict[str, Any]:
        """Return facts as `Engine.from_columns` takes them, Arrow and NumPy."""
        return {
            "point_ids": _names(rows),
            "offers": _coded(facts["offer"], OFFERS),
            "lat": facts["lat"],
            "lng": facts["lng"],
            "areas": facts["radius_m"],
            "hours": _coded(facts["week"], self._expressions),
            "timezone": TIMEZONE,
            "capacity": facts["units"],
        }

    def capacity(self, size: int, form: Form = "Arrow") -> Batch:
        """Make a batch of changes of the units left."""
        rows, units = self._some(size), self._units(size)
        columns = (_names(rows), _coded(self.facts["offer"][rows], OFFERS), pa.array(units))
        given = columns if form == "Arrow" else tuple(column.to_pylist() for column in columns)
        return Batch({"capacity": given}, rows, {"units": units})

    def moves(self, size: int) -> Batch:
        """Make a batch that puts points to other places, with other units left; the rest of them stays."""
        rows = self._some(size)
        return self._upsert(rows, like=rows)

    def opening(self, size: int) -> Batch:
        """Make a batch of new points."""
        return self._upsert(np.arange(self.n, self.n + size), like=self._some(size))

    def upsert(self) -> tuple[dict[str, Any], Batch]:
        """Make one point that moves, with units left: as `Engine.upsert` takes it, and as a batch of one."""
        batch = self.moves(1)
        batch.facts["units"][:] = 5
        columns = batch.changes["upsert"]
        one = {name: value if isinstance(value, str) else value.tolist()[0] for name, value in columns.items()}
        return {**one, "offers": [one["offers"]]}, batch

    def write(self, batches: Iterable[Batch]) -> list[float]:
        """Apply batches and return what each `Engine.apply` took in seconds."""
        times = []
        for batch in batches:
            start = time.perf_counter()
            self.engine.apply(batch.changes)
            times.append(time.perf_counter() - start)
            self.enter(batch)
        return times

    def enter(self, batch: Batch) -> None:
        """Keep the facts of a batch that was applied."""
        n_new = max(0, int(batch.rows.max()) + 1 - self.n)
        if n_new:
            self.facts = {name: np.append(values, np.zeros(n_new, values.dtype)) for name, values in self.facts.items()}
        for name, values in batch.facts.items():
            self.facts[name][batch.rows] = values

    def wrong_answers(self, asked: Asked, k: int) -> int:
        """Return how many queries the engine answers otherwise than brute force over the facts as they are now."""
        points = ecef(self.facts["lat"], self.facts["lng"])
        answer = self.engine.nearest_many(asked.lat, asked.lng, asked.offers, k=k, at=asked.at)
        wrong = 0
        for query, names in enumerate(answer.point_ids()):
            rows, distance_m = self._can_serve(points, asked, query)
            told = answer.distance_m[query][: rows[:k].size]
            same = [name for name in names if name is not None] == [f"p{row}" for row in rows[:k]]
            wrong += not (same and bool(np.all(np.abs(told - distance_m[:k]) <= SAME_M)))
        return wrong

    def _can_serve(self, points: NDArray[np.float64], asked: Asked, query: int) -> tuple[Ints, NDArray[np.float64]]:
        facts = self.facts
        is_open = np.array([week.is_open[asked.minute[query]] for week in self._weeks])
        rows = np.flatnonzero((facts["offer"] == asked.offer[query]) & (facts["units"] > 0) & is_open[facts["week"]])
        distance_m = told_m(np.sqrt(((points[rows] - asked.xyz[query]) ** 2).sum(axis=1)))
        covered = distance_m <= facts["radius_m"][rows]
        order = np.argsort(distance_m[covered], kind="stable")
        return rows[covered][order], distance_m[covered][order]

    def _upsert(self, rows: Ints, like: Ints) -> Batch:
        kept = {name: self.facts[name][like] for name in ("offer", "week", "radius_m")}
        facts = kept | self._elsewhere(rows.size)
        return Batch({"upsert": self.columns(rows, facts)}, rows, facts)

    def _elsewhere(self, size: int) -> dict[str, NDArray[Any]]:
        lat, lng = clustered_places(size, int(self._rng.integers(2**31)))
        return {"lat": lat, "lng": lng, "units": self._units(size)}

    def _some(self, size: int) -> Ints:
        """Return different rows, in no order."""
        return self._rng.choice(self.n, size, replace=False, shuffle=False)

    def _units(self, size: int) -> Ints:
        return np.where(self._rng.random(size) < 0.5, 0, self._rng.integers(1, 20, size))


def _names(rows: Ints) -> pa.Array[Any]:
    return pa.array([f"p{row}" for row in rows.tolist()], pa.large_string())


def _coded(codes: Ints, words: Sequence[str]) -> pa.Array[Any]:
    return pa.DictionaryArray.from_arrays(pa.array(codes, pa.int32()), pa.array(words, pa.string())).dictionary_decode()

"""The best that can be built from peers: a cKDTree for each offer, growing over-fetch, masks and prepared polygons."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from benchmarks.feasible_city import OFFERS, Asked, City
from benchmarks.places import morton_order

__all__ = ["FILTERS", "GROWTH", "STARTS", "Peer", "Setting"]

STARTS = (8, 32, 128)
GROWTH = 4
FILTERS = (
    ("capacity", "hours", "reach", "area"),
    ("reach", "capacity", "hours", "area"),
    ("reach", "area", "capacity", "hours"),
)
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]


class Setting(NamedTuple):
    """How many neighbours are fetched first, in what order they are filtered, and whether queries are sorted before."""

    start: int
    filters: tuple[str, ...]
    is_sorted: bool = False

    def __str__(self) -> str:
        order = "sorted" if self.is_sorted else "as they come"
        return f"cKDTree an offer, over-fetch {self.start} x {GROWTH}, {' then '.join(self.filters)}, queries {order}"


class Peer:
    """Everything of a city ready made: trees, bitmaps, masks, bounds of areas, prepared polygons."""

    def __init__(self, city: City, threads: int) -> None:
        self._threads = ThreadPoolExecutor(threads)
        is_open = np.stack([week.is_open for week in city.weeks], axis=1)
        shapely.prepare(city.areas)
        self._rows = [np.flatnonzero(city.offer == number) for number in range(len(OFFERS))]
        self._offers = [_Offer.of(city, rows, is_open) for rows in self._rows]

    def nearest(self, asked: Asked, setting: Setting) -> Ints:
        """Return the row of each query's nearest feasible point, -1 where there is none; the offers share the threads."""
        order = morton_order(asked.lat, asked.lng) if setting.is_sorted else np.arange(asked.lat.size)
        groups = [order[asked.offer[order] == number] for number in range(len(OFFERS))]
        answers = self._threads.map(
            lambda number: self._offers[number].nearest(asked.take(groups[number]), setting), range(len(OFFERS))
        )
        found = np.full(asked.lat.size, -1)
        for group, rows, answer in zip(groups, self._rows, answers, strict=True):
            found[group] = np.where(answer >= 0, rows[answer], -1)
        return found


@dataclass(frozen=True)
class _Offer:
    """The rows of one offer."""

    tree: Any
    is_full: Flags
    week: Ints
    reach_m: Floats
    areas: NDArray[np.object_]
    is_open: Flags

    @classmethod
    def of(cls, city: City, rows: Ints, is_open: Flags) -> _Offer:
        reach_m, areas = city.reach_m[rows], city.areas[rows]
        return cls(cKDTree(city.xyz[rows]), city.is_full[rows], city.week[rows], reach_m, areas, is_open)

    @cached_property
    def bound_m(self) -> float:
        """No area of the offer reaches farther."""
        return float(self.reach_m.max(initial=0.0))

    def nearest(self, asked: Asked, setting: Setting) -> Ints:
        """Fetch more neighbours of those still unserved until none is left within the bound."""
        n = self.week.size
        found = np.full(asked.lat.size, -1)
        left = np.arange(asked.lat.size)
        seen, k = 0, min(setting.start, n)
        while left.size and seen < n:
            ranks = np.arange(seen + 1, k + 1)
            chord_m, rows = self.tree.query(asked.xyz[left], k=ranks, distance_upper_bound=self.bound_m)
            is_near = rows < n  # beyond the bound a tree answers n
            query, rank = np.nonzero(is_near)
            query, row = self._passing(asked, setting, left[query], rows[query, rank], chord_m[query, rank])
            served, first = np.unique(query, return_index=True)  # pairs come by query, then distance
            found[served] = row[first]
            left = left[is_near[:, -1] & (found[left] < 0)]
            seen, k = k, min(GROWTH * k, n)
        return found

    def _passing(self, asked: Asked, setting: Setting, query: Ints, row: Ints, chord_m: Floats) -> tuple[Ints, Ints]:
        for name in setting.filters:
            if name == "capacity":
                passes = ~self.is_full[row]
            elif name == "hours":
                passes = self.is_open[asked.minute[query], self.week[row]]
            elif name == "reach":
                passes = chord_m <= self.reach_m[row]
            else:
                passes = shapely.intersects_xy(self.areas[row], asked.lng[query], asked.lat[query])
            query, row, chord_m = query[passes], row[passes], chord_m[passes]
        return query, row

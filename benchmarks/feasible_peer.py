"""The best that can be built from peers: a cKDTree for each offer, growing over-fetch, masks and prepared polygons."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from benchmarks.feasible_city import OFFERS, Asked, City
from benchmarks.frame import best_times
from benchmarks.places import morton_order

__all__ = ["FILTERS", "GROWTH", "STARTS", "Peer", "Setting", "best_setting", "by_offer", "fetched"]

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
        return by_offer(
            self._threads,
            self._rows,
            asked,
            setting,
            lambda number, group: self._offers[number].nearest(asked.take(group), setting),
        )


def best_setting(filters: Sequence[tuple[str, ...]], nearest: Callable[[Setting], object]) -> Setting:
    """Return the setting with which a peer answers a sample soonest; ``filters`` are the orders of filters to try."""
    settings = [
        Setting(start, names, is_sorted) for start in STARTS for names in filters for is_sorted in (False, True)
    ]
    times = best_times({str(setting): partial(nearest, setting) for setting in settings}, repeats=1)
    return min(settings, key=lambda setting: times[str(setting)])


def by_offer(
    threads: ThreadPoolExecutor,
    rows: Sequence[Ints],
    asked: Asked,
    setting: Setting,
    answer: Callable[[int, Ints], Ints],
) -> Ints:
    """
    Return the row that answers each query, -1 where none does; the offers share the threads.

    Parameters
    ----------
    rows
        Of each offer.
    answer
        Given an offer's number and its queries, returns a place among the offer's rows for each, -1 for none.
    """
    order = morton_order(asked.lat, asked.lng) if setting.is_sorted else np.arange(asked.lat.size)
    groups = [order[asked.offer[order] == number] for number in range(len(OFFERS))]
    found = np.full(asked.lat.size, -1)
    for group, own, places in zip(groups, rows, threads.map(answer, range(len(OFFERS)), groups), strict=True):
        found[group] = np.where(places >= 0, own[places], -1)
    return found


def fetched(
    tree: Any, xyz: Floats, bound_m: float, start: int, passing: Callable[[Ints, Ints, Floats], tuple[Ints, Ints]]
) -> Ints:
    """
    Return the nearest row of a tree that passes for each place, -1 where none does within a bound.

    More neighbours are fetched of those still unserved, beginning with ``start``, until none is left within the bound.
    ``passing`` keeps of pairs of query, row and chord in metres those that pass, in their order.
    """
    n = tree.n
    found, left = np.full(len(xyz), -1), np.arange(len(xyz))
    seen, k = 0, min(start, n)
    while left.size and seen < n:
        chord_m, rows = tree.query(xyz[left], k=np.arange(seen + 1, k + 1), distance_upper_bound=bound_m)
        is_near = rows < n  # beyond the bound a tree answers n
        at, rank = np.nonzero(is_near)
        query, row = passing(left[at], rows[at, rank], chord_m[at, rank])
        served, first = np.unique(query, return_index=True)  # pairs come by query, then distance
        found[served] = row[first]
        left = left[is_near[:, -1] & (found[left] < 0)]
        seen, k = k, min(GROWTH * k, n)
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
        """Return the nearest feasible row of the offer for each query, -1 where there is none."""
        passing = partial(self._passing, asked, setting)
        return fetched(self.tree, asked.xyz, self.bound_m, setting.start, passing)

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

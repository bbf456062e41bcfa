"""Who can serve a question of benchmark `feasible`, all of them, by brute force: NumPy and shapely alone."""

from __future__ import annotations

import numpy as np
import shapely
from numpy.typing import NDArray

from benchmarks.feasible_city import Asked, City
from benchmarks.places import told_m

__all__ = ["SAME_M", "can_serve"]

SAME_M = 1e-6
"""Distances that differ by less are the same: NumPy and Numba differ in the last bit of a position now and then."""


def can_serve(city: City, asked: Asked, query: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the rows that can serve a query, nearest first, and their distances in metres."""
    is_open = np.array([week.is_open[asked.minute[query]] for week in city.weeks])
    rows = np.flatnonzero((city.offer == asked.offer[query]) & ~city.is_full & is_open[city.week])
    rows = rows[shapely.intersects_xy(city.areas[rows], asked.lng[query], asked.lat[query])]
    distance_m = told_m(np.sqrt(((city.xyz[rows] - asked.xyz[query]) ** 2).sum(axis=1)))
    order = np.argsort(distance_m, kind="stable")
    return rows[order], distance_m[order]

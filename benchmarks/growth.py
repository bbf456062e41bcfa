"""
A hundred times the points at equal density: how the time of a query grows.

There is no peer: a row compares linli at the fewest points with linli at more, and its ratio is the share
of the pace that is kept. The area grows with the points, and the queries spread over all of it.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from benchmarks.frame import Exactness, Report, Row, affordable, best_times, say
from benchmarks.places import CENTRE, brute_nearest_chord_sq, clustered_places, ecef
from engine import Engine

__all__ = ["PACKAGES", "add_options", "run"]

PACKAGES = ("numpy", "numba", "h3", "pyarrow")
OFFER = "retail/pickup"
AREA_M = 150.0
ROWS = (100_000, 1_000_000, 10_000_000)
REACH = 0.4  # a query takes at most 2.5 times as long
BRUTE_CHORDS = 500_000_000
N_CHECKED = 500
N_PACED = 500
SAME_M = 1e-6
CASES = ("nothing else asked", f"half of the points full, areas of {AREA_M:.0f} m")
Floats = NDArray[np.float64]
Ask = Callable[[int], object]
Places = tuple[Floats, Floats]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare what can be scaled."""
    parser.add_argument(
        "--rows", type=int, nargs="+", default=list(ROWS), help="points, ascending (default: 1e5 1e6 1e7)"
    )
    parser.add_argument("--queries", type=int, default=200_000, help="queries (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="threads (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=5, help="timed calls, the best counts (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of points and queries (default: %(default)s)")


def run(options: argparse.Namespace) -> Report:
    """Build linli at each size, check a sample of each case, then time all sizes in turns."""
    say(f"growth: {options.rows} points, {options.queries} queries, {options.threads} thread(s)")
    report = Report("growth", Exactness(0, 0))
    work: dict[str, dict[int, Ask]] = {case: {} for case in CASES}
    for n in options.rows:
        points, queries = _places(n, n, options.seed), _places(options.queries, n, options.seed + 1)
        is_full = np.random.default_rng((options.seed, 2)).random(n) < 0.5  # not the stream of the places
        engines = dict(zip(work, (_engine(points), _engine(points, is_full)), strict=True))
        for (case, engine), full in zip(engines.items(), (None, is_full), strict=True):
            exact = _check(engine, points, queries, full)
            say(f"  {case}, {n:,} points: {exact.checked} checked, {exact.wrong} wrong")
            report.exact = Exactness(report.exact.checked + exact.checked, report.exact.wrong + exact.wrong)
            work[case][n] = _asking(engine, queries, options.threads)
    for case, calls in work.items():
        report.rows.extend(_time(case, calls, options))
    return report


def _places(n: int, n_points: int, seed: int) -> Places:
    """Return n places of the city that ``n_points`` fill as densely as a million fill the usual one."""
    lat, lng = clustered_places(n, seed)
    wider = float(np.sqrt(n_points / 1e6))
    return CENTRE[0] + (lat - CENTRE[0]) * wider, CENTRE[1] + (lng - CENTRE[1]) * wider


def _engine(points: Places, is_full: NDArray[np.bool_] | None = None) -> Engine:
    n = points[0].size
    ids = pa.array(np.arange(n)).cast(pa.string())  # ten million Python strings would be most of the memory
    columns: dict[str, Any] = {}
    if is_full is not None:
        columns = {"capacity": np.where(is_full, 0, 5), "areas": [AREA_M] * n}
    engine = Engine.from_columns(ids, [OFFER] * n, *points, **columns)
    engine.prepare()
    return engine


def _check(engine: Engine, points: Places, queries: Places, is_full: NDArray[np.bool_] | None) -> Exactness:
    n = max(1, min(N_CHECKED, queries[0].size, BRUTE_CHORDS // points[0].size))
    lat, lng = queries[0][:n], queries[1][:n]
    found = engine.nearest_many(lat, lng, OFFER)
    able = np.arange(points[0].size) if is_full is None else np.flatnonzero(~is_full)
    xyz, asked = ecef(*points), ecef(lat, lng)
    nearest = np.sqrt(brute_nearest_chord_sq(xyz[able], asked, 1)[:, 0])
    limit = np.inf if is_full is None else AREA_M
    is_served = nearest <= limit
    row = found.row[:, 0]
    to_row = np.sqrt(((xyz[row] - asked) ** 2).sum(axis=1))
    is_able = np.ones(n, np.bool_) if is_full is None else ~is_full[row]
    right = np.where(is_served, (row >= 0) & is_able & (np.abs(to_row - nearest) <= SAME_M), row < 0)
    return Exactness(checked=n, wrong=int((~right).sum()))


def _asking(engine: Engine, queries: Places, threads: int) -> Ask:
    """Return how to ask the first so many of the queries."""
    return lambda n: engine.nearest_many(queries[0][:n], queries[1][:n], OFFER, threads=threads)


def _affordable(ask: Ask, n: int) -> int:
    n_paced = min(N_PACED, n)
    start = time.perf_counter()
    ask(n_paced)
    return affordable(n, (time.perf_counter() - start) / n_paced)


def _time(case: str, calls: dict[int, Ask], options: argparse.Namespace) -> list[Row]:
    n_queries = min(_affordable(call, options.queries) for call in calls.values())  # as many at each size
    work = {f"{case}, {n:,} points": partial(call, n_queries) for n, call in calls.items()}
    costs = [seconds / n_queries * 1e6 for seconds in best_times(work, repeats=options.repeats).values()]
    fewest, *more = calls
    return [
        Row.of_costs(
            f"{case}, {n:,} points at equal density, {n_queries:,} queries, k = 1, random order",
            f"linli at {fewest:,} points",
            f"{options.threads} thread(s)",
            "us a query",
            cost,
            costs[0],
            reach=REACH if n == 100 * fewest else None,
        )
        for n, cost in zip(more, costs[1:], strict=True)
    ]

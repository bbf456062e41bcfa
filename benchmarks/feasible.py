"""
Nearest feasible point: ten offers, each query's own time, polygons, half of the points full.

The peer is the best that can be built from a cKDTree for each offer. What it needs is ready made:
earth-centred positions, bitmaps of the week, masks, bounds of the areas, prepared polygons. It fetches
more neighbours until each query is served or no area of the offer reaches farther. How many it fetches
first, in what order it filters and whether its queries are sorted is tried on a sample, and the best is taken.
"""

from __future__ import annotations

import argparse
from functools import partial

import numpy as np
import pyarrow as pa
import shapely
from numpy.typing import NDArray

from benchmarks.feasible_city import Asked, City, ask, build_city
from benchmarks.feasible_peer import FILTERS, Peer, best_setting
from benchmarks.frame import Exactness, Report, Row, best_times, say
from engine import Engine

__all__ = ["PACKAGES", "add_options", "run"]

PACKAGES = ("numpy", "numba", "h3", "scipy", "shapely", "opening-hours-py")
N_CHECKED = 500
N_TRIED = 4_000
SAME_M = 1e-6
REACH = 50.0
Ints = NDArray[np.int64]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare what can be scaled."""
    parser.add_argument("--rows", type=int, default=1_000_000, help="points, one offer each (default: %(default)s)")
    parser.add_argument(
        "--area-m",
        type=float,
        nargs="+",
        default=[200.0, 1000.0],
        help="from points to corners of their areas (default: 200, with which half find someone, and 1000)",
    )
    parser.add_argument("--queries", type=int, default=20_000, help="queries (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="of linli and of the peer (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=5, help="timed calls, the best counts (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of city and queries (default: %(default)s)")


def run(options: argparse.Namespace) -> Report:
    """For each size of the areas check a sample against brute force and all answers against the peer's, then time both."""
    say(f"feasible: {options.rows} points, {options.queries} queries, {options.threads} thread(s)")
    report = Report("feasible", Exactness(0, 0))
    asked = ask(options.queries, options.seed)
    for area_m in options.area_m:
        city = build_city(options.rows, options.seed, area_m)
        engine = city.engine()
        engine.prepare()
        exact = _check(engine, city, asked.take(slice(N_CHECKED)))
        say(f"  areas of {area_m:g} m: {exact.checked} checked, {exact.wrong} wrong")
        report.exact = Exactness(report.exact.checked + exact.checked, report.exact.wrong + exact.wrong)
        report.rows.append(_time(engine, Peer(city, options.threads), asked, area_m, options))
    return report


def _time(engine: Engine, peer: Peer, asked: Asked, area_m: float, options: argparse.Namespace) -> Row:
    setting = best_setting(FILTERS, partial(peer.nearest, asked.take(slice(N_TRIED))))
    offers = pa.array(asked.offers)  # a column, as the peer has its numbers
    linli = partial(engine.nearest_many, asked.lat, asked.lng, offers, k=1, threads=options.threads, at=asked.at)
    found = linli().row[:, 0]
    agreeing = int((found == peer.nearest(asked, setting)).sum())
    served = float((found >= 0).mean())
    say(f"  {served:.0%} of the queries find someone; linli and the peer agree on {agreeing} of {found.size}")
    best = best_times({"linli": linli, "peer": partial(peer.nearest, asked, setting)}, repeats=options.repeats)
    cost = {name: seconds / found.size * 1e6 for name, seconds in best.items()}
    case = (
        f"{options.rows:,} points, 10 offers, areas of {area_m:g} m, {found.size:,} queries of which {served:.0%} "
        "find someone, k = 1"
    )
    words = f"{setting}, all ready made, {options.threads} thread(s)"
    reach = REACH if abs(served - 0.5) <= 0.1 else None  # asked where about half find someone
    return Row.of_costs(case, "scipy + shapely", words, "us a query", cost["linli"], cost["peer"], reach=reach)


def _check(engine: Engine, city: City, asked: Asked) -> Exactness:
    found = engine.nearest_many(asked.lat, asked.lng, asked.offers, at=asked.at).row[:, 0]
    wrong = 0
    for query, row in enumerate(found):
        chord, can_serve = _brute(city, asked, query)
        nearest = chord[can_serve].min(initial=np.inf)
        wrong += int(nearest < np.inf if row < 0 else not (can_serve[row] and chord[row] <= nearest + SAME_M))
    return Exactness(checked=found.size, wrong=wrong)


def _brute(city: City, asked: Asked, query: int) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return every row's chord to one query, and whether the row can serve it."""
    chord = np.sqrt(((city.xyz - asked.xyz[query]) ** 2).sum(axis=1))
    is_open = np.array([week.is_open[asked.minute[query]] for week in city.weeks])
    can_serve = (city.offer == asked.offer[query]) & ~city.is_full & is_open[city.week]
    rows = np.flatnonzero(can_serve)
    can_serve[rows] = shapely.covers(city.areas[rows], shapely.Point(asked.lng[query], asked.lat[query]))
    return chord, can_serve

"""
Nearest feasible point that has a whole basket: 1 to 8 of 10 000 SKUs, fifty kept by each point, by Zipf's law.

What `feasible` asks, and a basket drawn from what one point nearby keeps. linli is held against itself without items,
and against the peer of `feasible` with masks of the assortments: its start, the order of its filters and whether its
queries are sorted are tried on a sample, and the best is taken.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial

import numpy as np
import pyarrow as pa
import shapely
from numpy.typing import NDArray

from benchmarks.basket_city import AskedBaskets, StockedCity, build_stocked, draw_assortments, draw_baskets
from benchmarks.basket_peer import FILTERS, BasketPeer
from benchmarks.feasible_city import Asked, ask
from benchmarks.feasible_peer import best_setting
from benchmarks.frame import Exactness, Report, Row, best_times, say
from engine import Engine

__all__ = ["PACKAGES", "add_options", "run"]

PACKAGES = ("numpy", "numba", "h3", "scipy", "shapely", "opening-hours-py")
N_CHECKED = 500
N_TRIED = 2_000
SAME_M = 1e-6
REACH = 20.0
REACH_OF_FEASIBLE = 0.2  # five times the time of the same ask without items


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare what can be scaled."""
    parser.add_argument("--rows", type=int, default=1_000_000, help="points, one offer each (default: %(default)s)")
    parser.add_argument("--kept", type=int, default=50, help="SKUs that each point keeps (default: %(default)s)")
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
    parser.add_argument("--seed", type=int, default=1, help="of city, stock and queries (default: %(default)s)")


def run(options: argparse.Namespace) -> Report:
    """For each size of the areas check a sample against brute force and all answers against the peer's, then time all."""
    say(f"basket: {options.rows} points, {options.queries} queries, {options.threads} thread(s)")
    report = Report("basket", Exactness(0, 0))
    asked = ask(options.queries, options.seed)
    kept = draw_assortments(options.rows, options.kept, options.seed)
    for area_m in options.area_m:
        stocked = build_stocked(options.rows, options.seed, area_m, kept)
        engine = stocked.engine()
        engine.prepare()
        baskets = draw_baskets(engine, stocked, asked, options.seed)
        exact = _check(engine, stocked, asked.take(slice(N_CHECKED)), baskets.take(slice(N_CHECKED)))
        say(f"  areas of {area_m:g} m: {exact.checked} checked, {exact.wrong} wrong")
        report.exact = Exactness(report.exact.checked + exact.checked, report.exact.wrong + exact.wrong)
        report.rows += _time(engine, BasketPeer(stocked, options.threads), asked, baskets, area_m, options)
    return report


def _time(
    engine: Engine, peer: BasketPeer, asked: Asked, baskets: AskedBaskets, area_m: float, options: argparse.Namespace
) -> list[Row]:
    sample = slice(N_TRIED)
    setting = best_setting(FILTERS, partial(peer.nearest, asked.take(sample), baskets.take(sample)))
    place = (asked.lat, asked.lng, pa.array(asked.offers))  # columns, as the peer has its numbers
    bare = partial(engine.nearest_many, *place, k=1, threads=options.threads, at=asked.at)
    linli = partial(bare, items=baskets.columns())
    found = linli().row[:, 0]
    agreeing = int((found == peer.nearest(asked, baskets, setting)).sum())
    served = float((found >= 0).mean())
    say(f"  {served:.0%} of the queries find someone; linli and the peer agree on {agreeing} of {found.size}")
    work: dict[str, Callable[[], object]] = {
        "linli": linli,
        "linli without items": bare,
        "peer": partial(peer.nearest, asked, baskets, setting),
    }
    best = best_times(work, repeats=options.repeats)
    cost = {name: seconds / found.size * 1e6 for name, seconds in best.items()}
    case = (
        f"{options.rows:,} points, {options.kept} SKUs each, 10 offers, areas of {area_m:g} m, {found.size:,} queries "
        f"of which {served:.0%} find someone, k = 1"
    )
    words = f"{setting}, all ready made, {options.threads} thread(s)"
    own = cost["linli"], cost["linli without items"]
    unit = "us a query"
    return [
        Row.of_costs(case, "scipy + shapely", words, unit, cost["linli"], cost["peer"], reach=REACH),
        Row.of_costs(case, "linli without items", "the same queries", unit, *own, reach=REACH_OF_FEASIBLE),
    ]


def _check(engine: Engine, stocked: StockedCity, asked: Asked, baskets: AskedBaskets) -> Exactness:
    items = baskets.columns()
    found = engine.nearest_many(asked.lat, asked.lng, asked.offers, at=asked.at, items=items).row[:, 0]
    wrong = 0
    for query, row in enumerate(found):
        chord, can_serve = _brute(stocked, asked, baskets, query)
        nearest = chord[can_serve].min(initial=np.inf)
        wrong += int(nearest < np.inf if row < 0 else not (can_serve[row] and chord[row] <= nearest + SAME_M))
    return Exactness(checked=found.size, wrong=wrong)


def _brute(
    stocked: StockedCity, asked: Asked, baskets: AskedBaskets, query: int
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return every row's chord to one query, and whether the row can serve it and has its basket."""
    city = stocked.city
    chord = np.sqrt(((city.xyz - asked.xyz[query]) ** 2).sum(axis=1))
    is_open = np.array([week.is_open[asked.minute[query]] for week in city.weeks])
    can_serve = (city.offer == asked.offer[query]) & ~city.is_full & is_open[city.week]
    for sku in baskets.skus[query][baskets.skus[query] >= 0]:
        rows = np.flatnonzero(can_serve)
        can_serve[rows] = (stocked.kept[rows] == sku).any(axis=1)
    rows = np.flatnonzero(can_serve)
    can_serve[rows] = shapely.covers(city.areas[rows], shapely.Point(asked.lng[query], asked.lat[query]))
    return chord, can_serve

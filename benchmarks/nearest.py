"""
Nearest points of one offer, nothing else asked, against k-d trees over the same positions.

The trees hold earth-centred positions, so that they too find the nearest on the ellipsoid, and get
those of the queries ready made, while linli is given latitudes and longitudes and turns them within
its time. Queries come in random order, and sorted along a curve with the sort counted. In the sorted
rows linli does what is faster for it: it is given the random order, or the sorted one and the sort.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from benchmarks.frame import Exactness, Report, Row, best_times, say
from benchmarks.nearest_others import time_others
from benchmarks.places import (
    brute_nearest_chord_sq,
    clustered_places,
    ecef,
    morton_order,
    one_square_kilometre,
    round_pentagon,
    told_m,
)
from benchmarks.trees import Tree, plant_trees
from engine import Engine

__all__ = ["PACKAGES", "add_options", "run"]

PACKAGES = ("numpy", "numba", "h3", "scipy", "pykdtree", "scikit-learn", "geopandas", "shapely")
OFFER = "retail/pickup"
SAME_M = 1e-6  # NumPy and Numba differ in the last bit of a position now and then
N_CHECKED = 500
BRUTE_CHORDS = 500_000_000  # how many a case may cost: all of the sample up to a million points
N_LEAF_SAMPLE = 20_000
SWEEP_ROWS = (10_000, 100_000, 1_000_000, 10_000_000)
SWEEP_K = (1, 5, 20)
ORDERS = ("random order", "sorted")
REACH = {(1, "random order"): 5.0, (1, "sorted"): 2.5, (5, "random order"): 4.0, (5, "sorted"): 2.0}
"""What is asked of the typical case, by k and order."""

Floats = NDArray[np.float64]
Places = tuple[Floats, Floats]


class Setting(NamedTuple):
    """Points, the queries asked of them by case, the k's, and whether BallTree and the like are told beside."""

    points: Places
    queries: dict[str, Places]
    ks: tuple[int, ...]
    has_others: bool = False


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare what can be scaled."""
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000], help="points (default: 1000000)")
    parser.add_argument("--queries", type=int, default=200_000, help="queries (default: %(default)s)")
    parser.add_argument("--k", type=int, nargs="+", default=[1, 5], help="neighbours (default: 1 5)")
    parser.add_argument(
        "--sweep", action="store_true", help="typical data at 10 000 ... 10 000 000 points, k = 1, 5, 20"
    )
    parser.add_argument("--threads", type=int, default=2, help="of linli and of each tree (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=5, help="timed calls, the best counts (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of points and queries (default: %(default)s)")


def run(options: argparse.Namespace) -> Report:
    """Check a sample of each case against brute force, then time it against every peer."""
    say(f"nearest: {options.queries} queries, {options.threads} thread(s)")
    checked, wrong = 0, 0
    rows: list[Row] = []
    for setting in _settings(options):
        n = setting.points[0].size
        ids = pa.array(np.arange(n)).cast(pa.string())
        engine = Engine.from_columns(ids, [OFFER] * n, *setting.points)
        engine.prepare()
        points = ecef(*setting.points)
        trees = plant_trees(points, options.threads)
        for case, places in setting.queries.items():
            exact = _check(engine, points, places, setting.ks)
            say(f"  {case}, {n:,} points: {exact.checked} checked, {exact.wrong} wrong")
            checked, wrong = checked + exact.checked, wrong + exact.wrong
            for k in setting.ks:
                rows.extend(_time(engine, trees, f"{case}, {n:,} points", places, k=k, options=options))
        if setting.has_others:
            rows.extend(time_others(engine, OFFER, setting.points, setting.queries["typical"], setting.ks))
    return Report("nearest", Exactness(checked, wrong), rows)


def _settings(options: argparse.Namespace) -> Iterator[Setting]:
    """Yield typical data and the worst at each size that is asked for, then the sweep."""
    ks, n_queries, seed = tuple(options.k), options.queries, options.seed
    lat, lng = clustered_places(n_queries, seed + 1)
    jitter = np.random.default_rng(seed + 2).normal(scale=0.002, size=(2, n_queries))
    typical = (lat, lng)
    empty = (lat + 5.0 + jitter[0], lng + 5.0 + jitter[1])
    for n in options.rows:
        yield Setting(
            clustered_places(n, seed), {"typical": typical, "all queries in empty land": empty}, ks, has_others=True
        )
        for case, places in (("all in one square kilometre", one_square_kilometre), ("pentagon", round_pentagon)):
            yield Setting(places(n, seed), {case: places(n_queries, seed + 1)}, ks)
    for n in SWEEP_ROWS if options.sweep else ():
        left = tuple(k for k in SWEEP_K if n not in options.rows or k not in ks)
        if left:
            yield Setting(clustered_places(n, seed), {"typical": typical}, left)


def _check(engine: Engine, points: Floats, places: Places, ks: tuple[int, ...]) -> Exactness:
    n = max(1, min(N_CHECKED, places[0].size, BRUTE_CHORDS // len(points)))
    lat, lng = places[0][:n], places[1][:n]
    queries = ecef(lat, lng)
    chord = np.sqrt(brute_nearest_chord_sq(points, queries, max(ks)))
    wrong = 0
    for k in ks:
        answer = engine.nearest_many(lat, lng, OFFER, k=k)
        to_row = np.sqrt(((points[answer.row] - queries[:, None, :]) ** 2).sum(axis=2))
        right = np.abs(answer.distance_m - told_m(chord[:, :k])) <= SAME_M
        right &= np.abs(to_row - chord[:, :k]) <= SAME_M
        right[:, 1:] &= answer.row[:, 1:] != answer.row[:, :-1]
        wrong += int((~right.all(axis=1)).sum())
    return Exactness(checked=n * len(ks), wrong=wrong)


def _time(
    engine: Engine, trees: list[Tree], case: str, places: Places, *, k: int, options: argparse.Namespace
) -> list[Row]:
    lat, lng = places
    xyz = ecef(lat, lng)
    in_order = xyz[morton_order(lat, lng)][:N_LEAF_SAMPLE]
    linli = partial(engine.nearest_many, offer=OFFER, k=k, threads=options.threads)

    def linli_sorted() -> object:
        order = morton_order(lat, lng)
        return linli(lat[order], lng[order])

    work: dict[str, Callable[[], object]] = {"linli": partial(linli, lat, lng), "linli, given sorted": linli_sorted}
    settings: dict[str, str] = {}
    for tree in trees:
        for order, sample in zip(ORDERS, (xyz[:N_LEAF_SAMPLE], in_order), strict=True):
            name = f"{tree.name}, {order}"
            settings[name], ask = tree.best(sample, k)
            work[name] = partial(ask, xyz, k) if order == "random order" else _sorting(ask, places, xyz, k)
    say(f"  {case}, k = {k}")
    cost = {name: seconds / lat.size * 1e6 for name, seconds in best_times(work, repeats=options.repeats).items()}
    own = min(("linli", "linli, given sorted"), key=cost.__getitem__)
    told = {
        "random order": ("random order", cost["linli"]),
        "sorted": (f"sorted (linli {'as they come' if own == 'linli' else 'given sorted'})", cost[own]),
    }
    return [
        Row.of_costs(
            f"{case}, k = {k}, {told[order][0]}",
            tree.name,
            settings[f"{tree.name}, {order}"],
            "us a query",
            told[order][1],
            cost[f"{tree.name}, {order}"],
            reach=REACH.get((k, order)) if case == "typical, 1,000,000 points" else None,
        )
        for order in ORDERS
        for tree in trees
    ]


def _sorting(ask: Callable[[Floats, int], object], places: Places, xyz: Floats, k: int) -> Callable[[], object]:
    return lambda: ask(xyz[morton_order(*places)], k)

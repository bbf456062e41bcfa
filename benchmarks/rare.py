"""
Nearest of an offer, and of a feature, that 30 of a million points have, against a k-d tree of those 30 alone.

The tree is told beforehand which thirty they are; linli finds them among the million.
"""

from __future__ import annotations

import argparse
import time
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from benchmarks.frame import Exactness, Report, Row, affordable, best_times, say
from benchmarks.places import brute_nearest_chord_sq, clustered_places, ecef
from engine import Engine

__all__ = ["PACKAGES", "add_options", "run"]

PACKAGES = ("numpy", "numba", "h3", "scipy")
COMMON, RARE, BRAND = "retail/pickup", "recycling/pickup", "brand:x"
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "a rare offer": (RARE, {}),
    "a rare feature of a common offer": (COMMON, {"features": (BRAND,)}),
}
N_CHECKED = 1_000
SAME_M = 1e-6
REACH = 0.5
Floats = NDArray[np.float64]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare what can be scaled."""
    parser.add_argument("--rows", type=int, default=1_000_000, help="points (default: %(default)s)")
    parser.add_argument("--rare", type=int, default=30, help="how many have it (default: %(default)s)")
    parser.add_argument("--queries", type=int, default=200_000, help="queries (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="of linli and of the tree (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=5, help="timed calls, the best counts (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of points and queries (default: %(default)s)")


def run(options: argparse.Namespace) -> Report:
    """Give some points the rare offer and others the rare feature, check both, then time both."""
    say(f"rare: {options.rare} of {options.rows} points, {options.queries} queries, {options.threads} thread(s)")
    lat, lng = clustered_places(options.rows, options.seed)
    queries = clustered_places(options.queries, options.seed + 1)
    chosen = np.random.default_rng(options.seed).choice(options.rows, size=2 * options.rare, replace=False)
    holders = dict(zip(CASES, np.split(chosen, 2), strict=True))
    offers, features = np.full(options.rows, COMMON, object), np.full(options.rows, None)
    offers[holders["a rare offer"]] = RARE
    features[holders["a rare feature of a common offer"]] = {BRAND}
    ids = [f"p{row}" for row in range(options.rows)]
    engine = Engine.from_columns(ids, offers.tolist(), lat, lng, features=features.tolist())
    engine.prepare()
    report = Report("rare", Exactness(0, 0))
    for case, (offer, asked) in CASES.items():
        points = ecef(lat[holders[case]], lng[holders[case]])
        linli: partial[Any] = partial(engine.nearest_many, offer=offer, k=1, **asked)
        linli(lat[:1], lng[:1])  # what is done once only is no part of the pace
        start = time.perf_counter()
        exact = _check(linli, points, holders[case], queries)
        n = affordable(options.queries, (time.perf_counter() - start) / exact.checked)
        report.exact = Exactness(report.exact.checked + exact.checked, report.exact.wrong + exact.wrong)
        say(f"  {case}: {exact.checked} checked, {exact.wrong} wrong")
        report.rows.append(_time(linli, points, case, (queries[0][:n], queries[1][:n]), options))
    return report


def _check(
    linli: partial[Any], points: Floats, holders: NDArray[np.int64], queries: tuple[Floats, Floats]
) -> Exactness:
    lat, lng = queries[0][:N_CHECKED], queries[1][:N_CHECKED]
    found = linli(lat, lng).row[:, 0]
    xyz = ecef(lat, lng)
    order = np.argsort(holders)
    place = np.minimum(np.searchsorted(holders, found, sorter=order), holders.size - 1)
    is_holder = holders[order[place]] == found
    to_found = np.sqrt(((points[order[place]] - xyz) ** 2).sum(axis=1))
    nearest = np.sqrt(brute_nearest_chord_sq(points, xyz, 1)[:, 0])
    right = is_holder & (np.abs(to_found - nearest) <= SAME_M)
    return Exactness(checked=right.size, wrong=int((~right).sum()))


def _time(
    linli: partial[Any], points: Floats, case: str, queries: tuple[Floats, Floats], options: argparse.Namespace
) -> Row:
    xyz = ecef(*queries)
    leaf_size = max(16, len(points))  # all in one leaf: quicker than a tree of 30
    trees = {size: cKDTree(points, leafsize=size) for size in (8, 16, leaf_size)}
    work = {f"leafsize {size}": partial(tree.query, xyz, k=1, workers=options.threads) for size, tree in trees.items()}
    best = best_times({"linli": partial(linli, *queries, threads=options.threads), **work}, repeats=options.repeats)
    cost = {name: seconds / len(xyz) * 1e6 for name, seconds in best.items()}
    setting = min(work, key=cost.__getitem__)
    return Row.of_costs(
        f"{case}, {options.rare} of {options.rows:,} points, {len(xyz):,} queries, k = 1, random order",
        "scipy cKDTree",
        f"of those {options.rare} alone, ECEF ready made, {setting}, {options.threads} thread(s)",
        "us a query",
        cost["linli"],
        cost[setting],
        reach=REACH,
    )

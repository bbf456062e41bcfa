"""
Nearest points of one offer, nothing else asked, against k-d trees over the same positions.

The peers hold earth-centred positions, so that they too find the nearest on the ellipsoid, and get
those of the queries ready made, while linli is given latitudes and longitudes and turns them within
its time. Each is timed on queries in random order and sorted along a curve, the sort counted.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.frame import Exactness, Report, Row, best_times, say
from benchmarks.places import brute_nearest_chord_sq, clustered_places, ecef, morton_order
from engine import Engine

__all__ = ["PACKAGES", "add_options", "run"]

PACKAGES = ("numpy", "numba", "h3", "scipy", "pykdtree")
OFFER = "retail/pickup"
EARTH_RADIUS_M = 6_371_008.8
SAME_M = 1e-6  # NumPy and Numba differ in the last bit of a position now and then
N_CHECKED = 500
LEAF_SIZES = (8, 16, 32)
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Peer:
    """One peer, ready to answer: its name, what it was given, and how to ask it for earth-centred positions."""

    name: str
    setting: str
    ask: Callable[[Floats], object]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare what can be scaled."""
    parser.add_argument("--rows", type=int, default=200_000, help="points (default: %(default)s)")
    parser.add_argument("--queries", type=int, default=200_000, help="queries (default: %(default)s)")
    parser.add_argument("--k", type=int, default=1, help="neighbours (default: %(default)s)")
    parser.add_argument(
        "--threads", type=int, default=1, help="threads of linli and of each peer (default: %(default)s)"
    )
    parser.add_argument(
        "--repeats", type=int, default=5, help="timed calls, of which the best counts (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=1, help="of points and queries (default: %(default)s)")


def run(options: argparse.Namespace) -> Report:
    """Check a sample against brute force, then time every case against every peer."""
    os.environ["OMP_NUM_THREADS"] = str(options.threads)  # pykdtree's; read when it is first imported
    say(f"nearest: {options.rows} points, {options.queries} queries, k = {options.k}, {options.threads} thread(s)")
    lat, lng = clustered_places(options.rows, options.seed)
    ids = [f"p{row}" for row in range(options.rows)]
    engine = Engine.from_columns(ids, [OFFER] * options.rows, lat, lng)
    points = ecef(lat, lng)
    queries = _queries(options)
    report = Report("nearest", _check(engine, points, queries["typical"], k=options.k))
    say(f"  exact: {report.exact.checked} checked, {report.exact.wrong} wrong")
    peers = _peers(points, ecef(*queries["typical"]), options)
    for case, places in queries.items():
        report.rows.extend(_time(engine, peers, case, places, options))
    return report


def _queries(options: argparse.Namespace) -> dict[str, tuple[Floats, Floats]]:
    lat, lng = clustered_places(options.queries, options.seed + 1)
    rng = np.random.default_rng(options.seed + 2)
    densest = clustered_places(options.queries, options.seed + 3)
    jitter = rng.normal(scale=0.002, size=(2, options.queries))
    return {
        "typical": (lat, lng),
        "dense centre": (np.median(densest[0]) + jitter[0], np.median(densest[1]) + jitter[1]),
        "far from every point": (lat + 5.0 + jitter[0], lng + 5.0 + jitter[1]),
    }


def _check(engine: Engine, points: Floats, places: tuple[Floats, Floats], *, k: int) -> Exactness:
    lat, lng = places[0][:N_CHECKED], places[1][:N_CHECKED]
    answer = engine.nearest_many(lat, lng, OFFER, k=k)
    queries = ecef(lat, lng)
    chord = np.sqrt(brute_nearest_chord_sq(points, queries, k))
    told = 2 * EARTH_RADIUS_M * np.arcsin(np.minimum(1.0, chord / (2 * EARTH_RADIUS_M)))
    to_row = np.sqrt(((points[answer.row] - queries[:, None, :]) ** 2).sum(axis=2))
    right = (np.abs(answer.distance_m - told) <= SAME_M) & (np.abs(to_row - chord) <= SAME_M)
    return Exactness(checked=right.size, wrong=int(right.size - right.sum()))


def _peers(points: Floats, sample: Floats, options: argparse.Namespace) -> list[Peer]:
    from pykdtree.kdtree import KDTree  # imported late: it reads OMP_NUM_THREADS
    from scipy.spatial import cKDTree

    def scipy_tree(leaf_size: int) -> Callable[[Floats], object]:
        tree = cKDTree(points, leafsize=leaf_size)
        return lambda xyz: tree.query(xyz, k=options.k, workers=options.threads)

    def pykdtree_tree(leaf_size: int) -> Callable[[Floats], object]:
        tree: Any = KDTree(points, leafsize=leaf_size)
        return lambda xyz: tree.query(xyz, k=options.k)

    makers = {"scipy cKDTree": scipy_tree, "pykdtree": pykdtree_tree}
    return [_best_leaf(name, make, sample[:20_000], options.threads) for name, make in makers.items()]


def _best_leaf(name: str, make: Callable[[int], Callable[[Floats], object]], sample: Floats, threads: int) -> Peer:
    """Give the peer the leaf size that suits it best."""
    asks = {leaf_size: make(leaf_size) for leaf_size in LEAF_SIZES}
    work = {str(leaf_size): partial(ask, sample) for leaf_size, ask in asks.items()}
    times = best_times(work, repeats=3)
    best = min(LEAF_SIZES, key=lambda leaf_size: times[str(leaf_size)])
    return Peer(name, f"ECEF ready made, leafsize {best} of {LEAF_SIZES}, {threads} thread(s)", asks[best])


def _time(
    engine: Engine, peers: list[Peer], case: str, places: tuple[Floats, Floats], options: argparse.Namespace
) -> list[Row]:
    lat, lng = places
    xyz = ecef(lat, lng)
    linli = partial(engine.nearest_many, offer=OFFER, k=options.k, threads=options.threads)

    def linli_sorted() -> object:
        order = morton_order(lat, lng)
        return linli(lat[order], lng[order])

    def ask_sorted(peer: Peer) -> object:
        return peer.ask(xyz[morton_order(lat, lng)])

    work: dict[str, Callable[[], object]] = {
        "linli, random order": partial(linli, lat, lng),
        "linli, sorted": linli_sorted,
    }
    for peer in peers:
        work[f"{peer.name}, random order"] = partial(peer.ask, xyz)
        work[f"{peer.name}, sorted"] = partial(ask_sorted, peer)
    say(f"  {case}")
    cost = {name: seconds / len(lat) * 1e6 for name, seconds in best_times(work, repeats=options.repeats).items()}
    return [
        Row.of_costs(
            f"{case}, {options.rows:,} points, k = {options.k}, {order}",
            peer.name,
            peer.setting,
            "us a query",
            cost[f"linli, {order}"],
            cost[f"{peer.name}, {order}"],
        )
        for order in ("random order", "sorted")
        for peer in peers
    ]

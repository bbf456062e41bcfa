"""
One question asked from Python, everything counted in, against one bare query of a k-d tree.

linli checks its arguments, turns the place, asks opening hours, lead times, areas and capacity and names the
points; the peer gets an earth-centred position ready made and returns its five nearest of any offer.
"""

from __future__ import annotations

import argparse
import datetime as dt
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from benchmarks.feasible_city import Asked, City, ask, build_city
from benchmarks.frame import Exactness, Report, Row, say
from benchmarks.server_truth import SAME_M, can_serve
from engine import Engine, warm_up

__all__ = ["PACKAGES", "add_options", "run"]

PACKAGES = ("numpy", "numba", "h3", "scipy", "opening-hours-py")
K = 5
N_CHECKED = 300
BLOCK = 100
LEAF_SIZES = (8, 16, 32)
REQUIRED = {
    "open, serves the place, has units": ("open", "serves", "capacity"),
    "open and has units, wherever its area": ("open", "capacity"),
}


@dataclass(frozen=True)
class Call:
    """The arguments of one call, made before it is timed."""

    lat: float
    lng: float
    offer: str
    at: dt.datetime
    xyz: NDArray[np.float64]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare what can be scaled."""
    parser.add_argument("--rows", type=int, default=1_000_000, help="points (default: %(default)s)")
    parser.add_argument("--calls", type=int, default=5_000, help="timed calls of each (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of points and questions (default: %(default)s)")


def run(options: argparse.Namespace) -> Report:
    """Check a sample against brute force, then time single calls, taking turns with the peer."""
    say(f"single: {options.rows} points, {options.calls} calls, k = {K}")
    warm_up()
    city, asked = build_city(options.rows, options.seed), ask(options.calls, options.seed)
    engine, calls = city.engine(), _calls(asked)
    engine.prepare()
    report = Report("single", _check(engine, city, asked, calls))
    say(f"  exact: {report.exact.checked} checked, {report.exact.wrong} wrong")
    tree, leaf_size = _best_tree(city.xyz, calls)
    for what, required in REQUIRED.items():
        say(f"  {what}")
        call_linli = _asking(engine, required)
        found = sum(bool(call_linli(call)) for call in calls[:1000]) / len(calls[:1000])
        linli, peer = _times_us(calls, call_linli, _asking_tree(tree))
        setting = f"ECEF ready made, leafsize {leaf_size} of {LEAF_SIZES}, any offer, nothing asked"
        for statistic, reach in (("median", 1.0), ("p99", 0.333)):
            at = 50 if statistic == "median" else 99
            figures = (float(np.percentile(linli, at)), float(np.percentile(peer, at)))
            case = f"{statistic}, {options.rows:,} points, k = {K}, {what} ({found:.0%} find someone)"
            report.rows.append(Row.of_costs(case, "scipy cKDTree", setting, "us a call", *figures, reach=reach))
    return report


def _check(engine: Engine, city: City, asked: Asked, calls: list[Call]) -> Exactness:
    checked = calls[:N_CHECKED]
    wrong = 0
    for query, call in enumerate(checked):
        matches = engine.nearest(call.lat, call.lng, call.offer, k=K, at=call.at).matches
        rows, distance_m = can_serve(city, asked, query)
        told = np.array([match.distance_m for match in matches])
        same = [match.point_id for match in matches] == [f"p{row}" for row in rows[:K]]
        wrong += not (same and bool(np.all(np.abs(told - distance_m[:K]) <= SAME_M)))
    return Exactness(checked=len(checked), wrong=wrong)


def _calls(asked: Asked) -> list[Call]:
    instants = [instant.replace(tzinfo=dt.UTC) for instant in asked.at.tolist()]
    arguments = zip(asked.lat.tolist(), asked.lng.tolist(), asked.offers, instants, asked.xyz, strict=True)
    return [Call(*each) for each in arguments]


def _asking(engine: Engine, required: tuple[str, ...]) -> Callable[[Call], object]:
    def answer(call: Call) -> object:
        return engine.nearest(call.lat, call.lng, call.offer, k=K, at=call.at, require=required).matches

    return answer


def _asking_tree(tree: cKDTree) -> Callable[[Call], object]:
    def answer(call: Call) -> object:
        return tree.query(call.xyz, k=K)

    return answer


def _best_tree(points: NDArray[np.float64], calls: list[Call]) -> tuple[cKDTree, int]:
    """Give the peer the leaf size that suits its single calls best."""
    medians = {}
    trees = {leaf_size: cKDTree(points, leafsize=leaf_size) for leaf_size in LEAF_SIZES}
    for leaf_size, tree in trees.items():
        medians[leaf_size] = float(np.median(_block_us(calls[:1000], _asking_tree(tree))))
    best = min(medians, key=medians.__getitem__)
    return trees[best], best


def _times_us(
    calls: list[Call], linli: Callable[[Call], object], peer: Callable[[Call], object]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return what each call took in microseconds, in turns of blocks; the collector runs as in any server."""
    spent: tuple[list[float], list[float]] = ([], [])
    for answer in (linli, peer):
        _block_us(calls[:BLOCK], answer)
    for start in range(0, len(calls), BLOCK):
        for answer, times in zip((linli, peer), spent, strict=True):
            times.extend(_block_us(calls[start : start + BLOCK], answer))
    return np.array(spent[0]), np.array(spent[1])


def _block_us(calls: list[Call], answer: Callable[[Call], object]) -> list[float]:
    times = []
    for call in calls:
        start = time.perf_counter_ns()
        answer(call)
        times.append((time.perf_counter_ns() - start) / 1e3)
    return times

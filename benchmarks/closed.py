"""
A day on which all near points are closed: the nearest open one behind thousands, against a k-d tree that is asked for more.

The peer is the best that can be made of a k-d tree: it fetches twice as many neighbours until one of them is
open, by a mask that it is given ready made, while linli compiles the hours and asks them in its search.
"""

from __future__ import annotations

import argparse
import datetime as dt

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from benchmarks.frame import Exactness, Report, Row, best_times, say
from benchmarks.places import clustered_places, ecef
from engine import Engine

__all__ = ["PACKAGES", "add_options", "run"]

PACKAGES = ("numpy", "numba", "h3", "scipy", "opening-hours-py")
OFFER = "retail/pickup"
AT = dt.datetime(2026, 11, 24, 12, tzinfo=dt.UTC)
FIRST_FETCH = 8


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare what can be scaled."""
    parser.add_argument("--rows", type=int, default=1_000_000, help="points (default: %(default)s)")
    parser.add_argument(
        "--closed", type=int, default=10_000, help="how many nearest points are closed (default: %(default)s)"
    )
    parser.add_argument("--repeats", type=int, default=20, help="timed calls, the best counts (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the points (default: %(default)s)")


def run(options: argparse.Namespace) -> Report:
    """Close the nearest points of one place, check who is found, and time both."""
    say(f"closed: {options.rows} points, the nearest {options.closed} of the place closed")
    lat, lng = clustered_places(options.rows, options.seed)
    place = (float(np.median(lat)), float(np.median(lng)))
    points, query = ecef(lat, lng), ecef(np.array(place[:1]), np.array(place[1:]))
    order = np.argsort(((points - query) ** 2).sum(axis=1), kind="stable")
    is_open = np.ones(options.rows, np.bool_)
    is_open[order[: options.closed]] = False
    hours = np.where(is_open, "24/7", "off")
    ids = [f"p{row}" for row in range(options.rows)]
    engine = Engine.from_columns(ids, [OFFER] * options.rows, lat, lng, hours=hours.tolist(), timezone="UTC")
    found = engine.nearest(*place, OFFER, at=AT).matches[0]
    wrong = int(found.point_id != ids[order[options.closed]])
    say(f"  found {found.point_id}, {found.distance_m:.1f} m away, behind {options.closed} closed ones")
    tree = cKDTree(points)
    work = {
        "linli": lambda: engine.nearest(*place, OFFER, at=AT),
        "scipy cKDTree": lambda: _nearest_open(tree, query[0], is_open),
    }
    best = {name: seconds * 1e3 for name, seconds in best_times(work, repeats=options.repeats).items()}
    report = Report("closed", Exactness(checked=1, wrong=wrong))
    case = f"{options.rows:,} points, the nearest {options.closed:,} closed"
    setting = "ECEF ready made, open mask ready made, over-fetch doubling from 8"
    report.rows.append(Row.of_costs(case, "scipy cKDTree", setting, "ms a query", best["linli"], best["scipy cKDTree"]))
    return report


def _nearest_open(tree: cKDTree, query: NDArray[np.float64], is_open: NDArray[np.bool_]) -> int:
    k = FIRST_FETCH
    while True:
        _, rows = tree.query(query, k=min(k, tree.n))
        found = rows[is_open[rows]]
        if found.size or k >= tree.n:
            return int(found[0]) if found.size else -1
        k *= 2

"""
All pairs of a place and an area that contains it, against shapely's STRtree in both directions.

The trees and linli's tables are built before the clock runs, and told in a row of their own. shapely works on one
thread; linli is timed on one core as well as on all. Each piece of work ends with both arrays of all its pairs in
memory. The tree of areas, the slower direction, is asked for a tenth of the places.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray

from benchmarks.frame import Exactness, Report, Row, best_times, say
from benchmarks.places import CENTRE, METRES_A_DEGREE, clustered_places
from engine import Engine, warm_up

__all__ = ["PACKAGES", "add_options", "run"]

PACKAGES = ("numpy", "numba", "h3", "shapely")
OFFER = "retail/delivery"
REACH = 10.0
N_CHECKED = 200
N_SIZED = 500  # areas by which their size is chosen

Floats = NDArray[np.float64]
Places = tuple[Floats, Floats]
Areas = NDArray[np.object_]


class Peers(NamedTuple):
    """Ways of asking shapely, each a call that gives pairs, and how long the trees took to build."""

    ask: dict[str, Callable[[], NDArray[np.int64]]]
    built_s: float


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare what can be scaled."""
    parser.add_argument("--areas", type=int, default=50_000, help="areas (default: %(default)s)")
    parser.add_argument("--vertices", type=int, default=40, help="of each area (default: %(default)s)")
    parser.add_argument("--places", type=int, default=50_000, help="places asked (default: %(default)s)")
    parser.add_argument("--around", type=int, default=300, help="areas round a place, about (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=3, help="timed calls, the best counts (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of areas and places (default: %(default)s)")


def run(options: argparse.Namespace) -> Report:
    """Check a sample of places against shapely's ``covers`` of all areas, then time both directions."""
    say(f"serving: {options.areas} areas of {options.vertices} vertices, {options.places} places")
    warm_up()
    checked, wrong = 0, 0
    rows: list[Row] = []
    layouts = {"clustered as a city": clustered_places, "even over a region": _even_places}
    for case, places_of in layouts.items():
        points, places = places_of(options.areas, options.seed), places_of(options.places, options.seed + 1)
        areas = _areas(points, places, options)
        engine = Engine.from_columns(
            [f"p{row}" for row in range(options.areas)], [OFFER] * options.areas, *points, areas=list(areas)
        )
        start = time.perf_counter()
        engine.serving_many([0.0], [0.0], OFFER)
        built_s = time.perf_counter() - start
        exact = _check(engine, areas, places, options.seed)
        say(f"  {case}: {exact.checked} places checked, {exact.wrong} wrong")
        checked, wrong = checked + exact.checked, wrong + exact.wrong
        rows.extend(_time(engine, areas, places, case=case, built_s=built_s, options=options))
    return Report("serving", Exactness(checked, wrong), rows)


def _even_places(n: int, seed: int) -> Places:
    lat, lng = np.random.default_rng(seed).uniform(-0.5, 0.5, size=(2, n))
    return CENTRE[0] + lat, CENTRE[1] + lng


def _stars(points: Places, half_width_m: float, n_vertices: int, seed: int) -> Areas:
    """Return a star-shaped polygon round each point, its vertices at 0.6 to 1.4 times the half width."""
    rng = np.random.default_rng(seed)
    n = points[0].size
    turn = (np.arange(n_vertices) + rng.uniform(0.1, 0.9, (n, n_vertices))) * (2 * np.pi / n_vertices)
    reach_deg = rng.uniform(0.6, 1.4, (n, n_vertices)) * half_width_m / METRES_A_DEGREE
    lat = points[0][:, None] + reach_deg * np.sin(turn)
    lng = points[1][:, None] + reach_deg * np.cos(turn) / np.cos(np.radians(points[0]))[:, None]
    rings = np.stack([np.c_[lng, lng[:, :1]], np.c_[lat, lat[:, :1]]], axis=2)
    return np.asarray(shapely.polygons(rings))


def _points(places: Places) -> NDArray[np.object_]:
    return np.asarray(shapely.points(places[1], places[0]), object)


def _areas(points: Places, places: Places, options: argparse.Namespace) -> Areas:
    """Return areas of the one size that puts the wanted number of them round a place, by halving on a sample."""
    tree = shapely.STRtree(_points(places))
    sample = np.random.default_rng(options.seed).permutation(options.areas)[:N_SIZED]
    low_m, high_m = 10.0, 500_000.0
    for _ in range(30):
        middle_m = (low_m * high_m) ** 0.5
        some = _stars((points[0][sample], points[1][sample]), middle_m, options.vertices, options.seed)
        n_around = tree.query(some, "contains").shape[1] / sample.size * options.areas / options.places
        low_m, high_m = (middle_m, high_m) if n_around < options.around else (low_m, middle_m)
    return _stars(points, low_m, options.vertices, options.seed + 2)


def _check(engine: Engine, areas: Areas, places: Places, seed: int) -> Exactness:
    sample = np.sort(np.random.default_rng(seed).permutation(places[0].size)[:N_CHECKED])
    lat, lng = places[0][sample], places[1][sample]
    query, row = engine.serving_many(lat, lng, OFFER)
    ends = np.searchsorted(query, np.arange(sample.size + 1))
    shapely.prepare(areas)
    wrong = 0
    for i, place in enumerate(_points((lat, lng))):
        wanted = np.flatnonzero(shapely.covers(areas, place))
        wrong += int(not np.array_equal(row[ends[i] : ends[i + 1]], wanted))
    return Exactness(checked=sample.size, wrong=wrong)


def _peers(areas: Areas, places: Places) -> Peers:
    start = time.perf_counter()
    points = _points(places)
    shapely.prepare(areas)
    of_places, of_areas = shapely.STRtree(points), shapely.STRtree(areas)
    some = points[:: max(1, min(10, len(points)))]
    ask: dict[str, Callable[[], NDArray[np.int64]]] = {
        "shapely STRtree of places, contains": partial(of_places.query, areas, "contains"),
        "shapely STRtree of places, covers": partial(of_places.query, areas, "covers"),
        "shapely STRtree of areas, within": partial(of_areas.query, some, "within"),
    }
    return Peers(ask, time.perf_counter() - start)


def _time(
    engine: Engine, areas: Areas, places: Places, *, case: str, built_s: float, options: argparse.Namespace
) -> list[Row]:
    peers = _peers(areas, places)
    linli = partial(engine.serving_many, *places, OFFER)
    cores: dict[str, Callable[[], object]] = {
        "1 core": partial(_on_one_core, linli),
        f"{len(os.sched_getaffinity(0))} cores": linli,
    }
    n_pairs = linli().row.size
    case = f"{options.areas:,} areas, {case}, {n_pairs / options.places:.0f} round a place"
    n_of = dict.fromkeys(cores, n_pairs) | {name: ask().shape[1] for name, ask in peers.ask.items()}
    best = best_times({**cores, **peers.ask}, repeats=options.repeats)
    cost = {name: seconds / max(1, n_of[name]) * 1e9 for name, seconds in best.items()}
    fastest = min(peers.ask, key=lambda name: cost[name])
    setting, unit = "areas prepared, one thread", "ns a pair"
    rows = [
        Row.of_costs(
            f"{case}, linli on {name}",
            peer,
            setting,
            unit,
            cost[name],
            cost[peer],
            reach=REACH if peer == fastest else None,
        )
        for name in cores
        for peer in peers.ask
    ]
    return [*rows, Row.of_costs(f"{case}, built first", "shapely STRtree", "both trees", "s", built_s, peers.built_s)]


def _on_one_core(call: Callable[[], object]) -> object:
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})  # of this thread and those that it starts
    try:
        return call()
    finally:
        os.sched_setaffinity(0, cores)

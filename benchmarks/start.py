"""How soon a server is ready after its imports, from a snapshot and without one, and how fast points go into the registry."""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.bulk import bulk_rows
from benchmarks.frame import ROOT, Exactness, Report, Row, say
from benchmarks.http_city import register_city

__all__ = ["PACKAGES", "add_options", "run"]

PACKAGES = ("sqlalchemy", "numba", "shapely", "pyarrow", "pydantic")
READY_S = {"snapshot": 2.0, "store": 10.0}
THE_LIMIT = "the limit asked for"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare what can be scaled."""
    parser.add_argument("--points", type=int, default=100_000, help="points (default: %(default)s)")
    parser.add_argument("--bulk", type=int, default=20_000, help="points of a bulk upsert (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=3, help="starts, the best counts (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the city (default: %(default)s)")


def run(options: argparse.Namespace) -> Report:
    """Register a city, then start on it."""
    say(f"start: {options.points} points")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        city, _ = register_city(folder, options.points, options.seed)
        n_registered = len(set(city.points_table()["point_id"].to_pylist()))  # some have no offer
        best: dict[str, float] = {}
        wrong = 0
        for _ in range(options.repeats):
            shutil.rmtree(folder / "index", ignore_errors=True)
            for origin in ("store", "snapshot"):  # the first leaves a snapshot for the second
                seconds, n_points, read_from = _start(folder)
                wrong += (n_points, read_from) != (n_registered, origin)
                best[origin] = min(best.get(origin, seconds), seconds)
    rows = [
        Row.of_costs(
            f"ready after the imports, {options.points:,} points, from the {origin}",
            THE_LIMIT, "", "s", best[origin], READY_S[origin], reach=1.0,
        )
        for origin in READY_S
    ]  # fmt: skip
    n_checked, n_wrong, bulk = bulk_rows(options.bulk, repeats=options.repeats, seed=options.seed)
    return Report("start", Exactness(2 * options.repeats + n_checked, wrong + n_wrong), rows + bulk)


def _start(folder: Path) -> tuple[float, int, str]:
    command = [sys.executable, "-m", "benchmarks.start_child", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S603 - our own words
    seconds, n_points, origin = done.stdout.split()
    return float(seconds), int(n_points), origin

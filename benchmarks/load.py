"""
An index built from columns, and a snapshot of it opened by a process that has just started.

The snapshot is `Engine.to_arrays`, each array a file, mapped copy-on-write; the files are still in the
page cache, as where a server starts its next worker. The peer is a k-d tree that is built, pickled and unpickled.
"""

from __future__ import annotations

import argparse
import pickle
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from benchmarks.feasible_city import ask
from benchmarks.frame import ROOT, Exactness, Report, Row, best_times, say
from benchmarks.places import ecef
from benchmarks.server_memory import MB, ask_process
from benchmarks.server_snapshot import N_ANSWERED, N_TOUCHED, TREE, K
from benchmarks.server_writer import LiveCity
from engine import Engine, warm_up

__all__ = ["PACKAGES", "add_options", "run"]

PACKAGES = ("numpy", "numba", "h3", "pyarrow", "scipy", "opening-hours-py")
LEAF_SIZES = (8, 16, 32)
ASKED_OPEN_MS, ASKED_SHARE = 100.0, 0.1
CHILD = "benchmarks.server_snapshot"
THE_LIMIT = "the limit asked for"
PLAIN = ("point_ids", "offers", "lat", "lng")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare what can be scaled."""
    parser.add_argument("--rows", type=int, default=1_000_000, help="points (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=3, help="timed turns, the best counts (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the points (default: %(default)s)")


def run(options: argparse.Namespace) -> Report:
    """Time the build, write a snapshot, and let new processes open it and answer the same questions."""
    say(f"load: {options.rows} points")
    warm_up()
    city = LiveCity(options.rows, options.seed)
    asked = ask(N_TOUCHED, options.seed).take(slice(N_ANSWERED))
    report = Report("load", Exactness(N_ANSWERED, city.wrong_answers(asked, K)))
    report.rows += _build_rows(city, options)
    found = city.engine.nearest_many(asked.lat, asked.lng, asked.offers, k=K, at=asked.at).point_ids()
    for what in ("trees", "trees and lists"):
        if what != "trees":
            city.engine.prepare()
        with tempfile.TemporaryDirectory(prefix="linli-") as folder:
            n_bytes = _write(city, Path(folder))
            report.rows += _open_rows(
                Path(folder), f"{n_bytes / MB:,.0f} MB of {what}", n_bytes, found, report, options
            )
    say(f"  exact: {report.exact.checked} checked, {report.exact.wrong} wrong")
    return report


def _build_rows(city: LiveCity, options: argparse.Namespace) -> list[Row]:
    points = ecef(city.facts["lat"], city.facts["lng"])
    columns = city.columns(np.arange(city.n), city.facts)
    cases = {
        "place and offer": {name: columns[name] for name in PLAIN},
        "place, offer, radius, hours and capacity": columns,
    }
    work: dict[str, Callable[[], object]] = {what: partial(Engine.from_columns, **its) for what, its in cases.items()}
    for leaf_size in LEAF_SIZES:
        work[f"leafsize {leaf_size}"] = partial(cKDTree, points, leafsize=leaf_size)
        loose = partial(cKDTree, points, leafsize=leaf_size, balanced_tree=False, compact_nodes=False)
        work[f"leafsize {leaf_size}, not balanced, not compact"] = loose
    times = best_times(work, repeats=options.repeats)
    peer = min(times.keys() - cases.keys(), key=times.__getitem__)
    setting = f"{peer} (leafsizes {LEAF_SIZES}, balanced and not, were tried), ECEF ready made"
    return [
        Row.of_costs(
            f"build, {what}, Arrow and NumPy columns of {city.n:,} points",
            "scipy cKDTree",
            setting,
            "s",
            times[what],
            times[peer],
            reach=0.333 if what == "place and offer" else None,
        )
        for what in cases
    ]


def _write(city: LiveCity, folder: Path) -> int:
    """Write the snapshot and the pickled peer; return how many bytes the arrays have."""
    start = time.perf_counter()
    arrays = city.engine.to_arrays()
    made = time.perf_counter()
    for name, values in arrays.items():
        np.save(folder / f"{name}.npy", values)
    saved = time.perf_counter()
    n_bytes = sum(values.nbytes for values in arrays.values())
    say(f"  to_arrays {made - start:.3f} s, {len(arrays)} files of {n_bytes / MB:.0f} MB saved in {saved - made:.3f} s")
    tree = cKDTree(ecef(city.facts["lat"], city.facts["lng"]))
    with (folder / TREE).open("wb") as file:
        pickle.dump(tree, file, protocol=5)
    return n_bytes


def _open_rows(
    folder: Path,
    what: str,
    n_bytes: int,
    answers: list[list[str | None]],
    report: Report,
    options: argparse.Namespace,
) -> list[Row]:
    words = (str(folder), str(options.seed))
    opened = [ask_process(CHILD, "engine", *words) for _ in range(options.repeats)]
    trees = [ask_process(CHILD, "tree", *words) for _ in range(options.repeats)]
    with _held("engine", *words):
        second = ask_process(CHILD, "engine", *words, "--warm")
    with _held("tree", *words):
        second_tree = ask_process(CHILD, "tree", *words, "--warm")
    wrong = sum(mine != its for told in (*opened, second) for mine, its in zip(answers, told["answers"], strict=True))
    report.exact = Exactness(report.exact.checked + N_ANSWERED * (len(opened) + 1), report.exact.wrong + wrong)
    best = {name: min(told[name] for told in opened) for name in ("open_ms", "first_ms")}
    best_tree = {name: min(told[name] for told in trees) for name in ("open_ms", "first_ms")}
    setting = "default leafsize, pickle protocol 5, file in the page cache"
    case = f"open a mapped snapshot, {what}, in a new process, after its imports"
    sharing = f"private memory that a second process adds, {what} mapped, {N_TOUCHED:,} queries asked"
    first = f"the first query after it, {what}"
    limit = f"{ASKED_SHARE:.0%} of the arrays; kernels loaded before"
    return [
        Row.of_costs(case, THE_LIMIT, "", "ms", best["open_ms"], ASKED_OPEN_MS, reach=1.0),
        Row.of_costs(case, "scipy cKDTree", setting, "ms", best["open_ms"], best_tree["open_ms"]),
        Row.of_costs(
            f"{case}, kernels loaded", "scipy cKDTree", setting, "ms", second["open_ms"], second_tree["open_ms"]
        ),
        Row.of_costs(first, "scipy cKDTree", setting, "ms", best["first_ms"], best_tree["first_ms"]),
        Row.of_costs(
            f"{first}, kernels loaded", "scipy cKDTree", setting, "ms", second["first_ms"], second_tree["first_ms"]
        ),
        Row.of_costs(sharing, THE_LIMIT, limit, "MB", second["private_mb"], ASKED_SHARE * n_bytes / MB, reach=1.0),
        Row.of_costs(sharing, "scipy cKDTree", setting, "MB", second["private_mb"], second_tree["private_mb"]),
    ]


@contextmanager
def _held(*words: str) -> Iterator[None]:
    """Keep a first process that has opened the same files and answered from them."""
    command = [sys.executable, "-m", CHILD, *words, "--warm", "--hold"]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, cwd=ROOT, text=True, **pipes) as first:  # noqa: S603 - ours
        assert first.stdout is not None
        if not first.stdout.readline():
            msg = f"the first process ended with code {first.wait()}"
            raise RuntimeError(msg)
        yield
        first.communicate()

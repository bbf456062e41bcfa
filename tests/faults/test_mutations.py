"""
The suite can fail: one kernel line at a time is broken in a copy of the tree, and its tests must notice.

Each mutation names the tests that are to catch it; those pass on the unbroken copy first.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
COPIED = ("engine", "geo", "service", "fixtures", "tests", "benchmarks", "tools")
Run = subprocess.CompletedProcess[str]
NO_SHRINKING = "--hypothesis-profile=first-failure"
PASSED, FAILED = 0, 1  # pytest's exit codes; 2 and above are broken runs, not failed tests


@dataclass(frozen=True)
class Mutation:
    """One line of a kernel, what is made of it, and the tests that must notice."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


AREAS = "tests/property/test_area_kernels.py"
INDEX = "tests/property/test_index_kernels.py"
MATCHING = "tests/property/test_matching_property.py"
LISTS = "tests/unit/engine/test_neighbours.py"
MUTATIONS = (
    Mutation(
        "ties go to who came first, not to the smaller id",
        "engine/kernels/search.py",
        "if before < chord_sq or (before == chord_sq and best.rank",
        "if before <= chord_sq or (before == chord_sq and best.rank",
        ("tests/unit/engine/test_engine.py::test_nearest__breaks_ties_by_id_across_base_and_delta",),
    ),
    Mutation(
        "within the reach of an area its polygon is not asked",
        "engine/kernels/feasibility.py",
        "is_near = bool(chord_sq < inner_m * inner_m)",
        "is_near = bool(chord_sq <= outer_m * outer_m)",
        (f"{MATCHING}::test_nearest_many__equals_brute_force",),
    ),
    Mutation(
        "a schedule's bit is another's",
        "engine/kernels/hours.py",
        "places[n_its] = np.uint64(schedule) % n_bits",
        "places[n_its] = np.uint64(schedule + 1) % n_bits",
        (f"{MATCHING}::test_nearest_many__equals_brute_force",),
    ),
    Mutation(
        "the last unit is kept back",
        "engine/kernels/feasibility.py",
        "if 0 <= left < asks.quantity[query]:\n            return False",
        "if 0 <= left <= asks.quantity[query]:\n            return False",
        (f"{MATCHING}::test_nearest_many__equals_brute_force",),
    ),
    Mutation(
        "the last of an SKU is kept back",
        "engine/kernels/shelves.py",
        "or 0 <= units[low] < line_quantity[line]",
        "or 0 <= units[low] <= line_quantity[line]",
        ("tests/property/test_baskets.py::test_nearest_many__finds_who_has_the_basket_as_brute_force_does",),
    ),
    Mutation(
        "a ball a tenth too small for its rows",
        "engine/kernels/forest.py",
        "return (math.sqrt(largest) + 1e-5)",
        "return (0.9 * math.sqrt(largest))",
        (f"{INDEX}::test_build_forest__bounds_every_node_by_a_ball_that_holds_its_rows",),
    ),
    Mutation(
        "a list that is cut says that it is whole",
        "engine/kernels/listing.py",
        "radius_m, n, near_sq, counts), guess_m",
        "radius_m, n, near_m * near_m, counts), guess_m",
        (f"{LISTS}::test_prepare__makes_no_more_cells_round_a_full_place",),
    ),
    Mutation(
        "who serves everywhere reaches nowhere",
        "engine/kernels/gathering.py",
        "bits = workshop.everywhere[root]",
        "bits = np.uint64(0)",
        (f"{LISTS}::test_prepare__lists_who_is_near_and_says_what_else_reaches_there",),
    ),
    Mutation(
        "unknown hours count as open",
        "engine/kernels/hours.py",
        "if schedule < 0:\n        return UNKNOWN",
        "if schedule < 0:\n        return OPEN",
        (f"{INDEX}::test_hour_state__reads_the_minute_of_the_day_in_the_schedules_zone",),
    ),
    Mutation(
        "the first ring's edges are dropped",
        "geo/kernels/polygons.py",
        "inside = False\n    for i in range(start, stop):",
        "inside = False\n    for i in range(start + 4, stop):",
        (f"{AREAS}::test_covers__equals_shapely_on_grid_edges_and_vertices",),
    ),
    Mutation(
        "a slanted edge is outside",
        "geo/kernels/polygons.py",
        "if side == 0:\n                return True",
        "if side == 0:\n                return False",
        (f"{AREAS}::test_covers__equals_shapely_on_grid_edges_and_vertices",),
    ),
    Mutation(
        "a cell is interior when its centre is",
        "geo/kernels/covers.py",
        "INTERIOR if distance + reach_m < chord",
        "INTERIOR if distance < chord",
        (f"{AREAS}::test_cover_circle__misses_no_place_within_and_promises_none_beyond",),
    ),
)


def _copy_tree(target: Path) -> None:
    ignore = shutil.ignore_patterns("__pycache__", ".hypothesis", "*.pyc")
    for folder in COPIED:
        shutil.copytree(ROOT / folder, target / folder, ignore=ignore)
    for file in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / file, target)


def _mutate(tree: Path, mutation: Mutation) -> None:
    path = tree / mutation.file
    text = path.read_text(encoding="utf-8")
    assert text.count(mutation.old) == 1, f"{mutation.file} must hold {mutation.old!r} once: choose the line anew"
    path.write_text(text.replace(mutation.old, mutation.new), encoding="utf-8")


def _run(tree: Path, tests: tuple[str, ...]) -> Run:
    # CI=true fixes the cases, so that a mutation is caught in each run or in none. Interpreted, since
    # compiling each broken tree anew took three times as long as all the rest. A tenth of each count is to be enough.
    env = {**os.environ, "CI": "true", "NUMBA_DISABLE_JIT": "1", "PYTHONPATH": str(tree), "LINLI_TEST_FULL": ""}
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", NO_SHRINKING, *tests]
    return subprocess.run(command, cwd=tree, env=env, capture_output=True, text=True, timeout=600, check=False)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Callable[[tuple[str, ...]], Run]:
    """Give a function that runs tests on an unbroken copy, each set once."""
    folder = tmp_path_factory.mktemp("unbroken")
    _copy_tree(folder / "tree")
    return cache(lambda tests: _run(folder / "tree", tests))


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_mutation__is_caught(mutation: Mutation, tmp_path: Path, unbroken: Callable[[tuple[str, ...]], Run]) -> None:
    before = unbroken(mutation.tests)
    assert before.returncode == PASSED, (
        f"must pass on the unbroken tree:\n{before.stdout[-4000:]}{before.stderr[-2000:]}"
    )
    _copy_tree(tmp_path / "tree")
    _mutate(tmp_path / "tree", mutation)
    after = _run(tmp_path / "tree", mutation.tests)
    assert after.returncode == FAILED, f"exit code {after.returncode}:\n{after.stdout[-4000:]}{after.stderr[-2000:]}"

"""The trees hold every row once, within the balls that bound it; hours are read from the right bit."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from engine.forest import Forest, build_forest
from engine.kernels.hours import hour_state
from geo.cells import latlng_to_cell_many
from geo.metric import ecef
from tests.scale import scaled

CENTRES = (
    (39.9, 116.4),
    (90.0, 0.0),
    (-90.0, 0.0),
    (0.0, 180.0),
    (0.0, -180.0),
    (58.157, 10.535),
)  # the last a pentagon


def brute_state(schedule: int, day: NDArray[np.int8], minute: int) -> int:
    """Read the state of a minute from a day written out minute by minute."""
    return 2 if schedule < 0 else int(day[minute])


@st.composite
def trees_of_rows(draw: st.DrawFn) -> tuple[NDArray[np.float64], NDArray[np.uint64], NDArray[np.int64]]:
    """Draw positions, their finest cells and the starts of one to three trees, sorted by tree and cell."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    positions, keys, starts = [], [], [0]
    for _ in range(draw(st.integers(1, 3))):
        n = draw(st.sampled_from([1, 2, 12, 13, 200]))
        centre = np.array(draw(st.sampled_from(CENTRES)))
        spread = draw(st.sampled_from([0.0, 1e-5, 0.01, 30.0]))
        lat, lng = (centre + rng.normal(scale=spread, size=(n, 2))).T
        lat, lng = np.clip(lat, -90.0, 90.0), np.clip(lng, -180.0, 180.0)
        key = latlng_to_cell_many(lat, lng, 15)
        order = np.argsort(key, kind="stable")
        positions.append(ecef(lat, lng)[order])
        keys.append(key[order])
        starts.append(starts[-1] + n)
    return np.concatenate(positions), np.concatenate(keys), np.array(starts, np.int64)


def _farthest(xyz: NDArray[np.float64], forest: Forest, node: int) -> float:
    rows = xyz[forest.start[node] : forest.stop[node]]
    return float(np.sqrt(((rows - forest.center[node]) ** 2).sum(axis=1)).max())


@settings(max_examples=scaled(500))
@given(rows=trees_of_rows())
def test_build_forest__bounds_every_node_by_a_ball_that_holds_its_rows(
    rows: tuple[NDArray[np.float64], NDArray[np.uint64], NDArray[np.int64]],
) -> None:
    xyz, key, tree_start = rows
    forest = build_forest(xyz, key, tree_start)
    assert [node for node in range(forest.radius.size) if _farthest(xyz, forest, node) > forest.radius[node]] == []


@settings(max_examples=scaled(500))
@given(rows=trees_of_rows())
def test_build_forest__holds_every_row_in_one_leaf_of_its_tree(
    rows: tuple[NDArray[np.float64], NDArray[np.uint64], NDArray[np.int64]],
) -> None:
    xyz, key, tree_start = rows
    forest = build_forest(xyz, key, tree_start)
    for tree in range(tree_start.size - 1):
        seen: list[int] = []
        nodes = [tree]
        while nodes:
            node = nodes.pop()
            first, n_children = int(forest.first_child[node]), int(forest.n_children[node])
            nodes.extend(range(first, first + n_children))
            if n_children == 0:
                seen.extend(range(forest.start[node], forest.stop[node]))
        assert sorted(seen) == list(range(tree_start[tree], tree_start[tree + 1]))


@settings(max_examples=scaled(500))
@given(
    days=st.lists(st.lists(st.integers(0, 2), min_size=24, max_size=24), min_size=1, max_size=3),
    offset=st.integers(0, 59),
)
def test_hour_state__reads_the_minute_of_the_day_in_the_schedules_zone(days: list[list[int]], offset: int) -> None:
    states = np.array([np.roll(np.repeat(day, 60), offset) for day in days], np.int8)
    minutes = np.array([*range(0, 1440, 61), 0, 63, 64, 1439], np.int32)
    padded = np.zeros((len(days), 23 * 64), np.int8)
    padded[:, :1440] = states
    weights = np.uint64(1) << np.arange(64, dtype=np.uint64)
    words = padded.reshape(len(days), 23, 64)
    open_bits = ((words == 1) * weights).sum(axis=2, dtype=np.uint64)
    unknown_bits = ((words == 2) * weights).sum(axis=2, dtype=np.uint64)
    zones, n = np.array([1], np.int32), minutes.size
    day_slot = np.stack([np.zeros(n), np.arange(n) % len(days)]).astype(np.int32)
    local = np.stack([np.zeros(n), minutes]).astype(np.int32)
    bitmap_of = np.arange(len(days), dtype=np.int32)[:, None]
    for query in range(n):
        day = states[day_slot[1, query]]
        for schedule in (0, -1):
            got = hour_state(schedule, query, zones, day_slot, local, bitmap_of, open_bits, unknown_bits)
            assert got == brute_state(schedule, day, int(minutes[query]))

"""Lists of neighbours: made when asked for, and the same answers from them."""

import numpy as np
import pytest

from engine import Engine

OFFER = "a/b"


def test_prepare__answers_as_the_trees_do():
    rng = np.random.default_rng(5)
    places = np.array([39.9, 116.4]) + rng.normal(size=(120, 2)) * np.where(rng.random((120, 1)) < 0.5, 0.001, 0.1)
    areas = [None if row % 2 else 2_000.0 for row in range(120)]
    engine = Engine.from_columns([f"p{row}" for row in range(120)], [OFFER] * 120, *places.T, areas=areas)
    asked = places[:20] + 0.001
    by_trees = engine.nearest_many(*asked.T, OFFER, k=3)
    engine.prepare()
    by_lists = engine.nearest_many(*asked.T, OFFER, k=3)
    assert (by_lists.row == by_trees.row).all()
    assert (by_lists.distance_m == by_trees.distance_m).all()


@pytest.mark.parametrize("reach_m", [None, 300.0])
def test_prepare__makes_no_more_cells_round_a_full_place(reach_m):
    """More shops in one house than a list holds: all cells round it, down to the smallest, would be as full."""
    rng = np.random.default_rng(6)
    places = np.array([31.2, 121.5]) + np.concatenate([np.zeros((150, 2)), rng.normal(size=(30, 2)) * 0.02])
    engine = Engine.from_columns([f"p{row}" for row in range(180)], [OFFER] * 180, *places.T, areas=[reach_m] * 180)
    asked = places[145:165] + rng.normal(size=(20, 2)) * 0.001
    by_trees = engine.nearest_many(*asked.T, OFFER, k=3)
    engine.prepare()
    by_lists = engine.nearest_many(*asked.T, OFFER, k=3)
    assert (by_lists.row == by_trees.row).all()
    assert engine._snapshot.base.part.neighbours.near_m.size <= 4 * 180


def test_prepare__lists_who_is_near_and_says_what_else_reaches_there():
    """Of many that serve everywhere only the near ones; of the others those, too, whose areas reach into the cell."""
    rng = np.random.default_rng(7)
    places = np.array([31.2, 121.5]) + rng.normal(size=(300, 2)) * 0.02
    areas = [None if row % 2 else 2_500.0 for row in range(300)]
    hours = ["24/7" if row in {0, 1} else "Mo-Su 08:00-18:00" for row in range(300)]
    engine = Engine.from_columns(
        [f"p{row}" for row in range(300)], [OFFER] * 300, *places.T, areas=areas, hours=hours, timezone="UTC"
    )
    asked = places[:25] + 0.001
    night = np.datetime64("2026-03-02T03:00")
    by_trees = engine.nearest_many(*asked.T, OFFER, k=3, at=night)
    engine.prepare()
    by_lists = engine.nearest_many(*asked.T, OFFER, k=3, at=night)
    assert (by_lists.row == by_trees.row).all()
    assert (by_lists.row == 1).any(axis=1).all()
    lists = engine._snapshot.base.part.neighbours
    assert (lists.rest_bits & engine._snapshot.base.part.schedule_bits[0]).any()
    assert lists.start[-1] < 100 * lists.near_m.size

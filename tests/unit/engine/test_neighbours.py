"""Lists of neighbours: made when asked for, and the same answers from them."""

import numpy as np

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

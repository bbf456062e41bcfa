"""Compile every kernel by asking a tiny index everything once."""

from __future__ import annotations

import datetime as dt

import shapely

from engine.coverage import coverage
from engine.engine import Engine

__all__ = ["warm_up"]


def warm_up() -> None:
    """Compile every kernel, or load it from the cache: after it no question waits for the compiler."""
    many = Engine.from_columns(list(map(str, range(200))), ["a/b"] * 200, [i * 1e-4 for i in range(200)], [0.0] * 200)
    many.prepare()
    many.nearest(0.0, 0.0, "a/b")
    square = shapely.box(-0.1, -0.1, 0.1, 0.1)
    offers = ["a/b", "a/c", "a/d"]
    engine = Engine.from_columns(
        ["x"] * 3, offers, [0.0] * 3, [0.0] * 3, areas=[square, 500.0, None], hours=["24/7"] * 3, timezone="UTC"
    )
    engine.upsert({"point_ids": "y", "offers": offers, "lat": 0.01, "lng": 0.0, "areas": [square, 500.0, None]})
    engine.set_capacity("x", "a/b", 3)
    now = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    engine.nearest(0.0, 0.0, "a/b", at=now, asked_at=now)
    engine.nearest_in_turn([0.0], [0.0], "a/b", units=engine.units(), at=now)
    engine.refusals_many([0.0], [0.0], "a/b")
    engine.nearest_point_many([0.0], [0.0])
    engine.serving_many([0.0, 0.0, 0.0], [0.0, 0.0, 0.0], offers)
    engine.explain(0.0, 0.0, "a/b", point="y", at=now)
    coverage(engine, {"lat": [0.0], "lng": [0.0], "weight": [1.0]}, "a/b")

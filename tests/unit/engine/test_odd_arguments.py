"""What is no argument at all is told as any other bad one: by an error of the engine's own that names it."""

from __future__ import annotations

import contextlib
import datetime as dt
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from engine import Engine, coverage
from geo.errors import ArgumentError

NOW = dt.datetime(2026, 3, 4, 12, 0, tzinfo=dt.UTC)
OFFER = "retail/pickup"
COLUMNS: dict[str, Any] = {
    "point_ids": ["a", "b"],
    "offers": [OFFER, OFFER],
    "lat": [31.2, 31.3],
    "lng": [121.4, 121.5],
    "areas": [3000.0, None],
    "hours": ["24/7", None],
    "timezone": "Asia/Shanghai",
    "country": "CN",
    "capacity": [1, None],
    "lead_s": [600, None],
    "features": [["lift"], None],
    "paused": [False, True],
    "suspended": [False, False],
    "visibility": ["unlisted", None],
    "stock": [{"milk": 3}, None],
}
PLACE = {"lat": 31.2, "lng": 121.4, "offer": OFFER}
PLACES = {"lat": [31.2], "lng": [121.4], "offer": OFFER}
ASK = {
    "at": NOW,
    "asked_at": NOW,
    "quantity": 1,
    "max_distance_m": 900,
    "features": ["lift"],
    "require": ("open",),
    "unknown_hours": "allow",
    "items": {"milk": 1},
}
DEMAND = {"lat": [31.2], "lng": [121.4], "weight": [1]}
COVERED = {"demand": DEMAND, "offer": OFFER, "at": NOW, "bands_m": (10, 20), "districts": ["a"], "cell_resolution": 5}


def _odd() -> list[Any]:
    texts = [
        5,
        2.5,
        None,
        "x",
        "",
        "\ud800",
        b"x",
        True,
        -1,
        10**30,
        10**400,
        -(10**400),
        1j,
        object(),
        len,
        NOW,
        NOW.date(),
    ]
    lists = [[], [[]], [["a"], ["b"]], [5], [None, None], [object(), 1], [b"x", "y"], [10**30], ["\ud800", "b"], {"z"}]
    lists += [([],), [10**400], [np.complex128(1)]]
    arrays = [
        np.array([1, 10**400], object),
        np.array([1, True], object),
        np.array([1], "timedelta64[s]"),
        np.zeros((2, 2)),
        np.array(3.0),
        np.datetime64("NaT"),
        np.array(["a", None], object),
        float("nan"),
    ]
    return [*texts, *lists, *arrays, {1: 2}, {"a": 1}, range(2), pa.array([[1], [2]]), pa.array([b"x", b"y"])]


def _asked(engine: Engine) -> dict[str, tuple[Any, dict[str, Any]]]:
    """Return each public call with good arguments."""
    units = engine.units()
    return {
        "from_columns": (Engine.from_columns, COLUMNS),
        "upsert": (lambda **columns: engine.apply({"upsert": columns}), COLUMNS),
        "changes": (
            lambda **changes: engine.apply(changes),
            {"remove": ["b"], "stock": (["a"], ["milk"], [3], [None])},
        ),
        "capacity": (engine.set_capacity, {"point_id": "a", "offer": OFFER, "units": 3}),
        "nearest": (engine.nearest, PLACE | {"k": 1} | ASK),
        "nearest_many": (engine.nearest_many, PLACES | {"k": 1, "threads": 1} | ASK),
        "nearest_point_many": (engine.nearest_point_many, {"lat": [31.2], "lng": [121.4], "threads": 1}),
        "nearest_in_turn": (engine.nearest_in_turn, PLACES | {"units": units, "at": NOW}),
        "refusals_many": (engine.refusals_many, PLACES | {"units": units} | ASK),
        "serving_many": (engine.serving_many, PLACES),
        "explain": (engine.explain, PLACE | {"point": "a"} | ASK),
        "split": (engine.split, PLACE | {"items": {"milk": 1}, "max_points": 2, "without": ("a",), "at": NOW}),
        "point_ids": (engine.point_ids, {"rows": np.array([0])}),
        "coverage": (lambda **asked: coverage(engine, **asked), COVERED),
    }


@pytest.mark.parametrize("name", _asked(Engine.from_columns(**COLUMNS)))
def test_an_odd_argument__is_taken_or_named(name: str) -> None:
    good = _asked(Engine.from_columns(**COLUMNS))[name][1]
    for argument in good:
        engine = Engine.from_columns(**COLUMNS)
        ask = _asked(engine)[name][0]
        for odd in _odd():
            with contextlib.suppress(ArgumentError):
                ask(**{**good, argument: odd})


def test_the_good_arguments__are_taken() -> None:
    for name in _asked(Engine.from_columns(**COLUMNS)):
        ask, good = _asked(Engine.from_columns(**COLUMNS))[name]
        ask(**good)

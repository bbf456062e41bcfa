from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import shapely

from engine import EngineError
from service.points.engine import engine_from_table
from service.points.schema import POINT_SCHEMA

SQUARE = shapely.to_wkb(shapely.box(24.0, 60.0, 25.0, 61.0))
ROWS: list[dict[str, Any]] = [
    {"point_id": "near", "offer": "a/b", "lat": 60.5, "lng": 24.5, "radius_m": 10.0},
    {"point_id": "square", "offer": "a/b", "lat": 60.6, "lng": 24.5, "area": SQUARE, "features": "cold_locker;lift"},
    {"point_id": "hidden", "offer": "a/b", "lat": 60.5, "lng": 24.5, "visibility": "internal"},
    {"point_id": "timed", "offer": "a/c", "lat": 60.5, "lng": 24.5, "hours": "Mo-Fr 09:00-18:00",
     "timezone": "Europe/Helsinki", "country": "FI", "capacity": 2, "lead_s": 3600},
]  # fmt: skip


def _table(rows: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=POINT_SCHEMA)


def test_engine_from_table__carries_every_column() -> None:
    engine = engine_from_table(_table(ROWS))
    assert engine.point_ids(np.arange(4)) == ["near", "square", "hidden", "timed"]
    assert [match.point_id for match in engine.nearest(60.5, 24.5, "a/b", k=5).matches] == ["near", "square"]
    assert [match.point_id for match in engine.nearest(60.501, 24.5, "a/b", k=5).matches] == ["square"]
    assert [match.point_id for match in engine.nearest(60.5, 24.5, "a/b", features=("lift",)).matches] == ["square"]
    assert engine.units().tolist() == [-1, -1, -1, 2]
    tuesday = dt.datetime(2026, 11, 24, 12, tzinfo=dt.UTC)
    ask: dict[str, Any] = {"at": tuesday, "quantity": 2}
    assert engine.nearest(60.5, 24.5, "a/c", **ask, asked_at=tuesday - dt.timedelta(hours=1)).matches
    assert not engine.nearest(60.5, 24.5, "a/c", **ask, asked_at=tuesday - dt.timedelta(minutes=59)).matches
    assert not engine.nearest(60.5, 24.5, "a/c", at=tuesday + dt.timedelta(hours=4)).matches


def test_engine_from_table__fills_zone_and_country_where_they_are_missing() -> None:
    rows = [ROWS[0] | {"hours": "Mo-Su 00:00-24:00; PH off"}]
    with pytest.raises(EngineError, match="timezone"):
        engine_from_table(_table(rows))
    engine = engine_from_table(_table(rows), timezone="Europe/Helsinki", country="FI")
    holiday = dt.datetime(2026, 12, 25, 12, tzinfo=dt.UTC)
    assert not engine.nearest(60.5, 24.5, "a/b", at=holiday).matches
    assert engine.nearest(60.5, 24.5, "a/b", at=holiday + dt.timedelta(days=7 + 7)).matches


def test_engine_from_table__needs_no_more_than_the_first_four_columns() -> None:
    table = _table(ROWS).select(["point_id", "offer", "lat", "lng"])
    assert len(engine_from_table(table, timezone="UTC", country="FI").nearest(0.0, 0.0, "a/b", k=9).matches) == 3


def test_engine_from_table__takes_chunks_and_no_rows() -> None:
    chunks = pa.concat_tables([_table(ROWS[:2]), _table(ROWS[2:])])
    assert engine_from_table(chunks).n_rows == 4
    assert engine_from_table(_table([])).n_rows == 0

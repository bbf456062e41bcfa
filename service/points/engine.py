"""From a table of points to an engine."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import shapely
from numpy.typing import NDArray

from engine import Engine

__all__ = ["engine_from_table"]


def engine_from_table(table: pa.Table, *, timezone: str | None = None, country: str | None = None) -> Engine:
    """
    Return an engine whose rows are the table's.

    Parameters
    ----------
    table
        With the columns of `POINT_SCHEMA`; those after ``lng`` may be missing.
    timezone, country
        For the rows that do not tell theirs.

    Raises
    ------
    EngineError, GeoError
        If a row cannot be an offer of a point.
    """
    return Engine.from_columns(
        table["point_id"],
        table["offer"],
        table["lat"],
        table["lng"],
        areas=_areas(table),
        hours=_column(table, "hours"),
        timezone=_filled(table, "timezone", timezone),
        country=_filled(table, "country", country),
        capacity=_column(table, "capacity"),
        lead_s=_column(table, "lead_s"),
        features=_features(table),
        visibility=_column(table, "visibility"),
    )


def _column(table: pa.Table, name: str) -> Any:
    return table[name] if name in table.schema.names else None


def _areas(table: pa.Table) -> NDArray[np.object_]:
    areas = np.full(table.num_rows, None, object)
    radius_m, wkb = _column(table, "radius_m"), _column(table, "area")
    if radius_m is not None:
        areas[:] = radius_m.to_pylist()
    if wkb is not None:
        # A polygon that many rows share is one object, which the engine covers once.
        encoded = wkb.combine_chunks().dictionary_encode()
        codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        shapes = np.array([*shapely.from_wkb(encoded.dictionary.to_pylist()), None], object)
        areas[codes >= 0] = shapes[codes[codes >= 0]]
    return areas


def _filled(table: pa.Table, name: str, value: str | None) -> Any:
    column = _column(table, name)
    if column is None or value is None:
        return value if column is None else column
    return column.fill_null(value)


def _features(table: pa.Table) -> Any:
    column = _column(table, "features")
    return None if column is None else pc.split_pattern(column, ";")

"""Times of orders: ISO 8601 with an offset in text, or timestamps with a zone."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from service.matching.cells import Faults, as_mask, as_text, cast_each, shown

__all__ = ["NOT_TOLD", "as_instants_ns"]

NOT_TOLD = np.iinfo(np.int64).min
_INSTANT = pa.timestamp("ns", "UTC")
_OFFSET = re.compile(r".*\d(Z|[+-]\d\d(:?\d\d)?)")
_EARLIEST = np.datetime64("1970-01-01", "ns").astype(np.int64)
_END = np.datetime64("2100-01-01", "ns").astype(np.int64)


def as_instants_ns(column: pa.Array[Any], name: str, faults: Faults) -> NDArray[np.int64]:
    """
    Return instants as nanoseconds since 1970 in UTC, `NOT_TOLD` where the column is empty.

    Parameters
    ----------
    column
        Text with an offset such as ``2026-03-01T18:30:00+08:00`` (seconds and finer may be left out), or
        timestamps with a zone; from 1970 to 2099.
    name
        Of the column.
    faults
        Where rows with anything else are noted.
    """
    if pa.types.is_timestamp(column.type) and column.type.tz is not None:
        instants, faulty = cast_each(column, _INSTANT)
        faults.add(faulty, lambda i: f"{name} must be from 1970 to 2099, got {shown(column[i])}")
    elif pa.types.is_timestamp(column.type):
        instants = pa.nulls(len(column), _INSTANT)
        faults.add(as_mask(column.is_valid()), lambda i: f"{name} must have an offset or zone, got {shown(column[i])}")
    else:
        text = as_text(column, name, faults)
        instants, faulty = cast_each(text, _INSTANT)
        faults.add(faulty, lambda i: _reason(name, text[i]))
    ns = instants.cast(pa.int64()).fill_null(NOT_TOLD).to_numpy(zero_copy_only=False)
    faults.add(
        (ns != NOT_TOLD) & ((ns < _EARLIEST) | (ns >= _END)),
        lambda i: f"{name} must be from 1970 to 2099, got {shown(column[i])}",
    )
    return ns


def _reason(name: str, scalar: pa.Scalar[Any]) -> str:
    missing = "" if _OFFSET.fullmatch(scalar.as_py()) else "; it has no offset"
    return f"{name} must be a time such as 2026-03-01T18:30:00+08:00, got {shown(scalar)}{missing}"

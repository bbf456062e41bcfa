"""Turn instants into microseconds, or say which of them is wrong."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine.errors import InvalidColumnError, InvalidQueryError
from engine.inputs import as_list
from engine.lean import repeated

__all__ = ["EPOCH", "MICROSECOND", "NAT", "as_instants_us"]

NAT = np.iinfo(np.int64).min
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
MICROSECOND = dt.timedelta(microseconds=1)
_NEVER_FAR = frozenset({"ns", "ps", "fs", "as", "generic"})  # units in which nothing is told beyond year 2262
_YEARS = np.array(["0001", "10000"], "datetime64[Y]")


def as_instants_us(values: Any, argument: str, q: int) -> NDArray[np.int64]:
    """
    Return instants (one for all, or q) as microseconds since 1970 in UTC, `NAT` where there is none.

    Raises
    ------
    InvalidQueryError
        If one is a time without a zone, or no time; a datetime64 counts as UTC, and must lie in the years 1 to 9999.
    """
    if values is None:
        return repeated(np.int64(NAT), q)
    if isinstance(values, dt.datetime | np.datetime64) or not hasattr(values, "__len__"):
        return np.full(q, _microseconds(values, argument, None), np.int64)
    if isinstance(values, pa.Array | pa.ChunkedArray) and pa.types.is_timestamp(values.type):
        values = _arrow_instants(values, argument)
    if isinstance(values, np.ndarray) and values.dtype.kind == "M":
        instants = _of_datetime64(values, argument, 0)
    else:
        items = as_list(values, argument)
        instants = np.array([_microseconds(item, argument, i) for i, item in enumerate(items)], np.int64)
    if instants.size != q:
        raise InvalidColumnError(argument, f"must be one, or {q}, one for every query, got {instants.size}")
    return instants


def _arrow_instants(values: Any, argument: str) -> NDArray[np.datetime64]:
    if values.type.tz is None:
        raise InvalidQueryError(argument, "must have a time zone, got a column of timestamps without one")
    array = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    return array.to_numpy(zero_copy_only=False)


def _of_datetime64(values: NDArray[np.datetime64], argument: str, first: int | None) -> NDArray[np.int64]:
    """Return times of any unit in microseconds; ``first`` is the position of the first, None where there is one for all."""
    if np.datetime_data(values.dtype)[0] not in _NEVER_FAR:
        low, high = _YEARS.astype(values.dtype)
        good = np.isnat(values) | ((values >= low) & (values < high))
        if not good.all():  # in microseconds they would come round, as times of our years
            row = int(np.argmin(good))
            value = values.flat[row]
            position = None if first is None else first + row
            expected = f"must lie in the years 1 to 9999, got {value!s:.60}"
            raise InvalidQueryError(argument, expected, position=position, value=value)
    return values.astype("datetime64[us]").astype(np.int64)


def _microseconds(value: Any, argument: str, position: int | None) -> int:
    if value is None or value != value:
        return NAT
    if isinstance(value, np.datetime64):
        return int(_of_datetime64(np.array([value]), argument, position)[0])
    if not isinstance(value, dt.datetime) or value.utcoffset() is None:
        expected = f"must be a datetime with a time zone, got {value!r:.60}"
        raise InvalidQueryError(argument, expected, position=position, value=value)
    return (value - EPOCH) // MICROSECOND

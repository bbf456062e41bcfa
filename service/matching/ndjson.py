"""Reader of orders in NDJSON: one JSON object a line, strict about types."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

import numpy as np
import pyarrow as pa

from service.csv_records import is_unicode
from service.errors import BadFileError
from service.matching.columns import ORDER_COLUMNS, BadRow, RawOrders

__all__ = ["NdjsonOrders"]

_MAX_LINE_BYTES = 256 * 1024
_BOM = b"\xef\xbb\xbf"


class _BadLineError(ValueError):
    """A line that holds no order; its text is the reason."""


class NdjsonOrders:
    """Orders in NDJSON: UTF-8, lines of at most 256 KiB; a row is a line, empty ones are passed over."""

    def __init__(self, path: Path, source: BinaryIO, *, batch_rows: int) -> None:
        self._path = path
        self._source = source
        self._batch_rows = batch_rows
        self._size = max(1, path.stat().st_size)
        self._ignored: dict[str, None] = {}

    def __iter__(self) -> Iterator[RawOrders]:
        """Give the rows in batches."""
        row: list[int] = []
        orders: list[dict[str, Any]] = []
        bad: list[BadRow] = []
        for number, line in enumerate(self._lines(), 1):
            if not line.strip():
                continue
            try:
                orders.append(self._order(line))
                row.append(number)
            except _BadLineError as error:
                bad.append(BadRow(number, str(error)))
            if len(row) + len(bad) == self._batch_rows:
                yield _batch(row, orders, bad)
                row, orders, bad = [], [], []
        if row or bad:
            yield _batch(row, orders, bad)

    def share_read(self) -> float:
        """Tell how much of the file was read, from 0 to 1."""
        return self._source.tell() / self._size

    def ignored(self) -> list[str]:
        """Name the members met so far that mean nothing to linli."""
        return list(self._ignored)

    def _lines(self) -> Iterator[bytes]:
        try:
            line = self._source.readline(_MAX_LINE_BYTES + 1).removeprefix(_BOM)
            while line:
                yield line
                while len(line) > _MAX_LINE_BYTES and not line.endswith(b"\n"):
                    line = self._source.readline(_MAX_LINE_BYTES + 1)
                line = self._source.readline(_MAX_LINE_BYTES + 1)
        except OSError as error:
            raise BadFileError(self._path, None, f"cannot be read: {error}") from error

    def _order(self, line: bytes) -> dict[str, Any]:
        members = _parse(line)
        order = {name: take(name, members.pop(name, None)) for name, take in _TAKERS.items()}
        if members:
            self._ignored.update(dict.fromkeys(members))
        return order


def _parse(line: bytes) -> dict[str, Any]:
    if len(line) > _MAX_LINE_BYTES:
        message = f"must be a line of at most {_MAX_LINE_BYTES} bytes"
        raise _BadLineError(message)
    try:
        members = json.loads(line.decode(), object_pairs_hook=_members, parse_constant=_refuse_constant)
    except _BadLineError:
        raise
    except (ValueError, RecursionError) as error:
        message = f"must be JSON in UTF-8: {error!s:.200}"
        raise _BadLineError(message) from error
    if not isinstance(members, dict):
        message = f"must be a JSON object, got {members!r:.40}"
        raise _BadLineError(message)
    return members


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        message = "must have each member once"
        raise _BadLineError(message)
    return members


def _refuse_constant(name: str) -> NoReturn:
    message = f"must be JSON, which has no {name}"
    raise _BadLineError(message)


def _bad(name: str, expected: str, value: object) -> _BadLineError:
    return _BadLineError(f"{name} must be {expected}, got {value!r:.60}")


def _text(name: str, value: Any) -> str | None:
    if value is None or (isinstance(value, str) and is_unicode(value)):
        return value
    raise _bad(name, "text", value)


def _id(name: str, value: Any) -> str | None:
    return str(value) if type(value) is int else _text(name, value)


def _number(name: str, value: Any) -> float | None:
    if value is None:
        return None
    if type(value) in {int, float}:
        try:
            return float(value)
        except OverflowError:
            pass
    raise _bad(name, "a number in degrees", value)


def _whole(name: str, value: Any) -> int | None:
    if value is None or (type(value) is int and abs(value) < 2**63):
        return value
    raise _bad(name, "a whole number of at least 1", value)


def _keys(name: str, value: Any) -> list[str] | None:
    if value is None:
        return None
    if isinstance(value, list) and all(isinstance(key, str) and is_unicode(key) for key in value):
        return value
    raise _bad(name, "a list of texts", value)


_TAKERS: dict[str, Callable[[str, Any], Any]] = {
    "order_id": _id,
    "lat": _number,
    "lng": _number,
    "offer": _text,
    "at": _text,
    "asked_at": _text,
    "quantity": _whole,
    "features": _keys,
}
_SCHEMA = pa.schema(
    {name: pa.string() for name in ORDER_COLUMNS}
    | {"lat": pa.float64(), "lng": pa.float64(), "quantity": pa.int64(), "features": pa.list_(pa.string())}
)


def _batch(row: list[int], orders: list[dict[str, Any]], bad: list[BadRow]) -> RawOrders:
    batch = pa.RecordBatch.from_pylist(orders, schema=_SCHEMA)
    return RawOrders(np.array(row, np.int64), dict(zip(ORDER_COLUMNS, batch.columns, strict=True)), bad)

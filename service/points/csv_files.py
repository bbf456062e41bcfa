"""Points in CSV: UTF-8, a header, commas; areas as WKT, features separated by semicolons."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import shapely

from service.csv_records import csv_records, is_unicode
from service.errors import BadFileError
from service.headers import check_columns
from service.points.rows import EVERYWHERE, BadRow, RawPoints
from service.points.schema import POINT_SCHEMA, REQUIRED

__all__ = ["check_names", "read_csv", "write_csv"]

# A spreadsheet takes a cell that starts so for a formula and runs it. Such a cell is written with an apostrophe
# in front, as is one that already starts with apostrophes and then so; one apostrophe is taken off again on reading.
_STARTS = r"[=+\-@\t\r\uff1d\uff0b\uff0d\uff20]"  # the last four are the same in full width
_FORMULA = re.compile(f"'*{_STARTS}")
_ESCAPED = re.compile(f"'+{_STARTS}")
_TEXTS = tuple(field.name for field in POINT_SCHEMA if field.type == pa.string())
_LINES = 10_000


def read_csv(path: Path) -> RawPoints:
    """
    Return the rows of a CSV file, every cell as it stands; the header is row 1.

    Raises
    ------
    BadFileError
        If it cannot be read, or its header is no UTF-8, lacks a column or has one twice.
    """
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as source:
        records = enumerate(csv_records(csv.reader(source, strict=True)), 1)
        row, (_line, header, fault) = next(records, (1, (1, [], None)))
        if fault is not None:
            raise BadFileError(path, row, fault)
        if not all(map(is_unicode, header)):
            raise BadFileError(path, None, "the header must be in UTF-8")
        names = check_names(path, header)
        rows: list[int] = []
        bad: list[BadRow] = []
        cells: list[list[str]] = [[] for _ in header]
        for row, (_line, record, fault) in records:
            if fault is not None:
                bad.append(BadRow(row, fault))
            elif record and len(record) != len(header):
                bad.append(BadRow(row, f"must have {len(header)} cells, got {len(record)}"))
            elif any(record):
                rows.append(row)
                for column, cell in zip(cells, record, strict=True):
                    column.append(cell)
    columns = {name: _column(name, cells[header.index(name)]) for name in names}
    ignored = [name for name in header if name not in names]
    return RawPoints(np.array(rows, np.int64), columns, bad, ignored, empty_is_everywhere=False)


def write_csv(table: pa.Table, path: Path) -> None:
    """Write points as CSV that a spreadsheet cannot be made to run; an offer without any area says ``everywhere``."""
    with path.open("w", encoding="utf-8", newline="") as target:
        writer = csv.writer(target, lineterminator="\n")
        writer.writerow(table.schema.names)
        for start in range(0, table.num_rows, _LINES):
            batch = table.slice(start, _LINES)
            columns = [_written(batch, name) for name in table.schema.names]
            writer.writerows(zip(*columns, strict=True))


def check_names(path: Path, header: list[str]) -> list[str]:
    """Return the columns to read, or raise `BadFileError` if one is missing or there twice."""
    check_columns(path, header, REQUIRED)
    return [name for name in POINT_SCHEMA.names if name in header]


def _column(name: str, cells: list[str]) -> pa.Array[Any]:
    if name == "area":  # WKT is told from WKB by its type
        return pa.array([cell.encode("utf-8", "replace").decode() or None for cell in cells], pa.string())
    if name in _TEXTS:
        cells = [cell[1:] if cell[:1] == "'" and _ESCAPED.match(cell) else cell for cell in cells]
    return pa.array([cell.encode("utf-8", "surrogateescape") or None for cell in cells], pa.binary())


def _written(batch: pa.Table, name: str) -> list[Any]:
    values = batch[name].to_pylist()
    if name == "area":
        radii = batch["radius_m"].to_pylist()
        return [_area(wkb, radius) for wkb, radius in zip(values, radii, strict=True)]
    if name in _TEXTS:
        return [f"'{value}" if value is not None and _FORMULA.match(value) else value for value in values]
    if name == "synthetic":
        return [None if value is None else str(value).lower() for value in values]
    return [repr(value) if isinstance(value, float) else value for value in values]


def _area(wkb: bytes | None, radius_m: float | None) -> str | None:
    if wkb is not None:
        return shapely.to_wkt(shapely.from_wkb(wkb), rounding_precision=-1)
    return EVERYWHERE if radius_m is None else None

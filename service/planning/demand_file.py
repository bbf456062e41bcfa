"""Read demand files: the good rows, and what is wrong with the others."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from engine.demand import MOST_WEIGHT
from geo.datums import convert_datum
from service.csv_records import csv_records, is_unicode
from service.errors import BadFileError
from service.files import format_of
from service.headers import check_columns

__all__ = ["DemandFile", "read_demand"]

_NUMBERS = ("lat", "lng", "weight")
_LIMITS = {"lat": (-90.0, 90.0), "lng": (-180.0, 180.0), "weight": (0.0, MOST_WEIGHT)}
_FORMATS = {".csv": "csv", ".parquet": "parquet"}


@dataclass(frozen=True)
class DemandFile:
    """
    What a demand file holds.

    Attributes
    ----------
    lat, lng
        Degrees, WGS 84, whatever datum the file has.
    weight
        At least 0.
    labels
        Text of the district column, None where it is empty; None if no column was asked for.
    bad
        An error for each row that was left out, in the order of the file.
    """

    lat: NDArray[np.float64]
    lng: NDArray[np.float64]
    weight: NDArray[np.float64]
    labels: NDArray[np.object_] | None
    bad: tuple[BadFileError, ...]

    @property
    def columns(self) -> dict[str, NDArray[np.float64]]:
        """The columns that `engine.coverage` takes."""
        return {"lat": self.lat, "lng": self.lng, "weight": self.weight}


@dataclass(frozen=True)
class _Raw:
    """Rows as they stand: where (in CSV the line of the header is 1, in Parquet the first row), and their values."""

    row: NDArray[np.int64]
    columns: dict[str, list[Any]]
    bad: list[BadFileError]


def read_demand(path: Path, *, datum: str = "wgs84", label_column: str | None = None) -> DemandFile:
    """
    Read ``lat, lng, weight`` and what names the district from a CSV or Parquet file.

    Parameters
    ----------
    path
        Parquet, or CSV in UTF-8 with a header, by its suffix.
    datum
        Datum of the file's places.
    label_column
        Column that names the district of a row.

    Raises
    ------
    BadFileError
        If the file cannot be read, or lacks a column or has one twice. A bad row is no error here: it is told in ``bad``.
    """
    wanted = list(dict.fromkeys([*_NUMBERS, *([label_column] if label_column else [])]))
    raw = _read_parquet(path, wanted) if format_of(path, _FORMATS) == "parquet" else _read_csv(path, wanted)
    numbers = {name: np.array([_number(value) for value in raw.columns[name]], np.float64) for name in _NUMBERS}
    good = np.ones(raw.row.size, bool)
    bad = list(raw.bad)
    for name in _NUMBERS:
        low, high = _LIMITS[name]
        wrong = good & ~((numbers[name] >= low) & (numbers[name] <= high) & np.isfinite(numbers[name]))
        bad += [_bad(path, int(raw.row[i]), name, raw.columns[name][i]) for i in np.flatnonzero(wrong).tolist()]
        good &= ~wrong
    lat, lng = convert_datum(numbers["lat"][good], numbers["lng"][good], source=datum, target="wgs84")
    labels = None if label_column is None else _texts(raw.columns[label_column])[good]
    in_order = tuple(sorted(bad, key=lambda error: error.row or 0))
    return DemandFile(np.asarray(lat), np.asarray(lng), numbers["weight"][good], labels, in_order)


def _bad(path: Path, row: int, name: str, came: object) -> BadFileError:
    low, high = _LIMITS[name]
    told = str(came) if isinstance(came, Decimal) else repr(came)
    return BadFileError(path, row, f"{name} must be a number in [{low:g}, {high:g}], got {told:.40}")


def _read_parquet(path: Path, wanted: list[str]) -> _Raw:
    try:
        with pq.ParquetFile(path) as file:
            check_columns(path, file.schema_arrow.names, wanted)
            table = file.read(columns=wanted)
    except (OSError, UnicodeDecodeError, pa.ArrowException) as error:
        raise BadFileError(path, None, f"cannot be read as Parquet: {error}") from error
    columns = {name: table[name].to_pylist() for name in wanted}
    return _Raw(np.arange(1, table.num_rows + 1), columns, [])


def _read_csv(path: Path, wanted: list[str]) -> _Raw:
    rows: list[int] = []
    columns: dict[str, list[Any]] = {name: [] for name in wanted}
    bad: list[BadFileError] = []
    try:
        with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = next(reader, [])
            if not all(map(is_unicode, header)):
                raise BadFileError(path, None, "the header must be in UTF-8")
            check_columns(path, header, wanted)
            places = [header.index(name) for name in wanted]
            for line, fields, fault in csv_records(reader):
                if fault is not None:
                    bad.append(BadFileError(path, line, fault))
                elif not fields:
                    continue
                elif len(fields) != len(header):
                    reason = f"must have {len(header)} fields as the header has, got {len(fields)}"
                    bad.append(BadFileError(path, line, reason))
                elif not all(is_unicode(fields[place]) for place in places):
                    bad.append(BadFileError(path, line, "must be in UTF-8"))
                else:
                    rows.append(line)
                    for name, place in zip(wanted, places, strict=True):
                        columns[name].append(fields[place])
    except (OSError, csv.Error) as error:
        raise BadFileError(path, None, f"cannot be read as CSV: {error}") from error
    return _Raw(np.array(rows, np.int64), columns, bad)


def _number(value: object) -> float:
    """Return a number, NaN if the value is none."""
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal) or "_" in str(value):
        return np.nan
    try:
        return float(value)
    except (ValueError, OverflowError):
        return np.nan


def _texts(values: list[Any]) -> NDArray[np.object_]:
    texts = np.empty(len(values), object)
    texts[:] = [None if value is None or value == "" else str(value) for value in values]
    return texts

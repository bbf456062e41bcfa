"""Points files: read with every row checked, written whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from engine.norms import Norms
from service.errors import BadFileError
from service.files import atomic_path, format_of
from service.points.checks import check_points
from service.points.csv_files import check_names, read_csv, write_csv
from service.points.geojson_files import read_geojson, write_geojson
from service.points.rows import Checked, RawPoints
from service.points.schema import POINT_SCHEMA

__all__ = ["POINT_FORMATS", "PointsFile", "read_points", "write_points"]

POINT_FORMATS = {".parquet": "parquet", ".csv": "csv", ".geojson": "geojson", ".json": "geojson"}
_READERS = {"csv": read_csv, "geojson": read_geojson}


@dataclass(frozen=True)
class PointsFile:
    """
    What a points file holds.

    Attributes
    ----------
    table
        The good rows, with the columns of `POINT_SCHEMA`, places in WGS 84, every gap in time zone and country
        filled where that was possible.
    row
        Where each good row stands in its file.
    bad
        An error for each of the others, in the order of the file.
    bad_points
        The points of these rows; None is among them where that of a row cannot be told.
    ignored
        Columns that mean nothing to linli.
    default_areas
        How many rows of each offer got their norm's radius.
    zone_origin, country_origin
        How many rows have theirs from ``column``, ``option``, ``place``, or ``nowhere``.
    """

    table: pa.Table
    row: NDArray[np.int64]
    bad: tuple[BadFileError, ...]
    bad_points: frozenset[str | None]
    ignored: tuple[str, ...]
    default_areas: dict[str, int]
    zone_origin: dict[str, int]
    country_origin: dict[str, int]


def read_points(
    path: Path,
    *,
    datum: str = "wgs84",
    timezone: str | None = None,
    country: str | None = None,
    norms: Norms | None = None,
    known: Mapping[str, str] | None = None,
    strict: bool = False,
) -> PointsFile:
    """
    Read a points file: Parquet, CSV or GeoJSON by its suffix.

    Parameters
    ----------
    path
        The file.
    datum
        Datum of its places and areas.
    timezone, country
        For rows that do not tell theirs; None to look them up from the place.
    norms
        If given, an offer of a CSV or GeoJSON file that tells no area serves within its norm's radius, unless its
        area says ``everywhere``; without norms it serves everywhere. In Parquet an empty area always means
        everywhere, if the file has that column.
    known
        Points that are held already, and what has them; their rows are bad.
    strict
        Whether the first bad row is raised; otherwise it is told in ``bad`` and the good ones go on.

    Raises
    ------
    BadFileError
        If the file cannot be read or lacks a column, or for its first bad row if ``strict``.
    """
    kind = format_of(path, POINT_FORMATS)
    try:
        raw = _READERS.get(kind, _read_parquet)(path)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise BadFileError(path, None, f"cannot be read: {error}") from error
    checked = check_points(raw, datum=datum, timezone=timezone, country=country, norms=norms, known=known)
    return _points_file(path, raw, checked, strict=strict)


def write_points(table: pa.Table, path: Path) -> None:
    """
    Write points as Parquet, CSV or GeoJSON by the suffix; the file is whole or not there.

    Parameters
    ----------
    table
        With the columns of `POINT_SCHEMA`.
    path
        Where to.

    Raises
    ------
    BadFileError
        If it cannot be written there, or the suffix is another.
    """
    kind = format_of(path, POINT_FORMATS)
    with atomic_path(path) as temporary:
        if kind == "parquet":
            pq.write_table(table, temporary, compression="zstd")
        elif kind == "csv":
            write_csv(table, temporary)
        else:
            write_geojson(table, temporary)


def _points_file(path: Path, raw: RawPoints, checked: Checked, *, strict: bool) -> PointsFile:
    bad = tuple(BadFileError(path, bad.row, bad.reason) for bad in checked.bad)
    if strict and bad:
        raise bad[0]
    return PointsFile(
        checked.table,
        checked.row,
        bad,
        frozenset(bad.point_id for bad in checked.bad),
        tuple(raw.ignored),
        checked.default_areas,
        checked.zone_origin,
        checked.country_origin,
    )


def _read_parquet(path: Path) -> RawPoints:
    table = pq.ParquetFile(path).read()
    names = check_names(path, table.schema.names)
    columns = {}
    for name in names:
        column = table[name].combine_chunks()
        columns[name] = column.dictionary_decode() if isinstance(column, pa.DictionaryArray) else column
    ignored = [name for name in table.schema.names if name not in POINT_SCHEMA.names]
    tells_areas = "area" in names or "radius_m" in names
    row = np.arange(1, table.num_rows + 1)
    return RawPoints(row, columns, [], ignored, empty_is_everywhere=tells_areas)

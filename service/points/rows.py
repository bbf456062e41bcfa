"""A points file as it stands, and what came of checking it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

__all__ = ["EVERYWHERE", "BadRow", "Checked", "RawPoints"]

EVERYWHERE = "everywhere"
"""What the ``area`` of a CSV or GeoJSON file says where an offer serves everywhere, whatever its norm."""


class BadRow(NamedTuple):
    """A row that cannot be a point: where it stands in its file, why, and whose it is, None where that cannot be told."""

    row: int
    reason: str
    point_id: str | None = None


@dataclass(frozen=True)
class RawPoints:
    """
    A file's rows, n of them, unchecked.

    Attributes
    ----------
    row
        Where each stands, as a person finds it: in CSV the header is row 1, in GeoJSON the first feature is row 1,
        in Parquet the first row.
    columns
        By name, those of `POINT_SCHEMA` that the file has, each of length n.
    bad
        Rows that could not even be taken apart; they are in no column.
    ignored
        Other columns of the file.
    empty_is_everywhere
        Whether an empty area means everywhere (linli's own files), not that the source does not tell.
    """

    row: NDArray[np.int64]
    columns: Mapping[str, pa.Array[Any]]
    bad: list[BadRow]
    ignored: list[str]
    empty_is_everywhere: bool


@dataclass(frozen=True)
class Checked:
    """
    The good rows, and what is to be told about them.

    Attributes
    ----------
    table
        With the columns of `POINT_SCHEMA`.
    row
        Where each good row stands in its file.
    bad
        The others, by row.
    default_areas
        How many rows of each offer got their norm's radius.
    zone_origin, country_origin
        How many rows have theirs from ``column``, ``option``, ``place``, or ``nowhere``.
    """

    table: pa.Table
    row: NDArray[np.int64]
    bad: list[BadRow]
    default_areas: dict[str, int] = field(default_factory=dict)
    zone_origin: dict[str, int] = field(default_factory=dict)
    country_origin: dict[str, int] = field(default_factory=dict)

"""What an orders file holds, and how its rows go from the file to the engine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from service.headers import check_columns

__all__ = ["ORDER_COLUMNS", "BadRow", "Orders", "OrdersFile", "RawOrders", "check_header"]

ORDER_COLUMNS = ("order_id", "lat", "lng", "offer", "at", "asked_at", "quantity", "features")
_REQUIRED = ("order_id", "lat", "lng", "offer")


class BadRow(NamedTuple):
    """A row that cannot be answered: where it stands in its file, and why."""

    row: int
    reason: str


@dataclass(frozen=True)
class RawOrders:
    """
    A batch as it stands in the file.

    Attributes
    ----------
    row
        Where each order stands, as a person finds it: in CSV the header is row 1, in NDJSON a row is a
        line, in Parquet the first order is row 1.
    columns
        Those of `ORDER_COLUMNS` that the file has, unchecked, each as long as ``row``.
    bad
        Rows that could not even be taken apart; they are in no column.
    """

    row: NDArray[np.int64]
    columns: Mapping[str, pa.Array[Any]]
    bad: list[BadRow]


@dataclass(frozen=True)
class Orders:
    """
    Orders that can be asked, n of them, in WGS 84 and UTC.

    Attributes
    ----------
    order_id
        As it came, n strings.
    lat, lng
        Degrees, shape (n,).
    offer, offers
        ``offers[offer[i]]`` is the offer of order i.
    at, asked_at
        datetime64[us], cut to it where the file is finer, shape (n,); NaT where it was empty.
    turn_ns
        When each was asked, in nanoseconds since 1970; the greatest int64 where that is not told.
    quantity
        Units, shape (n,).
    wants, feature_sets
        ``feature_sets[wants[i]]`` is what order i requires.
    """

    order_id: pa.Array[Any]
    lat: NDArray[np.float64]
    lng: NDArray[np.float64]
    offer: NDArray[np.int32]
    offers: list[str]
    at: NDArray[np.datetime64]
    asked_at: NDArray[np.datetime64]
    turn_ns: NDArray[np.int64]
    quantity: NDArray[np.int64]
    wants: NDArray[np.int32]
    feature_sets: list[frozenset[str]]

    def __len__(self) -> int:
        return self.lat.size


class OrdersFile(Protocol):
    """An open file of orders, read once from its start."""

    def __iter__(self) -> Iterator[RawOrders]:
        """Give its rows in batches."""

    def share_read(self) -> float:
        """Tell how much of the file was read, from 0 to 1."""

    def ignored(self) -> list[str]:
        """Name the columns met so far that mean nothing to linli."""


def check_header(path: Path, names: list[str]) -> list[str]:
    """Return the columns to read, or raise `BadFileError` if one is missing or there twice."""
    check_columns(path, names, _REQUIRED)
    return [name for name in ORDER_COLUMNS if name in names]

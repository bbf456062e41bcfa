"""Points as a structure of arrays: one row for every offer of every point, in the order they came."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import reduce
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine.areas import AreaColumns, area_columns
from engine.errors import InvalidColumnError
from engine.ids import IdTable, joined_ids
from engine.inputs import Column, as_degrees, as_flags, as_list, as_offers, as_text, as_whole
from engine.kernels.stock import NO_SHELF
from engine.lean import lean, repeated, taken
from engine.stock import PointStock, parse_stock
from geo.places import check_latlng

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.drafts import Draft

__all__ = ["PAUSED", "PUBLIC", "SUSPENDED", "UNLIMITED", "VISIBILITIES", "Columns", "joined_columns", "parse_columns"]

REQUIRED = ("point_ids", "offers", "lat", "lng")
OPTIONAL = (
    "areas",
    "hours",
    "timezone",
    "country",
    "capacity",
    "lead_s",
    "features",
    "paused",
    "suspended",
    "visibility",
    "stock",
)
NAMES = REQUIRED + OPTIONAL
"""What `Engine.from_columns` takes, by name."""

VISIBILITIES = ("public", "unlisted", "internal")
PUBLIC = 0
UNLIMITED = -1
MAX_ROWS = 2**31 - 1
MAX_LEAD_S = 10 * 366 * 86_400
PAUSED = 1
SUSPENDED = 2


@dataclass(frozen=True, kw_only=True)
class Columns:
    """
    n rows. Codes refer to the `Vocabulary`. A column whose rows are all alike may be one element seen n times.

    Attributes
    ----------
    ids, point
        The distinct point ids, and int32[n]: each row's number there.
    offer
        int32[n], codes.
    lat, lng
        float64[n], degrees, WGS 84.
    schedule
        int32[n], -1 where hours are unknown.
    lead_s
        int32[n], seconds.
    feature_set
        int32[n], codes.
    flags
        uint8[n], `PAUSED` and `SUSPENDED` bits.
    visibility
        uint8[n], positions in `VISIBILITIES`.
    units
        int64[n] left, `UNLIMITED` where there is no limit.
    areas
        The service areas.
    shelf
        int64[n]: words of `engine.shelves.Shelves`, `NO_SHELF` where no stock is kept.
    """

    ids: IdTable
    point: NDArray[np.int32]
    offer: NDArray[np.int32]
    lat: NDArray[np.float64]
    lng: NDArray[np.float64]
    schedule: NDArray[np.int32]
    lead_s: NDArray[np.int32]
    feature_set: NDArray[np.int32]
    flags: NDArray[np.uint8]
    visibility: NDArray[np.uint8]
    units: NDArray[np.int64]
    areas: AreaColumns
    shelf: NDArray[np.int64]

    @property
    def n_rows(self) -> int:
        """How many rows there are."""
        return self.point.size

    def none(self) -> Columns:
        """Return no rows, with the same dtypes."""
        nothing = np.empty(0, np.int64)
        plain = {name: getattr(self, name)[nothing] for name in _plain_names()}
        ids, _, _ = IdTable.from_strings(pa.array([], pa.large_string()))
        return Columns(ids=ids, areas=self.areas.take(nothing), **plain)

    def without_units(self) -> Columns:
        """Return the same rows without a memory of capacities left and shelves, which stand elsewhere."""
        n = self.n_rows
        return replace(self, units=repeated(np.int64(UNLIMITED), n), shelf=repeated(np.int64(NO_SHELF), n))

    def lean(self) -> Columns:
        """Return the same rows with the memory of one element for columns whose rows are all alike."""
        plain: dict[str, Any] = {name: lean(getattr(self, name)) for name in _plain_names()}
        return replace(self, areas=self.areas.lean(), **plain)

    def with_units(self, units: NDArray[np.int64]) -> Columns:
        """Return the same rows with other capacities left."""
        return replace(self, units=units)

    def with_shelf(self, shelf: NDArray[np.int64]) -> Columns:
        """Return the same rows with other shelves."""
        return replace(self, shelf=shelf)

    def take(self, rows: NDArray[np.int64]) -> Columns:
        """Return some rows, ascending."""
        used, point = np.unique(self.point[rows], return_inverse=True)
        ids, number, _ = IdTable.from_strings(self.ids.take(used.astype(np.int64)))
        plain = {name: taken(getattr(self, name), rows) for name in _plain_names()}
        plain["point"] = number[point].astype(np.int32)
        return Columns(ids=ids, areas=self.areas.take(rows), **plain)


def _plain_names() -> list[str]:
    return [field.name for field in fields(Columns) if field.name not in {"ids", "areas"}]


def joined_columns(pieces: Sequence[tuple[Columns, NDArray[np.bool_]]]) -> Columns:
    """
    Return the rows of several columns, one after the other, that are kept: bool[n] by columns.

    No point may have rows kept in two of them: ids are not compared anew.
    """
    kept_ids = []
    for columns, kept in pieces:
        used = np.zeros(columns.ids.size, np.bool_)
        used[columns.point[kept]] = True
        kept_ids.append(used)
    ids, numbers = joined_ids([columns.ids for columns, _ in pieces], kept_ids)
    plain = {
        name: np.concatenate([getattr(columns, name)[kept] for columns, kept in pieces]) for name in _plain_names()
    }
    plain["point"] = np.concatenate(
        [number[columns.point[kept]] for (columns, kept), number in zip(pieces, numbers, strict=True)], dtype=np.int32
    )
    areas = [columns.areas if kept.all() else columns.areas.take(np.flatnonzero(kept)) for columns, kept in pieces]
    return Columns(ids=ids, areas=reduce(AreaColumns.followed_by, areas), **plain)


def parse_columns(draft: Draft, given: dict[str, Column]) -> tuple[Columns, PointStock | None]:
    """
    Check the arguments of `Engine.from_columns` and return them as arrays, and what the points keep in stock.

    Raises
    ------
    EngineError, GeoError
        For the first bad element, with argument and position.
    """
    _check_names(given)
    texts = as_text(given["point_ids"], "point_ids")
    n = len(texts)
    if n > MAX_ROWS:
        raise InvalidColumnError("point_ids", f"must have at most {MAX_ROWS} elements, got {n}")
    ids, point, first = IdTable.from_strings(texts)
    offer, offers = as_offers(given["offers"], "offers", n)
    lat, lng = (degrees.copy() for degrees in check_latlng(as_degrees(given["lat"]), as_degrees(given["lng"])))
    if lat.size != n:
        raise InvalidColumnError("lat", f"must have {n} elements, one for every row, got {lat.size}")
    areas = area_columns(given.get("areas"), n)
    lead_s, units = repeated(np.int64(0), n), repeated(np.int64(UNLIMITED), n)
    if given.get("lead_s") is not None:
        lead_s = as_whole(given["lead_s"], "lead_s", n, missing=0, minimum=0, maximum=MAX_LEAD_S)
    if given.get("capacity") is not None:
        units = as_whole(given["capacity"], "capacity", n, missing=UNLIMITED, minimum=0)
    flags = PAUSED * as_flags(given.get("paused"), "paused", n) + SUSPENDED * as_flags(
        given.get("suspended"), "suspended", n
    )
    visibility = _visibility(given.get("visibility"), n)
    _check_one_place(point, first, lat, lng)
    _check_offer_once(point, offer, ids, offers)
    stock = parse_stock(draft, given.get("stock"), ids, point)
    schedule = _schedule(draft, given, n)
    columns = Columns(
        ids=ids,
        point=point.astype(np.int32),
        offer=(draft.offer_codes(offers)[offer] if n else offer).astype(np.int32),
        lat=lat,
        lng=lng,
        schedule=schedule,
        lead_s=lead_s.astype(np.int32),
        feature_set=draft.feature_codes(given.get("features"), n),
        flags=flags.astype(np.uint8),
        visibility=visibility,
        units=units,
        areas=areas,
        shelf=repeated(np.int64(NO_SHELF), n),
    )
    return columns, stock


def _check_names(given: dict[str, Column]) -> None:
    for name in REQUIRED:
        if name not in given:
            raise InvalidColumnError(name, f"must be given: columns are {', '.join(NAMES)}")
    for name in given:
        if name not in NAMES:
            raise InvalidColumnError(name, f"must be one of the columns {', '.join(NAMES)}")


def _schedule(draft: Draft, given: dict[str, Column], n: int) -> NDArray[np.int32]:
    hours = given.get("hours")
    if hours is None:
        return np.full(n, -1, np.int32)
    zone = _one_or_many(given.get("timezone"), "timezone", n)
    country = _one_or_many(given.get("country"), "country", n)
    return draft.schedule_ids(hours, zone, country)


def _one_or_many(values: Column | None, argument: str, n: int) -> Column:
    if values is None or isinstance(values, str):
        return [values] * n
    try:
        size = len(values)
    except TypeError:
        expected = f"must be one text, or a column of {n}, got {values!r:.60}"
        raise InvalidColumnError(argument, expected, value=values) from None
    if size != n:
        raise InvalidColumnError(argument, f"must be one, or {n}, one for every row, got {size}")
    return values


def _visibility(values: Column | None, n: int) -> NDArray[np.uint8]:
    if values is None:
        return np.zeros(n, np.uint8)
    items = as_list(values, "visibility")
    if len(items) != n:
        raise InvalidColumnError("visibility", f"must have {n} elements, one for every row, got {len(items)}")
    codes = {name: code for code, name in enumerate(VISIBILITIES)} | {None: PUBLIC}
    for position, item in enumerate(items):
        if not isinstance(item, str | None) or item not in codes:
            expected = f"must be one of {', '.join(VISIBILITIES)}, got {item!r:.60}"
            raise InvalidColumnError("visibility", expected, position=position, value=item)
    return np.array([codes[item] for item in items], np.uint8)


def _check_one_place(
    point: NDArray[np.int64], first: NDArray[np.int32], lat: NDArray[np.float64], lng: NDArray[np.float64]
) -> None:
    if first.size == point.size:  # every point has one row
        return
    elsewhere = (lat != lat[first][point]) | (lng != lng[first][point])
    if elsewhere.any():
        position = int(np.argmax(elsewhere))
        first_row = int(first[point[position]])
        expected = f"must be one place for all offers of a point, got another than in row {first_row}"
        raise InvalidColumnError("lat", expected, position=position, value=float(lat[position]))


def _check_offer_once(point: NDArray[np.int64], offer: NDArray[np.int64], ids: IdTable, offers: list[str]) -> None:
    if ids.size == point.size:
        return
    key = point * len(offers) + offer
    in_order = np.sort(key)
    if (in_order[1:] != in_order[:-1]).all():
        return
    seen = np.unique(key, return_index=True)[1]
    position = int(np.setdiff1d(np.arange(key.size), seen)[0])
    name, text = ids.text(int(point[position])), offers[int(offer[position])]
    expected = f"must name an offer once for a point, got {text} of {name!r:.60} again"
    raise InvalidColumnError("offers", expected, position=position, value=text)

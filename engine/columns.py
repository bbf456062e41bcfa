"""Points as a structure of arrays: one row for every offer of every point, in the order they came."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine.areas import AreaColumns, area_columns
from engine.errors import InvalidColumnError
from engine.ids import IdTable
from engine.inputs import Column, as_degrees, as_flags, as_list, as_offers, as_text, as_whole
from engine.vocabulary import Vocabulary
from geo.places import check_latlng

__all__ = ["PAUSED", "PUBLIC", "SUSPENDED", "UNLIMITED", "VISIBILITIES", "Columns", "parse_columns"]

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
)
NAMES = REQUIRED + OPTIONAL
"""What `Engine.from_columns` takes, by name."""

VISIBILITIES = ("public", "unlisted", "internal")
PUBLIC = 0
UNLIMITED = -1
MAX_LEAD_S = 10 * 366 * 86_400
PAUSED = 1
SUSPENDED = 2


@dataclass(frozen=True, kw_only=True)
class Columns:
    """
    n rows. Codes refer to the `Vocabulary`.

    Attributes
    ----------
    ids, point
        The distinct point ids, and int64[n]: each row's number there.
    offer
        int64[n], codes.
    lat, lng
        float64[n], degrees, WGS 84.
    schedule
        int32[n], -1 where hours are unknown.
    lead_s
        int64[n], seconds.
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
    """

    ids: IdTable
    point: NDArray[np.int64]
    offer: NDArray[np.int64]
    lat: NDArray[np.float64]
    lng: NDArray[np.float64]
    schedule: NDArray[np.int32]
    lead_s: NDArray[np.int64]
    feature_set: NDArray[np.int32]
    flags: NDArray[np.uint8]
    visibility: NDArray[np.uint8]
    units: NDArray[np.int64]
    areas: AreaColumns

    @property
    def n_rows(self) -> int:
        """How many rows there are."""
        return self.point.size

    def take(self, rows: NDArray[np.int64]) -> Columns:
        """Return the columns of these rows, in this order."""
        ids, point = IdTable.from_strings(self.ids.take(self.point[rows]))
        taken: dict[str, Any] = {
            field.name: getattr(self, field.name)[rows]
            for field in fields(self)
            if field.name not in {"ids", "point", "areas"}
        }
        return Columns(ids=ids, point=point, areas=self.areas.take(rows), **taken)

    def followed_by(self, other: Columns) -> Columns:
        """Return these rows and then the other's."""
        texts = pa.concat_arrays([self.ids.take(self.point), other.ids.take(other.point)])
        ids, point = IdTable.from_strings(texts)
        joined: dict[str, Any] = {
            field.name: np.concatenate([getattr(self, field.name), getattr(other, field.name)])
            for field in fields(self)
            if field.name not in {"ids", "point", "areas"}
        }
        return Columns(ids=ids, point=point, areas=self.areas.followed_by(other.areas), **joined)

    def with_units(self, units: NDArray[np.int64]) -> Columns:
        """Return the same rows with other capacities left."""
        return replace(self, units=units)


def parse_columns(vocabulary: Vocabulary, given: dict[str, Column]) -> Columns:
    """
    Check the arguments of `Engine.from_columns` and return them as arrays.

    Raises
    ------
    EngineError, GeoError
        For the first bad element, with argument and position.
    """
    _check_names(given)
    texts = as_text(given["point_ids"], "point_ids")
    n = len(texts)
    ids, point = IdTable.from_strings(texts)
    offer, offers = as_offers(given["offers"], "offers", n)
    lat, lng = (degrees.copy() for degrees in check_latlng(as_degrees(given["lat"]), as_degrees(given["lng"])))
    if lat.size != n:
        raise InvalidColumnError("lat", f"must have {n} elements, one for every row, got {lat.size}")
    areas = area_columns(given.get("areas"), n)
    lead_s = as_whole(given.get("lead_s"), "lead_s", n, missing=0, minimum=0, maximum=MAX_LEAD_S)
    units = as_whole(given.get("capacity"), "capacity", n, missing=UNLIMITED, minimum=0)
    flags = PAUSED * as_flags(given.get("paused"), "paused", n) + SUSPENDED * as_flags(
        given.get("suspended"), "suspended", n
    )
    visibility = _visibility(given.get("visibility"), n)
    _check_one_place(point, lat, lng)
    _check_offer_once(point, offer, ids, offers)
    schedule = _schedule(vocabulary, given, n)
    return Columns(
        ids=ids,
        point=point,
        offer=vocabulary.offer_codes(offers)[offer] if n else offer,
        lat=lat,
        lng=lng,
        schedule=schedule,
        lead_s=lead_s,
        feature_set=vocabulary.feature_codes(given.get("features"), n),
        flags=flags.astype(np.uint8),
        visibility=visibility,
        units=units,
        areas=areas,
    )


def _check_names(given: dict[str, Column]) -> None:
    for name in REQUIRED:
        if name not in given:
            raise InvalidColumnError(name, f"must be given: columns are {', '.join(NAMES)}")
    for name in given:
        if name not in NAMES:
            raise InvalidColumnError(name, f"must be one of the columns {', '.join(NAMES)}")


def _schedule(vocabulary: Vocabulary, given: dict[str, Column], n: int) -> NDArray[np.int32]:
    hours = given.get("hours")
    if hours is None:
        return np.full(n, -1, np.int32)
    zone = _one_or_many(given.get("timezone"), "timezone", n)
    country = _one_or_many(given.get("country"), "country", n)
    return vocabulary.book.intern_many(hours, zone, country)


def _one_or_many(values: Column | None, argument: str, n: int) -> Column:
    if values is None or isinstance(values, str):
        return [values] * n
    if len(values) != n:
        raise InvalidColumnError(argument, f"must be one, or {n}, one for every row, got {len(values)}")
    return values


def _visibility(values: Column | None, n: int) -> NDArray[np.uint8]:
    if values is None:
        return np.zeros(n, np.uint8)
    items = as_list(values)
    if len(items) != n:
        raise InvalidColumnError("visibility", f"must have {n} elements, one for every row, got {len(items)}")
    codes = {name: code for code, name in enumerate(VISIBILITIES)} | {None: PUBLIC}
    for position, item in enumerate(items):
        if not isinstance(item, str | None) or item not in codes:
            expected = f"must be one of {', '.join(VISIBILITIES)}, got {item!r:.60}"
            raise InvalidColumnError("visibility", expected, position=position, value=item)
    return np.array([codes[item] for item in items], np.uint8)


def _check_one_place(point: NDArray[np.int64], lat: NDArray[np.float64], lng: NDArray[np.float64]) -> None:
    _, first = np.unique(point, return_index=True)
    elsewhere = (lat != lat[first][point]) | (lng != lng[first][point]) if point.size else np.zeros(0, np.bool_)
    if elsewhere.any():
        position = int(np.argmax(elsewhere))
        first_row = int(first[point[position]])
        expected = f"must be one place for all offers of a point, got another than in row {first_row}"
        raise InvalidColumnError("lat", expected, position=position, value=float(lat[position]))


def _check_offer_once(point: NDArray[np.int64], offer: NDArray[np.int64], ids: IdTable, offers: list[str]) -> None:
    order = np.lexsort((offer, point))
    again = (point[order][1:] == point[order][:-1]) & (offer[order][1:] == offer[order][:-1])
    if again.any():
        position = int(order[1:][again].min())
        name, text = ids.text(int(point[position])), offers[int(offer[position])]
        expected = f"must name an offer once for a point, got {text} of {name!r:.60} again"
        raise InvalidColumnError("offers", expected, position=position, value=text)

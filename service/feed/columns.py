"""From rows of the store to the engine's columns."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
from sqlalchemy import ColumnElement, case

from engine import NOT_KEPT, StockEntries
from engine.shelves import MAX_UNITS
from service.points.special_days import hours_with_special_days
from service.store.tables import merchants, offers, points

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.store.connections import AnyRow

__all__ = ["COLUMNS", "REVISION", "columns_of", "joined_features", "split_features", "stock_of", "units_left"]

_NAT = np.iinfo(np.int64).min
_NOBODYS = "internal"  # nobody is told of the points of a merchant that is not verified, not even why they do not serve

REVISION: ColumnElement[int] = 2 * points.c.revision + case((merchants.c.status == "verified", 1), else_=0)
"""What a point is apart from its stock: its revision doubled, and whether its merchant may serve."""

COLUMNS = (
    points.c.point_id,
    points.c.merchant_id,
    REVISION.label("revision"),
    points.c.stock_revision,
    points.c.lat,
    points.c.lng,
    points.c.timezone,
    points.c.country,
    points.c.visibility,
    points.c.features,
    points.c.special_days,
    points.c.is_paused,
    merchants.c.status,
    offers.c.offer,
    offers.c.radius_m,
    offers.c.area,
    offers.c.hours,
    offers.c.capacity,
    offers.c.in_work,
    offers.c.lead_s,
    offers.c.is_paused.label("is_offer_paused"),
)
"""What the index needs to know of an offer of a point."""


def columns_of(rows: Sequence[AnyRow], stock: Sequence[AnyRow] = ()) -> dict[str, Any]:
    """Return the columns of `engine.Engine.from_columns` of rows that hold `COLUMNS`, and of their points' stock."""
    return {
        "point_ids": [row.point_id for row in rows],
        "offers": [row.offer for row in rows],
        "lat": [row.lat for row in rows],
        "lng": [row.lng for row in rows],
        "areas": _areas(rows),
        "hours": [_hours(row) for row in rows],
        "timezone": [row.timezone for row in rows],
        "country": [row.country for row in rows],
        "capacity": [units_left(row) for row in rows],
        "lead_s": [row.lead_s for row in rows],
        "features": [{*split_features(row.features), f"merchant:{row.merchant_id}"} for row in rows],
        "paused": [row.is_paused or row.is_offer_paused for row in rows],
        "suspended": [row.status != "verified" for row in rows],
        "visibility": [row.visibility if row.status == "verified" else _NOBODYS for row in rows],
        "stock": stock_of(stock) if stock else None,
    }


def stock_of(rows: Sequence[AnyRow]) -> StockEntries:
    """Return rows of `service.stock.store.stock_of_points` as the engine takes them; none is kept of a deleted entry."""
    until_us = [_NAT if row.good_until_us is None else row.good_until_us for row in rows]
    return StockEntries(
        [row.point_id for row in rows],
        [row.sku for row in rows],
        [NOT_KEPT if row.is_deleted else _known_units(row.units) for row in rows],
        np.array(until_us, np.int64).view("datetime64[us]"),
    )


def _known_units(units: int | None) -> int | None:
    return None if units is None else min(units, MAX_UNITS)  # nobody asks for more


def units_left(row: AnyRow) -> int | None:
    """Return how many orders an offer can still take into work, None without a limit."""
    return None if row.capacity is None else max(0, row.capacity - row.in_work)


def _areas(rows: Sequence[AnyRow]) -> np.ndarray[Any, np.dtype[np.object_]]:
    areas = np.full(len(rows), None, object)
    areas[:] = [row.radius_m for row in rows]
    drawn = [number for number, row in enumerate(rows) if row.area is not None]
    if drawn:
        # An area that many rows share is one object, which the engine covers once.
        texts = {rows[number].area for number in drawn}
        shapes = dict(zip(texts, shapely.from_wkb(list(texts)), strict=True))
        areas[drawn] = np.array([*(shapes[rows[number].area] for number in drawn), None], object)[:-1]
    return areas


def _hours(row: AnyRow) -> str | None:
    if row.special_days is None:
        return row.hours
    return hours_with_special_days(row.hours, json.loads(row.special_days))


def joined_features(features: Sequence[str]) -> str:
    """Return features as the store keeps them: sorted, each between two semicolons."""
    return ";" + "".join(f"{feature};" for feature in sorted(set(features)))


def split_features(text: str) -> list[str]:
    """Return the features that `joined_features` joined."""
    return [feature for feature in text.split(";") if feature]

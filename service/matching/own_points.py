"""All about a point of the caller's own: as it is stored, and what each check says of it by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from engine import Engine
from engine.errors import EngineError
from geo.errors import GeoError
from service.feed.columns import columns_of, split_features
from service.matching.rooms import MATCHED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine import Refusal
    from engine.holidays import HolidayFile
    from service.matching.asks import Ask
    from service.store.connections import AnyRow

__all__ = ["Own", "about_own"]

_OK = "ok"


class Own(NamedTuple):
    """
    A point of one's own and an offer as the store has them, its ``stock`` among it where that matters.

    Attributes
    ----------
    room
        Why it has none for what is asked; None if it has.
    """

    row: AnyRow
    stock: Sequence[AnyRow] = ()
    room: str | None = None


def about_own(ask: Ask, told: Refusal | None, own: Own, extra_days: HolidayFile | None) -> dict[str, Any]:
    """
    Return what the owner of a point learns.

    Parameters
    ----------
    ask
        The question.
    told
        The index's word on the point; None where its version does not know it.
    own
        The point.
    extra_days
        Holidays that the operator adds.
    """
    stored = own.row
    has_offer = stored.offer is not None
    alone = _alone(own, extra_days) if has_offer else None
    distance_m = (
        told.distance_m if told is not None else None if alone is None else _asked(alone, stored, ask).distance_m
    )
    return {
        "point_id": stored.point_id,
        "distance_m": distance_m,
        "reason": _reason(told, own),
        "sku": None if told is None else told.missing,
        "is_indexed": told is not None and (told.reason != "no_offer" or (has_offer and told.visibility != "public")),
        "has_offer": has_offer,
        "visibility": stored.visibility,
        "merchant_status": stored.status,
        "is_paused": _is_paused(stored),
        "features": split_features(stored.features),
        "hours": stored.hours,
        "capacity": stored.capacity,
        "lead_s": stored.lead_s,
        "radius_m": stored.radius_m,
        "has_area": stored.area is not None,
        "checks": None if alone is None else _checks(alone, own, ask),
    }


def _reason(told: Refusal | None, own: Own) -> str:
    """Return the index's reason, or why it has a public point as if it were internal: its merchant is not verified."""
    if told is None:
        return "no_offer"
    if told.reason == MATCHED:
        return own.room or MATCHED
    stored = own.row
    is_hidden = stored.status != "verified" and stored.visibility == "public" and stored.offer is not None
    if not is_hidden or told.visibility != "internal":
        return told.reason
    return "paused" if _is_paused(stored) else "suspended"


def _is_paused(stored: AnyRow) -> bool:
    return bool(stored.is_paused or stored.is_offer_paused)


def _alone(own: Own, extra_days: HolidayFile | None) -> Engine | None:
    """Return an index of this offer alone, with all that no question changes out of the way."""
    willing = {"paused": [False], "suspended": [False], "visibility": ["public"]}
    try:
        return Engine.from_columns(**columns_of([own.row], own.stock) | willing, extra_days=extra_days)
    except (EngineError, GeoError):  # one that no index takes
        return None


def _checks(alone: Engine, own: Own, ask: Ask) -> dict[str, str]:
    stored = own.row

    def says(*require: str, **terms: Any) -> str:
        reason = _asked(alone, stored, ask, require=require, **terms).reason
        return _OK if reason == MATCHED else reason

    return {
        "visibility": _OK if stored.visibility == "public" else stored.visibility,
        "paused": "paused" if _is_paused(stored) else _OK,
        "merchant": _OK if stored.status == "verified" else "suspended",
        "features": says(features=ask.features),
        "hours": says("open", at=ask.at, unknown_hours=ask.unknown_hours),
        "lead": says(at=ask.at, asked_at=ask.asked_at),
        "area": says("serves"),
        "capacity": says("capacity", quantity=ask.quantity),
        "stock": says(items=dict(ask.items) or None, trusted_at=ask.asked_at),
        "room": own.room or _OK,
        "distance": says(max_distance_m=ask.max_distance_m),
    }


def _asked(alone: Engine, stored: AnyRow, ask: Ask, *, require: tuple[str, ...] = (), **terms: Any) -> Any:
    told = alone.explain(ask.lat, ask.lng, ask.offer, point=stored.point_id, require=require, **terms)
    return told.point

"""What an app is told: who can serve and what that promises, or why nobody can and what would help."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.haste import told_in_haste
from engine.promises import promise
from service.matching.free_slots import found_free
from service.matching.helping import help_waits, nobody
from service.matching.items import split_of
from service.places import told_place

if TYPE_CHECKING:
    from engine import Engine
    from engine.answers import Found
    from engine.norms import OfferNorm
    from service.feed.index import IndexView
    from service.matching.asks import Ask
    from service.services import Services

__all__ = ["index_of", "reply_at_once", "reply_to"]


def reply_to(services: Services, ask: Ask) -> dict[str, Any]:
    """Return the answer to a question: plain values, instants as datetimes. It may read the store."""
    return _reply(services, ask, *_search(services, ask))


def reply_at_once(services: Services, ask: Ask) -> dict[str, Any] | None:
    """Return the answer to a question as `reply_to` does; None where that may take longer than a moment."""
    if services.rooms.waits(ask.offer) or (ask.items and ask.split > 1):
        return None
    return told_in_haste(_reply_in_haste, services, ask)


def _reply_in_haste(services: Services, ask: Ask) -> dict[str, Any] | None:
    view, engine, found = _search(services, ask)
    if not found.rows and help_waits(services, ask):
        return None
    return _reply(services, ask, view, engine, found)


def _search(services: Services, ask: Ask) -> tuple[IndexView, Engine, Found]:
    view = services.index.view
    engine = view.engine
    found = found_free(engine, services.rooms, ask)
    if not found.rows:  # once more, of a version that stands still, since more is to be asked of it
        engine = engine.still()
        found = found_free(engine, services.rooms, ask)
    return view, engine, found


def _reply(services: Services, ask: Ask, view: IndexView, engine: Engine, found: Found) -> dict[str, Any]:
    norm = services.norms.by_offer[ask.offer]
    reply: dict[str, Any] = {
        "matches": [_told(found, i, ask, norm) for i in range(len(found.rows))],
        "at": ask.at,
        "asked_at": ask.asked_at,
        "datum": ask.datum,
        "index": index_of(services, view.position_of(found.facts.version)),
    }
    if not found.rows:
        reply |= nobody(services, engine, ask)
        if ask.items and ask.split > 1:
            reply |= split_of(engine, services.rooms, ask)
    services.metrics.count_places(*((1, 0) if found.rows else (0, 1)))  # once, by whoever could tell it
    return reply


def index_of(services: Services, version: str) -> dict[str, Any]:
    """Return which version of the index answered, and how long ago it was known to miss nothing."""
    age_s = services.follower.age_s
    return {"version": version, "age_s": None if age_s is None else int(age_s * 1000) / 1000}


def _told(found: Found, i: int, ask: Ask, norm: OfferNorm) -> dict[str, Any]:
    facts = found.facts
    row = facts.row(found.rows[i])
    schedule = None if row.schedule < 0 else facts.schedules[row.schedule]
    promised = promise(norm, row.lead_s, ask.at, ask.asked_at, schedule, facts.openings)
    lat, lng = told_place(row.lat, row.lng, ask.datum)
    return {
        "point_id": row.point_id,
        "offer": ask.offer,
        "distance_m": found.distance_m[i],
        "lat": lat,
        "lng": lng,
        "promise": {
            "order_by": promised.order_by,
            "ready_at": promised.ready_at,
            "hold_until": promised.hold_until,
            "cancel_free_until": promised.cancel_free_until,
        },
    }

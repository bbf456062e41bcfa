"""When nobody can serve: the nearest that were refused, when the next one opens, and what would help."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from service.deadlines import Deadline
from service.errors import ServiceError
from service.matching.free_slots import found_free, refused_now
from service.matching.parameters import DAYS_AHEAD

if TYPE_CHECKING:
    from engine import Engine, Refused, RowFacts
    from service.matching.asks import Ask
    from service.matching.rooms import Rooms
    from service.services import Services

__all__ = ["help_waits", "nobody"]

_LOOKED_AT = 20
_TRIES = 4
_NOT_YET = {"closed", "too_soon"}
_MINUTE = dt.timedelta(minutes=1)
_AHEAD = dt.timedelta(days=DAYS_AHEAD) - _MINUTE


def nobody(services: Services, engine: Engine, ask: Ask) -> dict[str, Any]:
    """
    Return what is told where nobody can serve.

    ``refused`` holds the nearest point of each reason among the nearest that have the offer; when one opens is told of
    the nearest to which nothing but time is wanting. What ``would_help`` was asked of the index as a question of its
    own, so that each of it is true. ``engine`` is a still one: all of it is about one version. What the store would
    have to tell, and does not, is left out.
    """
    ask = _halved(ask)
    rooms, facts = services.rooms, engine.facts
    refused = refused_now(engine, rooms, ask, _LOOKED_AT)
    first: dict[str, Refused] = {}
    for one in refused:
        first.setdefault(one.reason, one)
    willing = _but_for_time(engine, ask)
    times = ((row, _opens_later(facts, row, ask)) for row in willing)
    opens = {row: at for row, at in times if at is not None}
    return {
        "reason": refused[0].reason if refused else "no_offer",
        "refused": [
            {
                "point_id": one.point_id,
                "distance_m": one.distance_m,
                "reason": one.reason,
                "next_open_at": opens.get(one.row) if one.reason in _NOT_YET else None,
            }
            | ({} if one.missing is None else {"sku": one.missing})
            for one in first.values()
        ],
        "next_open_at": min(opens.values(), default=None),
        "would_help": {
            "later": _later(services, engine, ask, [_serves_at(rooms, facts, row, ask) for row in willing]),
            "farther": _farther(services, engine, ask),
            "other_modes": _other_modes(services, engine, ask),
        },
    }


def help_waits(services: Services, ask: Ask) -> bool:
    """Tell whether to find out what would help may take longer than a moment, beyond what the offer itself takes."""
    return any(services.rooms.waits(offer) for offer in _other_offers(services, ask))


def _halved(ask: Ask) -> Ask:
    """Return a question with half of its time: help may take that, so that the rest is told within the other half."""
    return ask if ask.deadline is None else ask._replace(deadline=Deadline.after(ask.deadline.left_s() / 2))


def _but_for_time(engine: Engine, ask: Ask) -> list[int]:
    """Return the nearest rows that would serve at another time."""
    terms = ask.terms() | {"at": None, "asked_at": None, "trusted_at": ask.asked_at}
    return engine.found(ask.lat, ask.lng, ask.offer, _LOOKED_AT, **terms).rows


def _serves_at(rooms: Rooms, facts: RowFacts, row: int, ask: Ask) -> dt.datetime | None:
    """Return when a row that would serve at another time is open and has room."""
    point_id = facts.row(row).point_id
    at: dt.datetime | None = ask.at
    try:
        for _ in range(_TRIES):
            at = None if at is None else _opens_at(facts, row, ask._replace(at=at), _MINUTE)
            if at is None or rooms.is_free(point_id, ask._replace(at=at)):
                return at
            at = rooms.next_free(point_id, ask._replace(at=at))
    except ServiceError:  # what the store does not tell
        pass
    return None


def _opens_later(facts: RowFacts, row: int, ask: Ask) -> dt.datetime | None:
    """Return when a row that is not open, or not ready, at the time wanted is both for who asks again; else None."""
    at = _opens_at(facts, row, ask, dt.timedelta())
    return None if at is None or at <= ask.at else _opens_at(facts, row, ask, _MINUTE)


def _opens_at(facts: RowFacts, row: int, ask: Ask, patience: dt.timedelta) -> dt.datetime | None:
    """Return when a row's doors are open and its lead time is over, if it is asked for within ``patience`` from now."""
    fact = facts.row(row)
    earliest = ask.asked_at + dt.timedelta(seconds=fact.lead_s)
    if patience and fact.lead_s:
        earliest = _whole_minute(earliest + patience)
    earliest = max(ask.at, earliest)
    if fact.schedule < 0:
        return earliest if ask.unknown_hours == "allow" else None
    return facts.openings.next_open(facts.schedules[fact.schedule], earliest)


def _whole_minute(at: dt.datetime) -> dt.datetime:
    cut = at.replace(second=0, microsecond=0)
    return cut if cut == at else cut + _MINUTE


def _later(services: Services, engine: Engine, ask: Ask, times: list[dt.datetime | None]) -> dict[str, Any] | None:
    coming = sorted({at for at in times if at is not None and ask.at < at <= ask.asked_at + _AHEAD})
    for at in coming[:_TRIES]:
        told = _nearest(services, engine, ask._replace(at=at))
        if told is not None:
            return {"at": at, **told}
    return None


def _farther(services: Services, engine: Engine, ask: Ask) -> dict[str, Any] | None:
    return None if ask.max_distance_m is None else _nearest(services, engine, ask._replace(max_distance_m=None))


def _other_modes(services: Services, engine: Engine, ask: Ask) -> list[dict[str, Any]]:
    there = set(engine.offers)
    found = []
    for offer in _other_offers(services, ask):
        if offer in there:
            told = _nearest(services, engine, ask._replace(offer=offer))
            if told is not None:
                found.append({"offer": offer, **told})
    return found


def _other_offers(services: Services, ask: Ask) -> list[str]:
    sector, _, mode = ask.offer.partition("/")
    return [f"{sector}/{other}" for other in services.norms.sectors[sector].modes if other != mode]


def _nearest(services: Services, engine: Engine, ask: Ask) -> dict[str, Any] | None:
    try:
        found = found_free(engine, services.rooms, ask._replace(k=1))
    except ServiceError:
        return None
    if not found.rows:
        return None
    return {"point_id": found.facts.row(found.rows[0]).point_id, "distance_m": found.distance_m[0]}

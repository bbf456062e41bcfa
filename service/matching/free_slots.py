"""Matches that have room: of the engine's, those whose preparation slot is not full and whose crews can come."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.answers import Found
from service.errors import ServiceError
from service.matching.rooms import MATCHED

if TYPE_CHECKING:
    from engine import Engine, Refused
    from service.matching.asks import Ask
    from service.matching.rooms import Rooms

__all__ = ["found_free", "refused_now"]


def found_free(engine: Engine, rooms: Rooms, ask: Ask) -> Found:
    """Return the nearest that can serve, as `Engine.found` does, without those that have no room then."""
    k = ask.k
    is_free: dict[str, bool] = {}  # the nearest of a round are those of the next one, too
    while True:
        found = engine.found(ask.lat, ask.lng, ask.offer, k, **ask.terms())
        if not rooms.concern(ask.offer):
            return found
        names = [found.facts.row(row).point_id for row in found.rows]
        is_free |= {name: rooms.is_free(name, ask) for name in names if name not in is_free}
        kept = [i for i, name in enumerate(names) if is_free[name]]
        if len(kept) >= ask.k or len(found.rows) < k:
            kept = kept[: ask.k]
            return Found([found.rows[i] for i in kept], [found.distance_m[i] for i in kept], found.facts)
        k = 2 * k + 8


def refused_now(engine: Engine, rooms: Rooms, ask: Ask, k: int) -> list[Refused]:
    """Return the k nearest that have the offer, where nobody can serve, with the reason of each."""
    refused, _ = engine.refused(ask.lat, ask.lng, ask.offer, k, **ask.terms())
    return [one._replace(reason=_no_room(rooms, one, ask)) if one.reason == MATCHED else one for one in refused]


def _no_room(rooms: Rooms, one: Refused, ask: Ask) -> str:
    try:
        return rooms.refusal(one.point_id, ask) or "full"
    except ServiceError:  # what the store does not tell
        return "full"

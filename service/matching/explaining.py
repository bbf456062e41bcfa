"""Why this point and not a nearer one, for the one who asks: an app learns codes, a merchant all about own points."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from engine import Match, Refusal
from engine.errors import UnknownPointError
from service.http.access import not_found, owner_of
from service.matching.free_slots import found_free
from service.matching.own_points import about_own
from service.matching.replies import index_of
from service.matching.store import find_offer

if TYPE_CHECKING:
    from engine import Engine, Explanation
    from service.http.context import RequestContext
    from service.matching.asks import Ask
    from service.matching.rooms import Rooms
    from service.services import Services
    from service.store.connections import AnyRow

__all__ = ["explain_to"]

_MAY_ASK = {"admin", "merchant"}
_LOOKED_AT, _MOST_NEARER = 1_000, 20


async def explain_to(services: Services, context: RequestContext, ask: Ask, point_id: str | None) -> dict[str, Any]:
    """
    Return why a match is as it is, as far as the caller may know.

    Raises
    ------
    ProblemError
        not-found for a point that is not the caller's, or is not there.
    """
    stored = None if point_id is None else await _own_point(services, context, ask.offer, point_id)
    asked = ask._replace(deadline=context.deadline)
    return await services.long_matches.run(context, _explained, services, asked, stored)


async def _own_point(services: Services, context: RequestContext, offer: str, point_id: str) -> AnyRow:
    owner = owner_of(context)
    row = None
    if context.key_holder.scope in _MAY_ASK:
        row = await services.store.read(
            lambda connection: find_offer(connection, point_id, offer, owner), context.deadline
        )
    if row is None:
        raise not_found()
    return row


def _explained(services: Services, ask: Ask, stored: AnyRow | None) -> dict[str, Any]:
    view = services.index.view
    engine = view.engine.still()
    told = _told(engine, ask, None if stored is None else stored.point_id)
    rooms = services.rooms
    if told.match is not None and not rooms.is_free(told.match.point_id, ask):
        told = _past_full(engine, rooms, ask, told)
    point = told.point
    if point is not None and point.reason == "matched" and not rooms.is_free(point.point_id, ask):
        told = replace(told, point=replace(point, reason="full"))
    return {
        "match": None if told.match is None else _matched(told.match),
        "nearer": [_coded(one) for one in told.nearer],
        "n_more": told.n_more,
        "point": None if stored is None else about_own(ask, told.point, stored, services.index.extra_days),
        "at": ask.at,
        "asked_at": ask.asked_at,
        "index": index_of(services, view.position_of(engine.version)),
    }


def _told(engine: Engine, ask: Ask, point_id: str | None) -> Explanation:
    try:
        return engine.explain(ask.lat, ask.lng, ask.offer, point=point_id, **ask.terms())
    except UnknownPointError:  # stored, and not yet in this version, or without any offer
        return engine.explain(ask.lat, ask.lng, ask.offer, **ask.terms())


def _past_full(engine: Engine, rooms: Rooms, ask: Ask, told: Explanation) -> Explanation:
    """Return an explanation that passes over the matches that have no room, and says so of them."""
    found = found_free(engine, rooms, ask._replace(k=1))
    match = Match(found.facts.row(found.rows[0]).point_id, ask.offer, found.distance_m[0]) if found.rows else None
    refused, _ = engine.refused(ask.lat, ask.lng, ask.offer, _LOOKED_AT, **ask.terms())
    nearer = []
    for one in refused:
        if match is not None and one.point_id == match.point_id:
            break
        reason = "full" if one.reason == "matched" else one.reason
        nearer.append(Refusal(one.point_id, ask.offer, one.distance_m, reason, missing=one.missing))
    n_more = max(0, len(nearer) - _MOST_NEARER)
    return replace(told, match=match, nearer=nearer[:_MOST_NEARER], n_more=n_more)


def _matched(match: Match) -> dict[str, Any]:
    return {"point_id": match.point_id, "distance_m": match.distance_m, "reason": "matched"}


def _coded(refusal: Refusal) -> dict[str, Any]:
    told = {"point_id": refusal.point_id, "distance_m": refusal.distance_m, "reason": refusal.reason}
    return told if refusal.missing is None else told | {"sku": refusal.missing}

"""Why this point and not a nearer one, for the one who asks: an app learns codes, a merchant all about own points."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.errors import UnknownPointError
from service.http.access import not_found, owner_of
from service.matching.free_slots import found_free
from service.matching.own_points import Own, about_own
from service.matching.replies import index_of
from service.matching.rooms import MATCHED
from service.matching.store import find_offer
from service.stock.store import stock_of_points

if TYPE_CHECKING:
    from engine import Engine, Explanation, Match, Refusal
    from service.http.context import RequestContext
    from service.matching.asks import Ask
    from service.matching.rooms import Rooms
    from service.services import Services
    from service.store.connections import ReadConnection

__all__ = ["explain_to"]

_MAY_ASK = {"admin", "merchant"}


async def explain_to(services: Services, context: RequestContext, ask: Ask, point_id: str | None) -> dict[str, Any]:
    """
    Return why a match is as it is, as far as the caller may know.

    Raises
    ------
    ProblemError
        not-found for a point that is not the caller's, or is not there.
    """
    own = None if point_id is None else await _own_point(services, context, ask, point_id)
    asked = ask._replace(deadline=context.deadline)
    return await services.long_matches.run(context, _explained, services, asked, own)


async def _own_point(services: Services, context: RequestContext, ask: Ask, point_id: str) -> Own:
    owner = owner_of(context)

    def find(connection: ReadConnection) -> Own | None:
        row = find_offer(connection, point_id, ask.offer, owner)
        return None if row is None else Own(row, stock_of_points(connection, [point_id]) if ask.items else ())

    own = None
    if context.key_holder.scope in _MAY_ASK:
        own = await services.reads.run(context, find)
    if own is None:
        raise not_found()
    return own


def _explained(services: Services, ask: Ask, own: Own | None) -> dict[str, Any]:
    view = services.index.view
    engine = view.engine.still()
    rooms = services.rooms
    told = _told(engine, rooms, ask, None if own is None else own.row.point_id)
    if own is not None and own.row.offer is not None:
        own = own._replace(room=rooms.refusal(own.row.point_id, ask))
    return {
        "match": None if told.match is None else _matched(told.match),
        "nearer": [_coded(one, rooms, ask) for one in told.nearer],
        "n_more": told.n_more,
        "point": None if own is None else about_own(ask, told.point, own, services.index.extra_days),
        "at": ask.at,
        "asked_at": ask.asked_at,
        "index": index_of(services, view.position_of(engine.version)),
    }


def _told(engine: Engine, rooms: Rooms, ask: Ask, point_id: str | None) -> Explanation:
    """Return an explanation that passes over those that can serve and have no room."""
    terms = ask.terms()
    if rooms.concern(ask.offer):
        terms["row"] = next(iter(found_free(engine, rooms, ask._replace(k=1)).rows), -1)
    try:
        return engine.explain(ask.lat, ask.lng, ask.offer, point=point_id, **terms)
    except UnknownPointError:  # stored, and not yet in this version, or without any offer
        return engine.explain(ask.lat, ask.lng, ask.offer, **terms)


def _matched(match: Match) -> dict[str, Any]:
    return {"point_id": match.point_id, "distance_m": match.distance_m, "reason": MATCHED}


def _coded(refusal: Refusal, rooms: Rooms, ask: Ask) -> dict[str, Any]:
    reason = (rooms.refusal(refusal.point_id, ask) if refusal.reason == MATCHED else None) or refusal.reason
    told = {"point_id": refusal.point_id, "distance_m": refusal.distance_m, "reason": reason}
    return told if refusal.missing is None else told | {"sku": refusal.missing}

"""What an app can do where an order is refused: the next point that can serve it, as the index knows it."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from service.clock import from_us
from service.errors import NotFeasibleError
from service.http.problems import ProblemError, as_problem
from service.matching.asks import Ask
from service.matching.free_slots import found_free

if TYPE_CHECKING:
    from engine import Engine
    from service.matching.rooms import Rooms
    from service.orders.ordering import Wish
    from service.services import Services

__all__ = ["refusal", "unfit"]

_NEAR = 20
_SOLD_OUT = {"full", "out_of_stock"}
_TOLD = {
    "full": "the point has as many orders as it can take",
    "out_of_stock": "the point has not enough of it left",
    "too_soon": "the point needs more time than that",
    "outside_area": "the point does not serve this place",
    "no_offer": "the point has no such offer",
    "hours_unknown": "nobody knows whether the point is open then",
    "feature_missing": "the point has not all that was asked for",
}


def refusal(services: Services, wish: Wish, error: Exception) -> ProblemError:
    """Return the answer to an order that a point cannot serve, with the next one that could."""
    if not isinstance(error, NotFeasibleError):
        problem = as_problem(error)
        if problem is None:
            raise error
        return problem
    return unfit(error, next=_next(services, wish))


def unfit(error: NotFeasibleError, **more: Any) -> ProblemError:
    """Return the answer to what a point cannot serve: why, and of what it has not enough."""
    slug = "sold-out" if error.reason in _SOLD_OUT else "not-feasible"
    told = _TOLD.get(error.reason, f"the point is {error.reason} then")
    if error.of_slot:
        told = f"{told} in that preparation slot"
    if error.sku is not None:
        told, more = f"{told}: {error.sku}", more | {"sku": error.sku}
    return ProblemError(slug, told, more={"reason": error.reason, **more})


def _next(services: Services, wish: Wish) -> dict[str, Any] | None:
    """Return the nearest other point that can serve: at the time of the wish, or each as soon as its own lead time allows."""
    now = from_us(services.clock.now_us())
    if wish.at is not None and wish.at < now:
        return None
    ask = Ask(
        wish.lat,
        wish.lng,
        wish.offer,
        wish.at or now,
        now,
        k=_NEAR,
        features=wish.features,
        unknown_hours=wish.unknown_hours,
        items=tuple(wish.units.items()),
    )
    engine = services.index.view.engine.still()
    leads = [None] if wish.at is not None else _leads(engine, ask)
    others = [_other(services.rooms, engine, ask, wish.point_id, lead_s) for lead_s in leads]
    found = min((other for other in others if other is not None), default=None)
    return None if found is None else {"point_id": found[1], "offer": wish.offer, "distance_m": found[0]}


def _leads(engine: Engine, ask: Ask) -> list[int]:
    """Return the lead times in seconds of the nearest that have what is asked for, whenever; none is always among them."""
    untimed = {"at": None, "asked_at": None, "trusted_at": ask.asked_at}
    found = engine.found(ask.lat, ask.lng, ask.offer, ask.k, **ask.terms() | untimed)
    return sorted({0, *(found.facts.row(row).lead_s for row in found.rows)})


def _other(rooms: Rooms, engine: Engine, ask: Ask, point_id: str, lead_s: int | None) -> tuple[float, str] | None:
    """Return the nearest point but one, and how far it is; with a lead time one that has that, as soon as it allows."""
    if lead_s is not None:
        ask = ask._replace(at=ask.asked_at + dt.timedelta(seconds=lead_s))
    found = found_free(engine, rooms, ask)
    for row, distance_m in zip(found.rows, found.distance_m, strict=True):
        fact = found.facts.row(row)
        if fact.point_id != point_id and lead_s in {None, fact.lead_s}:
            return distance_m, fact.point_id
    return None

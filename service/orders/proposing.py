"""What an app can do where an order is refused: the next point that can serve it, as the index knows it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from service.clock import from_us
from service.errors import NotFeasibleError
from service.http.problems import ProblemError, as_problem
from service.matching.asks import Ask
from service.matching.free_slots import found_free

if TYPE_CHECKING:
    from service.orders.ordering import Wish
    from service.services import Services

__all__ = ["refusal", "unfit"]

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
    if error.sku is not None:
        told, more = f"{told}: {error.sku}", more | {"sku": error.sku}
    return ProblemError(slug, told, more={"reason": error.reason, **more})


def _next(services: Services, wish: Wish) -> dict[str, Any] | None:
    now = from_us(services.clock.now_us())
    if wish.at is not None and wish.at < now:
        return None
    ask = Ask(
        wish.lat,
        wish.lng,
        wish.offer,
        wish.at or now,
        now,
        k=2,
        features=wish.features,
        unknown_hours=wish.unknown_hours,
        items=tuple(wish.units.items()),
    )
    found = found_free(services.index.view.engine, services.rooms, ask)
    for row, distance_m in zip(found.rows, found.distance_m, strict=True):
        point_id = found.facts.row(row).point_id
        if point_id != wish.point_id:
            return {"point_id": point_id, "offer": wish.offer, "distance_m": distance_m}
    return None

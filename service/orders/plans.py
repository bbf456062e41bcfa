"""Which points could take an order over that another rejects, as the index knows it: one alone, or several together."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from engine.splits import MAX_LINES
from service.clock import from_us
from service.feed.columns import split_features
from service.orders.routing import cooling_of_merchant, districts, points_before, routing_of
from service.orders.taking import full_points
from service.places import centre_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from engine import Engine
    from service.orders.store import OrderRecord
    from service.store.connections import ReadConnection

__all__ = ["Known", "Plan", "Share", "known_of", "plans_for"]

_MOST_WHOLE = 20
_MOST_DISTRICTS = 4


class Share(NamedTuple):
    """What a point takes of an order, in units by SKU, and how far in metres it is from the customer."""

    point_id: str
    distance_m: float
    units: Mapping[str, int]


Plan = tuple[Share, ...]
"""Who takes an order over; the first share stays the order itself."""


class Known(NamedTuple):
    """
    What the store says before the index is asked.

    Attributes
    ----------
    left_out
        Points that are not asked: that rejects, those that the order was at, those that cool down, those whose
        preparation slot is full.
    districts
        Of the point that rejects; none where the merchant's rules do not ask for them.
    can_divide
        Whether app and merchant let the order be divided.
    """

    left_out: frozenset[str]
    districts: frozenset[str]
    can_divide: bool


def known_of(connection: ReadConnection, order: OrderRecord, now_us: int) -> Known:
    """Return what `plans_for` must know to hand an order on."""
    row = order.row
    routing = routing_of(connection, row.merchant_id)
    cool = cooling_of_merchant(connection, row.merchant_id, routing.cool_since_us(now_us))
    full = full_points(connection, row.merchant_id, row.offer, row.handover_at, now_us)
    left_out = frozenset({row.point_id, *points_before(connection, row), *cool, *full})
    own = districts(connection, [row.point_id])[row.point_id] if "district" in routing.rules else ()
    return Known(left_out, frozenset(own), row.max_points > 1 and "splits" in routing.rules)


def plans_for(engine: Engine, order: OrderRecord, known: Known, now_us: int) -> list[Plan]:
    """
    Return who of the merchant's points can take an order over: each that can alone, and how the fewest others can together.

    The customer's place is known as a cell alone, so distances are from its centre. Lead times are left out: what is
    handed on may be ready later, and a point that can alone may turn out to be closed by then. It is no part of any
    division, so that there is one without it. Counts must be fit to be trusted now.
    """
    row = order.row
    if row.cell is None:
        return []
    lat, lng = centre_of(row.cell)
    features = (*split_features(row.features), f"merchant:{row.merchant_id}")
    at = from_us(max(row.handover_at, now_us))
    basket = order.units("wanted")
    asked = {"at": at, "trusted_at": from_us(now_us)}
    k = _MOST_WHOLE + len(known.left_out)
    found = engine.nearest(lat, lng, row.offer, k=k, features=features, items=basket or None, **asked)
    able = [match for match in found.matches if match.point_id not in known.left_out][:_MOST_WHOLE]
    plans: list[Plan] = [(Share(match.point_id, match.distance_m, basket),) for match in able]
    if not known.can_divide or not 1 < len(basket) <= MAX_LINES:
        return plans
    without = known.left_out.union(match.point_id for match in able)
    for more in (*((district,) for district in sorted(known.districts)[:_MOST_DISTRICTS]), ()):
        its = {"features": (*features, *more), **asked}
        split = engine.split(lat, lng, row.offer, basket, max_points=row.max_points, without=without, **its)
        if split.parts:
            plans.append(tuple(Share(part.point_id, part.distance_m, part.items) for part in split.parts))
        elif split.is_unknown:  # a wider search would be given up, too: one is all that is paid for
            break
    return plans

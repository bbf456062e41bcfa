"""By which rules an order finds its next point, and what they ask the store."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import select, update

from service.feed.columns import split_features
from service.orders.rules import Event
from service.store.order_tables import order_events
from service.store.tables import merchants, points

if TYPE_CHECKING:
    from service.store.connections import ReadConnection, WriteConnection

__all__ = ["RULES", "Routing", "cooling", "districts", "points_before", "routing_of", "set_routing"]

RULES = ("district", "distance")
_DISTRICT = "district:"


class Routing(NamedTuple):
    """
    By which rules an order finds its next point.

    Attributes
    ----------
    rules
        Of `RULES`, the first that tells two points apart decides: whether it shares a ``district:`` feature with the
        point that rejects, how far it is from the customer. Only points that have the whole basket are asked.
    cool_down_s
        For how long a point that rejected gets no order that another rejects.
    most_moves
        How often one order is handed on.
    """

    rules: tuple[str, ...] = RULES
    cool_down_s: int = 900
    most_moves: int = 3


def routing_of(connection: ReadConnection, merchant_id: str) -> Routing:
    """Return a merchant's rules."""
    told = connection.value(select(merchants.c.routing).where(merchants.c.merchant_id == merchant_id))
    if told is None:
        return Routing()
    found = json.loads(told)
    return Routing(tuple(found["rules"]), found["cool_down_s"], found["most_moves"])


def set_routing(connection: WriteConnection, merchant_id: str, rules: str) -> None:
    """Set a merchant's rules, as JSON."""
    connection.run(update(merchants).where(merchants.c.merchant_id == merchant_id).values(routing=rules))


def points_before(connection: ReadConnection, order_id: str) -> list[str]:
    """Return the points that an order was at and was moved from."""
    its = (order_events.c.order_id == order_id, order_events.c.event == Event.MOVE)
    return [row[0] for row in connection.rows(select(order_events.c.point_id).where(*its))]


def cooling(connection: ReadConnection, ids: list[str], since_us: int) -> set[str]:
    """Return which of some points have rejected an order since an instant."""
    rejected = select(order_events.c.point_id).where(
        order_events.c.point_id.in_(ids),
        order_events.c.event.in_([Event.REJECT, Event.MOVE]),
        order_events.c.at > since_us,
    )
    return {row[0] for row in connection.rows(rejected)}


def districts(connection: ReadConnection, ids: list[str]) -> dict[str, set[str]]:
    """Return the features of some points that name a district."""
    rows = connection.rows(select(points.c.point_id, points.c.features).where(points.c.point_id.in_(ids)))
    found: dict[str, set[str]] = {point_id: set() for point_id in ids}
    for row in rows:
        found[row.point_id] = {one for one in split_features(row.features) if one.startswith(_DISTRICT)}
    return found

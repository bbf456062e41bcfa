"""By which rules an order finds its next point, and what they ask the store."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import and_, bindparam, func, or_, select, update

from service.feed.columns import split_features
from service.orders.rules import Event
from service.store.order_tables import order_events
from service.store.plain import Plain
from service.store.tables import merchants, points

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.store.connections import AnyRow, ReadConnection, WriteConnection

__all__ = [
    "RULES",
    "Routing",
    "cooling",
    "cooling_of_merchant",
    "districts",
    "points_before",
    "routing_of",
    "set_routing",
    "was_moved",
]

RULES = ("splits", "district", "distance")
_DISTRICT = "district:"
_SECOND_US = 1_000_000
_MOVE = Plain(
    select(order_events.c.revision)
    .where(order_events.c.order_id == bindparam("of_order"), order_events.c.event == Event.MOVE)
    .limit(1)
)


class Routing(NamedTuple):
    """
    By which rules an order finds its next point.

    Attributes
    ----------
    rules
        Of `RULES`, the first that tells two ways apart decides: between how many points the order is divided, whether
        all of them share a ``district:`` feature with the point that rejects, how far they are from the customer
        together. Without ``splits`` only points that have all of it are asked.
    cool_down_s
        For how long a point that rejected gets no order that another rejects.
    most_moves
        How often one order is handed on.
    """

    rules: tuple[str, ...] = RULES
    cool_down_s: int = 900
    most_moves: int = 3

    def cool_since_us(self, now_us: int) -> int:
        """Return since when a point must not have rejected anything."""
        return now_us - self.cool_down_s * _SECOND_US


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


def points_before(connection: ReadConnection, row: AnyRow) -> list[str]:
    """Return the points that an order was at and was moved from, those before it was divided among them."""
    first = select(func.min(order_events.c.at)).where(order_events.c.order_id == row.order_id).scalar_subquery()
    is_its = or_(
        order_events.c.order_id == row.order_id,
        and_(order_events.c.order_id == row.split_of, order_events.c.at <= first),
    )
    its = (is_its, order_events.c.event == Event.MOVE)
    return [found[0] for found in connection.rows(select(order_events.c.point_id).where(*its))]


def was_moved(connection: ReadConnection, order_id: str) -> bool:
    """Tell whether an order was at another point before."""
    return connection.row(_MOVE, {"of_order": order_id}) is not None


def _rejected(since_us: int) -> tuple[Any, Any]:
    return order_events.c.event.in_([Event.REJECT, Event.MOVE]), order_events.c.at > since_us


def cooling(connection: ReadConnection, ids: Sequence[str], since_us: int) -> set[str]:
    """Return which of some points have rejected an order since an instant."""
    rejected = select(order_events.c.point_id).where(order_events.c.point_id.in_(ids), *_rejected(since_us))
    return {row[0] for row in connection.rows(rejected)}


def cooling_of_merchant(connection: ReadConnection, merchant_id: str, since_us: int) -> set[str]:
    """Return which of a merchant's points have rejected an order since an instant."""
    its = (points.c.point_id == order_events.c.point_id, points.c.merchant_id == merchant_id)
    rejected = select(order_events.c.point_id).where(*its, *_rejected(since_us)).distinct()
    return {row[0] for row in connection.rows(rejected)}


def districts(connection: ReadConnection, ids: Sequence[str]) -> dict[str, set[str]]:
    """Return the features of some points that name a district."""
    rows = connection.rows(select(points.c.point_id, points.c.features).where(points.c.point_id.in_(ids)))
    found: dict[str, set[str]] = {point_id: set() for point_id in ids}
    for row in rows:
        found[row.point_id] = {one for one in split_features(row.features) if one.startswith(_DISTRICT)}
    return found

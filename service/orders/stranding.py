"""
What a change of a point means for the orders that are open there.

A point that goes, pauses or shortens its hours or its area leaves orders behind that it cannot serve any more. They are
named first; with a second word the change comes about, and each of them is handled as one that the point rejects.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from fastapi import Query

from service.clock import from_us
from service.feed.columns import split_features
from service.http.problems import ProblemError
from service.orders.acting import Act, locked_order
from service.orders.checks import Wanted
from service.orders.moving import reject
from service.orders.plans import known_of, plans_for
from service.orders.rules import OPEN, Event, Party, State
from service.orders.store import find_facts, open_orders
from service.orders.taking import count_slots
from service.places import place_in_both, places_in
from service.stock.counting import lock_points

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.norms import Norms
    from service.orders.checks import Checker
    from service.orders.store import OrderRecord
    from service.services import Services
    from service.store.connections import AnyRow, WriteConnection

__all__ = ["OpenOrders", "SecondWord"]

_MOST_NAMED = 100
_REASON = "point_changed"

SecondWord = Annotated[
    Literal["reject"] | None,
    Query(
        description="reject: open orders that the point cannot serve any more are rejected. Without, a change that "
        "leaves such behind is refused, and they are named."
    ),
]


class OpenOrders:
    """
    The orders that are open at a point that is about to change; the point is locked.

    Parameters
    ----------
    checker, norms
        By which they are judged.
    """

    def __init__(self, connection: WriteConnection, checker: Checker, norms: Norms, point_id: str) -> None:
        self._connection = connection
        self._checker = checker
        self._norms = norms
        self._point_id = point_id
        lock_points(connection, [point_id])
        self._orders = open_orders(connection, point_id)
        self._before = self._facts()

    def _facts(self) -> dict[str, AnyRow | None]:
        offers = {order.row.offer for order in self._orders}
        return {offer: find_facts(self._connection, self._point_id, offer) for offer in sorted(offers)}

    def check(self) -> None:
        """
        Look at them once more, now that the point has changed.

        Raises
        ------
        ProblemError
            state-conflict where some are left behind.
        """
        left = self._left()
        if left:
            named = [order.row.order_id for order in left[:_MOST_NAMED]]
            text = (
                f"{len(left)} open orders could not be served any more: change the point with ?open_orders=reject, and "
                "each is handed on to another point, or rejected"
            )
            raise ProblemError("state-conflict", text, more={"orders": named, "n_orders": len(left)})

    def settle(self, services: Services, actor: str, word: str | None) -> None:
        """
        Check them; with a second word, handle those that are left behind as ones that the point rejects.

        Raises
        ------
        ProblemError
            state-conflict where some are left behind and there is no second word.
        """
        if word is None:
            self.check()
            return
        for order in self._left():
            self._reject(services, order, actor)

    def _left(self) -> list[OrderRecord]:
        """Count them into the slots as these are now; return those that the point, as it is now, leaves behind."""
        after = self._facts() if self._orders else {}
        self._put_in_slots(after)
        return [order for order in self._orders if self._leaves(after[order.row.offer], order)]

    def _put_in_slots(self, after: dict[str, AnyRow | None]) -> None:
        """Count the orders of an offer into its slots anew where these are longer or shorter now."""
        for offer, its in after.items():
            before = self._before[offer]
            if its is not None and its.offer is not None and before is not None and its.slot_s != before.slot_s:
                there = [order.row for order in self._orders if order.row.offer == offer]
                count_slots(self._connection, self._point_id, offer, its.slot_s, there)

    def _leaves(self, after: AnyRow | None, order: OrderRecord) -> bool:
        """Tell whether the point, as it is now, leaves an order behind."""
        before = self._before[order.row.offer]
        if after is None or after.offer is None:
            return True
        if before is None or before.offer is None:
            return False
        place = next((place for place in _places(before, order) if self._serves(before, order, place)), None)
        if place is None:  # none is known that it served: what is not its area is judged all the same
            before, after = (facts._replace(area=None, radius_m=None) for facts in (before, after))
            place = (before.lat, before.lng)
        return self._serves(before, order, place) and not self._serves(after, order, place)

    def _serves(self, facts: AnyRow, order: OrderRecord, place: tuple[float, float]) -> bool:
        """Tell whether the point would serve an order from a place; its merchant's being suspended is not the point's change."""
        row = order.row
        norm, at_us, now_us = self._norms.by_offer[row.offer], row.handover_at, self._connection.now_us
        if at_us < now_us:  # it waits there: as long as the point opens once more before it is released
            at_us = self._checker.opens_us(facts, now_us)
            if row.state in {State.ACCEPTED, State.READY} and row.expires_at is not None and at_us > row.expires_at:
                return False
        wanted = Wanted(*place, from_us(at_us), None, tuple(split_features(row.features)), "allow")
        return self._checker.judge(facts._replace(status="verified"), wanted, norm).promise is not None

    def _reject(self, services: Services, order: OrderRecord, actor: str) -> None:
        connection = self._connection
        known = known_of(connection, order, connection.now_us)
        plans = plans_for(services.index.view.engine, order, known, connection.now_us)
        locked = locked_order(connection, order.row.order_id)
        if locked is not None and locked.row.state in OPEN:
            reject(connection, services.orders, locked, Act(Event.REJECT, Party.MERCHANT, actor, _REASON), plans)


def _places(facts: AnyRow, order: OrderRecord) -> Iterator[tuple[float, float]]:
    """Yield places that may stand for the one that an order came from, of which its cell is known."""
    cell = order.row.cell
    if cell is not None:
        yield from places_in(cell)
        inside = None if facts.area is None else place_in_both(cell, facts.area)
        if inside is not None:
            yield inside
    yield facts.lat, facts.lng

"""
What a change of a point means for the orders that are open there.

A point that goes, pauses or shortens its hours or its area leaves orders behind that it cannot serve any more. They are
named first; with a second word the change comes about, and each of them is handled as one that the point rejects.

Whoever acts on an order locks it before its point. Which orders a change leaves behind is known only once the point is
locked, so it is then taken back, and comes about anew with these locked before the point.
"""

from __future__ import annotations

from functools import cached_property, partial
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

from fastapi import Query

from service.clock import from_us
from service.errors import OverloadedError
from service.feed.columns import split_features
from service.http.problems import ProblemError
from service.orders.acting import Act, lock_order, locked_order
from service.orders.checks import Wanted, is_judged_alike
from service.orders.moving import reject
from service.orders.plans import known_of, plans_for
from service.orders.rules import OPEN, Event, Party, State
from service.orders.store import find_facts, open_offers, open_orders
from service.orders.taking import count_slots
from service.places import place_in_both, places_in
from service.stock.counting import lock_points

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from service.deadlines import Deadline
    from service.orders.checks import Checker
    from service.services import Services
    from service.store.connections import AnyRow, WriteConnection

__all__ = ["NotLockedError", "OpenOrders", "SecondWord", "write_change"]

_T = TypeVar("_T")
_MOST_NAMED = 100
_MOST_READS = 20
_REASON = "point_changed"

SecondWord = Annotated[
    Literal["reject"] | None,
    Query(
        description="reject: open orders that the point cannot serve any more are rejected. Without, a change that "
        "leaves such behind is refused, and they are named."
    ),
]


class NotLockedError(Exception):
    """
    Orders are left behind that were not locked before their point: the change is to be taken back.

    Attributes
    ----------
    order_ids
        Which orders to lock, in turn: parts before what they are parted from, as who acts on a part does.
    """

    def __init__(self, left: Sequence[AnyRow]) -> None:
        super().__init__("orders are left behind that are not locked")
        parts = {row.order_id for row in left if row.split_of is not None}
        wholes = {row.split_of or row.order_id for row in left}
        self.order_ids = (*sorted(parts), *sorted(wholes))


async def write_change(
    services: Services, deadline: Deadline, change: Callable[[Sequence[str], WriteConnection], _T]
) -> _T:
    """
    Write a change of a point; ``change`` is given the ids of the orders that `OpenOrders` is to lock.

    Raises
    ------
    OverloadedError
        If others are left behind each time.
    """
    locked: Sequence[str] = ()
    for _ in range(_MOST_READS):
        try:
            return await services.store.write(partial(change, locked), deadline)
        except NotLockedError as error:
            locked = error.order_ids
    raise OverloadedError("orders come in at the point all the time")


class OpenOrders:
    """
    The orders that are open at a point that is about to change; the point is locked.

    Only those that the change concerns are read, and judged: all other writes wait meanwhile.

    Parameters
    ----------
    checker
        By which they are judged.
    locked
        Ids of orders that are locked before the point; with any, nothing was written before.
    """

    def __init__(
        self, connection: WriteConnection, checker: Checker, point_id: str, locked: Sequence[str] = ()
    ) -> None:
        self._connection = connection
        self._checker = checker
        self._point_id = point_id
        self._locked = frozenset(locked)
        for order_id in locked:
            lock_order(connection, order_id)
        lock_points(connection, [point_id])
        self._offers = open_offers(connection, point_id)
        self._before = self._stands()

    def _stands(self) -> list[_Stand | None]:
        """Return how the point stands with each offer under which orders are open; None where it has it not."""
        now_us = self._connection.now_us
        found = [find_facts(self._connection, self._point_id, offer) for offer in self._offers]
        return [
            None if facts is None or facts.offer is None else _Stand(self._checker, facts, now_us) for facts in found
        ]

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
            named = [order.order_id for order in left[:_MOST_NAMED]]
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
        NotLockedError
            If some of those that are left behind are not locked.
        """
        if word is None:
            self.check()
            return
        left = self._left()
        if not self._locked.issuperset(order.order_id for order in left):
            raise NotLockedError(left)
        for order in left:
            self._reject(services, order.order_id, actor)

    def _left(self) -> list[AnyRow]:
        """Count them into the slots as these are now; return those that the point, as it is now, leaves behind."""
        stands = zip(self._offers, self._before, self._stands(), strict=True)
        changes = {offer: _Change(before, after) for offer, before, after in stands}
        concerned = [offer for offer, change in changes.items() if change.concerns]
        orders = open_orders(self._connection, self._point_id, concerned) if concerned else []
        for offer in concerned:
            if changes[offer].moves_slots:
                there = [order for order in orders if order.offer == offer]
                count_slots(self._connection, self._point_id, offer, changes[offer].slot_s, there)
        return [order for order in orders if changes[order.offer].leaves(order)]

    def _reject(self, services: Services, order_id: str, actor: str) -> None:
        connection = self._connection
        locked = locked_order(connection, order_id)
        if locked is not None and locked.row.state in OPEN:
            known = known_of(connection, locked, connection.now_us)
            plans = plans_for(services.index.view.engine, locked, known, connection.now_us)
            reject(connection, services.orders, locked, Act(Event.REJECT, Party.MERCHANT, actor, _REASON), plans)


class _Stand:
    """How a point stands with one of its offers; its merchant's being suspended is not the point's change."""

    def __init__(self, checker: Checker, facts: AnyRow, now_us: int) -> None:
        self.facts = facts._replace(status="verified")
        self._checker = checker
        self._now_us = now_us

    @cached_property
    def anywhere(self) -> _Stand:
        """The same without its area."""
        return _Stand(self._checker, self.facts._replace(area=None, radius_m=None), self._now_us)

    @cached_property
    def _opens_us(self) -> int:
        return self._checker.opens_us(self.facts, self._now_us)

    def serves(self, order: AnyRow, place: tuple[float, float]) -> bool:
        """Tell whether the point would serve an order from a place."""
        at_us = order.handover_at
        if at_us < self._now_us:  # it waits there: as long as the point opens once more before it is released
            at_us = self._opens_us
            if (
                order.state in {State.ACCEPTED, State.READY}
                and order.expires_at is not None
                and at_us > order.expires_at
            ):
                return False
        wanted = Wanted(*place, from_us(at_us), None, tuple(split_features(order.features)), "allow")
        return self._checker.serves(self.facts, wanted)


class _Change:
    """What a point's change means for the open orders of one of its offers."""

    def __init__(self, before: _Stand | None, after: _Stand | None) -> None:
        self._before, self._after = before, after
        self.slot_s: int | None = None if after is None else after.facts.slot_s
        self.moves_slots = self._is_judged = False
        if before is not None and after is not None:
            self.moves_slots = before.facts.slot_s != after.facts.slot_s
            self._is_judged = not is_judged_alike(before.facts, after.facts)

    @property
    def concerns(self) -> bool:
        """Whether it means anything for them."""
        return self._after is None or self.moves_slots or self._is_judged

    def leaves(self, order: AnyRow) -> bool:
        """Tell whether it leaves an order behind."""
        before, after = self._before, self._after
        if after is None or before is None or not self._is_judged:
            return after is None
        for place in _places(before.facts, order):
            if before.serves(order, place):
                return not after.serves(order, place)
        here = (
            before.facts.lat,
            before.facts.lng,
        )  # none is known that it served: what is not its area is judged all the same
        return before.anywhere.serves(order, here) and not after.anywhere.serves(order, here)


def _places(facts: AnyRow, order: AnyRow) -> Iterator[tuple[float, float]]:
    """Yield places that may stand for the one that an order came from, of which its cell is known."""
    cell = order.cell
    if cell is not None:
        yield from places_in(cell)
        inside = None if facts.area is None else place_in_both(cell, facts.area)
        if inside is not None:
            yield inside
    yield facts.lat, facts.lng

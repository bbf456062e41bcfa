"""Which preparation slots are full, as the followers of the feed know it, so that no match offers one."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, select

from service.clock import from_us, to_us
from service.orders.slots import slot_start
from service.store.order_tables import slots
from service.store.tables import offers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.feed.outbox import Change, Position
    from service.store.connections import AnyRow, ReadConnection

__all__ = ["FullSlots"]

_SECOND_US = 1_000_000
_POINTS_A_READ = 500
_MOST_LOOKED_AT = 2_000
_FULL = (
    select(offers.c.point_id, offers.c.offer, offers.c.slot_s, slots.c.starts_at)
    .join_from(offers, slots, (slots.c.point_id == offers.c.point_id) & (slots.c.offer == offers.c.offer))
    .where(offers.c.slot_orders.is_not(None), slots.c.taken >= offers.c.slot_orders)
)
_SOME = _FULL.where(offers.c.point_id.in_(bindparam("ids", expanding=True)))


class FullSlots:
    """
    Follows the feed; asked from any thread.

    Notes
    -----
    An entry is replaced whole, never changed: whoever reads sees it before or after.
    """

    def __init__(self) -> None:
        self._full: dict[tuple[str, str], tuple[int, frozenset[int]]] = {}
        self._offers: dict[str, set[str]] = {}

    @property
    def is_empty(self) -> bool:
        """Whether no slot at all is full."""
        return not self._full

    def has(self, point_id: str, offer: str, at: dt.datetime) -> bool:
        """Tell whether the slot is full in which something would be handed over at an instant."""
        found = self._full.get((point_id, offer))
        return found is not None and slot_start(to_us(at), found[0]) in found[1]

    def next_free(self, point_id: str, offer: str, at: dt.datetime) -> dt.datetime | None:
        """Return when the first slot behind an instant begins that is not full; None where that is too far ahead."""
        found = self._full.get((point_id, offer))
        if found is None:
            return at
        width_us = found[0] * _SECOND_US
        start = slot_start(to_us(at), found[0]) + width_us
        for _ in range(_MOST_LOOKED_AT):
            if start not in found[1]:
                return from_us(start)
            start += width_us
        return None

    def reload(self, connection: ReadConnection, _position: Position) -> None:
        """Take all anew."""
        self._replace(list(self._offers), connection.rows(_FULL))

    def follow(self, connection: ReadConnection, changes: Sequence[Change]) -> None:
        """Take those anew of the points that changes concern."""
        ids = sorted({change.subject for change in changes if change.kind in {"stock", "point"}})
        for first in range(0, len(ids), _POINTS_A_READ):
            some = ids[first : first + _POINTS_A_READ]
            self._replace(some, connection.rows(_SOME, {"ids": some}))

    def verify(self, _connection: ReadConnection) -> bool:
        """Tell that what is kept here is read anew with each change of its point."""
        return True

    def _replace(self, point_ids: Sequence[str], rows: Sequence[AnyRow]) -> None:
        """Enter what is full at some points, and only then forget what of theirs is not any more."""
        were = [(point_id, offer) for point_id in point_ids for offer in self._offers.pop(point_id, ())]
        found: dict[tuple[str, str], tuple[int, set[int]]] = {}
        for row in rows:
            found.setdefault((row.point_id, row.offer), (row.slot_s, set()))[1].add(row.starts_at)
        for (point_id, offer), (slot_s, starts) in found.items():
            self._full[point_id, offer] = (slot_s, frozenset(starts))
            self._offers.setdefault(point_id, set()).add(offer)
        for gone in set(were) - found.keys():
            del self._full[gone]

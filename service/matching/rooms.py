"""Whether a point that can serve has room for one more: a preparation slot that is not full, a crew that can come."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine import REASONS

if TYPE_CHECKING:
    import datetime as dt

    from service.bookings.coming import Coming
    from service.feed.full_slots import FullSlots
    from service.matching.asks import Ask

__all__ = ["MATCHED", "Rooms"]

MATCHED = REASONS[0]


class Rooms:
    """
    Asked from any thread; about visits of points whose services can be booked it may read the store.

    Parameters
    ----------
    full
        Which preparation slots are full.
    coming
        Whether a crew can come.
    """

    def __init__(self, full: FullSlots, coming: Coming) -> None:
        self._full = full
        self._coming = coming

    def for_batch(self) -> Rooms:
        """Return those that read the store for a batch as seldom as can be, asked from one thread."""
        return Rooms(self._full, self._coming.for_batch())

    def concern(self, offer: str) -> bool:
        """Tell whether anything of an offer might have no room."""
        return not self._full.is_empty or self._coming.concerns(offer)

    def waits(self, offer: str) -> bool:
        """Tell whether to ask about an offer may take longer than a moment."""
        return self._coming.concerns(offer)

    def is_free(self, point_id: str, ask: Ask) -> bool:
        """Tell whether a point that can serve has room for what is asked."""
        return not self._full.has(point_id, ask.offer, ask.at) and self._coming.can_come(point_id, ask)

    def refusal(self, point_id: str, ask: Ask) -> str | None:
        """Return why a point that can serve has no room for what is asked: ``too_soon`` or ``full``; None if it has."""
        if self.is_free(point_id, ask):
            return None
        return "too_soon" if self._coming.is_too_soon(point_id, ask) else "full"

    def next_free(self, point_id: str, ask: Ask) -> dt.datetime | None:
        """Return when a point that has none has room again; None where that is too far ahead."""
        if self._coming.is_booked_at(point_id, ask.offer):
            return self._coming.next_coming(point_id, ask)
        return self._full.next_free(point_id, ask.offer, ask.at)

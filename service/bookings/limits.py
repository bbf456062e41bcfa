"""How much of the crews' time one buyer, or one device, may keep from all others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.bookings.rules import OPEN, State
from service.bookings.store import count_given_up, recent_bookings
from service.http.problems import ProblemError
from service.orders.limits import HOLDS_AT_ONCE, LEFT_AN_HOUR

if TYPE_CHECKING:
    from service.store.connections import WriteConnection

__all__ = ["OPEN_AT_ONCE", "check_bookings"]

OPEN_AT_ONCE = 10
"""Visits that one buyer, or one device, may have before him."""
_HOUR_US = 3_600_000_000


def check_bookings(connection: WriteConnection, buyer: str, device: str) -> None:
    """
    Refuse one more booking where there are too many, or too many were given up.

    Raises
    ------
    ProblemError
        state-conflict for too many at once, rate-limited for too many that were given up.
    """
    for subject in sorted({buyer, device}):
        connection.lock(f"bookings of {subject}")
    recent = recent_bookings(connection, buyer, device, connection.now_us - _HOUR_US)
    for state, most in (({State.HELD}, HOLDS_AT_ONCE), (OPEN - {State.FINISHED}, OPEN_AT_ONCE)):
        if sum(row.state in state for row in recent) >= most:
            which = "held" if state == {State.HELD} else "open"
            text = f"at most {most} visits are {which} for one buyer at a time: confirm or cancel one first"
            raise ProblemError("state-conflict", text)
    ended = [row.booking_id for row in recent if row.state in {State.CANCELLED, State.EXPIRED}]
    left = count_given_up(connection, ended) if len(ended) >= LEFT_AN_HOUR else 0
    if left >= LEFT_AN_HOUR:
        text = f"{left} visits were given up within an hour: wait"
        raise ProblemError("rate-limited", text, headers={"Retry-After": "600"})

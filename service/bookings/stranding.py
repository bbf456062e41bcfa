"""What a change of a point means for the visits that are promised there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.bookings.store import open_at_point
from service.crews.store import count_roster
from service.http.problems import ProblemError

if TYPE_CHECKING:
    from collections.abc import Collection

    from service.store.connections import WriteConnection

__all__ = ["check_no_visits"]

_MOST_NAMED = 100


def check_no_visits(connection: WriteConnection, point_id: str, of: Collection[str] | None = None) -> None:
    """
    Refuse what takes a point, or some of its offers, from under visits that are promised there; its roster is locked.

    Parameters
    ----------
    of
        The offers that go; None for all.

    Raises
    ------
    ProblemError
        state-conflict, with the bookings.
    """
    count_roster(connection, point_id.partition(":")[0], point_id)
    rows = [row for row in open_at_point(connection, point_id) if of is None or row.offer in of]
    if rows:
        named = [row.booking_id for row in rows[:_MOST_NAMED]]
        text = f"{len(rows)} visits are promised there: cancel them, or let them end"
        raise ProblemError("state-conflict", text, more={"bookings": named, "n_bookings": len(rows)})

"""Changes of crews and services, within one transaction: the roster is locked, and promised visits are settled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import Query

from service.bookings.calendars import delete_calendar
from service.bookings.changed_points import crews_concerned, stand_of
from service.bookings.settling import Settled, bring_in_line, resettle_crews
from service.crews.facts import CrewFacts
from service.crews.forgetting import forget_crew
from service.crews.rules import check_at_point
from service.crews.store import (
    CREWS,
    SERVICES,
    count_kept,
    count_roster,
    find_kept,
    list_engagements,
    put_engagement,
    put_kept,
)
from service.errors import StateConflictError
from service.http.access import not_found
from service.http.problems import ProblemError
from service.points.store import find_point, merchant_lock

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.bookings.holding import BookingTerms
    from service.crews.facts import ServiceFacts
    from service.points.store import PointRecord
    from service.store.connections import AnyRow, WriteConnection

__all__ = [
    "MAX_CREWS",
    "MAX_SERVICES",
    "SecondVisitWord",
    "engage",
    "locked_point",
    "put_crew",
    "put_service",
    "remove_crew",
    "settle_changed",
    "settled",
]

MAX_CREWS, MAX_SERVICES = 500, 200
"""Of one point."""
_MOST_ENGAGEMENTS, _MOST_NAMED = 500, 100

SecondVisitWord = Annotated[
    Literal["replan"] | None,
    Query(
        description="replan: promised visits that the crew could not make any more go to others where their windows can be "
        "kept, the rest become unplaced. Without, a change that concerns any is refused, and they are named."
    ),
]


def locked_point(connection: WriteConnection, merchant_id: str, point_id: str) -> PointRecord:
    """Return a point, its roster locked and counted on; 404 where there is none."""
    merchant_lock(connection, merchant_id)
    if count_roster(connection, merchant_id, point_id) is None:
        raise not_found()
    found = find_point(connection, point_id)
    assert found is not None  # noqa: S101 - it was just counted
    return found


def put_crew(
    connection: WriteConnection,
    terms: BookingTerms,
    point: PointRecord,
    crew_id: str,
    facts: CrewFacts,
    actor: str,
    word: str | None,
) -> Settled:
    """
    Store a crew, and settle what it has promised.

    Raises
    ------
    ProblemError, StateConflictError
        If its hours cannot be of this point, it has too many crews, or visits would be left behind without a word.
    """
    point_id = point.row.point_id
    check_at_point(facts.hours, point.row)
    if find_kept(connection, CREWS, point_id, crew_id) is None and count_kept(connection, CREWS, point_id) >= MAX_CREWS:
        text = f"a point has at most {MAX_CREWS} crews"
        raise StateConflictError(text)
    if not put_kept(connection, CREWS, point_id, crew_id, facts.as_json()):
        return Settled([], [])
    return settled(connection, terms, point, crew_id, actor, word)


def remove_crew(
    connection: WriteConnection, terms: BookingTerms, point: PointRecord, row: AnyRow, actor: str, word: str | None
) -> Settled:
    """Delete a crew, given its row, revoke its link, and settle what it has promised; raises as `put_crew` does."""
    forget_crew(connection, row.point_id, row.crew_id)
    delete_calendar(connection, row.point_id, row.crew_id)
    return settled(connection, terms, point, row.crew_id, actor, word)


def engage(connection: WriteConnection, values: dict[str, Any]) -> bool:
    """Store an engagement of a crew, ``values`` being all its columns; tell whether it is new."""
    is_new = put_engagement(connection, values)
    before = list_engagements(connection, values["point_id"], connection.now_us, values["crew_id"])
    if len(before) > _MOST_ENGAGEMENTS:
        text = f"a crew has at most {_MOST_ENGAGEMENTS} engagements before it"
        raise StateConflictError(text)
    return is_new


def settled(
    connection: WriteConnection, terms: BookingTerms, point: PointRecord, crew_id: str, actor: str, word: str | None
) -> Settled:
    """Settle what a crew has promised; without a word, refuse where that concerns anybody."""
    return _settled(connection, terms, point, [crew_id], actor, word)


def settle_changed(
    connection: WriteConnection,
    terms: BookingTerms,
    before: PointRecord,
    point: PointRecord,
    actor: str,
    word: str | None,
) -> Settled:
    """Settle what the crews have promised of a point that was another one ``before``; raises as `settled`."""
    stood, stands = stand_of(before), stand_of(point)
    concerned = crews_concerned(connection, terms.rosters, point.row.point_id, stood, stands)
    return _settled(connection, terms, point, concerned, actor, word)


def _settled(
    connection: WriteConnection,
    terms: BookingTerms,
    point: PointRecord,
    crew_ids: Sequence[str],
    actor: str,
    word: str | None,
) -> Settled:
    if word is not None:
        return resettle_crews(connection, terms, point.row, crew_ids, actor)
    loose, booked = bring_in_line(connection, terms.rosters, point.row, crew_ids)
    if loose:  # to whom they could go is not asked: it takes long
        text = (
            f"{len(loose)} promised visits could not be made by their crew any more: send it again with "
            "?open_bookings=replan, and others make them where they can"
        )
        rows = sorted((booked[stop.stop_id] for stop in loose), key=lambda row: (row.starts_at, row.booking_id))
        named = [row.booking_id for row in rows[:_MOST_NAMED]]
        raise ProblemError("state-conflict", text, more={"bookings": named, "n_bookings": len(loose)})
    return Settled([], [])


def put_service(connection: WriteConnection, point: PointRecord, service_id: str, facts: ServiceFacts) -> bool:
    """
    Store a service; tell whether that changed anything.

    Raises
    ------
    ProblemError, StateConflictError
        If its hours cannot be of this point, or it has too many services.
    """
    point_id = point.row.point_id
    check_at_point(facts.hours, point.row)
    is_new = find_kept(connection, SERVICES, point_id, service_id) is None
    if is_new and count_kept(connection, SERVICES, point_id) >= MAX_SERVICES:
        text = f"a point has at most {MAX_SERVICES} services"
        raise StateConflictError(text)
    return put_kept(connection, SERVICES, point_id, service_id, facts.as_json())

"""Visits under way: when each really begins, ends or runs over, and what its crew can still keep then."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.replanning import kept_part
from service.bookings.acting import act_on
from service.bookings.days import base_days, day_of, engagements_in, find_shift, is_visit, write_shift
from service.bookings.planning import local_day
from service.bookings.settling import Settled, hand_on, resettle_crew
from service.bookings.spreading import fixed_stops, ways
from service.bookings.store import bookings_of_ids
from service.crews.facts import CrewFacts
from service.crews.store import (
    CREWS,
    count_roster,
    delete_engagement,
    find_kept,
    list_engagements,
    put_engagement,
)
from service.errors import StateConflictError
from service.points.store import find_point

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from engine.crew_days import CrewDay
    from service.bookings.holding import BookingTerms
    from service.bookings.rules import Act
    from service.store.connections import AnyRow, WriteConnection

__all__ = ["begin_visit", "finish_visit", "overrun_visit"]

_SECOND_US = 1_000_000


def begin_visit(connection: WriteConnection, terms: BookingTerms, row: AnyRow, act: Act) -> AnyRow:
    """
    Let a booking's visit begin, and its crew's day go on from then; return the booking, which is locked.

    What comes late by that stays with the crew, only later: to hand it on is for those to say who see the crew.
    """
    begun = act_on(connection, terms, row, act)
    point, shift = find_point(connection, row.point_id), _shift_of(connection, begun)
    if point is not None and shift is not None:
        day = _with(day_of(shift), begun, **_from_its_start(connection, begun, begun.duration_s))
        _go_on(connection, terms, point.row, shift, begun, day, act.actor, keeps_all=True)
    return begun


def finish_visit(connection: WriteConnection, terms: BookingTerms, row: AnyRow, act: Act, **values: Any) -> AnyRow:
    """Let a booking's visit be done as `act_on` does; where that is sooner than planned its crew has time from now on."""
    done = act_on(connection, terms, row, act, **values)
    point, shift = find_point(connection, row.point_id), _shift_of(connection, row)
    if point is not None and shift is not None and row.begun_at is not None:
        _shorten(connection, terms, point.row, shift, done, act.actor)
    return done


def _shorten(
    connection: WriteConnection, terms: BookingTerms, point: AnyRow, shift: AnyRow, done: AnyRow, actor: str
) -> None:
    day = day_of(shift)
    lasted_s = -(-(connection.now_us - done.begun_at) // _SECOND_US)
    planned_s = next((stop.duration_s for stop in day.stops if stop.stop_id == done.booking_id), 0)
    if lasted_s < planned_s:
        day = _with(day, done, duration_s=lasted_s)
        _go_on(connection, terms, point, shift, done, day, actor, keeps_all=True)


def overrun_visit(
    connection: WriteConnection, terms: BookingTerms, point: AnyRow, booking: AnyRow, minutes: int, actor: str
) -> Settled:
    """
    Let a visit that has begun take some minutes more from now on, and hand on what its crew cannot keep then.

    Raises
    ------
    StateConflictError
        If the crew's shift is not known any more.
    """
    shift = _shift_of(connection, booking)
    if shift is None:
        raise StateConflictError("the crew's shift was over long ago")
    day = _with(day_of(shift), booking, **_from_its_start(connection, booking, 60 * minutes))
    return _go_on(connection, terms, point, shift, booking, day, actor, keeps_all=False)


def _shift_of(connection: WriteConnection, booking: AnyRow) -> AnyRow | None:
    return find_shift(connection, booking.point_id, booking.crew_id, booking.shift_at // _SECOND_US)


def _with(day: CrewDay, booking: AnyRow, **changes: Any) -> CrewDay:
    its = booking.booking_id
    return day._replace(stops=tuple(one._replace(**changes) if one.stop_id == its else one for one in day.stops))


def _from_its_start(connection: WriteConnection, booking: AnyRow, more_s: int) -> dict[str, int]:
    """Return when the stop of a visit is that began when it really did, and takes so many seconds more from now on."""
    begun_s = booking.begun_at // _SECOND_US
    lasts_s = -(-connection.now_us // _SECOND_US) - begun_s + more_s
    return {"duration_s": lasts_s, "earliest_s": begun_s, "latest_s": begun_s}


def _go_on(
    connection: WriteConnection,
    terms: BookingTerms,
    point: AnyRow,
    shift: AnyRow,
    booking: AnyRow,
    day: CrewDay,
    actor: str,
    *,
    keeps_all: bool,
) -> Settled:
    """Write a shift with a visit under way, keep its crew from its next shift where it lasts so long, and settle both."""
    bases = _shifts_until(connection, terms, point, day)
    ends_s = next((base.ends_s for base in bases if base.starts_s == day.starts_s), day.ends_s)
    booked = bookings_of_ids(connection, [stop.stop_id for stop in day.stops if is_visit(stop)])
    fixed = {stop.stop_id for stop in day.stops} if keeps_all else fixed_stops(day, booked)
    for name in booked.keys() - fixed:  # what came late by an earlier start is late, too
        row = booked[name]
        day = _with(day, row, earliest_s=row.starts_at // _SECOND_US, latest_s=row.ends_at // _SECOND_US)
    table, its = ways(connection, terms, point), engagements_in(day)
    after, loose = kept_part(table, day._replace(ends_s=ends_s), fixed, engagements=its)
    write_shift(connection, point, after, shift.revision)
    found = hand_on(connection, terms, point, loose, booked, actor)
    if _hold_back(connection, point, booking, after, _shifts_until(connection, terms, point, after)):
        next_ = resettle_crew(connection, terms, point, day.crew_id, actor, keeps_all=keeps_all)
        found = Settled([*found.unkept, *next_.unkept], [*found.moved, *next_.moved])
    return found


def _shifts_until(connection: WriteConnection, terms: BookingTerms, point: AnyRow, day: CrewDay) -> Sequence[CrewDay]:
    """Return a crew's shifts by its hours, from the day on which one begins until that on which it ends."""
    kept = find_kept(connection, CREWS, point.point_id, day.crew_id)
    if kept is None:
        return []
    first, last = (local_day(point.timezone, at_s) for at_s in (day.starts_s, day.ends_s))
    crew = CrewFacts.of_json(kept.facts).crew(day.crew_id, point)
    return base_days(crew, terms.rosters.openings, [], first, (last - first).days + 1)


def _hold_back(
    connection: WriteConnection, point: AnyRow, booking: AnyRow, day: CrewDay, bases: Sequence[CrewDay]
) -> bool:
    """Engage a crew in the shifts that begin before it is back from one, or no more; tell whether that changed anything."""
    name, its = f"over-{booking.booking_id}", (point.point_id, day.crew_id)
    known = {
        one.engagement_id: (one.starts_at, one.ends_at)
        for one in list_engagements(connection, point.point_id, day.starts_s * _SECOND_US, day.crew_id)
    }
    begun = [base.starts_s for base in bases if day.starts_s < base.starts_s < day.ends_s]
    span = (min(begun) * _SECOND_US, day.ends_s * _SECOND_US) if begun else None
    if known.get(name) == span:
        return False
    delete_engagement(connection, *its, name)
    if span is not None:
        place = {"starts_at": span[0], "ends_at": span[1], "lat": None, "lng": None}
        put_engagement(connection, {"point_id": its[0], "crew_id": its[1], "engagement_id": name} | place)
    count_roster(connection, point.merchant_id, point.point_id)
    return True

"""Visits under way: when each is set out to, really begins, ends or runs over, and what its crew can still keep then."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.replanning import however_late
from service.bookings.acting import act_on, check_booking_act, check_waited, set_out_us
from service.bookings.bases import shifts_of
from service.bookings.days import (
    begins_by,
    day_of,
    engagements_in,
    find_shift,
    is_visit,
    list_shifts,
    write_shift,
)
from service.bookings.lasting import bookings_in, carry_on, shifts_by_hours
from service.bookings.planning import take_visit_out
from service.bookings.rules import Event, State
from service.bookings.settling import Settled, hand_on
from service.bookings.spreading import fixed_stops, promised, ways
from service.bookings.store import BookingFilter, list_bookings
from service.crews.store import count_roster
from service.errors import StateConflictError
from service.points.store import find_point

if TYPE_CHECKING:
    from typing import Any

    from engine.crew_days import CrewDay, CrewDays
    from service.bookings.holding import BookingTerms
    from service.bookings.rules import Act
    from service.store.connections import AnyRow, WriteConnection

__all__ = ["begin_visit", "finish_visit", "miss_visit", "overrun_visit", "set_out"]

_SECOND_US = 1_000_000
_DAY_US = 86_400 * _SECOND_US


def set_out(connection: WriteConnection, terms: BookingTerms, row: AnyRow, act: Act) -> AnyRow:
    """
    Let a crew set out to a booking's visit, and nothing more be put before it; return the booking, which is locked.

    It is the next one of those that the crew has not set out to, unless what was promised could not be kept then: one
    may say long before the visit that one sets out, but begins it when it is its turn.
    """
    departed = act_on(connection, terms, row, act)
    point, shift = find_point(connection, row.point_id), _shift_of(connection, departed)
    if point is None or shift is None:
        return departed
    old, now_s = day_of(shift), -(-connection.now_us // _SECOND_US)
    first = _moved_up(old, departed, max(now_s, departed.starts_at // _SECOND_US))
    booked, table = bookings_in(connection, [old]), ways(connection, terms.rosters, point.row)
    before_s, after_s = (_late_s(table, day, booked, now_s) for day in (old, first))
    is_kept = first != old and all(after <= before for before, after in zip(before_s, after_s, strict=True))
    day = however_late(table, promised(first, booked), engagements=engagements_in(first)) if is_kept else old
    write_shift(connection, departed, _with(day, departed, is_set_out=True), shift.revision)
    return departed


def begin_visit(connection: WriteConnection, terms: BookingTerms, row: AnyRow, act: Act) -> AnyRow:
    """
    Let a booking's visit begin, and its crew's day go on from then; return the booking, which is locked.

    It comes before all that have not begun, in the shift that goes on then, or begins next, if its own has not begun. What
    comes late by that stays with the crew, only later: to hand it on is for those to say who see the crew.
    """
    point, shift = find_point(connection, row.point_id), _shift_of(connection, row)
    if point is None or shift is None:
        return act_on(connection, terms, row, act)
    begun, shift = _where_it_is(connection, terms, point.row, shift, row, act)
    day = _with(day_of(shift), begun, **_from_its_start(connection, begun, begun.duration_s))
    day = _over_before(connection, day, begun)
    carry_on(connection, terms.rosters, point.row, shift, day, keeps_all=True)
    return begun


def _where_it_is(
    connection: WriteConnection, terms: BookingTerms, point: AnyRow, shift: AnyRow, row: AnyRow, act: Act
) -> tuple[AnyRow, AnyRow]:
    """Let an event happen to a booking whose crew is there; return it, and the shift in which its visit stands then."""
    there = _sooner(connection, terms, point, day_of(shift))
    if there is None:
        return act_on(connection, terms, row, act), shift
    after = act_on(connection, terms, row, act, shift_at=there.starts_s * _SECOND_US)
    return after, _taken_along(connection, terms, point, shift, there, after)


def _sooner(connection: WriteConnection, terms: BookingTerms, point: AnyRow, day: CrewDay) -> CrewDay | None:
    """Return the shift of a day's crew that goes on now, or begins next, where the day does later; None where there is none."""
    now_s = connection.now_us // _SECOND_US
    if day.starts_s <= now_s:
        return None
    span = (connection.now_us - _DAY_US, day.starts_s * _SECOND_US)
    stored = [day_of(row) for row in list_shifts(connection, point.point_id, *span, day.crew_id)]
    by_hours = shifts_by_hours(connection, terms.rosters, point, day.crew_id, now_s)
    bases = by_hours(day._replace(starts_s=now_s, ends_s=now_s))
    days = shifts_of(bases, stored, terms.rosters.travel(connection, point.point_id))
    return next((one for one in days if one.starts_s < day.starts_s and now_s < one.ends_s), None)


def _taken_along(
    connection: WriteConnection, terms: BookingTerms, point: AnyRow, shift: AnyRow, there: CrewDay, begun: AnyRow
) -> AnyRow:
    """Take a visit out of a shift and put it behind all in another one of its crew; return the row of that."""
    count_roster(connection, point.merchant_id, point.point_id)  # more is different than one shift
    its, old = begun.booking_id, day_of(shift)
    carry_on(connection, terms.rosters, point, shift, old.without_stop(its), keeps_all=True)
    found = _shift_of(connection, begun)
    day = there if found is None else day_of(found)
    stops = (*day.stops, *(stop for stop in old.stops if stop.stop_id == its))
    write_shift(connection, point, day._replace(stops=stops), 0 if found is None else found.revision)
    written = _shift_of(connection, begun)
    assert written is not None  # noqa: S101 - it was just written
    return written


def _over_before(connection: WriteConnection, day: CrewDay, begun: AnyRow) -> CrewDay:
    """Return a day in which the visits that began before one does are over when it does."""
    begun_s = begun.begun_at // _SECOND_US
    fixed = fixed_stops(day, bookings_in(connection, [day])) - {begun.booking_id}
    stops = (
        stop._replace(duration_s=min(stop.duration_s, max(0, begun_s - stop.earliest_s)))
        if is_visit(stop) and stop.stop_id in fixed
        else stop
        for stop in day.stops
    )
    return day._replace(stops=tuple(stops))


def finish_visit(connection: WriteConnection, terms: BookingTerms, row: AnyRow, act: Act, **values: Any) -> AnyRow:
    """Let a booking's visit be done as `act_on` does; where that is sooner than planned its crew has time from now on."""
    done = act_on(connection, terms, row, act, **values)
    point, shift = find_point(connection, row.point_id), _shift_of(connection, row)
    if point is not None and shift is not None and row.begun_at is not None:
        _shorten(connection, terms, point.row, shift, done)
    return done


def miss_visit(connection: WriteConnection, terms: BookingTerms, row: AnyRow, act: Act) -> AnyRow:
    """
    Let a visit end that one side did not come to; return the booking, which is locked.

    A crew that missed its customer is at the door, and goes on from there: the visit stays in its day, as what is over
    does. Where it was at another door since, to which it set out later, it was at this one as long as it has to wait;
    where such a visit still goes on, that is where it is, and this one goes.

    Raises
    ------
    StateConflictError
        If the other side has not been waited for yet, or the event cannot come now.
    """
    check_booking_act(row, act)
    until_s = -(-check_waited(connection, terms, row, act.event) // _SECOND_US)
    if act.event is not Event.CUSTOMER_ABSENT:
        return act_on(connection, terms, row, act)
    point, shift = find_point(connection, row.point_id), _shift_of(connection, row)
    left_us = set_out_us(connection, row.booking_id)
    started = list_bookings(connection, BookingFilter(point_id=row.point_id, state=State.STARTED, crew_id=row.crew_id))
    if point is None or shift is None or any(other.begun_at >= left_us for other in started):
        take_visit_out(connection, terms.rosters, row)
        return act_on(connection, terms, row, act, crew_id=None, shift_at=None)
    ended, shift = _where_it_is(connection, terms, point.row, shift, row, act)
    behind = _gone_on_to(connection, shift, ended.booking_id, left_us, until_s)
    at_s = -(-connection.now_us // _SECOND_US) if behind is None else until_s
    day = _at_the_door(day_of(shift), ended, at_s, behind)
    carry_on(connection, terms.rosters, point.row, shift, day, keeps_all=True)
    return ended


def _gone_on_to(connection: WriteConnection, shift: AnyRow, name: str, left_us: int, since_s: int) -> str | None:
    """Return at whose door a crew was next, since an instant, of those to which it set out later than to one of a shift."""
    rows = list_shifts(connection, shift.point_id, shift.starts_at, connection.now_us, shift.crew_id)
    stops = [stop for one in rows if one.starts_at >= shift.starts_at for stop in day_of(one).stops]
    begun = sorted((stop.earliest_s, stop.stop_id) for stop in stops if is_visit(stop) and stop.has_begun)
    others = (other for at_s, other in begun if at_s >= since_s and other != name)
    return next((other for other in others if set_out_us(connection, other) > left_us), None)


def _at_the_door(day: CrewDay, booking: AnyRow, at_s: int, behind: str | None) -> CrewDay:
    """Return a day in which a crew was at the place of a booking's visit at an instant, before the one that came behind it."""
    day = _with(day, booking, duration_s=0, earliest_s=at_s, latest_s=at_s, is_set_out=True, has_begun=True)
    there = next((stop for stop in day.stops if stop.stop_id == booking.booking_id), None)
    others = day.without_stop(booking.booking_id)
    after = next((k for k, stop in enumerate(others.stops) if stop.stop_id == behind), None)
    return day if there is None or after is None else others.with_stop(there, after)


def _shorten(connection: WriteConnection, terms: BookingTerms, point: AnyRow, shift: AnyRow, done: AnyRow) -> None:
    day = day_of(shift)
    lasted_s = -(-(connection.now_us - done.begun_at) // _SECOND_US)
    planned_s = next((stop.duration_s for stop in day.stops if stop.stop_id == done.booking_id), 0)
    day = _with(day, done, duration_s=min(lasted_s, planned_s))
    carry_on(connection, terms.rosters, point, shift, day, keeps_all=True)


def overrun_visit(
    connection: WriteConnection, terms: BookingTerms, point: AnyRow, booking: AnyRow, minutes: int, actor: str
) -> Settled:
    """
    Let a visit that has begun take some minutes more from now on, and hand on what its crew cannot keep then.

    It never ends before the time that it was booked for: `finish_visit` shortens it.

    Raises
    ------
    StateConflictError
        If the crew's shift is not known any more.
    """
    shift = _shift_of(connection, booking)
    if shift is None:
        raise StateConflictError("the crew's shift was over long ago")
    day = _with(day_of(shift), booking, **_from_its_start(connection, booking, 60 * minutes))
    loose, booked = carry_on(connection, terms.rosters, point, shift, day, keeps_all=False)
    return hand_on(connection, terms, point, loose, booked, actor)


def _shift_of(connection: WriteConnection, booking: AnyRow) -> AnyRow | None:
    return find_shift(connection, booking.point_id, booking.crew_id, booking.shift_at // _SECOND_US)


def _with(day: CrewDay, booking: AnyRow, **changes: Any) -> CrewDay:
    its = booking.booking_id
    return day._replace(stops=tuple(one._replace(**changes) if one.stop_id == its else one for one in day.stops))


def _moved_up(day: CrewDay, booking: AnyRow, begins_s: int) -> CrewDay:
    """
    Return a day in which a booking's visit stands before all that nobody has set out to, given when it would begin.

    Engagements that begin before it, and breaks that can be over by then, stay before it.
    """
    its = next((k for k, stop in enumerate(day.stops) if stop.stop_id == booking.booking_id), 0)
    first = next((k for k in range(its, 0, -1) if day.stops[k - 1].is_set_out), 0)
    between = day.stops[first:its]
    if not any(map(is_visit, between)):
        return day
    before = tuple(stop for stop in between if not is_visit(stop) and begins_by(stop, begins_s))
    later = tuple(stop for stop in between if stop not in before)
    return day._replace(stops=(*day.stops[:first], *before, day.stops[its], *later, *day.stops[its + 1 :]))


def _late_s(table: CrewDays, day: CrewDay, booked: dict[str, AnyRow], now_s: int) -> list[int]:
    """Return how late each stop of a day comes, by name, and then its crew, where nothing begins before now."""
    stops = (
        stop._replace(earliest_s=max(stop.earliest_s, now_s), latest_s=max(stop.latest_s, now_s))
        if stop.stop_id in booked and stop.stop_id not in fixed_stops(day, booked)
        else stop
        for stop in promised(day, booked).stops
    )
    asked = day._replace(stops=tuple(stops))
    latest = however_late(table, asked, engagements=engagements_in(day))
    late_s = sorted(
        (
            stop.stop_id,
            was.duration_s if stop.place != was.place else stop.latest_s - was.latest_s,
        )  # or nobody goes there
        for stop, was in zip(latest.stops, asked.stops, strict=True)
    )
    return [*(seconds for _, seconds in late_s), latest.ends_s - day.ends_s]


def _from_its_start(connection: WriteConnection, booking: AnyRow, more_s: int) -> dict[str, Any]:
    """Return when the stop of a visit is that began when it really did, and takes so many seconds more from now on, at least."""
    begun_s = booking.begun_at // _SECOND_US
    lasts_s = max(booking.duration_s, -(-connection.now_us // _SECOND_US) - begun_s + more_s)
    return {"duration_s": lasts_s, "earliest_s": begun_s, "latest_s": begun_s, "is_set_out": True, "has_begun": True}

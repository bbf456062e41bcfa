"""A visit in a crew's day: put into it, or taken out, by one write that demands the day that was judged."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from engine.crew_days import CrewDays, Stop
from engine.errors import EngineError
from engine.slots import Slot, check_slots
from service.bookings.bases import base_days, with_its_ways
from service.bookings.days import (
    behind,
    day_of,
    days_before,
    days_beside,
    find_shift,
    local_day,
    n_visits,
    overlaps,
    write_shift,
)
from service.bookings.lasting import carry_on
from service.bookings.late_crews import days_now
from service.bookings.point_rosters import Nobody
from service.crews.facts import CrewFacts
from service.crews.store import CREWS, find_kept, list_engagements
from service.errors import NotFeasibleError
from service.points.store import find_point

if TYPE_CHECKING:
    from engine.crew_days import CrewDay
    from engine.rosters import VisitAsk
    from engine.travel import Travel
    from service.bookings.point_rosters import Candidate, Spot
    from service.bookings.rosters import Rosters
    from service.store.connections import AnyRow, WriteConnection

__all__ = ["Window", "place_visit", "take_visit_out"]

_SECOND_US = 1_000_000
_DAY_S = 86_400


class Window(NamedTuple):
    """In which a visit begins, in seconds since 1970, both ends inclusive."""

    starts_s: int
    width_s: int


def place_visit(
    connection: WriteConnection,
    rosters: Rosters,
    point: AnyRow,
    visit: VisitAsk,
    window: Window,
    booking_id: str,
    candidate: Candidate | None,
) -> CrewDay:
    """
    Put a visit into the day of a crew, and return that day; the point's roster is locked.

    Parameters
    ----------
    point
        The row of the point, as it is locked.
    candidate
        Where memory would put it, or that nobody can come; None, or where it cannot be kept there any more: all days are
        read and asked anew.

    Raises
    ------
    NotFeasibleError
        ``no_crew``: nobody can come.
    """
    if isinstance(candidate, Nobody):
        raise NotFeasibleError("no_crew")
    found = _checked(connection, rosters, point, visit, window, candidate)
    if found is None:
        found = _searched(connection, rosters, point, visit, window)
    slot, day, revision = found
    place = (visit.job.lat, visit.job.lng)
    stop = Stop(booking_id, place, visit.job.duration_s, window.starts_s, window.starts_s + window.width_s)
    after = day.with_stop(stop, slot.after)
    write_shift(connection, point, after, revision)
    return after


def _checked(
    connection: WriteConnection,
    rosters: Rosters,
    point: AnyRow,
    visit: VisitAsk,
    window: Window,
    candidate: Spot | None,
) -> tuple[Slot, CrewDay, int] | None:
    """Return a candidate whose visit can be kept in the day as the store has it now, in time linear in its stops."""
    facts = None if candidate is None else _able(connection, point, visit, window, candidate)
    if candidate is None or facts is None:
        return None
    slot, day = candidate.slot, candidate.day
    row = find_shift(connection, point.point_id, day.crew_id, day.starts_s)
    if row is None and candidate.revision:
        return None
    travel = candidate.table.travel
    now = _unplanned(connection, rosters, point, facts, day, travel) if row is None else day_of(row)
    if now is None or (facts.max_jobs is not None and n_visits(now) >= facts.max_jobs):
        return None
    if not n_visits(now):
        others = days_beside(connection, point.point_id, now)
        now = with_its_ways(CrewDays([], travel), behind(now, others), others) if row is None else now
        if overlaps(now, others):
            return None
    now_s = -(-connection.now_us // _SECOND_US)
    try:
        table = candidate.table if now == day else CrewDays([now], travel)
    except EngineError:
        return None
    if check_slots(table, visit.job, [slot], not_before_s=now_s)[0] is None:
        return None
    if not _is_back(connection, point.point_id, table, visit, slot, now_s):
        return None
    return slot, now, 0 if row is None else row.revision


def _is_back(
    connection: WriteConnection, point_id: str, table: CrewDays, visit: VisitAsk, slot: Slot, now_s: int
) -> bool:
    """Tell whether a visit can be kept, too, as late as its crew is by now from the shifts before that day."""
    (day,) = table.days
    if day.starts_s >= now_s + 2 * _DAY_S:  # no shift goes on for so long
        return True
    *_, now = days_now(table, [*days_before(connection, point_id, day, now_s - _DAY_S), day], now_s)
    return now is day or check_slots(table.alone(now), visit.job, [slot], not_before_s=now_s)[0] is not None


def _able(
    connection: WriteConnection, point: AnyRow, visit: VisitAsk, window: Window, candidate: Spot
) -> CrewFacts | None:
    """Return the crew of a candidate if that is of what is asked and of the point and the crew as they are now."""
    asked = (visit, window.starts_s, window.starts_s + window.width_s)
    if candidate.point_revision != point.point_revision or asked != (
        candidate.visit,
        candidate.slot.starts_s,
        candidate.slot.ends_s,
    ):
        return None
    crew = find_kept(connection, CREWS, point.point_id, candidate.day.crew_id)
    if crew is None or crew.revision != candidate.crew_revision:
        return None
    facts = CrewFacts.of_json(crew.facts)
    return None if facts.is_paused else facts


def _unplanned(
    connection: WriteConnection, rosters: Rosters, point: AnyRow, facts: CrewFacts, day: CrewDay, travel: Travel
) -> CrewDay | None:
    """Return a shift in which nothing was planned as it follows from what the store has: a crew may be taken by now."""
    taken = list_engagements(connection, point.point_id, day.starts_s * _SECOND_US, day.crew_id)
    date = local_day(point.timezone, day.starts_s)
    days = base_days(facts.crew(day.crew_id, point), rosters.openings, taken, date, 2, travel)
    return next((one for one in days if one.starts_s == day.starts_s), None)


def _searched(
    connection: WriteConnection, rosters: Rosters, point: AnyRow, visit: VisitAsk, window: Window
) -> tuple[Slot, CrewDay, int]:
    day = local_day(point.timezone, window.starts_s)
    known = rosters.made(connection, point, day, 1)
    found = known.candidate(visit, window.starts_s, window.width_s, -(-connection.now_us // _SECOND_US))
    if found is None:
        raise NotFeasibleError("no_crew")
    return found.slot, found.day, found.revision


def take_visit_out(connection: WriteConnection, rosters: Rosters, booking: AnyRow) -> None:
    """
    Take a booking's visit out of its crew's day; the point's roster is locked.

    What came late because of it is so no more.
    """
    if booking.crew_id is None:
        return
    row = find_shift(connection, booking.point_id, booking.crew_id, booking.shift_at // _SECOND_US)
    if row is None:
        return
    before = day_of(row)
    day = before.without_stop(booking.booking_id)
    if day == before:
        return
    point = find_point(connection, booking.point_id)
    if point is not None:
        carry_on(connection, rosters, point.row, row, day, keeps_all=True)
    else:
        write_shift(connection, booking, day, row.revision)

"""Shifts that last as long as their visits do, and keep their crew from the next ones for that long."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from engine.replanning import however_late, kept_part
from service.bookings.bases import base_days
from service.bookings.days import (
    NOT_BACK,
    day_of,
    engagements_in,
    is_visit,
    list_shifts,
    local_day,
    write_shift,
)
from service.bookings.spreading import (
    Home,
    as_begun,
    as_usual,
    fixed_stops,
    present,
    promised,
    spread,
    ways,
    write_anew,
)
from service.bookings.store import bookings_of_ids
from service.crews.facts import CrewFacts
from service.crews.store import CREWS, count_roster, find_kept, list_engagements

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from engine.crew_days import CrewDay, CrewDays, Stop
    from service.bookings.rosters import Rosters
    from service.store.connections import AnyRow, WriteConnection

__all__ = ["bookings_in", "carry_on", "from_now", "shifts_by_hours"]

_SECOND_US = 1_000_000
_DAY_S = 86_400
_ONE_DAY = dt.timedelta(1)


def carry_on(
    connection: WriteConnection, rosters: Rosters, point: AnyRow, shift: AnyRow, day: CrewDay, *, keeps_all: bool
) -> tuple[list[Stop], dict[str, AnyRow]]:
    """
    Write a shift as it has become, and those that it keeps its crew from, or did.

    It starts from what hours, engagements and promises say: what came late before is late only where it still must be.

    Parameters
    ----------
    point
        The row of its point, whose roster is locked.
    shift
        Its row as it was read.
    keeps_all
        What comes late stays with the crew, only later.

    Returns
    -------
    tuple
        The visits that the crew cannot make any more, and the bookings by id of all that were looked at.
    """
    booked, table = bookings_in(connection, [day]), ways(connection, rosters, point)
    day = present(day, day.stops, booked)
    by_hours = shifts_by_hours(connection, rosters, point, day.crew_id, day.starts_s)
    latest = however_late(table, day, engagements=engagements_in(day))
    bases = by_hours(day._replace(ends_s=max(day.ends_s, latest.ends_s)))
    usual = _same(bases, day)
    ends_s = day.ends_s if usual is None else usual.ends_s
    if usual is None and keeps_all and _lasts_longer(table, day_of(shift)):
        ends_s = day.starts_s  # it is no shift any more: no longer than it must
    fixed = {stop.stop_id for stop in day.stops} if keeps_all else fixed_stops(day, booked)
    planned = as_begun(as_usual(promised(day, booked), usual), booked)._replace(ends_s=ends_s)
    after, loose = kept_part(table, planned, fixed, engagements=engagements_in(day))
    write_shift(connection, point, after, shift.revision)
    until_s = max(day.ends_s, after.ends_s)
    rows = list_shifts(connection, point.point_id, shift.starts_at, (until_s + _DAY_S) * _SECOND_US, day.crew_id)
    later = [row for row in rows if row.starts_at > shift.starts_at]
    starts = [base.starts_s for base in bases] + [row.starts_at // _SECOND_US for row in later]
    if any(day.starts_s < at_s < until_s for at_s in starts):
        count_roster(connection, point.merchant_id, point.point_id)  # more is different than this shift
        before = [day_of(row) for row in rows if row.starts_at < shift.starts_at]
        booked |= bookings_in(connection, map(day_of, later))
        homes: dict[int, Home] = {}
        for row in later:
            its = promised(day_of(row), booked).without_stop(NOT_BACK)
            its_bases = by_hours(its)
            its = as_usual(its, _same(its_bases, its))
            loose += spread(table, its, its_bases, booked, homes, keeps_all=keeps_all, stays=True, now=its)
        loose += write_anew(connection, table, point, later, homes, booked, [*before, after], hands_on=not keeps_all)
    return loose, booked


def _same(bases: Iterable[CrewDay], day: CrewDay) -> CrewDay | None:
    """Return the shift by hours that begins when another does, None where there is none."""
    return next((base for base in bases if base.starts_s == day.starts_s), None)


def _lasts_longer(table: CrewDays, day: CrewDay) -> bool:
    """Tell whether a shift lasts as long as it does because of what it holds: its crew is back when it ends, not before."""
    shortest = day._replace(ends_s=day.starts_s)
    return however_late(table, shortest, engagements=engagements_in(day)).ends_s >= day.ends_s


def shifts_by_hours(
    connection: WriteConnection, rosters: Rosters, point: AnyRow, crew_id: str, first_s: int
) -> Callable[[CrewDay], list[CrewDay]]:
    """
    Return what tells a crew's shifts by its hours, with its engagements, given a shift of its as it was.

    It tells those from the day before that one begins until that behind its end; none where nobody works any more. What
    it is told of begins at ``first_s`` at the earliest.
    """
    kept = find_kept(connection, CREWS, point.point_id, crew_id)
    if kept is None or point.timezone is None:
        return lambda _day: []
    crew = CrewFacts.of_json(kept.facts).crew(crew_id, point)
    taken = list_engagements(connection, point.point_id, (first_s - _DAY_S) * _SECOND_US, crew_id)
    travel = rosters.travel(connection, point.point_id)

    def about(day: CrewDay) -> list[CrewDay]:
        first, last = (local_day(point.timezone, at_s) for at_s in (day.starts_s, day.ends_s))
        return base_days(crew, rosters.openings, taken, first - _ONE_DAY, (last - first).days + 3, travel)

    return about


def bookings_in(connection: WriteConnection, days: Iterable[CrewDay]) -> dict[str, AnyRow]:
    """Return the bookings whose visits stand in some days, by their ids."""
    return bookings_of_ids(connection, [stop.stop_id for day in days for stop in day.stops if is_visit(stop)])


def from_now(day: CrewDay, booked: dict[str, AnyRow], now_s: int) -> CrewDay:
    """Return a shift in which what has not begun begins at an instant at the earliest, or with its window's end."""
    fixed = fixed_stops(day, booked)
    stops = (
        stop if stop.stop_id in fixed else stop._replace(earliest_s=max(stop.earliest_s, min(now_s, stop.latest_s)))
        for stop in day.stops
    )
    return day._replace(stops=tuple(stops))

"""The day sheet of a crew: its shifts with all that it does in them."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Literal, NamedTuple
from zoneinfo import ZoneInfo

from engine.crew_days import CrewDays
from engine.errors import UnkeptDayError
from engine.replanning import starts_however_late_s
from service.bookings.bases import base_days, shifts_of
from service.bookings.days import (
    BUSY,
    day_of,
    engagements_in,
    is_visit,
    list_shifts,
    n_visits,
)
from service.bookings.lasting import from_now
from service.bookings.rules import Party, State, next_actions
from service.bookings.schemas import DayAnswer, ShiftAnswer, StopAnswer
from service.bookings.store import bookings_of_ids
from service.clock import from_us, to_us
from service.crews.facts import CrewFacts, ServiceFacts
from service.crews.store import CREWS, SERVICES, find_kept, list_engagements, list_kept
from service.http.access import not_found

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.crew_days import CrewDay, Stop
    from service.bookings.rosters import Rosters
    from service.store.connections import AnyRow, ReadConnection

__all__ = ["Span", "day_sheet", "shifts_between"]

_SECOND_US = 1_000_000
_ONE_DAY = dt.timedelta(1)


class Span(NamedTuple):
    """Which shifts are told: those that overlap it, in microseconds since 1970."""

    from_us: int
    to_us: int


def day_sheet(
    connection: ReadConnection,
    rosters: Rosters,
    point: AnyRow,
    crew_id: str,
    date: dt.date,
    seen: Span,
    now_s: int,
) -> DayAnswer:
    """
    Return the shifts of a crew that begin on a local day, of those that may be seen, as they can still be kept.

    Raises
    ------
    ProblemError
        not-found for a crew that there is not.
    """
    zone = ZoneInfo(point.timezone)
    low, high = (to_us(dt.datetime.combine(day, dt.time(), zone)) for day in (date, date + _ONE_DAY))
    shifts = shifts_between(connection, rosters, point, crew_id, date, 1, now_s)
    told = [
        shift
        for shift in shifts
        if low <= to_us(shift.starts_at) < high
        and to_us(shift.starts_at) < seen.to_us
        and seen.from_us < to_us(shift.ends_at)
    ]
    return DayAnswer(point_id=point.point_id, crew_id=crew_id, date=date, timezone=point.timezone, shifts=told)


def shifts_between(
    connection: ReadConnection,
    rosters: Rosters,
    point: AnyRow,
    crew_id: str,
    first_day: dt.date,
    n_days: int,
    now_s: int | None = None,
) -> list[ShiftAnswer]:
    """
    Return the shifts of a crew that begin on some local days; raises `ProblemError` for a crew that there is not.

    Given an instant, in seconds since 1970, what has not begun in a shift that goes on begins then at the earliest, or
    with its window's end; otherwise all is told as it is planned.
    """
    row = find_kept(connection, CREWS, point.point_id, crew_id)
    if row is None:
        raise not_found()
    zone = ZoneInfo(point.timezone)
    low_us, high_us = (to_us(dt.datetime.combine(first_day + days * _ONE_DAY, dt.time(), zone)) for days in (0, n_days))
    stored = [day_of(one) for one in list_shifts(connection, point.point_id, low_us, high_us, crew_id)]
    planned = {
        day.starts_s * _SECOND_US: day for day in stored if n_visits(day) and day.starts_s * _SECOND_US >= low_us
    }
    crew = CrewFacts.of_json(row.facts).crew(crew_id, point)
    taken = list_engagements(connection, point.point_id, low_us, crew_id)
    travel = rosters.travel(connection, point.point_id)
    bases = base_days(crew, rosters.openings, taken, first_day - _ONE_DAY, n_days + 2, travel)
    joined = {day.starts_s * _SECOND_US: day for day in shifts_of(bases, stored, travel)}
    days = {at: day for at, day in joined.items() if low_us <= at < high_us} | planned
    names = {
        one.service_id: ServiceFacts.of_json(one.facts).name for one in list_kept(connection, SERVICES, point.point_id)
    }
    ids = [stop.stop_id for day in days.values() for stop in day.stops if is_visit(stop)]
    booked = bookings_of_ids(connection, ids)
    told = (_from_now(days[at], booked, now_s) for at in sorted(days))
    return [_shift(CrewDays([], travel), day, booked, names) for day in told]


def _from_now(day: CrewDay, booked: dict[str, AnyRow], now_s: int | None) -> CrewDay:
    if now_s is None or not day.starts_s < now_s < day.ends_s:
        return day
    return from_now(day, booked, now_s)


def _shift(travel: CrewDays, day: CrewDay, booked: dict[str, AnyRow], names: dict[str, str]) -> ShiftAnswer:
    starts_s = _starts(travel, day)
    return ShiftAnswer(
        starts_at=from_us(day.starts_s * _SECOND_US),
        ends_at=from_us(day.ends_s * _SECOND_US),
        stops=[
            _stop(stop, at_s, booked.get(stop.stop_id), names) for stop, at_s in zip(day.stops, starts_s, strict=True)
        ],
    )


def _starts(travel: CrewDays, day: CrewDay) -> Sequence[int]:
    """Return when each stop starts; of a day that cannot be kept as it is, as late as it becomes."""
    try:
        return starts_however_late_s(travel, day, engagements=engagements_in(day))
    except UnkeptDayError:  # there is no way at all
        return [stop.earliest_s for stop in day.stops]


def _stop(stop: Stop, starts_s: int, row: AnyRow | None, names: dict[str, str]) -> StopAnswer:
    kind: Literal["visit", "break", "busy"] = (
        "visit" if is_visit(stop) else "busy" if stop.stop_id.startswith(BUSY) else "break"
    )
    window = (None, None) if row is None else (from_us(row.starts_at), from_us(row.ends_at))
    return StopAnswer(
        kind=kind,
        starts_at=from_us(starts_s * _SECOND_US),
        ends_at=from_us((starts_s + stop.duration_s) * _SECOND_US),
        place=None if stop.place is None else {"lat": stop.place[0], "lng": stop.place[1]},
        booking_id=None if row is None else row.booking_id,
        state=None if row is None else row.state,
        service=None if row is None else names.get(row.service_id, row.service_id),
        address=None if row is None else row.address,
        note=None if row is None else row.note,
        window_starts_at=window[0],
        window_ends_at=window[1],
        next=[] if row is None else next_actions(State(row.state), Party.MERCHANT),
    )

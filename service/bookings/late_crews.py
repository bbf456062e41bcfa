"""Crews that cannot be back from a shift when their next one begins, since they have not begun yet what they do in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from engine.errors import UnkeptDayError
from engine.replanning import however_late
from service.bookings.days import engagements_in, free_s, is_visit, n_visits

if TYPE_CHECKING:
    from collections.abc import Iterable

    from engine.crew_days import CrewDay, CrewDays

__all__ = ["days_now", "late_crews", "late_days"]

_NEVER_S = 1 << 42


def late_days(table: CrewDays, now_s: int) -> dict[int, CrewDay]:
    """Return the days of a table, by number, that begin later by now than is planned, as `days_now` tells them."""
    crews = late_crews(table, now_s)
    if not crews:
        return {}
    numbers_of: dict[str, list[int]] = {}
    for number in sorted(range(len(table.days)), key=lambda number: table.days[number].starts_s):
        numbers_of.setdefault(table.days[number].crew_id, []).append(number)
    found: dict[int, CrewDay] = {}
    for crew_id in crews:
        days = [table.days[number] for number in numbers_of[crew_id]]
        late = zip(numbers_of[crew_id], days, days_now(table, days, now_s), strict=True)
        found |= {number: day for number, was, day in late if day is not was}
    return found


def late_crews(table: CrewDays, now_s: int) -> set[str]:
    """Return the crews of a table of which some day that goes on may last longer than its shift, and until after now."""
    arrays = table.arrays
    begun = np.flatnonzero(arrays.earliest[:, 0] < now_s)
    if not begun.size:
        return set()
    ends = arrays.n_nodes[begun] - 1
    home_s = table.starts_by_s(begun, now_s)[np.arange(begun.size), ends]
    is_late = (home_s > arrays.latest[begun, ends]) & (home_s > now_s)
    return {table.days[number].crew_id for number in begun[is_late].tolist()}


def days_now(table: CrewDays, days: Iterable[CrewDay], now_s: int) -> list[CrewDay]:
    """
    Return the days of a crew, in order of time, each with the stops that it has, as they can still be kept.

    A visit that has not begun begins now at the earliest, if it still can, and behind the way to it where its crew has not
    set out. A day begins when its crew is back from those before, and what comes late by that does; any other is the very
    object that was given.

    Parameters
    ----------
    table
        Any days: how long ways take is asked of it.
    now_s
        Seconds since 1970.
    """
    planned_days = list(days)
    found: list[CrewDay] = []
    back_s = 0
    for number, planned in enumerate(planned_days):
        day, back_s = planned, min(back_s, _present_s(planned_days[number:]))
        if back_s > max(free_s(day), now_s):
            day = _late(table, _from(day, back_s)) or planned
        if n_visits(day) and (day is not planned or day.starts_s < now_s):
            back_s = max(back_s, _back_s(table, day, now_s))
        found.append(day)
    return found


def _present_s(days: Iterable[CrewDay]) -> int:
    """Return when a crew began the first visit of some days: it was back by then."""
    begun = (stop.earliest_s for day in days for stop in day.stops if stop.has_begun and is_visit(stop))
    return min(begun, default=_NEVER_S)


def _from(day: CrewDay, back_s: int) -> CrewDay:
    """Return a day that begins when its crew is back, wherever it was to be by then."""
    stops = tuple(stop if is_visit(stop) else stop._replace(has_begun=False) for stop in day.stops)
    return day._replace(starts_s=min(back_s, day.ends_s), stops=stops)


def _back_s(table: CrewDays, day: CrewDay, now_s: int) -> int:
    """Return when a crew is back at the earliest, in seconds since 1970; 0 where there is no way."""
    try:
        starts_s = table.alone(day).starts_by_s(np.zeros(1, np.int64), now_s)[0, 1:-1].tolist()
    except UnkeptDayError:
        return 0
    stops = (
        stop if stop.place is None else stop._replace(earliest_s=min(start_s, stop.latest_s))
        for stop, start_s in zip(day.stops, starts_s, strict=True)
    )
    late = _late(table, day._replace(stops=tuple(stops)))
    return 0 if late is None else int(table.alone(late).arrays.first[0, -1])


def _late(table: CrewDays, day: CrewDay) -> CrewDay | None:
    try:
        return however_late(table, day, engagements=engagements_in(day), goes_anyway=True)
    except UnkeptDayError:  # there is no way at all
        return None

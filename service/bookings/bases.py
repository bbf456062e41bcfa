"""The shifts of crews that follow from their hours and engagements alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.crew_days import CrewDays
from engine.crews import crew_days
from engine.errors import UnkeptDayError
from engine.replanning import however_late
from service.bookings.days import engagements_in, free_s, joined_days, overlaps, with_engagements

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Collection, Sequence

    from engine.crew_days import CrewDay
    from engine.crews import Crew
    from engine.openings import OpeningTimes
    from engine.travel import Travel
    from service.store.connections import AnyRow

__all__ = ["base_days", "shifts_of", "with_its_ways"]


def base_days(
    crew: Crew,
    openings: OpeningTimes,
    engagements: Sequence[AnyRow],
    first_day: dt.date,
    n_days: int,
    travel: Travel,
) -> list[CrewDay]:
    """
    Return the shifts of a crew that begin on some local days, with its breaks and engagements, without visits.

    Of two that begin one after the other the first is told with regard to the second: ask for a day more.
    """
    days = [with_engagements(day, engagements) for day in crew_days(crew, openings, first_day, n_days)]
    table = CrewDays([], travel)
    return [with_its_ways(table, day, [other for other in days if other is not day]) for day in days]


def shifts_of(bases: Sequence[CrewDay], stored: Collection[CrewDay], travel: Travel) -> list[CrewDay]:
    """Return the days of a crew as `joined_days` does, those that wait for it with their ways."""
    table, days = CrewDays([], travel), joined_days(bases, stored)
    return [
        day if free_s(day) == day.starts_s else with_its_ways(table, day, [other for other in days if other is not day])
        for day in days
    ]


def with_its_ways(table: CrewDays, day: CrewDay, others: Sequence[CrewDay]) -> CrewDay:
    """
    Return a shift whose crew comes late to engagements, and home from them, where their ways last longer than it has.

    As it is where it would last into another one by that, or there is no way at all: then it cannot be kept.
    """
    engagements = engagements_in(day)
    if not engagements:
        return day
    try:
        late = however_late(table, day, engagements=engagements)
    except UnkeptDayError:
        return day
    return day if overlaps(late, others) else late

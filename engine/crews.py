"""Crews: what each can do, where it works, when, and the empty days that follow from it."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple
from zoneinfo import ZoneInfo

import shapely

from engine.crew_days import CrewDay, Stop
from engine.errors import InvalidColumnError
from engine.local_time import check_timezone
from engine.openings import DAY_S
from geo.metric import distance_m
from geo.polygons import area_covers

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from engine.crew_days import Place
    from engine.openings import OpeningTimes

__all__ = ["BREAK", "Break", "Crew", "crew_days"]

BREAK = "break "
"""How the names of breaks in a day begin."""

_ONE_DAY = dt.timedelta(1)


class Break(NamedTuple):
    """
    A rest of every shift: between which wall times it begins, and how many seconds it takes.

    One that begins at the latest before it begins at the earliest goes over midnight.
    """

    earliest: dt.time
    latest: dt.time
    duration_s: int


@dataclass(frozen=True)
class Crew:
    """
    People who set out together.

    Attributes
    ----------
    crew_id
        Its name.
    start, end
        Lat and lng, WGS 84, of where it leaves from and comes back to.
    hours
        OSM opening_hours, in which days off and holidays stand as well: each span is a shift, which belongs to the
        day on which it begins. One of more than 24 hours is cut at midnight.
    timezone, country
        IANA name; ISO 3166 code where hours say ``PH``.
    skills
        What it can do.
    people
        How many they are.
    breaks
        In the order in which they are taken; where one has no time then, by when they begin at the latest.
    area
        Where it works: a polygon or multipolygon in lng/lat, metres around its start, None for everywhere.
    max_jobs
        How many jobs a shift has at most, None for any number.
    """

    crew_id: str
    start: Place
    end: Place
    hours: str
    timezone: str
    country: str | None = None
    skills: frozenset[str] = frozenset()
    people: int = 1
    breaks: tuple[Break, ...] = ()
    area: shapely.Geometry | float | None = None
    max_jobs: int | None = None

    def __post_init__(self) -> None:
        check_timezone(self.timezone)
        for number, rest in enumerate(self.breaks):
            if rest.duration_s < 0:
                message = f"must take at least 0 s, got {rest.duration_s}"
                raise InvalidColumnError("breaks", message, position=number, value=rest)

    def can_do(self, skills: frozenset[str], people: int = 1) -> bool:
        """Tell whether it has these skills, and is as many."""
        return skills <= self.skills and people <= self.people

    def works_at(self, place: Place) -> bool:
        """Tell whether a place lies where it works."""
        if self.area is None:
            return True
        lat, lng = place
        if isinstance(self.area, shapely.Geometry):
            return bool(area_covers(self.area, [lat], [lng])[0])
        return bool(distance_m([self.start[0]], [self.start[1]], [lat], [lng])[0] <= self.area)


def crew_days(crew: Crew, openings: OpeningTimes, first_day: dt.date, n_days: int) -> list[CrewDay]:
    """
    Return the shifts of a crew that begin on some local days, with its breaks and without jobs.

    A break that a shift has no time for is left out.

    Parameters
    ----------
    crew
        Whose.
    openings
        Tells when its hours begin and end.
    first_day, n_days
        Which days.

    Raises
    ------
    InvalidHoursError, InvalidTimezoneError
        For hours that are none.
    """
    zone = ZoneInfo(crew.timezone)
    low = dt.datetime.combine(first_day, dt.time(), zone)
    high = dt.datetime.combine(first_day + n_days * _ONE_DAY, dt.time(), zone)
    key = (crew.hours, crew.timezone, crew.country)
    # A day more on either side: what is cut there does not matter.
    spans = openings.spans(key, low - 2 * _ONE_DAY, n_days + 4)
    shifts = [shift for span in spans for shift in _cut(*span, zone) if low <= shift[0] < high]
    return [_day(crew, start, end, zone) for start, end in shifts]


def _cut(start: dt.datetime, end: dt.datetime, zone: ZoneInfo) -> Iterator[tuple[dt.datetime, dt.datetime]]:
    """Give a span in its zone, day by day if it lasts more than one."""
    while (end - start).total_seconds() > DAY_S:
        midnight = dt.datetime.combine(start.astimezone(zone).date() + _ONE_DAY, dt.time(), zone).astimezone(dt.UTC)
        yield start, min(midnight, end)  # a day may last longer than that
        start = midnight
    if start < end:
        yield start, end


def _day(crew: Crew, start: dt.datetime, end: dt.datetime, zone: ZoneInfo) -> CrewDay:
    breaks = [
        Stop(f"{BREAK}{number + 1}", None, rest.duration_s, *_window(rest, start, end, zone))
        for number, rest in enumerate(crew.breaks)
    ]
    taken = max(map(_taken, (breaks, sorted(breaks, key=lambda one: one.latest_s))), key=len)
    return CrewDay(crew.crew_id, crew.start, crew.end, int(start.timestamp()), int(end.timestamp()), taken)


def _taken(breaks: Sequence[Stop]) -> tuple[Stop, ...]:
    """Return those of some breaks for which there is time when they are taken in this order, each behind the one before."""
    stops: list[Stop] = []
    for one in breaks:
        free_s = max(one.earliest_s, stops[-1].earliest_s + stops[-1].duration_s if stops else one.earliest_s)
        if free_s <= one.latest_s:
            stops.append(one._replace(earliest_s=free_s))
    return tuple(stops)


def _window(rest: Break, start: dt.datetime, end: dt.datetime, zone: ZoneInfo) -> tuple[int, int]:
    """Return between which instants a break of a shift begins; where it has no time for it, the later one comes first."""
    first_s, last_s = int(start.timestamp()), int(end.timestamp()) - rest.duration_s
    spans = [_span(rest, start.astimezone(zone).date() + days * _ONE_DAY, zone) for days in (-1, 0, 1)]
    return max(((max(low, first_s), min(high, last_s)) for low, high in spans), key=lambda span: span[1] - span[0])


def _span(rest: Break, date: dt.date, zone: ZoneInfo) -> tuple[int, int]:
    """Return between which instants a break begins whose wall times begin on a day."""
    last_date = date + _ONE_DAY if rest.latest < rest.earliest else date
    earliest = int(dt.datetime.combine(date, rest.earliest, zone).timestamp())
    latest = int(dt.datetime.combine(last_date, rest.latest, zone).timestamp())
    return earliest, max(earliest, latest)  # a clock that is put forward shows neither

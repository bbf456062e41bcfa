"""Slots of a roster of crews: what can be booked on which day, and why nothing can on another."""

from __future__ import annotations

import copy
import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np

from engine.crew_days import CrewDays
from engine.errors import InvalidQueryError, UnkeptDayError
from engine.local_time import check_timezone, wall_instants_s
from engine.openings import DAY_S, microseconds_of
from engine.slots import Job, Slot, find_slots

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from numpy.typing import NDArray

    from engine.crew_days import CrewDay
    from engine.crews import Crew
    from engine.norms import OfferNorm
    from engine.openings import OpeningTimes
    from engine.travel import Travel

__all__ = ["BookingRules", "Roster", "SlotAnswer", "VisitAsk"]

_ONE_DAY = dt.timedelta(1)
_LAST_DAY = dt.date(9998, 12, 31)  # whose hours are told


@dataclass(frozen=True)
class BookingRules:
    """
    When a visit may be booked.

    Attributes
    ----------
    timezone, country
        Whose clock and holidays.
    hours
        OSM opening_hours within which a window lies whole, such as ``Mo-Sa 08:00-20:00; PH off``; None for any.
    lead_s
        Seconds between asking and the beginning of a window, at least.
    most_days
        How many days ahead, today among them.
    step_s, width_s
        By how many seconds windows begin after one another, from midnight on, and how long each is.
    """

    timezone: str
    country: str | None = None
    hours: str | None = None
    lead_s: int = 0
    most_days: int = 30
    step_s: int = 1800
    width_s: int = 3600

    def __post_init__(self) -> None:
        check_timezone(self.timezone)
        for name, value, least in (("lead_s", self.lead_s, 0), ("most_days", self.most_days, 1)):
            if value < least:
                raise InvalidQueryError(name, f"must be at least {least}, got {value!r}", value=value)
        for name, value, least in (("step_s", self.step_s, 60), ("width_s", self.width_s, 0)):
            if not least <= value <= DAY_S:
                raise InvalidQueryError(name, f"must be from {least} to {DAY_S}, got {value!r}", value=value)

    @classmethod
    def of_norm(
        cls, norm: OfferNorm, timezone: str, country: str | None = None, hours: str | None = None
    ) -> BookingRules:
        """Return the rules that a norm gives: its lead, how long a window is, and how they follow one another."""
        told = {f"{key}_s": norm.values.get(f"slot_{key}") for key in ("width", "step")}
        sizes = {name: int(value.size) for name, value in told.items() if value is not None}
        return cls(timezone, country, hours, lead_s=norm.lead_s, **sizes)

    def windows_s(self, day: dt.date, openings: OpeningTimes) -> list[int]:
        """Return when the windows of a local day begin, in seconds since 1970, whatever their lead."""
        starts = wall_instants_s(self.timezone, self.step_s, day)
        if self.hours is None:
            return list(starts)
        key = (self.hours, self.timezone, self.country)
        spans = openings.spans(key, dt.datetime.combine(day, dt.time(), ZoneInfo(self.timezone)) - _ONE_DAY, 4)
        edges = [(start.timestamp(), end.timestamp()) for start, end in spans]
        return [at for at in starts if any(start <= at and at + self.width_s <= end for start, end in edges)]

    def begins(self, starts_s: int, openings: OpeningTimes) -> bool:
        """Tell whether an instant is one of `windows_s` of its local day."""
        wall = dt.datetime.fromtimestamp(starts_s, ZoneInfo(self.timezone)).replace(tzinfo=None)
        wall_s = (wall - dt.datetime.combine(wall.date(), dt.time())).seconds
        return wall_s % self.step_s == 0 and self.holds(starts_s, openings)

    def holds(self, starts_s: int, openings: OpeningTimes) -> bool:
        """Tell whether a window that begins at an instant, on the grid or not, lies whole within the hours."""
        if self.hours is None:
            return True
        ends_s = starts_s + self.width_s
        start = dt.datetime.fromtimestamp(starts_s, dt.UTC)
        spans = openings.spans((self.hours, self.timezone, self.country), start - _ONE_DAY, 4)
        return any(first.timestamp() <= starts_s and ends_s <= last.timestamp() for first, last in spans)


def _days(first_day: dt.date, n_days: int) -> list[dt.date]:
    if n_days > (_LAST_DAY - first_day).days + 1:
        message = f"must be days of years up to 9998, got {n_days} days from {first_day}"
        raise InvalidQueryError("first_day", message, value=first_day)
    return [first_day + number * _ONE_DAY for number in range(n_days)]


class VisitAsk(NamedTuple):
    """What is wanted: the job, the skills that it needs, and how many people."""

    job: Job
    skills: frozenset[str] = frozenset()
    people: int = 1


class SlotAnswer(NamedTuple):
    """
    What can be booked.

    Attributes
    ----------
    slots
        By day, those that cost least first, then the earlier ones.
    why_not
        Of each day without slots, why: ``not_bookable`` by the rules, ``too_soon``, ``no_crew`` that can do it works
        then, ``outside_area`` of those that do, ``full`` are all that come there, or ``no_time`` is left between
        what they have promised.
    """

    slots: dict[dt.date, list[Slot]]
    why_not: dict[dt.date, str]


class Roster:
    """
    The days of crews, with what has been promised.

    Parameters
    ----------
    crews
        All of them.
    days
        Their days.
    travel, openings
        How long ways take, and when hours begin and end.
    n_jobs
        How many jobs each day has; None for none.

    Attributes
    ----------
    table
        The days; their places in it are their numbers.
    left_out
        Days that cannot be kept, such as a shift too short for its breaks and the way home: no question fails for them.
    """

    def __init__(
        self,
        crews: Sequence[Crew],
        days: Sequence[CrewDay],
        travel: Travel,
        openings: OpeningTimes,
        *,
        n_jobs: Sequence[int] | None = None,
    ) -> None:
        self._crews = {crew.crew_id: crew for crew in crews}
        self._openings = openings
        self.left_out: list[CrewDay] = []
        self._n_jobs = [0] * len(days) if n_jobs is None else list(n_jobs)
        try:
            self.table = CrewDays(days, travel)
        except UnkeptDayError as error:
            unkept = set(error.positions)
            self.left_out = [days[number] for number in error.positions]
            kept = [number for number in range(len(days)) if number not in unkept]
            self._n_jobs = [self._n_jobs[number] for number in kept]
            self.table = CrewDays([days[number] for number in kept], travel)  # no day hangs on another

    def replace(self, number: int, day: CrewDay, n_jobs: int) -> None:
        """Put another day in the place of one; raises `UnkeptDayError` and leaves all as it was if it cannot be kept."""
        self.put(number, self.table.alone(day, number), n_jobs)

    def with_days(self, days: Mapping[int, CrewDay]) -> Roster:
        """Return a roster with other days in the place of some, by number; raises as `replace`, and is left as it was."""
        roster = copy.copy(self)
        roster.table = self.table.copy()
        for number, day in days.items():
            roster.table.replace(number, day)
        return roster

    def put(self, number: int, alone: CrewDays, n_jobs: int) -> None:
        """Put a day, alone in a table with the same travel, in the place of one."""
        self.table.put(number, alone)
        self._n_jobs[number] = n_jobs

    def slots(
        self, ask: VisitAsk, rules: BookingRules, asked_at: dt.datetime, first_day: dt.date, n_days: int
    ) -> SlotAnswer:
        """
        Return what can be booked on some days, each window with the insertion that costs least.

        Parameters
        ----------
        ask
            What is wanted.
        rules
            When it may be booked.
        asked_at
            Now, with a time zone.
        first_day, n_days
            Which days, by the rules' clock.

        Raises
        ------
        InvalidQueryError
            For a time without a zone, and for days beyond the year 9998.
        """
        now_s = -(-microseconds_of(asked_at) // 1_000_000)
        earliest_s = now_s + rules.lead_s
        today = asked_at.astimezone(ZoneInfo(rules.timezone)).date()
        answer = SlotAnswer({}, {})
        windows_of: dict[dt.date, list[int]] = {}
        for day in _days(first_day, n_days):
            starts = rules.windows_s(day, self._openings) if (day - today).days in range(rules.most_days) else []
            windows = [start for start in starts if start >= earliest_s]
            if windows:
                windows_of[day] = windows
            else:
                answer.why_not[day] = "too_soon" if starts else "not_bookable"
        day_of = {start: day for day, windows in windows_of.items() for start in windows}
        able, near = self._able(ask)
        free = self._free(near)
        for slot in find_slots(self.table, ask.job, sorted(day_of), rules.width_s, is_asked=free, not_before_s=now_s):
            answer.slots.setdefault(day_of[slot.starts_s], []).append(slot)
        for slots in answer.slots.values():
            slots.sort(key=lambda slot: (slot.detour_s, slot.starts_s))
        for day in sorted(windows_of.keys() - answer.slots.keys()):
            span = (windows_of[day][0], windows_of[day][-1] + rules.width_s)
            answer.why_not[day] = self._why_not(able, near, span)
        return answer

    def slot(self, ask: VisitAsk, starts_s: int, width_s: int, now_s: int) -> Slot | None:
        """Return the insertion that costs least in one window, whatever the rules say; None where nobody can come."""
        begin_s, end_s = self.table.arrays.earliest[:, 0], self.table.arrays.latest[:, 0]
        free = (begin_s <= starts_s + width_s) & (starts_s <= end_s)
        for number in np.flatnonzero(free).tolist():
            crew = self._crews[self.table.days[number].crew_id]
            can = crew.can_do(ask.skills, ask.people) and crew.works_at((ask.job.lat, ask.job.lng))
            free[number] = can and self._has_room(number)
        found = find_slots(self.table, ask.job, [starts_s], width_s, is_asked=free, not_before_s=now_s)
        return found[0] if found else None

    def can_come(self, ask: VisitAsk) -> NDArray[np.bool_]:
        """Return one bool for each day: whether it is of a crew that can do a job, works there, and may have one more."""
        return self._free(self._able(ask)[1])

    def _able(self, ask: VisitAsk) -> tuple[set[str], set[str]]:
        """Return the crews that can do a job, and those of them that work where it is."""
        able = {crew.crew_id for crew in self._crews.values() if crew.can_do(ask.skills, ask.people)}
        return able, {crew_id for crew_id in able if self._crews[crew_id].works_at((ask.job.lat, ask.job.lng))}

    def _free(self, crews: Collection[str]) -> NDArray[np.bool_]:
        """Return which days are of these crews and may have one job more."""
        return np.array([day.crew_id in crews and self._has_room(n) for n, day in enumerate(self.table.days)], np.bool_)

    def _has_room(self, number: int) -> bool:
        most = self._crews[self.table.days[number].crew_id].max_jobs
        return most is None or self._n_jobs[number] < most

    def _why_not(self, able: Collection[str], near: Collection[str], span: tuple[int, int]) -> str:
        at_work = [
            number
            for number, day in enumerate(self.table.days)
            if day.crew_id in able and day.starts_s < span[1] and span[0] < day.ends_s
        ]
        if not at_work:
            return "no_crew"
        there = [number for number in at_work if self.table.days[number].crew_id in near]
        if not there:
            return "outside_area"
        return "no_time" if any(map(self._has_room, there)) else "full"

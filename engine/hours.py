"""
Opening hours for a whole city: schedules, compiled to deduplicated bitmaps of local days.

A schedule is a distinct (expression, time zone, country). Its state at an instant is its state at the wall time in
its zone, to the minute: in an hour that the clock repeats both passes answer alike, and an hour that it skips is
never asked. Public holidays come from `engine.holidays`, what expressions mean from `engine.hour_expressions`.
"""

from __future__ import annotations

import datetime as dt
import functools
import itertools
import threading
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from engine.errors import InvalidHoursError, InvalidQueryError, InvalidTimezoneError
from engine.holidays import HolidayCalendar, HolidayFile, check_country
from engine.hour_bitmaps import minute_states
from engine.hour_blocks import ScheduleDays
from engine.hour_dates import unreal_date
from engine.hour_expressions import EPOCH, HourExpression, holiday_states, hours_traits, parse_hours
from engine.kernels.hours import CLOSED
from engine.local_time import check_instants, check_timezone, local_minutes
from engine.text_codes import TextColumn, distinct_rows, encode_texts, first_rows

__all__ = ["HourSpan", "HourTable", "ScheduleBook", "ScheduleKey", "hours_traits", "intervals", "is_valid_hours"]

ScheduleKey: TypeAlias = tuple[str, str, str | None]
"""Expression, time zone, and country where the expression says ``PH``."""

_HOURS, _TIMEZONE, _COUNTRY = "hours", "timezone", "country"
_STATES = ("closed", "open", "unknown")


@dataclass(frozen=True)
class HourTable:
    """
    What `engine.kernels.hours.hour_state` reads, for q instants: S schedules in z zones over d days.

    Attributes
    ----------
    tz_of_schedule
        Shape (S,), the row of a schedule's zone.
    day_slot, minute
        Shape (z, q), the local day of an instant as a row of ``bitmap_of``, and its minute of that day.
    bitmap_of
        Shape (d, S), the bitmap of each day of a schedule.
    open_bits, unknown_bits
        Shape (b, 23), bit ``m % 64`` of word ``m // 64`` for minute m.
    """

    tz_of_schedule: NDArray[np.int32]
    day_slot: NDArray[np.int32]
    minute: NDArray[np.int32]
    bitmap_of: NDArray[np.int32]
    open_bits: NDArray[np.uint64]
    unknown_bits: NDArray[np.uint64]


class ReadSchedules(NamedTuple):
    """Distinct schedules, what their expressions mean, and each row's number among them, -1 where it has no hours."""

    keys: list[ScheduleKey]
    expressions: list[HourExpression]
    number: NDArray[np.int64]


class HourSpan(NamedTuple):
    """A span of wall time, end exclusive, in which a schedule is ``open`` or ``unknown``."""

    start: dt.datetime
    end: dt.datetime
    state: str


class ScheduleBook:
    """
    All schedules of an engine, append-only and safe to share between threads.

    Days are compiled when they are first asked for, eight at a time, and the last ones used are kept; who adds or asks
    for what is compiled already does not wait meanwhile.

    Parameters
    ----------
    extra_days
        An operator's added holidays.

    Attributes
    ----------
    extra_days
        The same.
    ids
        The id of each schedule.
    keys
        What `expressions` returns, never changed but replaced when there are more.
    """

    def __init__(self, *, extra_days: HolidayFile | None = None) -> None:
        self._lock = threading.Lock()
        self.extra_days = extra_days
        self._days = ScheduleDays(functools.cache(lambda country: HolidayCalendar(country, extra_days=extra_days)))
        self._expressions: dict[str, HourExpression] = {}
        self.ids: dict[ScheduleKey, int] = {}
        self.keys: tuple[ScheduleKey, ...] = ()
        self._zones: dict[str, int] = {}
        self._tz_of_schedule = np.empty(0, np.int32)

    @property
    def n_schedules(self) -> int:
        """How many distinct schedules there are."""
        return len(self.ids)

    def zones(self) -> list[str]:
        """Return the time zones of all schedules."""
        with self._lock:
            return list(self._zones)

    def expressions(self) -> list[ScheduleKey]:
        """
        Return (expression, time zone, country) by id; a new book that interns them in order gives the same ids.

        The country is None where the expression does not say ``PH``.
        """
        return list(self.keys)

    def intern_many(
        self, hours: TextColumn, timezones: TextColumn | str | None, countries: TextColumn | str | None
    ) -> NDArray[np.int32]:
        """
        Return the schedule id of each row, -1 where it has no hours, adding what is new.

        Parameters
        ----------
        hours
            n ``opening_hours`` expressions, None or Arrow null where unknown; a list, NumPy or Arrow column.
        timezones, countries
            n IANA names and ISO 3166 codes, or one of them for all rows, or None.

        Raises
        ------
        InvalidHoursError
            At the first row whose hours are no expression.
        InvalidTimezoneError
            At the first row whose zone is none, or has hours without a zone, or hours that say ``PH`` without a
            country that has a holiday calendar. Nothing is added then.
        """
        read = self.read_many(hours, timezones, countries)
        return self.enter(read.keys, read.expressions)[read.number]

    def read_many(
        self, hours: TextColumn, timezones: TextColumn | str | None, countries: TextColumn | str | None
    ) -> ReadSchedules:
        """Check the arguments of `intern_many` and return the schedules of rows, adding nothing."""
        hour, hour_texts = encode_texts(hours, None, _HOURS, InvalidHoursError)
        zone, zone_texts = encode_texts(timezones, hour.size, _TIMEZONE, InvalidTimezoneError)
        country, country_texts = encode_texts(countries, hour.size, _COUNTRY, InvalidTimezoneError)
        parsed = [
            self._expressions.get(text) or HourExpression(text, position=row)
            for text, row in zip(hour_texts, first_rows(hour, len(hour_texts)), strict=True)
        ]
        for name, row in zip(zone_texts, first_rows(zone, len(zone_texts)), strict=True):
            check_timezone(name, position=row)
        _check_given(hour >= 0, zone, _TIMEZONE, "must be given where hours are, got none")
        says_holiday = np.array([bool(one.holiday_shifts) for one in parsed] + [False])[hour]
        _check_given(says_holiday, country, _COUNTRY, "must be given where hours say PH, got none")
        country = np.where(says_holiday, country, -1)
        for row in distinct_rows(country)[1]:
            check_country(country_texts[country[row]], position=row)
        triple = (hour * (len(zone_texts) + 1) + zone + 1) * (len(country_texts) + 1) + country + 1
        kind, rows = distinct_rows(np.where(hour < 0, -1, triple))
        named_country = [*country_texts, None]
        keys = [(hour_texts[hour[row]], zone_texts[zone[row]], named_country[country[row]]) for row in rows]
        return ReadSchedules(keys, [parsed[hour[row]] for row in rows], kind)

    def table_at(self, at_s: NDArray[np.int64]) -> HourTable:
        """
        Return what a kernel needs to tell the state of any schedule at q instants.

        Parameters
        ----------
        at_s
            Shape (q,), UTC seconds since 1970, in the years 1970 to 9998.

        Raises
        ------
        InvalidQueryError
            For an instant outside these years; ``argument`` is ``at``.
        NotMadeError
            If days are to be compiled first, and who asks is in haste.
        """
        instants = np.ascontiguousarray(at_s, np.int64)
        check_instants(instants)
        with self._lock:
            zones, tz_of_schedule = list(self._zones), self._tz_of_schedule
        day, minute = local_minutes(instants, zones)
        bitmap_of = self._days.gather(day)[:, : tz_of_schedule.size]
        open_bits, unknown_bits = self._days.minutes()
        return HourTable(tz_of_schedule, day, minute, bitmap_of, open_bits, unknown_bits)

    def enter(self, keys: list[ScheduleKey], parsed: list[HourExpression]) -> NDArray[np.int32]:
        """Return the ids of distinct keys, adding what is new, and -1 behind them."""
        for key, expression in zip(keys, parsed, strict=True):
            if key not in self.ids:
                _ = expression.week  # compiled before anybody has to wait for it
        with self._lock:
            new = [(key, expression) for key, expression in zip(keys, parsed, strict=True) if key not in self.ids]
            for key, expression in new:
                self.ids[key] = len(self.ids)
                self._expressions.setdefault(key[0], expression)
                self._zones.setdefault(key[1], len(self._zones))
            if new:
                self.keys = tuple(self.ids)
                zones = np.array([self._zones[zone] for (_, zone, _), _ in new], np.int32)
                self._tz_of_schedule = np.append(self._tz_of_schedule, zones)
                self._days.add([(self._expressions[text], country) for (text, _, country), _ in new])
            return np.array([*(self.ids[key] for key in keys), -1], np.int32)


def is_valid_hours(expression: object) -> bool:
    """Tell whether a value is an ``opening_hours`` expression that a schedule can be made of."""
    return isinstance(expression, str) and parse_hours(expression) is not None and unreal_date(expression) is None


def intervals(
    expression: str,
    timezone: str,
    country: str | None,
    start: dt.datetime,
    end: dt.datetime,
    *,
    extra_days: HolidayFile | None = None,
) -> list[HourSpan]:
    """
    Return when a schedule is open or unknown between two wall times, for previews.

    Parameters
    ----------
    start, end
        Wall times without a zone in the years 1970 to 9998, end exclusive.

    Returns
    -------
    list[HourSpan]
        In order of time, cut to start and end; neighbours of one state are one span, what lies between is closed.

    Raises
    ------
    InvalidHoursError, InvalidTimezoneError
        As `ScheduleBook.intern_many` does.
    InvalidQueryError
        For a start or end with a zone, or outside these years.
    """
    hours = HourExpression(expression)
    check_timezone(timezone)
    _check_wall_time(start, "start")
    _check_wall_time(end, "end")
    if end <= start:
        return []
    first_day = (start.date() - EPOCH).days
    n_days = (end.date() - start.date()).days + 1
    states: list[tuple[int, ...]] = []
    if hours.holiday_shifts:
        calendar = HolidayCalendar(check_country(country), extra_days=extra_days)
        states = holiday_states(calendar, hours.holiday_shifts, first_day, n_days)
    minutes = minute_states(hours.bits(first_day, n_days, states))
    edges = [0, *(np.flatnonzero(np.diff(minutes)) + 1).tolist(), minutes.size]
    midnight = dt.datetime.combine(start.date(), dt.time())
    spans = (
        HourSpan(
            max(start, midnight + dt.timedelta(minutes=low)),
            min(end, midnight + dt.timedelta(minutes=high)),
            _STATES[minutes[low]],
        )
        for low, high in itertools.pairwise(edges)
        if minutes[low] != CLOSED
    )
    return [span for span in spans if span.start < span.end]


def _check_wall_time(time: dt.datetime, argument: str) -> None:
    if time.tzinfo is not None or not 1970 <= time.year <= 9998:
        message = f"must be wall time without a zone in the years 1970 to 9998, got {time.isoformat()}"
        raise InvalidQueryError(argument, message, value=time)


def _check_given(asked: NDArray[np.bool_], codes: NDArray[np.int64], argument: str, expected: str) -> None:
    missing = asked & (codes < 0)
    if missing.any():
        raise InvalidTimezoneError(argument, expected, position=int(np.argmax(missing)))

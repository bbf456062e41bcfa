"""The days to come of one schedule, told to who keeps it: hours, public holidays, make-up workdays."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, NamedTuple

from engine.errors import InvalidQueryError
from engine.holidays import HOLIDAY, UNKNOWN_HOLIDAY, HolidayCalendar
from engine.hours import intervals

if TYPE_CHECKING:
    from engine.holidays import HolidayFile

__all__ = ["DayPreview", "hours_preview"]

_ONE_DAY = dt.timedelta(1)
_MOST_DAYS = 400


class DayPreview(NamedTuple):
    """
    One local day of a schedule.

    Attributes
    ----------
    date
        The day.
    spans, unknown
        When it is open, and when it is not known whether: ``("22:00", "24:00")``, wall time, ends exclusive. Hours
        that reach past midnight go on at ``00:00`` of the next day.
    is_holiday
        Whether it is a public holiday; None where nobody knows, or no country is given.
    is_makeup_workday
        Whether it is a Saturday or Sunday that is worked to make up for a holiday. Hours have no word for such a
        day: they say what they say of any Saturday.
    name
        What the holiday is called, or the one that is made up for, where that is known.
    """

    date: dt.date
    spans: list[tuple[str, str]]
    unknown: list[tuple[str, str]]
    is_holiday: bool | None
    is_makeup_workday: bool
    name: str | None


def hours_preview(
    expression: str,
    timezone: str,
    country: str | None,
    first_day: dt.date,
    days: int = 14,
    *,
    extra_days: HolidayFile | None = None,
) -> list[DayPreview]:
    """
    Return some days in a row of a schedule.

    Parameters
    ----------
    expression, timezone, country
        The schedule; ``country`` may be None unless the expression says ``PH``, and no holidays are told then.
    first_day, days
        The first local day, and how many from 1 to 400.
    extra_days
        An operator's added holidays.

    Raises
    ------
    InvalidHoursError, InvalidTimezoneError
        As `engine.hours.ScheduleBook.intern_many` does.
    InvalidQueryError
        For days that are too many, or outside the years 1970 to 9998.
    """
    if not 1 <= days <= _MOST_DAYS:
        raise InvalidQueryError("days", f"must be from 1 to {_MOST_DAYS}, got {days!r:.40}", value=days)
    calendar = None if country is None else HolidayCalendar(country, extra_days=extra_days)
    return [
        _day(expression, timezone, country, first_day + number * _ONE_DAY, calendar, extra_days)
        for number in range(days)
    ]


def _day(
    expression: str,
    timezone: str,
    country: str | None,
    day: dt.date,
    calendar: HolidayCalendar | None,
    extra_days: HolidayFile | None,
) -> DayPreview:
    midnight = dt.datetime.combine(day, dt.time())
    by_state: dict[str, list[tuple[str, str]]] = {"open": [], "unknown": []}
    for start, end, state in intervals(
        expression, timezone, country, midnight, midnight + _ONE_DAY, extra_days=extra_days
    ):
        by_state[state].append((f"{start:%H:%M}", f"{end:%H:%M}" if end.date() == day else "24:00"))
    if calendar is None:
        return DayPreview(day, by_state["open"], by_state["unknown"], None, is_makeup_workday=False, name=None)
    holiday = calendar.state(day)
    is_holiday = None if holiday == UNKNOWN_HOLIDAY else holiday == HOLIDAY
    makeup = calendar.is_makeup_workday(day)
    return DayPreview(day, by_state["open"], by_state["unknown"], is_holiday, makeup, calendar.name(day))

"""Special days: what an opening_hours expression says, but for these days."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from engine.hours import hours_traits
from engine.kept_texts import kept_by_texts

__all__ = ["hours_with_special_days"]

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DAY = 24 * 60
_OFF = "off"
_UNKNOWN = "24/7 unknown"


def hours_with_special_days(hours: str | None, special_days: Sequence[Mapping[str, Any]]) -> str | None:
    """
    Return an expression that holds on all days but the special ones, where theirs holds alone.

    Parameters
    ----------
    hours
        The expression of ordinary days; None where they are unknown: then no day is known. Those that hang on the sun
        are unknown too, but for the special days.
    special_days
        Each with ``date`` (ISO 8601) and ``hours``: times such as ``10:00-14:00``, or ``off``. What lies behind midnight,
        as of ``18:00-28:00`` or ``18:00-04:00``, comes to what the next day has itself.
    """
    if hours is None:
        return None
    times: dict[dt.date, list[str]] = {dt.date.fromisoformat(day["date"]): [] for day in special_days}
    special = frozenset(times)
    for day in special_days:
        for date, span in _by_date(dt.date.fromisoformat(day["date"]), day["hours"]):
            times.setdefault(date, []).append(span)
    text = _ordinary(hours)
    for date in sorted(times):
        rule = f"{date.year} {_MONTHS[date.month - 1]} {date.day:02} {','.join(times[date]) or _OFF}"
        text += f"; {rule}" if date in special else f", {rule}"
    return text


@kept_by_texts(1 << 14)
def _ordinary(hours: str) -> str:
    """Return what ordinary days say, as rules that others can follow: one that names the sun makes all of them unknown."""
    rules = hours.rstrip("; ")
    return _UNKNOWN if "sun" in hours_traits(rules) else rules


def _by_date(date: dt.date, hours: str) -> Iterator[tuple[dt.date, str]]:
    """Give the times of a day, each with the date on which it lies."""
    for span in hours.split(",") if hours != _OFF else ():
        start, end = (_minutes(time) for time in span.split("-"))
        if end <= start:
            end += _DAY
        while start < end:
            days = start // _DAY
            until = min(end, (days + 1) * _DAY)
            yield date + dt.timedelta(days), f"{_time(start - days * _DAY)}-{_time(until - days * _DAY)}"
            start = until


def _minutes(time: str) -> int:
    hours, minutes = time.split(":")
    return int(hours) * 60 + int(minutes)


def _time(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"

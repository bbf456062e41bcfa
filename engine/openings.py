"""
When schedules open and close, as instants: what promises and previews need beside "open now".

A schedule's open minutes are wall time, so its open spans are found zone by zone and offset by offset: an hour that
the clock repeats is open on both passes, one that it skips on none. Minutes that are unknown are not open.
"""

from __future__ import annotations

import datetime as dt
import functools
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from engine.errors import InvalidQueryError
from engine.haste import demand_patience
from engine.holidays import HolidayCalendar, HolidayFile, check_country
from engine.hour_bitmaps import minute_states
from engine.hour_expressions import HourExpression, holiday_states
from engine.kept_texts import LONG_CHARS, kept_by_texts
from engine.local_time import FIRST_S, LAST_S, check_timezone, day_offsets

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.hours import ScheduleKey

__all__ = [
    "DAY_S",
    "HORIZON_S",
    "NEVER_S",
    "WINDOW_DAYS",
    "WINDOW_S",
    "OpenSpans",
    "OpeningTimes",
    "instant_of",
    "microseconds_of",
]

DAY_S = 86_400
_SECOND_US = 1_000_000
HORIZON_S = 30 * DAY_S
"""How far ahead an opening or closing is looked for."""
WINDOW_DAYS = 32
WINDOW_S = WINDOW_DAYS * DAY_S
"""Spans are kept by schedule and window, each with a day before it and the horizon behind it."""
NEVER_S = 1 << 42
_MOST_KEPT = 1 << 15  # 2 kB each for hours that open once a day
_MOST_LONG_KEPT = 1 << 11  # 200 kB each for those that open as often as can be written
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND = dt.timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class OpenSpans:
    """
    The open spans of one schedule around one window, apart from each other and in order.

    Attributes
    ----------
    spans_s
        int64[n + 1, 2]: start and end, exclusive, in UTC seconds since 1970; behind the last one `NEVER_S` twice.
    first_of_day
        int64[32]: the first span that ends on a UTC day of the window or later.
    starts, ends, days
        ``spans_s`` and ``first_of_day`` as memoryviews, an element of which costs a fifth of an array's.
    """

    spans_s: NDArray[np.int64]
    first_of_day: NDArray[np.int64]
    starts: memoryview
    ends: memoryview
    days: memoryview

    def place_from(self, at_s: int) -> int:
        """Return which span is the first that ends at an instant of the window or after it."""
        place: int = self.days[at_s // DAY_S % WINDOW_DAYS]
        while self.ends[place] < at_s:  # as many times as doors open on a day
            place += 1
        return place


class _Making:
    """A window that is being found: who asks for it meanwhile waits for whoever asked first."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.spans: OpenSpans | None = None


class OpeningTimes:
    """
    Tell when schedules open and close; safe to share between threads.

    Parameters
    ----------
    extra_days
        An operator's added holidays, as of `engine.hours.ScheduleBook`.
    max_kept
        How many windows of schedules to keep, those used last; of long hours, which may open often, fewer.

    Notes
    -----
    A window that is kept answers in about 1 µs. Instants beyond the years 1970 to 9998 are never open.
    """

    def __init__(self, extra_days: HolidayFile | None = None, *, max_kept: int = _MOST_KEPT) -> None:
        calendar = functools.cache(lambda country: HolidayCalendar(country, extra_days=extra_days))

        in_the_making: dict[tuple[ScheduleKey, int], _Making] = {}

        def spans(key: ScheduleKey, window: int) -> OpenSpans:
            demand_patience()
            making = in_the_making.setdefault((key, window), _Making())
            try:
                with making.lock:
                    if making.spans is None:
                        known = None if key[2] is None else calendar(check_country(key[2]))
                        making.spans = _open_spans(key, window, known)
                    return making.spans
            finally:
                in_the_making.pop((key, window), None)

        self._spans = functools.lru_cache(maxsize=max_kept)(spans)
        self._spans_of_long = functools.lru_cache(maxsize=min(max_kept, _MOST_LONG_KEPT))(spans)

    def window(self, key: ScheduleKey, window: int) -> OpenSpans:
        """
        Return the open spans around a window, a whole number of `WINDOW_S` since 1970.

        Raises
        ------
        InvalidHoursError, InvalidTimezoneError
            As `engine.hours.ScheduleBook.intern_many` does.
        NotMadeError
            If they are to be found first, and who asks is in haste.
        """
        return (self._spans if len(key[0]) <= LONG_CHARS else self._spans_of_long)(key, window)

    @property
    def n_kept(self) -> int:
        """How many windows are kept."""
        return self._spans.cache_info().currsize + self._spans_of_long.cache_info().currsize

    def next_open(self, key: ScheduleKey | None, at: dt.datetime) -> dt.datetime | None:
        """
        Return the first instant from ``at`` on at which a schedule is open, in UTC.

        None if that is more than 30 days on, or the hours are unknown.

        Raises
        ------
        InvalidQueryError
            For a time without a zone.
        """
        found = None if key is None else self.next_open_us(key, microseconds_of(at))
        return None if found is None else instant_of(found)

    def next_open_us(self, key: ScheduleKey, at_us: int) -> int | None:
        """Return the same in microseconds since 1970."""
        start_us = self._span_from(key, at_us)[0] * _SECOND_US
        if start_us <= at_us:
            return at_us
        return start_us if start_us <= at_us + HORIZON_S * _SECOND_US else None

    def closes_at(self, key: ScheduleKey | None, at: dt.datetime) -> dt.datetime | None:
        """
        Return the end of the open span that holds ``at``, in UTC.

        None if that is more than 30 days on, as for ``24/7``, or the schedule is not open at ``at``.

        Raises
        ------
        InvalidQueryError
            For a time without a zone.
        """
        if key is None:
            return None
        at_us = microseconds_of(at)
        start_s, end_s = self._span_from(key, at_us)
        is_told = start_s * _SECOND_US <= at_us and end_s * _SECOND_US <= at_us + HORIZON_S * _SECOND_US
        return instant_of(end_s * _SECOND_US) if is_told else None

    def spans(self, key: ScheduleKey | None, start: dt.datetime, days: int) -> list[tuple[dt.datetime, dt.datetime]]:
        """
        Return the open spans of some days of 24 hours from ``start`` on, cut to them, as (start, end) in UTC.

        Raises
        ------
        InvalidQueryError
            For a time without a zone.
        """
        low_us = microseconds_of(start)
        high_us = low_us + days * DAY_S * _SECOND_US
        found: list[tuple[int, int]] = []
        for first, last in () if key is None else self._pieces(key, low_us, high_us):
            if found and found[-1][1] == first:
                first = found.pop()[0]  # noqa: PLW2901 - a span that two windows share is one
            found.append((first, last))
        return [(instant_of(first), instant_of(last)) for first, last in found]

    def _pieces(self, key: ScheduleKey, low_us: int, high_us: int) -> Iterator[tuple[int, int]]:
        width_us = WINDOW_S * _SECOND_US
        for window in range(low_us // width_us, -(-high_us // width_us)):
            least, most = max(low_us, window * width_us), min(high_us, (window + 1) * width_us)
            spans = self.window(key, window)
            for start_s, end_s in zip(spans.starts, spans.ends, strict=True):
                first, last = max(least, start_s * _SECOND_US), min(most, end_s * _SECOND_US)
                if first < last:
                    yield first, last

    def _span_from(self, key: ScheduleKey, at_us: int) -> tuple[int, int]:
        """Return the first span of the window around an instant that ends after it, in seconds."""
        after_s = at_us // _SECOND_US + 1
        spans = self.window(key, after_s // WINDOW_S)
        place = spans.place_from(after_s)
        return spans.starts[place], spans.ends[place]


def microseconds_of(at: dt.datetime) -> int:
    """Return an instant as microseconds since 1970; `InvalidQueryError` for a time without a zone."""
    try:
        return (at - _EPOCH) // _MICROSECOND
    except TypeError as cause:
        raise InvalidQueryError("at", f"must be a datetime with a time zone, got {at!r:.60}", value=at) from cause


def instant_of(at_us: int) -> dt.datetime:
    """Return microseconds since 1970 as an instant in UTC."""
    return _EPOCH + dt.timedelta(microseconds=at_us)


def _open_spans(key: ScheduleKey, window: int, calendar: HolidayCalendar | None) -> OpenSpans:
    expression, zone, _ = key
    hours = _parsed(expression)
    check_timezone(zone)
    low_s = max(FIRST_S, window * WINDOW_S - DAY_S)
    high_s = min(LAST_S + 1, (window + 1) * WINDOW_S + HORIZON_S + DAY_S)
    pieces = [_between(hours, calendar, *stretch) for stretch in _stretches(zone, low_s, high_s)]
    spans = np.concatenate([*pieces, np.full((1, 2), NEVER_S)])
    parts = spans[1:, 0] != spans[:-1, 1]  # from the next one
    spans_s = np.stack([spans[np.append(True, parts), 0], spans[np.append(parts, True), 1]], axis=1)
    days = np.arange(WINDOW_DAYS) * DAY_S + window * WINDOW_S
    first_of_day = np.searchsorted(spans_s[:, 1], days)
    return OpenSpans(spans_s, first_of_day, spans_s[:, 0].data, spans_s[:, 1].data, first_of_day.data)


@kept_by_texts(1 << 13)
def _parsed(expression: str) -> HourExpression:
    return HourExpression(expression)


@functools.lru_cache(maxsize=1 << 12)
def _stretches(zone: str, low_s: int, high_s: int) -> list[tuple[int, int, int]]:
    """Return the stretches of one offset between two beginnings of UTC days: from, to and the offset, in seconds."""
    found: list[tuple[int, int, int]] = []
    for day in range(low_s // DAY_S, high_s // DAY_S):
        before, change_s, after = day_offsets(zone, day)
        for start_s, end_s, offset in ((day * DAY_S, change_s, before), (change_s, (day + 1) * DAY_S, after)):
            if start_s == end_s:
                continue
            if found and found[-1][2] == offset:
                start_s = found.pop()[0]  # noqa: PLW2901 - the stretch goes on
            found.append((start_s, end_s, offset))
    return found


def _between(
    hours: HourExpression, calendar: HolidayCalendar | None, low_s: int, high_s: int, offset: int
) -> NDArray[np.int64]:
    """Return the open spans in a stretch of one offset, a row of start and end each."""
    first_day = (low_s + offset) // DAY_S
    n_days = (high_s - 1 + offset) // DAY_S - first_day + 1
    states: list[tuple[int, ...]] = []
    if hours.holiday_shifts:
        if calendar is None:
            check_country(None)
        else:
            states = holiday_states(calendar, hours.holiday_shifts, first_day, n_days)
    wall_s = [
        (first_day + day) * DAY_S + edge_s
        for day, (open_minutes, _) in enumerate(hours.bits(first_day, n_days, states))
        for edge_s in _edges_s(open_minutes)
    ]
    spans = np.clip(np.array(wall_s, np.int64).reshape(-1, 2) - offset, low_s, high_s)
    return spans[spans[:, 0] < spans[:, 1]]


@functools.lru_cache(maxsize=1 << 14)
def _edges_s(open_minutes: int) -> tuple[int, ...]:
    """Return where the open spans of a day start and end, by turns, in seconds."""
    minutes = minute_states([(open_minutes, 0)])
    return tuple((np.flatnonzero(np.diff(minutes, prepend=0, append=0)) * 60).tolist())

"""
One ``opening_hours`` expression and what it says of a day, minute by minute.

The parser and evaluator is ``opening_hours`` (opening-hours-rs), asked without a country: its public holidays are
never used. A day's hours depend on the selectors of that day and of the day before, whose hours may reach past
midnight, so on each day ``PH`` is written as the weekday names of those two days that are holidays:
``Mo-Fr,PH 10:00-12:00`` is read as ``Mo-Fr,Sa 10:00-12:00`` on the Saturday of a holiday and on the Sunday after.

Decided here, where the specification or the evaluator leave it open:

- ``PH Mo-Fr`` (with a space) means holidays that fall on a weekday, as the specification says; the evaluator reads
  it as "or".
- A comma with spaces between days, between dates or months, or between times makes a list, although by the letter it
  begins an additional rule: ``Sa, Su 09:00-16:00`` is ``Sa,Su 09:00-16:00``, not a Saturday of 24 hours, and ``Jan, Mar``
  or ``Dec 24, Dec 25 off`` likewise. Between times and days, or words such as ``off`` and days, it begins a rule.
- ``SH`` (school holidays) never matches, since no one publishes them by place.
- Sunrise, sunset, dawn and dusk depend on a place, which hours do not have: such an expression is unknown throughout.
- A day that is ``off`` ends what reaches into it from the day before, but not what its own replaced hours would have
  reached into the next (``20:00-02:00; PH off`` is open after midnight behind a holiday): so has the evaluator it.
- Hours without an end (``10:00+``), comments and fallback rules mean what the evaluator says: an open end is
  midnight, a comment without a state (``"on request"``) is open, a fallback serves days without any other hours.
  `hours_traits` names the first two, so that who reads hours from elsewhere can take them for unknown.
"""

from __future__ import annotations

import datetime as dt
import functools
import itertools
import re
from collections.abc import Iterable, Sequence

import opening_hours as evaluator

from engine.day_bits import ALL_UNKNOWN, DayBits, agreed
from engine.errors import InvalidHoursError
from engine.holidays import HOLIDAY, UNKNOWN_HOLIDAY, HolidayCalendar
from engine.hour_dates import unreal_date
from engine.hour_lists import DAY, DAY_ITEM, QUOTED, TIME, with_close_commas
from engine.kept_texts import kept_by_texts
from engine.local_time import MINUTES_A_DAY

__all__ = ["EPOCH", "MONDAY", "HourExpression", "holiday_states", "hours_traits", "parse_hours"]

EPOCH = dt.date(1970, 1, 1)
_MAX_CHARS = 4096
_MAX_UNKNOWN_HOLIDAYS = 4
MONDAY, _ONE_DAY = 4, dt.timedelta(1)  # 1970-01-05
_CLOSED, _OPEN = evaluator.State.CLOSED, evaluator.State.OPEN
_NEVER = "SH"
_ARGUMENT = "hours"

_WEEKDAYS = ("Mo", "Tu", "We", "Th", "Fr", "Sa", "Su")
_DAY_SELECTOR = re.compile(rf"{DAY_ITEM}(?:[, ]{DAY_ITEM})*")
_HOLIDAY_ITEM = re.compile(r"PH(?: ([+-]\d+) days?)?")
_ITEMS = re.compile(DAY_ITEM)
_SUN = re.compile(r"sunrise|sunset|dawn|dusk", re.IGNORECASE)
_SCHOOL = re.compile(r"\bSH")
_STATE_END = re.compile(r"(?:open|off|closed|unknown) *$", re.IGNORECASE)
_OPEN_END = re.compile(rf"(?:{TIME}|sunrise|sunset|dawn|dusk|\))\+", re.IGNORECASE)
_WEEKLY = re.compile(rf"(?:24/7|{TIME}|{DAY}|SH|(?i:off|closed|open|unknown)|\|\||[-+,; ])*")


@kept_by_texts(1 << 15)
def parse_hours(expression: str) -> evaluator.OpeningHours | None:
    """Return the evaluator's form of an expression, None where it is none (or longer than 4096 characters)."""
    if len(expression) > _MAX_CHARS:
        return None
    try:
        return evaluator.OpeningHours(with_close_commas(expression), auto_country=False, auto_timezone=False)
    except (evaluator.ParserError, UnicodeEncodeError):  # type: ignore[attr-defined]  # not in its stubs
        return None


def hours_traits(expression: str) -> frozenset[str]:
    """
    Return what an expression asks for beside weekday, date and time.

    Returns
    -------
    frozenset[str]
        Of ``public_holidays`` (a country is needed), ``school_holidays`` (never matches), ``sun`` (unknown
        throughout), ``open_end`` (the end is not told), ``comment`` (words alone, without a state, decide) and
        ``weekly`` (but for public holidays, every week is the same).

    Raises
    ------
    InvalidHoursError
        As `HourExpression` does.
    """
    return HourExpression(expression).traits


class HourExpression:
    """
    One distinct expression, ready to be asked for days.

    Parameters
    ----------
    text
        The expression.
    position
        The row that an error names.

    Raises
    ------
    InvalidHoursError
        If it does not parse, or names a date that no year has (but as the end of a range).

    Attributes
    ----------
    text
        The expression as it came.
    base_text
        The same for days on which no public holiday matters: ``PH`` never matches.
    weekly
        Whether ``base_text`` says the same every week (unknown throughout, where it asks for the sun).
    holiday_shifts
        How many days before a day, and before the day before it, a holiday decides it; empty without ``PH``.
    """

    def __init__(self, text: object, *, position: int | None = None) -> None:
        if not isinstance(text, str) or parse_hours(text) is None:
            message = f"must be an opening_hours expression, got {text!r:.120}"
            raise InvalidHoursError(_ARGUMENT, message, position=position, value=text)
        if (date := unreal_date(text)) is not None:
            message = f"must name dates that some year has, got {date} in {text!r:.120}"
            raise InvalidHoursError(_ARGUMENT, message, position=position, value=text)
        self.text = text
        quoted = QUOTED.split(with_close_commas(text))
        plain = "".join(quoted[::2])
        self._parts = [part for i, piece in enumerate(quoted) for part in ([piece] if i % 2 else _selectors(piece))]
        selectors = [part for part in self._parts if isinstance(part, _HolidaySelector)]
        self.holiday_shifts = tuple(sorted({back + shift for s in selectors for shift in s.shifts for back in (0, 1)}))
        self.sun = _SUN.search(plain) is not None
        self.base_text = self.text_on(0, frozenset())
        self.weekly = self.sun or _WEEKLY.fullmatch("".join(QUOTED.split(self.base_text)[::2])) is not None
        self._plain = plain

    @property
    def traits(self) -> frozenset[str]:
        """What `hours_traits` tells."""
        facts = {
            "public_holidays": bool(self.holiday_shifts),
            "school_holidays": _SCHOOL.search(self._plain) is not None,
            "comment": any(not _STATE_END.search(before) for before in QUOTED.split(self.text)[:-1:2]),
            "open_end": _OPEN_END.search(self._plain) is not None,
            "sun": self.sun,
            "weekly": self.weekly and not self.sun,
        }
        return frozenset(name for name, present in facts.items() if present)

    @functools.cached_property
    def week(self) -> list[DayBits]:
        """The minutes of Monday to Sunday without holidays; nothing where weeks differ."""
        return self.bits(MONDAY, 7) if self.weekly else []

    def text_on(self, day: int, holidays: frozenset[int]) -> str:
        """Return the expression for a day (since 1970), given which of the days it asks about are holidays."""
        return "".join(part if isinstance(part, str) else part.text_on(day, holidays) for part in self._parts)

    def bits(self, first_day: int, n_days: int, states: Sequence[tuple[int, ...]] = ()) -> list[DayBits]:
        """
        Return the minutes of some days in a row.

        Parameters
        ----------
        first_day, n_days
            The first as days since 1970.
        states
            For each day the holiday state of each day ``day - holiday_shifts``; empty where no day is a holiday.
            Where a state is unknown, the minutes on which all answers agree are known.
        """
        if self.sun:
            return [ALL_UNKNOWN] * n_days
        bits = _bits(self.base_text, first_day, n_days, weekly=self.weekly)
        for i, day_states in enumerate(states):
            if any(day_states):
                bits[i] = self._holiday_bits(first_day + i, day_states)
        return bits

    def _holiday_bits(self, day: int, states: tuple[int, ...]) -> DayBits:
        asked = [(day - shift, state) for shift, state in zip(self.holiday_shifts, states, strict=True)]
        known = {one for one, state in asked if state == HOLIDAY}
        unknown = [one for one, state in asked if state == UNKNOWN_HOLIDAY]
        if len(unknown) > _MAX_UNKNOWN_HOLIDAYS:
            return ALL_UNKNOWN
        answers = []
        for chosen in itertools.product((False, True), repeat=len(unknown)):
            holidays = known | set(itertools.compress(unknown, chosen))
            answers += _bits(self.text_on(day, frozenset(holidays)), day, 1, weekly=self.weekly)
        return agreed(answers)


def holiday_states(
    calendar: HolidayCalendar, shifts: Iterable[int], first_day: int, n_days: int
) -> list[tuple[int, ...]]:
    """Return what `HourExpression.bits` asks of a country's calendar, for its ``holiday_shifts``."""
    days = [EPOCH + dt.timedelta(first_day + i) for i in range(n_days)]
    return [tuple(calendar.state(day - dt.timedelta(shift)) for shift in shifts) for day in days]


class _HolidaySelector:
    """A day selector that says ``PH``, such as ``Mo-Fr,PH -1 day`` or ``PH Mo-Fr``."""

    def __init__(self, text: str) -> None:
        groups = [_ITEMS.findall(group) for group in _split_groups(text)]
        holiday = [[item for item in group if item.startswith("PH")] for group in groups]
        weekdays = [[item for item in group if not item.startswith(("PH", _NEVER))] for group in groups]
        self.shifts = tuple(_shift(item) for group in holiday for item in group)
        self._weekdays = ",".join(itertools.chain(*weekdays))
        self._both = len(groups) > 1

    def text_on(self, day: int, holidays: frozenset[int]) -> str:
        names = [
            _WEEKDAYS[(one + 3) % 7]  # 1970-01-01 was a Thursday
            for one in (day - 1, day)
            if any(one - shift in holidays for shift in self.shifts) and self._allows(one)
        ]
        kept = [] if self._both or not self._weekdays else [self._weekdays]
        return ",".join(kept + names) or _NEVER

    def _allows(self, day: int) -> bool:
        return not self._both or bool(_bits(f"{self._weekdays} 00:00-24:00", day, 1, weekly=False)[0][0])


def _selectors(text: str) -> list[str | _HolidaySelector]:
    """Split text without comments into plain text and the day selectors that say ``PH``."""
    parts: list[str | _HolidaySelector] = []
    end = 0
    for match in _DAY_SELECTOR.finditer(text):
        if "PH" in match.group():
            parts += [text[end : match.start()], _HolidaySelector(match.group())]
            end = match.end()
    return [*parts, text[end:]]


def _split_groups(text: str) -> list[str]:
    """Split a day selector at its space, if it has one that is not before an offset of days."""
    return re.split(r" (?=[A-Za-z]{2}(?:[^a-z]|$))", text)


def _shift(item: str) -> int:
    match = _HOLIDAY_ITEM.fullmatch(item)
    return int(match[1] or 0) if match else 0


def _bits(text: str, first_day: int, n_days: int, *, weekly: bool) -> list[DayBits]:
    if not weekly:
        return _evaluate(text, first_day, n_days)
    week = _week_bits(text)
    return [week[(day + 3) % 7] for day in range(first_day, first_day + n_days)]


@kept_by_texts(1 << 16)
def _week_bits(text: str) -> tuple[DayBits, ...]:
    return tuple(_evaluate(text, MONDAY, 7))


def _evaluate(text: str, first_day: int, n_days: int) -> list[DayBits]:
    hours = parse_hours(text)
    if hours is None:  # a holiday that cannot be written as a weekday here
        return [ALL_UNKNOWN] * n_days
    start = dt.datetime.combine(EPOCH, dt.time()) + dt.timedelta(first_day)
    return [_day_bits(hours, start + dt.timedelta(day)) for day in range(n_days)]


def _day_bits(hours: evaluator.OpeningHours, midnight: dt.datetime) -> DayBits:
    # One day at a time: over several days the evaluator skips some, such as the Tuesday of `Mo-Fr 08:00-10:00 || unknown`.
    open_minutes = unknown_minutes = 0
    for begin, end, state, _ in hours.intervals(midnight, midnight + _ONE_DAY):
        if state == _CLOSED:
            continue
        high = end.hour * 60 + end.minute or MINUTES_A_DAY
        span = (1 << high) - (1 << (begin.hour * 60 + begin.minute))
        if state == _OPEN:
            open_minutes |= span
        else:
            unknown_minutes |= span
    return _shared((open_minutes, unknown_minutes))


@functools.lru_cache(maxsize=1 << 12)  # 2 MB at most
def _shared(bits: DayBits) -> DayBits:
    """Return equal days as one: cities have few, and 3 800 schedules take 5 MB so, 10 MB otherwise."""
    return bits

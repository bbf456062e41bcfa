"""
Public holidays by country, and the weekends that China works to make up for them.

For China (``CN``) a public holiday is every day of the State Council's holiday spans, the weekends
inside them too, as ``chinesecalendar`` keeps them; before its first year and everywhere else it is
what the ``holidays`` package knows for the whole country. A holiday is known, known not to be one,
or **unknown**: beyond the last year that the State Council has published, a day within ten days of
a statutory holiday may or may not join its span, and all others follow their weekday. Countries
whose calendar the package ends earlier are unknown after that end.
"""

from __future__ import annotations

import csv
import datetime as dt
import functools
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import holidays as package
from chinese_calendar import constants as china

from engine.errors import InvalidColumnError, InvalidTimezoneError

__all__ = [
    "HOLIDAY",
    "NO_HOLIDAY",
    "UNKNOWN_HOLIDAY",
    "HolidayCalendar",
    "HolidayFile",
    "check_country",
    "is_makeup_workday",
    "last_published_day",
    "parse_holiday_file",
]

NO_HOLIDAY, HOLIDAY, UNKNOWN_HOLIDAY = 0, 1, 2

_CHINA_FIRST_YEAR = min(china.holidays).year
_CHINA_LAST_YEAR = max(china.holidays).year
_UNSURE_DAYS = 10
_MOST_DAYS = 1 << 10  # of a calendar, whose states are kept: those asked for last
_ARGUMENT = "country"
_KINDS = ("day_off", "makeup_working_weekend")
_COLUMNS = ("date", "kind", "name", "country")


@dataclass(frozen=True)
class HolidayFile:
    """
    Days that an operator adds before the packages know them.

    Attributes
    ----------
    days
        Country to date to kind, ``day_off`` or ``makeup_working_weekend``. They outrank the packages, day by day.

    Notes
    -----
    A file that names the 1st of January of a year as a day off is taken as that year's whole notice: no day of it
    is unknown any more, and what the packages know of it they still tell. Single days of December, which next year's
    notice may name, do not publish their own year.
    """

    days: Mapping[str, Mapping[dt.date, str]] = field(default_factory=lambda: MappingProxyType({}))

    def kind(self, country: str, day: dt.date) -> str | None:
        """Return what the file says of a day, None where it says nothing."""
        return self.days.get(country, {}).get(day)

    def publishes(self, country: str, year: int) -> bool:
        """Tell whether the file holds a year's whole notice."""
        return self.kind(country, dt.date(year, 1, 1)) == "day_off"


_NO_FILE = HolidayFile()


def parse_holiday_file(text: str, *, country: str = "CN", name: str = "holidays") -> HolidayFile:
    """
    Read added days from CSV text with the columns ``date,kind`` and, if wanted, ``name`` and ``country``.

    Parameters
    ----------
    text
        The file's text; dates as ``2027-01-01``, kind ``day_off`` or ``makeup_working_weekend``.
    country
        ISO 3166 code of the rows where the file has no column ``country``.
    name
        What errors call the file.

    Raises
    ------
    InvalidColumnError
        Naming the file, the column and the row (counted from 0 after the header).
    InvalidTimezoneError
        For a country that has no holiday calendar.
    """
    lines = _lines(text.removeprefix("\ufeff"), name)
    header = [cell.strip() for cell in next(lines, [])]
    if not {"date", "kind"} <= set(header) <= set(_COLUMNS) or len(set(header)) != len(header):
        message = f"must start with the columns date,kind (then name, country if wanted), got {','.join(header)!r}"
        raise InvalidColumnError(name, message, value=header)
    days: dict[str, dict[dt.date, str]] = {}
    for row, cells in enumerate(lines):
        if len(cells) != len(header):
            message = f"must have {len(header)} cells, got {len(cells)}"
            raise InvalidColumnError(name, message, position=row, value=cells)
        values = dict(zip(header, (cell.strip() for cell in cells), strict=True))
        code = check_country(values.get("country", country), position=row)
        _add_day(days.setdefault(code, {}), values["date"], values["kind"], name, row)
    return HolidayFile(MappingProxyType({code: MappingProxyType(rows) for code, rows in days.items()}))


def _lines(text: str, name: str) -> Iterator[list[str]]:
    """Give the first line's cells, and those of all others that are not empty."""
    row = None
    try:
        for cells in csv.reader(io.StringIO(text)):
            if cells or row is None:
                yield cells
                row = 0 if row is None else row + 1
    except csv.Error as cause:
        message = f"must be CSV with a line feed behind each row and no endless cell, got {cause}"
        raise InvalidColumnError(name, message, position=row) from cause


def _add_day(days: dict[dt.date, str], text: str, kind: str, name: str, row: int) -> None:
    date_column, kind_column = f"{name}: date", f"{name}: kind"
    day = _date(text)
    if day is None:
        message = f"must be a date such as 2027-01-01, got {text!r:.40}"
        raise InvalidColumnError(date_column, message, position=row, value=text)
    if kind not in _KINDS:
        message = f"must be {' or '.join(_KINDS)}, got {kind!r:.40}"
        raise InvalidColumnError(kind_column, message, position=row, value=kind)
    if days.setdefault(day, kind) != kind:
        message = f"must be one for each day, got two for {text}"
        raise InvalidColumnError(kind_column, message, position=row, value=kind)


def _date(text: str) -> dt.date | None:
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", text, re.ASCII):
        return None
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        return None


class HolidayCalendar:
    """
    The public holidays of one country.

    Parameters
    ----------
    country
        ISO 3166-1 alpha-2 code in capitals.
    extra_days
        An operator's added days.

    Raises
    ------
    InvalidTimezoneError
        For a country that has no holiday calendar; ``argument`` is ``country``.
    """

    def __init__(self, country: str, *, extra_days: HolidayFile | None = None) -> None:
        self.country = check_country(country)
        self._extra = extra_days or _NO_FILE
        self._state_of = functools.lru_cache(maxsize=_MOST_DAYS)(self._find_state)

    def state(self, day: dt.date) -> int:
        """Return ``NO_HOLIDAY``, ``HOLIDAY`` or ``UNKNOWN_HOLIDAY`` for a day."""
        return self._state_of(day)

    def is_makeup_workday(self, day: dt.date) -> bool:
        """Tell whether a day is a Saturday or Sunday that is worked to make up for a holiday."""
        kind = self._extra.kind(self.country, day)
        if kind is not None:
            return kind == "makeup_working_weekend"
        return self.country == "CN" and day in china.workdays

    def name(self, day: dt.date) -> str | None:
        """Return what a public holiday is called, or which one a make-up workday is worked for, if that is known."""
        if self.state(day) != HOLIDAY and not self.is_makeup_workday(day):
            return None
        if self.country == "CN" and day.year >= _CHINA_FIRST_YEAR:
            named: Mapping[dt.date, str] = china.workdays if day in china.workdays else china.holidays
            return named.get(day)
        return _package_days(self.country, day.year).get(day)

    def last_published_day(self) -> dt.date:
        """Return the last day for which holidays are known without doubt."""
        year = _CHINA_LAST_YEAR if self.country == "CN" else _last_year(self.country)
        while self._extra.publishes(self.country, year + 1):
            year += 1
        return dt.date(year, 12, 31)

    def _find_state(self, day: dt.date) -> int:
        kind = self._extra.kind(self.country, day)
        if kind is not None:
            return HOLIDAY if kind == "day_off" else NO_HOLIDAY
        by_notice = self.country == "CN" and day.year >= _CHINA_FIRST_YEAR
        state = _china_state(day) if by_notice else _package_state(self.country, day)
        if state == UNKNOWN_HOLIDAY and self._extra.publishes(self.country, day.year):
            return NO_HOLIDAY
        return state


def is_makeup_workday(day: dt.date, *, country: str = "CN", extra_days: HolidayFile | None = None) -> bool:
    """
    Tell whether a day is a working Saturday or Sunday (调休).

    ``opening_hours`` has no word for such a day: hours that say ``Sa off`` keep saying it, and a preview tells the
    merchant. Only China's are known, and those that an operator's file adds.
    """
    return HolidayCalendar(country, extra_days=extra_days).is_makeup_workday(day)


def last_published_day(country: str, *, extra_days: HolidayFile | None = None) -> dt.date:
    """Return the last day for which a country's holidays are known without doubt."""
    return HolidayCalendar(country, extra_days=extra_days).last_published_day()


def check_country(country: object, *, position: int | None = None) -> str:
    """
    Return an ISO 3166-1 alpha-2 code that has a holiday calendar.

    Raises
    ------
    InvalidTimezoneError
        For anything else; ``argument`` is ``country``.
    """
    if isinstance(country, str) and country in _countries():
        return country
    message = f"must be an ISO 3166 code in capitals, such as CN, got {country!r:.40}"
    raise InvalidTimezoneError(_ARGUMENT, message, position=position, value=country)


@functools.cache
def _countries() -> frozenset[str]:
    return frozenset(package.list_supported_countries(include_aliases=False))


def _china_state(day: dt.date) -> int:
    if day.year <= _CHINA_LAST_YEAR:
        return HOLIDAY if day in china.holidays else NO_HOLIDAY
    if day.year > _last_year("CN"):
        return UNKNOWN_HOLIDAY
    near = (day + dt.timedelta(days=offset) for offset in range(-_UNSURE_DAYS, _UNSURE_DAYS + 1))
    return UNKNOWN_HOLIDAY if any(other in _package_days("CN", other.year) for other in near) else NO_HOLIDAY


def _package_state(country: str, day: dt.date) -> int:
    if day in _package_days(country, day.year):
        return HOLIDAY
    known = _first_year(country) <= day.year <= _last_year(country)
    return NO_HOLIDAY if known else UNKNOWN_HOLIDAY


@functools.cache
def _first_year(country: str) -> int:
    return int(package.country_holidays(country).start_year)


@functools.cache
def _last_year(country: str) -> int:
    return int(package.country_holidays(country).end_year)


@functools.lru_cache(maxsize=4096)
def _package_days(country: str, year: int) -> Mapping[dt.date, str]:
    return MappingProxyType(dict(package.country_holidays(country, years=year, expand=False)))

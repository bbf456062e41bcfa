"""The days to come are told with their holidays and make-up workdays."""

from __future__ import annotations

import datetime as dt

import pytest

from engine import DayPreview, hours_preview
from engine.errors import InvalidHoursError, InvalidQueryError, InvalidTimezoneError
from engine.holidays import parse_holiday_file

OFFICE = "Mo-Fr 09:00-12:00,13:00-18:00; PH off"
OPEN = [("09:00", "12:00"), ("13:00", "18:00")]


def test_hours_preview__tells_the_days_around_national_day() -> None:
    days = hours_preview(OFFICE, "Asia/Shanghai", "CN", dt.date(2026, 9, 30))
    assert [day.date for day in days] == [dt.date(2026, 9, 30) + dt.timedelta(i) for i in range(14)]
    assert days[0] == DayPreview(dt.date(2026, 9, 30), OPEN, [], is_holiday=False, is_makeup_workday=False, name=None)
    assert all(day.is_holiday and day.name == "National Day" and not day.spans for day in days[1:8])
    assert days[8].spans == OPEN
    saturday = days[10]
    assert (saturday.is_makeup_workday, saturday.is_holiday, saturday.spans) == (True, False, [])
    assert saturday.name == "National Day"


def test_hours_preview__splits_at_midnight() -> None:
    friday, saturday = hours_preview("Fr 22:00-02:00, Sa 23:00-24:00", "UTC", None, dt.date(2026, 3, 6), 2)
    assert friday.spans == [("22:00", "24:00")]
    assert saturday.spans == [("00:00", "02:00"), ("23:00", "24:00")]


@pytest.mark.parametrize(
    ("country", "day", "is_holiday", "unknown"),
    [
        ("CN", dt.date(2027, 2, 8), None, OPEN),  # Spring Festival's span is not published yet
        ("CN", dt.date(2027, 7, 7), False, []),  # far from any
        ("FI", dt.date(2026, 12, 6), True, []),
        ("KR", dt.date(2026, 3, 1), True, []),
    ],
)
def test_hours_preview__tells_unknown_days_as_unknown(
    country: str, day: dt.date, is_holiday: bool | None, unknown: list[tuple[str, str]]
) -> None:
    (preview,) = hours_preview(OFFICE, "UTC", country, day, 1)
    assert preview.is_holiday is is_holiday
    assert preview.unknown == unknown
    assert (preview.name is not None) == bool(is_holiday)


def test_hours_preview__without_a_country_knows_no_holiday() -> None:
    (day,) = hours_preview("24/7", "UTC", None, dt.date(2026, 1, 1), 1)
    assert day == DayPreview(day.date, [("00:00", "24:00")], [], is_holiday=None, is_makeup_workday=False, name=None)


def test_hours_preview__takes_an_operators_days() -> None:
    extra = parse_holiday_file("date,kind\n2027-02-08,day_off\n2027-02-13,makeup_working_weekend\n")
    monday, *_, saturday = hours_preview(OFFICE, "Asia/Shanghai", "CN", dt.date(2027, 2, 8), 6, extra_days=extra)
    assert (monday.is_holiday, monday.spans, monday.unknown, monday.name) == (True, [], [], None)
    assert (saturday.is_makeup_workday, saturday.is_holiday) == (True, False)


@pytest.mark.parametrize(
    ("expression", "zone", "country", "first", "days", "error"),
    [
        ("nonsense", "UTC", None, dt.date(2026, 1, 1), 14, InvalidHoursError),
        (OFFICE, "Mars/Base", "CN", dt.date(2026, 1, 1), 14, InvalidTimezoneError),
        (OFFICE, "UTC", None, dt.date(2026, 1, 1), 14, InvalidTimezoneError),  # whose holidays?
        (OFFICE, "UTC", "XX", dt.date(2026, 1, 1), 14, InvalidTimezoneError),
        (OFFICE, "UTC", "CN", dt.date(2026, 1, 1), 0, InvalidQueryError),
        (OFFICE, "UTC", "CN", dt.date(2026, 1, 1), 401, InvalidQueryError),
        (OFFICE, "UTC", "CN", dt.date(1969, 12, 30), 1, InvalidQueryError),
        (OFFICE, "UTC", "CN", dt.date(9999, 12, 30), 14, InvalidQueryError),
    ],
)
def test_hours_preview__refuses_what_is_no_schedule_or_day(
    expression: str, zone: str, country: str | None, first: dt.date, days: int, error: type[Exception]
) -> None:
    with pytest.raises(error):
        hours_preview(expression, zone, country, first, days)

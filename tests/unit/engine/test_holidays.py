import datetime as dt
import tracemalloc

import pytest

from engine.errors import EngineError, InvalidColumnError, InvalidTimezoneError
from engine.holidays import (
    HOLIDAY,
    NO_HOLIDAY,
    UNKNOWN_HOLIDAY,
    HolidayCalendar,
    is_makeup_workday,
    last_published_day,
    parse_holiday_file,
)

# The State Council's notices for 2025 and 2026: first and last day of each span, and the weekends worked for them.
CHINA_SPANS = [
    ("2025-01-01", "2025-01-01"),
    ("2025-01-28", "2025-02-04"),
    ("2025-04-04", "2025-04-06"),
    ("2025-05-01", "2025-05-05"),
    ("2025-05-31", "2025-06-02"),
    ("2025-10-01", "2025-10-08"),
    ("2026-01-01", "2026-01-03"),
    ("2026-02-15", "2026-02-23"),
    ("2026-04-04", "2026-04-06"),
    ("2026-05-01", "2026-05-05"),
    ("2026-06-19", "2026-06-21"),
    ("2026-09-25", "2026-09-27"),
    ("2026-10-01", "2026-10-07"),
]
CHINA_MAKEUP = [
    "2025-01-26",
    "2025-02-08",
    "2025-04-27",
    "2025-09-28",
    "2025-10-11",
    "2026-01-04",
    "2026-02-14",
    "2026-02-28",
    "2026-05-09",
    "2026-09-20",
    "2026-10-10",
]


def days_from(first: str, n: int) -> list[dt.date]:
    return [dt.date.fromisoformat(first) + dt.timedelta(i) for i in range(n)]


def china_days_off() -> set[dt.date]:
    return {day for first, last in CHINA_SPANS for day in days_from(first, 60) if day <= dt.date.fromisoformat(last)}


def test_holidays__of_china_are_every_day_of_the_published_spans() -> None:
    calendar, expected = HolidayCalendar("CN"), china_days_off()
    days = days_from("2025-01-01", 730)
    assert [day for day in days if calendar.state(day) == HOLIDAY] == sorted(expected)
    assert all(calendar.state(day) == NO_HOLIDAY for day in days if day not in expected)


def test_makeup_workdays__are_those_of_the_notices() -> None:
    days = days_from("2025-01-01", 730)
    assert [day.isoformat() for day in days if is_makeup_workday(day)] == CHINA_MAKEUP
    assert not any(is_makeup_workday(day, country="KR") for day in days)


def test_holidays__of_china_are_unknown_only_near_a_statutory_one_once_unpublished() -> None:
    calendar = HolidayCalendar("CN")
    national = dt.date(2027, 10, 1)  # to 5 October in the package, observed days included
    known = [national - dt.timedelta(days) for days in (11, 12)]
    assert [calendar.state(day) for day in known] == [UNKNOWN_HOLIDAY, UNKNOWN_HOLIDAY]  # Mid-Autumn is 15 September
    assert calendar.state(dt.date(2027, 9, 30)) == UNKNOWN_HOLIDAY
    assert calendar.state(national) == UNKNOWN_HOLIDAY
    assert calendar.state(dt.date(2027, 10, 15)) == UNKNOWN_HOLIDAY
    assert calendar.state(dt.date(2027, 10, 16)) == NO_HOLIDAY
    assert calendar.state(dt.date(2027, 8, 4)) == NO_HOLIDAY
    assert calendar.state(dt.date(2027, 12, 21)) == NO_HOLIDAY
    assert calendar.state(dt.date(2027, 12, 22)) == UNKNOWN_HOLIDAY  # ten days before New Year 2028


def test_holidays__of_china_before_its_first_notice_are_the_statutory_ones() -> None:
    assert HolidayCalendar("CN").state(dt.date(1998, 10, 1)) == HOLIDAY
    assert HolidayCalendar("CN").state(dt.date(1998, 8, 5)) == NO_HOLIDAY


def test_holidays__are_unknown_outside_the_years_a_country_is_known_for() -> None:
    assert HolidayCalendar("FI").state(dt.date(2100, 12, 6)) == HOLIDAY
    assert HolidayCalendar("FI").state(dt.date(2101, 12, 6)) == UNKNOWN_HOLIDAY
    assert HolidayCalendar("CN").state(dt.date(2150, 8, 4)) == UNKNOWN_HOLIDAY


def test_last_published_day__ends_with_the_last_notice() -> None:
    assert last_published_day("CN") >= dt.date(2026, 12, 31)
    assert last_published_day("FI") == dt.date(2100, 12, 31)


def test_holidays__that_were_asked_for_are_kept_only_for_the_days_asked_for_last() -> None:
    days = days_from("1990-01-01", 30 * 365)
    for day in days[::300]:
        HolidayCalendar("FI").state(day)  # what the package knows of each year is kept, too
    calendar = HolidayCalendar("FI")
    tracemalloc.start()
    try:
        for day in days:
            calendar.state(day)
        assert tracemalloc.get_traced_memory()[0] < 250_000
    finally:
        tracemalloc.stop()


def test_holiday_file__publishes_a_year_before_the_package_does() -> None:
    text = "date,kind\n2027-01-01,day_off\n2027-01-02,day_off\n2027-10-01,day_off\n2027-10-09,makeup_working_weekend\n"
    extra = parse_holiday_file(text)
    calendar = HolidayCalendar("CN", extra_days=extra)
    assert calendar.state(dt.date(2027, 10, 1)) == HOLIDAY
    assert calendar.state(dt.date(2027, 10, 2)) == NO_HOLIDAY
    assert calendar.is_makeup_workday(dt.date(2027, 10, 9))
    assert calendar.last_published_day() == dt.date(2027, 12, 31)
    assert calendar.state(dt.date(2028, 1, 3)) == UNKNOWN_HOLIDAY
    assert HolidayCalendar("KR", extra_days=extra).state(dt.date(2027, 10, 2)) == NO_HOLIDAY


def test_holiday_file__with_single_days_outranks_the_package_on_them_alone() -> None:
    text = "\ufeffdate,kind,name,country\r\n2026-12-31,day_off,Bridge,CN\r\n2026-10-07,makeup_working_weekend,,CN\r\n\r\n2027-03-01,day_off,Own,FI\r\n"
    extra = parse_holiday_file(text)
    calendar = HolidayCalendar("CN", extra_days=extra)
    assert calendar.state(dt.date(2026, 12, 31)) == HOLIDAY
    assert calendar.state(dt.date(2026, 10, 7)) == NO_HOLIDAY
    assert calendar.state(dt.date(2026, 10, 6)) == HOLIDAY
    assert calendar.last_published_day() == last_published_day("CN")
    assert HolidayCalendar("FI", extra_days=extra).state(dt.date(2027, 3, 1)) == HOLIDAY
    assert HolidayCalendar("FI", extra_days=extra).state(dt.date(2027, 12, 6)) == HOLIDAY


def test_holiday_file__takes_no_holiday_from_a_year_that_is_known() -> None:
    text = "date,kind,name,country\n" + "".join(
        f"{year}-01-01,day_off,,{country}\n"
        for country, year in (("FI", 2027), ("FI", 2101), ("CN", 2026), ("CN", 2027))
    )
    extra = parse_holiday_file(text + "2027-05-14,day_off,,FI\n2027-12-06,makeup_working_weekend,,FI\n")
    finland, china = (HolidayCalendar(country, extra_days=extra) for country in ("FI", "CN"))
    assert finland.state(dt.date(2027, 5, 14)) == HOLIDAY
    assert finland.state(dt.date(2027, 12, 6)) == NO_HOLIDAY  # day by day the file outranks the package
    assert finland.state(dt.date(2027, 12, 25)) == HOLIDAY
    assert finland.name(dt.date(2027, 12, 25)) is not None
    assert china.state(dt.date(2026, 10, 1)) == HOLIDAY
    assert china.state(dt.date(2027, 10, 1)) == NO_HOLIDAY  # where nothing is known, the file is the whole notice
    assert finland.state(dt.date(2101, 12, 25)) == NO_HOLIDAY
    assert finland.state(dt.date(2102, 12, 25)) == UNKNOWN_HOLIDAY


@pytest.mark.parametrize(
    ("text", "error", "argument", "position"),
    [
        ("", InvalidColumnError, "h.csv", None),  # no header
        ("day,kind\n", InvalidColumnError, "h.csv", None),  # another header
        ("date,kind,date\n", InvalidColumnError, "h.csv", None),  # a column twice
        ("date,kind\n2027-01-01,day_off\n2027-01-02\n", InvalidColumnError, "h.csv", 1),  # a cell missing
        ("date,kind\n2027-02-30,day_off\n", InvalidColumnError, "h.csv: date", 0),  # no such day
        ("date,kind\n20270101,day_off\n", InvalidColumnError, "h.csv: date", 0),  # another form
        ("date,kind\n2027-01-01,holiday\n", InvalidColumnError, "h.csv: kind", 0),  # no such kind
        # one day of both kinds
        ("date,kind\n2027-01-02,day_off\n2027-01-02,makeup_working_weekend\n", InvalidColumnError, "h.csv: kind", 1),
        ("date,kind,country\n2027-01-01,day_off,XX\n", InvalidTimezoneError, "country", 0),  # no such country
        ("date,kind\r2027-01-01,day_off\r", InvalidColumnError, "h.csv", None),  # lines that end as none do
        ("date,kind\n2027-01-01,day_off\n2027-01-02,day\roff\n", InvalidColumnError, "h.csv", 1),  # the same further on
        ("date,kind,name\n\n2027-01-01,day_off," + 200_000 * "x", InvalidColumnError, "h.csv", 0),  # an endless cell
    ],
)
def test_holiday_file__names_what_is_wrong(
    text: str, error: type[EngineError], argument: str, position: int | None
) -> None:
    with pytest.raises(error) as caught:
        parse_holiday_file(text, name="h.csv")
    assert (caught.value.argument, caught.value.position) == (argument, position)


@pytest.mark.parametrize("country", ["XX", "cn", "CHN", "China", "UK", "", None, 156])
def test_holidays__refuse_what_is_no_country(country: str) -> None:
    with pytest.raises(InvalidTimezoneError, match="country must be an ISO 3166 code") as caught:
        HolidayCalendar(country)
    assert caught.value.argument == "country"

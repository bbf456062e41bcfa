"""Public holidays against the State Council's notices and the package for other countries, day by day."""

import csv
import datetime as dt

import holidays
import pytest

from engine.holidays import HOLIDAY, NO_HOLIDAY, HolidayCalendar, is_makeup_workday, parse_holiday_file
from tests.reference_data import DATA, needs_reference

pytestmark = needs_reference


def days_of(first_year: int, last_year: int) -> list[dt.date]:
    start, end = dt.date(first_year, 1, 1), dt.date(last_year, 12, 31)
    return [start + dt.timedelta(i) for i in range((end - start).days + 1)]


def read(name: str) -> list[dict[str, str]]:
    with (DATA / "holidays" / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_holidays__of_china_are_the_notices_on_every_day_of_2015_to_2024() -> None:
    rows = read("china_days.csv")
    off = {row["date"] for row in rows if row["kind"] == "day_off"}
    makeup = {row["date"] for row in rows if row["kind"] == "makeup_working_weekend"}
    assert (len(off), len(makeup)) == (275, 64)
    calendar = HolidayCalendar("CN")
    for day in days_of(2015, 2024):
        assert calendar.state(day) == (HOLIDAY if day.isoformat() in off else NO_HOLIDAY), day
        assert is_makeup_workday(day) == (day.isoformat() in makeup), day


def test_holiday_file__of_the_notices_says_what_the_package_says() -> None:
    text = (DATA / "holidays" / "china_days.csv").read_text(encoding="utf-8")
    own, added = HolidayCalendar("CN"), HolidayCalendar("CN", extra_days=parse_holiday_file(text))
    assert [own.state(day) for day in days_of(2015, 2024)] == [added.state(day) for day in days_of(2015, 2024)]


@pytest.mark.parametrize("country", ["KR", "FI"])
def test_holidays__equal_the_package_on_every_day_of_2024_to_2027(country: str) -> None:
    expected, calendar = holidays.country_holidays(country, years=range(2024, 2028)), HolidayCalendar(country)
    for day in days_of(2024, 2027):
        assert calendar.state(day) == (HOLIDAY if day in expected else NO_HOLIDAY), day


@pytest.mark.parametrize("country", ["FI", "DE", "FR", "KR", "BR"])
def test_holidays__equal_the_recorded_ones_on_every_day_of_2020_to_2027(country: str) -> None:
    expected = {row["date"] for row in read("public_holidays.csv") if row["country"] == country}
    assert len(expected) > 50
    calendar = HolidayCalendar(country)
    for day in days_of(2020, 2027):
        assert calendar.state(day) == (HOLIDAY if day.isoformat() in expected else NO_HOLIDAY), day


def test_holidays__of_china_hold_every_statutory_day_of_the_recorded_ones() -> None:
    recorded = [row["date"] for row in read("public_holidays.csv") if row["country"] == "CN" and row["date"] < "2027"]
    assert recorded
    assert all(HolidayCalendar("CN").state(dt.date.fromisoformat(day)) == HOLIDAY for day in recorded)

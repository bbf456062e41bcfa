"""The empty days of crews: shifts by their hours, breaks by the clock on the wall."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import pytest
import shapely

from engine.crew_days import CrewDay, CrewDays
from engine.crews import Break, Crew, crew_days
from engine.errors import InvalidColumnError, InvalidHoursError, InvalidTimezoneError
from engine.openings import OpeningTimes
from engine.travel import GreatCircleTravel

OPENINGS = OpeningTimes()
BERLIN = ZoneInfo("Europe/Berlin")
HOME = (52.52, 13.4)
LUNCH = Break(dt.time(12), dt.time(13), 1800)


def crew(hours: str, *breaks: Break, timezone: str = "Europe/Berlin", country: str | None = None) -> Crew:
    return Crew("c", HOME, HOME, hours, timezone, country, breaks=breaks)


def days_of(one: Crew, first: dt.date, n: int = 1) -> list[CrewDay]:
    found = crew_days(one, OPENINGS, first, n)
    CrewDays(found, GreatCircleTravel())  # they can be kept
    return found


def told(day: CrewDay) -> list[str]:
    """Return a day's instants as clocks on its walls show them."""
    instants = [day.starts_s, *(at for stop in day.stops for at in (stop.earliest_s, stop.latest_s)), day.ends_s]
    return [f"{dt.datetime.fromtimestamp(at, BERLIN):%d %H:%M}" for at in instants]


CASES: tuple[tuple[str, list[Break], dt.date, int, list[list[str]]], ...] = (  # hours, breaks, first day, days, what the walls show
    ("Mo-Fr 08:00-17:00", [LUNCH], dt.date(2026, 11, 27), 4, [["27 08:00", "27 12:00", "27 13:00", "27 17:00"], ["30 08:00", "30 12:00", "30 13:00", "30 17:00"]]),
    # two shifts a day, and a break that only one of them has
    ("08:00-12:00,14:00-20:00", [Break(dt.time(16), dt.time(17), 900)], dt.date(2026, 11, 27), 1, [["27 08:00", "27 12:00"], ["27 14:00", "27 16:00", "27 17:00", "27 20:00"]]),
    # a night belongs to the day on which it begins; its break lies behind midnight
    ("22:00-06:00", [Break(dt.time(2), dt.time(3), 600)], dt.date(2026, 11, 27), 1, [["27 22:00", "28 02:00", "28 03:00", "28 06:00"]]),
    # never closed: cut at midnight
    ("24/7", [LUNCH], dt.date(2026, 11, 27), 2, [["27 00:00", "27 12:00", "27 13:00", "28 00:00"], ["28 00:00", "28 12:00", "28 13:00", "29 00:00"]]),
    # a break begins in time to end with the shift, and not before it
    ("12:30-13:15", [LUNCH], dt.date(2026, 11, 27), 1, [["27 12:30", "27 12:30", "27 12:45", "27 13:15"]]),
    ("08:00-12:15", [LUNCH], dt.date(2026, 11, 27), 1, [["27 08:00", "27 12:15"]]),
    # over midnight, and at any time of a night
    ("22:00-06:30", [Break(dt.time(23, 30), dt.time(0, 30), 600)], dt.date(2026, 11, 27), 1, [["27 22:00", "27 23:30", "28 00:30", "28 06:30"]]),
    ("20:00-05:00", [Break(dt.time(0), dt.time(23), 1800)], dt.date(2026, 11, 27), 1, [["27 20:00", "28 00:00", "28 04:30", "28 05:00"]]),
    # the second of two breaks for which there is no time is left out
    ("12:15-13:00", [LUNCH, LUNCH], dt.date(2026, 11, 27), 1, [["27 12:15", "27 12:15", "27 12:30", "27 13:00"]]),
    # in another order where one has no time in theirs, else in theirs
    ("08:00-18:00", [Break(dt.time(15), dt.time(15, 30), 900), LUNCH], dt.date(2026, 11, 27), 1, [["27 08:00", "27 12:00", "27 13:00", "27 15:00", "27 15:30", "27 18:00"]]),
    ("08:00-18:30", [Break(dt.time(11), dt.time(15), 900), LUNCH], dt.date(2026, 11, 27), 1, [["27 08:00", "27 11:00", "27 15:00", "27 12:00", "27 13:00", "27 18:30"]]),
    ("off", [LUNCH], dt.date(2026, 11, 27), 3, []),
)  # fmt: skip


@pytest.mark.parametrize(("hours", "breaks", "first", "n", "shown"), CASES, ids=[case[0] for case in CASES])
def test_crew_days__follow_hours_and_breaks(hours, breaks, first: dt.date, n: int, shown: list[list[str]]) -> None:
    assert [told(day) for day in days_of(crew(hours, *breaks), first, n)] == shown


def test_crew_days__last_as_long_as_the_clock_makes_them() -> None:
    night = crew("Sa 22:00-06:00", Break(dt.time(2, 30), dt.time(2, 30), 600))
    (spring,) = days_of(night, dt.date(2026, 3, 28))
    assert (spring.ends_s - spring.starts_s) / 3600 == 7  # 02:30 is skipped: it is taken an hour after 01:30
    assert dt.datetime.fromtimestamp(spring.stops[0].earliest_s, BERLIN).time() == dt.time(3, 30)
    for rest in (Break(dt.time(2, 30), dt.time(3), 600), Break(dt.time(2, 15), dt.time(3, 10), 600)):
        assert len(days_of(crew("Sa 22:00-06:00", rest), dt.date(2026, 3, 28))[0].stops) == 1
    (autumn,) = days_of(night, dt.date(2026, 10, 24))
    assert (autumn.ends_s - autumn.starts_s) / 3600 == 9
    assert autumn.stops[0].earliest_s - autumn.starts_s == 4.5 * 3600  # the first of both


@pytest.mark.parametrize(
    ("hours", "hours_long"), [("Su 00:00-24:00", [25]), ("Su 00:00-23:30", [24.5]), ("Su 00:00-26:00", [25, 2])]
)
def test_crew_days__have_no_empty_shift_where_the_clock_is_put_back(hours: str, hours_long: list[float]) -> None:
    found = days_of(crew(hours), dt.date(2026, 10, 24), 4)
    assert [(day.ends_s - day.starts_s) / 3600 for day in found] == hours_long


def test_crew_days__know_days_off_and_holidays() -> None:
    one = crew("Mo-Su 08:00-16:00; PH off; 2026 Dec 28 off", timezone="Europe/Berlin", country="DE")
    found = [f"{dt.datetime.fromtimestamp(day.starts_s, BERLIN):%d}" for day in days_of(one, dt.date(2026, 12, 24), 6)]
    assert found == ["24", "27", "29"]


def test_crew_days__of_many_months_are_all_there() -> None:
    assert len(days_of(crew("Mo-Su 08:00-16:00"), dt.date(2026, 1, 1), 120)) == 120


def test_crew__can_do_what_its_skills_and_heads_allow() -> None:
    two = Crew("c", HOME, HOME, "24/7", "Europe/Berlin", skills=frozenset({"clean", "windows"}), people=2)
    assert two.can_do(frozenset({"clean"}), 2)
    assert two.can_do(frozenset())
    assert not two.can_do(frozenset({"clean", "roof"}))
    assert not two.can_do(frozenset({"clean"}), 3)


def test_crew__works_where_its_area_is() -> None:
    near, far = (52.525, 13.4), (52.6, 13.4)
    shapes = (shapely.box(13.3, 52.5, 13.5, 52.55), 2000.0)
    for area in shapes:
        one = Crew("c", HOME, HOME, "24/7", "Europe/Berlin", area=area)
        assert [one.works_at(near), one.works_at(far)] == [True, False]
    assert crew("24/7").works_at(far)


def test_bad_input__is_named() -> None:
    with pytest.raises(InvalidColumnError, match=r"breaks\[1\]"):
        crew("24/7", LUNCH, Break(dt.time(12), dt.time(12), -1))
    with pytest.raises(InvalidTimezoneError, match="Europe/Nowhere"):
        crew("24/7", timezone="Europe/Nowhere")
    with pytest.raises(InvalidHoursError):
        days_of(crew("at noon"), dt.date(2026, 11, 27))

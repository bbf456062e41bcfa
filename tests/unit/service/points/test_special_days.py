"""Special days hold alone, and what they have behind midnight comes to the next day."""

from __future__ import annotations

import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from engine import Engine
from service.points.special_days import hours_with_special_days

ZONE = ZoneInfo("Europe/Helsinki")


def _open_hours(hours: str | None, *special: tuple[str, str], day: int, unknown_hours: str = "refuse") -> list[int]:
    """Return the hours of a day, counted from the last of 2026, at whose half it is open."""
    text = hours_with_special_days(hours, [{"date": date, "hours": its} for date, its in special])
    engine = Engine.from_columns(
        ["a"], ["retail/pickup"], [60.17], [24.94], hours=[text], timezone="Europe/Helsinki", country="FI"
    )
    midnight = dt.datetime(2026, 12, 31, tzinfo=ZONE) + dt.timedelta(day)
    times = [midnight.replace(hour=hour, minute=30) for hour in range(24)]
    its: dict[str, Any] = {"unknown_hours": unknown_hours}
    return [at.hour for at in times if engine.nearest(60.17, 24.94, "retail/pickup", at=at, **its).matches]


LATE = ("2026-12-31", "18:00-28:00")
NEW_YEAR = [*range(4)]
USUAL = [*range(9, 17)]


@pytest.mark.parametrize("hours", ["Mo-Su 09:00-17:00", "Mo-Su 09:00-17:00;", "09:00-17:00"])
@pytest.mark.parametrize("late", ["18:00-28:00", "18:00-04:00", "18:00-23:00,23:00-24:00,24:00-28:00"])
def test_hours_behind_midnight__come_to_those_of_the_next_day(hours: str, late: str) -> None:
    special = ("2026-12-31", late)
    assert _open_hours(hours, special, day=0) == [*range(18, 24)]
    assert _open_hours(hours, special, day=1) == NEW_YEAR + USUAL
    assert _open_hours(hours, special, day=2) == _open_hours(hours, special, day=-1) == USUAL


def test_hours_behind_midnight__hold_where_the_next_day_is_closed_or_special_too() -> None:
    assert _open_hours("Mo-Th 09:00-17:00", LATE, day=1) == NEW_YEAR
    assert _open_hours("Mo-Su 09:00-17:00", LATE, ("2027-01-01", "off"), day=1) == NEW_YEAR
    assert _open_hours("Mo-Su 09:00-17:00", ("2027-01-01", "12:00-14:00"), LATE, day=1) == [*NEW_YEAR, 12, 13]


def test_special_days__hold_alone() -> None:
    days = (("2026-12-31", "off"), ("2027-01-01", "10:00-12:00"))
    assert [_open_hours("Mo-Su 09:00-17:00", *days, day=day) for day in range(3)] == [[], [10, 11], USUAL]
    assert hours_with_special_days(None, [{"date": "2026-12-31", "hours": "off"}]) is None


@pytest.mark.parametrize("hours", ["sunrise-sunset", "Mo-Su (sunrise+01:00)-20:00; PH off"])
def test_special_days__hold_beside_hours_that_hang_on_the_sun(hours: str) -> None:
    days = (("2026-12-31", "off"), ("2027-01-01", "20:00-26:00"))
    assert [_open_hours(hours, *days, day=day) for day in (-1, 0, 1, 2)] == [[], [], [*range(20, 24)], [0, 1]]
    allowed = [_open_hours(hours, *days, day=day, unknown_hours="allow") for day in (-1, 0, 1, 2)]
    assert allowed == [[*range(24)], [], [*range(20, 24)], [*range(24)]]

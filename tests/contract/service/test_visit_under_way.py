"""A visit that lasts into its crew's next shift keeps the crew from it, and no longer than it lasts."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest

from tests.contract.service.desk import Desk
from tests.contract.service.talking import problem
from tests.contract.service.visiting import Visits

EXACT = {"window_minutes": 0, "lead_minutes": 0, "minutes": 60}
At = Callable[..., str]
SPLIT = {"hours": "Mo-Su 08:00-12:00,13:00-18:00"}


@pytest.fixture
def visits(desk: Desk) -> Visits:
    return Visits(desk)


@pytest.fixture
def point(visits: Visits) -> str:
    return visits.provider("anna", service=EXACT, crew=SPLIT)


@pytest.fixture
def at(visits: Visits) -> At:
    """Give the times of the day on which a test's visits are, and of those that follow."""
    midnight = dt.datetime.fromisoformat(visits.tomorrow(0))
    return lambda hour, minute=0: (midnight + dt.timedelta(hours=hour, minutes=minute)).isoformat()


def _begun(visits: Visits, point: str, starts_at: str) -> dict[str, Any]:
    return visits.brought(visits.book(point, starts_at), "confirm", "depart", "start")


def _can_be_booked(visits: Visits, point: str, at: str) -> bool:
    """Tell whether a visit can be booked, which is what slots say."""
    instant = dt.datetime.fromisoformat(at)
    told = visits.starts(point, from_day=instant.date().isoformat(), days=1)
    is_told = instant in map(dt.datetime.fromisoformat, told)
    answer = visits.ask(visits.body(point, at))
    if answer.is_success:
        visits.done(answer.json(), "cancel", "app", {})
    else:
        assert problem(answer) == (409, "sold-out")
    assert answer.is_success == is_told
    return is_told


def _busy(visits: Visits, point: str) -> list[str]:
    answer = visits.desk.send("GET", f"/v1/points/{point}/crews/anna/busy", "corner")
    return [one["engagement_id"] for one in answer.json()["items"]]


def test_overrun__into_the_next_shift_hands_on_what_comes_late_there(visits: Visits, point: str, at: At) -> None:
    two, four = (visits.brought(visits.book(point, at(hour)), "confirm") for hour in (13, 16))
    ten = _begun(visits, point, at(10))
    visits.desk.pass_until(at(11, 50))
    told = visits.done(ten, "overrun", "corner", {"minutes": 100})
    assert [one["booking_id"] for one in told["unkept"]] == [two["booking_id"]]
    assert told["moved"] == []
    assert visits.read(two)["state"] == "unplaced"
    assert visits.planned(point)["anna"][-1] == four["booking_id"]
    assert _busy(visits, point) == [f"over-{ten['booking_id']}"]


def test_overrun__into_the_next_shift_is_over_once_the_visit_is(visits: Visits, point: str, at: At) -> None:
    ten = _begun(visits, point, at(10))
    assert _can_be_booked(visits, point, at(13))
    visits.desk.pass_until(at(11, 50))
    visits.done(ten, "overrun", "corner", {"minutes": 100})
    for hour, is_free in ((13, False), (14, True), (17, True)):
        assert _can_be_booked(visits, point, at(hour)) == is_free
    visits.done(ten, "overrun", "corner", {"minutes": 131})
    assert not _can_be_booked(visits, point, at(14))
    visits.desk.pass_until(at(12, 20))
    visits.done(ten, "finish", "corner", {"proof": {"end_code": ten["end_code"], "written_contract": "A-7"}})
    assert _can_be_booked(visits, point, at(13))
    assert _busy(visits, point) == []


def test_visit__that_begins_late_keeps_its_crew_from_the_next_shift_and_hands_nobody_on(
    visits: Visits, point: str, at: At
) -> None:
    visits.service(point, **EXACT | {"minutes": 120})
    one = visits.brought(visits.book(point, at(13)), "confirm")
    ten = visits.brought(visits.book(point, at(10)), "confirm", "depart")
    visits.desk.pass_until(at(11, 30))
    visits.done(ten, "start", "corner", {"code": ten["start_code"]})
    assert visits.read(one)["state"] == "confirmed"
    assert visits.planned(point)["anna"].count(one["booking_id"]) == 1
    told = visits.done(ten, "overrun", "corner", {"minutes": 121})
    assert [late["booking_id"] for late in told["unkept"]] == [one["booking_id"]]


def test_overrun__over_midnight_keeps_the_crew_from_the_next_day(visits: Visits, at: At) -> None:
    point = visits.provider("anna", service=EXACT, crew={"hours": "24/7"})
    last = _begun(visits, point, at(23))
    visits.desk.pass_until(at(23, 59))
    visits.done(last, "overrun", "corner", {"minutes": 91})
    for hour, is_free in ((24, False), (25, False), (26, True)):
        assert _can_be_booked(visits, point, at(hour)) == is_free


def test_overrun__says_who_is_late_by_a_late_start(visits: Visits, point: str, at: At) -> None:
    eleven = visits.brought(visits.book(point, at(11)), "confirm")
    ten = visits.brought(visits.book(point, at(10)), "confirm", "depart")
    visits.desk.pass_until(at(10, 20))
    visits.done(ten, "start", "corner", {"code": ten["start_code"]})
    assert visits.read(eleven)["state"] == "confirmed"
    told = visits.done(ten, "overrun", "corner", {"minutes": 50})
    assert [late["booking_id"] for late in told["unkept"]] == [eleven["booking_id"]]

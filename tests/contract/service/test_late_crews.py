"""Crews that are late for what engages them elsewhere: what is offered and booked then can be kept, and no less is."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from sqlalchemy import select

from service.bookings.days import day_of
from service.store.visit_tables import shifts
from tests.contract.service.desk import LNG, Desk
from tests.contract.service.talking import problem
from tests.contract.service.visiting import At, Visits
from tests.crew_walk import late_stops

EXACT = {"window_minutes": 0, "lead_minutes": 0, "minutes": 60}
WIDE = {"window_minutes": 120, "lead_minutes": 0, "minutes": 120}
SPLIT = {"hours": "Mo-Su 08:00-12:00,13:00-20:00"}
AN_HOUR_OFF, NEAR = 0.12, 0.03  # degrees of latitude


@pytest.fixture
def visits(desk: Desk) -> Visits:
    return Visits(desk)


@pytest.fixture
def at(visits: Visits) -> At:
    return visits.times()


def _engaged(visits: Visits, point: str, starts_at: str, ends_at: str, north: float) -> None:
    place = {"lat": visits.desk.lat + north, "lng": LNG}
    body = {"starts_at": starts_at, "ends_at": ends_at, "place": place}
    visits.put(f"/v1/points/{point}/crews/anna/busy/elsewhere", body)


def _overrun(visits: Visits, point: str, at: At, until: str) -> None:
    """Let a visit that begins at eleven last into the next shift."""
    booking = visits.brought(visits.book(point, at(11)), "confirm", "depart", "start")
    visits.desk.pass_until(at(11, 50))
    minutes = (dt.datetime.fromisoformat(until) - visits.desk.now) // dt.timedelta(minutes=1)
    assert visits.done(booking, "overrun", "corner", {"minutes": minutes})["unkept"] == []


def _begins(visits: Visits, point: str, at: str, north: float = 0.0) -> bool:
    """Tell whether a visit can be booked and kept at a time, somewhere; it is given up again."""
    answer = visits.ask(visits.body(point, at) | {"lat": visits.desk.lat + north})
    if answer.is_success:
        assert _late(visits, point) == []
        visits.done(answer.json(), "cancel", "app", {})
    else:
        assert problem(answer) == (409, "sold-out")
    return answer.is_success


def _late(visits: Visits, point: str) -> list[str]:
    """Return the stops of stored shifts that cannot be kept."""
    rows = visits.desk.rows(select(shifts).where(shifts.c.point_id == point))
    services = visits.desk.registry.services
    travel = services.store.read_now(lambda connection: services.bookings.rosters.travel(connection, point))
    return [name for day in map(day_of, rows) for name in late_stops(day, travel)]


def test_engagement_that_begins_late__ends_when_it_ends_though_its_crew_is_not_back(visits: Visits, at: At) -> None:
    point = visits.provider("anna", service=EXACT, crew=SPLIT)
    _engaged(visits, point, at(13, 30), at(16), AN_HOUR_OFF)
    visits.brought(visits.book(point, at(18)), "confirm")
    _overrun(visits, point, at, until=at(13, 45))
    assert [_begins(visits, point, at(*time)) for time in ((16, 30), (17, 0))] == [False, True]


def test_engagement__leaves_free_what_is_behind_it_though_its_crew_is_not_back(visits: Visits, at: At) -> None:
    point = visits.provider("anna", service=EXACT, crew=SPLIT)
    _engaged(visits, point, at(13, 30), at(16), NEAR)
    _overrun(visits, point, at, until=at(13, 45))
    assert [_begins(visits, point, at(*time)) for time in ((16, 0), (16, 30))] == [False, True]


def test_crew_that_never_came_to_an_engagement__has_the_way_there_before_it(visits: Visits, at: At) -> None:
    point = visits.provider("anna", service=EXACT, crew=SPLIT)
    _engaged(visits, point, at(12), at(13, 30), 0.06)
    assert _begins(visits, point, at(13, 30), north=0.06)
    _overrun(visits, point, at, until=at(14))
    assert [_begins(visits, point, at(*time), north=0.06) for time in ((14, 0), (14, 30))] == [False, True]


def test_crew_that_will_miss_an_engagement__is_offered_nothing_that_it_has_no_time_for(visits: Visits, at: At) -> None:
    point = visits.provider("anna", service=WIDE, crew=SPLIT)
    _engaged(visits, point, at(13, 30), at(14), AN_HOUR_OFF)
    visits.brought(visits.book(point, at(10)), "confirm")
    visits.service(point, **EXACT)
    visits.desk.pass_until(at(11, 45))
    times = [(14, 0), (14, 30), (15, 0), (15, 30), (16, 0)]
    told = {dt.datetime.fromisoformat(one) for one in visits.starts(point, from_day=at(0)[:10], days=1)}
    can = [_begins(visits, point, at(*time)) for time in times]
    assert can == [dt.datetime.fromisoformat(at(*time)) in told for time in times]
    assert (can[0], can[-1]) == (False, True)
    assert visits.slots(point, "corner", from_day=at(0)[:10], days=1)["days"]


def test_visit_that_is_set_out_to__comes_not_before_another_where_an_engagement_would_be_missed(
    visits: Visits, at: At
) -> None:
    point = visits.provider("anna", service=WIDE | {"minutes": 30}, crew={"hours": "Mo-Su 08:00-18:00"})
    _engaged(visits, point, at(9, 35), at(9, 45), 0.035)
    first, second = (
        visits.brought(visits.ask(visits.body(point, at(8)) | {"lat": visits.desk.lat + north}).json(), "confirm")
        for north in (0.0, 0.035)
    )
    visits.desk.pass_until(at(8))
    visits.done(second, "depart", "corner")
    (day,) = (day_of(row) for row in visits.desk.rows(select(shifts).where(shifts.c.point_id == point)))
    assert [stop.stop_id for stop in day.stops[:2]] == [first["booking_id"], second["booking_id"]]
    assert day.stops[2].place is not None


def test_visit_that_is_begun_before_a_shift__leaves_the_engagement_at_its_beginning_where_it_is(
    visits: Visits, at: At
) -> None:
    point = visits.provider("anna", service=EXACT, crew={"hours": "Mo-Su 08:00-18:00"})
    _engaged(visits, point, at(8), at(9), NEAR)
    booking = visits.brought(visits.book(point, at(10)), "confirm")
    visits.desk.pass_until(at(5))
    visits.done(booking, "depart", "corner")
    visits.done(booking, "start", "corner", {"code": visits.read(booking)["start_code"]})
    assert [_begins(visits, point, at(*time)) for time in ((6, 30), (7, 30), (9, 30))] == [False, False, True]


def test_visit_that_is_begun_during_an_engagement__has_the_way_back_there_behind_it(visits: Visits, at: At) -> None:
    point = visits.provider("anna", service=EXACT | {"minutes": 30}, crew={"hours": "Mo-Su 08:00-18:00"})
    _engaged(visits, point, at(8), at(9, 30), 0.07)
    booking = visits.brought(visits.book(point, at(11)), "confirm")
    visits.desk.pass_until(at(8, 35))
    visits.done(booking, "depart", "corner")
    visits.done(booking, "start", "corner", {"code": visits.read(booking)["start_code"]})
    assert [_begins(visits, point, at(*time), north=0.07) for time in ((9, 30), (10, 30))] == [False, True]


def test_crew_that_is_at_work_again__was_back_though_nobody_said_so(visits: Visits, at: At) -> None:
    point = visits.provider("anna", service=WIDE, crew=SPLIT)
    visits.brought(visits.book(point, at(10)), "confirm")
    visits.service(point, **EXACT)
    second: dict[str, Any] = visits.brought(visits.book(point, at(13)), "confirm")
    visits.desk.pass_until(at(13))
    visits.done(second, "depart", "corner")
    visits.done(second, "start", "corner", {"code": visits.read(second)["start_code"]})
    visits.desk.pass_until(at(13, 2))
    proof = {"end_code": visits.read(second)["end_code"], "written_contract": "A-7"}
    visits.done(second, "finish", "corner", {"proof": proof})
    assert _begins(visits, point, at(13, 30))

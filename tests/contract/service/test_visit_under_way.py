"""A visit that lasts into its crew's next shift keeps the crew from it, and no longer than it lasts."""

from __future__ import annotations

import datetime as dt
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import select

from engine.crew_days import Stop
from service.bookings.days import day_of
from service.clock import to_us
from service.store.visit_tables import shifts
from tests.contract.service.desk import LNG, Desk
from tests.contract.service.talking import problem
from tests.contract.service.visiting import CREW, OFFER, At, Visits

EXACT = {"window_minutes": 0, "lead_minutes": 0, "minutes": 60}
WIDE = {"window_minutes": 120, "lead_minutes": 0, "minutes": 120}
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
    return visits.times()


def _begun(visits: Visits, point: str, starts_at: str) -> dict[str, Any]:
    return visits.brought(visits.book(point, starts_at), "confirm", "depart", "start")


def _can_be_booked(visits: Visits, point: str, at: str, **where: float) -> bool:
    """Tell whether a visit can be booked, which is what slots say; at the usual place or another one."""
    instant = dt.datetime.fromisoformat(at)
    told = visits.starts(point, from_day=instant.date().isoformat(), days=1, **where)
    is_told = instant in map(dt.datetime.fromisoformat, told)
    answer = visits.ask(visits.body(point, at, **where))
    if answer.is_success:
        visits.done(answer.json(), "cancel", "app", {})
    else:
        assert problem(answer) == (409, "sold-out")
    assert answer.is_success == is_told
    return is_told


def _sheet(visits: Visits, point: str, at: str) -> list[list[tuple[str, str, str]]]:
    """Return what the crew does in each shift of a day: the kind of each stop, when it starts and ends, by the clock."""
    answer = visits.desk.send("GET", f"/v1/points/{point}/crews/anna/day", "corner", params={"date": at[:10]})
    zone = dt.datetime.fromisoformat(at).tzinfo

    def wall(told: str) -> str:
        return f"{dt.datetime.fromisoformat(told).astimezone(zone):%H:%M}"

    return [
        [(stop["kind"], wall(stop["starts_at"]), wall(stop["ends_at"])) for stop in shift["stops"]]
        for shift in answer.json()["shifts"]
    ]


def _confirmed(visits: Visits, point: str, *starts: str) -> list[dict[str, Any]]:
    return [visits.brought(visits.book(point, at), "confirm") for at in starts]


def _begin(visits: Visits, booking: dict[str, Any], at: str) -> None:
    """Let a visit begin at a time, however late."""
    visits.done(booking, "depart", "corner")
    visits.desk.pass_until(at)
    visits.done(booking, "start", "corner", {"code": visits.read(booking)["start_code"]})


def _finish(visits: Visits, booking: dict[str, Any], at: str) -> None:
    visits.desk.pass_until(at)
    proof = {"end_code": visits.read(booking)["end_code"], "written_contract": "A-7"}
    visits.done(booking, "finish", "corner", {"proof": proof})


def _overrun(visits: Visits, booking: dict[str, Any], at: str, minutes: int) -> list[str]:
    """Let a visit take longer at a time; return those that nobody can make then."""
    visits.desk.pass_until(at)
    return [one["booking_id"] for one in visits.done(booking, "overrun", "corner", {"minutes": minutes})["unkept"]]


def _put_hours(visits: Visits, point: str, hours: str) -> None:
    visits.put(f"/v1/points/{point}/crews/anna", {**CREW, "hours": hours}, open_bookings="replan")


def test_overrun__into_the_next_shift_hands_on_what_comes_late_there(visits: Visits, point: str, at: At) -> None:
    two, four = (visits.brought(visits.book(point, at(hour)), "confirm") for hour in (13, 16))
    ten = _begun(visits, point, at(10))
    visits.desk.pass_until(at(11, 50))
    told = visits.done(ten, "overrun", "corner", {"minutes": 100})
    assert [one["booking_id"] for one in told["unkept"]] == [two["booking_id"]]
    assert told["moved"] == []
    assert visits.read(two)["state"] == "unplaced"
    assert visits.planned(point)["anna"][-1] == four["booking_id"]
    assert _sheet(visits, point, at(13))[1] == [("busy", "13:00", "13:30"), ("visit", "16:00", "17:00")]


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
    assert [stop for shift in _sheet(visits, point, at(13)) for stop in shift if stop[0] == "busy"] == []


def test_overrun__ends_no_visit_before_the_time_that_it_was_booked_for(visits: Visits, point: str, at: At) -> None:
    visits.service(point, **EXACT | {"minutes": 120})
    eight = _begun(visits, point, at(8))
    visits.desk.pass_until(at(8, 10))
    assert visits.done(eight, "overrun", "corner", {"minutes": 30}) == {"unkept": [], "moved": []}
    assert _sheet(visits, point, at(8))[0] == [("visit", "08:00", "10:00")]
    visits.done(eight, "overrun", "corner", {"minutes": 170})
    visits.done(eight, "overrun", "corner", {"minutes": 140})  # no, less
    assert _sheet(visits, point, at(8))[0] == [("visit", "08:00", "10:30")]


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


def test_visit_that_is_late_by_another__stays_in_its_shift_and_frees_the_next_one_when_it_is_over(
    visits: Visits, point: str, at: At
) -> None:
    visits.service(point, **EXACT | {"minutes": 120})
    (eight,) = _confirmed(visits, point, at(8))
    visits.service(point, **EXACT | {"minutes": 90, "step_minutes": 30})
    ten, afternoon = _confirmed(visits, point, at(10, 30), at(14))
    _begin(visits, eight, at(10))
    _put_hours(visits, point, "Mo-Su 08:00-12:00,13:00-18:30")  # what has nothing to do with it
    assert _sheet(visits, point, at(8))[0] == [("visit", "10:00", "12:00"), ("visit", "12:00", "13:30")]
    _finish(visits, eight, at(11, 59))
    _begin(visits, ten, at(12))
    assert _overrun(visits, ten, at(12, 30), 60) == []
    assert visits.read(afternoon)["state"] == "confirmed"
    visits.service(point, **EXACT | {"step_minutes": 30})
    assert not _can_be_booked(visits, point, at(13))
    _finish(visits, ten, at(12, 50))
    assert _can_be_booked(visits, point, at(13))


def test_overrun__gives_a_visit_to_its_own_crews_next_shift_where_its_window_reaches_there(
    visits: Visits, point: str, at: At
) -> None:
    visits.service(point, **EXACT | {"window_minutes": 240})
    (eight,) = _confirmed(visits, point, at(8))
    (eleven,) = _confirmed(visits, point, at(11))
    _begin(visits, eight, at(8))
    visits.desk.pass_until(at(11))
    told = visits.done(eight, "overrun", "corner", {"minutes": 150})
    assert [one["booking_id"] for one in told["moved"]] == [eleven["booking_id"]]
    assert _sheet(visits, point, at(8))[1] == [("busy", "13:00", "13:30"), ("visit", "13:30", "14:30")]


@pytest.mark.parametrize("hours", ["08:00-12:00,12:30-18:00", "07:00-12:00,13:30-18:00", "08:00-18:00"])
def test_hours_that_change_while_a_visit_runs_over__keep_its_crew_as_long_and_no_longer(
    visits: Visits, point: str, at: At, hours: str
) -> None:
    (four,) = _confirmed(visits, point, at(16))
    ten = _begun(visits, point, at(10))
    assert _overrun(visits, ten, at(11, 50), 100) == []
    _put_hours(visits, point, f"Mo-Su {hours}")
    assert not _can_be_booked(visits, point, at(13))
    assert _can_be_booked(visits, point, at(14))
    _finish(visits, ten, at(13, 30))
    for hour, is_free in ((14, True), (15, True), (16, False), (17, True)):
        assert _can_be_booked(visits, point, at(hour)) == is_free
    assert visits.read(four)["state"] == "confirmed"


def test_break_that_can_wait__is_taken_behind_a_visit_that_ran_over(visits: Visits, at: At) -> None:
    rest = {"earliest": "12:30", "latest": "14:30", "minutes": 30}
    point = visits.provider("anna", service=EXACT | {"minutes": 30}, crew=SPLIT | {"breaks": [rest]})
    ten = _begun(visits, point, at(10))
    _overrun(visits, ten, at(11, 50), 100)
    for hour, is_free in ((13, False), (14, True), (15, True), (17, True)):
        assert _can_be_booked(visits, point, at(hour)) == is_free
    (four,) = _confirmed(visits, point, at(16))
    assert [stop[0] for stop in _sheet(visits, point, at(13))[1]] == ["busy", "break", "visit"]
    _finish(visits, ten, at(12))
    assert _can_be_booked(visits, point, at(13))
    assert visits.read(four)["state"] == "confirmed"


def test_overrun__says_who_is_late_in_the_next_shift_by_a_late_start(visits: Visits, point: str, at: At) -> None:
    visits.service(point, **EXACT | {"minutes": 120})
    (thirteen,) = _confirmed(visits, point, at(13))
    (ten,) = _confirmed(visits, point, at(10))
    _begin(visits, ten, at(11, 30))
    assert visits.read(thirteen)["state"] == "confirmed"
    assert _overrun(visits, ten, at(11, 40), 105) == [thirteen["booking_id"]]


def test_visit_that_ends_sooner__lets_the_next_one_begin_when_it_was_promised(
    visits: Visits, point: str, at: At
) -> None:
    visits.service(point, **EXACT | {"step_minutes": 30})
    (ten,) = _confirmed(visits, point, at(10))
    (eleven,) = _confirmed(visits, point, at(11))
    _begin(visits, ten, at(10, 40))
    _finish(visits, ten, at(10, 45))
    assert visits.read(eleven)["state"] == "confirmed"
    assert _sheet(visits, point, at(8))[0][1] == ("visit", "11:00", "12:00")
    assert not _can_be_booked(visits, point, at(11))


def test_point_without_a_clock__lets_what_has_begun_go_on(visits: Visits, point: str, at: At) -> None:
    ten = _begun(visits, point, at(10))
    found = visits.desk.send("GET", f"/v1/points/{point}", "corner")
    body = {name: found.json()[name] for name in ("kind", "name")} | {"lat": 0.0, "lng": -160.0}
    body["offers"] = [{"offer": OFFER, "area": {"radius_m": 100}}]
    answer = visits.desk.send(
        "PUT", f"/v1/points/{point}", "corner", json=body, headers={"If-Match": found.headers["ETag"]}
    )
    assert (answer.status_code, answer.json()["timezone"]) == (200, None)
    assert _overrun(visits, ten, at(10, 30), 60) == []
    _finish(visits, ten, at(10, 40))


def test_engagement_at_the_beginning_of_a_shift__goes_on_behind_a_visit_that_lasts_into_it(
    visits: Visits, point: str, at: At
) -> None:
    busy = {"starts_at": at(13), "ends_at": at(14)}
    visits.put(f"/v1/points/{point}/crews/anna/busy/dentist", busy)
    ten = _begun(visits, point, at(10))
    _overrun(visits, ten, at(11, 50), 100)
    for hour, is_free in ((13, False), (14, True)):
        assert _can_be_booked(visits, point, at(hour)) == is_free
    (four,) = _confirmed(visits, point, at(16))
    assert _sheet(visits, point, at(13))[1][:2] == [("busy", "13:00", "13:30"), ("busy", "13:30", "14:00")]
    _overrun(visits, ten, at(11, 55), 125 + 30)
    assert _sheet(visits, point, at(13))[1][0] == ("busy", "13:00", "14:30")
    _finish(visits, ten, at(12))
    assert _sheet(visits, point, at(13))[1] == [("busy", "13:00", "14:00"), ("visit", "16:00", "17:00")]
    assert visits.read(four)["state"] == "confirmed"


def _stands(visits: Visits, point: str) -> list[str]:
    """Return the names of all visits that stand in the shifts of a point."""
    return sorted(name for names in visits.planned(point).values() for name in names if name.startswith("vis_"))


@pytest.mark.parametrize("is_late", [True, False])
def test_two_visits_under_way_in_two_shifts__keep_their_crew_from_the_third_as_long_as_the_longer(
    visits: Visits, at: At, is_late: bool
) -> None:
    crew = {"hours": "Mo-Su 08:00-10:00,10:05-12:00,13:00-18:00"}
    point = visits.provider("anna", service=EXACT | {"step_minutes": 5}, crew=crew)
    eight, ten, four = _confirmed(visits, point, at(8), at(10, 5), at(16))
    _begin(visits, eight, at(9, 10) if is_late else at(8))
    _begin(visits, ten, at(10, 6))
    _overrun(visits, eight, at(11), 180)
    _overrun(visits, ten, at(11, 10), 130)
    assert _sheet(visits, point, at(8))[2] == [("busy", "13:00", "14:00"), ("visit", "16:00", "17:00")]
    for hour, is_free in ((13, False), (14, True), (16, False), (17, True)):
        assert _can_be_booked(visits, point, at(hour)) == is_free
    assert _stands(visits, point) == sorted(one["booking_id"] for one in (eight, ten, four))


@pytest.mark.parametrize("zone", ["Asia/Bangkok", "Asia/Tokyo", "Europe/Berlin"])
def test_visit_under_way__leaves_tomorrow_as_it_was_where_the_clock_has_become_another(
    visits: Visits, zone: str, at: At
) -> None:
    point = visits.provider("anna", service=EXACT, crew={"hours": "Mo-Su 06:00-20:00"})
    ten, two, next_eight, next_nine = _confirmed(visits, point, at(10), at(14), at(32), at(33))
    visits.change_point(point, timezone=zone)
    _begin(visits, ten, at(10))
    assert _overrun(visits, ten, at(10, 30), 60) == []
    stops = [stop for day in (at(9), at(33)) for shift in _sheet(visits, point, day) for stop in shift]
    assert {("visit", "08:00", "09:00"), ("visit", "09:00", "10:00")} <= set(stops)
    assert _overrun(visits, ten, at(11), 181) == [two["booking_id"]]
    for one in (next_eight, next_nine):
        assert visits.read(one)["state"] == "confirmed"


def test_overrun__into_a_shift_that_hours_have_no_more_is_told_there_too(visits: Visits, point: str, at: At) -> None:
    ten, one = _confirmed(visits, point, at(10), at(13))
    _begin(visits, ten, at(10))
    visits.change_point(point, timezone="Europe/Berlin")
    assert _overrun(visits, ten, at(11, 50), 100) == [one["booking_id"]]


def test_illness__hands_a_late_visit_on_in_its_promised_window_alone(visits: Visits, point: str, at: At) -> None:
    visits.service(point, **EXACT | {"minutes": 120})
    (eight,) = _confirmed(visits, point, at(8))
    visits.service(point, **EXACT | {"minutes": 90, "step_minutes": 30})
    (ten,) = _confirmed(visits, point, at(10, 30))
    visits.crew(point, "ben", hours="Mo-Su 11:30-18:00")
    _begin(visits, eight, at(10))
    answer = visits.desk.send("POST", f"/v1/points/{point}/crews/anna:ill", "corner", json={"until": at(20)})
    assert [late["booking_id"] for late in answer.json()["unkept"]] == [ten["booking_id"]]
    assert visits.read(ten)["state"] == "unplaced"


def test_hours_that_begin_after_a_visit_did__leave_it_in_its_shift(visits: Visits, point: str, at: At) -> None:
    (four,) = _confirmed(visits, point, at(16))
    ten = _begun(visits, point, at(10))
    _overrun(visits, ten, at(11, 50), 100)
    _put_hours(visits, point, "Mo-Su 13:00-18:00")
    assert visits.read(four)["state"] == "confirmed"
    for hour, is_free in ((13, False), (14, True), (15, True)):
        assert _can_be_booked(visits, point, at(hour)) == is_free
    _finish(visits, ten, at(12, 20))
    assert _can_be_booked(visits, point, at(13))


@pytest.mark.parametrize(
    ("hours", "state", "free"),
    [("09:00-12:00", "unplaced", [10, 11]), ("09:00-18:00", "confirmed", [10, 11, 12, 13, 14, 15, 17])],
)
@pytest.mark.parametrize("is_over", [True, False])
def test_hours_that_begin_later_today__are_those_of_the_crew_once_what_it_has_begun_is_over(
    visits: Visits, at: At, hours: str, state: str, free: list[int], is_over: bool
) -> None:
    point = visits.provider("anna", service=EXACT)
    four, eight = _confirmed(visits, point, at(16), at(8))
    _begin(visits, eight, at(8, 30))
    if is_over:
        _finish(visits, eight, at(9, 30))
    visits.desk.pass_until(at(9, 40))
    _put_hours(visits, point, f"Mo-Su {hours}")
    assert visits.read(four)["state"] == state
    assert [hour for hour in range(10, 18) if _can_be_booked(visits, point, at(hour))] == free


@pytest.mark.parametrize("hour", [9, 10])
def test_hours_that_begin_later_today__need_no_second_word_where_all_is_kept(visits: Visits, at: At, hour: int) -> None:
    point = visits.provider("anna", service=EXACT)
    four, eight = _confirmed(visits, point, at(16), at(8))
    _begin(visits, eight, at(8, 30))
    visits.crew(point, "anna", hours=f"Mo-Su {hour:02}:00-18:00")
    assert visits.read(four)["state"] == "confirmed"
    assert _can_be_booked(visits, point, at(10))


def test_hours_that_begin_later_today__are_those_of_the_crew_though_nothing_else_is_promised(
    visits: Visits, at: At
) -> None:
    point = visits.provider("anna", service=EXACT)
    (eight,) = _confirmed(visits, point, at(8))
    _begin(visits, eight, at(8, 30))
    visits.crew(point, "anna", hours="Mo-Su 09:00-12:00")
    assert [hour for hour in range(10, 18) if _can_be_booked(visits, point, at(hour))] == [10, 11]


def test_overrun__of_a_long_night_leaves_the_next_one_its_hours_after_midnight(visits: Visits, at: At) -> None:
    point = visits.provider("anna", service=EXACT, crew={"hours": "Mo-Su 06:00-02:00"})
    one = _begun(visits, point, at(25))
    _overrun(visits, one, at(25, 30), 300)
    for hour, is_free in ((30, False), (31, True), (48, True), (49, True)):
        assert _can_be_booked(visits, point, at(hour)) == is_free


@pytest.mark.parametrize("way", ["cancel", "reschedule"])
def test_late_visit_that_is_taken_out__lets_its_shift_end_when_it_would(
    visits: Visits, point: str, at: At, way: str
) -> None:
    visits.service(point, **EXACT | {"minutes": 120})
    (eight,) = _confirmed(visits, point, at(8))
    visits.service(point, **EXACT | {"minutes": 90, "step_minutes": 30})
    (ten,) = _confirmed(visits, point, at(10, 30))
    visits.service(point, **EXACT | {"step_minutes": 30})
    (four,) = _confirmed(visits, point, at(16))
    _begin(visits, eight, at(10))
    _finish(visits, eight, at(11, 59))
    assert not _can_be_booked(visits, point, at(13))
    visits.done(ten, way, "app", {"starts_at": at(40)} if way == "reschedule" else {})
    assert not _can_be_booked(visits, point, at(12))  # the crew rests
    assert _can_be_booked(visits, point, at(13))
    assert _sheet(visits, point, at(13))[1] == [("visit", "16:00", "17:00")]
    assert visits.read(four)["state"] == "confirmed"


@pytest.mark.parametrize("begins", [(9, 30), (8, 0), (10, 30)])
def test_engagement_over_a_visit_that_has_begun__does_not_push_it(
    visits: Visits, point: str, at: At, begins: tuple[int, int]
) -> None:
    ten, _ = _confirmed(visits, point, at(10), at(13, 30))
    _begin(visits, ten, at(10))
    busy = {"starts_at": at(*begins), "ends_at": at(11, 30)}
    visits.put(f"/v1/points/{point}/crews/anna/busy/errand", busy, open_bookings="replan")
    assert _sheet(visits, point, at(10)) == [
        [("visit", "10:00", "11:00"), ("busy", "11:00", "11:30")],
        [("visit", "13:30", "14:30")],
    ]


def _reordered(visits: Visits, point: str, at: At) -> tuple[dict[str, Any], dict[str, Any]]:
    """Book two visits, the first of which in time stands behind the second in their crew's day; return them so."""
    visits.service(point, **EXACT | {"minutes": 120})
    (gone,) = _confirmed(visits, point, at(9))
    visits.service(point, **EXACT | {"window_minutes": 60})
    (eleven,) = _confirmed(visits, point, at(11))
    visits.service(point, **EXACT | {"minutes": 120, "window_minutes": 240})
    (nine,) = _confirmed(visits, point, at(9))
    visits.done(gone, "cancel", "app", {})
    visits.service(point, **EXACT)
    assert visits.planned(point)["anna"] == [eleven["booking_id"], nine["booking_id"]]
    return nine, eleven


def test_visit_that_begins_before_those_planned_before_it__comes_first(visits: Visits, at: At) -> None:
    point = visits.provider("anna")
    nine, eleven = _reordered(visits, point, at)
    _begin(visits, nine, at(9))
    assert visits.planned(point)["anna"] == [nine["booking_id"], eleven["booking_id"]]
    visits.desk.pass_until(at(9, 5))
    for hour, is_free in ((10, False), (11, True)):
        assert _can_be_booked(visits, point, at(hour)) == is_free


def test_visit_that_has_not_begun_by_now__keeps_its_crew_for_as_long_from_now_on(visits: Visits, at: At) -> None:
    point = visits.provider("anna", service={"minutes": 240, "window_minutes": 120})
    nine = visits.brought(visits.book(point, at(9)), "confirm", "depart")
    visits.service(point, minutes=60, window_minutes=30)
    visits.desk.pass_until(at(10, 55))
    for starts_at, is_free in ((at(13), False), (at(14), False), (at(14, 30), True)):
        assert _can_be_booked(visits, point, starts_at) == is_free
    visits.done(nine, "start", "corner", {"code": visits.read(nine)["start_code"]})
    assert not _can_be_booked(visits, point, at(14))
    assert _can_be_booked(visits, point, at(14, 30))


def test_visit_that_nobody_has_set_out_to__keeps_its_crew_as_long_as_if_that_set_out_now(
    visits: Visits, at: At
) -> None:
    point = visits.provider("anna", service=EXACT | {"window_minutes": 60})
    away = {"lat": visits.desk.lat + 0.03}  # more than ten minutes, as visits are made
    visits.desk.pass_until(at(8, 55))
    nine = visits.brought(visits.book(point, at(9), **away), "confirm")
    visits.service(point, **EXACT)
    assert [_can_be_booked(visits, point, one, **away) for one in (at(10), at(10, 30))] == [False, True]
    visits.desk.pass_until(at(9, 25))
    assert not _can_be_booked(visits, point, at(10, 30), **away)
    visits.done(nine, "depart", "corner")
    assert _can_be_booked(visits, point, at(10, 30), **away)


@pytest.mark.parametrize(("crew", "begins", "follows"), [(SPLIT, 10, 13), ({"hours": "24/7"}, 22, 24)])
def test_visit_that_has_not_begun_by_now__keeps_its_crew_from_the_next_shift_until_it_can_be_back(
    visits: Visits, at: At, crew: dict[str, Any], begins: int, follows: int
) -> None:
    point = visits.provider("anna", service=WIDE, crew=crew)
    (late,) = _confirmed(visits, point, at(begins))
    visits.service(point, **EXACT)
    free = [at(follows + half // 2, 30 * (half % 2)) for half in range(6)]
    since = dt.datetime.fromisoformat(at(begins))
    for minutes in (0, 60, 75, 105):  # it takes two hours, and can begin up to two hours later
        visits.desk.pass_until(since.isoformat(), 60 * minutes)
        back = since + dt.timedelta(minutes=minutes + 120)
        assert [_can_be_booked(visits, point, one) for one in free] == [
            dt.datetime.fromisoformat(one) >= back for one in free
        ]
    (other,) = _confirmed(visits, point, free[4])
    visits.done(late, "cancel", "app", {})
    assert [_can_be_booked(visits, point, one) for one in free[:3]] == [True] * 3  # nothing of it was written
    assert visits.read(other)["state"] == "confirmed"


def test_visit_that_has_not_begun_by_now__is_handed_nothing_on_that_its_crew_is_too_late_for(
    visits: Visits, at: At
) -> None:
    point = visits.provider("anna", service=WIDE, crew=SPLIT)
    _confirmed(visits, point, at(10))
    visits.service(point, **EXACT)
    visits.crew(point, "bert", hours="Mo-Su 13:00-18:00")
    visits.crew(point, "anna", **SPLIT, paused=True)
    soon, later = _confirmed(visits, point, at(13), at(15))
    visits.crew(point, "anna", **SPLIT)
    visits.desk.pass_until(at(11, 30))  # she is back at half past one
    path = f"/v1/points/{point}/crews/bert:ill"
    told = visits.desk.send("POST", path, "corner", json={"until": at(20)}).json()
    assert [one["booking_id"] for one in told["unkept"]] == [soon["booking_id"]]
    assert [one["booking_id"] for one in told["moved"]] == [later["booking_id"]]
    (_, afternoon) = _sheet(visits, point, at(10))
    assert afternoon == [("visit", "15:00", "16:00")]


def test_visit_that_is_set_out_to__is_the_next_one_and_nothing_is_put_before_it(visits: Visits, at: At) -> None:
    point = visits.provider("anna")
    nine, eleven = _reordered(visits, point, at)
    visits.desk.pass_until(at(8, 30))
    assert _can_be_booked(visits, point, at(10))
    visits.done(nine, "depart", "corner")
    assert visits.planned(point)["anna"] == [nine["booking_id"], eleven["booking_id"]]
    for hour, is_free in ((9, False), (10, False), (11, True)):
        assert _can_be_booked(visits, point, at(hour)) == is_free
    visits.done(nine, "cancel", "corner", {"reason": "other"})
    assert _can_be_booked(visits, point, at(10))


def test_visit_that_is_set_out_to__is_begun_before_another_that_would_have_been_put_before_it(
    visits: Visits, at: At
) -> None:
    point = visits.provider("anna", service={"minutes": 240, "window_minutes": 240})
    (nine,) = _confirmed(visits, point, at(9))
    visits.service(point, minutes=60, window_minutes=60)
    visits.desk.pass_until(at(8, 50))
    assert _can_be_booked(visits, point, at(11))
    visits.done(nine, "depart", "corner")
    for hour, is_free in ((11, False), (13, True)):
        assert _can_be_booked(visits, point, at(hour)) == is_free


def test_day_that_was_written_before_departures_were__is_read() -> None:
    stops = '[["vis_1", [1.0, 2.0], 60, 0, 0], ["break 1", null, 60, 0, 9]]'
    day = f'{{"start": [1.0, 2.0], "end": [1.0, 2.0], "stops": {stops}}}'
    row: Any = SimpleNamespace(crew_id="anna", starts_at=0, ends_at=36_000_000_000, day=day)
    assert day_of(row).stops == (Stop("vis_1", (1.0, 2.0), 60, 0, 0), Stop("break 1", None, 60, 0, 9))


def test_visit_that_is_set_out_to_long_before__does_not_come_before_what_was_promised(visits: Visits, at: At) -> None:
    point = visits.provider("anna", service=EXACT)
    nine, two = _confirmed(visits, point, at(9), at(14))
    visits.desk.pass_until(at(8, 30))
    visits.done(two, "depart", "corner")
    assert visits.planned(point)["anna"] == [nine["booking_id"], two["booking_id"]]
    for hour, is_free in ((11, False), (15, True)):
        assert _can_be_booked(visits, point, at(hour)) == is_free


@pytest.mark.parametrize(
    ("begins", "order"),
    [((11, 0), ["rest", "busy", "one", "eight", "lunch"]), ((9, 20), ["rest", "one", "eight", "busy", "lunch"])],
)
def test_visit_that_begins_out_of_turn__leaves_before_it_what_is_over(
    visits: Visits, at: At, begins: tuple[int, int], order: list[str]
) -> None:
    rest = {"earliest": "09:00", "latest": "09:15", "minutes": 15}
    lunch = {"earliest": "12:00", "latest": "14:00", "minutes": 30}
    point = visits.provider("anna", service=EXACT | {"window_minutes": 480}, crew={"breaks": [rest, lunch]})
    visits.put(f"/v1/points/{point}/crews/anna/busy/call", {"starts_at": at(9, 30), "ends_at": at(10)})
    eight, one = _confirmed(visits, point, at(8), at(8))
    known = {eight["booking_id"]: "eight", one["booking_id"]: "one"}
    known |= {"break 1": "rest", "break 2": "lunch", "busy call": "busy"}
    assert [known[name] for name in visits.planned(point)["anna"]] == ["eight", "rest", "busy", "one", "lunch"]
    _begin(visits, one, at(*begins))
    assert [known[name] for name in visits.planned(point)["anna"]] == order


TEN_MINUTES = EXACT | {"step_minutes": 10}


def _engaged(visits: Visits, point: str, at: At, begins: int, ends: int) -> None:
    busy = {"starts_at": at(begins), "ends_at": at(ends)}
    visits.put(f"/v1/points/{point}/crews/anna/busy/dentist", busy)


def _sheet_at(visits: Visits, point: str, at: At) -> list[tuple[str, str, str]]:
    """Return what the crew does in the first shift of the day that is longer than no time."""
    return [stop for stop in _sheet(visits, point, at(12))[0] if stop[1] != stop[2]]


def test_illness_behind_a_visit_that_ends_sooner__lasts_as_long_as_it_does(visits: Visits, at: At) -> None:
    point = visits.provider("anna", service=TEN_MINUTES, crew={"hours": "Mo-Su 08:00-20:00"})
    ten = _begun(visits, point, at(10))
    visits.desk.pass_until(at(10, 5))
    visits.desk.send("POST", f"/v1/points/{point}/crews/anna:ill", "corner", json={"until": at(18)})
    assert _sheet_at(visits, point, at) == [("visit", "10:00", "11:00"), ("busy", "11:00", "18:00")]
    _finish(visits, ten, at(10, 10))
    assert _sheet_at(visits, point, at) == [("visit", "10:00", "10:10"), ("busy", "10:10", "18:00")]
    assert not _can_be_booked(visits, point, at(17, 50))
    assert _can_be_booked(visits, point, at(18))


@pytest.mark.parametrize("way", ["finish", "cancel"])
def test_engagement_that_was_pushed__begins_when_it_can_and_ends_when_it_ends(visits: Visits, at: At, way: str) -> None:
    point = visits.provider("anna", service=TEN_MINUTES)
    ten, eleven = _confirmed(visits, point, at(10), at(11))
    _engaged(visits, point, at, 12, 14)
    _begin(visits, ten, at(10, 50))
    assert _sheet_at(visits, point, at)[1:] == [("visit", "11:50", "12:50"), ("busy", "12:50", "14:00")]
    if way == "finish":
        _finish(visits, ten, at(10, 55))
    else:
        visits.done(eleven, "cancel", "app", {})
    assert _sheet_at(visits, point, at)[-1] == ("busy", "12:00", "14:00")
    assert not _can_be_booked(visits, point, at(13, 50))


def test_break_that_waited_for_a_visit__is_taken_within_its_own_time_once_that_is_over(visits: Visits, at: At) -> None:
    rest = {"earliest": "12:00", "latest": "12:30", "minutes": 30}
    point = visits.provider("anna", service=TEN_MINUTES, crew={"breaks": [rest]})
    (eleven,) = _confirmed(visits, point, at(11))
    _begin(visits, eleven, at(11))
    _overrun(visits, eleven, at(11, 10), 180)
    assert _sheet_at(visits, point, at)[1] == ("break", "14:10", "14:40")
    _finish(visits, eleven, at(11, 30))
    for minute, is_free in ((0, False), (20, False), (30, True)):
        assert _can_be_booked(visits, point, at(12, minute)) == is_free


@pytest.mark.parametrize("way", ["cancel", "reschedule"])
def test_visit_that_was_late_by_another__is_as_promised_once_that_is_taken_out(
    visits: Visits, at: At, way: str
) -> None:
    point = visits.provider("anna", service=EXACT)
    nine, ten, eleven = _confirmed(visits, point, at(9), at(10), at(11))
    _begin(visits, nine, at(9, 50))
    assert _sheet_at(visits, point, at)[-1] == ("visit", "11:50", "12:50")
    visits.done(ten, way, "app", {"starts_at": at(15)} if way == "reschedule" else {})
    visits.service(point, **EXACT | {"minutes": 30, "step_minutes": 30})
    assert not _can_be_booked(visits, point, at(11))
    assert ("visit", "11:00", "12:00") in _sheet_at(visits, point, at)
    assert visits.read(eleven)["state"] == "confirmed"


def test_visit_that_was_late_by_a_break__is_as_promised_once_the_crew_has_none(visits: Visits, at: At) -> None:
    rest = {"earliest": "10:00", "latest": "12:00", "minutes": 30}
    point = visits.provider("anna", service=EXACT, crew={"breaks": [rest]})
    ten, _ = _confirmed(visits, point, at(10), at(12))
    _begin(visits, ten, at(10, 50))
    assert _sheet_at(visits, point, at)[-1] == ("visit", "12:20", "13:20")
    visits.put(f"/v1/points/{point}/crews/anna", CREW)
    visits.service(point, **TEN_MINUTES | {"minutes": 20})
    assert not _can_be_booked(visits, point, at(11, 50))
    assert _sheet_at(visits, point, at)[-1] == ("visit", "12:00", "13:00")


def test_overrun__hands_on_what_a_late_start_made_late_in_the_next_shift_though_that_ends_no_later(
    visits: Visits, point: str, at: At
) -> None:
    visits.service(point, **EXACT | {"minutes": 120})
    one, ten = _confirmed(visits, point, at(13), at(10))
    _begin(visits, ten, at(11, 30))
    assert visits.read(one)["state"] == "confirmed"
    assert _overrun(visits, ten, at(11, 45), 105) == [one["booking_id"]]


@pytest.mark.parametrize("begins", [(8, 5), (7, 40)])
def test_visit_that_begins_sooner_than_its_crew_could_come__lasts_from_then_on(
    visits: Visits, at: At, begins: tuple[int, int]
) -> None:
    point, far = visits.provider("anna", service=TEN_MINUTES), {"lat": visits.desk.lat + 0.05}
    nine, ten = (visits.brought(visits.book(point, starts_at, **far), "confirm") for starts_at in (at(9), at(10, 10)))
    _begin(visits, nine, at(*begins))
    begun = f"{begins[0]:02}:{begins[1]:02}"
    assert _sheet_at(visits, point, at)[0][1] == begun
    assert _overrun(visits, nine, at(9), 60) == []
    assert _sheet_at(visits, point, at)[0] == ("visit", begun, "10:00")
    assert visits.read(ten)["state"] == "confirmed"


def test_visit_that_begins_before_a_break__is_followed_by_it(visits: Visits, at: At) -> None:
    rest = {"earliest": "11:00", "latest": "12:30", "minutes": 30}
    point = visits.provider("anna", service=TEN_MINUTES, crew={"breaks": [rest]})
    ten, twelve, half_past_one = _confirmed(visits, point, at(10), at(12), at(13, 30))
    _begin(visits, ten, at(10))
    _finish(visits, ten, at(11))
    _begin(visits, twelve, at(11, 5))
    assert _sheet_at(visits, point, at)[1:3] == [("visit", "11:05", "12:05"), ("break", "12:05", "12:35")]
    assert _overrun(visits, twelve, at(12), 60) == []
    assert _sheet_at(visits, point, at)[2:] == [("break", "13:00", "13:30"), ("visit", "13:30", "14:30")]
    assert visits.read(half_past_one)["state"] == "confirmed"


def test_visit_that_begins_before_an_engagement_is_over__leaves_what_is_left_of_that_behind_it(
    visits: Visits, at: At
) -> None:
    point = visits.provider("anna", service=TEN_MINUTES)
    place = {"lat": visits.desk.lat + 0.05, "lng": LNG}
    busy = {"starts_at": at(10), "ends_at": at(12), "place": place}
    visits.put(f"/v1/points/{point}/crews/anna/busy/dentist", busy)
    one, two = _confirmed(visits, point, at(13), at(14, 10))
    _begin(visits, one, at(11, 30))
    assert _sheet_at(visits, point, at) == [("visit", "11:30", "12:30"), ("visit", "14:10", "15:10")]
    assert _overrun(visits, one, at(12), 120) == []
    assert visits.read(two)["state"] == "confirmed"


def test_engagement_that_a_crew_is_back_from_sooner__takes_it_until_it_ends(visits: Visits, at: At) -> None:
    point = visits.provider("anna", service=TEN_MINUTES)
    _engaged(visits, point, at, 10, 12)
    (one,) = _confirmed(visits, point, at(12))
    _begin(visits, one, at(11, 10))
    _finish(visits, one, at(11, 20))
    assert _sheet_at(visits, point, at) == [("visit", "11:10", "11:20"), ("busy", "11:20", "12:00")]
    assert not _can_be_booked(visits, point, at(11, 50))
    assert _can_be_booked(visits, point, at(12))


def test_visit_that_begins_while_another_is_not_finished__ends_that(visits: Visits, at: At) -> None:
    point = visits.provider("anna", service=TEN_MINUTES)
    ten, eleven, _ = _confirmed(visits, point, at(10), at(11), at(12))
    _begin(visits, ten, at(10))
    _begin(visits, eleven, at(10, 40))
    assert _sheet_at(visits, point, at)[:2] == [("visit", "10:00", "10:40"), ("visit", "10:40", "11:40")]
    assert _overrun(visits, eleven, at(11, 30), 30) == []
    _finish(visits, ten, at(11, 40))
    assert _sheet_at(visits, point, at)[0] == ("visit", "10:00", "10:40")


def test_visit_that_is_set_out_to_too_late__does_not_come_before_what_was_promised(visits: Visits, at: At) -> None:
    point = visits.provider("anna", service=EXACT | {"minutes": 240}, crew={"hours": "Mo-Su 08:00-22:00"})
    (gone,) = _confirmed(visits, point, at(10))
    visits.service(point, **EXACT)
    (two,) = _confirmed(visits, point, at(14))
    visits.service(point, **EXACT | {"minutes": 240, "window_minutes": 480})
    (wide,) = _confirmed(visits, point, at(9))
    visits.done(gone, "cancel", "app", {})
    visits.desk.pass_until(at(11))
    visits.done(wide, "depart", "corner")
    assert visits.planned(point)["anna"] == [two["booking_id"], wide["booking_id"]]


def test_visit_that_is_set_out_to__stays_before_another_that_is_set_out_to_later(visits: Visits, at: At) -> None:
    point = visits.provider("anna", service=EXACT | {"minutes": 120})
    (gone,) = _confirmed(visits, point, at(9))
    visits.service(point, **EXACT)
    eleven, two = _confirmed(visits, point, at(11), at(14))
    visits.service(point, **EXACT | {"minutes": 180, "window_minutes": 480})
    (wide,) = _confirmed(visits, point, at(8))
    visits.done(gone, "cancel", "app", {})
    for one in (two, wide):
        visits.done(one, "depart", "corner")
    assert visits.planned(point)["anna"] == [one["booking_id"] for one in (eleven, two, wide)]


def test_visit_that_was_late_in_the_next_shift__comes_before_an_engagement_again_once_its_crew_is_back(
    visits: Visits, point: str, at: At
) -> None:
    _engaged(visits, point, at, 14, 16)
    (one,) = _confirmed(visits, point, at(13))
    visits.service(point, **EXACT | {"minutes": 180})
    (nine,) = _confirmed(visits, point, at(9))
    _begin(visits, nine, at(11, 10))
    assert ("visit", "14:10", "15:10") in _sheet(visits, point, at(12))[1]
    _finish(visits, nine, at(11, 30))
    assert _sheet(visits, point, at(12))[1] == [("visit", "13:00", "14:00"), ("busy", "14:00", "16:00")]
    assert visits.read(one)["state"] == "confirmed"


@pytest.mark.parametrize("is_planned", [False, True])
@pytest.mark.parametrize(
    ("latest", "engaged", "told"),
    [
        ("13:30", [(11, 0, 12, 0), (12, 0, 13, 0)], [("busy", "11:00", "12:00"), ("busy", "12:00", "13:00"), ("break", "13:00", "13:30")]),
        ("13:30", [(11, 0, 12, 0), (12, 20, 13, 0)], [("busy", "11:00", "12:00"), ("busy", "12:20", "13:00"), ("break", "13:00", "13:30")]),
        ("13:30", [(11, 0, 12, 0), (12, 30, 13, 0)], [("busy", "11:00", "12:00"), ("break", "12:00", "12:30"), ("busy", "12:30", "13:00")]),
        ("12:45", [(11, 0, 12, 0), (12, 0, 13, 0)], [("busy", "11:00", "12:00"), ("busy", "12:00", "13:00")]),
    ],
)  # fmt: skip
def test_break__is_taken_in_no_engagement_of_two_that_follow_one_another(
    visits: Visits,
    at: At,
    latest: str,
    engaged: list[tuple[int, int, int, int]],
    told: list[tuple[str, str, str]],
    is_planned: bool,
) -> None:
    rest = {"earliest": "11:30", "latest": latest, "minutes": 30}
    point = visits.provider("anna", service=EXACT, crew={"breaks": [rest]})
    planned = _confirmed(visits, point, at(16)) if is_planned else []
    for number, (hour, minute, end_hour, end_minute) in enumerate(engaged):
        body = {"starts_at": at(hour, minute), "ends_at": at(end_hour, end_minute)}
        visits.put(f"/v1/points/{point}/crews/anna/busy/meeting-{number}", body)
    assert _sheet(visits, point, at(8)) == [[*told, *(("visit", "16:00", "17:00") for _ in planned)]]


@pytest.mark.parametrize("is_planned", [False, True])
@pytest.mark.parametrize(
    ("hours", "starts_at"), [("Mo-Su 08:00-12:00,13:00-18:00", (14,)), ("Mo-Su 08:00-18:00", (33,))]
)
def test_visit_that_begins_before_its_shift__does_so_in_the_one_that_goes_on(
    visits: Visits, at: At, hours: str, starts_at: tuple[int], is_planned: bool
) -> None:
    point = visits.provider("anna", service=EXACT, crew={"hours": hours})
    eight = _confirmed(visits, point, at(8)) if is_planned else []
    (two,) = _confirmed(visits, point, at(*starts_at))
    for one in eight:
        _begin(visits, one, at(8))
    _begin(visits, two, at(9, 40))
    assert [_can_be_booked(visits, point, at(hour)) for hour in (10, 11, *starts_at)] == [False, True, True]
    assert _sheet(visits, point, at(8))[0][-1] == ("visit", "09:40", "10:40")
    assert visits.row(two).shift_at == int(dt.datetime.fromisoformat(at(8)).timestamp()) * 1_000_000
    _finish(visits, two, at(9, 50))
    assert _can_be_booked(visits, point, at(10))


def test_visit_that_begins_before_its_shift__keeps_its_crew_from_it_until_it_is_over(
    visits: Visits, point: str, at: At
) -> None:
    two, four = _confirmed(visits, point, at(14), at(16))
    _begin(visits, two, at(11, 30))
    assert _overrun(visits, two, at(12), 70) == []
    assert [_can_be_booked(visits, point, at(hour)) for hour in (13, 14, 15)] == [False, True, True]
    assert _overrun(visits, two, at(13), 200) == [four["booking_id"]]


def _erase(visits: Visits, buyer: str) -> None:
    answer = visits.desk.send("POST", "/v1/buyers:erase", "app", json={"buyer": buyer})
    assert answer.json() == {"orders": 0, "bookings": 1, "open_bookings": 0}


def _free(visits: Visits, point: str, at: str, **place: float) -> list[str]:
    return visits.starts(point, from_day=at[:10], days=1, **place)


def test_customer_who_is_erased__leaves_the_day_of_a_crew_that_was_there_sooner_than_it_could_come(
    visits: Visits, at: At
) -> None:
    point, place = visits.provider("anna", service=EXACT | {"minutes": 30}), {"lat": visits.desk.lat + 0.065}
    eight = visits.brought(visits.book(point, at(9), buyer="one", **place), "confirm")
    _begin(visits, eight, at(8))
    _finish(visits, eight, at(8, 30))
    following = visits.book(point, _free(visits, point, at(8), **place)[0], buyer="two", **place)
    was = _free(visits, point, at(8), **place)
    _erase(visits, "one")
    assert _free(visits, point, at(8), **place) == was != []
    visits.done(following, "confirm", "app")
    _begin(visits, following, following["starts_at"])
    visits.brought(following, "finish", "pay")
    _erase(visits, "two")
    (row,) = visits.desk.rows(select(shifts).where(shifts.c.point_id == point))
    assert str(place["lat"]) not in row.day


def test_visit_that_begins_before_a_shift_that_comes_before_its_own__keeps_its_crew_from_that(
    visits: Visits, point: str, at: At
) -> None:
    (booking,) = _confirmed(visits, point, at(14))
    _begin(visits, booking, at(7, 30))
    assert not _can_be_booked(visits, point, at(8))
    assert _can_be_booked(visits, point, at(8, 30))
    assert _can_be_booked(visits, point, at(14))
    assert visits.row(booking).shift_at == to_us(dt.datetime.fromisoformat(at(8)))
    visits.brought(booking, "finish")
    assert _can_be_booked(visits, point, at(8))


def test_break_that_begins_at_one_moment_alone__is_left_out_where_its_crew_is_engaged_then(
    visits: Visits, at: At
) -> None:
    lunch = {"earliest": "12:00", "latest": "12:00", "minutes": 30}
    point = visits.provider("anna", service=EXACT, crew={"breaks": [lunch]})
    (one,) = _confirmed(visits, point, at(13))
    assert _sheet_at(visits, point, at)[0] == ("break", "12:00", "12:30")
    _engaged(visits, point, at, 11, 13)
    assert [kind for kind, *_ in _sheet_at(visits, point, at)] == ["busy", "visit"]
    assert visits.read(one)["state"] == "confirmed"

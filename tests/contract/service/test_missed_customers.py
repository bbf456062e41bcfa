"""A crew whose customer is not there goes on from his door: where it is then, and what it can still keep."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from tests.contract.service.desk import Desk
from tests.contract.service.talking import problem
from tests.contract.service.visiting import CLEAN, At, Visits

STARTED = ("confirm", "depart", "start")
EXACT = {"window_minutes": 0, "lead_minutes": 0, "step_minutes": 15}
WIDE = {"window_minutes": 120, "lead_minutes": 0, "minutes": 60}
WAIT_S = 20 * 60


@pytest.fixture
def visits(desk: Desk) -> Visits:
    return Visits(desk)


@pytest.fixture
def at(visits: Visits) -> At:
    """Give the times of the day on which a test's visits are."""
    return visits.times()


def _miss(visits: Visits, booking: dict[str, Any], at: str) -> None:
    visits.desk.pass_until(at)
    visits.done(booking, "absent", "corner", {"who": "customer"})


def _finish(visits: Visits, booking: dict[str, Any], at: str) -> None:
    visits.desk.pass_until(at)
    visits.brought(booking, "finish")


def _starts(visits: Visits, point: str, at: str, **query: Any) -> list[str]:
    """Return when windows of a day begin, by the clock."""
    zone = dt.datetime.fromisoformat(at).tzinfo
    told = visits.starts(point, from_day=at[:10], days=1, **query)
    return [f"{dt.datetime.fromisoformat(one).astimezone(zone):%H:%M}" for one in told]


def test_customer_who_is_not_there__lets_the_crew_go_on_from_his_door(visits: Visits) -> None:
    point_id = visits.provider("anna", service=EXACT)
    far = {"lat": visits.desk.lat + 0.06}  # 28 minutes
    date = visits.tomorrow(10)[:10]
    booking = visits.brought(visits.book(point_id, visits.tomorrow(10), **far), "confirm", "depart")
    over = dt.datetime.fromisoformat(booking["starts_at"]) + dt.timedelta(seconds=WAIT_S)
    visits.desk.pass_until(over.isoformat())
    visits.done(booking, "absent", "corner", {"who": "customer"})
    near, there = visits.starts(point_id)[0], visits.starts(point_id, **far)[0]
    assert dt.datetime.fromisoformat(near) >= over + dt.timedelta(minutes=28)
    assert dt.datetime.fromisoformat(there) <= over + dt.timedelta(minutes=15)
    (shift,) = visits.desk.send("GET", f"/v1/points/{point_id}/crews/anna/day", "corner", params={"date": date}).json()[
        "shifts"
    ]
    assert [(stop["booking_id"], stop["state"], stop["next"]) for stop in shift["stops"]] == [
        (booking["booking_id"], "customer_absent", [])
    ]
    assert visits.brought(visits.book(point_id, near), "confirm", "depart", "start")["state"] == "started"


@pytest.mark.parametrize("is_done", [False, True])
def test_customer_who_is_told_late_not_to_have_been_there__changes_nothing_that_came_later(
    visits: Visits, is_done: bool
) -> None:
    point_id = visits.provider("anna", service=EXACT)
    noon = visits.tomorrow(12)
    missed = visits.brought(visits.book(point_id, visits.tomorrow(10)), "confirm", "depart")
    visits.desk.pass_(60)
    later = visits.brought(visits.book(point_id, noon), *STARTED)
    if is_done:
        visits.desk.pass_(600)
        visits.brought(later, "finish")
    visits.desk.pass_(300)
    visits.done(missed, "absent", "corner", {"who": "customer"})
    assert visits.planned(point_id)["anna"] == [one["booking_id"] for one in ((missed, later) if is_done else (later,))]
    assert visits.read(missed, "corner")["crew_id"] == ("anna" if is_done else None)
    free = visits.desk.now if is_done else dt.datetime.fromisoformat(later["starts_at"]) + dt.timedelta(hours=2)
    assert dt.datetime.fromisoformat(visits.starts(point_id)[0]) == free


def test_break_that_was_over__is_not_due_again_behind_a_missed_customer(visits: Visits, at: At) -> None:
    rest = {"breaks": [{"earliest": "12:00", "latest": "13:00", "minutes": 60}]}
    point_id = visits.provider("anna", service=EXACT | {"minutes": 20}, crew=rest)
    missed = visits.brought(visits.book(point_id, at(14)), "confirm", "depart")
    longer, last = (visits.brought(visits.book(point_id, at(*when)), "confirm") for when in ((14, 30), (15,)))
    _miss(visits, missed, at(14, 20))
    visits.brought(longer, "depart", "start")
    visits.desk.pass_until(at(14, 48))
    assert visits.done(longer, "overrun", "corner", {"minutes": 5})["unkept"] == []
    assert visits.read(last)["state"] == "confirmed"


def test_crew_whose_hours_change__stays_at_the_door_of_a_missed_customer(visits: Visits, at: At) -> None:
    point_id, far = visits.provider("anna", service=EXACT | {"minutes": 60}), {"lat": visits.desk.lat + 0.06}
    visits.brought(visits.book(point_id, at(16)), "confirm")
    _miss(visits, visits.brought(visits.book(point_id, at(14), **far), "confirm", "depart"), at(14, 20))
    before = _starts(visits, point_id, at(14))
    assert before == ["15:00", "17:00"]
    visits.crew(point_id, "anna", hours="Mo-Su 07:00-18:00")
    assert _starts(visits, point_id, at(14)) == before
    assert problem(visits.ask(visits.body(point_id, at(14, 30)))) == (409, "sold-out")


def test_crew_that_was_late_from_its_first_shift__is_back_in_the_second_behind_a_missed_customer(
    visits: Visits, at: At
) -> None:
    split = {"hours": "Mo-Su 08:00-12:00,13:00-18:00"}
    point_id = visits.provider("anna", service=EXACT | {"minutes": 60}, crew=split)
    long = visits.brought(visits.book(point_id, at(10)), *STARTED)
    visits.desk.pass_until(at(11, 50))
    visits.done(long, "overrun", "corner", {"minutes": 100})
    missed, last = (visits.brought(visits.book(point_id, at(hour)), "confirm") for hour in (14, 16))
    _finish(visits, long, at(13, 30))
    visits.brought(missed, "depart")
    _miss(visits, missed, at(14, 30))
    assert _starts(visits, point_id, at(14)) == ["14:30", "14:45", "15:00", "17:00"]
    assert visits.done(last, "reschedule", "app", {"starts_at": at(17)})["state"] == "confirmed"


@pytest.mark.parametrize("is_first", [True, False])
def test_crew_that_did_another_visit_in_between__is_where_it_went_last(visits: Visits, at: At, is_first: bool) -> None:
    point_id, far = visits.provider("anna", service=WIDE), {"lat": visits.desk.lat + 0.06}
    visits.put(f"/v1/points/{point_id}/services/quick", CLEAN | EXACT | {"minutes": 30})
    missed = visits.brought(visits.book(point_id, at(9), **far), "confirm")
    other = visits.brought(visits.book(point_id, at(8, 30)), "confirm")
    visits.desk.pass_until(at(7, 50))
    for one in (other, missed) if is_first else (missed, other):
        visits.done(one, "depart", "corner")
        visits.desk.pass_until(at(7, 55))
    visits.desk.pass_until(at(9, 30))
    visits.done(other, "start", "corner", {"code": visits.read(other)["start_code"]})
    _finish(visits, other, at(10, 30))
    _miss(visits, missed, at(11, 15))
    near, there = (_starts(visits, point_id, at(11), service="quick", **place)[0] for place in ({}, far))
    assert (near, there) == (("11:45", "11:15") if is_first else ("11:15", "11:45"))


def test_crew_that_was_engaged_in_between__is_at_the_door_when_it_says_so(visits: Visits, at: At) -> None:
    point_id = visits.provider("anna", service=WIDE)
    visits.put(f"/v1/points/{point_id}/services/quick", CLEAN | EXACT | {"minutes": 30})
    place = {"lat": visits.desk.lat + 0.06, "lng": 121.4737}
    for name, starts_at, ends_at, where in (("early", at(8), at(10), None), ("away", at(10, 30), at(11), place)):
        told = {"starts_at": starts_at, "ends_at": ends_at} | ({} if where is None else {"place": where})
        visits.put(f"/v1/points/{point_id}/crews/anna/busy/{name}", told)
    missed = visits.brought(visits.book(point_id, at(10)), "confirm")
    visits.desk.pass_until(at(7, 50))
    visits.done(missed, "depart", "corner")
    _miss(visits, missed, at(11, 45))
    assert _starts(visits, point_id, at(11), service="quick")[0] == "11:45"
    assert _starts(visits, point_id, at(11), service="quick", lat=place["lat"])[0] == "12:15"


@pytest.mark.parametrize("days", [0, 1])
def test_visit_that_was_never_closed__is_not_where_the_crew_is_behind_a_later_door(
    visits: Visits, at: At, days: int
) -> None:
    point_id, far = visits.provider("anna", service=EXACT | {"minutes": 60}), {"lat": visits.desk.lat + 0.06}
    visits.brought(visits.book(point_id, at(10)), *STARTED)
    missed = visits.brought(visits.book(point_id, at(24 * days + 14), **far), "confirm")
    visits.desk.pass_until(at(24 * days + 13, 30))
    visits.done(missed, "depart", "corner")
    _miss(visits, missed, at(24 * days + 14, 20))
    assert _starts(visits, point_id, at(24 * days + 14))[0] == "15:00"
    assert _starts(visits, point_id, at(24 * days + 14), **far)[0] == "14:30"


def test_customer_missed_in_the_morning__takes_nothing_of_an_afternoon_that_has_begun(visits: Visits, at: At) -> None:
    split = {"hours": "Mo-Su 08:00-12:00,12:30-18:00"}
    point_id, far = (
        visits.provider("anna", service=EXACT | {"minutes": 15}, crew=split),
        {"lat": visits.desk.lat + 0.06},
    )
    visits.put(f"/v1/points/{point_id}/services/long", CLEAN | WIDE | {"window_minutes": 60, "step_minutes": 15})
    missed = visits.brought(visits.book(point_id, at(10, 15), service_id="long", **far), "confirm")
    done, last = (visits.brought(visits.book(point_id, at(*when)), "confirm") for when in ((12, 30), (16,)))
    visits.desk.pass_until(at(9, 45))
    visits.done(missed, "depart", "corner")
    visits.desk.pass_until(at(12, 10))
    visits.brought(done, "depart", "start")
    _finish(visits, done, at(12, 34))
    before = _starts(visits, point_id, at(12))
    visits.done(missed, "absent", "corner", {"who": "customer"})
    assert _starts(visits, point_id, at(12)) == before
    assert visits.done(last, "reschedule", "app", {"starts_at": at(17)})["state"] == "confirmed"


def test_customer_missed_before_the_shift_of_his_visit_begins__is_missed_in_the_one_that_goes_on(
    visits: Visits, at: At
) -> None:
    split = {"hours": "Mo-Su 08:00-12:00,12:30-18:00"}
    wide = WIDE | {"window_minutes": 180, "step_minutes": 15}
    point_id, far = visits.provider("anna", service=wide, crew=split), {"lat": visits.desk.lat + 0.06}
    visits.put(f"/v1/points/{point_id}/services/quick", CLEAN | EXACT | {"minutes": 30})
    early = [visits.book(point_id, at(*when), service_id="quick") for when in ((9,), (10, 15), (11, 15))]
    missed = visits.brought(visits.book(point_id, at(10), **far), "confirm")
    for one in early[:2]:
        visits.done(one, "cancel", "app", {})
    visits.desk.pass_until(at(9, 15))
    visits.done(missed, "depart", "corner")
    _miss(visits, missed, at(10, 21))
    assert "10:30" not in _starts(visits, point_id, at(11), service="quick")
    assert _starts(visits, point_id, at(11), service="quick", **far)[0] == "10:30"


def test_two_missed_customers__leave_the_crew_at_the_door_to_which_it_went_last(visits: Visits, at: At) -> None:
    point_id, far = visits.provider("anna", service=WIDE), {"lat": visits.desk.lat + 0.06}
    visits.put(f"/v1/points/{point_id}/services/quick", CLEAN | EXACT | {"minutes": 30})
    first, second = (visits.brought(visits.book(point_id, at(9), **place), "confirm") for place in (far, {}))
    for one, when in ((first, at(8, 20)), (second, at(9, 25))):
        visits.desk.pass_until(when)
        visits.done(one, "depart", "corner")
    for one, when in ((second, at(10, 20)), (first, at(10, 21))):
        _miss(visits, one, when)
    assert _starts(visits, point_id, at(11), service="quick")[0] == "10:30"
    assert _starts(visits, point_id, at(11), service="quick", **far)[0] == "11:00"

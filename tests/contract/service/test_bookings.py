"""A booked visit goes from a window that is held to one that is paid for, on both databases."""

from __future__ import annotations

import datetime as dt
import itertools
from typing import get_args

import pytest

from service.bookings.rules import Party, State, StateName, next_actions
from tests.contract.service.desk import Desk
from tests.contract.service.operations import DESCRIBED
from tests.contract.service.talking import problem
from tests.contract.service.visiting import Visits


@pytest.fixture
def visits(desk: Desk) -> Visits:
    return Visits(desk)


def test_next__names_routes_that_there_are() -> None:
    for state, party in itertools.product(State, (Party.CUSTOMER, Party.MERCHANT)):
        for name in next_actions(state, party):
            assert "post" in DESCRIBED["paths"][f"/v1/bookings/{{booking_id}}:{name}"], (state, party)


@pytest.mark.parametrize("state", ["foo", "CONFIRMED", "placed", ""])
def test_list__of_a_state_that_there_is_not_is_refused(visits: Visits, state: str) -> None:
    answer = visits.desk.send("GET", "/v1/bookings", params={"state": state})
    assert problem(answer) == (422, "validation")
    assert answer.json()["errors"][0]["where"] == "state"


def test_list__takes_every_state(visits: Visits) -> None:
    assert get_args(StateName) == tuple(State)
    for state in State:
        assert visits.desk.send("GET", "/v1/bookings", params={"state": state.value}).status_code == 200


def test_booking__goes_from_hold_to_paid_and_its_next_actions_say_so(visits: Visits) -> None:
    point_id = visits.provider("anna")
    held = visits.book(point_id, visits.tomorrow(10), total_minor=20_000)
    assert (held["state"], held["revision"], held["total_minor"], held["fee_minor"]) == ("held", 1, 20_000, 0)
    assert (held["next"], held["start_code"], held["crew_id"]) == (["confirm", "cancel"], None, None)
    steps = {
        "confirm": (["reschedule", "cancel", "absent"], ["depart", "cancel"]),
        "depart": (["cancel", "absent"], ["start", "cancel", "absent"]),
        "start": ([], ["overrun", "finish"]),
        "finish": (["complain"], ["pay"]),
        "pay": (["complain"], []),
    }
    for event, (customers, merchants) in steps.items():
        booking = visits.brought(held, event)
        assert booking["next"] == customers, event
        seen = visits.read(held, "corner")
        assert (seen["next"], seen["start_code"], seen["crew_id"]) == (merchants, None, "anna"), event
    assert (booking["state"], booking["paid_by"]) == ("paid", "cash")
    assert visits.events(held) == [
        ("hold", "held"),
        ("confirm", "confirmed"),
        ("depart", "en_route"),
        ("start", "started"),
        ("finish", "finished"),
        ("pay", "paid"),
    ]


def test_booking__takes_the_time_of_a_crew_from_all_others_and_gives_it_back(visits: Visits) -> None:
    point_id = visits.provider("anna", service={"window_minutes": 30})
    before = visits.starts(point_id)
    booking = visits.book(point_id, visits.tomorrow(10))
    during = visits.starts(point_id)
    assert set(during) < set(before)
    refused = visits.ask(visits.body(point_id, visits.tomorrow(10)))
    assert problem(refused) == (409, "sold-out")
    assert refused.json()["reason"] == "no_crew"
    assert {one["starts_at"] for one in refused.json()["slots"]} <= {at.replace("Z", "+00:00") for at in during}
    visits.done(booking, "cancel", "app", {})
    assert visits.starts(point_id) == before
    assert visits.planned(point_id) == {"anna": []}


def test_booking__expires_where_nobody_confirms_it(visits: Visits) -> None:
    point_id = visits.provider("anna")
    booking = visits.book(point_id, visits.tomorrow(10))
    visits.desk.pass_until(booking["expires_at"])
    assert visits.read(booking)["state"] == "expired"
    assert problem(visits.act(booking, "confirm", "app")) == (409, "state-conflict")
    assert visits.planned(point_id) == {"anna": []}


def test_slots__are_told_with_their_witness_to_the_merchant_alone(visits: Visits) -> None:
    point_id = visits.provider("anna", "bert")
    visits.book(point_id, visits.tomorrow(10))
    told = visits.slots(point_id, "corner")
    slot = told["days"][1]["slots"][0]
    assert {"anna", "bert"} >= {slot["crew_id"]}
    assert "this visit" in {stop["stop"] for stop in slot["witness"]}
    assert told["travel"] == "great circle x 1.4 at 20 km/h"
    visits.desk.registry.add_key("corner-app", "app", "corner")
    for app in ("app", "corner-app"):
        seen = visits.slots(point_id, app)["days"][1]["slots"]
        assert {(one["crew_id"], one["witness"], one["detour_s"], one["planned_at"]) for one in seen} == {(None,) * 4}


def test_slots__say_why_there_are_none_and_when_the_next_would_be(visits: Visits) -> None:
    point_id = visits.provider(
        "anna", crew={"hours": "Mo-Su 08:00-12:00; 2026 Nov 01-30 off"}, service={"most_days": 14}
    )
    first = visits.slots(point_id, days=3)
    assert {day["why_not"] for day in first["days"]} <= {"no_crew", "too_soon"}
    next_day = dt.date.fromisoformat(first["first_day"])
    days = visits.slots(point_id, from_day=next_day.isoformat(), days=1)["days"]
    assert days[0]["slots"]
    far = visits.slots(point_id, lat=visits.desk.lat + 0.09, from_day=next_day.isoformat())
    assert {day["why_not"] for day in far["days"]} == {"outside_area"}
    assert far["first_day"] is None


def test_slots__say_of_a_place_that_the_point_does_not_serve_that_it_is_outside_whether_or_not_a_crew_could_come(
    visits: Visits,
) -> None:
    point_id = visits.provider("anna")
    for lat in (visits.desk.lat + 0.45, visits.desk.lat + 2.0):  # 50 km away, and too far for a day's work
        told = visits.slots(point_id, lat=lat)
        assert {day["why_not"] for day in told["days"]} == {"outside_area"}
        assert (told["first_day"], [day["slots"] for day in told["days"]]) == (None, [[]] * len(told["days"]))


def test_visit_that_begins_late__moves_the_crews_day_on_and_hands_the_next_one_on(visits: Visits) -> None:
    point_id = visits.provider("anna", service={"window_minutes": 120, "lead_minutes": 0})
    first = visits.brought(visits.book(point_id, visits.tomorrow(9)), "confirm", "depart")
    second = visits.brought(visits.book(point_id, visits.tomorrow(11)), "confirm")
    visits.crew(point_id, "bert", hours="Mo-Su 12:00-18:00")
    begun = visits.tomorrow(10, 50)
    visits.desk.pass_until(begun)
    code = visits.read(first)["start_code"]
    visits.done(first, "start", "corner", {"code": code})
    assert [visits.read(one, "corner")["crew_id"] for one in (first, second)] == ["anna", "anna"]
    sheet = visits.desk.send("GET", f"/v1/points/{point_id}/crews/anna/day", "corner", params={"date": begun[:10]})
    planned = [dt.datetime.fromisoformat(stop["starts_at"]) for stop in sheet.json()["shifts"][0]["stops"]]
    assert planned[0] == dt.datetime.fromisoformat(begun)
    assert planned[1] == planned[0] + dt.timedelta(hours=2)
    late = visits.done(first, "overrun", "corner", {"minutes": 150})
    assert [(one["booking_id"], one["crew_id"]) for one in late["moved"]] == [(second["booking_id"], "bert")]

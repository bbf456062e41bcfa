"""What time does to a booking: when cancelling is free, when one may set out, how long is waited for, on both databases."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

import pytest
from sqlalchemy import select

from service.bookings.days import day_of
from service.store.visit_tables import crews, engagements, shifts
from tests.contract.service.desk import Desk
from tests.contract.service.talking import problem
from tests.contract.service.visiting import Visits


@pytest.fixture
def visits(desk: Desk) -> Visits:
    return Visits(desk)


def test_rescheduling__makes_nothing_free_again_that_was_not_any_more(visits: Visits) -> None:
    point_id = visits.provider("anna", service={"window_minutes": 0})
    soon = visits.tomorrow(9)
    booking = visits.brought(visits.book(point_id, soon), "confirm")
    moved = visits.done(booking, "reschedule", "app", {"starts_at": _later(soon, 5)})
    assert moved["cancel_free_until"] == booking["cancel_free_until"]
    assert visits.done(booking, "cancel", "app", {})["fee_minor"] == 6_000


def test_setting_out__is_too_early_more_than_two_days_ahead(visits: Visits) -> None:
    point_id = visits.provider("anna")
    booking = visits.brought(visits.book(point_id, _later(visits.tomorrow(13), 1)), "confirm")
    assert problem(visits.act(booking, "depart", "corner")) == (409, "state-conflict")
    visits.desk.pass_(3_600)
    assert visits.done(booking, "depart", "corner")["state"] == "en_route"


def test_setting_out_early__takes_nothing_of_the_time_in_which_cancelling_is_free(visits: Visits) -> None:
    point_id = visits.provider("anna", "bert")
    one, other = (visits.brought(visits.book(point_id, _later(visits.tomorrow(10), 1)), "confirm") for _ in range(2))
    visits.desk.pass_until(one["starts_at"], -2 * 86_400)
    for booking in (one, other):
        visits.done(booking, "depart", "corner")
    visits.desk.pass_until(one["cancel_free_until"])
    assert visits.done(one, "cancel", "app", {})["fee_minor"] == 0
    visits.desk.pass_until(other["starts_at"], 20 * 60)
    assert visits.done(other, "absent", "corner", {"who": "customer"})["fee_minor"] == 10_000


@pytest.mark.parametrize(("late_us", "is_free"), [(0, False), (1, True)])
def test_rescheduling__counts_anew_where_nobody_came_while_the_window_lasted(
    visits: Visits, late_us: int, is_free: bool
) -> None:
    point_id = visits.provider("anna")
    booking = visits.brought(visits.book(point_id, visits.tomorrow(9)), "confirm")
    visits.desk.registry.clock.at = dt.datetime.fromisoformat(booking["ends_at"]) + dt.timedelta(microseconds=late_us)
    moved = visits.done(booking, "reschedule", "app", {"starts_at": _later(visits.tomorrow(9), 1)})
    until = dt.datetime.fromisoformat(moved["starts_at"]) - dt.timedelta(days=1)
    told = until if is_free else dt.datetime.fromisoformat(booking["cancel_free_until"])
    assert dt.datetime.fromisoformat(moved["cancel_free_until"]) == told
    assert visits.done(moved, "cancel", "app", {})["fee_minor"] == (0 if is_free else 6_000)


def test_absent_customer__is_waited_for_since_the_crew_set_out(visits: Visits) -> None:
    point_id = visits.provider("anna")
    booking = visits.brought(visits.book(point_id, visits.tomorrow(10)), "confirm")
    visits.desk.pass_until(booking["ends_at"], -60)
    visits.done(booking, "depart", "corner")
    assert problem(visits.act(booking, "absent", "corner", {"who": "customer"})) == (409, "state-conflict")
    visits.desk.pass_(20 * 60)
    assert visits.done(booking, "absent", "corner", {"who": "customer"})["state"] == "customer_absent"


def test_hold__of_a_window_that_begins_now_can_be_confirmed(visits: Visits) -> None:
    point_id = visits.provider("anna", service={"lead_minutes": 0}, crew={"hours": "24/7"})
    booking = visits.book(point_id, visits.starts(point_id)[0])
    assert dt.datetime.fromisoformat(booking["expires_at"]) >= visits.desk.now + dt.timedelta(minutes=5)
    assert visits.done(booking, "confirm", "app")["state"] == "confirmed"


def _at(told: str) -> dt.datetime:
    return dt.datetime.fromisoformat(told)


def _later(at: str, days: int) -> str:
    return (dt.datetime.fromisoformat(at) + dt.timedelta(days)).isoformat()


def test_visit_whose_end_nobody_confirms__can_be_closed_by_the_office_half_a_day_later(visits: Visits) -> None:
    point_id = visits.provider("anna")
    booking = visits.brought(visits.book(point_id, visits.tomorrow(10)), "confirm", "depart", "start")
    without = {"proof": {"written_contract": "A-7"}}
    visits.desk.pass_((2 + 12) * 3600 - 60)
    assert problem(visits.act(booking, "finish", "corner", without)) == (422, "validation")
    visits.desk.pass_(60)
    assert visits.done(booking, "finish", "corner", without)["state"] == "finished"
    assert "end_code" in visits.row(booking).proof


def test_rescheduling__that_comes_a_second_time_changes_nothing(visits: Visits) -> None:
    point_id = visits.provider("anna")
    booking = visits.brought(visits.book(point_id, visits.tomorrow(10)), "confirm")
    to = {"starts_at": visits.tomorrow(14)}
    once = visits.done(booking, "reschedule", "app", to)
    assert visits.done(booking, "reschedule", "app", to) == once


ANOTHER: tuple[dict[str, Any], ...] = (
    {"minutes": 240, "skills": ["windows"], "people": 2, "price_minor": 50_000},
    {"offer": "appliance_repair/onsite", "currency": "KRW"},
)
"""What a service is by now that was `CLEAN` when a visit of it was promised."""


def _promise(visits: Visits, booking: dict[str, Any]) -> tuple[Any, ...]:
    """Return what is kept of a booking that a service says of itself."""
    row = visits.row(booking)
    return row.offer, row.duration_s, row.people, row.skills, row.currency


@pytest.mark.parametrize("another", ANOTHER)
def test_rescheduling__is_of_what_was_promised_whatever_the_service_is_by_now(
    visits: Visits, another: dict[str, Any]
) -> None:
    point_id = visits.provider("anna")
    booking = visits.brought(visits.book(point_id, _later(visits.tomorrow(10), 1)), "confirm")
    promise = _promise(visits, booking)
    visits.service(point_id, **another)
    late = _later(visits.tomorrow(15), 1)
    refused = visits.act(booking, "reschedule", "app", {"starts_at": _later(visits.tomorrow(3), 1)})
    assert problem(refused) == (409, "sold-out")
    assert refused.json()["slots"]
    moved = visits.done(booking, "reschedule", "app", {"starts_at": late})
    assert (_promise(visits, moved), moved["total_minor"]) == (promise, 20_000)
    assert _at(moved["cancel_free_until"]) == _at(late) - dt.timedelta(days=1)
    assert _at(moved["expires_at"]) == _at(moved["ends_at"]) + dt.timedelta(minutes=20 + 120)
    ill = {"starts_at": _later(visits.tomorrow(8), 1), "until": _later(visits.tomorrow(20), 1)}
    told = visits.desk.send("POST", f"/v1/points/{point_id}/crews/anna:ill", "corner", json=ill).json()
    assert [bool(one["slots"]) for one in told["unkept"]] == [True]


@pytest.mark.parametrize("another", ANOTHER)
def test_complaint__leads_to_what_was_promised_whatever_the_service_is_by_now(
    visits: Visits, another: dict[str, Any]
) -> None:
    point_id = visits.provider("anna")
    booking = visits.brought(visits.book(point_id, visits.tomorrow(10)), "confirm", "depart", "start", "finish")
    visits.service(point_id, **another)
    visits.desk.registry.follow()
    late = _later(visits.tomorrow(15), 1)
    refused = visits.act(booking, "complain", "app", {"starts_at": _later(visits.tomorrow(3), 1)})
    assert problem(refused) == (409, "sold-out")
    assert refused.json()["slots"]
    made = visits.done(booking, "complain", "app", {"starts_at": late})
    assert (_promise(visits, made), made["state"]) == (_promise(visits, booking), "confirmed")
    assert _at(made["cancel_free_until"]) == _at(late) - dt.timedelta(days=1)


def test_booking_sent_again__is_answered_as_the_first_time_once_its_window_has_begun(visits: Visits) -> None:
    point_id = visits.provider("anna")
    body, key = visits.body(point_id, visits.tomorrow(14)), uuid.uuid4().hex
    first = visits.ask(body, once=key)
    assert first.status_code == 201
    visits.desk.pass_until(visits.tomorrow(14), 120)
    again = visits.ask(body, once=key)
    assert (again.status_code, again.content, again.headers["idempotency-replayed"]) == (201, first.content, "true")
    assert problem(visits.ask(body)) == (422, "validation")


def test_complaint_sent_again__is_answered_as_the_first_time_once_its_window_has_begun(visits: Visits) -> None:
    point_id = visits.provider("anna")
    booking = visits.brought(visits.book(point_id, visits.tomorrow(10)), "confirm", "depart", "start", "finish")
    place, headers = f"/v1/bookings/{booking['booking_id']}:complain", {"Idempotency-Key": uuid.uuid4().hex}
    at = _later(visits.tomorrow(10), 1)
    answers = []
    for _ in range(2):
        answers.append(visits.desk.send("POST", place, json={"starts_at": at, "note": "dust"}, headers=headers))
        visits.desk.pass_until(at, 120)
    assert [(answer.status_code, answer.content) for answer in answers] == [(201, answers[0].content)] * 2
    assert answers[1].headers["idempotency-replayed"] == "true"


def test_crew__that_is_deleted_leaves_nothing_of_itself(visits: Visits) -> None:
    point_id = visits.provider("anna")
    busy = {"starts_at": visits.tomorrow(8), "ends_at": visits.tomorrow(18)}
    visits.put(f"/v1/points/{point_id}/crews/anna/busy/dentist", busy)
    assert visits.tomorrow(10) not in visits.starts(point_id)
    path = f"/v1/points/{point_id}/crews/anna"
    assert visits.desk.send("DELETE", path, "corner", headers={"If-Match": "*"}).status_code == 204
    rows = visits.desk.rows(select(crews.c.facts).where(crews.c.point_id == point_id))
    assert [row.facts for row in rows] == ["{}"]
    assert visits.desk.rows(select(engagements).where(engagements.c.point_id == point_id)) == []
    assert visits.crew(point_id, "anna")["revision"] == 3
    assert visits.book(point_id, visits.tomorrow(10))["state"] == "held"


def test_crew__that_is_put_as_it_is_keeps_its_days_as_they_are(visits: Visits) -> None:
    rest = {"earliest": "11:30", "latest": "13:30", "minutes": 30}
    point_id = visits.provider("anna", crew={"breaks": [rest]}, service={"window_minutes": 15, "minutes": 60})
    for hour, minute in ((11, 30), (9, 0), (14, 0)):
        visits.brought(visits.book(point_id, visits.tomorrow(hour, minute)), "confirm")
    before = visits.desk.rows(select(shifts).where(shifts.c.point_id == point_id))
    visits.crew(point_id, "anna", breaks=[rest])
    visits.crew(point_id, "anna", breaks=[rest], name="Anna Two", skills=["cleaning", "ironing"])
    assert visits.desk.rows(select(shifts).where(shifts.c.point_id == point_id)) == before
    busy = {"starts_at": visits.tomorrow(16), "ends_at": visits.tomorrow(17)}
    visits.put(f"/v1/points/{point_id}/crews/anna/busy/dentist", busy)
    (after,) = visits.desk.rows(select(shifts).where(shifts.c.point_id == point_id))
    names = [stop.stop_id for stop in day_of(after).stops]
    assert [name for name in names if name != "busy dentist"] == [stop.stop_id for stop in day_of(before[0]).stops]

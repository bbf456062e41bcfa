"""What time does to a booking: when cancelling is free, when one may set out, how long is waited for, on both databases."""

from __future__ import annotations

import datetime as dt

import pytest

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


def test_setting_out__is_too_early_more_than_a_day_ahead(visits: Visits) -> None:
    point_id = visits.provider("anna")
    booking = visits.brought(visits.book(point_id, _later(visits.tomorrow(12), 1)), "confirm")
    assert problem(visits.act(booking, "depart", "corner")) == (409, "state-conflict")
    visits.desk.pass_(86_400)
    assert visits.done(booking, "depart", "corner")["state"] == "en_route"


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


def _later(at: str, days: int) -> str:
    return (dt.datetime.fromisoformat(at) + dt.timedelta(days)).isoformat()

"""What may happen to a booked visit, in which state, by whom, what it leads to and what it costs: on both databases."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from itertools import chain
from typing import Any

import pytest

from service.bookings.rules import ENDED, PLANNED, TRANSITIONS, State
from service.clock import from_us, to_us
from tests.contract.service.desk import Desk
from tests.contract.service.talking import problem
from tests.contract.service.visiting import Visits

CREW_AROUND_THE_CLOCK = {"hours": "24/7"}
AT_ONCE = {"lead_minutes": 0}
CONFIRMED, EN_ROUTE, STARTED = ("confirm",), ("confirm", "depart"), ("confirm", "depart", "start")
FINISHED, PAID = (*STARTED, "finish"), (*STARTED, "finish", "pay")
# How each state is reached where all goes well; the others are reached below.
REACHED: dict[str, tuple[str, ...]] = {
    "held": (),
    "confirmed": CONFIRMED,
    "unplaced": CONFIRMED,
    "en_route": EN_ROUTE,
    "started": STARTED,
    "finished": FINISHED,
    "paid": PAID,
    "cancelled": CONFIRMED,
    "expired": (),
    "customer_absent": EN_ROUTE,
    "crew_absent": CONFIRMED,
}
CUSTOMERS, CREWS = {"app", "admin"}, {"corner", "anna", "admin"}
EITHER = CUSTOMERS | CREWS
# What each event leads to once the window is over, and whose it is.
LEADS_TO: dict[tuple[str, str], tuple[str, set[str]]] = {
    ("held", "confirm"): ("confirmed", CUSTOMERS),
    ("held", "cancel"): ("cancelled", EITHER),
    ("confirmed", "reschedule"): ("confirmed", CUSTOMERS),
    ("confirmed", "cancel"): ("cancelled", EITHER),
    ("confirmed", "depart"): ("en_route", CREWS),
    ("confirmed", "crew absent"): ("crew_absent", CUSTOMERS),
    ("unplaced", "reschedule"): ("confirmed", CUSTOMERS),
    ("unplaced", "cancel"): ("cancelled", EITHER),
    ("unplaced", "crew absent"): ("crew_absent", CUSTOMERS),
    ("en_route", "cancel"): ("cancelled", EITHER),
    ("en_route", "start"): ("started", CREWS),
    ("en_route", "customer absent"): ("customer_absent", CREWS),
    ("en_route", "crew absent"): ("crew_absent", CUSTOMERS),
    ("started", "overrun"): ("started", CREWS),
    ("started", "finish"): ("finished", CREWS),
    ("finished", "pay"): ("paid", CREWS),
    ("finished", "complain"): ("finished", CUSTOMERS),
    ("paid", "complain"): ("paid", CUSTOMERS),
}
# Which scopes may ask for an event at all.
ROUTES: dict[str, set[str]] = {
    **{event: {"app", "admin"} for event in ("confirm", "reschedule", "complain")},
    **{event: {"merchant", "crew", "admin"} for event in ("depart", "start", "finish", "pay", "overrun")},
    **{event: {"app", "merchant", "crew", "admin"} for event in ("cancel", "customer absent", "crew absent")},
}
KEYS = {
    "app": "app",
    "other-app": "app",
    "corner": "merchant",
    "rival": "merchant",
    "station": "station",
    "anna": "crew",
    "bert": "crew",
    "admin": "admin",
}
OWN = {"app", "corner", "anna", "admin"}
OF_NO_CREW = {"unplaced", "paid", *ENDED}
"""In these a visit does not stand in its crew's day as one that still concerns it."""


@pytest.fixture
def visits(desk: Desk) -> Visits:
    return Visits(desk)


@pytest.fixture
def point(visits: Visits) -> str:
    """Give a provider with the crews anna and bert, each with a key; bert cannot clean."""
    point_id = visits.provider("anna", crew=CREW_AROUND_THE_CLOCK, service=AT_ONCE)
    visits.crew(point_id, "bert", **CREW_AROUND_THE_CLOCK, skills=[])
    for crew_id in ("anna", "bert"):
        visits.desk.registry.add_key(crew_id, "crew", "corner", f"{point_id}/{crew_id}")
    return point_id


def _reached(visits: Visits, point_id: str, state: str) -> dict[str, Any]:
    """Return a booking in a state; whatever was promised to it, its window is over by now."""
    desk, starts = visits.desk, visits.starts(point_id, days=2)
    booking = visits.brought(visits.book(point_id, starts[1]), *REACHED[state])
    if state == "unplaced":
        ill = f"/v1/points/{point_id}/crews/anna"
        answer = desk.send("POST", f"{ill}:ill", "corner", json={"until": booking["expires_at"]})
        assert [one["booking_id"] for one in answer.json()["unkept"]] == [booking["booking_id"]]
        (busy,) = desk.send("GET", f"{ill}/busy", "corner").json()["items"]
        assert desk.send("DELETE", f"{ill}/busy/{busy['engagement_id']}", "corner").status_code == 204
    if state == "cancelled":
        visits.done(booking, "cancel", "app", {})
    elif state in {"expired", "crew_absent"}:
        desk.pass_until(booking["expires_at"])
    elif state != "held" and dt.datetime.fromisoformat(booking["ends_at"]) > desk.now:
        desk.pass_until(booking["ends_at"])
    if state == "customer_absent":
        visits.done(booking, "absent", "anna", {"who": "customer"})
    found = visits.read(booking)
    assert found["state"] == state
    return found


def _asked(visits: Visits, point_id: str, event: str, booking: dict[str, Any]) -> tuple[str, Any]:
    """Return the route of an event, and its body about a booking."""
    if event.endswith("absent"):
        return "absent", {"who": event.split()[0]}
    if event in {"reschedule", "complain"}:
        leads = (booking["state"], event) in LEADS_TO
        return event, {"starts_at": visits.starts(point_id, days=2)[-1] if leads else visits.tomorrow(12)}
    codes = {name: booking[name] or "000000" for name in ("start_code", "end_code")}
    bodies: dict[str, Any] = {
        "cancel": {},
        "start": {"code": codes["start_code"]},
        "finish": {"proof": {"end_code": codes["end_code"], "written_contract": "A-7"}},
        "pay": {"means": "card"},
        "overrun": {"minutes": 30},
    }
    return event, bodies.get(event)


def _refusal(state: str, event: str, key: str) -> tuple[int, str] | None:
    """Return how an event is refused to a key, None where it leads on."""
    if KEYS[key] not in ROUTES[event]:
        return 403, "forbidden"
    if key not in OWN or (key == "anna" and state in OF_NO_CREW):
        return 404, "not-found"
    return None if key in LEADS_TO.get((state, event), ("", set()))[1] else (409, "state-conflict")


@pytest.mark.parametrize("state", REACHED)
def test_every_event__by_every_party_leads_on_or_is_refused(visits: Visits, point: str, state: str) -> None:
    booking = _reached(visits, point, state)
    for event in ROUTES:
        for key in KEYS:
            route, body = _asked(visits, point, event, booking)
            before = (visits.row(booking), visits.planned(point))
            answer = visits.act(booking, route, key, body)
            refused = _refusal(state, event, key)
            if refused is not None:
                assert problem(answer) == refused, (event, key, answer.text)
                assert (visits.row(booking), visits.planned(point)) == before, (event, key)
                continue
            assert answer.status_code == (201 if event == "complain" else 200), (event, key, answer.text)
            assert visits.read(booking)["state"] == LEADS_TO[state, event][0], (event, key)
            assert (booking["booking_id"] in visits.planned(point)["anna"]) == (
                LEADS_TO[state, event][0] in PLANNED | {"finished", "paid", "customer_absent"}
            )
            booking = _reached(visits, point, state)  # another


def test_leads_to__is_about_all_states_and_what_is_asked_for_in_them() -> None:
    assert REACHED.keys() == set(State)
    assert {event for _, event in LEADS_TO} == ROUTES.keys()
    by_hand = {(state, event) for state, event in TRANSITIONS if event not in {"move", "lose", "expire"} and state}
    told = {"customer absent": "customer_absent", "crew absent": "crew_absent"}
    assert {(state, told.get(event, event)) for state, event in LEADS_TO} == by_hand


@pytest.mark.parametrize(
    ("events", "late_us", "who", "fee"),
    [
        ((), 1, "app", 0),
        (CONFIRMED, 0, "app", 0),
        (CONFIRMED, 1, "app", 3_001),
        (CONFIRMED, 1, "admin", 3_001),
        (CONFIRMED, 1, "corner", 0),
        (EN_ROUTE, 0, "app", 0),
        (EN_ROUTE, 1, "app", 5_002),
        (EN_ROUTE, 1, "corner", 0),
    ],
)
def test_cancelling__costs_a_customer_what_the_norm_says_and_a_merchant_nothing(
    visits: Visits, events: tuple[str, ...], late_us: int, who: str, fee: int
) -> None:
    point_id = visits.provider("anna", service={"price_minor": 10_005})
    starts_at = visits.starts(point_id)[-1]
    free_until_us = to_us(dt.datetime.fromisoformat(starts_at)) - 86_400_000_000
    visits.desk.registry.clock.at = from_us(free_until_us - 60_000_000)
    booking = visits.book(point_id, starts_at)
    assert to_us(dt.datetime.fromisoformat(booking["cancel_free_until"])) == free_until_us
    visits.brought(booking, *events)
    visits.desk.registry.clock.at = from_us(free_until_us + late_us)
    done = visits.done(booking, "cancel", who, {})
    assert (done["state"], done["fee_minor"], done["total_minor"]) == ("cancelled", fee, 10_005)
    assert visits.planned(point_id) == {"anna": []}


@pytest.mark.parametrize("events", [CONFIRMED, EN_ROUTE])
@pytest.mark.parametrize(("late_us", "is_free"), [(0, False), (1, True)])
def test_cancelling__costs_nothing_once_the_window_is_over_and_nobody_has_begun(
    visits: Visits, point: str, events: tuple[str, ...], late_us: int, is_free: bool
) -> None:
    booking = visits.brought(visits.book(point), *events)
    visits.desk.registry.clock.at = from_us(to_us(dt.datetime.fromisoformat(booking["ends_at"])) + late_us)
    assert (visits.done(booking, "cancel", "app", {})["fee_minor"] == 0) == is_free


@pytest.mark.parametrize(("late_us", "is_free"), [(0, False), (1, True)])
def test_absence__costs_nothing_where_the_crew_set_out_once_the_window_was_over(
    visits: Visits, point: str, late_us: int, is_free: bool
) -> None:
    booking = visits.brought(visits.book(point), "confirm")
    visits.desk.registry.clock.at = from_us(to_us(dt.datetime.fromisoformat(booking["ends_at"])) + late_us)
    visits.done(booking, "depart", "corner")
    visits.desk.registry.clock.at += dt.timedelta(hours=1)
    assert (visits.done(booking, "absent", "corner", {"who": "customer"})["fee_minor"] == 0) == is_free


def test_cancelling__what_nobody_can_keep_costs_nothing(visits: Visits, point: str) -> None:
    booking = _reached(visits, point, "unplaced")
    assert visits.done(booking, "cancel", "app", {"reason": "no_crew"})["fee_minor"] == 0
    assert visits.events(booking)[-2:] == [("lose", "unplaced"), ("cancel", "cancelled")]


def test_rescheduling__moves_the_visit_and_when_it_can_be_cancelled(visits: Visits) -> None:
    point_id = visits.provider("anna", service={"window_minutes": 0})
    early, late = (_later(visits.tomorrow(hour), 1) for hour in (9, 15))
    booking = visits.brought(visits.book(point_id, early), "confirm")
    free = visits.starts(point_id)
    moved = visits.done(booking, "reschedule", "app", {"starts_at": late})
    at = dt.datetime.fromisoformat(late)
    told = {name: dt.datetime.fromisoformat(moved[name]) for name in ("starts_at", "ends_at", "cancel_free_until")}
    assert told == {"starts_at": at, "ends_at": at, "cancel_free_until": at - dt.timedelta(days=1)}
    waited = dt.timedelta(minutes=20 + 120)
    assert dt.datetime.fromisoformat(moved["expires_at"]) == at + waited
    assert (moved["state"], moved["fee_minor"], moved["revision"]) == ("confirmed", 0, 3)
    assert visits.planned(point_id) == {"anna": [booking["booking_id"]]}
    again = visits.starts(point_id)
    assert (_told(early) in free, _told(early) in again) == (False, True)
    assert (_told(late) in free, _told(late) in again) == (True, False)
    assert visits.book(point_id, early)["state"] == "held"


def _later(at: str, days: int) -> str:
    return (dt.datetime.fromisoformat(at) + dt.timedelta(days)).isoformat()


def _told(at: str) -> str:
    return dt.datetime.fromisoformat(at).astimezone(dt.UTC).isoformat().replace("+00:00", "Z")


@pytest.mark.parametrize(
    ("hour", "minute", "refused"),
    [(12, 0, (409, "sold-out")), (12, 7, (422, "validation")), (3, 0, (409, "sold-out"))],
)
def test_rescheduling__leaves_all_as_it_was_where_nobody_can_come(
    visits: Visits, hour: int, minute: int, refused: tuple[int, str]
) -> None:
    point_id = visits.provider("anna", service={"window_minutes": 0})
    booking, other = (visits.brought(visits.book(point_id, visits.tomorrow(h)), "confirm") for h in (9, 12))
    before = (visits.row(booking), visits.planned(point_id), visits.starts(point_id))
    answer = visits.act(booking, "reschedule", "app", {"starts_at": visits.tomorrow(hour, minute)})
    assert problem(answer) == refused
    assert (visits.row(booking), visits.planned(point_id), visits.starts(point_id)) == before
    if refused[1] == "sold-out":
        assert answer.json()["slots"]
    assert other["state"] == "confirmed"


def _pause(visits: Visits, point_id: str) -> None:
    visits.service(point_id, paused=True)


def _delete(visits: Visits, point_id: str) -> None:
    path = f"/v1/points/{point_id}/services/clean"
    assert visits.desk.send("DELETE", path, "corner", headers={"If-Match": "*"}).status_code == 204


@pytest.mark.parametrize("withdraw", [_pause, _delete])
@pytest.mark.parametrize("event", ["reschedule", "complain"])
def test_booking__of_a_service_that_is_offered_no_more_is_kept_as_it_was_promised(
    visits: Visits, point: str, event: str, withdraw: Callable[[Visits, str], None]
) -> None:
    booking = visits.brought(visits.book(point, visits.tomorrow(10)), *(FINISHED if event == "complain" else CONFIRMED))
    withdraw(visits, point)
    visits.desk.registry.follow()
    assert not visits.ask(visits.body(point, visits.tomorrow(16))).is_success
    made = visits.done(booking, event, "app", {"starts_at": visits.tomorrow(14)})
    row, was = visits.row(made), visits.row(booking)
    assert (row.state, row.service_id, row.starts_at) == ("confirmed", "clean", _us(visits.tomorrow(14)))
    assert (row.duration_s, row.people, row.skills, row.offer) == (was.duration_s, was.people, was.skills, was.offer)
    assert made["booking_id"] in visits.planned(point)["anna"]


@pytest.mark.parametrize("withdraw", [_pause, _delete])
def test_visit_that_nobody_can_make__is_moved_though_its_service_is_offered_no_more(
    visits: Visits, point: str, withdraw: Callable[[Visits, str], None]
) -> None:
    booking = visits.brought(visits.book(point, visits.tomorrow(10)), "confirm")
    withdraw(visits, point)
    ill = {"starts_at": visits.tomorrow(8), "until": visits.tomorrow(20)}
    answer = visits.desk.send("POST", f"/v1/points/{point}/crews/anna:ill", "corner", json=ill)
    (unkept,) = answer.json()["unkept"]
    visits.desk.registry.follow()
    refused = visits.act(booking, "reschedule", "app", {"starts_at": visits.tomorrow(10)})
    assert (problem(refused), refused.json()["slots"]) == ((409, "sold-out"), unkept["slots"])
    moved = visits.done(booking, "reschedule", "app", {"starts_at": unkept["slots"][0]["starts_at"]})
    assert moved["state"] == "confirmed"


def test_complaint__about_a_visit_at_a_point_that_offers_nothing_of_it_any_more_is_refused(
    visits: Visits, point: str
) -> None:
    booking = visits.brought(visits.book(point, visits.tomorrow(10)), *FINISHED)
    visits.withdraw_offer(point)
    answer = visits.act(booking, "complain", "app", {"starts_at": visits.tomorrow(14)})
    assert (problem(answer), answer.json()["reason"]) == ((409, "not-feasible"), "no_offer")


def _us(at: str) -> int:
    return to_us(dt.datetime.fromisoformat(at))


def test_hold__cannot_be_confirmed_from_the_instant_on_at_which_it_expires(visits: Visits) -> None:
    point_id = visits.provider("anna", "bert")
    first, second = (visits.book(point_id, visits.tomorrow(10)) for _ in range(2))
    assert dt.datetime.fromisoformat(first["expires_at"]) == visits.desk.now + dt.timedelta(minutes=30)
    expires_us = to_us(dt.datetime.fromisoformat(first["expires_at"]))
    visits.desk.registry.clock.at = from_us(expires_us - 1)
    assert visits.done(first, "confirm", "app")["state"] == "confirmed"
    visits.desk.registry.clock.at = from_us(expires_us)  # and nobody has noticed yet
    assert problem(visits.act(second, "confirm", "app")) == (409, "state-conflict")
    visits.desk.sweep()
    assert visits.events(second)[-1] == ("expire", "expired")
    assert visits.read(second)["fee_minor"] == 0
    assert [*chain(*visits.planned(point_id).values())] == [first["booking_id"]]


def test_hold__of_what_begins_soon_is_held_until_then(visits: Visits, point: str) -> None:
    begins = dt.datetime.fromisoformat(visits.starts(point)[1])
    visits.desk.registry.clock.at = begins - dt.timedelta(minutes=29)
    booking = visits.book(point, begins.isoformat())
    assert dt.datetime.fromisoformat(booking["starts_at"]) == begins
    assert booking["expires_at"] == booking["starts_at"]


def test_acts__whose_bodies_say_nothing_new_need_none(visits: Visits) -> None:
    point_id = visits.provider("anna", service=AT_ONCE)
    visits.done(visits.book(point_id), "cancel", "app")
    booking = visits.book(point_id)
    visits.brought(booking, "confirm", "depart", "start", "finish")
    assert visits.done(booking, "pay", "corner")["state"] == "paid"
    unproven = visits.book(point_id)
    visits.brought(unproven, "confirm", "depart", "start")
    assert problem(visits.act(unproven, "finish", "corner")) == problem(visits.act(unproven, "finish", "corner", {}))

"""How booked visits end: with their proof, because one side did not come, or in a visit that makes them good."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from service.orders.codes import code_of
from tests.contract.service.desk import LNG, Desk
from tests.contract.service.talking import problem
from tests.contract.service.visiting import Visits

STARTED = ("confirm", "depart", "start")
WAIT_S, COMPLAIN_S = 20 * 60, 2 * 86_400


@pytest.fixture
def visits(desk: Desk) -> Visits:
    return Visits(desk)


def _begun(visits: Visits) -> tuple[str, dict[str, Any]]:
    point_id = visits.provider("anna", service={"price_minor": 10_005})
    return point_id, visits.brought(visits.book(point_id, visits.tomorrow(10)), *STARTED)


def _wrong(code: str) -> str:
    return f"{(int(code) + 1) % 1_000_000:06}"


@pytest.mark.parametrize(
    "proof",
    [
        {},
        {"end_code": ""},
        {"written_contract": "A-7"},
        {"end_code": "right"},
        {"end_code": "right", "written_contract": "A-7", "photo": "a door"},
        {"end_code": "right", "written_contract": "A-7", "start_code": "123456"},
    ],
)
def test_finishing__needs_the_proof_that_the_norm_asks_for_and_no_other(visits: Visits, proof: dict[str, str]) -> None:
    _, booking = _begun(visits)
    told = proof | ({"end_code": booking["end_code"]} if proof.get("end_code") == "right" else {})
    before = visits.row(booking)
    for _ in range(6):  # and none of it counts as a wrong code
        assert problem(visits.act(booking, "finish", "corner", {"proof": told}))[0] == 422
    assert visits.row(booking) == before
    visits.desk.pass_(600)
    done = visits.brought(booking, "finish")
    assert (done["state"], dt.datetime.fromisoformat(done["done_at"])) == ("finished", visits.desk.now)
    assert json.loads(visits.row(booking).proof) == {"written_contract": "A-7"}


@pytest.mark.parametrize("code", ["wrong", "start", "12345", "1234567", "\uff11\uff12\uff13\uff14\uff15\uff16", "a"])
def test_finishing__is_refused_with_another_code(visits: Visits, code: str) -> None:
    _, booking = _begun(visits)
    secret = visits.desk.registry.services.secret
    shown = {"wrong": _wrong(booking["end_code"]), "start": code_of(secret, booking["booking_id"], 1)}.get(code, code)
    before = visits.row(booking)
    answer = visits.act(booking, "finish", "corner", {"proof": {"end_code": shown, "written_contract": "A-7"}})
    assert problem(answer) == (422, "code-wrong")
    assert answer.json()["errors"][0]["where"] == "/proof/end_code"
    assert visits.row(booking) == before


@pytest.mark.parametrize("event", ["start", "finish"])
def test_five_wrong_codes__let_even_the_right_one_wait(visits: Visits, event: str) -> None:
    point_id = visits.provider("anna")
    events = STARTED[:2] if event == "start" else STARTED
    booking = visits.brought(visits.book(point_id, visits.tomorrow(10)), *events)
    other = visits.brought(visits.book(point_id, visits.starts(point_id)[0]), "confirm", "depart")
    right = booking[f"{'start' if event == 'start' else 'end'}_code"]

    def shown(code: str) -> Any:
        return {"code": code} if event == "start" else {"proof": {"end_code": code, "written_contract": "A-7"}}

    before = visits.row(booking)
    for _ in range(5):
        assert problem(visits.act(booking, event, "corner", shown(_wrong(right)))) == (422, "code-wrong")
        visits.desk.pass_(60)
    for code in (right, _wrong(right)):
        answer = visits.act(booking, event, "corner", shown(code))
        assert problem(answer) == (429, "rate-limited")
        assert answer.headers["Retry-After"] == str(15 * 60 - 5 * 60)
    assert visits.row(booking) == before
    assert visits.done(other, "start", "corner", {"code": other["start_code"]})["state"] == "started"
    visits.desk.pass_(15 * 60 - 5 * 60)
    assert problem(visits.act(booking, event, "corner", shown(right))) == (429, "rate-limited")
    visits.desk.pass_(1)
    assert visits.act(booking, event, "corner", shown(right)).status_code == 200


def test_visit_that_is_over_sooner__gives_the_crew_its_time_back(visits: Visits) -> None:
    point_id = visits.provider("anna", service={"window_minutes": 0, "lead_minutes": 0})
    booking = visits.brought(visits.book(point_id, visits.tomorrow(10)), *STARTED)
    after = dt.datetime.fromisoformat(visits.read(booking)["starts_at"]) + dt.timedelta(hours=1)
    told = after.isoformat().replace("+00:00", "Z")
    visits.desk.pass_(30 * 60)
    assert told not in visits.starts(point_id)
    visits.brought(booking, "finish")
    assert told in visits.starts(point_id)
    assert visits.brought(visits.book(point_id, told), "confirm")["state"] == "confirmed"


def test_customer_who_is_not_there__is_waited_for_as_long_as_the_norm_says(visits: Visits) -> None:
    point_id = visits.provider("anna", service={"price_minor": 10_005})
    booking = visits.brought(visits.book(point_id, visits.tomorrow(10)), "confirm", "depart")
    starts = dt.datetime.fromisoformat(booking["starts_at"])
    for seconds in (-1.0, 0.0, WAIT_S - 0.000001):
        visits.desk.registry.clock.at = starts + dt.timedelta(seconds=seconds)
        answer = visits.act(booking, "absent", "corner", {"who": "customer"})
        assert problem(answer) == (409, "state-conflict")
        assert (starts + dt.timedelta(seconds=WAIT_S)).isoformat() in answer.json()["detail"]
    visits.desk.registry.clock.at = starts + dt.timedelta(seconds=WAIT_S)
    done = visits.done(booking, "absent", "corner", {"who": "customer"})
    assert (done["state"], done["fee_minor"], done["ended_at"] is None) == ("customer_absent", 5_002, False)
    assert visits.events(booking)[-1] == ("customer_absent", "customer_absent")


@pytest.mark.parametrize("events", [("confirm",), ("confirm", "depart")])
def test_crew_that_does_not_come__is_waited_for_until_the_window_is_over(
    visits: Visits, events: tuple[str, ...]
) -> None:
    point_id = visits.provider("anna")
    booking = visits.brought(visits.book(point_id, visits.tomorrow(10)), *events)
    ends = dt.datetime.fromisoformat(booking["ends_at"])
    visits.desk.registry.clock.at = ends - dt.timedelta(microseconds=1)
    assert problem(visits.act(booking, "absent", "app", {"who": "crew"})) == (409, "state-conflict")
    assert visits.read(booking)["state"] == events[-1].replace("confirm", "confirmed").replace("depart", "en_route")
    visits.desk.registry.clock.at = ends
    done = visits.done(booking, "absent", "app", {"who": "crew"})
    assert (done["state"], done["fee_minor"], done["next"]) == ("crew_absent", 0, [])
    assert visits.planned(point_id) == {"anna": []}


@pytest.mark.parametrize("events", [("confirm",), ("confirm", "depart")])
def test_visit_to_which_nobody_came__is_noticed_by_the_clock(visits: Visits, events: tuple[str, ...]) -> None:
    point_id = visits.provider("anna")
    booking = visits.brought(visits.book(point_id, visits.tomorrow(10)), *events)
    visits.desk.pass_until(booking["ends_at"], WAIT_S + 7200 - 0.000001)
    assert visits.read(booking)["state"] != "crew_absent"
    visits.desk.pass_(0.000001)
    assert visits.events(booking)[-1] == ("crew_absent", "crew_absent")
    assert (visits.read(booking)["fee_minor"], visits.planned(point_id)) == (0, {"anna": []})


def test_visit_that_has_begun__is_never_ended_by_the_clock(visits: Visits) -> None:
    _, booking = _begun(visits)
    visits.desk.pass_(30 * 86_400)
    assert visits.read(booking)["state"] == "started"


@pytest.mark.parametrize("events", [("finish",), ("finish", "pay")])
def test_complaint__leads_to_one_visit_at_no_price_within_the_norms_time(
    visits: Visits, events: tuple[str, ...]
) -> None:
    point_id, booking = _begun(visits)
    booking = visits.brought(booking, *events)
    until = dt.datetime.fromisoformat(booking["complain_until"])
    assert until == dt.datetime.fromisoformat(booking["done_at"]) + dt.timedelta(seconds=COMPLAIN_S)
    visits.desk.registry.clock.at = until
    body = {"starts_at": visits.tomorrow(10), "note": "the bath"}
    made = visits.done(booking, "complain", "app", body)
    told = {name: made[name] for name in ("state", "total_minor", "fee_minor", "complaint_of", "service_id")}
    assert told == {
        "state": "confirmed",
        "total_minor": 0,
        "fee_minor": 0,
        "complaint_of": booking["booking_id"],
        "service_id": "clean",
    }
    assert made["booking_id"] in visits.planned(point_id)["anna"]
    assert visits.events(made) == [("return", "confirmed")]
    assert visits.events(booking)[-1] == ("complain", booking["state"])
    before = (visits.row(booking), visits.planned(point_id))
    again = visits.act(booking, "complain", "app", body | {"starts_at": visits.tomorrow(14)})
    assert problem(again) == (409, "state-conflict")
    assert (visits.row(booking), visits.planned(point_id)) == before
    visits.desk.pass_(3_600)
    assert visits.done(made, "cancel", "app", {})["fee_minor"] == 0


def test_complaint__whose_visit_nobody_came_to_leads_to_another(visits: Visits) -> None:
    _, booking = _begun(visits)
    booking = visits.brought(booking, "finish")
    made = visits.done(booking, "complain", "app", {"starts_at": visits.tomorrow(10)})
    visits.done(made, "cancel", "corner", {"reason": "no_crew"})
    again = visits.done(booking, "complain", "app", {"starts_at": visits.tomorrow(10)})
    assert (again["state"], again["complaint_of"]) == ("confirmed", booking["booking_id"])


def _move_to(visits: Visits, point_id: str, until: str) -> str:
    """Pass until an instant, and return when the last window begins that can be booked then."""
    visits.desk.pass_until(until)
    return visits.starts(point_id)[-1]


def _cancelled_by_the_merchant(visits: Visits, made: dict[str, Any]) -> None:
    visits.desk.pass_until(made["starts_at"])
    visits.done(made, "cancel", "corner", {"reason": "no_crew"})


def _told_absent(visits: Visits, made: dict[str, Any]) -> None:
    visits.desk.pass_until(made["ends_at"], 3_600)
    visits.done(made, "absent", "app", {"who": "crew"})


def _noticed_by_the_clock(visits: Visits, made: dict[str, Any]) -> None:
    visits.desk.pass_until(made["expires_at"], 1)


def _cancelled_once_its_window_was_over(visits: Visits, made: dict[str, Any]) -> None:
    visits.desk.pass_until(made["ends_at"], 1)
    visits.done(made, "cancel", "app", {})


def _cancelled_since_nobody_could_come(visits: Visits, made: dict[str, Any]) -> None:
    visits.desk.pass_until(made["starts_at"])
    until = {"until": made["expires_at"]}
    answer = visits.desk.send("POST", f"/v1/points/{made['point_id']}/crews/anna:ill", "corner", json=until)
    assert [one["booking_id"] for one in answer.json()["unkept"]] == [made["booking_id"]]
    visits.done(made, "cancel", "app", {})


def _cancelled_by_the_customer(visits: Visits, made: dict[str, Any]) -> None:
    visits.desk.pass_until(made["starts_at"])
    visits.done(made, "cancel", "app", {})


@pytest.mark.parametrize(
    ("ended", "leads_on"),
    [
        (_cancelled_by_the_merchant, True),
        (_told_absent, True),
        (_noticed_by_the_clock, True),
        (_cancelled_once_its_window_was_over, True),
        (_cancelled_since_nobody_could_come, True),
        (_cancelled_by_the_customer, False),
    ],
)
def test_complaint__made_in_time_is_not_lost_where_the_merchant_lets_its_visit_come_to_nothing(
    visits: Visits, ended: Callable[[Visits, dict[str, Any]], None], leads_on: bool
) -> None:
    point_id, booking = _begun(visits)
    booking = visits.brought(booking, "finish")
    until = booking["complain_until"]
    at = _move_to(visits, point_id, until)
    made = visits.done(booking, "complain", "app", {"starts_at": at})
    ended(visits, made)
    ended_at = visits.read(made)["ended_at"]
    if leads_on:
        until = (dt.datetime.fromisoformat(ended_at) + dt.timedelta(seconds=COMPLAIN_S)).isoformat()
    assert dt.datetime.fromisoformat(visits.read(booking)["complain_until"]) == dt.datetime.fromisoformat(until)
    listed = visits.desk.send("GET", "/v1/bookings", "app", params={"point": point_id}).json()["items"]
    assert listed[0] == visits.read(booking)
    at = visits.starts(point_id)[-1]
    visits.desk.registry.clock.at = max(dt.datetime.fromisoformat(until), visits.desk.now)
    answer = visits.act(booking, "complain", "app", {"starts_at": at})
    assert answer.status_code == (201 if leads_on else 409), answer.text
    if leads_on:
        visits.done(answer.json(), "cancel", "app", {})
        visits.desk.pass_(0.000001)
        assert problem(visits.act(booking, "complain", "app", {"starts_at": at})) == (409, "state-conflict")


def test_complaint__comes_too_late_behind_the_norms_time(visits: Visits) -> None:
    point_id, booking = _begun(visits)
    booking = visits.brought(booking, "finish")
    visits.desk.registry.clock.at = dt.datetime.fromisoformat(booking["complain_until"]) + dt.timedelta(microseconds=1)
    before = (visits.row(booking), visits.planned(point_id))
    answer = visits.act(booking, "complain", "app", {"starts_at": visits.tomorrow(10)})
    assert problem(answer) == (409, "state-conflict")
    assert (visits.row(booking), visits.planned(point_id)) == before


def test_complaint__leaves_all_as_it_was_where_nobody_can_come(visits: Visits) -> None:
    point_id, booking = _begun(visits)
    booking = visits.brought(booking, "finish")
    before = (visits.row(booking), visits.planned(point_id))
    answer = visits.act(booking, "complain", "app", {"starts_at": visits.tomorrow(3)})
    assert problem(answer) == (409, "sold-out")
    assert answer.json()["slots"]
    assert (visits.row(booking), visits.planned(point_id)) == before


@pytest.mark.parametrize("key", ["app", "admin"])
def test_complaint__about_a_visit_that_is_forgotten_tells_whose_it_is_and_is_forgotten_by_that(
    visits: Visits, key: str
) -> None:
    point_id, buyer = visits.provider("anna"), uuid.uuid4().hex
    booking = visits.brought(visits.book(point_id, buyer=buyer), "confirm", "depart", "start", "finish")
    was = visits.row(booking)

    def erase() -> tuple[int, int]:
        told = visits.desk.send("POST", "/v1/buyers:erase", "app", json={"buyer": buyer}).json()
        return told["bookings"], told["open_bookings"]

    assert erase() == (1, 0)
    body: dict[str, Any] = {"starts_at": visits.tomorrow(10)}
    place = {"lat": visits.desk.lat, "lng": LNG, "address": "Lane 99"}
    assert problem(visits.act(booking, "complain", key, body)) == (422, "validation")
    assert problem(visits.act(booking, "complain", key, body | {"place": place})) == (422, "validation")
    made = visits.done(booking, "complain", key, body | {"place": {**place, "buyer": buyer}})
    row = visits.row(made)
    assert (row.buyer, row.device, row.address, row.owner) == (was.buyer, was.buyer, "Lane 99", was.owner)
    assert erase() == (0, 1)
    visits.done(made, "cancel", "app", {})
    assert erase() == (1, 0)
    row = visits.row(made)
    assert {row.buyer, row.device, row.address, row.lat, row.lng} == {None}


def test_complaint__about_a_visit_that_is_known_is_its_buyers_whoever_is_told(visits: Visits) -> None:
    point_id = visits.provider("anna")
    booking = visits.brought(visits.book(point_id, device="phone"), "confirm", "depart", "start", "finish")
    place = {"lat": visits.desk.lat, "lng": LNG, "address": "Lane 99", "buyer": "another"}
    made = visits.done(booking, "complain", "app", {"starts_at": visits.tomorrow(10), "place": place})
    was, row = visits.row(booking), visits.row(made)
    assert (row.buyer, row.device, row.address) == (was.buyer, was.device, was.address)

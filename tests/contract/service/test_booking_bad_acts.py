"""What is said about bookings too late, too early, by the wrong one or in the wrong words changes nothing; on both databases."""

from __future__ import annotations

import uuid
from typing import Any

import httpx
import pytest

from tests.contract.service.desk import Desk
from tests.contract.service.talking import problem
from tests.contract.service.visiting import BAD_TIMES, Visits
from tests.registry import NOW

CONFLICT, FORBIDDEN, NO_KEY = (409, "state-conflict"), (403, "forbidden"), (401, "unauthenticated")
ORDERED = ("confirm", "depart", "start", "finish", "pay")
PROOF = {"end_code": "000000", "written_contract": "A-7"}
BODIES: dict[str, tuple[str, Any]] = {
    "confirm": ("app", None),
    "reschedule": ("app", {"starts_at": "2026-11-26T14:00:00+08:00"}),
    "cancel": ("app", {"reason": "other"}),
    "complain": ("app", {"starts_at": "2026-11-27T14:00:00+08:00", "note": "Dust"}),
    "depart": ("corner", None),
    "start": ("corner", {"code": "000000"}),
    "overrun": ("corner", {"minutes": 10}),
    "finish": ("corner", {"proof": PROOF}),
    "pay": ("corner", {"means": "cash"}),
    "absent": ("corner", {"who": "customer"}),
}
UNCONDITIONAL = {"complain", "overrun"}  # the one makes something new, and the other changes what others read


@pytest.fixture
def visits(desk: Desk) -> Visits:
    desk.registry.clock.at = NOW
    return Visits(desk)


@pytest.fixture
def provider(visits: Visits) -> str:
    return visits.provider("anna")


def _booked(visits: Visits, provider: str, *events: str) -> dict[str, Any]:
    return visits.brought(visits.book(provider, visits.tomorrow(10)), *events)


PROOFS: tuple[Any, ...] = ([], "A-7", None, {"Photo": "x"}, {"photo": 1}, {"photo": ""})
WORDS: tuple[tuple[str, dict[str, Any]], ...] = (
    *(("reschedule", {"starts_at": when}) for when in (*BAD_TIMES[:10], None, 1795000000, True)),
    *(("reschedule", one) for one in ({"crew_id": "anna"}, {"total_minor": 1})),
    *(("cancel", {"reason": reason}) for reason in ("rude", "", 1, None)),
    ("cancel", {"fee_minor": 0}),
    *(("start", {"code": code}) for code in ("00000", "0000000", "00000a", 0, "\uff10" * 6, "", "000000\n", None)),
    ("start", {"at": "2026-11-26T10:00:00+08:00"}),
    *(("overrun", {"minutes": n}) for n in (0, -1, 1441, 1.0, "1", True, 10**23, None)),
    *(("finish", {"proof": proof}) for proof in PROOFS),
    *(("finish", {"proof": {"photo": text}}) for text in ("x" * 201, "a\0b", "a\r\nb", "a\u202eb")),
    ("finish", {"proof": {"a" * n: "x" for n in range(1, 18)}}),
    ("finish", {"code": "000000"}),
    *(("pay", {"means": means}) for means in ("bitcoin", "", 1, None)),
    ("pay", {"total_minor": 1}),
    *(("absent", {"who": who}) for who in ("nobody", "", 1, None)),
    *(("complain", {"note": note}) for note in ("x" * 1001, "a\0b", 1, None)),
    *(("complain", {"starts_at": when}) for when in BAD_TIMES[:10]),
    ("complain", {"total_minor": 0}),
    ("complain", {"place": {"lat": 31.2304, "lng": 121.4737, "address": "door 3"}}),  # of whom?
)


def test_bad_word_about_a_booking__is_refused_and_changes_nothing(visits: Visits, provider: str) -> None:
    booking = _booked(visits, provider)
    before = visits.kept(provider)
    for event, fields in WORDS:
        key, body = BODIES[event]
        answer = visits.act(booking, event, key, body | fields)
        assert problem(answer) in {(422, "validation"), (422, "text-invalid")}, (event, fields)
    assert visits.kept(provider) == before


def test_window_that_is_none__is_no_other_one_to_choose(visits: Visits, provider: str) -> None:
    """Row 58, where the booking could be moved and complained about."""
    confirmed = _booked(visits, provider, "confirm")
    done = visits.brought(visits.book(provider, visits.tomorrow(14)), *ORDERED[:-1])
    visits.desk.registry.clock.at = NOW
    before = visits.kept(provider)
    for when in BAD_TIMES:
        for booking, event in ((confirmed, "reschedule"), (done, "complain")):
            answer = visits.act(booking, event, "app", {"starts_at": when})
            assert problem(answer) == (422, "validation"), (event, when, answer.text)
    assert visits.kept(provider) == before


@pytest.mark.parametrize(
    ("proof", "slug"),
    [
        ({}, "validation"),
        ({"end_code": "{code}"}, "validation"),  # the norm asks for a contract
        ({"written_contract": "A-7"}, "validation"),
        ({"end_code": "{code}", "written_contract": "A-7", "photo": "x"}, "validation"),
        ({"end_code": "{code}", "written_contract": "A-7", "start_code": "{code}"}, "validation"),
        ({"end_code": "{wrong}", "written_contract": "A-7"}, "code-wrong"),
        ({"end_code": "x", "written_contract": "A-7"}, "code-wrong"),
    ],
)
def test_proof_that_the_norm_does_not_ask_for__ends_no_visit(
    visits: Visits, provider: str, proof: dict[str, str], slug: str
) -> None:
    booking = _booked(visits, provider, "confirm", "depart", "start")
    codes = {"{code}": booking["end_code"], "{wrong}": f"{(int(booking['end_code']) + 1) % 1_000_000:06}"}
    before = visits.kept(provider)
    told = {name: codes.get(text, text) for name, text in proof.items()}
    assert problem(visits.act(booking, "finish", "corner", {"proof": told})) == (422, slug)
    assert visits.kept(provider) == before


LATE: dict[str, tuple[tuple[str, ...], str]] = {
    "confirmed twice": (("confirm",), "confirm"),
    "moved while it is held": ((), "reschedule"),
    "moved while somebody comes": (("confirm", "depart"), "reschedule"),
    "set out for while it is held": ((), "depart"),
    "set out for twice": (("confirm", "depart"), "depart"),
    "begun before anybody set out": (("confirm",), "start"),
    "begun twice": (("confirm", "depart", "start"), "start"),
    "longer before it has begun": (("confirm", "depart"), "overrun"),
    "longer once it is over": (("confirm", "depart", "start", "finish"), "overrun"),
    "done before it has begun": (("confirm", "depart"), "finish"),
    "done twice": (("confirm", "depart", "start", "finish"), "finish"),
    "cancelled once it has begun": (("confirm", "depart", "start"), "cancel"),
    "cancelled once it is done": (("confirm", "depart", "start", "finish"), "cancel"),
    "paid before it is done": (("confirm", "depart", "start"), "pay"),
    "paid twice": (ORDERED, "pay"),
    "complained about before it is done": (("confirm", "depart", "start"), "complain"),
    "absent before anybody set out": (("confirm",), "absent"),
    "absent before he was waited for": (("confirm", "depart"), "absent"),
    "absent once it has begun": (("confirm", "depart", "start"), "absent"),
}


@pytest.mark.parametrize("late", LATE)
def test_what_comes_too_late_or_too_early__is_a_conflict(visits: Visits, provider: str, late: str) -> None:
    """Row 50."""
    events, event = LATE[late]
    booking = _booked(visits, provider, *events)
    key, body = BODIES[event]
    before = visits.kept(provider)
    assert problem(visits.act(booking, event, key, body)) == CONFLICT
    assert visits.kept(provider) == before


@pytest.mark.parametrize("how", ["cancelled", "expired"])
@pytest.mark.parametrize("event", BODIES)
def test_visit_that_is_given_up__stays_so(visits: Visits, provider: str, how: str, event: str) -> None:
    booking = _booked(visits, provider)
    if how == "cancelled":
        visits.done(booking, "cancel", "app", {})
    else:
        visits.desk.pass_until(booking["expires_at"])
    assert visits.read(booking)["state"] == how
    key, body = BODIES[event]
    before = visits.kept(provider)
    assert problem(visits.act(booking, event, key, body)) == CONFLICT
    assert visits.kept(provider) == before


def test_hold_whose_time_is_over__is_not_confirmed_before_that_is_noticed(visits: Visits, provider: str) -> None:
    booking = _booked(visits, provider)
    visits.desk.registry.clock.at += visits.left(booking, "expires_at")
    before = visits.kept(provider)
    assert problem(visits.act(booking, "confirm", "app")) == CONFLICT
    assert visits.kept(provider) == before


def test_absence__is_told_by_the_side_that_came_and_once_it_is_sure(visits: Visits, provider: str) -> None:
    booking = _booked(visits, provider, "confirm", "depart")
    before = visits.kept(provider)
    visits.desk.registry.clock.at += visits.left(booking, "ends_at", -1)
    for key, who in (("app", "customer"), ("corner", "crew"), ("app", "crew")):
        assert problem(visits.act(booking, "absent", key, {"who": who})) == CONFLICT, (key, who)
    assert visits.kept(provider) == before
    assert visits.done(booking, "absent", "corner", {"who": "customer"})["state"] == "customer_absent"
    other = visits.brought(visits.book(provider), "confirm")
    visits.desk.registry.clock.at += visits.left(other, "ends_at")
    assert visits.done(other, "absent", "app", {"who": "crew"})["state"] == "crew_absent"


def test_complaint__makes_one_visit_good_once_and_in_time(visits: Visits, provider: str) -> None:
    booking = _booked(visits, provider, *ORDERED)
    made = visits.done(booking, "complain", "app", {"starts_at": "2026-11-27T14:00:00+08:00"})
    assert (made["total_minor"], made["complaint_of"]) == (0, booking["booking_id"])
    before = visits.kept(provider)
    again = {"starts_at": "2026-11-27T10:00:00+08:00"}
    assert problem(visits.act(booking, "complain", "app", again)) == CONFLICT
    assert visits.kept(provider) == before
    visits.done(made, "cancel", "app", {})
    made = visits.done(booking, "complain", "app", again)
    visits.done(made, "cancel", "corner", {"reason": "no_crew"})
    visits.desk.pass_until(booking["complain_until"], 1)
    before = visits.kept(provider)
    late = visits.act(booking, "complain", "app", {"starts_at": "2026-12-01T10:00:00+08:00"})
    assert problem(late) == CONFLICT
    assert visits.kept(provider) == before


@pytest.mark.parametrize("event", sorted(BODIES.keys() - UNCONDITIONAL))
def test_stale_condition__is_refused_before_all_else(visits: Visits, provider: str, event: str) -> None:
    """Row 51: a condition may be left out, since each event is one that comes once."""
    booking = _booked(visits, provider)
    key, body = BODIES[event]
    given: dict[str, Any] = {} if body is None else {"json": body}
    path, before = f"/v1/bookings/{booking['booking_id']}:{event}", visits.kept(provider)
    for tag in ('"99"', 'W/"1"', '"1'):
        answer = visits.desk.send("POST", path, key, headers={"If-Match": tag}, **given)
        assert problem(answer) == (412, "precondition-failed")
    assert visits.kept(provider) == before
    if event in {"confirm", "cancel"}:
        assert visits.desk.send("POST", path, key, headers={"If-Match": '"1"'}, **given).status_code == 200


def test_merchants_acts__are_forbidden_to_apps_and_apps_acts_to_crews(visits: Visits, provider: str) -> None:
    """Row 53."""
    visits.add_key("planner", "planner")
    visits.add_crew_key(provider, "anna")
    booking = _booked(visits, provider, "confirm")
    before = visits.kept(provider)
    forbidden = {
        "app": ("depart", "start", "overrun", "finish", "pay"),
        "corner": ("confirm", "reschedule", "complain"),
        "anna": ("confirm", "reschedule", "complain"),
        "station": BODIES,
        "planner": BODIES,
    }
    for key, events in forbidden.items():
        for event in events:
            assert problem(visits.act(booking, event, key, BODIES[event][1])) == FORBIDDEN, (key, event)
    for key in ("corner", "station", "planner", "anna"):
        assert problem(visits.ask(visits.body(provider, visits.tomorrow(14)), key)) == FORBIDDEN
    for key in ("station", "planner", "anna"):
        assert problem(visits.ask_slots(provider, key)) == FORBIDDEN
        assert problem(visits.desk.send("GET", "/v1/bookings", key)) == FORBIDDEN
    assert visits.kept(provider) == before


@pytest.mark.parametrize("key", ["", "Bearer", "Bearer x", "Basic {key}", "Bearer {key}x", "Bearer {altered}", "{key}"])
def test_bad_key__opens_nothing(visits: Visits, provider: str, key: str) -> None:
    """Row 54."""
    registry, booking = visits.desk.registry, _booked(visits, provider)
    before, secret = visits.kept(provider), registry.keys["app"]
    told = key.format(key=secret, altered=secret[:-1] + ("A" if secret[-1] != "A" else "B"))
    headers = {"Idempotency-Key": uuid.uuid4().hex} | ({"Authorization": told} if told else {})

    def sent(method: str, path: str, body: Any = None) -> httpx.Response:
        return registry.send(method, path, key=None, headers=headers, **({} if body is None else {"json": body}))

    path = f"/v1/bookings/{booking['booking_id']}"
    answers = [sent("GET", path), sent("GET", "/v1/slots"), sent("POST", f"{path}:cancel", BODIES["cancel"][1])]
    answers.append(sent("POST", "/v1/bookings", visits.body(provider, visits.tomorrow(14))))
    assert {problem(answer) for answer in answers} == {NO_KEY}
    assert len({answer.content for answer in answers}) == 1
    assert visits.kept(provider) == before


def test_visits_that_the_merchant_could_not_keep__do_not_make_their_buyer_wait(visits: Visits, provider: str) -> None:
    """Ten within an hour, of a device that many share: cancelled, or held and lost as their crew fell ill."""
    visits.service(provider, minutes=5)
    body = visits.body(provider, visits.tomorrow(10), device="at the desk")
    for number in range(10):
        booking = visits.ask(body | {"buyer": f"buyer {number}"}).json()
        visits.done(booking, "cancel", "corner", {"reason": "closed"})
    lost = visits.ask(body | {"buyer": "another"}).json()
    path, until = f"/v1/points/{provider}/crews/anna", visits.tomorrow(20)
    visits.desk.send("POST", f"{path}:ill", "corner", json={"until": until})
    assert visits.read(lost)["state"] == "expired"
    (ill,) = visits.desk.send("GET", f"{path}/busy", "corner").json()["items"]
    visits.desk.send("DELETE", f"{path}/busy/{ill['engagement_id']}", "corner")
    assert visits.ask(body | {"buyer": "a third"}).status_code == 201


def test_too_many_visits_of_one_buyer__are_refused_and_given_up_ones_make_him_wait(
    visits: Visits, provider: str
) -> None:
    """Row 60, as far as it is about buyers; that of keys holds for every route."""
    visits.service(provider, minutes=5)
    body = visits.body(provider, visits.tomorrow(10), buyer="a hoarder")
    held = [visits.ask(body).json() for _ in range(3)]
    before = visits.kept(provider)
    assert problem(visits.ask(body)) == CONFLICT
    assert problem(visits.ask(body | {"device": "b", "buyer": "a hoarder"})) == CONFLICT
    assert visits.kept(provider) == before
    for _ in range(8):
        visits.done(held.pop(), "cancel", "app", {})
        answer = visits.ask(body)
        if answer.status_code == 429:
            break
        held.append(answer.json())
    for booking in held:
        visits.done(booking, "cancel", "app", {})
    before = visits.kept(provider)
    answer = visits.ask(body)
    assert problem(answer) == (429, "rate-limited")
    assert int(answer.headers["retry-after"]) > 0
    assert visits.kept(provider) == before
    visits.desk.pass_(3_601)
    assert visits.ask(body).status_code == 201

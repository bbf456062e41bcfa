"""The rows of "Bad inputs" that slots and bookings can meet: each gets its status and slug, and changes nothing; on both databases."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Callable
from typing import Any, NamedTuple

import httpx
import pytest

from service.http.problems import PROBLEMS
from tests.contract.service.desk import Desk
from tests.contract.service.talking import problem
from tests.contract.service.visiting import BAD_TIMES, CREW, Visits
from tests.registry import NOW

BAD, NO_JSON, NO_TEXT, OUT = "validation", "invalid-json", "text-invalid", "coordinate-out-of-range"


class Case(NamedTuple):
    """A row of the table, what is sent in place of a good booking's field, and what it must get."""

    row: int
    field: str
    slug: str


CASES = (
    *(Case(9, f'"{name}":{n}', BAD) for name in ("lat", "lng") for n in ("true", '"31.2"', "null", "[]")),
    *(
        Case(11, f'"{name}":"x"', BAD)
        for name in ("state", "crew_id", "merchant_id", "owner", "price_minor", "fee_minor", "start_code", "ends_at")
    ),
    *(Case(58, f'"starts_at":{json.dumps(when)}', BAD) for when in BAD_TIMES),
    *(Case(58, f'"starts_at":{when}', BAD) for when in ("1795000000", "null", "true", "[]")),
    *(Case(59, f'"total_minor":{n}', BAD) for n in ("-1", "2000.0", "19.99", '"2000"', "1e3", "true", str(2**53))),
    Case(1, '"lat":NaN', NO_JSON),
    Case(1, '"lng":-Infinity', NO_JSON),
    Case(2, '"lat":1e999', OUT),
    Case(4, '"buyer":"\\ud800"', NO_TEXT),
    Case(4, '"address":"\\udc00"', NO_TEXT),
    *(Case(5, f'"{name}":"a\\u0000b"', NO_TEXT) for name in ("address", "buyer", "device", "point_id")),
    *(Case(5, f'"address":"a{text}b"', NO_TEXT) for text in ("\\r\\n", "\\u202e")),
    *(Case(5, f'"address":{text}', BAD) for text in ('""', f'"{"x" * 201}"', "1", "null", "[]")),
    *(Case(5, f'"buyer":{text}', BAD) for text in ('""', f'"{"x" * 129}"', "1", "null")),
    *(Case(5, f'"device":{text}', BAD) for text in ('""', f'"{"x" * 129}"', "1")),
    *(Case(0, f'"service_id":{text}', BAD) for text in ('"Clean"', '"../x"', '"x"', f'"{"x" * 41}"', "1", "null")),
    Case(0, '"point_id":1', BAD),
    Case(0, f'"point_id":"corner:{"x" * 200}"', BAD),
    Case(0, '"datum":"wgs72"', BAD),
    Case(6, '"lat":31.2,"lat":31.2', NO_JSON),
    *(Case(21, f'"lat":{n}', OUT) for n in ("91", "-90.0001", "1e300")),
    *(Case(22, f'"lng":{n}', OUT) for n in ("-180.0001", "1000")),
    *(Case(52, f'"point_id":"{name}"', "not-found") for name in ("corner:nowhere", "rival:visits", "..%2f", "")),
    Case(52, '"service_id":"dusting"', "not-found"),
)


@pytest.fixture
def visits(desk: Desk) -> Visits:
    desk.registry.clock.at = NOW
    return Visits(desk)


@pytest.fixture
def provider(visits: Visits) -> str:
    return visits.provider("anna")


def _sent(visits: Visits, path: str, content: bytes) -> httpx.Response:
    headers = {"Content-Type": "application/json", "Idempotency-Key": uuid.uuid4().hex}
    return visits.desk.send("POST", path, content=content, headers=headers)


def _text(body: dict[str, Any], field: str) -> bytes:
    """Return a body with a field that is given in the place of its own."""
    rest = {name: value for name, value in body.items() if name != field.split('"')[1]}
    return f"{json.dumps(rest)[:-1]},{field}}}".encode()


def test_bad_booking__gets_its_status_and_slug_and_holds_nothing(visits: Visits, provider: str) -> None:
    body, before = visits.body(provider, visits.tomorrow(10)), visits.kept(provider)
    for case in CASES:
        answer = _sent(visits, "/v1/bookings", _text(body, case.field))
        assert problem(answer) == (PROBLEMS[case.slug].status, case.slug), (case, answer.text)
        assert "Lane 7" not in answer.text
    assert visits.kept(provider) == before
    good = _sent(visits, "/v1/bookings", _text(body, '"datum":"wgs84"'))
    assert good.status_code == 201, good.text
    assert visits.kept(provider) != before


SLOTS: dict[str, tuple[str, ...]] = {
    "lat": ("", "1_0", " 31.2", "+31.2", "31,2", "\uff13\uff11", "0x1f", "true"),
    "lng": ("", "1_0", "121.4 ", "x"),
    "days": ("0", "-1", "15", "1000000000", "1.0", "1_0", " 1", "x", ""),
    "from_day": ("2027-02-29", "9999-12-31", "0001-01-01", "2026-11-24", "2026-1-1", "2026-11-26T00:00:00Z", "x", ""),
    "datum": ("wgs72", ""),
    "service": ("x" * 41,),
    "point": ("x" * 201,),
    "at": ("2026-11-26T10:00:00Z",),  # it is not known here
}
OUTSIDE = {"lat": ("91", "-90.0001", "nan", "inf", "1e300"), "lng": ("180.0001", "1000", "-inf", "nan")}


def test_bad_question_for_slots__gets_its_status_and_slug(visits: Visits, provider: str) -> None:
    """Rows 3, 20-22, 25, 52 and 58."""
    for slug, wrong in ((BAD, SLOTS), (OUT, OUTSIDE)):
        for name, texts in wrong.items():
            for text in texts:
                answer = visits.ask_slots(provider, **{name: text})
                assert problem(answer) == (422, slug), (name, text, answer.text)
    twice = visits.desk.send("GET", f"/v1/slots?point={provider}&service=clean&lat=31.2&lat=31.2&lng=121.4")
    assert problem(twice) == (422, BAD)
    nowhere = [visits.ask_slots(name) for name in ("corner:nowhere", "..%2f", "x")]
    nowhere.append(visits.ask_slots(provider, service="dusting"))
    assert {problem(answer) for answer in nowhere} == {(404, "not-found")}
    assert len({answer.content for answer in nowhere}) == 1
    assert problem(visits.ask_slots("a\0b")) == (422, NO_TEXT)


def test_provider_of_a_suspended_merchant__is_not_told_from_none(visits: Visits, provider: str) -> None:
    body = visits.body(provider, visits.tomorrow(10))
    desk = visits.desk
    try:
        assert desk.send("POST", "/v1/merchants/corner:suspend", "admin", headers={"If-Match": "*"}).is_success
        asked = visits.ask_slots(provider), _sent(visits, "/v1/bookings", _text(body, '"datum":"wgs84"'))
        assert [answer.content for answer in asked] == [visits.ask_slots("corner:nowhere").content] * 2
        assert {problem(answer) for answer in asked} == {(404, "not-found")}
    finally:
        assert desk.send("POST", "/v1/merchants/corner:reinstate", "admin", headers={"If-Match": "*"}).is_success


JSON = {"Content-Type": "application/json"}
ONCE: dict[str, tuple[list[tuple[str, str]], tuple[int, str]]] = {
    "none": ([], (400, "idempotency-key-missing")),
    "empty": ([("Idempotency-Key", "")], (400, "idempotency-key-invalid")),
    "256 characters": ([("Idempotency-Key", "x" * 256)], (400, "idempotency-key-invalid")),
    "a control character": ([("Idempotency-Key", "a\x01b")], (400, "idempotency-key-invalid")),
    "beyond ASCII": ([("Idempotency-Key", "a\xe9")], (400, "idempotency-key-invalid")),
    "twice": ([("Idempotency-Key", "a"), ("Idempotency-Key", "a")], (400, "idempotency-key-invalid")),
}


@pytest.mark.parametrize("kind", ONCE)
def test_booking_without_one_good_idempotency_key__is_refused(visits: Visits, provider: str, kind: str) -> None:
    """Rows 45 and 48."""
    given, wanted = ONCE[kind]
    registry, before = visits.desk.registry, visits.kept(provider)
    headers = [*JSON.items(), ("Authorization", f"Bearer {registry.keys['app']}"), *given]
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers]
    content = json.dumps(visits.body(provider, visits.tomorrow(10))).encode()
    answer = registry.runner.run(registry.client.request("POST", "/v1/bookings", content=content, headers=raw))
    assert problem(answer) == wanted
    assert visits.kept(provider) == before


@pytest.mark.parametrize(
    "changed", [{"address": "Lane 8"}, {"lat": 31.0}, {"buyer": "another"}, {"starts_at": "2026-11-26T12:00:00+08:00"}]
)
def test_same_key__with_another_body_is_refused(visits: Visits, provider: str, changed: dict[str, Any]) -> None:
    """Row 46; the same body gets the same booking."""
    body, key = visits.body(provider, visits.tomorrow(10)), uuid.uuid4().hex
    first = visits.ask(body, once=key)
    assert first.status_code == 201
    before = visits.kept(provider)
    assert problem(visits.ask(body | changed, once=key)) == (422, "idempotency-key-reused")
    again = visits.ask(body, once=key)
    assert (again.content, again.headers["idempotency-replayed"]) == (first.content, "true")
    assert visits.kept(provider) == before


def test_same_key_while_it_runs__is_told_to_wait(visits: Visits, provider: str) -> None:
    """Row 47: of bookings with one key at once one is made, and the others get it, or are told to wait."""
    body, n_told = visits.body(provider, visits.tomorrow(10)), 0
    for _ in range(50):
        key = uuid.uuid4().hex
        answers = visits.asked_at_once([body | {"buyer": key}] * 5, [key] * 5)
        told = [answer for answer in answers if answer.status_code == 409]
        made = [answer for answer in answers if answer.status_code == 201]
        assert made
        assert len(made) + len(told) == len(answers)
        assert {problem(answer) for answer in told} <= {(409, "idempotency-in-progress")}
        assert {answer.headers["retry-after"] for answer in told} <= {"1"}
        (booking_id,) = {answer.json()["booking_id"] for answer in made}
        n_told += len(told)
        visits.done({"booking_id": booking_id}, "cancel", "app", {})
        if n_told:
            return
    pytest.fail("they did not meet")


def test_slot_that_is_taken__is_sold_out_and_nothing_changes(visits: Visits, provider: str) -> None:
    """Row 49: two who want one minute of one crew, and a price that has changed."""
    visits.service(provider, window_minutes=0)
    booking = visits.book(provider, visits.tomorrow(10))
    before = visits.kept(provider)
    for hour, minute in ((10, 0), (9, 0), (11, 30)):
        body, key = visits.body(provider, visits.tomorrow(hour, minute)), uuid.uuid4().hex
        answer = visits.ask(body, once=key)
        assert problem(answer) == (409, "sold-out")
        assert answer.json()["reason"] == "no_crew"
        assert visits.ask(body, once=key).content == answer.content  # it stays refused
    assert problem(visits.ask(visits.body(provider, visits.tomorrow(14), total_minor=1))) == (409, "price-changed")
    assert problem(visits.act(booking, "reschedule", "app", {"starts_at": visits.tomorrow(4)})) == (
        409,
        "state-conflict",
    )
    assert visits.kept(provider) == before


def test_confirmed_visit__is_moved_to_no_slot_that_is_taken(visits: Visits, provider: str) -> None:
    """Row 49: it stays where it was."""
    visits.service(provider, window_minutes=0)
    visits.brought(visits.book(provider, visits.tomorrow(10)), "confirm")
    booking = visits.brought(visits.book(provider, visits.tomorrow(14)), "confirm")
    before = visits.kept(provider)
    for hour in (9, 10, 11, 4, 17):
        answer = visits.act(booking, "reschedule", "app", {"starts_at": visits.tomorrow(hour)})
        assert problem(answer) == (409, "sold-out"), hour
    assert visits.kept(provider) == before
    assert visits.done(booking, "reschedule", "app", {"starts_at": visits.tomorrow(15)})["state"] == "confirmed"


def test_place_that_is_not_served__is_not_feasible_and_nothing_changes(visits: Visits, provider: str) -> None:
    before = visits.kept(provider)
    far = visits.body(provider, visits.tomorrow(10), lat=visits.desk.lat + 0.09)
    assert problem(visits.ask(far)) == (409, "not-feasible")
    soon = visits.body(provider, (NOW + dt.timedelta(minutes=30)).isoformat())
    assert visits.ask(soon).json()["reason"] == "too_soon"
    assert visits.kept(provider) == before


NO_BOOKINGS: tuple[Callable[[str], str], ...] = (
    lambda _: "vis_" + "0" * 26,
    lambda _: "ord_" + "0" * 26,
    lambda booking_id: booking_id[:-1],
    lambda booking_id: booking_id.upper(),
    lambda _: "..%2f",
    lambda _: "a%00b",
    lambda booking_id: f"{booking_id}%20",
)


def test_booking_that_is_not_there_or_not_ones_own__is_one_that_nobody_knows(visits: Visits, provider: str) -> None:
    """Row 52."""
    booking_id = visits.book(provider, visits.tomorrow(10))["booking_id"]
    others = visits.ask(visits.body(provider, visits.tomorrow(14)), "other-app").json()["booking_id"]
    before = visits.kept(provider)
    for key, ids in (("app", [others]), ("rival", [booking_id, others])):
        names = [named(booking_id) for named in NO_BOOKINGS] + ids
        for path in ("", "/events"):
            answers = [visits.desk.send("GET", f"/v1/bookings/{name}{path}", key) for name in names]
            assert {problem(answer) for answer in answers} == {(404, "not-found")}
            assert len({answer.content for answer in answers}) == 1
        answers = [
            visits.desk.send("POST", f"/v1/bookings/{name}:cancel", key, json={"reason": "other"}) for name in names
        ]
        assert {problem(answer) for answer in answers} == {(404, "not-found")}
        assert len({answer.content for answer in answers}) == 1
    assert visits.kept(provider) == before


def test_swapped_coordinates__are_told_by_their_place(visits: Visits, provider: str) -> None:
    wrong = {"lat": 121.4737, "lng": 31.2304}
    crew = f"/v1/points/{provider}/crews/cara"
    for where, answer in {
        "/lat": visits.ask(visits.body(provider, visits.tomorrow(10)) | wrong),
        "/start/lat": visits.desk.send("PUT", crew, "corner", json={**CREW, "start": wrong}),
        "lat": visits.ask_slots(provider, lat=wrong["lat"], lng=wrong["lng"]),
    }.items():
        assert problem(answer) == (422, OUT)
        (told,) = answer.json()["errors"]
        assert told == {"where": where, "reason": "must be in [-90, 90], got 121.4737; swapped with lng?"}
        assert answer.json()["detail"] == f"{where} {told['reason']}"

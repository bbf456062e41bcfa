"""The rows of "Bad inputs" that orders can meet: each gets its status and slug, and holds nothing; on both databases."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Callable
from typing import Any, NamedTuple, get_args

import httpx
import pytest

from service.http.problems import PROBLEMS
from service.orders.rules import State, StateName
from tests.contract.service.desk import Desk
from tests.contract.service.talking import problem
from tests.registry import NOW

BAD, NO_JSON, NO_TEXT, OUT = "validation", "invalid-json", "text-invalid", "coordinate-out-of-range"
WHEN = (
    "2026-11-26T10:00:00",  # without a zone
    "2026-11-26 10:00:00+08:00",
    "9999-12-31T00:00:00Z",
    "2027-02-29T00:00:00Z",
    "2026-11-26T10:00:60Z",
    "2026-11-26T24:00:00Z",
    "2026-13-01T00:00:00Z",
    "1795000000",
    (NOW - dt.timedelta(seconds=1)).isoformat(),  # it is over
    (NOW + dt.timedelta(days=500)).isoformat(),
)


class Case(NamedTuple):
    """A row of the table, what is sent in place of a good order's fields, and what it must get."""

    row: int
    fields: str
    slug: str


def _items(text: str) -> str:
    return f'"items":[{text}]'


CASES = (
    *(Case(9, _items(f'{{"sku":"milk","quantity":{n}}}'), BAD) for n in ("1.0", '"1"', "1e2", "true", "null", "[1]")),
    *(Case(9, f'"lat":{n}', BAD) for n in ("true", '"31.2"', "null", "[]")),
    *(Case(10, _items(f'{{"sku":"milk","quantity":{n}}}'), BAD) for n in ("0", "-1", "1000", "1" + "0" * 23)),
    Case(10, _items(",".join(f'{{"sku":"s{n}"}}' for n in range(101))), BAD),
    Case(10, _items('{"sku":"milk"},{"sku":"milk"}'), BAD),  # an SKU twice
    *(
        Case(11, f'"{name}":"x"', BAD)
        for name in ("status", "state", "price", "merchant_id", "owner", "code", "fee_minor")
    ),
    *(Case(11, _items(f'{{"sku":"milk","{name}":1}}'), BAD) for name in ("price_minor", "currency", "name", "line")),
    Case(11, '"payment":"online"', BAD),  # a hold comes first
    Case(11, '"payment":"paid"', BAD),
    *(Case(58, f'"at":{json.dumps(when)}', BAD) for when in WHEN),
    Case(58, '"at":1795000000', BAD),
    *(Case(59, f'"total_minor":{n}', BAD) for n in ("-1", "2000.0", "19.99", '"2000"', "1e3", "true", str(2**53))),
    *(Case(59, _items(f'{{"sku":{n}}}'), BAD) for n in ('""', '"a b"', '"../x"', f'"{"x" * 65}"', "1", "null")),
    Case(1, '"lat":NaN', NO_JSON),
    Case(2, '"lat":1e999', OUT),
    Case(4, '"buyer":"\\ud800"', NO_TEXT),
    Case(5, '"buyer":"a\\u0000b"', NO_TEXT),
    Case(5, '"device":"a\\r\\nb"', NO_TEXT),
    Case(5, '"collector":"a\\u202eb"', NO_TEXT),
    Case(5, f'"buyer":"{"x" * 129}"', BAD),
    Case(5, '"buyer":""', BAD),
    Case(6, '"lat":31.2,"lat":31.2', NO_JSON),
    Case(21, '"lat":91', OUT),
    Case(22, '"lng":-180.0001', OUT),
    Case(0, '"offer":"retail/delivery"', BAD),
    Case(0, '"offer":"nothing/pickup"', BAD),
    Case(0, '"unknown_hours":"maybe"', BAD),
    Case(0, '"datum":"wgs72"', BAD),
    Case(0, '"features":["Lift"]', BAD),
    Case(52, '"point_id":"corner:nowhere"', "not-found"),
    Case(52, '"point_id":"..%2f"', "not-found"),
    Case(52, '"point_id":"a\\u0000b"', NO_TEXT),
)


@pytest.fixture
def shop(desk: Desk) -> str:
    desk.registry.clock.at = NOW
    return desk.shop(stock={"milk": 5})


def _sent(desk: Desk, path: str, content: bytes, headers: dict[str, str] | None = None) -> httpx.Response:
    told = {"Content-Type": "application/json", "Idempotency-Key": uuid.uuid4().hex} if headers is None else headers
    return desk.send("POST", path, content=content, headers=told)


def _text(desk: Desk, shop: str, fields: str) -> bytes:
    """Return the body of a good order, with the fields that are given in the place of its own."""
    given = {json.loads(f'"{part}"') for part in _names(fields)}
    rest = {name: value for name, value in desk.body(shop, {"milk": 1}).items() if name not in given}
    return f"{json.dumps(rest)[:-1]},{fields}}}".encode()


def _names(fields: str) -> list[str]:
    return [fields.split('"')[1]]


@pytest.mark.parametrize("path", ["/v1/orders", "/v1/orders:quote"])
def test_bad_order__gets_its_status_and_slug_and_holds_nothing(desk: Desk, shop: str, path: str) -> None:
    for case in CASES:
        answer = _sent(desk, path, _text(desk, shop, case.fields))
        assert problem(answer) == (PROBLEMS[case.slug].status, case.slug), (case, answer.text)
    assert (desk.stock(shop, "milk"), desk.in_work(shop)) == ((5, 0), 0)
    good = _sent(desk, path, _text(desk, shop, '"features":[]'))
    assert good.is_success, good.text


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
def test_order_without_one_good_idempotency_key__is_refused(desk: Desk, shop: str, kind: str) -> None:
    """Rows 45 and 48."""
    given, wanted = ONCE[kind]
    registry = desk.registry
    headers = [*JSON.items(), ("Authorization", f"Bearer {registry.keys['app']}"), *given]
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers]
    content = json.dumps(desk.body(shop, {"milk": 1})).encode()
    answer = registry.runner.run(registry.client.request("POST", "/v1/orders", content=content, headers=raw))
    assert problem(answer) == wanted
    assert desk.stock(shop, "milk") == (5, 0)


def test_order_that_costs_more_than_any_sum__is_refused(desk: Desk) -> None:
    shop = desk.shop()
    for sku in ("gold", "platinum"):
        desk.count(shop, sku, None, price_minor=2**53 - 1)
    dear, dearer = desk.body(shop, {"gold": 2}), desk.body(shop, {"gold": 999, "platinum": 999})
    for body in (dear, dearer):
        assert problem(desk.ask(body)) == (422, "validation")
        assert problem(desk.send("POST", "/v1/orders:quote", json=body)) == (422, "validation")
    assert desk.order(shop, {"gold": 1})["total_minor"] == 2**53 - 1


def test_more_than_there_is__is_sold_out_and_nothing_is_taken(desk: Desk, shop: str) -> None:
    """Row 49."""
    told = desk.refused(desk.ask(desk.body(shop, {"milk": 6})))
    assert (told["reason"], told["sku"], desk.stock(shop, "milk")) == ("out_of_stock", "milk", (5, 0))
    slot = desk.shop(offer={"slot": {"orders": 1, "minutes": 60}})
    desk.order(slot)
    assert desk.refused(desk.ask(desk.body(slot)))["reason"] == "full"
    assert list(desk.taken(slot).values()) == [1]


ORDERS = ("place", "cancel", "accept", "ready", "reject", "offer", "answer", "collect")
BODIES: dict[str, tuple[str, dict[str, Any]]] = {
    "place": ("app", {"payment": "counter"}),
    "reject": ("corner", {"reason": "other"}),
    "offer": ("corner", {"line": 1, "sku": "bread", "quantity": 1}),
    "answer": ("app", {"line": 2, "takes": True}),
    "collect": ("corner", {"code": "000000"}),
}


@pytest.mark.parametrize(
    ("event", "fields"),
    [
        *(("place", one) for one in ({"payment": "cash"}, {"means": "a\nb"}, {"total_minor": 1}, {"payment": None})),
        *(("reject", one) for one in ({"reason": "rude"}, {"reason": 1}, {"to": "corner:2"})),
        *(("offer", {"quantity": n}) for n in (0, -1, 1.0, "1", True, 10**23, 1000)),
        *(("offer", one) for one in ({"line": 0}, {"line": "1"}, {"sku": "a b"}, {"price_minor": 1})),
        *(("answer", one) for one in ({"takes": 1}, {"takes": "yes"}, {"takes": None}, {"line": 0})),
        *(("collect", {"code": code}) for code in ("00000", "0000000", "00000a", 0, "\uff10" * 6, "", "000000\n")),
        ("collect", {"collector": ""}),
    ],
)
def test_bad_word_about_an_order__is_refused_and_changes_nothing(
    desk: Desk, shop: str, event: str, fields: dict[str, Any]
) -> None:
    order = desk.order(shop, {"milk": 1})
    key, body = BODIES[event]
    answer = desk.act(order, event, key, body | fields)
    assert answer.status_code == 422
    assert problem(answer)[1] in {"validation", "text-invalid"}
    assert desk.read(order) == order
    if event == "collect":  # no try was counted
        assert {problem(desk.act(order, event, key, body)) for _ in range(5)} == {(422, "code-wrong")}


def _past(desk: Desk, shop: str, *events: str) -> dict[str, Any]:
    return desk.brought(desk.order(shop, {"milk": 1}), *events)


LATE: dict[str, tuple[tuple[str, ...], str, str, Any]] = {
    "collected twice": (("place", "accept", "ready", "collect"), "collect", "corner", {"code": "000000"}),
    "cancelled once collected": (("place", "accept", "ready", "collect"), "cancel", "app", None),
    "placed twice": (("place",), "place", "app", {"payment": "counter"}),
    "paid once placed": (("place",), "place", "app", {"payment": "online"}),
    "accepted before it is placed": ((), "accept", "corner", None),
    "ready before it is accepted": (("place",), "ready", "corner", None),
}


@pytest.mark.parametrize("late", LATE)
def test_what_comes_too_late_or_too_early__is_a_conflict(desk: Desk, shop: str, late: str) -> None:
    """Row 50."""
    events, event, key, body = LATE[late]
    order = _past(desk, shop, *events)
    assert problem(desk.act(order, event, key, body)) == (409, "state-conflict")
    assert desk.read(order) == order


@pytest.mark.parametrize("how", [{"payment": "counter"}, {"payment": "online"}])
def test_hold_that_has_expired__cannot_be_paid(desk: Desk, shop: str, how: dict[str, str]) -> None:
    order = desk.order(shop, {"milk": 1})
    desk.pass_(600)
    assert problem(desk.act(order, "place", "app", how)) == (409, "state-conflict")


@pytest.mark.parametrize("event", ORDERS)
def test_stale_condition__is_refused_before_all_else(desk: Desk, shop: str, event: str) -> None:
    """Row 51: a condition may be left out, since each event is one that comes once."""
    if event == "collect":  # a code is no change of what was read
        return
    order = desk.order(shop, {"milk": 1})
    key, body = BODIES.get(event, ("app" if event == "cancel" else "corner", {}))
    given: dict[str, Any] = {"json": body} if body else {}
    path = f"/v1/orders/{order['order_id']}:{event}"
    for tag in ('"99"', 'W/"1"'):
        answer = desk.send("POST", path, key, headers={"If-Match": tag}, **given)
        assert problem(answer) == (412, "precondition-failed")
    assert desk.read(order) == order
    if event in {"place", "cancel"}:
        assert desk.send("POST", path, key, headers={"If-Match": '"1"'}, **given).status_code == 200


NO_ORDERS: tuple[Callable[[str], str], ...] = (
    lambda _: "ord_" + "0" * 26,
    lambda order_id: order_id[:-1],
    lambda order_id: order_id.upper(),
    lambda _: "..%2f",
    lambda _: "a%00b",
    lambda order_id: f"{order_id}%20",
)


def test_order_that_is_not_there_or_not_ones_own__is_one_that_nobody_knows(desk: Desk, shop: str) -> None:
    """Row 52."""
    order_id = desk.order(shop, {"milk": 1})["order_id"]
    others = desk.ask(desk.body(shop, {"milk": 1}), "other-app").json()["order_id"]
    for path in ("", "/events"):
        paths = [f"/v1/orders/{named(order_id)}{path}" for named in NO_ORDERS] + [f"/v1/orders/{others}{path}"]
        answers = [desk.send("GET", one, "app") for one in paths]
        assert {problem(answer) for answer in answers} == {(404, "not-found")}
        assert len({answer.content for answer in answers}) == 1


@pytest.mark.parametrize("state", ["canceled", "PLACED", "confirmed", ""])
def test_list__of_a_state_that_there_is_not_is_refused(desk: Desk, state: str) -> None:
    answer = desk.send("GET", "/v1/orders", params={"state": state})
    assert problem(answer) == (422, "validation")
    assert answer.json()["errors"][0]["where"] == "state"


def test_list__takes_every_state(desk: Desk) -> None:
    assert get_args(StateName) == tuple(State)
    for state in State:
        assert desk.send("GET", "/v1/orders", params={"state": state.value}).status_code == 200


@pytest.mark.parametrize("path", ["/v1/orders", "/v1/orders:quote"])
def test_swapped_coordinates__are_told_by_their_place_in_the_body(desk: Desk, path: str) -> None:
    body = desk.body(desk.shop()) | {"lat": 121.4737, "lng": 31.2304}
    answer = desk.send("POST", path, json=body, headers={"Idempotency-Key": uuid.uuid4().hex})
    assert problem(answer) == (422, OUT)
    reason = "must be in [-90, 90], got 121.4737; swapped with lng?"
    assert answer.json()["errors"] == [{"where": "/lat", "reason": reason}]
    assert answer.json()["detail"] == f"/lat {reason}"

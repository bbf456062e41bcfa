"""An order that no point alone takes over is divided between the fewest, if app and merchant allow it: on both databases."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from engine import Engine
from engine.splits import Split
from service.orders.acting import Act, act, locked_order
from service.orders.rules import Event, Party
from service.payments.sandbox import SandboxProvider
from service.places import centre_of, coarse_cell
from service.store.connections import WriteConnection
from tests.contract.service.desk import LNG, Desk
from tests.contract.service.talking import problem

REJECTED = {"reason": "out_of_stock"}
WANTED = {"milk": 2, "bread": 1}
FULL_AFTER_ONE: dict[str, Any] = {"slot": {"orders": 1, "minutes": 60}}


@pytest.fixture
def at(desk: Desk) -> str:
    return (desk.now + dt.timedelta(hours=5)).isoformat()


def _shops(desk: Desk, *stocks: Mapping[str, int], **changes: Any) -> list[str]:
    """Make shops, each further away than the one before it: from the centre of the cell that an order keeps."""
    lat, lng = centre_of(coarse_cell(desk.lat, LNG))
    return [desk.shop(stock=stock, lat=lat, lng=lng + 0.002 * number, **changes) for number, stock in enumerate(stocks)]


def _order(desk: Desk, shop: str, at: str, **more: Any) -> dict[str, Any]:
    return desk.order(shop, WANTED, **{"at": at, "max_points": 2, "payment": "counter"} | more)


def _rejected(desk: Desk, order: Mapping[str, Any]) -> dict[str, Any]:
    return desk.done(order, "reject", "corner", REJECTED)


def _parts(desk: Desk, order: Mapping[str, Any], key: str = "app") -> list[dict[str, Any]]:
    told = desk.send("GET", f"/v1/orders?split_of={order['order_id']}", key)
    return [desk.read(part) for part in told.json()["items"]]


def _lines(order: Mapping[str, Any]) -> dict[str, str]:
    return {line["sku"]: line["state"] for line in order["lines"]}


def test_order__is_divided_between_two_and_each_part_is_collected_by_itself(desk: Desk, at: str) -> None:
    first, second, third = _shops(desk, {"milk": 5, "bread": 5}, {"bread": 5}, {"milk": 5})
    order = _order(desk, first, at)
    assert (order["max_points"], order["split_of"], order["parts"]) == (2, None, [])
    moved = _rejected(desk, order)
    assert (moved["point_id"], moved["state"], moved["total_minor"]) == (second, "placed", 500)
    assert _lines(moved) == {"milk": "parted", "bread": "wanted"}
    (part,) = _parts(desk, order)
    listed = {one["order_id"]: one["parts"] for one in desk.send("GET", f"/v1/orders?point={second}").json()["items"]}
    assert moved["parts"] == desk.read(order)["parts"] == listed[order["order_id"]] == [part["order_id"]]
    assert (part["point_id"], part["state"], part["total_minor"], part["parts"]) == (third, "placed", 2000, [])
    assert (part["split_of"], part["max_points"], part["order_at"]) == (order["order_id"], 1, order["order_at"])
    assert [(line["line"], line["sku"], line["quantity"]) for line in part["lines"]] == [(1, "milk", 2)]
    assert desk.events(part) == [("split", "placed")]
    assert desk.events(order)[-1] == ("move", "placed")
    assert [desk.stock(shop, sku) for shop, sku in ((first, "milk"), (first, "bread"))] == [(5, 0), (5, 0)]
    assert (desk.stock(second, "bread"), desk.stock(third, "milk")) == ((5, 1), (5, 2))
    assert [desk.in_work(shop) for shop in (first, second, third)] == [0, 1, 1]
    codes = {desk.read(one)["code"] for one in (order, part)}
    assert len(codes) == 2
    assert None not in codes
    for one in (order, part):
        desk.brought(one, "accept", "ready", "collect")
    assert (desk.stock(second, "bread"), desk.stock(third, "milk")) == ((4, 0), (3, 0))
    assert [desk.in_work(shop) for shop in (first, second, third)] == [0, 0, 0]


def test_order__is_divided_between_three_where_that_is_the_fewest(desk: Desk, at: str) -> None:
    first, *others = _shops(desk, dict.fromkeys(("milk", "bread", "tea"), 5), {"milk": 5}, {"bread": 5}, {"tea": 5})
    order = desk.order(first, {"milk": 1, "bread": 1, "tea": 1}, at=at, max_points=3, payment="counter")
    moved = _rejected(desk, order)
    assert moved["point_id"] == others[0]
    assert {part["point_id"] for part in _parts(desk, order)} == set(others[1:])
    assert moved["parts"] == sorted(part["order_id"] for part in _parts(desk, order))


@pytest.mark.parametrize("max_points", [1, 2])
def test_order__goes_whole_to_a_point_further_away_rather_than_in_parts(desk: Desk, at: str, max_points: int) -> None:
    first, _, _, whole = _shops(desk, {"milk": 5, "bread": 5}, {"bread": 5}, {"milk": 5}, {"milk": 2, "bread": 1})
    order = _order(desk, first, at, max_points=max_points)
    assert (_rejected(desk, order)["point_id"], _parts(desk, order)) == (whole, [])


@pytest.mark.parametrize("why", ["full", "closed", "currency"])
def test_order__is_divided_where_the_point_that_has_all_of_it_cannot_take_it(desk: Desk, at: str, why: str) -> None:
    told = desk.now + dt.timedelta(hours=8 + 5)  # what clocks in Shanghai show when it is to be collected
    hours = f"{told - dt.timedelta(hours=2):%H}:00-{told + dt.timedelta(hours=1):%H}:00"
    offer = {"full": FULL_AFTER_ONE, "closed": {"lead_s": 8 * 3600, "hours": hours}, "currency": {}}[why]
    (first,), (whole,) = _shops(desk, {"milk": 5, "bread": 5}), _shops(desk, {}, offer=offer)
    if why == "full":
        desk.order(whole, at=at)
    for sku in WANTED:
        entry = {"name": sku, "price_minor": 500, "currency": "JPY" if why == "currency" else "CNY", "counted": 5}
        assert desk.send("PUT", f"/v1/points/{whole}/stock/{sku}", "corner", json=entry).is_success
    _, bread, milk = _shops(desk, {}, {"bread": 5}, {"milk": 5})
    order = _order(desk, first, at)
    moved = _rejected(desk, order)
    assert (moved["state"], moved["point_id"]) == ("placed", bread)
    assert [part["point_id"] for part in _parts(desk, order)] == [milk]


@pytest.mark.parametrize("lead_h", [0, 24])
def test_order__is_divided_past_a_point_whose_slot_is_full_when_it_could_hand_its_part_out(
    desk: Desk, at: str, lead_h: int
) -> None:
    offer = FULL_AFTER_ONE | {"lead_s": lead_h * 3600}
    (first,), (full,) = _shops(desk, {"milk": 5, "bread": 5}), _shops(desk, {"milk": 5}, offer=offer)
    desk.order(full, at=(desk.now + dt.timedelta(hours=lead_h)).isoformat() if lead_h else at)
    _, bread, milk = _shops(desk, {}, {"bread": 5}, {"milk": 5})
    order = _order(desk, first, at)
    moved = _rejected(desk, order)
    assert (moved["state"], moved["point_id"]) == ("placed", bread)
    assert [part["point_id"] for part in _parts(desk, order)] == [milk]


def test_order__is_not_searched_for_again_once_a_search_for_its_parts_was_given_up(
    desk: Desk, at: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shops = _shops(desk, {"milk": 5, "bread": 5}, {"bread": 5}, {"milk": 5}, features=["district:a", "district:b"])
    searched: list[Any] = []

    def given_up(_engine: Any, *_: Any, **asked: Any) -> Split:
        searched.append(asked["features"])
        return Split([], float("inf"), 1, is_unknown=True)

    monkeypatch.setattr(Engine, "split", given_up)
    assert _rejected(desk, _order(desk, shops[0], at))["state"] == "rejected"
    assert searched == [("merchant:corner", "district:a")]


@pytest.mark.parametrize("rules", [None, ["district", "distance"]])
def test_order__is_not_divided_unless_the_app_and_the_merchant_say_so(desk: Desk, at: str, rules: Any) -> None:
    first, *_ = _shops(desk, {"milk": 5, "bread": 5}, {"bread": 5}, {"milk": 5})
    if rules is not None:
        assert desk.send("PUT", "/v1/merchants/corner/routing", "corner", json={"rules": rules}).is_success
    order = _order(desk, first, at, max_points=1 if rules is None else 3)
    assert (_rejected(desk, order)["state"], _parts(desk, order)) == ("rejected", [])
    assert desk.send("PUT", "/v1/merchants/corner/routing", "corner", json={}).json()["rules"] == [
        "splits",
        "district",
        "distance",
    ]


def test_order__is_divided_within_the_district_where_that_takes_no_more_points(desk: Desk, at: str) -> None:
    first, _, _ = _shops(desk, {"milk": 5, "bread": 5}, {"bread": 5}, {"milk": 5}, features=["district:a"])
    own = [desk.shop(stock=stock, lng=LNG + 0.008, features=["district:b"]) for stock in ({"bread": 5}, {"milk": 5})]
    shop = desk.shop(stock={"milk": 5, "bread": 5}, features=["district:b"])
    _rejected(desk, _order(desk, first, at))  # it cools down
    order = _order(desk, shop, at)
    moved = _rejected(desk, order)
    assert {moved["point_id"], *(part["point_id"] for part in _parts(desk, order))} == set(own)


def test_part__goes_on_whole_to_where_the_order_has_not_been(desk: Desk, at: str) -> None:
    first, _, _, fourth = _shops(desk, {"milk": 5, "bread": 5}, {"bread": 5}, {"milk": 5}, {"milk": 5})
    order = _order(desk, first, at, max_points=3)
    _rejected(desk, order)
    (part,) = _parts(desk, order)
    desk.registry.clock.at += dt.timedelta(seconds=901)  # all have cooled down
    moved = _rejected(desk, part)
    assert (moved["point_id"], moved["split_of"]) == (fourth, order["order_id"])
    desk.registry.clock.at += dt.timedelta(seconds=901)
    assert _rejected(desk, part)["state"] == "rejected"  # and not back to the first
    assert [event for event, _ in desk.events(part)] == ["split", "move", "reject"]
    assert desk.read(order)["state"] == "placed"


def test_point_that_cools_down__gets_no_part(desk: Desk, at: str) -> None:
    first, second, third, fourth = _shops(desk, {"milk": 5, "bread": 5}, {"bread": 5}, {"milk": 5}, {"bread": 5})
    _rejected(desk, desk.order(second, {"bread": 1}, at=at, payment="counter"))
    order = _order(desk, first, at)
    moved = _rejected(desk, order)
    assert {moved["point_id"], *(part["point_id"] for part in _parts(desk, order))} == {third, fourth}


@pytest.mark.parametrize("items", [{"milk": 1, "bread": 1}, {"bread": 1}])
def test_order__goes_past_a_count_that_is_not_trusted_any_more(
    desk: Desk, at: str, items: Mapping[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.orders.plans._MOST_WHOLE", 1)
    first, milk, stale, bread = _shops(desk, {"milk": 5, "bread": 5}, {"milk": 5}, {}, {"bread": 5})
    entry = {"name": "Bread", "price_minor": 500, "currency": "CNY", "counted": 5, "good_for_s": 60}
    assert desk.send("PUT", f"/v1/points/{stale}/stock/bread", "corner", json=entry).is_success
    desk.registry.clock.at += dt.timedelta(minutes=5)
    desk.registry.follow()
    order = desk.order(first, items, at=at, max_points=2, payment="counter")
    moved = _rejected(desk, order)
    assert moved["state"] == "placed"
    assert {moved["point_id"], *(part["point_id"] for part in _parts(desk, order))} == {
        bread,
        *[milk] * (len(items) - 1),
    }


def test_order__that_nobody_answers_is_divided_by_the_clock(desk: Desk, at: str) -> None:
    first, second, third = _shops(desk, {"milk": 5, "bread": 5}, {"bread": 5}, {"milk": 5})
    order = _order(desk, first, at)
    desk.pass_(1800)
    assert (desk.read(order)["point_id"], _parts(desk, order)[0]["point_id"]) == (second, third)
    assert desk.read(_parts(desk, order)[0])["state"] == "placed"


def test_order__of_a_point_that_pauses_is_divided(desk: Desk, at: str) -> None:
    first, second, third = _shops(desk, {"milk": 5, "bread": 5}, {"bread": 5}, {"milk": 5})
    order = _order(desk, first, at)
    path = f"/v1/points/{first}:pause"
    assert problem(desk.send("POST", path, "corner")) == (409, "state-conflict")
    assert desk.send("POST", f"{path}?open_orders=reject", "corner").is_success
    assert (desk.read(order)["point_id"], _parts(desk, order)[0]["point_id"]) == (second, third)


def test_order__is_divided_with_what_was_taken_in_the_place_of_a_line(desk: Desk, at: str) -> None:
    first, second, third = _shops(desk, {"milk": 5, "bread": 5, "oatmilk": 5}, {"bread": 5}, {"oatmilk": 5, "milk": 1})
    order = _order(desk, first, at)
    desk.done(order, "offer", "corner", {"line": 1, "sku": "oatmilk"})
    desk.done(order, "answer", "app", {"line": 3, "takes": True})
    moved = _rejected(desk, order)
    assert (moved["point_id"], _lines(moved)) == (second, {"milk": "replaced", "bread": "wanted", "oatmilk": "parted"})
    (part,) = _parts(desk, order)
    (line,) = part["lines"]
    assert (part["point_id"], line["sku"], line["replaces"], line["price_minor"]) == (third, "oatmilk", None, 1000)


def test_part__is_of_the_same_app_and_is_forgotten_with_its_buyer(desk: Desk, at: str) -> None:
    first, *_ = _shops(desk, {"milk": 5, "bread": 5}, {"bread": 5}, {"milk": 5})
    order = _order(desk, first, at, buyer="ann-of-the-split")
    _rejected(desk, order)
    (part,) = _parts(desk, order)
    assert problem(desk.send("GET", f"/v1/orders/{part['order_id']}", "other-app")) == (404, "not-found")
    assert _parts(desk, order, "corner") == [part]
    assert desk.send("GET", f"/v1/orders?split_of={order['order_id']}", "other-app").json()["items"] == []
    assert desk.send("POST", "/v1/buyers:erase", json={"buyer": "ann-of-the-split"}).json()["orders"] == 2
    assert desk.row(part).buyer is None


def _paid(desk: Desk, at: str, means: str = "ok") -> tuple[dict[str, Any], dict[str, Any]]:
    """Return an order that is paid online and was divided, and its part."""
    first, *_ = _shops(desk, {"milk": 50, "bread": 50}, {"bread": 50}, {"milk": 50})
    order = desk.order(first, WANTED, at=at, max_points=2)
    desk.done(order, "place", "app", {"payment": "online", "means": means})
    _rejected(desk, order)
    return order, _parts(desk, order)[0]


def _books(desk: Desk, order: Mapping[str, Any]) -> list[tuple[int, int]]:
    provider = desk.registry.services.payments
    assert isinstance(provider, SandboxProvider)
    return [told for name, told in provider.taken().items() if name.startswith(str(order["order_id"]))]


@pytest.mark.parametrize(
    ("events", "taken"),
    [
        ((("accept", "ready", "collect"), ("accept", "ready", "collect")), 2500),
        ((("accept", "ready", "collect"), ("cancel",)), 500),
        ((("cancel",), ("accept", "ready", "collect")), 2000),
        ((("cancel",), ("cancel",)), 0),
    ],
)
def test_parts__are_paid_together_when_the_last_of_them_has_ended(
    desk: Desk, at: str, events: tuple[tuple[str, ...], ...], taken: int
) -> None:
    order, part = _paid(desk, at)
    assert part["payment"] == {"method": "online", "state": "authorised", "captured_minor": 0}
    for one, of_one in zip((order, part), events, strict=True):
        assert _books(desk, order) == [(2500, 0)]
        for event in of_one:
            _ = desk.done(one, event, "app") if event == "cancel" else desk.brought(one, event)
        desk.sweep()
    assert _books(desk, order) == [(0, taken)]
    state = {"method": "online", "state": "captured" if taken else "released", "captured_minor": taken}
    assert [desk.read(one)["payment"] for one in (order, part)] == [state] * 2


def test_parts__whose_payment_can_never_be_taken_are_told_so_with_the_order_that_they_are_parted_from(
    desk: Desk, at: str
) -> None:
    order, part = _paid(desk, at, "capture-declined")
    desk.brought(order, "accept", "ready", "collect")
    desk.done(part, "cancel", "app")
    desk.sweep()
    assert [desk.events(one)[-1] for one in (order, part)] == [
        ("capture_declined", "collected"),
        ("cancel", "cancelled"),
    ]
    assert [desk.read(one)["payment"]["state"] for one in (order, part)] == ["declined"] * 2


def test_parts__that_end_at_once_are_paid_once_and_in_full(desk: Desk, at: str) -> None:
    pairs = [_paid(desk, at) for _ in range(5)]
    for pair in pairs:
        for one in pair:
            desk.brought(one, "accept", "ready")
    services = desk.registry.services

    def collect(one: Mapping[str, Any]) -> None:
        def write(connection: WriteConnection) -> None:
            found = locked_order(connection, one["order_id"])
            assert found is not None
            act(connection, services.orders, found, Act(Event.COLLECT, Party.MERCHANT, "counter"))
            time.sleep(0.1)  # the other begins before this one has ended

        services.store.write_now(write)

    with ThreadPoolExecutor(2) as pool:
        for pair in pairs:
            list(pool.map(collect, pair))
    desk.sweep()
    assert [_books(desk, order) for order, _ in pairs] == [[(0, 2500)]] * 5


@pytest.mark.parametrize("max_points", [0, 4, 1.5, "many", None])
def test_order__between_how_many_points_must_be_a_small_number(desk: Desk, at: str, max_points: Any) -> None:
    (shop,) = _shops(desk, {"milk": 5, "bread": 5})
    answer = desk.ask(desk.body(shop, WANTED, at=at, max_points=max_points))
    assert problem(answer) == (422, "validation")
    assert answer.json()["errors"][0]["where"] == "/max_points"

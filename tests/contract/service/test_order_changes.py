"""Orders whose point changes under them: slots of another length, other hours, another currency, a forgotten customer."""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import or_, select

from service.feed.full_slots import FullSlots
from service.feed.outbox import Change, Position
from service.orders.acting import Act, act, locked_order
from service.orders.forgetting import forget_buyer
from service.orders.limits import HOLDS_AT_ONCE, LEFT_AN_HOUR, UNPAID_AT_ONCE
from service.orders.moving import reject
from service.orders.plans import known_of, plans_for
from service.orders.rules import Event, Party
from service.orders.taking import count_slots
from service.places import coarse_cell, places_in
from service.store.connections import WriteConnection
from service.store.order_tables import orders
from tests.contract.service.desk import LNG, PICKUP, Desk
from tests.contract.service.talking import problem
from tests.registry import WAIT_S

COUNTER: dict[str, Any] = {"payment": "counter"}
ZONE = dt.timezone(dt.timedelta(hours=8))


def _hour(desk: Desk, hours: int, minutes: int = 0) -> dt.datetime:
    return desk.now.replace(minute=0, second=0, microsecond=0) + dt.timedelta(hours=hours, minutes=minutes)


def _changed(desk: Desk, shop: str, query: str = "", **offer: Any) -> Any:
    """Give a shop another offer."""
    place = {"lat": desk.lat, "lng": LNG, "timezone": "Asia/Shanghai", "country": "CN"}
    offers = [{"offer": PICKUP, "hours": "24/7", "area": {"radius_m": 3000}, **offer}]
    body = {"kind": "store", "name": "Shop", "offers": offers, **place}
    return desk.send("PUT", f"/v1/points/{shop}{query}", "corner", json=body, headers={"If-Match": "*"})


def _slot(minutes: int | None) -> dict[str, Any]:
    return {} if minutes is None else {"slot": {"orders": 1, "minutes": minutes}}


@pytest.mark.parametrize(("before", "after"), [(10, 30), (30, 10), (None, 30)])
def test_slots_of_another_length__hold_the_orders_that_were_there(desk: Desk, before: int | None, after: int) -> None:
    shop = desk.shop(offer=_slot(before))
    at = _hour(desk, 4, 15)
    order = desk.order(shop, at=at.isoformat(), **COUNTER)
    assert _changed(desk, shop, **_slot(after)).is_success
    assert list(desk.taken(shop).values()) == [1]
    assert desk.ask(desk.body(shop, at=at.isoformat())).json()["reason"] == "full"
    assert desk.ask(desk.body(shop, at=(at + dt.timedelta(minutes=after)).isoformat())).is_success
    desk.done(order, "cancel", "app")
    assert desk.ask(desk.body(shop, at=at.isoformat())).is_success


def test_order_that_ends_while_slots_change__gives_back_the_one_that_it_is_in_then(desk: Desk) -> None:
    """On PostgreSQL whoever ends it has read it before, and waits for whoever changes its point."""
    shop = desk.shop(offer=_slot(15))
    order = desk.order(shop, at=_hour(desk, 4, 15).isoformat(), **COUNTER)
    terms = desk.registry.services.orders

    def end(connection: WriteConnection) -> None:
        read = locked_order(connection, order["order_id"])
        assert read is not None
        count_slots(connection, shop, PICKUP, 3600, [read.row])
        act(connection, terms, read, Act(Event.CANCEL, Party.CUSTOMER, "app"))

    desk.registry.services.store.write_now(end)
    assert desk.read(order)["state"] == "cancelled"
    assert desk.taken(shop) == {}


def test_slots__that_an_offer_has_no_more_are_forgotten(desk: Desk) -> None:
    shop = desk.shop(offer=_slot(10))
    order = desk.order(shop, at=_hour(desk, 4).isoformat(), **COUNTER)
    assert _changed(desk, shop).is_success
    assert desk.taken(shop) == {}
    desk.done(order, "cancel", "app")
    assert desk.in_work(shop) == 0


@pytest.mark.parametrize("events", [("accept",), ("accept", "ready")])
@pytest.mark.parametrize(("hours", "is_left"), [("Mo-Su 09:00-18:00", False), ("Mo-Su 22:00-23:00", True)])
def test_hours__leave_what_is_kept_where_the_point_opens_once_more_for_it(
    desk: Desk, hours: str, is_left: bool, events: tuple[str, ...]
) -> None:
    """It was to be collected at eight in the evening, days ago, and is kept until eight in the evening of today."""
    shop = desk.shop(stock={"milk": 5})
    local = desk.now.astimezone(ZONE)
    at = (local + dt.timedelta(days=1)).replace(hour=20, minute=0, second=0, microsecond=0)
    order = desk.order(shop, {"milk": 1}, at=at.isoformat(), **COUNTER)
    brought = desk.brought(order, *events)
    kept = dt.datetime.fromisoformat(brought["expires_at"])
    assert kept.astimezone(ZONE).hour == at.hour
    desk.registry.clock.at = kept - dt.timedelta(hours=12)
    assert desk.now > at
    changed = _changed(desk, shop, hours=hours)
    assert changed.json().get("orders") == ([order["order_id"]] if is_left else None)
    assert desk.read(order)["state"] == brought["state"]


def _square(lat: float, lng: float) -> dict[str, Any]:
    """Return an area some 100 m wide."""
    turns = ((-1, -1), (1, -1), (1, 1), (-1, 1), (-1, -1))
    return {"type": "Polygon", "coordinates": [[[lng + 5e-4 * east, lat + 5e-4 * north] for east, north in turns]]}


def _between(desk: Desk) -> tuple[float, float]:
    """Return a place some 2 km north that is far from its cell's centre and corners, and from the borders."""
    centre, *corners = places_in(coarse_cell(desk.lat + 0.02, LNG))
    return (centre[0] + corners[0][0]) / 2, (centre[1] + corners[0][1]) / 2


@pytest.mark.parametrize("change", ["pause", "hours", "area", "wider"])
@pytest.mark.parametrize("is_forgotten", [False, True])
def test_change__names_an_order_from_an_area_that_is_small(desk: Desk, change: str, is_forgotten: bool) -> None:
    """It holds neither the shop nor a corner of the customer's cell; of who is forgotten not even that is known."""
    lat, lng = _between(desk)
    shop = desk.shop(stock={"milk": 5}, offer={"area": _square(lat, lng)})
    body = desk.body(shop, {"milk": 1}, **COUNTER) | {"lat": lat, "lng": lng}
    order = desk.ask(body).json()
    if is_forgotten:
        assert desk.send("POST", "/v1/buyers:erase", json={"buyer": body["buyer"]}).json()["orders"] == 1
    if change == "pause":
        changed = desk.send("POST", f"/v1/points/{shop}:pause", "corner")
    else:
        areas = {"hours": _square(lat, lng), "area": _square(lat + 0.1, lng), "wider": {"radius_m": 5000}}
        changed = _changed(desk, shop, area=areas[change], hours="off" if change == "hours" else "24/7")
    is_named = change in {"pause", "hours"} or (change == "area" and not is_forgotten)
    assert changed.json().get("orders") == ([order["order_id"]] if is_named else None), changed.text
    assert changed.is_success is not is_named


def test_rejected_order__is_not_handed_to_a_point_with_prices_in_another_currency(desk: Desk) -> None:
    shop, other = desk.shop(stock={"milk": 5}), desk.shop(lng=LNG + 0.001)
    entry = {"name": "Milk", "price_minor": 990, "currency": "JPY", "counted": 5}
    assert desk.send("PUT", f"/v1/points/{other}/stock/milk", "corner", json=entry).is_success
    desk.registry.follow()
    order = desk.order(shop, {"milk": 1}, **COUNTER)
    assert desk.done(order, "reject", "corner", {"reason": "other"})["state"] == "rejected"
    assert desk.stock(other, "milk") == (5, 0)


def test_order_of_a_forgotten_customer__goes_to_whoever_has_its_code(desk: Desk) -> None:
    shop = desk.shop(stock={"milk": 5})
    body = desk.body(shop, {"milk": 1}, collector="Bo Li", **COUNTER)
    order = desk.ask(body).json()
    desk.brought(order, "accept", "ready")
    assert desk.send("POST", "/v1/buyers:erase", json={"buyer": body["buyer"]}).json()["orders"] == 1
    shown = {"code": desk.read(order)["code"], "collector": "Bo Li"}
    assert desk.send("POST", f"/v1/points/{shop}:collect", "corner", json=shown).json()["state"] == "collected"


def _divided(desk: Desk, order: Mapping[str, Any], connection: WriteConnection, forgets: bool = False) -> None:
    """Divide an order, as its point rejects it; its buyer may be forgotten once it was read."""
    services = desk.registry.services
    read = locked_order(connection, order["order_id"])
    assert read is not None
    now_us = connection.now_us
    plans = plans_for(services.index.view.engine, read, known_of(connection, read, now_us), now_us)
    if forgets:
        assert forget_buyer(connection, read.row.owner, read.row.buyer) == 1
    reject(connection, services.orders, read, Act(Event.REJECT, Party.MERCHANT, "corner"), plans)


def _to_divide(desk: Desk) -> dict[str, Any]:
    both = {"milk": 5, "bread": 5}
    shop, *_ = [desk.shop(stock=stock) for stock in (both, {"milk": 5}, {"bread": 5})]
    more: dict[str, Any] = {"max_points": 2, "collector": "Bo Li", "buyer": f"ann-{desk.town}", **COUNTER}
    return desk.order(shop, {"milk": 1, "bread": 1}, at=_hour(desk, 5).isoformat(), **more)


def _whose(desk: Desk, order: Mapping[str, Any]) -> list[Any]:
    """Return what is kept of whose an order and its parts are."""
    its = (orders.c.order_id == order["order_id"], orders.c.split_of == order["order_id"])
    columns = (orders.c.buyer, orders.c.device, orders.c.collector, orders.c.cell)
    return [tuple(row) for row in desk.rows(select(*columns).where(or_(*its)))]


def test_customer_who_is_forgotten_while_his_order_is_divided__does_not_come_back_with_a_part(desk: Desk) -> None:
    order = _to_divide(desk)
    desk.registry.services.store.write_now(lambda connection: _divided(desk, order, connection, forgets=True))
    assert _whose(desk, order) == [(None,) * 4] * 2


def test_customer__is_forgotten_with_the_part_that_was_made_meanwhile(desk: Desk) -> None:
    order, is_divided = _to_divide(desk), threading.Event()

    def divide(connection: WriteConnection) -> None:
        _divided(desk, order, connection)
        connection.settle()
        is_divided.set()
        time.sleep(0.3)  # the other begins before this one has ended

    with ThreadPoolExecutor(1) as pool:
        dividing = pool.submit(desk.registry.services.store.write_now, divide)
        assert is_divided.wait(WAIT_S)
        erased = desk.send("POST", "/v1/buyers:erase", json={"buyer": f"ann-{desk.town}"})
        dividing.result()
    assert erased.json()["orders"] == 2
    assert _whose(desk, order) == [(None,) * 4] * 2


@pytest.mark.parametrize(
    ("offer", "counted", "told"),
    [
        ({"capacity": 1}, 5, ("full", None)),
        ({"slot": {"orders": 1, "minutes": 30}}, 5, ("full", None)),
        ({}, 2, ("out_of_stock", "milk")),
    ],
)
def test_quote__is_refused_where_the_order_would_be(
    desk: Desk, offer: dict[str, Any], counted: int, told: tuple[str, str | None]
) -> None:
    shop = desk.shop(stock={"milk": counted}, offer=offer)
    at = _hour(desk, 4).isoformat()
    body = desk.body(shop, {"milk": 2}, at=at)
    assert desk.send("POST", "/v1/orders:quote", json=body).is_success
    desk.order(shop, {"milk": 1}, at=at)
    for path in ("/v1/orders:quote", "/v1/orders"):
        refused = desk.send("POST", path, json=body, headers={"Idempotency-Key": shop})
        assert problem(refused) == (409, "sold-out")
        assert (refused.json()["reason"], refused.json().get("sku")) == told


def _refused_alike(desk: Desk, body: Mapping[str, Any]) -> tuple[int, str]:
    """Return why a quote is refused, which must be why its order is."""
    quoted = desk.send("POST", "/v1/orders:quote", json=body)
    ordered = desk.ask(body)
    assert quoted.json() | {"request_id": None} == ordered.json() | {"request_id": None}
    assert quoted.headers.get("retry-after") == ordered.headers.get("retry-after")
    return problem(quoted)


def test_quote__of_more_units_than_are_held_for_one_is_refused_as_the_order(desk: Desk) -> None:
    shop, buyer = desk.shop(stock={"milk": 20}), f"bo-{desk.town}"
    assert _refused_alike(desk, desk.body(shop, {"milk": 11})) == (409, "state-conflict")
    desk.order(shop, {"milk": 6}, buyer=buyer)
    assert _refused_alike(desk, desk.body(shop, {"milk": 5}, buyer=buyer)) == (409, "state-conflict")
    assert desk.send("POST", "/v1/orders:quote", json=desk.body(shop, {"milk": 4}, buyer=buyer)).is_success


def test_quote__of_another_price_is_refused_as_the_order(desk: Desk) -> None:
    body = desk.body(desk.shop(stock={"milk": 20}), {"milk": 1}, total_minor=1)
    assert _refused_alike(desk, body) == (409, "price-changed")
    assert desk.send("POST", "/v1/orders:quote", json=body | {"total_minor": 1000}).is_success


def test_quote__to_one_who_holds_or_gave_up_too_much_is_refused_as_the_order(desk: Desk) -> None:
    shop, buyer = desk.shop(stock={"milk": 50}), f"bo-{desk.town}"
    held = [desk.order(shop, {"milk": 1}, buyer=buyer) for _ in range(HOLDS_AT_ONCE)]
    assert _refused_alike(desk, desk.body(shop, {"milk": 1}, buyer=buyer)) == (409, "state-conflict")
    for number in range(LEFT_AN_HOUR):
        order = held[number] if number < len(held) else desk.order(shop, {"milk": 1}, buyer=buyer)
        desk.done(order, "cancel", "app")
    assert _refused_alike(desk, desk.body(shop, {"milk": 1}, buyer=buyer)) == (429, "rate-limited")


def test_quote__to_one_who_has_too_much_to_pay_at_the_counter_is_refused_as_the_order(desk: Desk) -> None:
    shop, buyer = desk.shop(), f"li-{desk.town}"
    for _ in range(UNPAID_AT_ONCE):
        desk.order(shop, buyer=buyer, **COUNTER)
    assert _refused_alike(desk, desk.body(shop, buyer=buyer, **COUNTER)) == (409, "state-conflict")
    assert desk.send("POST", "/v1/orders:quote", json=desk.body(shop, buyer=buyer)).is_success


def test_full_slot__is_full_at_every_moment_while_its_point_is_read_anew(desk: Desk) -> None:
    shop = desk.shop(offer=_slot(10))
    at = _hour(desk, 4)
    desk.order(shop, at=at.isoformat(), **COUNTER)
    followed, store = FullSlots(), desk.registry.services.store
    told: list[bool] = []

    class Watched(dict[Any, Any]):
        def __setitem__(self, key: Any, value: Any) -> None:
            told.append(followed.has(shop, PICKUP, at))
            super().__setitem__(key, value)

    store.read_now(lambda connection: followed.reload(connection, Position(0, 0)))
    followed._full = Watched(followed._full)
    change = Change(position=Position(0, 1), kind="stock", subject=shop, revision=1, merchant_id=None, at_us=0)
    store.read_now(lambda connection: followed.follow(connection, [change]))
    assert told == [True]
    assert followed.has(shop, PICKUP, at)

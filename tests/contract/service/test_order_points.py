"""What a change of a point does to its open orders: they are named first, and rejected with a second word."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import h3
import httpx
import pytest

from service.places import centre_of, coarse_cell
from tests.contract.service.shops import NDJSON, open_shops, point, square
from tests.contract.service.stocked import LAT, LNG, PICKUP, Counter, open_counter
from tests.contract.service.talking import problem
from tests.serving import Serving

FAR = square(lng=10.0, lat=10.0)
RADIUS_M = 3000.0


@pytest.fixture(scope="module")
def counter(service: Serving) -> Iterator[Counter]:
    with open_shops(service, "changed") as shops:
        yield open_counter(shops, service)


def _offer(**changes: Any) -> dict[str, Any]:
    return point(offers=[{"offer": PICKUP, "hours": "24/7", **changes}])


def _put(counter: Counter, path: str, query: str, body: dict[str, Any]) -> httpx.Response:
    return counter.shops.own.put(f"{path}{query}", json=body, headers={"If-Match": "*"})


CHANGES: dict[str, Callable[[Counter, str, str], httpx.Response]] = {
    "pause": lambda counter, path, query: counter.shops.own.post(f"{path}:pause{query}"),
    "pause_offer": lambda counter, path, query: counter.shops.own.post(f"{path}:pause{query}", json={"offer": PICKUP}),
    "delete": lambda counter, path, query: counter.shops.own.delete(f"{path}{query}", headers={"If-Match": "*"}),
    "hide": lambda counter, path, query: counter.shops.own.patch(
        f"{path}{query}", json={"visibility": "internal"}, headers={"If-Match": "*"}
    ),
    "area": lambda counter, path, query: _put(counter, path, query, _offer(area=FAR)),
    "hours": lambda counter, path, query: _put(counter, path, query, _offer(hours="off")),
    "offer": lambda counter, path, query: _put(counter, path, query, point(offers=[{"offer": "laundry/pickup"}])),
}


@pytest.mark.parametrize("name", CHANGES)
def test_change__that_leaves_orders_behind_names_them_and_wants_a_second_word(counter: Counter, name: str) -> None:
    shop = counter.shop(f"one-{name.replace('_', '-')}", stock={"milk": 5})
    path = f"/v1/points/{shop}"
    order = counter.order(shop, {"milk": 1}, payment="counter")
    held = counter.order(shop, {"milk": 1})
    ended = counter.order(shop, {"milk": 1})
    counter.act(ended, "cancel")
    before = counter.shops.own.get(path).json()
    refused = CHANGES[name](counter, path, "")
    assert problem(refused) == (409, "state-conflict")
    assert refused.json()["orders"] == sorted([order["order_id"], held["order_id"]])
    assert counter.shops.own.get(path).json() == before
    assert counter.read(order)["state"] == "placed"
    assert CHANGES[name](counter, path, "?open_orders=reject").is_success
    assert [counter.read(one)["state"] for one in (order, held)] == ["rejected", "rejected"]
    assert counter.events(order)[-1]["reason"] == "point_changed"
    assert counter.stock(shop, "milk") == (5, 0)


def test_change__that_leaves_no_order_behind_wants_no_second_word(counter: Counter) -> None:
    shop = counter.shop("stays", stock={"milk": 5})
    order = counter.order(shop, {"milk": 1}, payment="counter")
    path = f"/v1/points/{shop}"
    named = counter.shops.own.patch(path, json={"name": "New"}, headers={"If-Match": "*"})
    wider = _put(counter, path, "", _offer(area={"radius_m": 9000.0}))
    assert (named.status_code, wider.status_code) == (200, 200)
    assert counter.shops.own.get(path).json()["offers"][0]["in_work"] == 1
    assert counter.read(order)["state"] == "placed"


def test_change__that_was_refused_is_forgotten(counter: Counter) -> None:
    shop = counter.shop("refused", stock={"milk": 5})
    path = f"/v1/points/{shop}"
    order = counter.order(shop, {"milk": 1})
    assert problem(counter.shops.own.post(f"{path}:pause")) == (409, "state-conflict")
    counter.act(order, "cancel")
    assert counter.shops.own.patch(path, json={"name": "New"}, headers={"If-Match": "*"}).is_success
    counter.order(shop, {"milk": 1})
    assert problem(CHANGES["hours"](counter, path, "")) == (409, "state-conflict")
    assert counter.shops.own.patch(path, json={"name": "Newer"}, headers={"If-Match": "*"}).is_success


@pytest.mark.parametrize("name", ["pause", "delete", "hours", "area", "offer"])
def test_change__names_an_order_from_the_edge_of_the_area(counter: Counter, name: str) -> None:
    """What is known of the customer's place is a cell, whose centre may lie outside."""
    shop = counter.shop(f"edge-{name}", stock={"milk": 5}, offer={"area": {"radius_m": RADIUS_M}})
    lat, lng = _edge()
    order = counter.order(shop, {"milk": 1}, lat=lat, lng=lng)
    refused = CHANGES[name](counter, f"/v1/points/{shop}", "")
    assert problem(refused) == (409, "state-conflict")
    assert refused.json()["orders"] == [order["order_id"]]


def _edge() -> tuple[float, float]:
    """Return a place within the radius of a shop whose cell has its centre outside."""
    for degrees in range(360):
        north, east = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
        place = LAT + 0.0255 * north, LNG + 0.0255 * east / math.cos(math.radians(LAT))
        centre = centre_of(coarse_cell(*place))
        if _metres(place) < RADIUS_M - 50 < RADIUS_M + 50 < _metres(centre):
            return place
    raise AssertionError


def _metres(place: tuple[float, float]) -> float:
    return float(h3.great_circle_distance((LAT, LNG), place, unit="m"))


def test_change__of_a_suspended_merchant_names_what_it_leaves_behind(counter: Counter) -> None:
    shops, shop = counter.shops, counter.shop("suspended", stock={"milk": 5})
    order = counter.order(shop, {"milk": 1})
    for verb in ("suspend", "reinstate"):
        assert shops.admin.post(f"/v1/merchants/changed:{verb}", headers={"If-Match": "*"}).is_success
        refused = CHANGES["delete"](counter, f"/v1/points/{shop}", "")
        assert (problem(refused)[0], refused.json()["orders"]) == (409, [order["order_id"]])


def test_import__leaves_out_the_line_that_would_leave_orders_behind(counter: Counter) -> None:
    shop, other = counter.shop("bulk", stock={"milk": 5}), counter.shop("bulk-2")
    counter.order(shop, {"milk": 1}, payment="counter")
    lines = [
        httpx.Request("POST", "http://linli", json=_offer(hours="off") | {"point_id": one}).content
        for one in (shop, other)
    ]
    told = counter.shops.own.post(
        "/v1/points:import?merchant_id=changed",
        content=b"\n".join(lines) + b"\n",
        headers=NDJSON | {"Idempotency-Key": "bulk"},
    )
    assert (told.json()["rejected"], told.json()["upserted"]) == (1, 1)
    errors = counter.shops.own.get(f"/v1/imports/{told.json()['import_id']}/errors").json()["items"]
    assert [(one["line"], one["type"]) for one in errors] == [(1, "state-conflict")]
    assert counter.shops.own.get(f"/v1/points/{shop}").json()["offers"][0]["hours"] == "24/7"
    assert counter.shops.own.get(f"/v1/points/{other}").json()["offers"][0]["hours"] == "off"


def test_change__hands_its_orders_on_where_another_point_can_take_them(counter: Counter) -> None:
    near = {"features": ["district:old-town"]}
    shop, other = (counter.shop(local, stock={"milk": 5}, **near) for local in ("left", "right"))
    counter.shop("empty", stock={"milk": 0}, **near)
    counter.wait_for_match(shop, other, items="milk*2", features="merchant:changed,district:old-town", k=2)
    order = counter.order(shop, {"milk": 2}, payment="counter")
    code = counter.read(order)["code"]
    assert counter.shops.own.post(f"/v1/points/{shop}:pause?open_orders=reject").is_success
    moved = counter.read(order)
    assert (moved["state"], moved["point_id"]) == ("placed", other)
    assert moved["code"] != code
    assert (counter.stock(shop, "milk"), counter.stock(other, "milk")) == ((5, 0), (5, 2))
    assert (counter.in_work(shop), counter.in_work(other)) == (0, 1)

"""A match knows the basket: the nearest point that has all of it, and where none has, how it can be divided."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.contract.service.shops import open_shops
from tests.contract.service.stocked import LAT, LNG, PICKUP, Counter, open_counter
from tests.contract.service.talking import problem
from tests.serving import Serving

QUERY: dict[str, Any] = {"lat": LAT, "lng": LNG, "offer": PICKUP, "features": "merchant:baskets"}


@pytest.fixture(scope="module")
def counter(service: Serving) -> Iterator[Counter]:
    with open_shops(service, "baskets") as shops:
        found = open_counter(shops, service)
        found.shop("near", stock={"milk": 3, "bread": None})
        found.shop("far", stock={"milk": 9, "tea": 4}, lat=LAT + 0.002)
        found.wait_for_match("baskets:far", items="tea")
        yield found


@pytest.mark.parametrize(
    ("items", "local"),
    [("milk*3", "near"), ("milk*4", "far"), ("bread*900,milk*3", "near"), ("milk*4,tea", "far"), ("milk*10", None)],
)
def test_match__finds_the_nearest_that_has_the_whole_basket(counter: Counter, items: str, local: str | None) -> None:
    found = [one["point_id"] for one in counter.match(items=items)["matches"]]
    assert found == ([] if local is None else [f"baskets:{local}"])


def test_match__names_the_line_that_is_out_of_stock_and_divides_the_basket_if_it_may(counter: Counter) -> None:
    nobody = counter.match(items="bread,milk*4,tea*2")
    assert (nobody["reason"], nobody["refused"][0]["sku"], "split" in nobody) == ("out_of_stock", "milk", False)
    split = counter.match(items="bread,milk*4,tea*2", split=2)["split"]
    parts = {part["point_id"]: {item["sku"]: item["quantity"] for item in part["items"]} for part in split["parts"]}
    assert parts == {"baskets:near": {"bread": 1}, "baskets:far": {"milk": 4, "tea": 2}}
    assert split["distance_m"] == sum(part["distance_m"] for part in split["parts"])
    assert counter.match(items="milk*10", split=3)["split"] is None
    asks = {"asks": [{"lat": LAT, "lng": LNG, "offer": PICKUP, "items": [{"sku": "milk", "quantity": 4}]}]}
    batch = counter.shops.app.post("/v1/match:batch", json=asks).json()["answers"][0]
    assert batch["matches"][0]["point_id"] == "baskets:far"
    told = counter.shops.app.get("/v1/match:explain", params=QUERY | {"items": "milk*4"}).json()
    assert (told["match"]["point_id"], told["nearer"][0]["sku"]) == ("baskets:far", "milk")


def test_own_point__is_told_which_line_it_has_not_got(counter: Counter) -> None:
    asked = QUERY | {"items": "milk*4,bread", "point": "baskets:near"}
    about = counter.shops.own.get("/v1/match:explain", params=asked).json()["point"]
    assert (about["reason"], about["sku"]) == ("out_of_stock", "milk")
    assert {name for name, says in about["checks"].items() if says != "ok"} == {"stock"}
    about = counter.shops.own.get("/v1/match:explain", params=asked | {"items": "milk*3"}).json()["point"]
    assert (about["reason"], about["sku"], about["checks"]["stock"]) == ("matched", None, "ok")


def test_match__follows_what_orders_hold_and_give_back(counter: Counter) -> None:
    shop = counter.shop("moving", stock={"salt": 2}, lat=LAT + 0.004)
    counter.wait_for_match("baskets:moving", items="salt*2")
    order = counter.order(shop, {"salt": 1})
    counter.wait_for_match(items="salt*2")
    refused = counter.send(counter.body(shop, {"salt": 2}))
    assert problem(refused) == (409, "sold-out")
    assert (refused.json()["reason"], refused.json()["sku"]) == ("out_of_stock", "salt")
    counter.act(order, "cancel")
    counter.wait_for_match("baskets:moving", items="salt*2")


def test_match__knows_what_is_kept_back_and_how_old_a_count_may_be(counter: Counter) -> None:
    shop = counter.shop("aged", stock={"eggs": 6}, lat=LAT + 0.006)
    counter.wait_for_match("baskets:aged", items="eggs*6")
    entry = {"name": "Eggs", "price_minor": 1000, "currency": "CNY", "counted": 6, "safety": 2, "good_for_s": 1}
    path = f"/v1/points/{shop}/stock/eggs"
    assert counter.shops.own.put(path, json=entry | {"good_for_s": None}).is_success
    counter.wait_for_match(items="eggs*5")
    counter.wait_for_match("baskets:aged", items="eggs*4")
    assert counter.shops.own.put(path, json=entry).is_success
    counter.wait_for_match(items="eggs*4")  # a second later
    assert problem(counter.send(counter.body(shop, {"eggs": 4}))) == (409, "sold-out")


@pytest.mark.parametrize(
    "bad",
    [{"items": one} for one in ("", "milk*0", "milk*", "milk,milk", "mi lk", "milk*1000", "*2", ",milk", "a" * 65)]
    + [{"split": one} for one in ("0", "4", "two")],
)
def test_match__refuses_what_is_no_basket(counter: Counter, bad: dict[str, str]) -> None:
    assert problem(counter.shops.app.get("/v1/match", params=QUERY | bad)) == (422, "validation")

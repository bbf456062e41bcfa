"""Orders to collect, over HTTP: held, placed, prepared, handed over; and all that may come between."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract.service.shops import open_shops
from tests.contract.service.stocked import Counter, open_counter
from tests.serving import Serving

PICKUP = "retail/pickup"


@pytest.fixture(scope="module")
def counter(service: Serving) -> Iterator[Counter]:
    with open_shops(service, "orders") as shops:
        yield open_counter(shops, service)


def test_order__goes_from_hold_to_collected(counter: Counter) -> None:
    shop = counter.shop("life", stock={"milk": 10, "bread": 3})
    held = counter.order(shop, {"milk": 2, "bread": 1})
    assert (held["state"], held["revision"], held["total_minor"], held["currency"]) == ("held", 1, 2500, "CNY")
    assert held["next"] == ["place", "cancel"]
    assert counter.stock(shop, "milk") == (10, 2)
    placed = counter.act(held, "place", {"payment": "counter"})
    assert (placed["state"], placed["payment"]["method"]) == ("placed", "counter")
    assert counter.merchant_act(held, "accept")["next"] == ["ready", "reject", "offer"]
    ready = counter.merchant_act(held, "ready")
    assert ready["state"] == "ready"
    assert ready["code"] is None
    code = counter.read(held)["code"]
    assert len(code) == 6
    done = counter.collect(shop, code)
    assert (done["state"], done["next"]) == ("collected", [])
    assert (counter.stock(shop, "milk"), counter.stock(shop, "bread")) == ((8, 0), (2, 0))
    assert counter.read(held)["code"] is None
    events = [one["event"] for one in counter.events(held)]
    assert events == ["hold", "place", "accept", "ready", "collect"]

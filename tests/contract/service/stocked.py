"""Shops with stock, and orders at them, as the tests make them."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from tests.contract.service.shops import Shops, point
from tests.contract.service.talking import ask
from tests.feed_store import wait_until
from tests.serving import Serving

__all__ = ["Counter", "open_counter"]

LAT, LNG = 31.2304, 121.4737
PICKUP = "retail/pickup"
WAIT_S = 20.0


@dataclass
class Counter:
    """A merchant's shops, and an app whose customers order there."""

    shops: Shops
    service: Serving

    def shop(self, local: str, *, stock: Mapping[str, int | None] = {}, **changes: Any) -> str:
        """Make a shop that is always open, with stock at 1000 a unit and 500 for bread; return its id."""
        offer = {"offer": PICKUP, "hours": "24/7", "capacity": None, **changes.pop("offer", {})}
        answer = self.shops.put(local, point(offers=[offer], **changes))
        assert answer.status_code in {200, 201}, answer.text
        point_id = f"{self.shops.merchant_id}:{local}"
        for sku, counted in stock.items():
            entry = {"name": sku.title(), "price_minor": 500 if sku == "bread" else 1000, "currency": "CNY"}
            path = f"/v1/points/{point_id}/stock/{sku}"
            answer = self.shops.own.put(path, json=entry | {"counted": counted})
            assert answer.is_success, answer.text
        return point_id

    def body(self, point_id: str, items: Mapping[str, int], **more: Any) -> dict[str, Any]:
        """Return the body of an order."""
        return {
            "point_id": point_id,
            "offer": PICKUP,
            "lat": LAT,
            "lng": LNG,
            "items": [{"sku": sku, "quantity": quantity} for sku, quantity in items.items()],
            "buyer": uuid.uuid4().hex,
            **more,
        }

    def send(
        self, body: Mapping[str, Any], key: str | None = None, client: httpx.Client | None = None
    ) -> httpx.Response:
        """Send an order."""
        headers = {"Idempotency-Key": key or uuid.uuid4().hex}
        return (client or self.shops.app).post("/v1/orders", json=body, headers=headers)

    def order(self, point_id: str, items: Mapping[str, int], **more: Any) -> dict[str, Any]:
        """Order, and return the order."""
        answer = self.send(self.body(point_id, items, **more))
        assert answer.status_code == httpx.codes.CREATED, answer.text
        return answer.json()

    def act(self, order: Mapping[str, Any], event: str, body: Any = None) -> dict[str, Any]:
        """Let the customer do something."""
        answer = self.shops.app.post(f"/v1/orders/{order['order_id']}:{event}", json=body)
        assert answer.status_code == httpx.codes.OK, answer.text
        return answer.json()

    def merchant_act(self, order: Mapping[str, Any], event: str, body: Any = None) -> dict[str, Any]:
        """Let the merchant do something."""
        answer = self.shops.own.post(f"/v1/orders/{order['order_id']}:{event}", json=body)
        assert answer.status_code == httpx.codes.OK, answer.text
        return answer.json()

    def read(self, order: Mapping[str, Any]) -> dict[str, Any]:
        """Read an order as the app."""
        return self.shops.app.get(f"/v1/orders/{order['order_id']}").json()

    def events(self, order: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Read what happened to an order."""
        return self.shops.app.get(f"/v1/orders/{order['order_id']}/events").json()["items"]

    def collect(self, point_id: str, code: str, **more: Any) -> dict[str, Any]:
        """Enter a code at the counter."""
        answer = self.shops.own.post(f"/v1/points/{point_id}:collect", json={"code": code, **more})
        assert answer.status_code == httpx.codes.OK, answer.text
        return answer.json()

    def match(self, **query: Any) -> dict[str, Any]:
        """Ask for the nearest points of the merchant that offer pickup."""
        asked: dict[str, Any] = {"lat": LAT, "lng": LNG, "offer": PICKUP}
        asked["features"] = f"merchant:{self.shops.merchant_id}"
        answer = self.shops.app.get("/v1/match", params=asked | query)
        assert answer.status_code == httpx.codes.OK, answer.text
        return answer.json()

    def wait_for_match(self, *point_ids: str, **query: Any) -> None:
        """Wait until a match finds these points and no others: the index follows the store a moment later."""

        def is_found() -> bool:
            return [one["point_id"] for one in self.match(**query)["matches"]] == list(point_ids)

        wait_until(is_found, WAIT_S, f"a match of {query} that finds {point_ids}")

    def stock(self, point_id: str, sku: str) -> tuple[int, int]:
        """Return what is counted and what is held of an SKU."""
        query = f"SELECT counted, held FROM stock WHERE point_id = '{point_id}' AND sku = '{sku}'"  # noqa: S608
        return tuple(ask(self.service.place, query)[0])

    def in_work(self, point_id: str) -> int:
        """Return how many orders a point has in work."""
        return int(ask(self.service.place, f"SELECT in_work FROM offers WHERE point_id = '{point_id}'")[0][0])  # noqa: S608


def open_counter(shops: Shops, service: Serving) -> Counter:
    """Return a counter over shops."""
    return Counter(shops, service)

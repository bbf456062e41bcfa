"""Points as the tests of the registry write them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from tests.contract.service.talking import make_key, make_merchant
from tests.serving import Serving

__all__ = ["NDJSON", "Shops", "open_shops", "point", "square"]

NDJSON = {"Content-Type": "application/x-ndjson"}


def square(lng: float = 121.4, lat: float = 31.2, size: float = 0.1) -> dict[str, Any]:
    """Return a square area."""
    east, north = lng + size, lat + size
    return {"type": "Polygon", "coordinates": [[[lng, lat], [east, lat], [east, north], [lng, north], [lng, lat]]]}


def point(**changes: Any) -> dict[str, Any]:
    """Return the body of a point with one offer, some of it changed."""
    body = {"kind": "store", "name": "Shop", "lat": 31.2304, "lng": 121.4737, "offers": [{"offer": "retail/pickup"}]}
    return body | changes


@dataclass
class Shops:
    """Clients of two merchants, an app and an admin."""

    own: httpx.Client
    other: httpx.Client
    app: httpx.Client
    admin: httpx.Client
    merchant_id: str
    own_key: str

    def put(self, local: str, body: dict[str, Any] | None = None, **headers: str) -> httpx.Response:
        """Put a point of the own merchant."""
        told = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.own.put(f"/v1/points/{self.merchant_id}:{local}", json=body or point(), headers=told)

    def get(self, local: str, **query: Any) -> httpx.Response:
        """Read a point of the own merchant."""
        return self.own.get(f"/v1/points/{self.merchant_id}:{local}", params=query)


@contextmanager
def open_shops(service: Serving, merchant_id: str) -> Iterator[Shops]:
    """Make two verified merchants, and keys for all; the clients are closed afterwards."""
    with ExitStack() as stack:
        yield _opened(stack, service, merchant_id)


def _opened(stack: ExitStack, service: Serving, merchant_id: str) -> Shops:
    admin = stack.enter_context(service.client())
    for one in (merchant_id, f"{merchant_id}-2"):
        made = make_merchant(admin, one)
        assert admin.post(f"/v1/merchants/{one}:verify", headers={"If-Match": f'"{made["revision"]}"'}).is_success
    key = make_key(admin, "merchant", label="own", merchant_id=merchant_id)["secret"]
    other = make_key(admin, "merchant", label="other", merchant_id=f"{merchant_id}-2")["secret"]
    app = make_key(admin, "app", label="app")["secret"]
    own, others, apps = (stack.enter_context(service.client(secret)) for secret in (key, other, app))
    shops = Shops(own, others, apps, admin, merchant_id, key)
    _wait_until_known(shops)
    return shops


def _wait_until_known(shops: Shops) -> None:
    for client in (shops.own, shops.other, shops.app):
        for _ in range(200):
            if client.get("/v1/points").status_code == httpx.codes.OK:
                break

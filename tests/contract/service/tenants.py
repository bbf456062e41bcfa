"""Two merchants with all that a merchant can have, a key of each scope, and what is of neither."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx

from service.keys.formats import SCOPES
from tests.contract.service.operations import (
    BOOKING,
    BUSY,
    CREW,
    ORDER,
    POINT,
    PROVIDER,
    SERVICE,
    STOCK,
    Operation,
    window,
)
from tests.contract.service.talking import make_key, make_merchant, make_webhook
from tests.serving import Serving

__all__ = ["ABSENT", "Tenants", "answer_of", "tenants"]

_THERE = {"sector": "retail", "mode": "pickup", "sku": "milk-1l"}
ABSENT = {
    "merchant_id": "absent-shop",
    "point_id": "absent-shop:1",
    "key_id": "0" * 16,
    "import_id": "0" * 32,
    "order_id": "ord_" + "0" * 26,
    "code": "000000",
    "webhook_id": "wh_0",
    "provider_id": "absent-shop:visits",
    "crew_id": "nobody",
    "service_id": "nothing",
    "engagement_id": "never",
    "booking_id": "vis_" + "0" * 26,
    "token": "0" * 32,
    **_THERE,
}
_LINES = b'{"point_id": "no"}\n'


@dataclass
class Tenants:
    """
    What is there.

    Attributes
    ----------
    clients
        By scope, those of merchant, station and crew of the first merchant, the latter of its first crew; ``""`` sends no
        key.
    secrets
        The keys themselves.
    own, other, absent
        Ids by their names: the first merchant's, the second's, nobody's.
    of_app
        Ids of what an app has of its own, where that is not the merchant's.
    """

    clients: dict[str, httpx.Client]
    secrets: dict[str, str]
    own: dict[str, str]
    other: dict[str, str]
    absent: dict[str, str]
    of_app: dict[str, str]

    @property
    def admin(self) -> httpx.Client:
        """The admin's client."""
        return self.clients["admin"]

    def fresh(self, operation: Operation, scope: str = "admin") -> dict[str, str]:
        """Return the ids of what is a caller's own, of a subject made anew where the operation uses it up."""
        row, name = operation.row, f"fresh-{uuid.uuid4().hex[:12]}"
        if not row.uses_up:
            return operation.ids_of(self.own | (self.of_app if scope == "app" else {}))
        if row.order or row.booking:
            return {**self.own, **(self.fresh_order(row.order) if row.order else self.fresh_booking(row.booking))}
        if operation.is_of_provider:
            return {**operation.ids_of(self.own), **self._fresh_of_provider(operation, name)}
        if "{point_id}" in operation.path:
            return {**self.own, "point_id": _make_point(self.admin, f"own-shop:{name}")}
        if "{key_id}" in operation.path:
            return {**self.own, "key_id": make_key(self.admin, "station", merchant_id="own-shop")["key_id"]}
        if "{webhook_id}" in operation.path:
            maker = self.clients[scope if scope == "app" else "merchant"]
            return {**self.own, "webhook_id": make_webhook(maker)}
        make_merchant(self.admin, name)
        return {**self.own, "merchant_id": name}

    def fresh_order(self, state: str) -> dict[str, str]:
        """Return the ids of an order that the app made anew at the first merchant, and that has come so far."""
        order_id = _make_order(self.clients["app"], ORDER, is_placed=state != "held")
        merchant, path = self.clients["merchant"], f"/v1/orders/{order_id}"
        if state == "offered":
            merchant.post(f"{path}:offer", json={"line": 1, "sku": "bread"}).raise_for_status()
        for event in {"accepted": ("accept",), "ready": ("accept", "ready")}.get(state, ()):
            merchant.post(f"{path}:{event}").raise_for_status()
        code = self.clients["app"].get(path).json()["code"]
        return {"order_id": order_id, "point_id": ORDER["point_id"], "code": code or ABSENT["code"]}

    def fresh_booking(self, state: str) -> dict[str, str]:
        """Return the ids of a booking that the app made anew at the first merchant, and that has come so far."""
        app, merchant = self.clients["app"], self.clients["merchant"]
        booking_id = _make_booking(app, BOOKING["point_id"])
        path = f"/v1/bookings/{booking_id}"
        if state != "held":
            app.post(f"{path}:confirm").raise_for_status()
        codes = app.get(path).json()
        start, end = codes["start_code"] or ABSENT["code"], codes["end_code"] or ABSENT["code"]
        bodies = {
            "depart": None,
            "start": {"code": start},
            "finish": {"proof": {"end_code": end, "written_contract": "A-7"}},
        }
        for event in list(bodies)[: {"en_route": 1, "started": 2, "finished": 3}.get(state, 0)]:
            merchant.post(f"{path}:{event}", json=bodies[event]).raise_for_status()
        return {"booking_id": booking_id, "code": start if state == "en_route" else end}

    def _fresh_of_provider(self, operation: Operation, name: str) -> dict[str, str]:
        """Return the id of a crew, a service or an engagement made anew, which no booking needs."""
        provider = f"/v1/points/{self.own['provider_id']}"
        if "{engagement_id}" in operation.path:
            self.admin.put(f"{provider}/crews/{self.own['crew_id']}/busy/{name}", json=BUSY).raise_for_status()
            return {"engagement_id": name}
        if "{crew_id}" in operation.path:
            self.admin.put(f"{provider}/crews/{name}", json={**CREW, "skills": []}).raise_for_status()
            _make_link(self.admin, self.own["provider_id"], name)
            return {"crew_id": name}
        self.admin.put(f"{provider}/services/{name}", json=SERVICE).raise_for_status()
        return {"service_id": name}


@contextlib.contextmanager
def tenants(service: Serving) -> Iterator[Tenants]:
    """Give the two merchants, made anew in a service."""
    with contextlib.ExitStack() as stack:
        admin = stack.enter_context(service.client())
        own, other = _make(admin, "own-shop", "public"), _make(admin, "other-shop", "internal")
        secrets = {"admin": service.admin_key, "": ""}
        for scope in sorted(set(SCOPES) - {"admin"}):
            of = {"merchant_id": "own-shop"} if scope in {"merchant", "station", "crew"} else {}
            of |= {"crew": f"{own['provider_id']}/{own['crew_id']}"} if scope == "crew" else {}
            secrets[scope] = make_key(admin, scope, **of)["secret"]
        clients = {scope: stack.enter_context(service.client(secret)) for scope, secret in secrets.items()}
        for ids, orders_of in ((own, clients["app"]), (other, admin)):
            point_id = _make_order_point(admin, f"{ids['merchant_id']}:orders")
            ids["order_id"] = _make_order(orders_of, {**ORDER, "point_id": point_id}, is_placed=True)
            ids["code"] = ABSENT["code"]
            ids["booking_id"] = _make_booking(orders_of, ids["provider_id"])
            orders_of.post(f"/v1/bookings/{ids['booking_id']}:confirm").raise_for_status()
        hidden = {"visibility": "internal"}
        admin.patch(f"/v1/points/{other['provider_id']}", json=hidden, headers={"If-Match": "*"}).raise_for_status()
        of_app = {"webhook_id": make_webhook(clients["app"])}
        yield Tenants(clients, secrets, own, other, ABSENT, of_app)


def answer_of(client: httpx.Client, request: dict[str, Any]) -> httpx.Response:
    """Return the answer to a request; of one that has no end, its beginning."""
    with client.stream(**request) as answer:
        if answer.headers.get("content-type", "").startswith("text/event-stream"):
            next(answer.iter_raw())
        else:
            answer.read()
        return answer


def _make(admin: httpx.Client, merchant_id: str, visibility: str) -> dict[str, str]:
    make_merchant(admin, merchant_id)
    admin.post(f"/v1/merchants/{merchant_id}:verify", headers={"If-Match": "*"}).raise_for_status()
    point_id = _make_point(admin, f"{merchant_id}:1", visibility)
    headers = {"Idempotency-Key": str(uuid.uuid4()), "Content-Type": "application/x-ndjson"}
    done = admin.post(f"/v1/points:import?merchant_id={merchant_id}", content=_LINES, headers=headers)
    key_id = make_key(admin, "merchant", merchant_id=merchant_id)["key_id"]
    ids = {"merchant_id": merchant_id, "point_id": point_id, "key_id": key_id}
    webhook_id = make_webhook(admin, merchant_id=merchant_id)
    ids |= {"import_id": done.json()["import_id"], "webhook_id": webhook_id}
    return {**ids, **_THERE, **_make_provider(admin, merchant_id, "anna" if merchant_id == "own-shop" else "omar")}


def _make_provider(admin: httpx.Client, merchant_id: str, crew_id: str) -> dict[str, str]:
    """Make a public point with a crew, an engagement of it, and a service."""
    ids = {"provider_id": f"{merchant_id}:visits", "crew_id": crew_id, "service_id": "clean", "engagement_id": "leave"}
    path = f"/v1/points/{ids['provider_id']}"
    for below, body in (
        ("", PROVIDER),
        (f"/crews/{crew_id}", CREW),
        (f"/crews/{crew_id}/busy/{ids['engagement_id']}", BUSY),
        (f"/services/{ids['service_id']}", SERVICE),
    ):
        answer = admin.put(f"{path}{below}", json=body)
        assert answer.status_code == httpx.codes.CREATED, answer.text
    _make_link(admin, ids["provider_id"], crew_id)
    admin.put(f"{path}/crews/of-link", json={**CREW, "skills": []}).raise_for_status()
    return {
        **ids,
        "token": _make_link(admin, ids["provider_id"], "of-link"),
    }  # of a crew for which nobody makes another


def _make_link(admin: httpx.Client, point_id: str, crew_id: str) -> str:
    """Make the calendar link of a crew; return the secret in it."""
    answer = admin.put(f"/v1/points/{point_id}/crews/{crew_id}/calendar").raise_for_status()
    return str(answer.json()["path"]).rpartition("/")[2].removesuffix(".ics")


def _make_order_point(admin: httpx.Client, point_id: str) -> str:
    """Make a point that no number of orders uses up."""
    offer = {**POINT["offers"][0], "capacity": None}
    body = {**POINT, "offers": [offer], "visibility": "unlisted"}
    admin.put(f"/v1/points/{point_id}", json=body).raise_for_status()
    for sku in ("milk-1l", "bread"):
        admin.put(f"/v1/points/{point_id}/stock/{sku}", json={**STOCK, "counted": None}).raise_for_status()
    return point_id


def _make_order(client: httpx.Client, body: dict[str, Any], *, is_placed: bool) -> str:
    told = {**body, "buyer": uuid.uuid4().hex, "payment": "counter" if is_placed else None}
    answer = client.post("/v1/orders", json=told, headers={"Idempotency-Key": str(uuid.uuid4())})
    assert answer.status_code == httpx.codes.CREATED, answer.text
    return str(answer.json()["order_id"])


def _make_booking(client: httpx.Client, point_id: str) -> str:
    told = {**BOOKING, "point_id": point_id, "buyer": uuid.uuid4().hex, "starts_at": window()}
    answer = client.post("/v1/bookings", json=told, headers={"Idempotency-Key": str(uuid.uuid4())})
    assert answer.status_code == httpx.codes.CREATED, answer.text
    return str(answer.json()["booking_id"])


def _make_point(admin: httpx.Client, point_id: str, visibility: str = "public") -> str:
    answer = admin.put(f"/v1/points/{point_id}", json={**POINT, "visibility": visibility})
    assert answer.status_code == httpx.codes.CREATED, answer.text
    admin.put(f"/v1/points/{point_id}/stock/{_THERE['sku']}", json=STOCK).raise_for_status()
    return point_id

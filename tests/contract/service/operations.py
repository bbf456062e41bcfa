"""Every operation of the API: who may ask for it, and a request of it that is good. What is not here fails a test."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from service.http.app import describe_api
from service.keys.formats import SCOPES

__all__ = [
    "BOOKING",
    "BUSY",
    "CREW",
    "DESCRIBED",
    "LAT",
    "LNG",
    "ORDER",
    "POINT",
    "PROVIDER",
    "SERVICE",
    "STOCK",
    "TABLE",
    "WEBHOOK",
    "Operation",
    "Row",
    "operations",
    "window",
]

DESCRIBED = describe_api()
LAT, LNG = 31.2304817, 121.4737265
POINT: dict[str, Any] = {
    "kind": "store",
    "name": "A shop",
    "lat": LAT,
    "lng": LNG,
    "offers": [{"offer": "retail/pickup", "hours": "Mo-Su 00:00-24:00", "capacity": 9}],
}
STOCK = {"name": "Milk", "price_minor": 690, "currency": "CNY", "counted": 9}
_ASK = {"lat": LAT, "lng": LNG, "offer": "retail/pickup"}
_QUERY = f"lat={LAT}&lng={LNG}&offer=retail/pickup"
ALL, OWNERS, ADMIN = frozenset(SCOPES), frozenset({"admin", "merchant"}), frozenset({"admin"})
ORDERING, COUNTER, PARTIES = frozenset({"admin", "app"}), OWNERS | {"station"}, OWNERS | {"app", "station"}
ORDER: dict[str, Any] = {
    "point_id": "own-shop:orders",
    "offer": "retail/pickup",
    "lat": LAT,
    "lng": LNG,
    "items": [{"sku": "milk-1l", "quantity": 1}],
    "buyer": "{new}",
}
ORDERERS = OWNERS | {"app"}
WEBHOOK = {"url": "http://127.0.0.1:9/hook"}  # where nobody listens
CREWED, VISITORS = OWNERS | {"crew"}, ORDERERS | {"crew"}
_ALWAYS = "Mo-Su 00:00-24:00"
PROVIDER = {**POINT, "offers": [{"offer": "housekeeping/onsite", "hours": _ALWAYS, "lead_s": 0}]}
CREW = {"name": "Anna", "hours": _ALWAYS, "skills": ["cleaning"]}
# Visits are so short, and their windows so long, that no test uses a crew's day up, whenever it runs.
SERVICE: dict[str, Any] = {
    "name": "Cleaning",
    "offer": "housekeeping/onsite",
    "minutes": 5,
    "price_minor": 20_000,
    "currency": "CNY",
    "skills": ["cleaning"],
    "lead_minutes": 0,
    "window_minutes": 1_440,
    "step_minutes": 5,
}
BUSY = {"starts_at": "2099-01-05T08:00:00+08:00", "ends_at": "2099-01-05T12:00:00+08:00"}
_ILL = {"starts_at": "2099-01-06T08:00:00+08:00", "until": "2099-01-07T08:00:00+08:00"}
BOOKING: dict[str, Any] = {
    "point_id": "own-shop:visits",
    "service_id": "clean",
    "lat": LAT,
    "lng": LNG,
    "address": "Lane 7, door 3",
    "starts_at": "{window}",
    "buyer": "{new}",
}
_PROOF = {"proof": {"end_code": "{code}", "written_contract": "A-7"}}
_SLOTS = f"point=own-shop:visits&service=clean&lat={LAT}&lng={LNG}&days=1"
_BEFORE_S, _STEP_S = 600, 300
_NAMED = ("merchant_id", "point_id", "key_id", "import_id", "order_id", "webhook_id", "crew_id", "booking_id")


@dataclass(frozen=True)
class Row:
    """
    What is expected of an operation.

    Attributes
    ----------
    scopes
        Whose keys may ask; none where no key is needed.
    status
        Of the good request.
    query, body
        Of the good request; ``{merchant_id}`` and the like stand for ids.
    takes
        The kind of body.
    uses_up
        Whether the good request can be made but once of its subject, or changes what others need as it is.
    of_others
        What it gets about what is another's, or is not there.
    order, booking
        Where the order, or the booking, is that the good request is about, made anew for it.
    """

    scopes: frozenset[str]
    status: int = 200
    query: str = ""
    body: Any = None
    takes: str = "application/json"
    uses_up: bool = False
    of_others: int = 404
    order: str = ""
    booking: str = ""


def _of_booking(scopes: frozenset[str], state: str, body: Any = None, status: int = 200) -> Row:
    """Return the row of what happens to a booking that has come so far."""
    return Row(scopes, status, body=body, uses_up=True, booking=state)


TABLE = {
    "GET /healthz": Row(frozenset()),
    "GET /readyz": Row(frozenset()),
    "GET /v1/match": Row(ALL, query=_QUERY),
    "POST /v1/match:batch": Row(ALL, body={"asks": [_ASK]}),
    "GET /v1/match:explain": Row(ALL, query=_QUERY),
    "POST /v1/merchants": Row(ADMIN, 201, body={"merchant_id": "new-{new}", "name": "New"}),
    "GET /v1/merchants": Row(ADMIN),
    "GET /v1/merchants/{merchant_id}": Row(OWNERS),
    "PATCH /v1/merchants/{merchant_id}": Row(OWNERS, body={"name": "Another name"}),
    "GET /v1/merchants/{merchant_id}/routing": Row(OWNERS),
    "PUT /v1/merchants/{merchant_id}/routing": Row(OWNERS, body={"rules": ["distance"]}),
    "POST /v1/merchants/{merchant_id}:verify": Row(ADMIN, uses_up=True),
    "POST /v1/merchants/{merchant_id}:suspend": Row(ADMIN, uses_up=True),
    "POST /v1/merchants/{merchant_id}:reinstate": Row(ADMIN, 409, uses_up=True),  # it was not suspended
    "PUT /v1/points/{point_id}": Row(OWNERS, body=POINT),
    "GET /v1/points/{point_id}": Row(ALL),
    "DELETE /v1/points/{point_id}": Row(OWNERS, 204, uses_up=True),
    "PATCH /v1/points/{point_id}": Row(OWNERS, body={"name": "Another name"}),
    "GET /v1/points": Row(ALL, query="merchant={merchant_id}", of_others=200),
    "POST /v1/points/{point_id}:pause": Row(OWNERS, body={"offer": "retail/pickup"}),
    "POST /v1/points/{point_id}:resume": Row(OWNERS, body={"offer": None}),
    "PUT /v1/points/{point_id}/offers/{sector}/{mode}/capacity": Row(OWNERS, body={"units": 7}),
    "GET /v1/points/{point_id}/hours": Row(ALL, query="offer=retail/pickup"),
    "POST /v1/points:import": Row(OWNERS, query="merchant_id={merchant_id}", body=b"", takes="application/x-ndjson"),
    "PUT /v1/points/{point_id}/stock/{sku}": Row(OWNERS, body=STOCK),
    "GET /v1/points/{point_id}/stock/{sku}": Row(ALL),
    "DELETE /v1/points/{point_id}/stock/{sku}": Row(OWNERS, 204, uses_up=True),
    "GET /v1/points/{point_id}/stock": Row(ALL),
    "POST /v1/points/{point_id}/stock:import": Row(OWNERS, body=b"", takes="application/x-ndjson"),
    "POST /v1/orders": Row(ORDERING, 201, body=ORDER),
    "POST /v1/orders:quote": Row(ORDERING, body=ORDER),
    "GET /v1/orders": Row(PARTIES),
    "GET /v1/orders/{order_id}": Row(PARTIES),
    "GET /v1/orders/{order_id}/events": Row(PARTIES),
    "POST /v1/orders/{order_id}:place": Row(ORDERING, body={"payment": "counter"}, uses_up=True, order="held"),
    "POST /v1/orders/{order_id}:cancel": Row(ORDERING, uses_up=True, order="held"),
    "POST /v1/orders/{order_id}:accept": Row(COUNTER, uses_up=True, order="placed"),
    "POST /v1/orders/{order_id}:ready": Row(COUNTER, uses_up=True, order="accepted"),
    "POST /v1/orders/{order_id}:reject": Row(COUNTER, body={"reason": "closed"}, uses_up=True, order="placed"),
    "POST /v1/orders/{order_id}:offer": Row(COUNTER, body={"line": 1, "sku": "bread"}, uses_up=True, order="placed"),
    "POST /v1/orders/{order_id}:answer": Row(ORDERING, body={"line": 2, "takes": True}, uses_up=True, order="offered"),
    "POST /v1/orders/{order_id}:collect": Row(COUNTER, body={"code": "{code}"}, uses_up=True, order="ready"),
    "POST /v1/points/{point_id}:collect": Row(COUNTER, body={"code": "{code}"}, uses_up=True, order="ready"),
    "PUT /v1/points/{point_id}/crews/{crew_id}": Row(OWNERS, body=CREW, uses_up=True),
    "GET /v1/points/{point_id}/crews/{crew_id}": Row(OWNERS),
    "DELETE /v1/points/{point_id}/crews/{crew_id}": Row(OWNERS, 204, uses_up=True),
    "GET /v1/points/{point_id}/crews": Row(OWNERS),
    "POST /v1/points/{point_id}/crews/{crew_id}:ill": Row(OWNERS, body=_ILL, uses_up=True),
    "GET /v1/points/{point_id}/crews/{crew_id}/day": Row(CREWED),
    "PUT /v1/points/{point_id}/crews/{crew_id}/busy/{engagement_id}": Row(OWNERS, body=BUSY, uses_up=True),
    "DELETE /v1/points/{point_id}/crews/{crew_id}/busy/{engagement_id}": Row(OWNERS, 204, uses_up=True),
    "GET /v1/points/{point_id}/crews/{crew_id}/busy": Row(OWNERS),
    "PUT /v1/points/{point_id}/services/{service_id}": Row(OWNERS, body=SERVICE, uses_up=True),
    "GET /v1/points/{point_id}/services/{service_id}": Row(ALL),
    "DELETE /v1/points/{point_id}/services/{service_id}": Row(OWNERS, 204, uses_up=True),
    "GET /v1/points/{point_id}/services": Row(ALL),
    "POST /v1/points/{point_id}/crews:import": Row(OWNERS, body=b"", takes="application/x-ndjson"),
    "POST /v1/points/{point_id}/services:import": Row(OWNERS, body=b"", takes="application/x-ndjson"),
    "GET /v1/slots": Row(ORDERERS, query=_SLOTS),
    "POST /v1/bookings": Row(ORDERING, 201, body=BOOKING),
    "GET /v1/bookings": Row(ORDERERS, query="crew={crew_id}", of_others=200),
    "GET /v1/bookings/{booking_id}": Row(VISITORS),
    "GET /v1/bookings/{booking_id}/events": Row(VISITORS),
    "POST /v1/bookings/{booking_id}:confirm": _of_booking(ORDERING, "held", {"payment": "onsite"}),
    "POST /v1/bookings/{booking_id}:reschedule": _of_booking(ORDERING, "confirmed", {"starts_at": "{window}"}),
    "POST /v1/bookings/{booking_id}:cancel": _of_booking(VISITORS, "held", {"reason": "other"}),
    "POST /v1/bookings/{booking_id}:depart": _of_booking(CREWED, "confirmed"),
    "POST /v1/bookings/{booking_id}:start": _of_booking(CREWED, "en_route", {"code": "{code}"}),
    "POST /v1/bookings/{booking_id}:overrun": _of_booking(CREWED, "started", {"minutes": 1}),
    "POST /v1/bookings/{booking_id}:finish": _of_booking(CREWED, "started", _PROOF),
    "POST /v1/bookings/{booking_id}:pay": _of_booking(CREWED, "finished", {"means": "cash"}),
    "POST /v1/bookings/{booking_id}:absent": Row(VISITORS, 409, body={"who": "customer"}),  # who is waited for
    "POST /v1/bookings/{booking_id}:complain": _of_booking(ORDERING, "finished", {"starts_at": "{window}"}, 201),
    "POST /v1/buyers:erase": Row(ORDERING, body={"buyer": "{new}"}),
    "GET /v1/imports/{import_id}": Row(OWNERS),
    "GET /v1/imports/{import_id}/errors": Row(OWNERS),
    "POST /v1/keys": Row(OWNERS, 201, body={"scope": "station", "merchant_id": "{merchant_id}"}),
    "GET /v1/keys": Row(OWNERS),
    "GET /v1/keys/{key_id}": Row(OWNERS),
    "POST /v1/keys/{key_id}:revoke": Row(OWNERS, uses_up=True),
    "GET /v1/audit": Row(OWNERS, query="merchant_id={merchant_id}"),
    "GET /v1/events": Row(OWNERS),
    "POST /v1/webhooks": Row(ORDERERS, 201, body=WEBHOOK),
    "GET /v1/webhooks": Row(ORDERERS),
    "GET /v1/webhooks/{webhook_id}": Row(ORDERERS),
    "DELETE /v1/webhooks/{webhook_id}": Row(ORDERERS, 204, uses_up=True),
    "POST /v1/webhooks/{webhook_id}:rotate": Row(ORDERERS),
    "POST /v1/webhooks/{webhook_id}:enable": Row(ORDERERS),
    "GET /v1/webhooks/{webhook_id}/deliveries": Row(ORDERERS),
    "PUT /v1/points/{point_id}/crews/{crew_id}/calendar": Row(OWNERS),
    "GET /v1/points/{point_id}/crews/{crew_id}/calendar": Row(OWNERS),
    "DELETE /v1/points/{point_id}/crews/{crew_id}/calendar": Row(OWNERS, 204, uses_up=True),
    "GET /v1/calendars/{token}.ics": Row(frozenset()),
}


@dataclass(frozen=True)
class Operation:
    """An operation as it is described, with its row."""

    name: str
    row: Row
    described: Mapping[str, Any]

    def __str__(self) -> str:
        return self.name

    @property
    def method(self) -> str:
        """Its method."""
        return self.name.partition(" ")[0]

    @property
    def path(self) -> str:
        """Its path, a template."""
        return self.name.partition(" ")[2]

    @property
    def names_what(self) -> bool:
        """Whether it is about something that has an owner."""
        told = self.path + self.row.query + str(self.row.body)
        return any(f"{{{name}}}" in told for name in _NAMED)

    @property
    def is_of_provider(self) -> bool:
        """Whether it is about what a point has for visits."""
        return self.path.startswith(("/v1/points/{point_id}/crews", "/v1/points/{point_id}/services"))

    @property
    def takes_json(self) -> bool:
        """Whether it takes a JSON body."""
        return "application/json" in self.described.get("requestBody", {}).get("content", {})

    @property
    def streams(self) -> bool:
        """Whether its answer has no end."""
        return self.path == "/v1/events"

    def ids_of(self, ids: Mapping[str, str]) -> dict[str, str]:
        """Return ids, the point among them being the one that it can be about."""
        return {**ids, "point_id": ids["provider_id"]} if self.is_of_provider else dict(ids)

    def request(self, ids: Mapping[str, str], **more: Any) -> dict[str, Any]:
        """Return its good request about something, as httpx takes it; ``more`` goes before it."""
        filled = {**self.ids_of(ids), "new": uuid.uuid4().hex[:12], "window": window()}
        query = _filled(self.row.query, filled)
        made: dict[str, Any] = {
            "method": self.method,
            "url": _filled(self.path, filled) + (f"?{query}" if query else ""),
            "headers": {"Idempotency-Key": str(uuid.uuid4()), "If-Match": "*"},
        }
        if isinstance(self.row.body, bytes):
            made["content"] = self.row.body
        elif self.row.body is not None:
            made["json"] = _filled_body(self.row.body, filled)
        if made.keys() & {"content", "json"}:
            made["headers"]["Content-Type"] = self.row.takes
        headers = {**made["headers"], **more.pop("headers", {})}
        if "content" in more:
            made.pop("json", None)
        return {**made, **more, "headers": headers}


def operations() -> list[Operation]:
    """Return every operation that is described; raises where one has no row, or a row no operation."""
    found = {
        f"{method.upper()} {path}": told
        for path, methods in DESCRIBED["paths"].items()
        for method, told in methods.items()
    }
    if found.keys() != TABLE.keys():
        text = f"these operations and rows of the table have no counterpart: {sorted(found.keys() ^ TABLE.keys())}"
        raise AssertionError(text)
    return [Operation(name, TABLE[name], told) for name, told in found.items()]


def _filled(text: str, ids: Mapping[str, str]) -> str:
    for name, value in ids.items():
        text = text.replace(f"{{{name}}}", value)
    return text


def _filled_body(body: Any, ids: Mapping[str, str]) -> Any:
    if isinstance(body, dict):
        return {name: _filled_body(value, ids) for name, value in body.items()}
    return _filled(body, ids) if isinstance(body, str) else body


def window() -> str:
    """Return when a window of the service begins, late enough that what is held of it does not expire during a test."""
    at_s = int(dt.datetime.now(dt.UTC).timestamp()) + _BEFORE_S
    return dt.datetime.fromtimestamp(at_s + -at_s % _STEP_S, dt.UTC).isoformat()

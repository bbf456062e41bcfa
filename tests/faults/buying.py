"""Buyers at a shop over HTTP, each thread with a connection of its own; and what the store must say of its stock then."""

from __future__ import annotations

import datetime as dt
import http.client
import json
import sqlite3
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import psycopg

from tests.contract.service.shops import open_shops
from tests.contract.service.stocked import LAT, LNG, PICKUP, Counter, open_counter
from tests.contract.service.talking import ask
from tests.serving import Place, Serving

__all__ = [
    "EQUATION",
    "Answer",
    "Caller",
    "Market",
    "at_once",
    "body_of",
    "change",
    "key_of",
    "open_market",
    "unbalanced",
    "unsound",
]

EQUATION = """
SELECT s.point_id, s.sku, s.counted, s.held,
  (SELECT coalesce(sum(l.quantity), 0) FROM order_lines l JOIN orders o ON o.order_id = l.order_id
    WHERE o.point_id = s.point_id AND l.sku = s.sku AND l.state IN ('wanted', 'offered')
      AND o.state IN ('held', 'placed', 'accepted', 'ready')),
  (SELECT coalesce(sum(l.quantity), 0) FROM order_lines l JOIN orders o ON o.order_id = l.order_id
    WHERE o.point_id = s.point_id AND l.sku = s.sku AND l.state = 'wanted' AND o.state = 'collected')
FROM stock s WHERE s.counted IS NOT NULL
"""
"""Of each entry in one view: what is counted and held, what open orders hold, what was collected."""


class Answer(NamedTuple):
    """What came back; the status is 0 where nothing did."""

    status: int
    body: bytes = b""

    @property
    def told(self) -> dict[str, Any]:
        """The body read as JSON."""
        found: dict[str, Any] = json.loads(self.body)
        return found

    @property
    def slug(self) -> str:
        """Which problem it is; empty for none."""
        return str(self.told.get("type", "")).rpartition("/")[2] if self.status >= 400 else ""


class Caller:
    """
    One who calls with a key, over a connection that is kept.

    Parameters
    ----------
    base_url, key
        Where, and with which key.
    """

    def __init__(self, base_url: str, key: str) -> None:
        self._place = urlsplit(base_url)
        self._key = key
        self._connection: http.client.HTTPConnection | None = None

    def call(self, method: str, path: str, body: Any = None, idempotency_key: str | None = None) -> Answer:
        """Send a request once; an answer of status 0 where the wire broke."""
        headers = {"Authorization": f"Bearer {self._key}"}
        if idempotency_key is not None:
            headers["Idempotency-Key"] = idempotency_key
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        if data is not None:
            headers["Content-Type"] = "application/json"
        if self._connection is None:
            self._connection = http.client.HTTPConnection(self._place.hostname or "", self._place.port, timeout=30)
        try:
            self._connection.request(method, path, data, headers)
            answer = self._connection.getresponse()
            return Answer(answer.status, answer.read())
        except (OSError, http.client.HTTPException):
            self.close()
            return Answer(0)

    def order(self, body: Any, key: str | None = None) -> Answer:
        """Send an order."""
        return self.call("POST", "/v1/orders", body, key or uuid.uuid4().hex)

    def act(self, order_id: str, event: str, body: Any = None) -> Answer:
        """Let something happen to an order."""
        return self.call("POST", f"/v1/orders/{order_id}:{event}", body)

    def close(self) -> None:
        """End the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def key_of(client: Any) -> str:
    """Return the key that a client sends."""
    return str(client.headers["authorization"]).removeprefix("Bearer ")


def body_of(point_id: str, sku: str, *, quantity: int = 1, in_s: float = 7200.0, **more: Any) -> dict[str, Any]:
    """Return the body of an order by a buyer of its own, to be collected in so many seconds."""
    body = {
        "point_id": point_id,
        "offer": PICKUP,
        "lat": LAT,
        "lng": LNG,
        "items": [{"sku": sku, "quantity": quantity}],
        "buyer": uuid.uuid4().hex,
        "at": (dt.datetime.now(dt.UTC) + dt.timedelta(seconds=in_s)).isoformat(),
    }
    return body | more


@dataclass
class Market:
    """A shop, an app whose customers order there, and what was seen of its stock."""

    serving: Serving
    counter: Counter
    point_id: str
    app_key: str
    own_key: str
    wrong: list[str] = field(default_factory=list)

    def app(self) -> Caller:
        """Return a caller with the app's key."""
        return Caller(self.serving.base_url, self.app_key)

    def own(self) -> Caller:
        """Return a caller with the merchant's key."""
        return Caller(self.serving.base_url, self.own_key)

    def put_stock(self, sku: str, counted: int) -> None:
        """Count an entry of the shop's stock."""
        entry = {"name": sku, "price_minor": 1000, "currency": "CNY", "counted": counted}
        answer = self.counter.shops.own.put(f"/v1/points/{self.point_id}/stock/{sku}", json=entry)
        assert answer.is_success, answer.text

    def finish(self, app: Caller, own: Caller, order_id: str) -> Answer:
        """Let a held order be placed, prepared and collected; return the first answer that is not as it should be."""
        steps: list[Callable[[], Answer]] = [
            lambda: app.act(order_id, "place", {"payment": "counter"}),
            lambda: own.act(order_id, "accept"),
            lambda: own.act(order_id, "ready"),
            lambda: app.call("GET", f"/v1/orders/{order_id}"),
        ]
        answer = Answer(0)
        for step in steps:
            answer = step()
            if answer.status != 200:
                return answer
        return own.act(order_id, "collect", {"code": answer.told["code"]})


@contextmanager
def open_market(serving: Serving, merchant_id: str = "market", **offer: Any) -> Iterator[Market]:
    """Give a shop that prepares at once."""
    with open_shops(serving, merchant_id) as shops:
        counter = open_counter(shops, serving)
        point_id = counter.shop("shop", offer={"lead_s": 0, **offer})
        yield Market(serving, counter, point_id, key_of(shops.app), shops.own_key)


def unbalanced(place: Place, initial: dict[str, int]) -> list[str]:
    """Return what is wrong with the stock: sold, held and free are to be what there was at first, none below 0."""
    wrong = []
    for _point_id, sku, counted, held, in_orders, collected in ask(place, EQUATION):
        if sku not in initial:
            continue
        if counted + collected != initial[sku] or held != in_orders or not 0 <= held <= counted:
            wrong.append(
                f"{sku}: {initial[sku]} at first, counted {counted}, held {held}, in orders {in_orders}, sold {collected}"
            )
    return wrong


_UNSOUND = {
    "without lines": "SELECT order_id FROM orders WHERE order_id NOT IN (SELECT order_id FROM order_lines)",
    "lines of none": "SELECT order_id FROM order_lines WHERE order_id NOT IN (SELECT order_id FROM orders)",
    "events missing": "SELECT o.order_id FROM orders o WHERE o.revision <>"
    " (SELECT count(*) FROM order_events e WHERE e.order_id = o.order_id)",
    "events of none": "SELECT order_id FROM order_events WHERE order_id NOT IN (SELECT order_id FROM orders)",
    "state not the last event's": "SELECT o.order_id FROM orders o JOIN order_events e"
    " ON e.order_id = o.order_id AND e.revision = o.revision WHERE e.state <> o.state",
    "event not in the outbox": "SELECT e.order_id FROM order_events e WHERE NOT EXISTS (SELECT 1 FROM changes c"
    " WHERE c.kind = 'order' AND c.subject = e.order_id AND c.revision = e.revision)",
    "outbox of no event": "SELECT c.subject FROM changes c WHERE c.kind = 'order' AND NOT EXISTS"
    " (SELECT 1 FROM order_events e WHERE e.order_id = c.subject AND e.revision = c.revision)",
    "in work": "SELECT f.point_id FROM offers f WHERE f.in_work <> (SELECT count(*) FROM orders o WHERE"
    " o.point_id = f.point_id AND o.offer = f.offer AND o.state IN ('held', 'placed', 'accepted', 'ready'))",
}


def unsound(place: Place) -> list[str]:
    """Return which orders are not whole: each has its lines, its events, their outbox rows, its place in work."""
    return [f"{what}: {row[0]}" for what, query in _UNSOUND.items() for row in ask(place, query)]


def change(place: Place, statement: str) -> None:
    """Change the database behind linli's back."""
    if place.database is not None:
        with psycopg.connect(place.database) as connection:
            connection.execute(statement.encode())
        return
    with closing(sqlite3.connect(place.folder / "linli.db", timeout=30)) as file, file:
        file.execute(statement)


def at_once(n: int, work: Callable[[int], None]) -> None:
    """Run a work in so many threads; an error of one is raised."""
    failed: list[BaseException] = []

    def one(number: int) -> None:
        try:
            work(number)
        except BaseException as error:  # noqa: BLE001 - it is raised below
            failed.append(error)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(n)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]

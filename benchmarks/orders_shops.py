"""Shops with stock in a store of their own, the orders that are made there, and every statement that one takes."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import event, insert

from engine import load_norms
from service.http.idempotency import Created, once
from service.keys.store import create_key
from service.orders.checks import Checker
from service.orders.codes import digest_of
from service.orders.ordering import OrderTerms, Wish, hold
from service.store import connections, plain
from service.store.order_tables import stock
from service.store.tables import merchants, offers, points

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from service.store.connections import WriteConnection
    from service.store.database import Store

__all__ = ["N_SHOPS", "Statement", "fill", "make", "recorded", "request", "terms", "wish"]

MERCHANT, OFFER, CELL = "shops", "retail/pickup", "88309a0cdfffffff"
N_SHOPS, N_SKUS = 200, 50
LAT, LNG = 31.23, 121.47
RATE = 1_000_000_000
Statement = tuple[str, Any, bool]
"""What the driver is told, with which parameters, and whether these are of many runs."""


def fill(store: Store) -> str:
    """Enter the shops; return the key of an app."""
    return store.write_now(_fill, 60.0)


def _fill(connection: WriteConnection) -> str:
    now = connection.now_us
    stamps = {"created_at": now, "updated_at": now}
    merchant = {"merchant_id": MERCHANT, "name": "Shops", "status": "verified", "revision": 1, **stamps}
    connection.run(insert(merchants), merchant)
    ids = [f"{MERCHANT}:{number}" for number in range(N_SHOPS)]
    same = {"kind": "store", "name": "A shop", "lat": LAT, "lng": LNG, "timezone": "Asia/Shanghai", "country": "CN"}
    same |= {"visibility": "public", "features": ";", "is_paused": False, "is_synthetic": True, "is_deleted": False}
    owned = {"merchant_id": MERCHANT, "revision": 1, **same, **stamps}
    connection.run(insert(points), [{"point_id": point_id, **owned} for point_id in ids])
    offer = {"offer": OFFER, "radius_m": 5000.0, "hours": "24/7", "lead_s": 0, "is_paused": False}
    offer |= {"capacity": 1_000_000, "slot_orders": 1_000_000, "slot_s": 1800}
    connection.run(insert(offers), [{"point_id": point_id, **offer} for point_id in ids])
    entry = {"name": "Goods", "price_minor": 1250, "currency": "CNY", "counted": 1_000_000, "held": 0, "safety": 2}
    entry |= {"counted_at": now, "is_deleted": False, "revision": 0}
    shelves = [{"point_id": point_id, "sku": f"sku-{n}", **entry} for point_id in ids for n in range(N_SKUS)]
    connection.run(insert(stock), shelves)
    connection.record_changes("point", [(point_id, 1) for point_id in ids], MERCHANT)
    return create_key(connection, scope="app", label="benchmark", rate=RATE).secret


def terms() -> OrderTerms:
    """Return what orders are made with."""
    return OrderTerms(bytes(32), load_norms(), Checker(None))


def wish(number: int) -> Wish:
    """Return what a customer wants: two units of two SKUs, placed at once, to be paid at the counter."""
    buyer = digest_of(bytes(32), "buyer", uuid.uuid4().hex)
    units = {f"sku-{number % N_SKUS}": 1, f"sku-{(number + 7) % N_SKUS}": 2}
    point_id = f"{MERCHANT}:{number % N_SHOPS}"
    return Wish(
        owner="benchmark",
        buyer=buyer,
        device=buyer,
        collector=None,
        point_id=point_id,
        offer=OFFER,
        lat=LAT,
        lng=LNG,
        cell=CELL,
        at=None,
        features=(),
        unknown_hours="refuse",
        units=units,
        total_minor=None,
        is_placed=True,
        actor="benchmark",
    )


def request(number: int, key: str) -> bytes:
    """Return the same as a request."""
    asked = wish(number)
    items = [{"sku": sku, "quantity": quantity} for sku, quantity in asked.units.items()]
    body = {"point_id": asked.point_id, "offer": OFFER, "lat": LAT, "lng": LNG, "items": items, "buyer": asked.buyer}
    sent = json.dumps(body | {"payment": "counter"}).encode()
    head = (
        f"POST /v1/orders HTTP/1.1\r\nHost: linli\r\nAuthorization: Bearer {key}\r\nIdempotency-Key: {uuid.uuid4()}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(sent)}\r\n\r\n"
    )
    return head.encode() + sent


def make(connection: WriteConnection, made_with: OrderTerms, asked: Wish) -> Any:
    """Make an order with its idempotency record, as the route does."""
    place = ("benchmark", "POST /v1/orders", uuid.uuid4().hex)

    def create(connection: WriteConnection) -> Created:
        return Created(hold(connection, made_with, asked).row.order_id.encode())

    return once(connection, place, "0" * 64, create)


@contextmanager
def recorded(engine: Engine) -> Iterator[list[list[Statement]]]:
    """Give a list that takes every statement of an engine, one list a transaction, with its parameters."""
    transactions: list[list[Statement]] = []

    def begun(_connection: Any) -> None:
        transactions.append([])

    def said(_connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, many: bool) -> None:
        if not statement.startswith(("SAVEPOINT", "RELEASE", "BEGIN", "ROLLBACK")):
            transactions[-1].append((statement, parameters, many))

    def plainly(driver: Any, sql: str, values: Any) -> Any:
        transactions[-1].append((sql, list(values), False))
        return say(driver, sql, values)

    def plainly_many(driver: Any, sql: str, values: Any) -> Any:
        transactions[-1].append((sql, [list(one) for one in values], True))
        return say_many(driver, sql, values)

    event.listen(engine, "begin", begun, insert=True)
    event.listen(engine, "before_cursor_execute", said)
    kept = [(module, name) for module in (plain, connections) for name in ("say", "say_many") if name in vars(module)]
    say, say_many = plain.say, plain.say_many
    for module, name in kept:
        vars(module)[name] = plainly if name == "say" else plainly_many
    try:
        yield transactions
    finally:
        event.remove(engine, "begin", begun)
        event.remove(engine, "before_cursor_execute", said)
        for module, name in kept:
            vars(module)[name] = say if name == "say" else say_many

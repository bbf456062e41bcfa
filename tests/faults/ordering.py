"""
Orders through the store alone, without HTTP; and a process that makes them by a script and is killed on its way.

``python -m tests.faults.ordering WARM``: as `tests.faults.killing` has it; a child has made an order in WARM before.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import sys
import uuid
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import insert, select

from engine.norms import load_norms
from service.http.idempotency import Created, once
from service.orders.acting import Act, act, locked_order
from service.orders.checks import Checker
from service.orders.ordering import OrderTerms, Wish, hold
from service.orders.rules import Event, Party
from service.orders.store import OrderRecord
from service.stock.rules import StockFacts
from service.stock.store import put_entries
from service.store.connections import ReadConnection, WriteConnection
from service.store.database import Store
from service.store.tables import marks, offers, points
from tests.faults.killing import Say, run_killed
from tests.faults.writing import opened
from tests.feed_store import put_merchant

__all__ = ["MERCHANT", "OFFER", "POINT", "enter_shop", "happen", "order", "order_once", "terms_of", "wish"]

MERCHANT, POINT, OFFER = "m0", "m0:shop", "retail/pickup"
LAT, LNG = 31.2304, 121.4737
N_ORDERS = 50
ROUTE = "POST /v1/orders"


def enter_shop(connection: WriteConnection, stock: dict[str, int], **offer: Any) -> None:
    """Enter a verified merchant with a shop that is always open and prepares at once."""
    put_merchant(connection, MERCHANT)
    now = connection.now_us
    place = {"kind": "store", "name": "Shop", "lat": LAT, "lng": LNG, "timezone": "Asia/Shanghai", "features": ";"}
    flags = {"visibility": "public", "is_paused": False, "is_synthetic": True, "is_deleted": False}
    row = {"point_id": POINT, "merchant_id": MERCHANT, "revision": 1, "created_at": now, "updated_at": now}
    connection.run(insert(points), row | place | flags)
    terms = {"hours": "24/7", "lead_s": 0, "is_paused": False, "in_work": 0, **offer}
    connection.run(insert(offers), {"point_id": POINT, "offer": OFFER, **terms})
    connection.record_change("point", POINT, 1, MERCHANT)
    entries = [StockFacts(sku, sku, 1000, "CNY", counted, 0, None) for sku, counted in stock.items()]
    assert put_entries(connection, MERCHANT, POINT, entries) == {}


def terms_of(store: Store) -> OrderTerms:
    """Return what orders are made with, the checker warm."""

    def secret(connection: ReadConnection) -> bytes:
        return bytes.fromhex(str(connection.value(select(marks.c.value).where(marks.c.name == "secret"))))

    return OrderTerms(store.read_now(secret), load_norms(), Checker(None))


def wish(sku: str, quantity: int = 1, **more: Any) -> Wish:
    """Return what a buyer of its own wants."""
    buyer = uuid.uuid4().hex
    told: dict[str, Any] = {
        "owner": "app",
        "buyer": buyer,
        "device": buyer,
        "collector": None,
        "point_id": POINT,
        "offer": OFFER,
        "lat": LAT,
        "lng": LNG,
        "cell": "88309959b9fffff",
        "at": dt.datetime.now(dt.UTC) + dt.timedelta(hours=2),
        "features": (),
        "unknown_hours": "refuse",
        "units": {sku: quantity},
        "total_minor": None,
        "is_placed": False,
        "actor": "k",
    }
    return Wish(**told | more)


def order(store: Store, terms: OrderTerms, wanted: Wish) -> OrderRecord:
    """Order."""
    return store.write_now(lambda connection: hold(connection, terms, wanted))


def order_once(connection: WriteConnection, terms: OrderTerms, key: str, wanted: Wish) -> str:
    """Order under a key, as the route does; return the order's id."""

    def create(connection: WriteConnection) -> Created:
        made = hold(connection, terms, wanted)
        return Created(json.dumps({"order_id": made.row.order_id}).encode())

    digest = hashlib.sha256(key.encode()).hexdigest()
    created, _is_replay = once(connection, ("caller", ROUTE, key), digest, create)
    return str(json.loads(created.body)["order_id"])


def happen(connection: WriteConnection, terms: OrderTerms, order_id: str, event: Event) -> OrderRecord:
    """Let an event happen to an order."""
    party = {Event.CANCEL: Party.CUSTOMER, Event.PLACE: Party.CUSTOMER, Event.EXPIRE: Party.CLOCK}
    found = locked_order(connection, order_id)
    assert found is not None
    return act(connection, terms, found, Act(event, party.get(event, Party.MERCHANT), "k"))


def _script(folder: Path, fault: str) -> Callable[[Say], None]:
    """Make the orders: one is held, the next placed at once, the third cancelled again, the fourth collected."""
    store = opened(str(folder))
    terms = terms_of(store)

    def run(say: Say) -> None:
        for number in range(N_ORDERS):
            wanted, key = wish("milk", 1 + number % 2, is_placed=number % 4 in {1, 3}), f"key-{number}"
            if fault == "tells-first":  # planted: it acknowledges what is not yet stored
                say(f"ok {key} 1")
            order_id = store.write_now(partial(order_once, terms=terms, key=key, wanted=wanted))
            say(f"ok {key} {2 if wanted.is_placed else 1}")
            follow = {2: (Event.CANCEL,), 3: (Event.ACCEPT, Event.READY, Event.COLLECT)}.get(number % 4, ())
            for event in follow if number < 2 * N_ORDERS // 5 else ():
                done = store.write_now(partial(happen, terms=terms, order_id=order_id, event=event))
                say(f"ok {key} {done.row.revision}")

    return run


def _warm_up(folder: Path) -> None:
    with opened(str(folder)) as store:
        order(store, terms_of(store), wish("milk"))


if __name__ == "__main__":
    run_killed(sys.argv[1], _script, _warm_up)

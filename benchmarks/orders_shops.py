"""Shops with stock in a store of their own, and the orders that are made there."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from sqlalchemy import insert

from benchmarks.trade import Trade
from benchmarks.trade_points import LAT, LNG, enter_points, posted
from engine import load_norms
from service.http.idempotency import Created, once
from service.orders.checks import Checker
from service.orders.codes import digest_of
from service.orders.ordering import OrderTerms, Wish, hold
from service.store.order_tables import stock

if TYPE_CHECKING:
    from benchmarks.trade import Read
    from service.store.connections import WriteConnection

__all__ = ["SHOPS"]

MERCHANT, OFFER, CELL = "shops", "retail/pickup", "88309a0cdfffffff"
N_SHOPS, N_SKUS = 200, 50


def _fill(connection: WriteConnection) -> str:
    ids = [f"{MERCHANT}:{number}" for number in range(N_SHOPS)]
    offer = {"offer": OFFER, "radius_m": 5000.0, "capacity": 1_000_000, "slot_orders": 1_000_000, "slot_s": 1800}
    key = enter_points(connection, MERCHANT, ids, offer)
    entry = {"name": "Goods", "price_minor": 1250, "currency": "CNY", "counted": 1_000_000, "held": 0, "safety": 2}
    entry |= {"counted_at": connection.now_us, "is_deleted": False, "revision": 0}
    shelves = [{"point_id": point_id, "sku": f"sku-{n}", **entry} for point_id in ids for n in range(N_SKUS)]
    connection.run(insert(stock), shelves)
    return key


class _Till:
    """Makes orders; nothing that it knows follows the feed."""

    handlers = ()

    def __init__(self) -> None:
        self._terms = OrderTerms(bytes(32), load_norms(), Checker(None))

    def find(self, _read: Read, number: int) -> Wish:
        """Return what a customer wants."""
        return _wish(number)

    def make(self, connection: WriteConnection, found: Wish) -> None:
        """Make an order with its idempotency record, as the route does."""
        place = ("benchmark", "POST /v1/orders", uuid.uuid4().hex)

        def create(connection: WriteConnection) -> Created:
            return Created(hold(connection, self._terms, found).row.order_id.encode())

        once(connection, place, "0" * 64, create)


def _wish(number: int) -> Wish:
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


def _request(number: int, key: str) -> bytes:
    """Return the same as a request."""
    asked = _wish(number)
    items = [{"sku": sku, "quantity": quantity} for sku, quantity in asked.units.items()]
    body = {"point_id": asked.point_id, "offer": OFFER, "lat": LAT, "lng": LNG, "items": items, "buyer": asked.buyer}
    return posted("/v1/orders", key, body | {"payment": "counter"})


SHOPS = Trade(
    name="orders",
    path="/v1/orders",
    routes="service.orders.routes",
    tables=("orders", "order_lines", "order_events", "stock", "slots", "offers", "points", "idempotency", "changes"),
    n_first=N_SHOPS,  # each shop is judged once, as a service that runs has done
    fill=_fill,
    desk=_Till,
    request=_request,
)

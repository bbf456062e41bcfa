"""Merchants, points and units left, written straight into a store; and what an index must then know of them."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import insert, select, update

from engine import Engine
from service.clock import SystemClock
from service.feed.index import LiveIndex
from service.settings import load_settings
from service.store.connections import ReadConnection, WriteConnection
from service.store.database import Store
from service.store.opening import open_store
from service.store.tables import merchants, offers, points
from tests.serving import Place

OFFERS = ("laundry/pickup", "laundry/dropoff")
HOURS = (None, "24/7", "Mo-Fr 08:00-18:00")
FLAG_PAUSED, FLAG_SUSPENDED = 1, 2
Facts = dict[tuple[str, str], tuple[Any, ...]]


@contextmanager
def opened_store(place: Place) -> Iterator[Store]:
    """Give the store at a place, closed afterwards."""
    environment = {"LINLI_DATA": str(place.folder)}
    if place.database is not None:
        environment["LINLI_DATABASE"] = place.database
    store = open_store(load_settings(environment), SystemClock())
    try:
        yield store
    finally:
        store.close()


def put_merchant(connection: WriteConnection, merchant_id: str, status: str = "verified") -> None:
    """Enter a merchant, or change its status."""
    connection.lock(f"merchant {merchant_id}")
    now = {"status": status, "updated_at": connection.now_us}
    revision = connection.value(select(merchants.c.revision).where(merchants.c.merchant_id == merchant_id))
    if revision is None:
        new = {"merchant_id": merchant_id, "name": merchant_id, "revision": 1, "created_at": connection.now_us}
        connection.run(insert(merchants), {**new, **now})
    else:
        known = merchants.c.merchant_id == merchant_id
        connection.run(update(merchants).where(known).values(revision=revision + 1, **now))
    connection.record_change("merchant", merchant_id, (revision or 0) + 1, merchant_id)


def put_point(connection: WriteConnection, point_id: str, *, is_deleted: bool = False, **values: Any) -> None:
    """Enter a point with both offers, or change it."""
    merchant_id = point_id.partition(":")[0]
    connection.lock(f"merchant {merchant_id}")
    revision = connection.value(select(points.c.revision).where(points.c.point_id == point_id))
    now = {"is_deleted": is_deleted, "updated_at": connection.now_us, **values}
    if revision is None:
        new = {
            "point_id": point_id,
            "merchant_id": merchant_id,
            "kind": "shop",
            "name": point_id,
            "lat": 31.0,
            "lng": 121.0,
            "timezone": "Asia/Shanghai",
            "visibility": "public",
            "features": ";",
            "is_paused": False,
            "is_synthetic": True,
            "revision": 1,
            "created_at": connection.now_us,
        }
        connection.run(insert(points), {**new, **now})
        offer = {"point_id": point_id, "radius_m": 5000.0, "lead_s": 0, "is_paused": False}
        connection.run(insert(offers), [{**offer, "offer": name, "capacity": 10} for name in OFFERS])
    else:
        connection.run(update(points).where(points.c.point_id == point_id).values(revision=revision + 1, **now))
    connection.record_change("point", point_id, (revision or 0) + 1, merchant_id)


def set_units(connection: WriteConnection, point_id: str, offer: str, units: int) -> None:
    """Set the units left of an offer."""
    merchant_id = point_id.partition(":")[0]
    connection.lock(f"merchant {merchant_id}")
    its = (offers.c.point_id == point_id) & (offers.c.offer == offer)
    revision = connection.value(select(points.c.stock_revision).where(points.c.point_id == point_id))
    if revision is not None:
        connection.run(update(offers).where(its).values(capacity=units))
        connection.run(update(points).where(points.c.point_id == point_id).values(stock_revision=revision + 1))
        connection.record_change("stock", point_id, revision + 1, merchant_id)


def some_change(
    drawn: random.Random, n_merchants: int, n_points: int, of_merchants: float = 0.05
) -> Callable[[WriteConnection], None]:
    """Return a write that changes a registry of `n_points` points a merchant: a share of them a whole merchant."""
    merchant_id = f"m{drawn.randrange(n_merchants)}"
    point_id = f"{merchant_id}:{drawn.randrange(n_points)}"
    kind, number = drawn.random(), drawn.random()
    if kind < 0.4:
        return lambda connection: set_units(connection, point_id, OFFERS[number < 0.5], int(number * 100))
    if kind < 0.5:
        return lambda connection: put_point(connection, point_id, is_deleted=True)
    if kind < 1.0 - of_merchants:
        place: dict[str, Any] = {"lat": 31 + number, "lng": 121 + number, "is_paused": number < 0.1}
        return lambda connection: put_point(connection, point_id, **place)
    return lambda connection: put_merchant(connection, merchant_id, "suspended" if number < 0.3 else "verified")


def fill(store: Store, n_merchants: int, n_points: int) -> None:
    """Enter merchants with points."""
    for merchant in range(n_merchants):

        def enter(connection: WriteConnection, merchant: int = merchant) -> None:
            put_merchant(connection, f"m{merchant}")
            for number in range(n_points):
                put_point(connection, f"m{merchant}:{number}", lat=31 + number / n_points, lng=121 + merchant / 10)

        store.write_now(enter)


def facts_of(index: LiveIndex) -> Facts:
    """Return what an index knows, by point and offer."""
    arrays = index.view.engine.to_arrays()
    engine = Engine.from_arrays(arrays)
    facts, units, flags = engine.facts, engine.units(), arrays["flags"]
    known: Facts = {}
    for row in range(engine.n_rows):
        fact = facts.row(row)
        left = None if units[row] < 0 else int(units[row])
        paused, suspended = bool(flags[row] & FLAG_PAUSED), bool(flags[row] & FLAG_SUSPENDED)
        known[fact.point_id, fact.offer] = (fact.lat, fact.lng, left, paused, suspended)
    assert len(known) == engine.n_rows
    return known


def facts_in(connection: ReadConnection) -> Facts:
    """Return what the store holds, by point and offer."""
    rows = connection.rows(
        select(points, offers.c.offer, offers.c.capacity, merchants.c.status)
        .join_from(points, merchants, points.c.merchant_id == merchants.c.merchant_id)
        .join(offers, points.c.point_id == offers.c.point_id)
        .where(points.c.is_deleted.is_(False))
    )
    return {
        (row.point_id, row.offer): (row.lat, row.lng, row.capacity, row.is_paused, row.status != "verified")
        for row in rows
    }


def wait_until(holds: Callable[[], bool], seconds: float, what: str) -> float:
    """Wait until something holds; return how long that took."""
    begun = time.monotonic()
    while not holds():
        if time.monotonic() - begun > seconds:
            raise AssertionError(f"{what}: not within {seconds} s")
        time.sleep(0.005)
    return time.monotonic() - begun

"""Stock as the tests write it: over HTTP as merchants do, and straight into the database as orders do."""

from __future__ import annotations

import json
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import psycopg

from tests.contract.service.shops import NDJSON, Shops
from tests.serving import Place

__all__ = ["CONFLICT", "MILK", "MOST", "hold", "import_lines", "put_entry", "stock_path"]

MILK: dict[str, Any] = {"name": "牛奶 1L", "price_minor": 690, "currency": "CNY", "counted": 9}
MOST = 2**53 - 1
CONFLICT = (409, "state-conflict")


def stock_path(shops: Shops, local: str, sku: str = "") -> str:
    """Return the path of what a point of the own merchant has, or of one SKU of it."""
    return f"/v1/points/{shops.merchant_id}:{local}/stock" + (f"/{sku}" if sku else "")


def put_entry(shops: Shops, local: str, sku: str, **changes: Any) -> httpx.Response:
    """Count an SKU of the own merchant."""
    return shops.own.put(stock_path(shops, local, sku), json=MILK | changes)


def import_lines(client: httpx.Client, path: str, lines: list[Any], key: str | None = None) -> httpx.Response:
    """Import lines, each JSON of what it is."""
    body = b"\n".join(line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines)
    headers = {**NDJSON, "Idempotency-Key": key or str(uuid.uuid4())}
    return client.post(f"{path}:import", content=body, headers=headers)


@contextmanager
def _database(place: Place) -> Iterator[Any]:
    """Give a connection of one's own to the database, beside the service."""
    if place.database is not None:
        with psycopg.connect(place.database) as connection:
            yield connection
        return
    file = sqlite3.connect(place.folder / "linli.db", timeout=30, isolation_level=None)
    try:
        yield file
    finally:
        file.close()


def hold(place: Place, point_id: str, sku: str, units: int) -> bool:
    """Take units for an order, or give them back, as orders do: the point's row first; tell whether they were there."""
    mark = "?" if place.database is None else "%s"
    numbered = f"UPDATE points SET stock_revision = stock_revision + 1 WHERE point_id = {mark} RETURNING stock_revision"  # noqa: S608
    taken = (
        f"UPDATE stock SET held = held + {mark}, revision = {mark} WHERE point_id = {mark} AND sku = {mark}"  # noqa: S608
        f" AND held + {mark} BETWEEN 0 AND COALESCE(counted - safety, {MOST})"
    )
    with _database(place) as connection:
        connection.execute("BEGIN IMMEDIATE" if place.database is None else "SELECT 1")
        revision = connection.execute(numbered, (point_id,)).fetchone()[0]
        found = connection.execute(taken, (units, revision, point_id, sku, units)).rowcount == 1
        connection.execute("COMMIT" if found else "ROLLBACK")
        return found

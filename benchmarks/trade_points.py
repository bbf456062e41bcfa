"""The points at which the benchmarks trade, and what an app posts to them."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert

from service.keys.store import create_key
from service.store.tables import merchants, offers, points

if TYPE_CHECKING:
    from service.store.connections import WriteConnection

__all__ = ["LAT", "LNG", "enter_points", "posted"]

LAT, LNG = 31.23, 121.47
"""Where all of them are."""
_RATE = 1_000_000_000


def enter_points(
    connection: WriteConnection, merchant_id: str, ids: Sequence[str], offer: Mapping[str, Any], **changes: Any
) -> str:
    """Enter a merchant with points of one offer, open at any time; return the key of an app."""
    now = connection.now_us
    stamps = {"created_at": now, "updated_at": now}
    merchant = {"merchant_id": merchant_id, "name": "Shops", "status": "verified", "revision": 1, **stamps}
    connection.run(insert(merchants), merchant)
    same = {"kind": "store", "name": "A shop", "lat": LAT, "lng": LNG, "timezone": "Asia/Shanghai", "country": "CN"}
    same |= {"visibility": "public", "features": ";", "is_paused": False, "is_synthetic": True, "is_deleted": False}
    owned = {"merchant_id": merchant_id, "revision": 1, **same, **stamps, **changes}
    connection.run(insert(points), [{"point_id": point_id, **owned} for point_id in ids])
    given = {"hours": "24/7", "lead_s": 0, "is_paused": False, **offer}
    connection.run(insert(offers), [{"point_id": point_id, **given} for point_id in ids])
    connection.record_changes("point", [(point_id, 1) for point_id in ids], merchant_id)
    return create_key(connection, scope="app", label="benchmark", rate=_RATE).secret


def posted(path: str, key: str, body: Mapping[str, Any]) -> bytes:
    """Return a POST with an Idempotency-Key of its own."""
    sent = json.dumps(body).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: linli\r\nAuthorization: Bearer {key}\r\nIdempotency-Key: {uuid.uuid4()}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(sent)}\r\n\r\n"
    )
    return head.encode() + sent

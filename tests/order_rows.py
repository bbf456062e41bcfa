"""Orders and their events, written straight into a store, as the routes of orders do in their transactions."""

from __future__ import annotations

from typing import Any

from sqlalchemy import func, insert, select, update

from service.store.connections import WriteConnection
from service.store.order_tables import order_events, orders
from tests.feed_store import put_merchant, put_point

__all__ = ["put_event", "put_shop"]


def put_shop(connection: WriteConnection, merchant_id: str) -> None:
    """Enter a merchant with a point."""
    put_merchant(connection, merchant_id)
    put_point(connection, f"{merchant_id}:1")


def put_event(connection: WriteConnection, order_id: str, event: str = "placed", *, app: str = "phone app") -> int:
    """Let something happen to an order, whose id begins with its merchant's; return its revision."""
    merchant_id = order_id.partition(".")[0]
    connection.lock(f"order {order_id}")
    last = connection.value(select(func.max(order_events.c.revision)).where(order_events.c.order_id == order_id))
    revision, now_us = (last or 0) + 1, connection.now_us
    state: dict[str, Any] = {"state": event, "revision": revision}
    if last is None:
        new = {
            "order_id": order_id,
            "owner": app,
            "merchant_id": merchant_id,
            "point_id": f"{merchant_id}:1",
            "offer": "laundry/pickup",
            "buyer": "a buyer",
            "cell": "a cell",
            "features": ";",
            "order_at": now_us,
            "ready_at": now_us,
            "handover_at": now_us,
            "total_minor": 1,
            "fee_minor": 0,
            "code_number": 1,
            "code_digest": f"a code {order_id}",
        }
        connection.run(insert(orders), {**new, **state})
    else:
        connection.run(update(orders).where(orders.c.order_id == order_id).values(**state))
    happened = {"order_id": order_id, "revision": revision, "at": now_us, "event": event, "state": event}
    connection.run(insert(order_events), {**happened, "point_id": f"{merchant_id}:1", "actor": "a key"})
    connection.record_change("order", order_id, revision, merchant_id)
    return revision

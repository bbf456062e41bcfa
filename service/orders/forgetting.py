"""What is forgotten of orders: whose they were and where, and slots that are over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import bindparam, delete, select, update

from service.store.order_tables import orders, slots

if TYPE_CHECKING:
    from service.store.connections import AnyRow, WriteConnection

__all__ = ["forget_buyer", "forget_buyers", "forget_slots", "whose"]

_FORGOTTEN = {"buyer": None, "device": None, "collector": None, "cell": None}
_WHOSE = (
    select(*(orders.c[name] for name in _FORGOTTEN)).where(orders.c.order_id == bindparam("of_order")).with_for_update()
)


def whose(connection: WriteConnection, order_id: str) -> AnyRow | None:
    """Return whose an order is now, and where: what is forgotten; until this transaction ends nobody forgets it."""
    return connection.row(_WHOSE, {"of_order": order_id})


def forget_buyer(connection: WriteConnection, owner: str, buyer: str) -> int:
    """Forget whose orders of an app they were; return how many."""
    its = update(orders).where(orders.c.owner == owner, orders.c.buyer == buyer).values(_FORGOTTEN)
    n_orders = 0
    while n_more := connection.run(its):  # what was parted from one while this waited for it, the next statement sees
        n_orders += n_more
    return n_orders


def forget_buyers(connection: WriteConnection, before_us: int, limit: int) -> int:
    """Forget whose the orders were that ended before an instant; return how many."""
    old = (
        select(orders.c.order_id)
        .where(orders.c.ended_at < before_us, orders.c.buyer.is_not(None))
        .order_by(orders.c.ended_at)
        .limit(limit)
    )
    ids = [row[0] for row in connection.rows(old)]
    return connection.run(update(orders).where(orders.c.order_id.in_(ids)).values(_FORGOTTEN)) if ids else 0


def forget_slots(connection: WriteConnection, before_us: int, limit: int) -> int:
    """Delete slots that began before an instant; return how many."""
    old = select(slots.c.point_id, slots.c.offer, slots.c.starts_at).where(slots.c.starts_at < before_us).limit(limit)
    rows = [row._asdict() for row in connection.rows(old)]
    if rows:
        its = (slots.c[name] == bindparam(f"of_{name}") for name in rows[0])
        connection.run(
            delete(slots).where(*its), [{f"of_{name}": value for name, value in row.items()} for row in rows]
        )
    return len(rows)

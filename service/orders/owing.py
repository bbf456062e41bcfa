"""What is owed in the end where an order was divided: its parts are paid together, with the last of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import or_, select

from service.orders.rules import State
from service.payments.store import payer_of
from service.store.order_tables import orders

if TYPE_CHECKING:
    from service.store.connections import AnyRow, ReadConnection

__all__ = ["owed_together"]


def owed_together(connection: ReadConnection, row: AnyRow, own_minor: int) -> int | None:
    """Return what is owed for all parts of an order that is about to end; None while another part has not ended."""
    if row.payment != "online":
        return own_minor
    root = payer_of(row)
    its = or_(orders.c.order_id == root, orders.c.split_of == root), orders.c.order_id != row.order_id
    others = connection.rows(select(orders).where(*its))
    if any(other.ended_at is None for other in others):
        return None
    return own_minor + sum(other.total_minor if other.state == State.COLLECTED else other.fee_minor for other in others)

"""What the store knows of one offer of one point."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from service.feed.columns import COLUMNS
from service.store.tables import merchants, offers, points

if TYPE_CHECKING:
    from service.store.connections import AnyRow, ReadConnection

__all__ = ["find_offer"]


def find_offer(connection: ReadConnection, point_id: str, offer: str, merchant_id: str | None) -> AnyRow | None:
    """Return a point, of one merchant's if given, with one offer: its columns are None where it has it not."""
    own = (offers.c.point_id == points.c.point_id) & (offers.c.offer == offer)
    query = (
        select(*COLUMNS)
        .join_from(points, merchants, points.c.merchant_id == merchants.c.merchant_id)
        .outerjoin(offers, own)
        .where(points.c.point_id == point_id, points.c.is_deleted.is_(False))
    )
    return connection.row(query if merchant_id is None else query.where(points.c.merchant_id == merchant_id))

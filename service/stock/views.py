"""Stock as answers tell it: to its merchant, and to everyone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.clock import from_us
from service.http.revisions import etag
from service.stock.rules import good_until_us, has_units, units_of
from service.stock.schemas import PublicStock, StockAnswer

if TYPE_CHECKING:
    from service.store.connections import AnyRow

__all__ = ["public_stock", "stock_answer", "stock_etag"]


def stock_etag(row: AnyRow) -> str:
    """Return the ETag of an entry as its merchant sees it: another with each order that takes of it."""
    return etag(row.revision)


def stock_answer(row: AnyRow, now_us: int) -> StockAnswer:
    """Return an entry as its merchant sees it."""
    until = good_until_us(row)
    return StockAnswer(
        point_id=row.point_id,
        sku=row.sku,
        name=row.name,
        price_minor=row.price_minor,
        currency=row.currency,
        counted=row.counted,
        held=row.held,
        safety=row.safety,
        units=units_of(row),
        counted_at=from_us(row.counted_at),
        good_for_s=row.good_for_s,
        good_until=None if until is None else from_us(until),
        available=has_units(row, 1, now_us),
        revision=row.revision,
    )


def public_stock(row: AnyRow, now_us: int) -> PublicStock:
    """Return an entry as everyone sees it."""
    return PublicStock(
        sku=row.sku,
        name=row.name,
        price_minor=row.price_minor,
        currency=row.currency,
        available=has_units(row, 1, now_us),
    )

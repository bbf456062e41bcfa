"""Whose orders a caller may see, and as which party he acts on them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.http.access import app_of, not_found, owner_of
from service.orders.rules import Party
from service.orders.store import OrderFilter, OrderRecord, find_order

if TYPE_CHECKING:
    from service.http.context import RequestContext
    from service.store.connections import ReadConnection

__all__ = ["check_seen", "find_seen", "party_of", "seen_by"]


def party_of(context: RequestContext) -> Party:
    """Return as which party a caller reads: an app, and an admin who orders, for the customer."""
    return Party.MERCHANT if context.key_holder.scope in {"merchant", "station"} else Party.CUSTOMER


def seen_by(context: RequestContext, wanted: OrderFilter) -> OrderFilter:
    """Return a filter that lets only through what a caller may see."""
    app = app_of(context)
    return wanted._replace(owner=app) if app is not None else wanted._replace(merchant_id=owner_of(context))


def find_seen(connection: ReadConnection, context: RequestContext, order_id: str) -> OrderRecord:
    """Return an order that a caller may see; 404 for every other."""
    return check_seen(context, find_order(connection, order_id))


def check_seen(context: RequestContext, order: OrderRecord | None) -> OrderRecord:
    """Return an order if a caller may see it; 404 for every other."""
    if order is None:
        raise not_found()
    app = app_of(context)
    sees = order.row.owner == app if app is not None else owner_of(context) in {None, order.row.merchant_id}
    if not sees:
        raise not_found()
    return order

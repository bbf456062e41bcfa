"""Whose bookings a caller may see, and as which party he acts on them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.bookings.acting import locked_booking
from service.bookings.days import find_shift
from service.bookings.rules import OPEN, Party
from service.bookings.store import BookingFilter, find_booking
from service.http.access import app_of, crew_of, not_found, owner_of

if TYPE_CHECKING:
    from service.http.context import RequestContext
    from service.store.connections import AnyRow, ReadConnection, WriteConnection

__all__ = ["DAY_EDGE_US", "booking_seen", "bookings_seen", "check_booking_seen", "locked_seen", "visitor_of"]

DAY_EDGE_US = 12 * 3_600_000_000
"""How long before its shift begins, and after it ends, a crew sees it."""


def visitor_of(context: RequestContext) -> Party:
    """Return as which party a caller reads: an app, and an admin who books, for the customer."""
    return Party.MERCHANT if context.key_holder.scope in {"merchant", "crew"} else Party.CUSTOMER


def bookings_seen(context: RequestContext, wanted: BookingFilter) -> BookingFilter:
    """Return a filter that lets only through what a caller may see."""
    app = app_of(context)
    return wanted._replace(owner=app) if app is not None else wanted._replace(merchant_id=owner_of(context))


def booking_seen(connection: ReadConnection, context: RequestContext, booking_id: str, now_us: int) -> AnyRow:
    """Return a booking that a caller may see; 404 for every other."""
    return check_booking_seen(connection, context, find_booking(connection, booking_id), now_us)


def check_booking_seen(connection: ReadConnection, context: RequestContext, row: AnyRow | None, now_us: int) -> AnyRow:
    """Return a booking if a caller may see it, a crew only what stands in its own day; 404 for every other."""
    if row is None:
        raise not_found()
    app, crew = app_of(context), crew_of(context)
    if crew is not None:
        sees = crew == (row.point_id, row.crew_id) and row.state in OPEN and _is_today(connection, row, now_us)
    elif app is not None:
        sees = row.owner == app
    else:
        sees = owner_of(context) in {None, row.merchant_id}
    if not sees:
        raise not_found()
    return row


def locked_seen(connection: WriteConnection, context: RequestContext, booking_id: str) -> AnyRow:
    """Return a booking that a caller may see, locked; for every other 404, and nothing waits for that."""
    booking_seen(connection, context, booking_id, connection.now_us)
    return check_booking_seen(connection, context, locked_booking(connection, booking_id), connection.now_us)


def _is_today(connection: ReadConnection, row: AnyRow, now_us: int) -> bool:
    shift = find_shift(connection, row.point_id, row.crew_id, row.shift_at // 1_000_000)
    return shift is not None and shift.starts_at - DAY_EDGE_US <= now_us <= shift.ends_at + DAY_EDGE_US

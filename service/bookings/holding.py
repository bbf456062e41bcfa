"""A new booking: judged, put into a crew's day and written in one transaction, or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from service.bookings.asking import Asked, asked_of, check_window, judged_at
from service.bookings.limits import check_bookings
from service.bookings.planning import Window, place_visit
from service.bookings.rules import Event, State
from service.bookings.store import add_booking, add_booking_event, new_booking_id
from service.crews.store import lock_roster
from service.errors import NotFeasibleError
from service.feed.columns import joined_features
from service.http.access import not_found
from service.http.problems import ProblemError

if TYPE_CHECKING:
    from service.bookings.point_rosters import Candidate
    from service.bookings.rosters import Rosters
    from service.orders.ordering import OrderTerms
    from service.store.connections import AnyRow, WriteConnection

__all__ = ["BookingTerms", "VisitWish", "event_of", "hold_visit", "locked_ask", "values_of", "windowed"]

_SECOND_US = 1_000_000
_AT_LEAST_S = 300  # to confirm, however soon it begins


class BookingTerms(NamedTuple):
    """What bookings are made with."""

    orders: OrderTerms
    rosters: Rosters


class VisitWish(NamedTuple):
    """
    What a customer wants of a point.

    Attributes
    ----------
    owner
        The app that asks.
    buyer, device
        Digests.
    starts_s
        When the window begins, in seconds since 1970.
    total_minor
        What the customer was told that it costs; None if he was told nothing.
    """

    owner: str
    buyer: str
    device: str
    point_id: str
    service_id: str
    lat: float
    lng: float
    cell: str
    address: str
    starts_s: int
    total_minor: int | None
    actor: str


def hold_visit(
    connection: WriteConnection, terms: BookingTerms, wish: VisitWish, candidate: Candidate | None
) -> AnyRow:
    """
    Hold a window of a crew's time for a customer, and return the booking.

    Raises
    ------
    NotFeasibleError, ProblemError
        If the point does not serve the place then, nobody can come, too much is held, or it costs something else.
    """
    check_bookings(connection, wish.buyer, wish.device)
    asked = locked_ask(connection, terms, wish.point_id, wish.service_id, wish.lat, wish.lng)
    window = windowed(connection, terms, asked, wish.starts_s)
    service = asked.service
    if wish.total_minor is not None and wish.total_minor != service.price_minor:
        text = f"it costs {service.price_minor} now, not {wish.total_minor}: ask the customer again"
        raise ProblemError("price-changed", text, more={"total_minor": service.price_minor})
    booking_id = new_booking_id(connection.now_us)
    day = place_visit(connection, terms.rosters, asked.facts, asked.visit, window, booking_id, candidate)
    reserve_s = asked.norm.reserve_s or 0
    values = values_of(connection, asked, wish, window) | {
        "booking_id": booking_id,
        "state": State.HELD,
        "crew_id": day.crew_id,
        "shift_at": day.starts_s * _SECOND_US,
        "total_minor": service.price_minor,
        "expires_at": _held_until_us(connection.now_us, reserve_s, window.starts_s),
    }
    row = add_booking(connection, values)
    add_booking_event(connection, row.merchant_id, event_of(row, Event.HOLD, wish.actor))
    return row


def _held_until_us(now_us: int, reserve_s: int, starts_s: int) -> int:
    """Return until when a window is held: no longer than it is there, but never before there was time to confirm it."""
    least_us = now_us + min(reserve_s, _AT_LEAST_S) * _SECOND_US
    return max(least_us, min(now_us + reserve_s * _SECOND_US, starts_s * _SECOND_US))


def locked_ask(
    connection: WriteConnection,
    terms: BookingTerms,
    point_id: str,
    service_id: str,
    lat: float,
    lng: float,
    *,
    promised: AnyRow | None = None,
) -> Asked:
    """Return what `asked_of` does, the roster of the point locked before anything is read; raises as that does."""
    if not lock_roster(connection, point_id):
        raise not_found()
    return asked_of(connection, terms.orders, point_id, service_id, lat, lng, promised=promised)


def windowed(connection: WriteConnection, terms: BookingTerms, asked: Asked, starts_s: int) -> Window:
    """Return a window that can be booked, if any crew can come; raises for every other."""
    check_window(asked, terms.rosters.openings, starts_s, connection.now_us)
    reason = judged_at(terms.orders.checker, asked, starts_s)
    if reason != "matched":
        raise NotFeasibleError(reason)
    return Window(starts_s, asked.rules.width_s)


def event_of(row: AnyRow, event: Event, actor: str, reason: str | None = None) -> dict[str, Any]:
    """Return the record of what happened to a booking, given its row as it is then."""
    told = {name: getattr(row, name) for name in ("booking_id", "revision", "state", "crew_id", "starts_at")}
    return told | {"event": event, "actor": actor, "reason": reason}


def values_of(connection: WriteConnection, asked: Asked, wish: VisitWish | AnyRow, window: Window) -> dict[str, Any]:
    """Return the columns of a new booking that follow from what is wanted, by a customer or after another booking."""
    facts, service, starts_us = asked.facts, asked.service, window.starts_s * _SECOND_US
    free_s = asked.norm.cancel_free_s
    return {
        "owner": wish.owner,
        "merchant_id": facts.merchant_id,
        "point_id": wish.point_id,
        "service_id": wish.service_id,
        "offer": service.offer,
        "revision": 1,
        "buyer": wish.buyer,
        "device": wish.device,
        "cell": wish.cell,
        "lat": wish.lat,
        "lng": wish.lng,
        "address": wish.address,
        "duration_s": service.duration_s,
        "people": service.people,
        "skills": joined_features(service.skills),
        "starts_at": starts_us,
        "ends_at": starts_us + window.width_s * _SECOND_US,
        "booked_at": connection.now_us,
        "cancel_free_until": None if free_s is None else starts_us - free_s * _SECOND_US,
        "currency": service.currency,
        "fee_minor": 0,
    }

"""A visit in another window than the one that was promised: moved there, or made good by another one."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from service.bookings.acting import act_on, check_booking_act
from service.bookings.holding import event_of, locked_ask, values_of, windowed
from service.bookings.planning import place_visit, take_visit_out
from service.bookings.rules import Act, Event, Party, State, given_up_us
from service.bookings.store import add_booking, add_booking_event, fell_through, is_made_good, new_booking_id
from service.bookings.views import complain_until_us
from service.errors import NotFeasibleError, StateConflictError
from service.http.problems import ProblemError, invalid

if TYPE_CHECKING:
    from service.bookings.asking import Asked
    from service.bookings.holding import BookingTerms
    from service.bookings.point_rosters import Candidate
    from service.store.connections import AnyRow, WriteConnection

__all__ = ["Door", "complain", "door_of", "reschedule"]

_SECOND_US = 1_000_000


class Door(NamedTuple):
    """Where a visit is made: degrees, WGS 84, the cell of resolution 8, and what the crew needs to find it."""

    lat: float
    lng: float
    cell: str
    address: str


def door_of(row: AnyRow) -> Door | None:
    """Return where a booking's visit is made, None where that is forgotten."""
    return None if row.lat is None else Door(row.lat, row.lng, row.cell, row.address)


def reschedule(
    connection: WriteConnection,
    terms: BookingTerms,
    row: AnyRow,
    starts_s: int,
    candidate: Candidate | None,
    actor: str,
) -> AnyRow:
    """
    Move a booking's visit into another window, and return the booking; it is locked.

    Raises
    ------
    NotFeasibleError, ProblemError
        As `hold_visit` does: the caller's transaction must not go on.
    StateConflictError
        If it cannot be moved any more.
    """
    act = Act(Event.RESCHEDULE, Party.CUSTOMER, actor)
    check_booking_act(row, act)
    if row.state == State.CONFIRMED and row.starts_at == starts_s * _SECOND_US:  # it came a second time
        return row
    take_visit_out(connection, terms.rosters, row)
    asked = _asked_again(connection, terms, row, row.lat, row.lng)
    window = windowed(connection, terms, asked, starts_s)
    day = place_visit(connection, terms.rosters, asked.facts, asked.visit, window, row.booking_id, candidate)
    free_s = asked.norm.cancel_free_s
    starts_us = starts_s * _SECOND_US
    ends_us = starts_us + window.width_s * _SECOND_US
    return act_on(
        connection,
        terms,
        row,
        act,
        crew_id=day.crew_id,
        shift_at=day.starts_s * _SECOND_US,
        starts_at=starts_us,
        ends_at=ends_us,
        expires_at=given_up_us(asked.norm, ends_us, row.duration_s),
        cancel_free_until=_free_until(connection, row, None if free_s is None else starts_us - free_s * _SECOND_US),
    )


def _asked_again(connection: WriteConnection, terms: BookingTerms, row: AnyRow, lat: float, lng: float) -> Asked:
    """Return what a booking was promised, as `locked_ask` does: a point that nobody may see any more offers it no more."""
    try:
        return locked_ask(connection, terms, row.point_id, row.service_id, lat, lng, promised=row)
    except ProblemError as error:  # the booking itself is there
        raise NotFeasibleError("no_offer") from error


def _free_until(connection: WriteConnection, row: AnyRow, until_us: int | None) -> int | None:
    """
    Return until when cancelling is free in another window: where it was not free any more, it stays so.

    Not so behind a window to which nobody came.
    """
    before = row.cancel_free_until
    is_over = row.state == State.CONFIRMED and before is not None and before < connection.now_us <= row.ends_at
    return before if is_over else until_us


def complain(
    connection: WriteConnection,
    terms: BookingTerms,
    row: AnyRow,
    starts_s: int,
    candidate: Candidate | None,
    actor: str,
    note: str,
    door: Door | None,
    buyer: str | None,
) -> AnyRow:
    """
    Book a visit that makes another one good, at no price, and return it; the other one is locked.

    Parameters
    ----------
    door
        Where it is made, if nobody knows any more where the other one was.
    buyer
        The digest of whose it is, if nobody knows that any more; by it the place is forgotten again.

    Raises
    ------
    NotFeasibleError, ProblemError
        As `hold_visit` does, and for want of a place.
    StateConflictError
        If the time to complain is over, or one that makes it good is booked already.
    """
    act = Act(Event.COMPLAIN, Party.CUSTOMER, actor)
    check_booking_act(row, act)
    until_us = complain_until_us(terms.orders.norms, row, fell_through(connection, [row]).get(row.booking_id))
    if until_us is None or connection.now_us > until_us:
        raise StateConflictError("the time to complain about this visit is over")
    if is_made_good(connection, row):
        raise StateConflictError("a visit that makes this one good is booked already")
    door = door_of(row) or door
    if door is None:
        raise invalid("/place", "must be told: where the visit was is forgotten by now")
    asked = _asked_again(connection, terms, row, door.lat, door.lng)
    window = windowed(connection, terms, asked, starts_s)
    booking_id = new_booking_id(connection.now_us)
    day = place_visit(connection, terms.rosters, asked.facts, asked.visit, window, booking_id, candidate)
    act_on(connection, terms, row, act)
    values = values_of(connection, asked, row, window)
    values |= {
        "booking_id": booking_id,
        "state": State.CONFIRMED,
        "crew_id": day.crew_id,
        "shift_at": day.starts_s * _SECOND_US,
        "total_minor": 0,
        "complaint_of": row.booking_id,
        "note": note or None,
        "buyer": row.buyer or buyer,
        "device": row.device or buyer,
        **door._asdict(),
        "expires_at": given_up_us(asked.norm, values["ends_at"], asked.service.duration_s),
    }
    made = add_booking(connection, values)
    add_booking_event(connection, made.merchant_id, event_of(made, Event.RETURN, actor))
    return made

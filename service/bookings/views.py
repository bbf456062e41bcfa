"""Bookings as answers tell them: to the app that booked, and to the merchant."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.bookings.acting import END_CODE, START_CODE
from service.bookings.rules import Party, State, next_actions
from service.bookings.schemas import BookingAnswer, BookingEventAnswer
from service.clock import from_us
from service.orders.codes import code_of
from service.orders.views import instant_of, online_payment

if TYPE_CHECKING:
    from engine.norms import Norms
    from service.store.connections import AnyRow

__all__ = ["booking_answer", "booking_event_answer", "complain_until_us"]

_SECOND_US = 1_000_000
_TELLS_CODES = {State.CONFIRMED, State.UNPLACED, State.EN_ROUTE, State.STARTED}


def complain_until_us(norms: Norms, row: AnyRow, fell_through_us: int | None) -> int | None:
    """
    Return until when a complaint about a visit leads to another; None where it is not done, or leads to none.

    ``fell_through_us`` as `fell_through` tells it: the time begins anew then.
    """
    within_s = norms.by_offer[row.offer].complain_within_s
    if row.done_at is None or within_s is None:
        return None
    return max(int(row.done_at), fell_through_us or 0) + within_s * _SECOND_US


def booking_answer(
    row: AnyRow,
    norms: Norms,
    *,
    party: Party,
    payment: AnyRow | None,
    secret: bytes | None = None,
    fell_through_us: int | None = None,
) -> BookingAnswer:
    """
    Return a booking as a party sees it.

    Parameters
    ----------
    secret
        With it, the codes are told.
    fell_through_us
        As `complain_until_us` has it.
    """
    tells = secret is not None and party is Party.CUSTOMER and row.state in _TELLS_CODES
    codes = [code_of(secret, row.booking_id, n) if tells and secret else None for n in (START_CODE, END_CODE)]
    return BookingAnswer(
        booking_id=row.booking_id,
        state=row.state,
        revision=row.revision,
        merchant_id=row.merchant_id,
        point_id=row.point_id,
        service_id=row.service_id,
        offer=row.offer,
        crew_id=None if party is Party.CUSTOMER else row.crew_id,
        starts_at=from_us(row.starts_at),
        ends_at=from_us(row.ends_at),
        minutes=row.duration_s // 60,
        currency=row.currency,
        total_minor=row.total_minor,
        fee_minor=row.fee_minor,
        paid_by=row.paid_by,
        payment=online_payment(payment),
        booked_at=from_us(row.booked_at),
        begun_at=instant_of(row.begun_at),
        done_at=instant_of(row.done_at),
        cancel_free_until=instant_of(row.cancel_free_until),
        expires_at=instant_of(row.expires_at),
        complain_until=instant_of(complain_until_us(norms, row, fell_through_us)),
        ended_at=instant_of(row.ended_at),
        complaint_of=row.complaint_of,
        start_code=codes[0],
        end_code=codes[1],
        next=next_actions(State(row.state), party),
    )


def booking_event_answer(row: AnyRow, party: Party) -> BookingEventAnswer:
    """Return what happened; who did it is told by the key's id, which crew comes to the merchant alone."""
    return BookingEventAnswer(
        revision=row.revision,
        at=from_us(row.at),
        event=row.event,
        state=row.state,
        crew_id=None if party is Party.CUSTOMER else row.crew_id,
        starts_at=from_us(row.starts_at),
        by=row.actor,
        reason=row.reason,
    )

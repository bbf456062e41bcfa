"""A held visit is paid online: noted, asked for outside of any transaction, and confirmed by what comes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.bookings.acting import check_booking_act
from service.bookings.rules import ENDED, Act, Event, Party, State
from service.bookings.seeing import check_booking_seen, locked_seen
from service.bookings.store import find_booking
from service.errors import StateConflictError
from service.http.problems import ProblemError
from service.orders.acting import check_taken_on
from service.payments.settling import authorise, authorised_visit
from service.payments.store import begin_payment, find_payment

if TYPE_CHECKING:
    from collections.abc import Callable

    from service.http.context import RequestContext
    from service.payments.ports import Outcome
    from service.services import Services
    from service.store.connections import AnyRow, ReadConnection, WriteConnection

__all__ = ["check_held", "pay_online", "told_payment"]


def check_held(connection: WriteConnection, row: AnyRow) -> None:
    """
    Refuse to confirm what was held until now, whether or not somebody has noticed yet.

    Raises
    ------
    StateConflictError
        If its time is over, or its merchant is suspended.
    """
    if row.expires_at is not None and row.expires_at <= connection.now_us:
        raise StateConflictError("the visit was held until now: its time is over")
    check_taken_on(connection, row.merchant_id, "visit")


async def pay_online(
    services: Services,
    context: RequestContext,
    booking_id: str,
    means: str,
    check: Callable[[WriteConnection, AnyRow], None],
) -> tuple[AnyRow, AnyRow | None]:
    """
    Set the price of a held visit aside; return its row and its payment's as they are then: held where nobody has answered yet.

    Raises
    ------
    ProblemError, StateConflictError
        payment-declined; state-conflict where it is not held, or no longer; what ``check`` raises about its row.
    """
    actor = context.key_holder.key_id

    def begin(connection: WriteConnection) -> AnyRow | None:
        row = locked_seen(connection, context, booking_id)
        check(connection, row)
        check_booking_act(row, Act(Event.CONFIRM, Party.CUSTOMER, actor))
        check_held(connection, row)
        before = find_payment(connection, booking_id)
        if before is not None and before.state in {"authorising", "releasing"}:
            return None
        return begin_payment(connection, booking_id, row.total_minor, row.currency)

    payment = await services.store.write(begin, context.deadline)
    if payment is not None:
        its, attempt, terms = payment.subject, payment.attempt, services.bookings

        def settle(connection: WriteConnection, outcome: Outcome) -> None:
            authorised_visit(connection, terms, its, attempt, outcome, actor)

        await authorise(services, payment, means, settle, context.deadline)

    def read(connection: ReadConnection) -> tuple[AnyRow, AnyRow | None]:
        row = check_booking_seen(connection, context, find_booking(connection, booking_id), services.clock.now_us())
        now = find_payment(connection, booking_id)
        if row.state in ENDED:
            raise ProblemError("state-conflict", f"the booking is {row.state}: nothing is taken for it")
        if now is not None and row.state == State.HELD and now.state != "authorising":
            check_taken_on(connection, row.merchant_id, "visit")
            raise ProblemError("payment-declined", "the payment was declined; the visit is still held")
        return row, now

    return await services.reads.run(context, read)


def told_payment(connection: ReadConnection, row: AnyRow) -> AnyRow | None:
    """Return the payment that a booking's answer tells of, None where it tells of none."""
    return find_payment(connection, row.booking_id) if row.paid_by == "online" or row.state == State.HELD else None

"""What comes of a payment, noted before the provider is asked and after, so that nothing is asked for unseen."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from service.bookings.acting import act_on, locked_booking
from service.bookings.days import VISIT
from service.bookings.holding import event_of
from service.bookings.rules import Act as VisitAct
from service.bookings.rules import Event as VisitEvent
from service.bookings.rules import State as VisitState
from service.bookings.store import add_booking_event, change_booking, find_booking
from service.errors import StateConflictError
from service.orders.acting import Act, act, locked_order
from service.orders.rules import Event, Party, State
from service.orders.store import add_event, change_order, find_order, is_verified
from service.payments.ports import Outcome, ProviderUnknownError
from service.payments.store import change_payment, find_payment, reference_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from service.bookings.holding import BookingTerms
    from service.deadlines import Deadline
    from service.orders.ordering import OrderTerms
    from service.orders.store import OrderRecord
    from service.services import Services
    from service.store.connections import AnyRow, WriteConnection

__all__ = ["authorise", "authorised", "authorised_visit", "settled"]

_NOT_PLACED = {"authorising", "declined", "releasing", "released"}


async def authorise(
    services: Services,
    payment: AnyRow,
    means: str,
    settle: Callable[[WriteConnection, Outcome], object],
    deadline: Deadline,
) -> None:
    """Ask the provider to set an amount aside, and let ``settle`` write what comes of it: an answer that stays away is waited for by the clock."""
    provider, reference = services.payments, reference_of(payment)
    try:
        outcome = await asyncio.get_running_loop().run_in_executor(
            services.payment_threads, provider.authorise, reference, payment.amount_minor, payment.currency, means
        )
    except ProviderUnknownError:
        return
    await services.store.write(lambda connection: settle(connection, outcome), deadline)


def authorised(
    connection: WriteConnection, terms: OrderTerms, order_id: str, attempt: int, outcome: Outcome, actor: str
) -> OrderRecord | None:
    """
    Note what came of an authorisation, once; an order that is still held is placed by it.

    Heard twice, or too late, or once the merchant is suspended, it changes nothing but that what was set aside in vain is
    set free. Where the provider has never heard of it, the request may still be on its way: it is withdrawn, and the
    customer can pay anew.
    """
    order = locked_order(connection, order_id)
    if order is None:
        return None
    is_wanted = order.row.state == State.HELD and is_verified(connection, order.row.merchant_id)
    if not _note(connection, find_payment(connection, order_id), attempt, outcome, is_wanted=is_wanted):
        return order
    return act(connection, terms, order, Act(Event.PLACE, Party.CUSTOMER, actor), payment="online")


def authorised_visit(
    connection: WriteConnection, terms: BookingTerms, booking_id: str, attempt: int, outcome: Outcome, actor: str
) -> None:
    """Do for a visit what `authorised` does for an order: one that is still held is confirmed by it."""
    row = locked_booking(connection, booking_id)
    if row is None:
        return
    is_wanted = row.state == VisitState.HELD and is_verified(connection, row.merchant_id)
    if not _note(connection, find_payment(connection, booking_id), attempt, outcome, is_wanted=is_wanted):
        return
    confirm = VisitAct(VisitEvent.CONFIRM, Party.CUSTOMER, actor)
    act_on(connection, terms, row, confirm, paid_by="online")


def _note(
    connection: WriteConnection, payment: AnyRow | None, attempt: int, outcome: Outcome, *, is_wanted: bool
) -> bool:
    """Note what came of an authorisation; tell whether what it is for is to go on by it."""
    if payment is None or payment.attempt != attempt or payment.state not in _NOT_PLACED:
        return False
    is_asked = payment.state == "authorising"
    if outcome is Outcome.DECLINED:
        if is_asked:
            change_payment(connection, payment, state="declined", due_at=None)
        return False
    if not is_asked or outcome is Outcome.UNKNOWN or not is_wanted:
        change_payment(connection, payment, state="releasing", tries=0, due_at=connection.now_us)
        return False
    return change_payment(connection, payment, state="authorised", due_at=None)


def settled(connection: WriteConnection, payment: AnyRow, state: str, actor: str) -> None:
    """
    Note what came of taking what was set aside, or of setting it free; an order or a booking that can never be paid tells so.

    What is paid is locked. Of an order that was divided the one tells it from which the others are parted.

    Raises
    ------
    StateConflictError
        If what is paid was changed at the same time.
    """
    nothing = {"captured_minor": 0} if state == "declined" else {}
    if not change_payment(connection, payment, state=state, due_at=None, **nothing) or state != "declined":
        return
    tell = _tell_of_visit if payment.subject.startswith(VISIT) else _tell_of_order
    if not tell(connection, payment.subject, actor):
        raise StateConflictError("it was changed at the same time")


def _tell_of_order(connection: WriteConnection, order_id: str, actor: str) -> bool:
    order = find_order(connection, order_id)
    if order is None or not change_order(connection, order_id, order.row.revision, {}):
        return False
    row = order.row
    told = {"order_id": order_id, "revision": row.revision + 1, "event": Event.CAPTURE_DECLINED, "state": row.state}
    add_event(connection, row.merchant_id, told | {"point_id": row.point_id, "actor": actor})
    return True


def _tell_of_visit(connection: WriteConnection, booking_id: str, actor: str) -> bool:
    row = find_booking(connection, booking_id)
    if row is None or not change_booking(connection, row, {}):
        return False
    told = event_of(row, VisitEvent.CAPTURE_DECLINED, actor) | {"revision": row.revision + 1}
    add_booking_event(connection, row.merchant_id, told)
    return True

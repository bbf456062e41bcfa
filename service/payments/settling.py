"""What the provider is asked outside of any transaction, noted before and after, so that nothing is asked for unseen."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from service.bookings.acting import act_on, locked_booking
from service.bookings.days import VISIT
from service.bookings.rules import Act as VisitAct
from service.bookings.rules import Event as VisitEvent
from service.bookings.rules import State as VisitState
from service.errors import ServiceError
from service.orders.acting import Act, act, lock_order, locked_order
from service.orders.rules import Event, Party, State
from service.orders.store import is_verified
from service.payments.ports import Outcome, ProviderUnknownError
from service.payments.store import change_payment, due_payments, find_payment, reference_of
from service.store.leases import demand

if TYPE_CHECKING:
    from collections.abc import Callable

    from service.bookings.holding import BookingTerms
    from service.deadlines import Deadline
    from service.orders.ordering import OrderTerms
    from service.orders.store import OrderRecord
    from service.payments.ports import PaymentProvider
    from service.services import Services
    from service.store.connections import AnyRow, WriteConnection
    from service.store.database import Store
    from service.store.leases import Lease

__all__ = ["Settler", "authorise", "authorised", "authorised_visit"]

_LOG = logging.getLogger(__name__)
_WRITE_S = 10.0
_NOT_PLACED = {"authorising", "declined", "releasing", "released"}
_FIRST_US, _LONGEST_US = 2_000_000, 3_600_000_000


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


class Settler:
    """
    Asks the provider what is due: what came of an authorisation, to capture, to release; again until it answers.

    Parameters
    ----------
    store, terms, provider
        What it works with.
    ask_s
        For how long it goes on in a step: what else is due waits meanwhile.
    """

    def __init__(self, store: Store, terms: BookingTerms, provider: PaymentProvider, *, ask_s: float = 1.0) -> None:
        self._store = store
        self._terms = terms
        self._provider = provider
        self._ask_s = ask_s

    def step(self, lease: Lease) -> int:
        """Ask for what is due, as long as there is time; return about how many payments."""
        until_s, n_asked = time.monotonic() + self._ask_s, 0
        due = self._store.write_now(lambda connection: list(due_payments(connection, connection.now_us)), _WRITE_S)
        for row in due:
            try:
                self._one(lease, row)
            except ServiceError:
                raise
            except Exception:  # noqa: BLE001 - the others must not wait for it
                _LOG.exception("the payment of %s cannot go on: it is looked at again later", row.subject)
                self._put_off(lease, row)
            n_asked += 1
            if time.monotonic() >= until_s:
                break
        return n_asked

    def _one(self, lease: Lease, row: AnyRow) -> None:
        reference = reference_of(row)
        try:
            if row.state == "authorising":
                outcome = self._provider.find(reference)
                self._write(lease, row, lambda connection: self._authorised(connection, row, outcome))
                return
            if row.state == "capturing":
                self._provider.capture(reference, row.captured_minor)
            elif row.state == "releasing":
                self._provider.release(reference)
        except ProviderUnknownError as error:
            _LOG.warning("the payment of %s waits: %s", row.subject, error)
            self._put_off(lease, row)
            return
        done = "captured" if row.state == "capturing" else "released"
        self._write(lease, row, lambda connection: change_payment(connection, row, state=done, due_at=None))

    def _put_off(self, lease: Lease, row: AnyRow) -> None:
        """Let a payment be looked at later, ever more so; what is held for it is held no longer by that."""
        wait_us = min(_LONGEST_US, _FIRST_US * 2 ** min(row.tries, 12))
        again = {"tries": row.tries + 1, "updated_at": row.updated_at}
        self._write(
            lease,
            row,
            lambda connection: change_payment(connection, row, **again, due_at=connection.now_us + wait_us),
        )

    def _authorised(self, connection: WriteConnection, row: AnyRow, outcome: Outcome) -> None:
        if row.subject.startswith(VISIT):
            authorised_visit(connection, self._terms, row.subject, row.attempt, outcome, "provider")
        else:
            authorised(connection, self._terms.orders, row.subject, row.attempt, outcome, "provider")

    def _write(self, lease: Lease, row: AnyRow, fn: Callable[[WriteConnection], object]) -> None:
        def guarded(connection: WriteConnection) -> object:
            (locked_booking if row.subject.startswith(VISIT) else lock_order)(connection, row.subject)
            demand(connection, lease)
            return fn(connection)

        self._store.write_now(guarded, _WRITE_S)

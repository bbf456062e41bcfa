"""What is due of payments, asked of the provider outside of any transaction, in threads of its own."""

from __future__ import annotations

import logging
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING

from service.bookings.acting import locked_booking
from service.bookings.days import VISIT
from service.errors import LeaseLostError, ServiceError
from service.orders.acting import lock_order
from service.payments.ports import Outcome, ProviderUnknownError
from service.payments.settling import authorised, authorised_visit, settled
from service.payments.store import change_payment, due_payments, reference_of, unsettled_since
from service.store.leases import Lease, demand
from service.store.steps import Steps

if TYPE_CHECKING:
    from collections.abc import Callable

    from service.bookings.holding import BookingTerms
    from service.payments.ports import PaymentProvider
    from service.store.connections import AnyRow, WriteConnection
    from service.store.database import Store

__all__ = ["Settler"]

_LOG = logging.getLogger(__name__)
_AT_ONCE = 8
_WRITE_S = 10.0
_FIRST_US, _LONGEST_US = 2_000_000, 3_600_000_000
_SECOND_US = 1_000_000


class Settler(Steps):
    """
    Asks the provider what is due: what came of an authorisation, to capture, to release; again until it answers.

    It keeps nobody waiting but payments, and of these none for one that hangs while others are answered; of several
    processes one asks, by a lease.

    Parameters
    ----------
    store, terms, provider
        What it works with.
    every_s
        How often it looks, unless more is due than it asks at once.
    ask_s
        For how long it waits in a step for the provider, which may take longer beside the next ones.
    """

    def __init__(
        self,
        store: Store,
        terms: BookingTerms,
        provider: PaymentProvider,
        *,
        every_s: float = 1.0,
        ask_s: float = 1.0,
        lease_s: float = 15.0,
    ) -> None:
        super().__init__(store, "payments", every_s=every_s, lease_s=lease_s)
        self._store, self._terms, self._provider, self._ask_s = store, terms, provider, ask_s
        self._asked: dict[str, Future[None]] = {}  # by what is paid
        self._unsettled_s = 0.0
        self._threads = ThreadPoolExecutor(_AT_ONCE, "linli-settle")

    @property
    def unsettled_s(self) -> float:
        """For how long the provider has owed the answer that it owes longest, as far as this process asks."""
        return self._unsettled_s

    def close(self) -> None:
        """End the threads once the provider has answered what it was asked, and let another have the lease."""
        self._end()
        self._threads.shutdown(cancel_futures=True)
        super().close()

    def step(self) -> int:
        """Ask for what is due, several at once; return about how many payments."""
        self._is_behind, self._unsettled_s = False, 0.0
        lease = self._tenure.held()
        if lease is None:
            return 0
        self._asked = {subject: asked for subject, asked in self._asked.items() if not asked.done()}
        due, self._unsettled_s = self._store.write_now(self._look, _WRITE_S)
        free = _AT_ONCE - len(self._asked)
        now = [row for row in due if row.subject not in self._asked]
        self._asked |= {row.subject: self._threads.submit(self._ask, lease, row) for row in now[:free]}
        wait(self._asked.values(), self._ask_s)
        self._is_behind = len(now) > free
        return min(len(now), free)

    def _look(self, connection: WriteConnection) -> tuple[list[AnyRow], float]:
        now_us = connection.now_us
        since_us = unsettled_since(connection)
        return list(due_payments(connection, now_us)), 0.0 if since_us is None else (now_us - since_us) / _SECOND_US

    def _ask(self, lease: Lease, row: AnyRow) -> None:
        try:
            self._one(lease, row)
        except LeaseLostError as error:
            self._tenure.forget(lease)
            _LOG.warning("payments wait: %s", error)
        except ServiceError as error:
            _LOG.warning("the payment of %s waits: %s", row.subject, error)
        except Exception:  # noqa: BLE001 - the others must not wait for it
            _LOG.exception("the payment of %s cannot go on: it is looked at again later", row.subject)
            self._try(lambda: self._put_off(lease, row))

    def _one(self, lease: Lease, row: AnyRow) -> None:
        reference = reference_of(row)
        try:
            if row.state == "authorising":
                outcome = self._provider.find(reference)
                self._write(lease, row, lambda connection: self._authorised(connection, row, outcome))
                return
            state = "released"
            if row.state == "releasing":
                self._provider.release(reference)
            elif self._provider.capture(reference, row.captured_minor) is Outcome.DECLINED:
                _LOG.error("the payment of %s can never be taken: it was let lapse", row.subject)
                state = "declined"
            else:
                state = "captured"
        except ProviderUnknownError as error:
            _LOG.warning("the payment of %s waits: %s", row.subject, error)
            self._put_off(lease, row)
            return
        self._write(lease, row, lambda connection: settled(connection, row, state, "provider"))

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

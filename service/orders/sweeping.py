"""What happens to orders, and to bookings, by the clock: holds expire, points that do not answer lose them, customers are reminded."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from service.bookings.sweeping import sweep_bookings
from service.errors import DeadlineExceededError, LeaseLostError, ServiceError, StateConflictError
from service.orders.acting import Act, act, locked_order
from service.orders.moving import reject
from service.orders.plans import known_of, plans_for
from service.orders.rules import Event, Party, State
from service.orders.store import due_orders, find_order, postpone
from service.orders.substituting import answer_offer
from service.payments.store import is_being_paid
from service.store.leases import Lease, demand
from service.store.steps import Steps

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from service.bookings.holding import BookingTerms
    from service.feed.index import LiveIndex
    from service.orders.ordering import OrderTerms
    from service.orders.plans import Known, Plan
    from service.orders.store import OrderRecord
    from service.store.connections import ReadConnection, WriteConnection
    from service.store.database import Store

__all__ = ["JumpGuard", "Sweeper"]

_LOG = logging.getLogger(__name__)
_CLOCK = "clock"
_A_STEP = 100
_WRITE_S = 5.0
_SECOND_US = 1_000_000
_POSTPONED_US = 5 * _SECOND_US
_AGAIN_US = 60 * _SECOND_US
_JUMP_S = 60.0
_PAUSE_S = 600.0


class JumpGuard:
    """
    Notices that the clock jumped ahead: what would expire then all at once waits until somebody has looked.

    Parameters
    ----------
    jump_s
        How far ahead of the time that really passed it may run.
    pause_s
        For how long nothing expires then.
    monotonic
        Tells the time that really passes.
    """

    def __init__(
        self, jump_s: float = _JUMP_S, pause_s: float = _PAUSE_S, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._jump_s = jump_s
        self._pause_s = pause_s
        self._monotonic = monotonic
        self._last: tuple[int, float] | None = None
        self._until = -float("inf")
        self.n_jumps = 0

    @property
    def is_paused(self) -> bool:
        """Whether nothing is to expire now."""
        return self._monotonic() < self._until

    def passes(self, now_us: int) -> bool:
        """Return whether what is due by an instant may expire."""
        at = self._monotonic()
        if self._last is not None:
            ahead_s = (now_us - self._last[0]) / _SECOND_US - (at - self._last[1])
            if ahead_s > self._jump_s:
                self.n_jumps += 1
                self._until = at + self._pause_s
                _LOG.critical(
                    "the clock jumped %.0f s ahead: no order expires for %.0f s; set it right, or leave it so",
                    ahead_s,
                    self._pause_s,
                )
        self._last = (now_us, at)
        return not self.is_paused


class Sweeper(Steps):
    """
    Lets happen what is due, in a thread of its own; of several processes one does, by a lease.

    Parameters
    ----------
    store, index, terms, bookings
        What it works with.
    every_s
        How often it looks, unless more is due than it takes on at a time.
    guard
        What notices that the clock jumped.
    """

    def __init__(
        self,
        store: Store,
        index: LiveIndex,
        terms: OrderTerms,
        bookings: BookingTerms,
        *,
        every_s: float = 1.0,
        lease_s: float = 15.0,
        guard: JumpGuard | None = None,
    ) -> None:
        super().__init__(store, "orders", every_s=every_s, lease_s=lease_s)
        self._store = store
        self._index = index
        self._terms = terms
        self._bookings = bookings
        self.guard = guard or JumpGuard()

    def step(self) -> int:
        """
        Let all happen that is due; return how many orders and bookings it concerned.

        The clock is looked at without the lease, too: where it jumps ahead the lease runs out, and whoever takes it over
        must know that.
        """
        self._is_behind = False
        now_us, due = self._store.write_now(
            lambda connection: (connection.now_us, due_orders(connection, _A_STEP)), _WRITE_S
        )
        can_expire = self.guard.passes(now_us)
        lease = self._tenure.held()
        return 0 if lease is None or not can_expire else self._let_all(lease, due, now_us)

    def _let_all(self, lease: Lease, due: Sequence[str], now_us: int) -> int:
        n_orders = 0
        for order_id in due:
            if not self._goes_on():
                break
            n_orders += self._one(lease, order_id, now_us)
        n_bookings = sweep_bookings(self._store, self._bookings, lease, self._goes_on)
        self._is_behind = (n_orders > 0 and len(due) == _A_STEP) or n_bookings >= _A_STEP
        return n_orders + n_bookings

    def _goes_on(self) -> bool:
        return not self._ended.is_set()

    def _one(self, lease: Lease, order_id: str, now_us: int) -> bool:
        def settle(connection: WriteConnection) -> bool:
            found = locked_order(connection, order_id)
            demand(connection, lease)
            return found is not None and _let_happen(connection, self._terms, found, plans)

        try:
            plans = self._plans(order_id, now_us)
            return self._settled(order_id, settle)
        except StateConflictError:  # somebody was quicker
            return False
        except LeaseLostError:
            self._tenure.forget(lease)
            raise
        except ServiceError:
            raise
        except Exception:  # noqa: BLE001 - the others must not wait for it
            _LOG.exception("order %s cannot go on: it is looked at again in a minute", order_id)
            self._store.write_now(
                lambda connection: postpone(connection, order_id, connection.now_us + _AGAIN_US), _WRITE_S
            )
            return False

    def _settled(self, order_id: str, settle: Callable[[WriteConnection], bool]) -> bool:
        try:
            return self._store.write_now(settle, _WRITE_S)
        except DeadlineExceededError as error:  # most likely a lock of it alone: it is due at the next step still
            _LOG.warning("order %s is passed over: %s", order_id, error)
            return False

    def _plans(self, order_id: str, now_us: int) -> list[Plan]:
        def read(connection: ReadConnection) -> tuple[OrderRecord, Known] | None:
            order = find_order(connection, order_id)
            if order is None or order.row.state not in {State.PLACED, State.ACCEPTED}:
                return None
            return order, known_of(connection, order, now_us)

        found = self._store.read_now(read, _WRITE_S)
        return [] if found is None else plans_for(self._index.view.engine, *found, now_us)


def _let_happen(connection: WriteConnection, terms: OrderTerms, order: OrderRecord, plans: Sequence[Plan]) -> bool:
    """Let the one event happen to an order that is due."""
    row, now_us = order.row, connection.now_us
    if row.due_at is None or row.due_at > now_us:
        return False
    state, is_over = State(row.state), row.expires_at is not None and row.expires_at <= now_us
    late = [line for line in order.lines if line.state == "offered" and line.answer_by <= now_us]
    if late:
        answer_offer(connection, terms, order, _by_clock(Event.DECLINE), line=late[0].line)
    elif state is State.HELD:
        _expire(connection, terms, order)
    elif state is State.READY:
        act(connection, terms, order, _by_clock(Event.RELEASE if is_over else Event.REMIND))
    elif is_over:
        reject(connection, terms, order, _by_clock(Event.REJECT, "no_answer"), plans)
    else:
        return False
    return True


def _expire(connection: WriteConnection, terms: OrderTerms, order: OrderRecord) -> None:
    """Let a hold expire, but not while its payment is on its way."""
    if is_being_paid(connection, order.row.order_id):
        postpone(connection, order.row.order_id, connection.now_us + _POSTPONED_US)
        return
    act(connection, terms, order, _by_clock(Event.EXPIRE))


def _by_clock(event: Event, reason: str | None = None) -> Act:
    return Act(event, Party.CLOCK, _CLOCK, reason)

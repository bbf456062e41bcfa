"""What happens to bookings by the clock: holds expire, and nobody having come is noticed."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from service.bookings.acting import act_on, locked_booking
from service.bookings.rules import Act, Event, Party, State
from service.bookings.store import due_bookings, postpone_booking
from service.errors import DeadlineExceededError, ServiceError, StateConflictError
from service.payments.store import is_being_paid
from service.store.leases import demand

if TYPE_CHECKING:
    from collections.abc import Callable

    from service.bookings.holding import BookingTerms
    from service.store.connections import WriteConnection
    from service.store.database import Store
    from service.store.leases import Lease

__all__ = ["sweep_bookings"]

_LOG = logging.getLogger(__name__)
_A_STEP = 100
_WRITE_S = 5.0
_AGAIN_US = 60_000_000


def sweep_bookings(store: Store, terms: BookingTerms, lease: Lease, goes_on: Callable[[], bool]) -> int:
    """Let all happen that is due, for as long as it is to go on; return how many bookings it concerned."""
    due = store.write_now(lambda connection: due_bookings(connection, _A_STEP), _WRITE_S)
    return sum(_one(store, terms, lease, booking_id) for booking_id in due if goes_on())


def _one(store: Store, terms: BookingTerms, lease: Lease, booking_id: str) -> bool:
    def settle(connection: WriteConnection) -> bool:
        row = locked_booking(connection, booking_id)
        demand(connection, lease)
        if row is None or row.expires_at is None or row.expires_at > connection.now_us:
            return False
        if row.state == State.HELD and is_being_paid(connection, booking_id):
            return False
        event = Event.EXPIRE if row.state == State.HELD else Event.CREW_ABSENT
        act_on(connection, terms, row, Act(event, Party.CLOCK, "clock"))
        return True

    try:
        return store.write_now(settle, _WRITE_S)
    except StateConflictError:  # somebody was quicker
        return False
    except DeadlineExceededError as error:  # most likely a lock of it alone: it is due at the next step still
        _LOG.warning("booking %s is passed over: %s", booking_id, error)
        return False
    except ServiceError:
        raise
    except Exception:  # noqa: BLE001 - the others must not wait for it
        _LOG.exception("booking %s cannot go on: it is looked at again in a minute", booking_id)
        store.write_now(
            lambda connection: postpone_booking(connection, booking_id, connection.now_us + _AGAIN_US), _WRITE_S
        )
        return False

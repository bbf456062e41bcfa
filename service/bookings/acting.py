"""What happens to a booking: one event, in one transaction, with all that it moves."""

from __future__ import annotations

import hmac
import json
from typing import TYPE_CHECKING, Any

from service.bookings.holding import event_of
from service.bookings.planning import take_visit_out
from service.bookings.rules import ENDED, TRANSITIONS, Act, Event, State, fee_minor, given_up_us
from service.bookings.store import add_booking_event, change_booking, find_booking, list_booking_events
from service.clock import from_us
from service.crews.store import lock_roster
from service.errors import StateConflictError
from service.http.problems import ProblemError, Trouble, invalid
from service.orders.codes import code_of
from service.orders.collecting import WINDOW_US, WRONG_CODES
from service.orders.store import tries_at, wrong_try
from service.payments.store import settle

if TYPE_CHECKING:
    from service.bookings.holding import BookingTerms
    from service.store.connections import AnyRow, WriteConnection

__all__ = [
    "END_CODE",
    "START_CODE",
    "act_on",
    "check_booking_act",
    "check_code",
    "check_departure",
    "check_proof",
    "check_waited",
    "lock_booking",
    "locked_booking",
    "set_out_us",
]

START_CODE, END_CODE = 1, 2
"""Numbers of the codes by which a customer says that a visit begins, and that it is done."""
_SECOND_US = 1_000_000
_OPEN_S = 12 * 3600  # behind its end, before it can be closed without the customer
_TWO_DAYS_US = 2 * 86_400 * _SECOND_US
_LEAVES_DAY = {State.CANCELLED, State.EXPIRED, State.UNPLACED, State.CREW_ABSENT}


def lock_booking(connection: WriteConnection, booking_id: str) -> None:
    """Let no other transaction that locks a booking go on until this one has ended."""
    connection.lock(f"booking {booking_id}")


def locked_booking(connection: WriteConnection, booking_id: str) -> AnyRow | None:
    """
    Return a booking, locked, and the roster of its point with it, so that its crew's day stays as it is read.

    The roster comes first, as it does for whoever changes several bookings of one.
    """
    before = find_booking(connection, booking_id)
    if before is None:
        return None
    lock_roster(connection, before.point_id)
    lock_booking(connection, booking_id)
    return find_booking(connection, booking_id)


def check_booking_act(row: AnyRow, act: Act) -> State:
    """
    Return the state that an event leads to.

    Raises
    ------
    StateConflictError
        If it cannot come now, or not by this party.
    """
    transition = TRANSITIONS.get((State(row.state), act.event))
    if transition is None:
        text = f"the booking is {row.state}: {act.event} comes too late, or too early"
        raise StateConflictError(text)
    if act.party not in transition.parties:
        text = f"{act.event} is not the {act.party}'s to do while the booking is {row.state}"
        raise StateConflictError(text)
    found: State = transition.state
    return found


def act_on(connection: WriteConnection, terms: BookingTerms, row: AnyRow, act: Act, **values: Any) -> AnyRow:
    """
    Let an event happen to a booking that `locked_booking` returned, and return it as it is then.

    Parameters
    ----------
    values
        Columns that change beside those that the event itself changes.

    Raises
    ------
    StateConflictError
        If it cannot come now.
    """
    state = check_booking_act(row, act)
    now_us = connection.now_us
    changes: dict[str, Any] = {"state": state, **_deadline(terms, row, state)}
    if state in _LEAVES_DAY:
        take_visit_out(connection, terms.rosters, row)
        changes |= {"crew_id": None, "shift_at": None}
    if act.event is Event.START:
        changes["begun_at"] = now_us
    if act.event is Event.FINISH:
        changes |= {"done_at": now_us, "ended_at": now_us}
    if state in ENDED:
        changes |= {"ended_at": row.ended_at or now_us}
    changes |= values
    settles = state in ENDED
    if act.party == "customer" or act.event is Event.CUSTOMER_ABSENT:
        norm = terms.orders.norms.by_offer[row.offer]
        is_away = act.event is Event.CUSTOMER_ABSENT  # of no account where the crew did not even set out in time
        times = (set_out_us(connection, row.booking_id) if is_away else now_us, row.cancel_free_until, row.ends_at)
        owed = fee_minor(norm, State(row.state), act.event, row.total_minor, *times)
        changes["fee_minor"] = row.fee_minor + owed
    if settles:
        fee = changes.get("fee_minor", row.fee_minor)
        owed = row.total_minor + fee if state is State.PAID else fee
        settle(connection, row.booking_id, owed)
    if not change_booking(connection, row, changes):
        raise StateConflictError("the booking was changed at the same time: read it again")
    after = find_booking(connection, row.booking_id)
    assert after is not None  # noqa: S101 - it was just written
    add_booking_event(connection, row.merchant_id, event_of(after, act.event, act.actor, act.reason))
    return after


def _deadline(terms: BookingTerms, row: AnyRow, state: State) -> dict[str, Any]:
    """Return when the state ends by itself."""
    if state in {State.CONFIRMED, State.UNPLACED, State.EN_ROUTE}:
        return {"expires_at": given_up_us(terms.orders.norms.by_offer[row.offer], row.ends_at, row.duration_s)}
    return {} if state is State.HELD else {"expires_at": None}


def check_code(
    connection: WriteConnection, terms: BookingTerms, row: AnyRow, number: int, code: str, where: str = "/code"
) -> ProblemError | None:
    """Return what is wrong with a customer's code, None where it is right; a wrong try is counted."""
    connection.lock(f"codes of {row.booking_id}")
    wrong, since_us = tries_at(connection, row.booking_id, connection.now_us - WINDOW_US)
    if wrong >= WRONG_CODES:
        after_s = max(1, -(-(since_us + WINDOW_US - connection.now_us) // _SECOND_US))
        text = "too many wrong codes were entered for this visit: wait"
        return ProblemError("rate-limited", text, headers={"Retry-After": str(after_s)})
    if hmac.compare_digest(code_of(terms.orders.secret, row.booking_id, number).encode(), code.encode()):
        return None
    wrong_try(connection, row.booking_id, wrong, since_us)
    text = "it is not the code that the customer was told"
    return ProblemError("code-wrong", text, (Trouble(where, text),))


def check_departure(connection: WriteConnection, row: AnyRow) -> None:
    """
    Refuse to set out more than two days before a window begins: from then on the customer cannot move it any more.

    Raises
    ------
    StateConflictError
        If it is too early.
    """
    earliest_us = row.starts_at - _TWO_DAYS_US
    if connection.now_us < earliest_us:
        text = f"it is too early to set out: at the earliest {from_us(earliest_us).isoformat()}"
        raise StateConflictError(text)


def set_out_us(connection: WriteConnection, booking_id: str) -> int:
    """Return when a crew last set out to a visit, in microseconds since 1970; 0 where none did."""
    events = list_booking_events(connection, booking_id)
    return max((int(one.at) for one in events if one.event == Event.DEPART), default=0)


def check_waited(connection: WriteConnection, terms: BookingTerms, row: AnyRow, event: Event) -> int:
    """
    Refuse to say that one side did not come before it was waited for; return until when it was, in microseconds since 1970.

    A customer is waited for as long as the norm says, from when the window begins, or the crew set out if that was later;
    a crew until the window is over.

    Raises
    ------
    StateConflictError
        If it is too early.
    """
    until_us, who = int(row.ends_at), "crew"
    if event is Event.CUSTOMER_ABSENT:
        wait_s = terms.orders.norms.by_offer[row.offer].wait_s or 0
        until_us, who = max(row.starts_at, set_out_us(connection, row.booking_id)) + wait_s * _SECOND_US, "customer"
    if connection.now_us < until_us:
        text = f"the {who} is waited for until {from_us(until_us).isoformat()}"
        raise StateConflictError(text)
    return until_us


def check_proof(terms: BookingTerms, row: AnyRow, told: dict[str, str], *, now_us: int, is_office: bool) -> str:
    """
    Return the proof of a visit that is done as the store keeps it, codes left out.

    A customer who does not tell the code that ends it cannot keep it open for ever: the office can do without some hours
    after it was to be over, and that is noted.

    Raises
    ------
    ProblemError
        If something is missing that the norm asks for, or something is told that it does not know.
    """
    asked = [name for name in terms.orders.norms.by_offer[row.offer].proof if name != "start_code"]
    kept = {name: value for name, value in told.items() if name != "end_code"}
    over_us = (row.begun_at or 0) + (row.duration_s + _OPEN_S) * _SECOND_US
    if is_office and "end_code" in asked and "end_code" not in told and now_us >= over_us:
        asked.remove("end_code")
        kept["without"] = "end_code"
    missing = [name for name in asked if name not in told]
    unknown = [name for name in told if name not in asked]
    if missing or unknown:
        raise invalid("/proof", f"must tell {', '.join(asked)}, got {', '.join(told) or 'nothing'}")
    return json.dumps(kept, ensure_ascii=False)

"""What happens to an order: one event, in one transaction, with all that it moves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import bindparam, select

from service.clock import from_us, to_us
from service.errors import StateConflictError
from service.orders.deciding import AT_LEAST_S, answer_by_us
from service.orders.ordering import free_code
from service.orders.owing import owed_together
from service.orders.rules import ENDED, TRANSITIONS, Effect, Event, Party, State, fee_minor, is_ready_late
from service.orders.store import OrderRecord, add_event, change_order, find_facts, find_order, is_verified
from service.orders.taking import Place, give_back, sell
from service.payments.store import payer_of, settle
from service.stock.counting import count_on, lock_points
from service.store.order_tables import orders
from service.store.plain import Plain

if TYPE_CHECKING:
    from service.orders.ordering import OrderTerms
    from service.store.connections import AnyRow, ReadConnection, WriteConnection

__all__ = ["Act", "act", "check_act", "check_in_time", "check_taken_on", "lock_order", "locked_order", "place_of"]

_SECOND_US = 1_000_000
_SLOT = Plain(select(orders.c.slot_at).where(orders.c.order_id == bindparam("of_order")))


class Act(NamedTuple):
    """
    Who lets which event happen.

    Attributes
    ----------
    actor
        The id of a key, or ``clock``.
    reason
        A code that a merchant gives for it.
    """

    event: Event
    party: Party
    actor: str
    reason: str | None = None


def lock_order(connection: WriteConnection, order_id: str) -> None:
    """
    Let no other transaction that locks an order go on until this one has ended.

    Called before a transaction writes or locks anything else, so that the order's events are read in their order.
    """
    connection.lock(f"order {order_id}")


def locked_order(connection: WriteConnection, order_id: str) -> OrderRecord | None:
    """Return an order, locked as by `lock_order`, with the one that it was parted from: they are paid together."""
    lock_order(connection, order_id)
    order = find_order(connection, order_id)
    if order is not None and order.row.split_of is not None:
        lock_order(connection, order.row.split_of)
    return order


def check_act(order: OrderRecord, act: Act) -> State:
    """
    Return the state that an event leads to.

    Raises
    ------
    StateConflictError
        If it cannot come now, or not by this party.
    """
    transition = TRANSITIONS.get((State(order.row.state), act.event))
    if transition is None:
        text = f"the order is {order.row.state}: {act.event} comes too late, or too early"
        raise StateConflictError(text)
    if act.party not in transition.parties:
        text = f"{act.event} is not the {act.party}'s to do while the order is {order.row.state}"
        raise StateConflictError(text)
    return transition.state


def check_in_time(connection: WriteConnection, order: OrderRecord) -> None:
    """
    Refuse to place what was held until now, whether or not somebody has noticed yet.

    Raises
    ------
    StateConflictError
        If its time is over.
    """
    row = order.row
    if row.state == State.HELD and row.expires_at is not None and row.expires_at <= connection.now_us:
        text = "the order was held until now: its time is over"
        raise StateConflictError(text)


def check_taken_on(connection: ReadConnection, merchant_id: str, what: str = "order") -> None:
    """
    Refuse to go on with what is held, an order or a visit, of a merchant who is suspended, which nobody is told.

    Raises
    ------
    StateConflictError
        If he is.
    """
    if not is_verified(connection, merchant_id):
        text = f"its point takes no {what} on now: cancel it, or let its time pass"
        raise StateConflictError(text)


def act(connection: WriteConnection, terms: OrderTerms, order: OrderRecord, what: Act, **values: Any) -> OrderRecord:
    """
    Let an event happen to an order that `locked_order` returned, and return the order as it is then.

    Parameters
    ----------
    values
        Columns that change beside those that the event itself changes.

    Raises
    ------
    StateConflictError
        If it cannot come now.
    """
    state = check_act(order, what)
    row = order.row
    _move(connection, order, TRANSITIONS[State(row.state), what.event].effect)
    changes = {"state": state, **_deadlines(connection, terms, order, state, what.event), **values}
    if what.event is Event.PLACE:
        lock_points(connection, [row.point_id])  # two orders that are placed at once must not find the same code free
        number, digest = free_code(connection, terms.secret, row.order_id, row.point_id)
        changes |= {"code_number": number, "code_digest": digest}
    if state in ENDED:
        changes |= _ended(connection, terms, order, what.event)
    if not change_order(connection, row.order_id, row.revision, changes):
        raise StateConflictError("the order was changed at the same time: read it again")
    note = {"order_id": row.order_id, "point_id": row.point_id, "actor": what.actor, "reason": what.reason}
    add_event(connection, row.merchant_id, note | {"revision": row.revision + 1, "event": what.event, "state": state})
    after = find_order(connection, row.order_id)
    assert after is not None  # noqa: S101 - it was just written
    return after


def place_of(connection: WriteConnection, row: AnyRow) -> Place:
    """
    Return where an order is in work; its point's stock was counted on.

    Until then a change of the point may have put it in another slot, which counts no revision of the order on.
    """
    return Place(row.point_id, row.offer, connection.value(_SLOT, {"of_order": row.order_id}))


def _move(connection: WriteConnection, order: OrderRecord, effect: Effect) -> None:
    if effect not in {Effect.GIVE_BACK, Effect.SELL}:
        return
    revision = count_on(connection, order.row.merchant_id, order.row.point_id)
    (sell if effect is Effect.SELL else give_back)(connection, place_of(connection, order.row), order.held, revision)


def _ended(connection: WriteConnection, terms: OrderTerms, order: OrderRecord, event: Event) -> dict[str, Any]:
    row = order.row
    fee = fee_minor(
        terms.norms.by_offer[row.offer],
        State(row.state),
        event,
        row.total_minor,
        connection.now_us,
        row.cancel_free_until,
        row.handover_at,
        was_late=is_ready_late(row.order_at, row.handover_at, row.ready_at),
    )
    owed_minor = owed_together(connection, row, row.total_minor if event is Event.COLLECT else fee)
    if owed_minor is not None:
        settle(connection, payer_of(row), owed_minor)
    return {
        "ended_at": connection.now_us,
        "fee_minor": fee,
        "code_digest": None,
        "expires_at": None,
        "due_at": None,
    }


def _deadlines(
    connection: WriteConnection, terms: OrderTerms, order: OrderRecord, state: State, event: Event
) -> dict[str, Any]:
    """Return until when an order stays in the state that it comes to, and when somebody must look at it."""
    row, now_us = order.row, connection.now_us
    norm = terms.norms.by_offer[row.offer]
    if event is Event.REMIND:
        return {"due_at": row.expires_at}
    if event is Event.PLACE:
        facts = find_facts(connection, row.point_id, row.offer)
        until_us = now_us + (norm.accept_within_s or 0) * _SECOND_US
        if facts is not None and facts.offer is not None:
            until_us = answer_by_us(terms.checker, facts, norm, now_us, row.handover_at)
        return {"expires_at": until_us, "due_at": until_us}
    if event is Event.ACCEPT:
        waiting = [line.answer_by for line in order.lines if line.state == "offered"]
        moments = [at_us + AT_LEAST_S * _SECOND_US for at_us in waiting]
        until_us = max([_held_until_us(connection, terms, order, row.handover_at), *moments])
        return {"expires_at": until_us, "due_at": min([until_us, *waiting])}
    if event is Event.READY:
        since_us = max(row.handover_at, now_us)
        until_us = _held_until_us(connection, terms, order, since_us)
        remind_us = until_us if norm.remind_after_s is None else since_us + norm.remind_after_s * _SECOND_US
        is_late = is_ready_late(row.order_at, row.handover_at, now_us)  # and stays so
        free_us = until_us if is_late else row.cancel_free_until
        due_us = min(remind_us, until_us)
        return {"ready_at": now_us, "expires_at": until_us, "due_at": due_us, "cancel_free_until": free_us}
    return {}


def _held_until_us(connection: WriteConnection, terms: OrderTerms, order: OrderRecord, at_us: int) -> int:
    """Return until when something that is ready at an instant is held: to the end of an open span."""
    row, norm = order.row, terms.norms.by_offer[order.row.offer]
    facts = find_facts(connection, row.point_id, row.offer)
    hold_us = at_us + (norm.hold_s or 0) * _SECOND_US
    if facts is None or facts.offer is None:
        return hold_us
    told = terms.checker.hold_until(facts, norm, from_us(at_us))
    return hold_us if told is None else to_us(told)

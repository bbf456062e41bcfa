"""Orders as answers tell them: to the app that ordered, and to the merchant."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.clock import from_us
from service.orders.codes import code_of
from service.orders.rules import Party, State, next_actions
from service.orders.schemas import EventAnswer, LineAnswer, OrderAnswer, PaymentAnswer

if TYPE_CHECKING:
    import datetime as dt

    from service.orders.store import OrderRecord
    from service.store.connections import AnyRow

__all__ = ["event_answer", "instant_of", "online_payment", "order_answer"]


def order_answer(
    order: OrderRecord, payment: AnyRow | None, *, party: Party, secret: bytes | None = None
) -> OrderAnswer:
    """
    Return an order as a party sees it.

    Parameters
    ----------
    secret
        With it, the code is told.
    """
    row = order.row
    is_offered = any(line.state == "offered" for line in order.lines)
    tells_code = secret is not None and row.code_digest is not None and party is Party.CUSTOMER
    return OrderAnswer(
        order_id=row.order_id,
        state=row.state,
        revision=row.revision,
        merchant_id=row.merchant_id,
        point_id=row.point_id,
        offer=row.offer,
        max_points=row.max_points,
        split_of=row.split_of,
        parts=list(order.parts),
        lines=[_line(line) for line in order.lines],
        currency=row.currency,
        total_minor=row.total_minor,
        fee_minor=row.fee_minor,
        payment=_payment(row, payment),
        order_at=from_us(row.order_at),
        ready_at=from_us(row.ready_at),
        handover_at=from_us(row.handover_at),
        cancel_free_until=instant_of(row.cancel_free_until),
        expires_at=instant_of(row.expires_at),
        ended_at=instant_of(row.ended_at),
        has_collector=row.collector is not None,
        code=code_of(secret, row.order_id, row.code_number) if tells_code and secret is not None else None,
        next=next_actions(State(row.state), party, is_offered=is_offered),
    )


def event_answer(row: AnyRow) -> EventAnswer:
    """Return what happened; who did it is told by the key's id."""
    return EventAnswer(
        revision=row.revision,
        at=from_us(row.at),
        event=row.event,
        state=row.state,
        point_id=row.point_id,
        by=row.actor,
        reason=row.reason,
    )


def _line(line: AnyRow) -> LineAnswer:
    return LineAnswer(
        line=line.line,
        sku=line.sku,
        name=line.name,
        quantity=line.quantity,
        price_minor=line.price_minor,
        state=line.state,
        replaces=line.replaces,
        answer_by=instant_of(line.answer_by),
    )


def _payment(row: AnyRow, payment: AnyRow | None) -> PaymentAnswer | None:
    if row.payment == "counter":
        return PaymentAnswer(method="counter", state=None, captured_minor=None)
    return online_payment(payment)


def online_payment(payment: AnyRow | None) -> PaymentAnswer | None:
    """Return where an online payment is, None for none."""
    if payment is None:
        return None
    return PaymentAnswer(method="online", state=payment.state, captured_minor=payment.captured_minor)


def instant_of(us: int | None) -> dt.datetime | None:
    """Return an instant, None for none."""
    return None if us is None else from_us(us)

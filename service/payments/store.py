"""Payments in the store: what was asked of the provider, and what is still to be asked."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, case, func, select, update

from service.store.order_tables import payments
from service.store.plain import Plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement

    from service.store.connections import AnyRow, ReadConnection, WriteConnection

__all__ = [
    "begin_payment",
    "change_payment",
    "due_payments",
    "find_payment",
    "is_being_paid",
    "paid_since",
    "payer_of",
    "payment_of",
    "payments_of",
    "reference_of",
    "settle",
    "unsettled_since",
]

_NAMES = tuple(column.name for column in payments.columns)
_ASK_AGAIN_US = 5_000_000
_PAYING_US = 900_000_000
_ATTEMPTS = 2**31 - 1  # what its column holds
_PAYMENT = Plain(select(payments).where(payments.c.subject == bindparam("of_subject")))


def reference_of(row: AnyRow) -> str:
    """
    Return what names an authorisation to the provider: each attempt has its own.

    An attempt is drawn and not counted: a store that was put back knows nothing of the latest ones, and a count would name
    them again, upon which the provider answers what came of those and sets nothing aside.
    """
    return f"{row.subject}-{row.attempt}"


def find_payment(connection: ReadConnection, subject: str) -> AnyRow | None:
    """Return the payment of an order or a booking."""
    return connection.row(_PAYMENT, {"of_subject": subject})


def payments_of(connection: ReadConnection, subjects: Sequence[str]) -> dict[str, AnyRow]:
    """Return the payments of several, by what they are of."""
    rows = connection.rows(select(payments).where(payments.c.subject.in_(list(subjects)))) if subjects else ()
    return {row.subject: row for row in rows}


def paid_since(now_us: int) -> ColumnElement[bool]:
    """Return the condition that a payment came to where it is not too long ago."""
    return payments.c.updated_at + _PAYING_US > now_us


def is_being_paid(connection: WriteConnection, subject: str) -> bool:
    """Tell whether the payment of what is held is on its way, and not for too long."""
    payment = find_payment(connection, subject)
    return (
        payment is not None and payment.state == "authorising" and payment.updated_at + _PAYING_US > connection.now_us
    )


def payer_of(order: AnyRow) -> str:
    """Return the id of the order with which one is paid: its own, or that of the one that it was parted from."""
    payer: str = order.split_of or order.order_id
    return payer


def payment_of(connection: ReadConnection, order: AnyRow) -> AnyRow | None:
    """Return the payment that pays an order, given its row."""
    return find_payment(connection, payer_of(order))


def begin_payment(connection: WriteConnection, subject: str, amount_minor: int, currency: str) -> AnyRow:
    """Note that the provider is about to be asked, before it is: should linli end now, it is asked what came of it."""
    before = find_payment(connection, subject)
    values: dict[str, Any] = {
        "subject": subject,
        "state": "authorising",
        "amount_minor": amount_minor,
        "captured_minor": 0,
        "currency": currency,
        "attempt": 1 + secrets.randbelow(_ATTEMPTS),
        "tries": 0,
        "due_at": connection.now_us + _ASK_AGAIN_US,
        "updated_at": connection.now_us,
    }
    if before is None:
        connection.insert_rows(payments, _NAMES, [tuple(values[name] for name in _NAMES)])
    else:
        connection.run(update(payments).where(payments.c.subject == subject).values(values))
    found = find_payment(connection, subject)
    assert found is not None  # noqa: S101 - it was just written
    return found


def change_payment(connection: WriteConnection, row: AnyRow, **values: Any) -> bool:
    """Change a payment that is as it was read; tell whether it was."""
    its = (
        payments.c.subject == row.subject,
        payments.c.state == row.state,
        payments.c.attempt == row.attempt,
        payments.c.tries == row.tries,
    )
    return connection.run(update(payments).where(*its).values({"updated_at": connection.now_us} | values)) == 1


def settle(connection: WriteConnection, subject: str, owed_minor: int) -> None:
    """Note what is to be taken of what was set aside for what has ended, or that all is to be set free."""
    row = find_payment(connection, subject)
    if row is None or row.state not in {"authorising", "authorised"}:
        return
    takes = row.state == "authorised" and owed_minor > 0
    change_payment(
        connection,
        row,
        state="capturing" if takes else "releasing",
        captured_minor=min(owed_minor, row.amount_minor) if takes else 0,
        tries=0,
        due_at=connection.now_us,
    )


def due_payments(connection: ReadConnection, now_us: int, limit: int = 100) -> Sequence[AnyRow]:
    """Return the payments about which the provider is to be asked by now, those first for which somebody waits."""
    by_urgency = case((payments.c.state == "authorising", 0), else_=1), payments.c.due_at
    return connection.rows(select(payments).where(payments.c.due_at <= now_us).order_by(*by_urgency).limit(limit))


def unsettled_since(connection: ReadConnection) -> int | None:
    """Return since when the provider has owed the answer that it owes longest."""
    found: int | None = connection.value(select(func.min(payments.c.updated_at)).where(payments.c.due_at.is_not(None)))
    return found

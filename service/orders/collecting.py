"""Collecting: whoever shows the code gets the order, once; who guesses is stopped."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import bindparam, select

from service.errors import StateConflictError
from service.http.problems import ProblemError, Trouble
from service.orders.acting import Act, act, locked_order
from service.orders.codes import code_digest, code_of, collector_digest, digest_of
from service.orders.rules import ENDED, Event, Party, State
from service.orders.store import find_order, order_of_code, tries_at, wrong_try
from service.store.order_tables import order_events, orders
from service.store.plain import Plain

if TYPE_CHECKING:
    from service.orders.ordering import OrderTerms
    from service.orders.store import OrderRecord
    from service.store.connections import WriteConnection

__all__ = ["WINDOW_US", "WRONG_CODES", "Shown", "collect"]

WRONG_CODES = 5
"""Wrong codes that a point may enter within the window; then none is taken."""
WINDOW_US = 900_000_000
"""How long wrong codes are counted."""
_JUST_US = 60_000_000
"""A code that comes again so soon was scanned twice: it is no guess."""
_JUST_COLLECTED = Plain(  # by the events, of which an index knows when they were: a point's orders are many
    select(orders.c.order_id, orders.c.code_number)
    .join_from(order_events, orders, order_events.c.order_id == orders.c.order_id)
    .where(
        order_events.c.point_id == bindparam("of_point"),
        order_events.c.event == Event.COLLECT,
        order_events.c.at >= bindparam("since"),
    )
)


class Shown(NamedTuple):
    """
    What is shown at the counter of a point.

    Attributes
    ----------
    order_id
        The order that it must be, where it is known.
    collector
        What a person shows who was named to collect it.
    """

    point_id: str
    code: str
    order_id: str | None = None
    collector: str | None = None


def collect(connection: WriteConnection, terms: OrderTerms, shown: Shown, actor: str) -> OrderRecord | ProblemError:
    """
    Hand an order over; a wrong code or name is returned, not raised, so that the try is counted; a code just used is none.

    Raises
    ------
    StateConflictError
        If the code is right and the order is not ready.
    """
    connection.lock(f"codes of {shown.point_id}")
    wrong, since_us = tries_at(connection, shown.point_id, connection.now_us - WINDOW_US)
    if wrong >= WRONG_CODES:
        after_s = max(1, -(-(since_us + WINDOW_US - connection.now_us) // 1_000_000))
        text = "too many wrong codes were entered here: wait"
        return ProblemError("rate-limited", text, headers={"Retry-After": str(after_s)})
    order = _order_of(connection, terms, shown)
    if order is None:
        _check_open(connection, shown)
        if _is_just_used(connection, terms, shown):
            return ProblemError("code-used", "the order with this code was handed over a moment ago")
        wrong_try(connection, shown.point_id, wrong, since_us)
        text = "no order that waits here has this code"
        return ProblemError("code-wrong", text, (Trouble("/code", text),))
    if _is_another(terms, order, shown):
        wrong_try(connection, shown.point_id, wrong, since_us)  # else names could be guessed without end
        text = "the code is right, but the name is not that of the collector whom the customer named"
        return ProblemError("code-wrong", text, (Trouble("/collector", text),))
    if order.row.state != State.READY:
        told = f"the order is {order.row.state}: it is not ready yet"
        raise StateConflictError(told)
    return act(connection, terms, order, Act(Event.COLLECT, Party.MERCHANT, actor))


def _check_open(connection: WriteConnection, shown: Shown) -> None:
    """Say of a known order that has ended that it has, rather than that its code is wrong."""
    known = None if shown.order_id is None else find_order(connection, shown.order_id)
    if known is not None and known.row.state in ENDED:
        told = f"the order is {known.row.state}: it cannot be collected any more"
        raise StateConflictError(told)


def _is_just_used(connection: WriteConnection, terms: OrderTerms, shown: Shown) -> bool:
    values = {"of_point": shown.point_id, "since": connection.now_us - _JUST_US}
    used = [code_of(terms.secret, *row) for row in connection.rows(_JUST_COLLECTED, values)]
    return sum(hmac.compare_digest(code, shown.code) for code in used) > 0  # all are compared: the time tells nothing


def _order_of(connection: WriteConnection, terms: OrderTerms, shown: Shown) -> OrderRecord | None:
    digest = code_digest(terms.secret, shown.point_id, shown.code)
    order_id = order_of_code(connection, shown.point_id, digest)
    order = None if order_id is None else locked_order(connection, order_id)
    if order is None or not hmac.compare_digest(order.row.code_digest or "", digest):
        return None
    if shown.order_id is not None and not hmac.compare_digest(order.row.order_id, shown.order_id):
        return None
    return order


def _is_another(terms: OrderTerms, order: OrderRecord, shown: Shown) -> bool:
    """Tell whether somebody collects who was not named; of who is forgotten the code alone is known."""
    if shown.collector is None or order.row.buyer is None:
        return False
    as_written = digest_of(terms.secret, "collector", shown.collector)  # an earlier linli kept that
    named = (collector_digest(terms.secret, shown.collector), as_written)
    return not sum(hmac.compare_digest(order.row.collector or "", digest) for digest in named)

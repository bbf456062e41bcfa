"""Something else in the place of a line that a point has not got: offered by it, taken or declined by the customer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.errors import StateConflictError
from service.orders.acting import Act, act, check_act
from service.orders.deciding import AT_LEAST_S
from service.orders.rules import Event, Party
from service.orders.store import OrderRecord, add_lines, change_line, total_minor
from service.orders.taking import give_stock, stock_rows, take_stock
from service.stock.counting import count_on

if TYPE_CHECKING:
    from service.orders.ordering import OrderTerms
    from service.store.connections import AnyRow, WriteConnection

__all__ = ["answer_offer", "check_answered", "offer_line"]

_SECOND_US = 1_000_000


def offer_line(
    connection: WriteConnection,
    terms: OrderTerms,
    order: OrderRecord,
    actor: str,
    *,
    line: int,
    sku: str,
    quantity: int,
) -> OrderRecord:
    """
    Offer another SKU in the place of a line; its units are held until the customer answers.

    Raises
    ------
    StateConflictError
        If the line is not one that can be replaced, or the other would cost more.
    NotFeasibleError
        If there is not enough of the other.
    """
    what = Act(Event.OFFER, Party.MERCHANT, actor)
    check_act(order, what)
    row = order.row
    wanted = _line(order, line, "wanted")
    if any(one.replaces == line and one.state == "offered" for one in order.lines):
        raise StateConflictError("something was offered in its place already: wait for the answer")
    revision = count_on(connection, row.merchant_id, row.point_id)
    entry = stock_rows(connection, row.point_id, [sku]).get(sku)
    if entry is None or sku == wanted.sku:
        text = f"the point has no {sku} that could stand in for {wanted.sku}"
        raise StateConflictError(text)
    if entry.price_minor * quantity > wanted.price_minor * wanted.quantity or entry.currency != row.currency:
        raise StateConflictError("what is offered must not cost more than the line that it replaces")
    take_stock(connection, row.point_id, {sku: quantity}, revision)
    within_s = terms.norms.by_offer[row.offer].substitute_within_s or 0
    answer_by = connection.now_us + within_s * _SECOND_US
    new = {
        "order_id": row.order_id,
        "line": max(one.line for one in order.lines) + 1,
        "sku": sku,
        "name": entry.name,
        "quantity": quantity,
        "price_minor": entry.price_minor,
        "state": "offered",
        "replaces": line,
        "answer_by": answer_by,
    }
    add_lines(connection, [new])
    # Until the customer has answered, and the point has had a moment to go on, the order must not end by itself.
    expires_at = max(row.expires_at or 0, answer_by + AT_LEAST_S * _SECOND_US)
    waiting = [one.answer_by for one in order.lines if one.state == "offered"]
    return act(connection, terms, order, what, expires_at=expires_at, due_at=min([answer_by, expires_at, *waiting]))


def answer_offer(
    connection: WriteConnection, terms: OrderTerms, order: OrderRecord, what: Act, *, line: int
) -> OrderRecord:
    """
    Take what was offered, or decline it: then the line that it should have replaced is missing.

    An order of which nothing is left is rejected with it, and no other point is asked.

    Raises
    ------
    StateConflictError
        If nothing stands offered on that line, or the customer's time to answer is over.
    """
    check_act(order, what)
    row = order.row
    offered = _line(order, line, "offered")
    replaced = next(one for one in order.lines if one.line == offered.replaces)
    if what.party is Party.CUSTOMER and offered.answer_by <= connection.now_us:
        raise StateConflictError("the time to answer is over: that line is left out")
    takes = what.event is Event.TAKE
    revision = count_on(connection, row.merchant_id, row.point_id)  # before anything is written: it waits for the point
    change_line(connection, row.order_id, offered.line, state="wanted" if takes else "declined")
    change_line(connection, row.order_id, replaced.line, state="replaced" if takes else "missing")
    given = {replaced.sku: replaced.quantity}
    if not takes:
        given[offered.sku] = given.get(offered.sku, 0) + offered.quantity
    give_stock(connection, row.point_id, given, revision)
    rest = [one for one in order.lines if one.state == "wanted" and one.line != replaced.line]
    total = total_minor([*rest, offered] if takes else rest)
    waiting = [one.answer_by for one in order.lines if one.state == "offered" and one.line != line]
    due_at = min([us for us in (row.expires_at, *waiting) if us is not None], default=None)
    after = act(connection, terms, order, what, total_minor=total, due_at=due_at)
    if after.held:
        return after
    return act(connection, terms, after, Act(Event.REJECT, Party.CLOCK, "clock", "out_of_stock"))


def check_answered(order: OrderRecord) -> None:
    """Refuse to go on while the customer has not answered."""
    if any(line.state == "offered" for line in order.lines):
        raise StateConflictError("the customer has not answered yet to what was offered")


def _line(order: OrderRecord, number: int, state: str) -> AnyRow:
    for line in order.lines:
        if line.line == number and line.state == state:
            return line
    text = f"line {number} is not {state}"
    raise StateConflictError(text)

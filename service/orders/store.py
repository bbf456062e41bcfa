"""Orders in the store."""

from __future__ import annotations

from collections import namedtuple
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import bindparam, func, select, union_all, update

from service.feed.columns import COLUMNS
from service.ids import new_id
from service.orders.rules import OPEN, State
from service.store.order_tables import code_tries, order_events, order_lines, orders
from service.store.plain import Plain
from service.store.tables import merchants, offers, points

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from service.store.connections import AnyRow, ReadConnection, WriteConnection

__all__ = [
    "OrderFilter",
    "OrderRecord",
    "add_event",
    "add_events",
    "add_lines",
    "add_order",
    "change_line",
    "change_order",
    "due_orders",
    "find_facts",
    "find_order",
    "is_verified",
    "list_events",
    "list_orders",
    "n_open_orders",
    "new_order_id",
    "open_offers",
    "open_orders",
    "order_of_code",
    "postpone",
    "total_minor",
    "tries_at",
    "wrong_try",
]

_ORDER_NAMES = tuple(column.name for column in orders.columns)
_LINE_NAMES = tuple(column.name for column in order_lines.columns)
_row_of: Any = namedtuple
_ORDER_ROW, _LINE_ROW = _row_of("OrderRow", _ORDER_NAMES), _row_of("LineRow", _LINE_NAMES)
_EVENT_NAMES = tuple(column.name for column in order_events.columns)
_FACTS = Plain(
    select(
        *COLUMNS,
        points.c.revision.label("point_revision"),
        points.c.name,
        offers.c.slot_orders,
        offers.c.slot_s,
    )
    .join_from(points, merchants, points.c.merchant_id == merchants.c.merchant_id)
    .outerjoin(offers, (offers.c.point_id == points.c.point_id) & (offers.c.offer == bindparam("of_offer")))
    .where(points.c.point_id == bindparam("of_point"), points.c.is_deleted.is_(False))
)
_ORDER = Plain(select(orders).where(orders.c.order_id == bindparam("of_order")))
_LINES = Plain(select(order_lines).where(order_lines.c.order_id == bindparam("of_order")).order_by(order_lines.c.line))
_PARTS = (
    select(orders.c.split_of, orders.c.order_id)
    .where(orders.c.split_of.in_(bindparam("ids", expanding=True)))
    .order_by(orders.c.order_id)
)
_EVENTS = select(order_events).where(order_events.c.order_id == bindparam("of_order")).order_by(order_events.c.revision)
_IS_OPEN = orders.c.state.in_(
    [state.value for state in sorted(OPEN)]
)  # by the states: the index of a point's orders has them
_JUDGED = (
    orders.c.order_id,
    orders.c.offer,
    orders.c.state,
    orders.c.cell,
    orders.c.features,
    orders.c.handover_at,
    orders.c.expires_at,
    orders.c.split_of,
)
_CODE = Plain(
    select(orders.c.order_id).where(
        orders.c.point_id == bindparam("of_point"), orders.c.code_digest == bindparam("of_code")
    )
)
_STATUS = Plain(select(merchants.c.status).where(merchants.c.merchant_id == bindparam("of_merchant")))
_LISTED_BY = ("split_of", "point_id", "owner", "merchant_id")
"""By which of what is asked an index finds them, the narrowest first; of the others a text is made, which none has."""


class OrderRecord(NamedTuple):
    """An order: its row, its lines in order, and the ids of the orders in which those stand that are parted from it."""

    row: AnyRow
    lines: Sequence[AnyRow]
    parts: Sequence[str] = ()

    @property
    def held(self) -> dict[str, int]:
        """What it holds of its point's stock, by SKU."""
        return self.units("wanted", "offered")

    def units(self, *states: str) -> dict[str, int]:
        """Return the units of its lines that are in some states, by SKU."""
        units: dict[str, int] = {}
        for line in self.lines:
            if line.state in states:
                units[line.sku] = units.get(line.sku, 0) + line.quantity
        return units


def total_minor(lines: Iterable[AnyRow]) -> int:
    """Return what lines cost together."""
    return sum(line.price_minor * line.quantity for line in lines)


class OrderFilter(NamedTuple):
    """Which orders are listed; None leaves a condition out."""

    owner: str | None = None
    merchant_id: str | None = None
    point_id: str | None = None
    state: str | None = None
    split_of: str | None = None


def new_order_id(now_us: int) -> str:
    """Return an id of a new order."""
    return new_id("ord_", now_us)


def find_facts(connection: ReadConnection, point_id: str, offer: str) -> AnyRow | None:
    """Return a point that is not deleted with one offer, whose columns are None where it has it not."""
    return connection.row(_FACTS, {"of_point": point_id, "of_offer": offer})


def is_verified(connection: ReadConnection, merchant_id: str) -> bool:
    """Tell whether a merchant is verified: that of an order was, and is no more once he is suspended."""
    return bool(connection.value(_STATUS, {"of_merchant": merchant_id}) == "verified")


def find_order(connection: ReadConnection, order_id: str) -> OrderRecord | None:
    """Return an order."""
    row = connection.row(_ORDER, {"of_order": order_id})
    if row is None:
        return None
    lines = connection.rows(_LINES, {"of_order": order_id})
    return OrderRecord(row, lines, _parts(connection, lines).get(order_id, ()))


def list_orders(
    connection: ReadConnection, wanted: OrderFilter, *, after: str = "", limit: int = 100
) -> list[OrderRecord]:
    """
    Return orders by id, which is in order of time.

    Notes
    -----
    One index is asked: it has whose they are by state, so without one the database merges what each state has.
    """
    given = {name: value for name, value in wanted._asdict().items() if value is not None}
    by = next((name for name in _LISTED_BY if name in given), None)
    its = [(orders.c[name] if name in {by, "state"} else orders.c[name].concat("")) == given[name] for name in given]
    query: Any = select(orders).where(orders.c.order_id > after, *its)
    if wanted.state is None and by not in {None, "split_of"}:
        query = union_all(*(query.where(orders.c.state == state) for state in State))
    return _with_lines(connection, connection.rows(query.order_by("order_id").limit(limit)))


def open_offers(connection: ReadConnection, point_id: str) -> list[str]:
    """Return the offers under which orders of a point have not ended, by name."""
    query = select(orders.c.offer).where(orders.c.point_id == point_id, _IS_OPEN).distinct()
    return sorted(row[0] for row in connection.rows(query))


def open_orders(connection: ReadConnection, point_id: str, offers_of_it: Sequence[str]) -> Sequence[AnyRow]:
    """Return what a change of a point needs to know of those of its orders under some offers that have not ended."""
    its = (orders.c.point_id == point_id, _IS_OPEN, orders.c.offer.in_(offers_of_it))
    return connection.rows(select(*_JUDGED).where(*its).order_by(orders.c.order_id))


def n_open_orders(connection: ReadConnection, point_ids: Sequence[str]) -> dict[str, int]:
    """Return how many open orders those of some points have that have any."""
    query = (
        select(orders.c.point_id, func.count())
        .where(orders.c.point_id.in_(bindparam("ids", expanding=True)), _IS_OPEN)
        .group_by(orders.c.point_id)
    )
    return {row[0]: row[1] for row in connection.rows(query, {"ids": list(point_ids)})} if point_ids else {}


def _with_lines(connection: ReadConnection, rows: Sequence[AnyRow]) -> list[OrderRecord]:
    lines: dict[str, list[AnyRow]] = {row.order_id: [] for row in rows}
    if lines:
        query = select(order_lines).where(order_lines.c.order_id.in_(list(lines)))
        for line in connection.rows(query.order_by(order_lines.c.order_id, order_lines.c.line)):
            lines[line.order_id].append(line)
    parts = _parts(connection, [line for its in lines.values() for line in its])
    return [OrderRecord(row, lines[row.order_id], parts.get(row.order_id, ())) for row in rows]


def _parts(connection: ReadConnection, lines: Iterable[AnyRow]) -> dict[str, list[str]]:
    """Return the ids of the orders in which parted lines stand, by the order that they are parted from."""
    parts: dict[str, list[str]] = {line.order_id: [] for line in lines if line.state == "parted"}
    for row in connection.rows(_PARTS, {"ids": list(parts)}) if parts else ():
        parts[row.split_of].append(row.order_id)
    return parts


def list_events(connection: ReadConnection, order_id: str) -> Sequence[AnyRow]:
    """Return what happened to an order, in order."""
    return connection.rows(_EVENTS, {"of_order": order_id})


def order_of_code(connection: ReadConnection, point_id: str, digest: str) -> str | None:
    """Return the id of the order at a point that has the code of a digest, None where none has."""
    order_id: str | None = connection.value(_CODE, {"of_point": point_id, "of_code": digest})
    return order_id


def tries_at(connection: ReadConnection, point_id: str, since_us: int) -> tuple[int, int]:
    """Return how many wrong codes a point entered in the window that began after an instant, and when it began."""
    row = connection.row(select(code_tries).where(code_tries.c.point_id == point_id))
    return (0, 0) if row is None or row.since_at < since_us else (row.wrong, row.since_at)


def wrong_try(connection: WriteConnection, point_id: str, wrong: int, since_us: int) -> None:
    """Count a wrong code at a point; the first one begins a window."""
    values = {"wrong": wrong + 1, "since_at": since_us if wrong else connection.now_us}
    if not connection.run(update(code_tries).where(code_tries.c.point_id == point_id).values(values)):
        connection.insert_rows(code_tries, ("point_id", *values), [(point_id, *values.values())])


def due_orders(connection: WriteConnection, limit: int) -> list[str]:
    """Return the ids of the orders at which somebody must look by now."""
    query = select(orders.c.order_id).where(orders.c.due_at <= connection.now_us)
    return [row[0] for row in connection.rows(query.order_by(orders.c.due_at, orders.c.order_id).limit(limit))]


def postpone(connection: WriteConnection, order_id: str, due_us: int) -> None:
    """Let an order be looked at later."""
    connection.run(update(orders).where(orders.c.order_id == order_id).values(due_at=due_us))


def add_order(connection: WriteConnection, values: Mapping[str, Any]) -> AnyRow:
    """Add an order and return its row; ``values`` are all its columns."""
    row: AnyRow = _ORDER_ROW._make(map(values.__getitem__, _ORDER_NAMES))
    connection.insert_rows(orders, _ORDER_NAMES, [row])
    return row


def add_lines(connection: WriteConnection, lines: Sequence[Mapping[str, Any]]) -> list[AnyRow]:
    """Add lines to orders and return their rows."""
    rows: list[AnyRow] = [_LINE_ROW._make(map(line.get, _LINE_NAMES)) for line in lines]
    connection.insert_rows(order_lines, _LINE_NAMES, rows)
    return rows


def change_line(connection: WriteConnection, order_id: str, line: int, **values: Any) -> None:
    """Change a line of an order."""
    its = (order_lines.c.order_id == order_id, order_lines.c.line == line)
    connection.run(update(order_lines).where(*its).values(values))


def change_order(connection: WriteConnection, order_id: str, revision: int, values: Mapping[str, Any]) -> bool:
    """Change an order that is at a revision, and count it on; tell whether it was."""
    its = (orders.c.order_id == order_id, orders.c.revision == revision)
    return connection.run(update(orders).where(*its).values(**values, revision=revision + 1)) == 1


def add_event(connection: WriteConnection, merchant_id: str, values: Mapping[str, Any]) -> None:
    """Note what happened to an order, and tell the followers."""
    add_events(connection, merchant_id, [values])


def add_events(connection: WriteConnection, merchant_id: str, events: Sequence[Mapping[str, Any]]) -> None:
    """Note several things that happened to an order, and tell the followers of each."""
    usual = {"at": connection.now_us, "reason": None}
    rows = [tuple(map((usual | dict(event)).__getitem__, _EVENT_NAMES)) for event in events]
    connection.insert_rows(order_events, _EVENT_NAMES, rows)
    connection.record_changes("order", [(event["order_id"], event["revision"]) for event in events], merchant_id)

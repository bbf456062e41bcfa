"""Stock in the store."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import JSON, BigInteger, Text, bindparam, case, cast, func, select, update

from service.stock.counting import count_on
from service.stock.rules import SECOND_US, Shelf, StockFacts
from service.store.order_tables import stock
from service.store.plain import Plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from service.store.connections import AnyRow, ReadConnection, WriteConnection

__all__ = [
    "delete_entry",
    "delete_stock",
    "find_entry",
    "list_entries",
    "put_entries",
    "stock_changes",
    "stock_of_points",
]

_FACTS = StockFacts._fields
_INSERTED = ("point_id", *_FACTS, "held", "counted_at", "is_deleted", "revision")
_POINT: Any = bindparam("of_point")
_ALIVE = stock.c.is_deleted.is_(False)
_SOME = select(stock.c.sku, stock.c.held, stock.c.currency, stock.c.is_deleted).where(
    stock.c.point_id == _POINT, stock.c.sku.in_(bindparam("skus", expanding=True))
)
_CURRENCIES = (
    select(stock.c.currency, func.count()).where(stock.c.point_id == _POINT, _ALIVE).group_by(stock.c.currency)
)
_REPLACE = (  # held is the orders' own
    update(stock)
    .where(stock.c.point_id == _POINT, stock.c.sku == bindparam("of_sku"))
    .values({name: bindparam(name) for name in (*_FACTS[1:], "counted_at", "is_deleted", "revision")})
)
_LEFT = stock.c.counted - stock.c.held - stock.c.safety
_UNITS = (  # as `units_of` and `good_until_us` have them; of a million points, Python would take minutes
    stock.c.point_id,
    stock.c.sku,
    case((stock.c.is_deleted | (_LEFT < 0), 0), else_=_LEFT).label("units"),
    case((stock.c.counted.is_not(None), stock.c.counted_at + stock.c.good_for_s * SECOND_US)).label("good_until_us"),
    stock.c.is_deleted,
    stock.c.revision,
)
_WHOLE = select(*_UNITS).where(_ALIVE).order_by(stock.c.point_id, stock.c.sku)
_OF_SOME = _WHOLE.where(stock.c.point_id.in_(bindparam("ids", expanding=True)))


def _newer(pairs: Any) -> Plain:
    """Return what asks for the entries that have changed since, given a function of a JSON object of revisions by point."""
    seen = pairs.table_valued("key", "value", name="seen")
    is_newer = (stock.c.point_id == seen.c.key) & (stock.c.revision > cast(seen.c.value, BigInteger))
    return Plain(select(*_UNITS).join_from(seen, stock, is_newer).order_by(stock.c.point_id, stock.c.sku))


_NEWER_SQLITE = _newer(func.json_each(bindparam("known", type_=Text)))
_NEWER_POSTGRES = _newer(func.json_each_text(cast(bindparam("known", type_=Text), JSON)))


def find_entry(connection: ReadConnection, point_id: str, sku: str) -> AnyRow | None:
    """Return what a point has of an SKU, None where there is no such entry or it is deleted."""
    return connection.row(select(stock).where(stock.c.point_id == point_id, stock.c.sku == sku, _ALIVE))


def list_entries(connection: ReadConnection, point_id: str, *, after: str = "", limit: int = 100) -> Sequence[AnyRow]:
    """Return what a point has, by SKU."""
    query = select(stock).where(stock.c.point_id == point_id, stock.c.sku > after, _ALIVE)
    return connection.rows(query.order_by(stock.c.sku).limit(limit))


def put_entries(
    connection: WriteConnection, merchant_id: str, point_id: str, facts: Sequence[StockFacts]
) -> dict[int, str]:
    """
    Make or replace entries in their order, each a count of now; return why not of those that cannot be, by position.

    Parameters
    ----------
    merchant_id
        Whose point it is; the caller has locked him, and then the point's stock.
    """
    if not facts:
        return {}
    known = {
        row.sku: row
        for row in connection.rows(_SOME, {"of_point": point_id, "skus": sorted({fact.sku for fact in facts})})
    }
    shelf = Shelf(
        {sku: int(row.held) for sku, row in known.items()},
        {sku: row.currency for sku, row in known.items() if not row.is_deleted},
        {row[0]: int(row[1]) for row in connection.rows(_CURRENCIES, {"of_point": point_id})},
    )
    taken: dict[str, StockFacts] = {}
    refused: dict[int, str] = {}
    for position, fact in enumerate(facts):
        reason = shelf.add(fact)
        if reason is None:
            taken[fact.sku] = fact
        else:
            refused[position] = reason
    if taken:
        revision = count_on(connection, merchant_id, point_id)
        _write(connection, point_id, revision, taken.values(), known)
    return refused


def _write(
    connection: WriteConnection,
    point_id: str,
    revision: int,
    facts: Iterable[StockFacts],
    known: Mapping[str, AnyRow],
) -> None:
    now = connection.now_us
    rest = {"of_point": point_id, "counted_at": now, "is_deleted": False, "revision": revision}
    new, replaced = [], []
    for fact in facts:
        if fact.sku in known:
            replaced.append({**fact._asdict(), **rest, "of_sku": fact.sku})
        else:
            new.append((point_id, *fact, 0, now, False, revision))
    connection.insert_rows(stock, _INSERTED, new)
    if replaced:
        connection.run(_REPLACE, replaced)


def delete_entry(connection: WriteConnection, merchant_id: str, row: AnyRow) -> None:
    """Delete an entry of a point whose stock is locked; its row stays, so that followers hear of it."""
    revision = count_on(connection, merchant_id, row.point_id)
    of_row = (stock.c.point_id == row.point_id, stock.c.sku == row.sku)
    connection.run(update(stock).where(*of_row).values(is_deleted=True, revision=revision))


def delete_stock(connection: WriteConnection, merchant_id: str, point_id: str) -> None:
    """Delete all that a point has, where it has anything."""
    of_point = (stock.c.point_id == point_id, _ALIVE)
    if connection.row(select(stock.c.sku).where(*of_point).limit(1)) is not None:
        revision = count_on(connection, merchant_id, point_id)
        connection.run(update(stock).where(*of_point).values(is_deleted=True, revision=revision))


def stock_of_points(connection: ReadConnection, point_ids: Sequence[str] | None) -> Sequence[AnyRow]:
    """
    Return all entries of points, or of all points (None), but deleted ones; by point, then SKU.

    Returns
    -------
    Sequence
        Rows of ``point_id``, ``sku``, ``units`` (that can be ordered, None without a limit), ``good_until_us`` (from
        when on the count is no longer trusted, None where it is until the next), ``is_deleted``, and ``revision`` (the
        point's `stock_revision` of the last change).
    """
    return connection.rows(_WHOLE) if point_ids is None else connection.rows(_OF_SOME, {"ids": list(point_ids)})


def stock_changes(connection: ReadConnection, known: Mapping[str, int]) -> Sequence[AnyRow]:
    """
    Return the entries of points that have changed since the `stock_revision` known of each.

    Rows are as of `stock_of_points`, those of deleted entries among them, of which no units can be ordered.
    """
    if not known:
        return []
    newer = _NEWER_POSTGRES if connection.is_postgres else _NEWER_SQLITE
    return connection.rows(newer, {"known": json.dumps(known)})

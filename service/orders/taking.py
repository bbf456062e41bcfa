"""
What an order takes of a point, and gives back: units of stock, a place in work, a place in a preparation slot.

Every one is taken by one conditional UPDATE in the order's own transaction, behind one that counts the point's stock on
and demands the revision that the order was judged by (`service.stock.counting`); from then on until its end no other
transaction changes the point, its offers or its stock.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import BigInteger, and_, bindparam, case, delete, or_, select, text, update

from service.errors import NotFeasibleError
from service.orders.slots import slot_start
from service.stock.rules import has_units
from service.store.order_tables import orders, slots, stock
from service.store.plain import Plain
from service.store.tables import offers, points

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from service.store.connections import AnyRow, ReadConnection, WriteConnection

__all__ = [
    "Place",
    "check_left",
    "count_slots",
    "full_points",
    "give_back",
    "give_stock",
    "sell",
    "slot_of",
    "stock_rows",
    "take",
    "take_stock",
]

_SECOND_US = 1_000_000
_POINT: Any = bindparam("of_point")
_OFFER: Any = bindparam("of_offer")
_SKU: Any = bindparam("of_sku")
_UNITS: Any = bindparam("units")
_REVISION: Any = bindparam("stock_at")
_NOW: Any = bindparam("now")

_ITS_OFFER = (offers.c.point_id == _POINT, offers.c.offer == _OFFER)
_TAKE_WORK = Plain(
    update(offers)
    .where(*_ITS_OFFER, or_(offers.c.capacity.is_(None), offers.c.in_work < offers.c.capacity))
    .values(in_work=offers.c.in_work + 1)
)
_END_WORK = Plain(update(offers).where(*_ITS_OFFER, offers.c.in_work > 0).values(in_work=offers.c.in_work - 1))

_TAKE_SLOT = Plain(
    text(
        "INSERT INTO slots (point_id, offer, starts_at, taken) VALUES (:of_point, :of_offer, :slot, 1)"
        " ON CONFLICT (point_id, offer, starts_at) DO UPDATE SET taken = slots.taken + 1 WHERE slots.taken < :most"
    )
)
_ITS_SLOTS = (slots.c.point_id == _POINT, slots.c.offer == _OFFER)
_ITS_SLOT = (*_ITS_SLOTS, slots.c.starts_at == bindparam("slot"))
_GIVE_SLOT = Plain(update(slots).where(*_ITS_SLOT, slots.c.taken > 0).values(taken=slots.c.taken - 1))
_TAKEN = select(slots.c.taken).where(*_ITS_SLOT)
_LEAD_ENDS = bindparam("now", type_=BigInteger) + offers.c.lead_s * _SECOND_US
_HANDOVER = case((bindparam("at", type_=BigInteger) < _LEAD_ENDS, _LEAD_ENDS), else_=bindparam("at", type_=BigInteger))
_FULL_POINTS = (
    select(offers.c.point_id)
    .join_from(points, offers, offers.c.point_id == points.c.point_id)
    .join(slots, and_(slots.c.point_id == offers.c.point_id, slots.c.offer == offers.c.offer))
    .where(points.c.merchant_id == bindparam("of_merchant"), offers.c.offer == _OFFER)
    .where(slots.c.starts_at == _HANDOVER - _HANDOVER % (offers.c.slot_s * _SECOND_US))
    .where(slots.c.taken >= offers.c.slot_orders)
)
_FORGET_SLOTS = delete(slots).where(*_ITS_SLOTS)
_PUT_IN_SLOT = update(orders).where(orders.c.order_id == bindparam("of_order")).values(slot_at=bindparam("slot"))

_ITS_STOCK = (stock.c.point_id == _POINT, stock.c.sku == _SKU)
_IS_GOOD = or_(stock.c.good_for_s.is_(None), stock.c.counted_at + stock.c.good_for_s * _SECOND_US > _NOW)
_HAS = or_(stock.c.counted.is_(None), and_(stock.c.counted - stock.c.held - stock.c.safety >= _UNITS, _IS_GOOD))
_TAKE_STOCK = Plain(
    update(stock)
    .where(*_ITS_STOCK, stock.c.is_deleted.is_(False), _HAS)
    .values(held=stock.c.held + _UNITS, revision=_REVISION)
    .returning(*stock.c)
)
_GIVE = update(stock).where(*_ITS_STOCK).values(held=stock.c.held - _UNITS, revision=_REVISION)
_SELL_STOCK = Plain(_GIVE.values(counted=stock.c.counted - _UNITS))
_GIVE_STOCK = Plain(_GIVE)
_STOCK = select(stock).where(stock.c.point_id == _POINT, stock.c.sku.in_(bindparam("skus", expanding=True)))


class Place(NamedTuple):
    """
    Where an order is in work.

    Attributes
    ----------
    slot_us
        Start of its preparation slot, None where the offer has none.
    """

    point_id: str
    offer: str
    slot_us: int | None


def slot_of(at_us: int, slot_s: int | None) -> int | None:
    """Return the start of the preparation slot that an instant lies in, None where the offer has no slots."""
    return None if slot_s is None else slot_start(at_us, slot_s)


def stock_rows(connection: ReadConnection, point_id: str, skus: Sequence[str]) -> dict[str, AnyRow]:
    """Return the entries of a point's stock that are not deleted, by SKU."""
    rows = connection.rows(_STOCK, {"of_point": point_id, "skus": list(skus)}) if skus else ()
    return {row.sku: row for row in rows if not row.is_deleted}


def take(
    connection: WriteConnection, place: Place, units: Mapping[str, int], *, slot_orders: int | None, revision: int
) -> dict[str, AnyRow]:
    """
    Take a place in work, one in a slot, and units of stock; return the entries of the stock as they are then, by SKU.

    Parameters
    ----------
    units
        By SKU.
    revision
        Of the stock, as it was counted on.

    Raises
    ------
    NotFeasibleError
        If there is not enough of one of them; the caller's transaction must not go on.
    """
    its = {"of_point": place.point_id, "of_offer": place.offer}
    if not connection.run(_TAKE_WORK, its):
        raise NotFeasibleError("full")
    if place.slot_us is not None and slot_orders is not None and not _take_slot(connection, place, slot_orders):
        raise NotFeasibleError("full", of_slot=True)
    return take_stock(connection, place.point_id, units, revision)


def take_stock(
    connection: WriteConnection, point_id: str, units: Mapping[str, int], revision: int
) -> dict[str, AnyRow]:
    """Take units of stock and return their entries; raises `NotFeasibleError` as `take` does."""
    entries = {}
    for sku, wanted in sorted(units.items()):
        its = {"of_point": point_id, "of_sku": sku, "units": wanted, "stock_at": revision, "now": connection.now_us}
        entry = connection.row(_TAKE_STOCK, its)
        if entry is None:
            raise NotFeasibleError("out_of_stock", sku)
        entries[sku] = entry
    return entries


def _take_slot(connection: WriteConnection, place: Place, most: int) -> bool:
    its = {"of_point": place.point_id, "of_offer": place.offer, "slot": place.slot_us, "most": most}
    return connection.run(_TAKE_SLOT, its) == 1


def check_left(
    connection: ReadConnection, place: Place, facts: AnyRow, units: Mapping[str, int], now_us: int
) -> dict[str, AnyRow]:
    """
    Return the entries of a point's stock by SKU, and take nothing.

    Parameters
    ----------
    facts
        The row of the point and its offer, as `find_facts` returns it.

    Raises
    ------
    NotFeasibleError
        As `take` does.
    """
    its = {"of_point": place.point_id, "of_offer": place.offer, "slot": place.slot_us}
    if facts.capacity is not None and facts.in_work >= facts.capacity:
        raise NotFeasibleError("full")
    has_slots = place.slot_us is not None and facts.slot_orders is not None
    if has_slots and (connection.value(_TAKEN, its) or 0) >= facts.slot_orders:
        raise NotFeasibleError("full", of_slot=True)
    entries = stock_rows(connection, place.point_id, list(units))
    for sku, wanted in sorted(units.items()):
        entry = entries.get(sku)
        if entry is None or not has_units(entry, wanted, now_us):
            raise NotFeasibleError("out_of_stock", sku)
    return entries


def full_points(connection: ReadConnection, merchant_id: str, offer: str, handover_us: int, now_us: int) -> set[str]:
    """Return the points of a merchant whose slot is full in which they would hand out what is wanted at an instant, or later."""
    its = {"of_merchant": merchant_id, "of_offer": offer, "at": handover_us, "now": now_us}
    return {row[0] for row in connection.rows(_FULL_POINTS, its)}


def count_slots(
    connection: WriteConnection, point_id: str, offer: str, slot_s: int | None, orders_there: Sequence[AnyRow]
) -> None:
    """Count the open orders of an offer into its slots anew, which are as long as they have not been before."""
    its = {"of_point": point_id, "of_offer": offer}
    connection.run(_FORGET_SLOTS, its)
    taken: Counter[int] = Counter()
    for order in orders_there:
        slot_us = slot_of(order.handover_at, slot_s)
        connection.run(_PUT_IN_SLOT, {"of_order": order.order_id, "slot": slot_us})
        if slot_us is not None:
            taken[slot_us] += 1
    rows = [(point_id, offer, slot_us, n) for slot_us, n in taken.items()]
    connection.insert_rows(slots, ("point_id", "offer", "starts_at", "taken"), rows)


def give_back(connection: WriteConnection, place: Place, units: Mapping[str, int], revision: int) -> None:
    """Give back what `take` took."""
    its = {"of_point": place.point_id, "of_offer": place.offer}
    connection.run(_END_WORK, its)
    if place.slot_us is not None:
        connection.run(_GIVE_SLOT, its | {"slot": place.slot_us})
    give_stock(connection, place.point_id, units, revision)


def give_stock(connection: WriteConnection, point_id: str, units: Mapping[str, int], revision: int) -> None:
    """Give back units of stock."""
    _each(connection, _GIVE_STOCK, point_id, units, revision)


def sell(connection: WriteConnection, place: Place, units: Mapping[str, int], revision: int) -> None:
    """Let what was held go out of the shop; its slot is over and stays taken."""
    connection.run(_END_WORK, {"of_point": place.point_id, "of_offer": place.offer})
    _each(connection, _SELL_STOCK, place.point_id, units, revision)


def _each(connection: WriteConnection, statement: Any, point_id: str, units: Mapping[str, int], revision: int) -> None:
    if units:
        connection.run(
            statement,
            [
                {"of_point": point_id, "of_sku": sku, "units": given, "stock_at": revision}
                for sku, given in sorted(units.items())
            ],
        )

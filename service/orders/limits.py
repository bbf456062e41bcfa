"""How much one buyer, or one device, may keep from all others without having paid for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, func, literal_column, or_, select

from service.http.problems import ProblemError
from service.orders.rules import State
from service.store.order_tables import order_lines, orders
from service.store.plain import Plain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from service.store.connections import AnyRow, ReadConnection, WriteConnection

__all__ = [
    "HOLDS_AT_ONCE",
    "LEFT_AN_HOUR",
    "UNITS_ANYWAY",
    "UNIT_SHARE",
    "UNPAID_AT_ONCE",
    "check_holds",
    "check_units",
    "check_unpaid",
    "lock_holds",
]

HOLDS_AT_ONCE = 3
"""Orders that one buyer, or one device, may hold at a time."""
UNPAID_AT_ONCE = 10
"""Open orders to be paid at the counter that one buyer, or one device, may have at a time."""
LEFT_AN_HOUR = 10
"""Orders not paid for that one may give up, let expire, or not come for, in an hour."""
UNITS_ANYWAY = 10
"""Units of one SKU that one may keep at a point however few there are."""
UNIT_SHARE = 0.05
"""The share of what is counted there that one may keep."""
_HOUR_US = 3_600_000_000
_IS_THEIRS = or_(orders.c.device == bindparam("of_device"), orders.c.buyer == bindparam("of_buyer"))
_IS_RECENT = orders.c.order_at > bindparam("since")
_IS_NOT_PAID = or_(orders.c.payment.is_(None), orders.c.payment != "online")
_IS_OPEN = orders.c.ended_at.is_(None)


def _in_state(state: State) -> Any:
    """Return a condition that names a state as it is: a database takes an index of some states alone by no parameter."""
    return orders.c.state == literal_column(f"'{state}'")


def _n_left(state: State) -> Any:
    its = (_IS_THEIRS, _in_state(state), _IS_RECENT, _IS_NOT_PAID)
    counted = select(func.count()).where(*its)
    return counted.correlate(None).scalar_subquery()  # of all orders, not of the one that the statement around it reads


def _n(*its: Any) -> Any:
    return func.count().filter(*its)


_HELD = select(orders.c.order_id).where(_IS_THEIRS, _in_state(State.HELD)).limit(HOLDS_AT_ONCE).subquery()
_IS_MISSED = (orders.c.state == State.NOT_COLLECTED) & (orders.c.ended_at > bindparam("since")) & _IS_NOT_PAID
_RECENT = Plain(
    select(
        select(func.count()).select_from(_HELD).scalar_subquery().label("n_held"),
        _n(_IS_OPEN, orders.c.payment == "counter").label("n_unpaid"),
        (_n_left(State.CANCELLED) + _n_left(State.EXPIRED) + _n(_IS_MISSED)).label("n_left"),
        (_n(_IS_OPEN) > 0).label("has_any"),
    ).where(_IS_THEIRS)
)


def lock_holds(connection: WriteConnection, buyer: str, device: str) -> None:
    """Let no other transaction that locks the holds of a buyer or a device go on until this one has ended."""
    for subject in sorted({buyer, device}):
        connection.lock(f"holds of {subject}")


def check_holds(connection: ReadConnection, buyer: str, device: str, now_us: int, *, is_placed: bool) -> bool:
    """
    Refuse one more hold where there are too many, or too many were given up; tell whether others are open at all.

    Who then holds something has locked them before by `lock_holds`. One that ``is_placed`` at once is refused where
    `check_unpaid` refuses it, too.

    Raises
    ------
    ProblemError
        state-conflict for too many at once, rate-limited for too many that were given up.
    """
    recent = _recent(connection, buyer, device, now_us - _HOUR_US)
    if recent.n_held >= HOLDS_AT_ONCE:
        text = f"at most {HOLDS_AT_ONCE} orders are held for one buyer at a time: place or cancel one first"
        raise ProblemError("state-conflict", text)
    if recent.n_left >= LEFT_AN_HOUR:
        text = f"{recent.n_left} orders were given up within an hour: wait"
        raise ProblemError("rate-limited", text, headers={"Retry-After": "600"})
    if is_placed:
        _check_unpaid(recent)
    return bool(recent.has_any)


def check_unpaid(connection: WriteConnection, buyer: str, device: str) -> None:
    """
    Refuse one more order that is to be paid at the counter where too many are open.

    Who then places it has locked them before by `lock_holds`.

    Raises
    ------
    ProblemError
        state-conflict for too many at once.
    """
    _check_unpaid(_recent(connection, buyer, device, connection.now_us - _HOUR_US))


def _check_unpaid(recent: AnyRow) -> None:
    if recent.n_unpaid >= UNPAID_AT_ONCE:
        text = (
            f"at most {UNPAID_AT_ONCE} orders to be paid at the counter are open for one buyer at a time: "
            "collect or cancel one first, or pay it online"
        )
        raise ProblemError("state-conflict", text)


def check_units(
    connection: ReadConnection,
    buyer: str,
    device: str,
    point_id: str,
    units: Mapping[str, int],
    entries: Mapping[str, AnyRow],
    *,
    has_others: bool,
) -> None:
    """
    Refuse to hold more of a point's stock for one buyer than a fair share; who then holds it has locked the point.

    ``has_others`` is what `check_holds` told.
    """
    counted = {sku: entries[sku].counted for sku in units if entries[sku].counted is not None}
    if not counted:
        return
    held = _held_by(connection, buyer, device, point_id, list(counted)) if has_others else {}
    for sku, there in counted.items():
        most = max(UNITS_ANYWAY, int(there * UNIT_SHARE))
        if held.get(sku, 0) + units[sku] > most:
            raise ProblemError("state-conflict", f"at most {most} units of {sku} are held for one buyer")


def _recent(connection: ReadConnection, buyer: str, device: str, since_us: int) -> AnyRow:
    """
    Return what a buyer or a device has: ``n_held``, counted as far as it matters, ``n_unpaid``, ``n_left``, ``has_any``.

    Unpaid are those that are open and to be paid at the counter. Left are those not paid online that were made since an
    instant and given up or expired, or were released since, as nobody came: that shows long after they were made. Any is
    one that is open.
    """
    found = connection.row(_RECENT, {"of_buyer": buyer, "of_device": device, "since": since_us})
    assert found is not None  # noqa: S101 - counts are always there
    return found


def _held_by(connection: ReadConnection, buyer: str, device: str, point_id: str, skus: Sequence[str]) -> dict[str, int]:
    """Return the units of a point's stock that a buyer or a device keeps and has not paid for, by SKU."""
    query = (
        select(order_lines.c.sku, func.sum(order_lines.c.quantity))
        .join_from(order_lines, orders, order_lines.c.order_id == orders.c.order_id)
        .where(
            or_(orders.c.device == device, orders.c.buyer == buyer),
            orders.c.point_id == point_id,
            orders.c.ended_at.is_(None),
            or_(orders.c.state == "held", orders.c.payment == "counter"),
            order_lines.c.state.in_(["wanted", "offered"]),
            order_lines.c.sku.in_(list(skus)),
        )
        .group_by(order_lines.c.sku)
    )
    return {row[0]: int(row[1]) for row in connection.rows(query)}

"""How much one buyer, or one device, may keep from all others without having paid for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.http.problems import ProblemError
from service.orders.store import held_by, recent_orders

if TYPE_CHECKING:
    from collections.abc import Mapping

    from service.store.connections import AnyRow, ReadConnection, WriteConnection

__all__ = ["HOLDS_AT_ONCE", "LEFT_AN_HOUR", "UNITS_ANYWAY", "UNIT_SHARE", "check_holds", "check_units", "lock_holds"]

HOLDS_AT_ONCE = 3
"""Orders that one buyer, or one device, may hold at a time."""
LEFT_AN_HOUR = 10
"""Orders not paid for that one may give up, or let expire, in an hour."""
UNITS_ANYWAY = 10
"""Units of one SKU that one may keep at a point however few there are."""
UNIT_SHARE = 0.05
"""The share of what is counted there that one may keep."""
_HOUR_US = 3_600_000_000


def lock_holds(connection: WriteConnection, buyer: str, device: str) -> None:
    """Let no other transaction that locks the holds of a buyer or a device go on until this one has ended."""
    for subject in sorted({buyer, device}):
        connection.lock(f"holds of {subject}")


def check_holds(connection: ReadConnection, buyer: str, device: str, now_us: int) -> bool:
    """
    Refuse one more hold where there are too many, or too many were given up; tell whether there are others at all.

    Who then holds something has locked them before by `lock_holds`.

    Raises
    ------
    ProblemError
        state-conflict for too many at once, rate-limited for too many that were given up.
    """
    recent = recent_orders(connection, buyer, device, now_us - _HOUR_US)
    if sum(row.state == "held" for row in recent) >= HOLDS_AT_ONCE:
        text = f"at most {HOLDS_AT_ONCE} orders are held for one buyer at a time: place or cancel one first"
        raise ProblemError("state-conflict", text)
    left = sum(row.payment != "online" and row.state in {"cancelled", "expired"} for row in recent)
    if left >= LEFT_AN_HOUR:
        text = f"{left} orders were given up within an hour: wait"
        raise ProblemError("rate-limited", text, headers={"Retry-After": "600"})
    return bool(recent)


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
    held = held_by(connection, buyer, device, point_id, list(counted)) if has_others else {}
    for sku, there in counted.items():
        most = max(UNITS_ANYWAY, int(there * UNIT_SHARE))
        if held.get(sku, 0) + units[sku] > most:
            raise ProblemError("state-conflict", f"at most {most} units of {sku} are held for one buyer")

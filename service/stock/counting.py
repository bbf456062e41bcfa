"""A point's row, for which all that changes the point or what it has waits, and which counts each change of its stock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, select, update

from service.store.plain import Plain
from service.store.tables import points

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.store.connections import WriteConnection

__all__ = ["count_on", "count_on_as_read", "lock_points"]

_POINT: Any = bindparam("of_point")
_LOCK = (
    select(points.c.point_id)
    .where(points.c.point_id.in_(bindparam("ids", expanding=True)))
    .order_by(points.c.point_id)
    .with_for_update()
)
_COUNT = (
    update(points)
    .where(points.c.point_id == _POINT)
    .values(stock_revision=points.c.stock_revision + 1)
    .returning(points.c.stock_revision)
)
_COUNT_ON = Plain(_COUNT)
_COUNT_ON_AS_READ = Plain(_COUNT.where(points.c.revision == bindparam("read"), points.c.is_deleted.is_(False)))


def lock_points(connection: WriteConnection, point_ids: Sequence[str]) -> None:
    """
    Let no order, and no other change, concern points until this transaction has ended.

    Called before anything of them is read that must still hold then.
    """
    connection.rows(_LOCK, {"ids": list(point_ids)})


def count_on(connection: WriteConnection, merchant_id: str, point_id: str) -> int:
    """Count a change of a point's stock, tell the followers, and return its revision; the point is locked by it, too."""
    return _told(connection, merchant_id, point_id, connection.value(_COUNT_ON, {"of_point": point_id}))


def count_on_as_read(connection: WriteConnection, merchant_id: str, point_id: str, read_revision: int) -> int | None:
    """Do what `count_on` does if the point is still of the revision that was read; else nothing, and return None."""
    revision = connection.value(_COUNT_ON_AS_READ, {"of_point": point_id, "read": read_revision})
    return None if revision is None else _told(connection, merchant_id, point_id, revision)


def _told(connection: WriteConnection, merchant_id: str, point_id: str, revision: int) -> int:
    connection.record_change("stock", point_id, revision, merchant_id)
    return revision

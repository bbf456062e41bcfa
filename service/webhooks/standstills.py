"""Time in which nobody sent webhooks: none of them was failing in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import case, select, update

from service.store.leases import demand
from service.store.order_tables import webhooks
from service.store.tables import marks
from service.webhooks.planning import put_mark

if TYPE_CHECKING:
    from service.store.connections import WriteConnection
    from service.store.leases import Lease

__all__ = ["KEEP_EVERY_US", "keep_instant"]

KEEP_EVERY_US = 60_000_000
"""How often is kept until when somebody has sent."""

_MARK = "webhooks_at"
_AWAY_US = 5 * 60_000_000


def keep_instant(connection: WriteConnection, lease: Lease) -> None:
    """
    Keep that somebody sends now; what passed since it was kept last, if much, is no time in which a webhook was failing.

    So is all time before where it was never kept.

    Raises
    ------
    LeaseLostError
        If another process sends by now.
    """
    demand(connection, lease)
    now_us = connection.now_us
    away_us = now_us - int(connection.value(select(marks.c.value).where(marks.c.name == _MARK)) or 0)
    if away_us > _AWAY_US:
        since = webhooks.c.failing_since
        later = case((since + away_us < now_us, since + away_us), else_=now_us)
        connection.run(update(webhooks).where(since.is_not(None)).values(failing_since=later))
    put_mark(connection, _MARK, str(now_us))

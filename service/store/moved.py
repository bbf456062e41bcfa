"""A database that came from another PostgreSQL server: its change records bear the numbers of that one's transactions."""

from __future__ import annotations

import logging
import secrets
from typing import TYPE_CHECKING

from sqlalchemy import text

from service.store.schema import alone, engine_of, used_once

if TYPE_CHECKING:
    from sqlalchemy import Connection

__all__ = ["begin_feed_anew"]

_LOG = logging.getLogger(__name__)
# Whatever a statement sees here was written by a transaction below the end of its snapshot.
_IS_MOVED = text(
    "SELECT CAST(CAST(pg_snapshot_xmax(pg_current_snapshot()) AS text) AS bigint) <= greatest("
    "(SELECT max(tx) FROM changes),"
    " (SELECT CAST(split_part(value, '-', 1) AS bigint) FROM marks WHERE name = 'kept_from'))"
)
# Below all that still run: none of them can write behind it.
_START = text(
    "UPDATE marks SET value = concat(CAST(CAST(pg_snapshot_xmin(pg_current_snapshot()) AS text) AS bigint) - 1, '-',"
    " (SELECT last_value FROM changes_id_seq)) WHERE name = 'kept_from'"
)
_NAME = text("UPDATE marks SET value = :name WHERE name = 'feed_id'")
_DELETE = text("DELETE FROM changes")


def begin_feed_anew(url: str) -> None:
    """
    Give the feed another name and delete its records where they are of another PostgreSQL server.

    Followers would wait for its transactions for ever; so they read everything anew. Of several that start at once one
    does it.

    Raises
    ------
    StoreStateError
        If the database cannot be used.
    """
    with used_once(engine_of(url)) as engine, engine.connect() as connection, connection.begin():
        if not _is_moved(connection):
            return
        alone(connection)
        if not _is_moved(connection):
            return
        connection.execute(_START)
        connection.execute(_NAME, {"name": secrets.token_hex(8)})
        connection.execute(_DELETE)
    _LOG.warning("the database came from another PostgreSQL server: its change feed begins anew, all is read from it")


def _is_moved(connection: Connection) -> bool:
    return bool(connection.execute(_IS_MOVED).scalar())

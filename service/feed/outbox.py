"""Read the change records in place, none skipped and each in its order."""

from __future__ import annotations

import re
from itertools import takewhile
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import ColumnElement, bindparam, delete, literal_column, select, tuple_, update

from service.errors import ServiceError
from service.store.plain import Plain
from service.store.tables import changes, marks

if TYPE_CHECKING:
    from service.store.connections import ReadConnection, WriteConnection

__all__ = [
    "START",
    "BadPositionError",
    "Change",
    "Position",
    "feed_id",
    "head",
    "kept_from",
    "oldest_unread_s",
    "position_behind",
    "prune",
    "read_changes",
    "read_changes_of",
]

_POSITION = re.compile(r"([0-9]{1,18})-([0-9]{1,18})")
_VISIBLE: ColumnElement[int] = literal_column("CAST(CAST(pg_snapshot_xmin(pg_current_snapshot()) AS text) AS bigint)")
_NOW_US: dict[bool, ColumnElement[int]] = {
    True: literal_column("CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint)"),
    False: literal_column("CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)"),
}
"""The database's clock, by whether it is PostgreSQL."""
_TX: Any = bindparam("of_tx")
_ID: Any = bindparam("of_id")
_MOST: Any = bindparam("most")
_COLUMNS = (changes.c.tx, changes.c.id, changes.c.kind, changes.c.subject, changes.c.revision, changes.c.merchant_id)
PAGE = 2000
"""Changes that are read at once."""
_PLACE, _HERE = tuple_(changes.c.tx, changes.c.id), tuple_(_TX, _ID)
_ORDER = {True: (changes.c.tx, changes.c.id), False: (changes.c.id,)}
"""In which order, by whether it is PostgreSQL: SQLite would go through all records for what is said of both columns."""
_BEHIND: dict[bool, ColumnElement[bool]] = {True: _HERE < _PLACE, False: changes.c.id > _ID}
_UP_TO: dict[bool, ColumnElement[bool]] = {True: _HERE >= _PLACE, False: changes.c.id <= _ID}
_CHANGES = select(*_COLUMNS, changes.c.at).limit(_MOST)
_READ = {
    True: Plain(_CHANGES.where(_BEHIND[True], changes.c.tx < _VISIBLE).order_by(*_ORDER[True])),
    False: Plain(_CHANGES.where(_BEHIND[False]).order_by(*_ORDER[False])),
}
"""The next changes, by whether it is PostgreSQL: said at each look of every follower."""
_END: dict[bool, ColumnElement[bool]] = {
    True: tuple_(bindparam("end_tx"), bindparam("end_id")) >= _PLACE,
    False: changes.c.id <= bindparam("end_id"),
}
_OF_MERCHANT = {
    is_postgres: Plain(read.statement.where(changes.c.merchant_id == bindparam("of_merchant"), _END[is_postgres]))
    for is_postgres, read in _READ.items()
}
_NTH = {
    is_postgres: Plain(read.statement.with_only_columns(changes.c.tx, changes.c.id).limit(1).offset(_MOST))
    for is_postgres, read in _READ.items()
}
_LAST = select(changes.c.tx, changes.c.id).limit(1)
_HEAD = {
    True: Plain(_LAST.where(changes.c.tx < _VISIBLE).order_by(changes.c.tx.desc(), changes.c.id.desc())),
    False: Plain(_LAST.order_by(changes.c.id.desc())),
}
_OLDEST = {
    is_postgres: Plain(
        select(changes.c.at, now_us.label("now")).where(_BEHIND[is_postgres]).order_by(*_ORDER[is_postgres]).limit(1)
    )
    for is_postgres, now_us in _NOW_US.items()
}
_FIRST = select(changes.c.tx, changes.c.id, changes.c.at).limit(_MOST)
_KEPT = {
    True: Plain(_FIRST.where(changes.c.tx < _VISIBLE).order_by(*_ORDER[True])),
    False: Plain(_FIRST.order_by(*_ORDER[False])),
}
"""The first changes of all, whatever their age: a look for old ones would go through all that are young."""
_DELETE = {is_postgres: Plain(delete(changes).where(up_to)) for is_postgres, up_to in _UP_TO.items()}
_MARK = Plain(select(marks.c.value).where(marks.c.name == bindparam("of_name")))


class BadPositionError(ServiceError):
    """Text that is no position of a feed."""


class Position(NamedTuple):
    """
    How far a follower has read: the transaction and the record of it; compared in that order.

    On PostgreSQL the number of a record alone does not do: transactions commit in another order than they number
    their records, and one that commits late would be passed by.
    """

    tx: int
    id: int

    def __str__(self) -> str:
        return f"{self.tx}-{self.id}"

    @classmethod
    def parse(cls, text: str) -> Position:
        """
        Return the position that `str` wrote.

        Raises
        ------
        BadPositionError
            For any other text.
        """
        found = _POSITION.fullmatch(text)
        if found is None:
            message = f"must be a position such as 0-17, got {text!r:.60}"
            raise BadPositionError(message)
        return cls(int(found[1]), int(found[2]))


START = Position(0, 0)


class Change(NamedTuple):
    """One change record: something about a subject changed, and this is its revision since."""

    position: Position
    kind: str
    subject: str
    revision: int
    merchant_id: str | None
    at_us: int


def read_changes(connection: ReadConnection, after: Position, *, limit: int = PAGE) -> list[Change]:
    """
    Return the next changes in order.

    Notes
    -----
    On PostgreSQL only those of transactions below the oldest that still runs: whatever is to come has a higher
    number than all that are read, so that nothing can appear behind a position.
    """
    return _changes(connection, _READ, {"of_tx": after.tx, "of_id": after.id, "most": limit})


def read_changes_of(
    connection: ReadConnection, merchant_id: str, after: Position, end: Position, *, limit: int = PAGE
) -> list[Change]:
    """Return the next changes of a merchant in order, up to a position; those of others between are read, too."""
    its = {"of_merchant": merchant_id, "end_tx": end.tx, "end_id": end.id}
    return _changes(connection, _OF_MERCHANT, its | {"of_tx": after.tx, "of_id": after.id, "most": limit})


def position_behind(connection: ReadConnection, after: Position, n_changes: int) -> Position | None:
    """Return how far so many changes reach that may be read now, None where there are fewer."""
    row = connection.row(_NTH[connection.is_postgres], {"of_tx": after.tx, "of_id": after.id, "most": n_changes - 1})
    return None if row is None else Position(row[0], row[1])


def _changes(connection: ReadConnection, read: dict[bool, Plain], its: dict[str, Any]) -> list[Change]:
    rows = connection.rows(read[connection.is_postgres], its)
    return [Change(Position(row[0], row[1]), *row[2:]) for row in rows]


def head(connection: ReadConnection) -> Position:
    """Return the position behind the last change that may be read now."""
    row = connection.row(_HEAD[connection.is_postgres])
    return kept_from(connection) if row is None else Position(row[0], row[1])


def oldest_unread_s(connection: ReadConnection, position: Position) -> float | None:
    """
    Return how old the first change behind a position is, None where there is none.

    On PostgreSQL there may be some that cannot be read yet, as long as an older transaction runs.
    """
    row = connection.row(_OLDEST[connection.is_postgres], {"of_tx": position.tx, "of_id": position.id})
    return None if row is None else max(0.0, (row[1] - row[0]) / 1e6)


def feed_id(connection: ReadConnection) -> str:
    """Return what tells this feed from every other: a restored database has another."""
    return str(connection.value(_MARK, {"of_name": "feed_id"}))


def kept_from(connection: ReadConnection) -> Position:
    """Return the first position from which nothing is missing."""
    return Position.parse(str(connection.value(_MARK, {"of_name": "kept_from"})))


def prune(connection: WriteConnection, before_us: int, *, limit: int = 10_000) -> int:
    """
    Delete the oldest changes as far as they are older than an instant; return how many went.

    At most ``limit``, and only by one transaction at a time: what is kept never reaches further back again. All that is
    behind a younger one stays with it, as where the clock of another process was ahead.
    """
    if not connection.try_lock("changes kept"):
        return 0
    first = connection.rows(_KEPT[connection.is_postgres], {"most": limit})
    gone = [Position(row[0], row[1]) for row in takewhile(lambda row: row[2] < before_us, first)]
    if not gone:
        return 0
    last = gone[-1]
    connection.run(update(marks).where(marks.c.name == "kept_from").values(value=str(last)))
    return connection.run(_DELETE[connection.is_postgres], {"of_tx": last.tx, "of_id": last.id})

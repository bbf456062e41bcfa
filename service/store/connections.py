"""What a read and a write get to work with; neither can commit."""

from __future__ import annotations

import contextlib
import functools
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from sqlalchemy import insert, text

from service.store.plain import Plain, say_many
from service.store.tables import audit, changes

if TYPE_CHECKING:
    import sqlite3

    from sqlalchemy import Connection, Executable, Row, Table

    AnyRow: TypeAlias = Row[*tuple[Any, ...]]

__all__ = ["ReadConnection", "WriteConnection"]

_TX = text("SELECT CAST(CAST(pg_current_xact_id() AS text) AS bigint)")
_CHANGE_NAMES = ("tx", "kind", "subject", "revision", "merchant_id", "at")
_LOCK = text("SELECT pg_advisory_xact_lock(:key)")
_TRY_LOCK = text("SELECT pg_try_advisory_xact_lock(:key)")

Parameters = Mapping[str, Any] | Sequence[Mapping[str, Any]]


class ReadConnection:
    """Asks the database; one consistent view of it from the first question to the last."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        driver: Any = None if self.is_postgres else connection.connection.dbapi_connection
        self._driver: sqlite3.Connection | None = driver

    @property
    def is_postgres(self) -> bool:
        """Whether it is PostgreSQL; SQLite otherwise."""
        return self._connection.dialect.name == "postgresql"

    def rows(self, statement: Executable | Plain, parameters: Mapping[str, Any] | None = None) -> Sequence[AnyRow]:
        """Return all rows of a statement."""
        if isinstance(statement, Plain) and self._driver is not None:
            return statement.rows(self._driver, parameters)
        return self._connection.execute(_whole(statement), parameters).fetchall()

    def row(self, statement: Executable | Plain, parameters: Mapping[str, Any] | None = None) -> AnyRow | None:
        """Return the first row, None if there is none."""
        if isinstance(statement, Plain) and self._driver is not None:
            found: AnyRow | None = statement.row(self._driver, parameters)
            return found
        return self._connection.execute(_whole(statement), parameters).first()

    def value(self, statement: Executable | Plain, parameters: Mapping[str, Any] | None = None) -> Any:
        """Return the first column of the first row, None if there is none."""
        row = self.row(statement, parameters)
        return None if row is None else row[0]


class WriteConnection(ReadConnection):
    """
    Changes the database within one transaction that its holder neither opens nor ends.

    Attributes
    ----------
    now_us
        The instant of the transaction.
    is_erasing
        Whether what was there before must not stay in a log, either.
    """

    def __init__(self, connection: Connection, *, now_us: int) -> None:
        super().__init__(connection)
        self.now_us = now_us
        self.is_erasing = False
        self._tx: int | None = None

    @property
    def tx(self) -> int:
        """The transaction's number, by which followers order changes; 0 on SQLite, which has one writer."""
        if self._tx is None:
            self._tx = int(self.value(_TX)) if self.is_postgres else 0
        return self._tx

    def lock(self, subject: str) -> None:
        """
        Let no other transaction that locks the same subject go on until this one has ended.

        Called before anything is written: a transaction gets its number with its first write, so that those of one
        subject are numbered in the order in which they commit, and followers read them in that order.
        """
        if self.is_postgres:
            self._connection.execute(_LOCK, {"key": _key_of(subject)})

    def try_lock(self, subject: str) -> bool:
        """Lock a subject as `lock` does if nobody else holds it, without waiting; tell whether it is locked."""
        return not self.is_postgres or bool(self.value(_TRY_LOCK, {"key": _key_of(subject)}))

    @contextlib.contextmanager
    def attempt(self) -> Iterator[None]:
        """Let what is written within come about whole or not at all: an error takes it back, and goes on outwards."""
        run = self._connection.exec_driver_sql
        run("SAVEPOINT attempt")
        try:
            yield
        except BaseException:
            run("ROLLBACK TO SAVEPOINT attempt")
            run("RELEASE SAVEPOINT attempt")
            raise
        run("RELEASE SAVEPOINT attempt")

    def erase(self) -> None:
        """Let nothing stay in a log of what this transaction overwrites or deletes, once it is committed."""
        self.is_erasing = True

    def run(self, statement: Executable | Plain, parameters: Parameters | None = None) -> int:
        """Run a statement once, or for each of many; return how many rows it concerned."""
        if isinstance(statement, Plain) and self._driver is not None:
            return statement.run(self._driver, parameters)
        return self._connection.execute(_whole(statement), parameters).rowcount

    def insert_rows(self, table: Table, names: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
        """
        Insert many rows of plain values, each in the order of ``names``.

        Notes
        -----
        The statement goes to the driver as it is: what SQLAlchemy does for each row of many takes longer than
        SQLite takes to store it (65 against 25 microseconds for a point with two offers).
        """
        if rows:
            if self._driver is None:
                self._connection.exec_driver_sql(_insert(table.name, tuple(names), "%s"), list(rows))
            else:
                say_many(self._driver, _insert(table.name, tuple(names), "?"), rows)

    def record_change(self, kind: str, subject: str, revision: int, merchant_id: str | None) -> None:
        """Leave a change record for the followers."""
        self.record_changes(kind, [(subject, revision)], merchant_id)

    def record_changes(self, kind: str, subjects: Sequence[tuple[str, int]], merchant_id: str | None) -> None:
        """Leave a change record for each of many subjects with their revisions."""
        if subjects:
            tx, at = self.tx, self.now_us
            rows = [(tx, kind, subject, revision, merchant_id, at) for subject, revision in subjects]
            self.insert_rows(changes, _CHANGE_NAMES, rows)

    def record_audit(self, values: Mapping[str, Any]) -> None:
        """Leave a record of who did what; ``values`` are columns of the trail but its id and time."""
        self.run(insert(audit), {"at": self.now_us, **values})


@functools.cache
def _insert(table: str, names: tuple[str, ...], mark: str) -> str:
    marks = ", ".join([mark] * len(names))
    return f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks})"  # noqa: S608 - names are the code's


def _whole(statement: Executable | Plain) -> Executable:
    found: Executable = statement.statement if isinstance(statement, Plain) else statement
    return found


def _key_of(subject: str) -> int:
    return int.from_bytes(hashlib.blake2b(subject.encode(), digest_size=8).digest(), signed=True)

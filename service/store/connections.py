"""What a read and a write get to work with; neither can commit."""

from __future__ import annotations

import contextlib
import functools
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from sqlalchemy import insert, literal_column, select, text

from service.store.drivers import driver_of
from service.store.plain import Plain
from service.store.tables import audit

if TYPE_CHECKING:
    from sqlalchemy import Connection, Executable, Row, Table

    from service.store.drivers import Driver

    AnyRow: TypeAlias = Row[*tuple[Any, ...]]

__all__ = ["ReadConnection", "WriteConnection"]

_TX = "CAST(CAST(pg_current_xact_id() AS text) AS bigint)"
_CHANGE = "INSERT INTO changes (tx, kind, subject, revision, merchant_id, at) VALUES"
_ADD_CHANGE = {True: f"{_CHANGE} ({_TX}, %s, %s, %s, %s, %s)", False: f"{_CHANGE} (0, ?, ?, ?, ?, ?)"}
"""A change record, by whether it is PostgreSQL."""
_LOCK = Plain(text("SELECT pg_advisory_xact_lock(:key)"))
_TRY_LOCK = text("SELECT pg_try_advisory_xact_lock(:key)")

Parameters = Mapping[str, Any] | Sequence[Mapping[str, Any]]


class ReadConnection:
    """
    Asks the database; one consistent view of it from the first question to the last.

    Attributes
    ----------
    is_postgres
        Whether it is PostgreSQL; SQLite otherwise.
    """

    def __init__(self, connection: Connection, driver: Driver | None = None) -> None:
        self._connection = connection
        self._driver = driver or driver_of(connection)
        self.is_postgres = self._driver.dialect.name == "postgresql"

    def rows(self, statement: Executable | Plain, parameters: Mapping[str, Any] | None = None) -> Sequence[AnyRow]:
        """Return all rows of a statement."""
        if isinstance(statement, Plain):
            return statement.rows(self._driver, parameters)
        self._driver.settle()
        return self._connection.execute(statement, parameters).fetchall()

    def row(self, statement: Executable | Plain, parameters: Mapping[str, Any] | None = None) -> AnyRow | None:
        """Return the first row, None if there is none."""
        if isinstance(statement, Plain):
            found: AnyRow | None = statement.row(self._driver, parameters)
            return found
        self._driver.settle()
        return self._connection.execute(statement, parameters).first()

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

    def __init__(self, connection: Connection, *, now_us: int, driver: Driver | None = None) -> None:
        super().__init__(connection, driver)
        self.now_us = now_us
        self.is_erasing = False

    @property
    def tx(self) -> int:
        """The transaction's number, by which followers order changes; 0 on SQLite, which has one writer."""
        return int(self.value(select(literal_column(_TX)))) if self.is_postgres else 0

    def settle(self) -> None:
        """Say what waits to be said with something else; whoever opened the transaction calls this before its end."""
        self._driver.settle()

    def lock(self, subject: str) -> None:
        """
        Let no other transaction that locks the same subject go on until this one has ended.

        Called before anything is written: a transaction gets its number with its first write, so that those of one
        subject are numbered in the order in which they commit, and followers read them in that order.
        """
        if self.is_postgres:
            _LOCK.later(self._driver, {"key": _key_of(subject)})

    def try_lock(self, subject: str) -> bool:
        """Lock a subject as `lock` does if nobody else holds it, without waiting; tell whether it is locked."""
        return not self.is_postgres or bool(self.value(_TRY_LOCK, {"key": _key_of(subject)}))

    @contextlib.contextmanager
    def attempt(self) -> Iterator[None]:
        """Let what is written within come about whole or not at all: an error takes it back, and goes on outwards."""
        driver = self._driver
        driver.say("SAVEPOINT attempt")
        try:
            yield
            driver.settle()
        except BaseException:
            driver.forget()
            driver.say("ROLLBACK TO SAVEPOINT attempt")
            driver.say("RELEASE SAVEPOINT attempt")
            raise
        driver.say("RELEASE SAVEPOINT attempt")

    def erase(self) -> None:
        """Let nothing stay in a log of what this transaction overwrites or deletes, once it is committed."""
        self.is_erasing = True

    def run(self, statement: Executable | Plain, parameters: Parameters | None = None) -> int:
        """Run a statement once, or for each of many; return how many rows it concerned."""
        if isinstance(statement, Plain):
            return statement.run(self._driver, parameters)
        self._driver.settle()
        return self._connection.execute(statement, parameters).rowcount

    def insert_rows(self, table: Table, names: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
        """
        Insert many rows of plain values, each in the order of ``names``.

        Notes
        -----
        The statement goes to the driver as it is: what SQLAlchemy does for each row of many takes longer than
        SQLite takes to store it (65 against 25 microseconds for a point with two offers).
        """
        if rows:
            self._driver.later(_insert(table.name, tuple(names), self._driver.mark), rows)

    def record_change(self, kind: str, subject: str, revision: int, merchant_id: str | None) -> None:
        """Leave a change record for the followers."""
        self.record_changes(kind, [(subject, revision)], merchant_id)

    def record_changes(self, kind: str, subjects: Sequence[tuple[str, int]], merchant_id: str | None) -> None:
        """Leave a change record for each of many subjects with their revisions."""
        if subjects:
            at = self.now_us
            rows = [(kind, subject, revision, merchant_id, at) for subject, revision in subjects]
            self._driver.later(_ADD_CHANGE[self.is_postgres], rows)

    def record_audit(self, values: Mapping[str, Any]) -> None:
        """Leave a record of who did what; ``values`` are columns of the trail but its id and time."""
        self.run(insert(audit), {"at": self.now_us, **values})


@functools.cache
def _insert(table: str, names: tuple[str, ...], mark: str) -> str:
    marks = ", ".join([mark] * len(names))
    return f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks})"  # noqa: S608 - names are the code's


def _key_of(subject: str) -> int:
    return int.from_bytes(hashlib.blake2b(subject.encode(), digest_size=8).digest(), signed=True)

"""
The databases' own drivers, for what is said many hundred times a second.

SQLAlchemy takes 14 µs to say a statement to SQLite that it has compiled before and to wrap what comes back, the driver 3.
To PostgreSQL the way there and back takes longer than both: what has no answer waits, and goes with the next question.
"""

from __future__ import annotations

import sqlite3
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Protocol

import psycopg
from sqlalchemy.dialects import registry
from sqlalchemy.exc import DBAPIError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection, Dialect

__all__ = ["Driver", "PostgresDriver", "SqliteDriver", "driver_of"]

_SQLITE: Dialect = registry.load("sqlite")(paramstyle="qmark")
_POSTGRES: Dialect = registry.load("postgresql.psycopg")(paramstyle="format")
_MOST_WAITING = 100
_BOUNDS_TRANSACTIONS = 170_000  # the version of PostgreSQL since which there is transaction_timeout


class Driver(Protocol):
    """
    Says statements; what the driver says against one is told as SQLAlchemy tells it, without the values.

    Attributes
    ----------
    dialect
        In which statements are said.
    mark
        What stands for a value.
    """

    dialect: Dialect
    mark: str

    def say(self, sql: str, values: Sequence[Any] = ()) -> Any:
        """Say a statement, and return the cursor."""
        ...

    def say_many(self, sql: str, rows: Sequence[Sequence[Any]]) -> int:
        """Say a statement for each of many; return how many rows that concerned."""
        ...

    def later(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        """Say a statement whose answer nobody needs for each of some, at the latest before the next one that has one."""
        ...

    def settle(self) -> None:
        """Say what waits."""
        ...

    def forget(self) -> None:
        """Do not say what waits."""
        ...


class SqliteDriver:
    """Says all at once."""

    dialect = _SQLITE
    mark = "?"

    def __init__(self, connection: Connection) -> None:
        raw: Any = connection.connection.dbapi_connection
        self._connection: sqlite3.Connection = raw

    def say(self, sql: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        """Say a statement, and return the cursor."""
        try:
            return self._connection.execute(sql, values)
        except sqlite3.Error as error:
            raise self.told(sql, error) from error

    def say_many(self, sql: str, rows: Sequence[Sequence[Any]]) -> int:
        """Say a statement for each of many; return how many rows that concerned."""
        try:
            return self._connection.executemany(sql, rows).rowcount
        except sqlite3.Error as error:
            raise self.told(sql, error) from error

    def later(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        """Say it now: here nothing is gained by waiting."""
        if len(rows) == 1:
            self.say(sql, rows[0])
        else:
            self.say_many(sql, rows)

    def settle(self) -> None:
        """Nothing waits."""

    def forget(self) -> None:
        """Nothing waits."""

    @staticmethod
    def told(sql: str, error: sqlite3.Error) -> BaseException:
        """Return an error as SQLAlchemy tells it."""
        return DBAPIError.instance(sql, None, error, sqlite3.Error, hide_parameters=True, dialect=_SQLITE)


class PostgresDriver:
    """
    Says what waits together with what is asked next, on one way there and back: they arrive in their order.

    A server that was told half of that has no idle transaction, which it would end after a time: where it cannot bound
    the whole of one, each is said by itself, or a process that is stopped meanwhile would keep its locks for ever.

    Attributes
    ----------
    bounds_transactions
        Whether the server knows ``transaction_timeout``.
    """

    dialect = _POSTGRES
    mark = "%s"

    def __init__(self, connection: Connection) -> None:
        raw: Any = connection.connection.dbapi_connection
        self._connection: psycopg.Connection[Any] = raw
        self._waiting: list[tuple[str, Sequence[Any]]] = []
        self.bounds_transactions = self._connection.info.server_version >= _BOUNDS_TRANSACTIONS

    def begin(self, sql: str, values: Sequence[Any]) -> Any:
        """Begin a transaction together with its first statement, and return the first row of that."""
        try:
            with self._connection.pipeline():
                cursor = self._connection.execute(sql, values)
        except psycopg.Error as error:
            raise self._told(sql, error) from error
        return cursor.fetchone()

    def say(self, sql: str, values: Sequence[Any] = ()) -> psycopg.Cursor[Any]:
        """Say a statement, and return the cursor."""
        waiting, self._waiting = self._waiting, []
        execute, is_together = self._connection.execute, waiting and self.bounds_transactions
        try:
            with self._connection.pipeline() if is_together else nullcontext():
                for each in waiting:
                    execute(*each)
                cursor = execute(sql, values)
        except psycopg.Error as error:
            said = [*dict.fromkeys(each[0] for each in waiting), sql]
            raise self._told("; ".join(said), error) from error
        return cursor

    def say_many(self, sql: str, rows: Sequence[Sequence[Any]]) -> int:
        """Say a statement for each of many; return how many rows that concerned."""
        self.settle()
        try:
            cursor = self._connection.cursor()
            cursor.executemany(sql, rows)
        except psycopg.Error as error:
            raise self._told(sql, error) from error
        return cursor.rowcount

    def later(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        """Let a few wait; many are said now."""
        if len(rows) + len(self._waiting) > _MOST_WAITING:
            self.say_many(sql, rows)
        else:
            self._waiting += [(sql, row) for row in rows]

    def settle(self) -> None:
        """Say what waits."""
        if self._waiting:
            self.say(*self._waiting.pop())

    def forget(self) -> None:
        """Do not say what waits."""
        self._waiting = []

    def _told(self, sql: str, error: psycopg.Error) -> BaseException:
        return DBAPIError.instance(sql, None, error, psycopg.Error, hide_parameters=True, dialect=_POSTGRES)


def driver_of(connection: Connection) -> Driver:
    """Return the driver of a connection."""
    return SqliteDriver(connection) if connection.dialect.name == "sqlite" else PostgresDriver(connection)

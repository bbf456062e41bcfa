"""
Statements that are said to SQLite's own driver, for what is said many hundred times a second.

SQLAlchemy takes 14 µs to say a statement that it has compiled before and to wrap what comes back; the driver takes 3.
PostgreSQL is asked through SQLAlchemy: there, the way to the server takes longer than both.
"""

from __future__ import annotations

import sqlite3
from collections import namedtuple
from functools import cached_property
from typing import TYPE_CHECKING, Any

from sqlalchemy import Boolean
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import DBAPIError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["Plain", "say", "say_many"]

_DIALECT = sqlite.dialect(paramstyle="qmark")
_row_of: Any = namedtuple


class Plain:
    """
    A statement whose parameters are single values, compiled once.

    Parameters
    ----------
    statement
        Of SQLAlchemy's core, or its text.
    """

    def __init__(self, statement: Any) -> None:
        self.statement = statement

    @cached_property
    def _compiled(self) -> tuple[str, tuple[str, ...], dict[str, Any]]:
        compiled = self.statement.compile(dialect=_DIALECT)
        usual = {name: value for name, value in compiled.params.items() if value is not None}
        return str(compiled), tuple(compiled.positiontup or ()), usual

    @cached_property
    def _row(self) -> tuple[Any, tuple[int, ...]]:
        """Return the type of the statement's rows, and which of their columns are booleans."""
        columns = list(self.statement.exported_columns)
        names = [column.key for column in columns]
        flags = tuple(i for i, column in enumerate(columns) if isinstance(column.type, Boolean))
        return _row_of("Row", names), flags

    def rows(self, driver: sqlite3.Connection, parameters: Mapping[str, Any] | None) -> list[Any]:
        """Return all rows, as SQLAlchemy would."""
        return [self._made(found) for found in self._all(driver, parameters)]

    def row(self, driver: sqlite3.Connection, parameters: Mapping[str, Any] | None) -> Any:
        """Return the first row, None if there is none."""
        found = self._all(driver, parameters)  # so that the statement is over
        return self._made(found[0]) if found else None

    def run(self, driver: sqlite3.Connection, parameters: Any) -> int:
        """Run the statement once, or for each of many; return how many rows it concerned."""
        if parameters is None or hasattr(parameters, "keys"):
            return self._said(driver, parameters).rowcount
        sql, names, usual = self._compiled
        return say_many(driver, sql, [_values(names, usual, one) for one in parameters])

    def _all(self, driver: sqlite3.Connection, parameters: Mapping[str, Any] | None) -> list[Any]:
        cursor = self._said(driver, parameters)
        try:
            return cursor.fetchall()
        except sqlite3.Error as error:  # most of a long question is answered only now, or cut off
            raise _told(self._compiled[0], error) from error

    def _said(self, driver: sqlite3.Connection, parameters: Mapping[str, Any] | None) -> sqlite3.Cursor:
        sql, names, usual = self._compiled
        return say(driver, sql, _values(names, usual, parameters or {}))

    def _made(self, found: Sequence[Any]) -> Any:
        row, flags = self._row
        if flags:
            found = list(found)
            for i in flags:
                found[i] = None if found[i] is None else bool(found[i])
        return row._make(found)


def say(driver: sqlite3.Connection, sql: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
    """Say a statement; what the driver says against it is told as SQLAlchemy tells it, without the values."""
    try:
        return driver.execute(sql, values)
    except sqlite3.Error as error:
        raise _told(sql, error) from error


def say_many(driver: sqlite3.Connection, sql: str, values: Iterable[Sequence[Any]]) -> int:
    """Say a statement for each of many; return how many rows that concerned."""
    try:
        return driver.executemany(sql, values).rowcount
    except sqlite3.Error as error:
        raise _told(sql, error) from error


def _values(names: tuple[str, ...], usual: Mapping[str, Any], given: Mapping[str, Any]) -> list[Any]:
    return [given[name] if name in given else usual[name] for name in names]


def _told(sql: str, error: sqlite3.Error) -> BaseException:
    return DBAPIError.instance(sql, None, error, sqlite3.Error, hide_parameters=True, dialect=_DIALECT)

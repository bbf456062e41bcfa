"""Statements that are compiled once, and said to the database's own driver."""

from __future__ import annotations

import sqlite3
from collections import namedtuple
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import Boolean

from service.store.drivers import SqliteDriver

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Dialect

    from service.store.drivers import Driver

__all__ = ["Plain"]

_row_of: Any = namedtuple


class _Compiled(NamedTuple):
    """A statement in a dialect, the names of its parameters in order, and the values of those that it knows itself."""

    sql: str
    names: tuple[str, ...]
    usual: Mapping[str, Any]

    def values(self, given: Mapping[str, Any] | None) -> list[Any]:
        usual, given = self.usual, given or {}
        return [given[name] if name in given else usual[name] for name in self.names]


class Plain:
    """
    A statement whose parameters are single values, compiled once for each database.

    Parameters
    ----------
    statement
        Of SQLAlchemy's core, or its text.
    """

    def __init__(self, statement: Any) -> None:
        self.statement = statement
        self._compiled: dict[Dialect, _Compiled] = {}
        self._row: tuple[Any, tuple[int, ...]] | None = None

    def rows(self, driver: Driver, parameters: Mapping[str, Any] | None) -> list[Any]:
        """Return all rows, as SQLAlchemy would."""
        return [self._made(found) for found in self._all(driver, parameters)]

    def row(self, driver: Driver, parameters: Mapping[str, Any] | None) -> Any:
        """Return the first row, None if there is none."""
        found = self._all(driver, parameters)  # so that the statement is over
        return self._made(found[0]) if found else None

    def run(self, driver: Driver, parameters: Any) -> int:
        """Run the statement once, or for each of many; return how many rows it concerned."""
        its = self._in(driver.dialect)
        if parameters is None or hasattr(parameters, "keys"):
            n_rows: int = driver.say(its.sql, its.values(parameters)).rowcount
            return n_rows
        return driver.say_many(its.sql, list(map(its.values, parameters)))

    def later(self, driver: Driver, parameters: Mapping[str, Any] | None) -> None:
        """Run the statement, whose answer nobody needs, before the next one that has one."""
        its = self._in(driver.dialect)
        driver.later(its.sql, [its.values(parameters)])

    def _in(self, dialect: Dialect) -> _Compiled:
        found = self._compiled.get(dialect)
        if found is None:
            compiled = self.statement.compile(dialect=dialect)
            usual = {name: value for name, value in compiled.params.items() if value is not None}
            found = self._compiled[dialect] = _Compiled(str(compiled), tuple(compiled.positiontup or ()), usual)
        return found

    def _all(self, driver: Driver, parameters: Mapping[str, Any] | None) -> list[Any]:
        its = self._in(driver.dialect)
        cursor = driver.say(its.sql, its.values(parameters))
        try:
            found: list[Any] = cursor.fetchall()
        except sqlite3.Error as error:  # most of a long question is answered only now, or cut off
            raise SqliteDriver.told(its.sql, error) from error
        return found

    def _made(self, found: Sequence[Any]) -> Any:
        row, flags = self._row or self._row_type()
        if flags:  # SQLite has numbers instead
            found = list(found)
            for i in flags:
                found[i] = None if found[i] is None else bool(found[i])
        return row._make(found)

    def _row_type(self) -> tuple[Any, tuple[int, ...]]:
        """Return the type of the statement's rows, and which of their columns are booleans; kept from then on."""
        columns = list(self.statement.exported_columns)
        names = [column.key for column in columns]
        flags = tuple(i for i, column in enumerate(columns) if isinstance(column.type, Boolean))
        self._row = (_row_of("Row", names), flags)
        return self._row

"""The statements of what is traded said again by a bare driver: what the database alone takes for them."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
from sqlalchemy import event, select

from service.clock import to_us
from service.feed.outbox import head, read_changes
from service.store.connections import ReadConnection, WriteConnection
from service.store.drivers import driver_of
from service.store.schema import engine_of
from service.store.tables import METADATA

if TYPE_CHECKING:
    import datetime as dt

    from sqlalchemy import Engine, Table

    from benchmarks.trade import Trade
    from service.store.drivers import Driver

__all__ = ["Statement", "dumped", "read_at", "record", "said_postgres", "said_sqlite"]

_PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "temp_store=MEMORY")
Statement = tuple[str, Any, bool]
"""What the driver is told, with which parameters, and whether these are of many runs."""


def record(trade: Trade, url: str, n: int, now: dt.datetime) -> list[list[Statement]]:
    """Make n of what is traded, each in a transaction; return what the driver was told for each."""
    engine, desk = engine_of(url), trade.desk()
    read, transactions = partial(_read, engine), []
    position = read(head)
    try:
        for number in range(n):
            found = desk.find(read, number)
            with recorded(engine) as said, engine.connect() as connection, connection.begin():
                writing = WriteConnection(connection, now_us=to_us(now), driver=_Noting(driver_of(connection), said))
                desk.make(writing, found)
                writing.settle()
            transactions.append(said)
            changes = read(partial(read_changes, after=position)) if desk.handlers else []
            for handler in desk.handlers if changes else ():
                read(partial(handler.follow, changes=changes))
                position = changes[-1].position
    finally:
        engine.dispose()
    return transactions


@contextmanager
def recorded(engine: Engine) -> Iterator[list[Statement]]:
    """Give a list that takes every statement that an engine says, with its parameters."""
    said: list[Statement] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, many: bool) -> None:
        if not statement.startswith("BEGIN"):
            said.append((statement, parameters, many))

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield said
    finally:
        event.remove(engine, "before_cursor_execute", note)


class _Noting:
    """Says what a driver says, and notes it in the order in which it arrives."""

    def __init__(self, driver: Driver, said: list[Statement]) -> None:
        self._driver, self._said = driver, said
        self.dialect, self.mark = driver.dialect, driver.mark
        self.settle, self.forget = driver.settle, driver.forget

    def say(self, sql: str, values: Sequence[Any] = ()) -> Any:
        """Note and say a statement."""
        self._said.append((sql, list(values), False))
        return self._driver.say(sql, values)

    def say_many(self, sql: str, rows: Sequence[Sequence[Any]]) -> int:
        """Note and say a statement for each of many."""
        self._said.append((sql, [list(row) for row in rows], True))
        return self._driver.say_many(sql, rows)

    def later(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        """Note a statement for each of some, and say it at some time."""
        one, *others = rows
        self._said.append((sql, [list(row) for row in rows], True) if others else (sql, list(one), False))
        self._driver.later(sql, rows)


def said_sqlite(path: Path, transactions: Sequence[Sequence[Statement]], group: int) -> float:
    """Say transactions again, so many between two commits; return the seconds that it took."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for pragma in _PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")
        start = time.perf_counter()
        for first in range(0, len(transactions), group):
            connection.execute("BEGIN IMMEDIATE")
            _say(connection, transactions[first : first + group])
            connection.execute("COMMIT")
        return time.perf_counter() - start


def said_postgres(url: str, transactions: Sequence[Sequence[Statement]], group: int) -> float:
    """Say transactions again, so many between two commits; return the seconds that it took."""
    with psycopg.connect(url) as connection:
        start = time.perf_counter()
        for first in range(0, len(transactions), group):
            _say(connection, transactions[first : first + group])
            connection.commit()
        return time.perf_counter() - start


def _say(connection: Any, transactions: Sequence[Sequence[Statement]]) -> None:
    cursor = connection.cursor()
    for statements in transactions:
        for statement, parameters, many in statements:
            (cursor.executemany if many else cursor.execute)(statement, parameters)
            if cursor.description is not None:
                cursor.fetchall()


def dumped(url: str, tables: Sequence[str]) -> dict[str, list[Any]]:
    """Return all rows of some tables, but for the numbers of transactions, which PostgreSQL gives anew."""
    engine = engine_of(url)
    try:
        with engine.connect() as connection:
            found = {
                name: sorted(map(repr, connection.execute(select(*_compared(METADATA.tables[name]))).fetchall()))
                for name in tables
            }
    finally:
        engine.dispose()
    return found


def _compared(table: Table) -> list[Any]:
    return [column for column in table.columns if (table.name, column.name) != ("changes", "tx")]


def read_at(url: str, fn: Callable[[ReadConnection], Any]) -> Any:
    """Return what a function of a connection returns at a database that nobody need have open."""
    engine = engine_of(url)
    try:
        return _read(engine, fn)
    finally:
        engine.dispose()


def _read(engine: Engine, fn: Callable[[ReadConnection], Any]) -> Any:
    with engine.connect() as connection, connection.begin():
        return fn(ReadConnection(connection))

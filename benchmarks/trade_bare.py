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
from sqlalchemy import event

from service.clock import to_us
from service.feed.outbox import head, read_changes
from service.store import connections, plain
from service.store.connections import ReadConnection, WriteConnection
from service.store.schema import engine_of

if TYPE_CHECKING:
    import datetime as dt

    from sqlalchemy import Engine

    from benchmarks.trade import Trade

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
                desk.make(WriteConnection(connection, now_us=to_us(now)), found)
            transactions += said
            changes = read(partial(read_changes, after=position)) if desk.handlers else []
            for handler in desk.handlers if changes else ():
                read(partial(handler.follow, changes=changes))
                position = changes[-1].position
    finally:
        engine.dispose()
    return transactions


@contextmanager
def recorded(engine: Engine) -> Iterator[list[list[Statement]]]:
    """Give a list that takes every statement of an engine, one list a transaction, with its parameters."""
    transactions: list[list[Statement]] = []

    def begun(_connection: Any) -> None:
        transactions.append([])

    def said(_connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, many: bool) -> None:
        if not statement.startswith(("SAVEPOINT", "RELEASE", "BEGIN", "ROLLBACK")):
            transactions[-1].append((statement, parameters, many))

    def plainly(driver: Any, sql: str, values: Any) -> Any:
        transactions[-1].append((sql, list(values), False))
        return say(driver, sql, values)

    def plainly_many(driver: Any, sql: str, values: Any) -> Any:
        transactions[-1].append((sql, [list(one) for one in values], True))
        return say_many(driver, sql, values)

    event.listen(engine, "begin", begun, insert=True)
    event.listen(engine, "before_cursor_execute", said)
    kept = [(module, name) for module in (plain, connections) for name in ("say", "say_many") if name in vars(module)]
    say, say_many = plain.say, plain.say_many
    for module, name in kept:
        vars(module)[name] = plainly if name == "say" else plainly_many
    try:
        yield transactions
    finally:
        event.remove(engine, "begin", begun)
        event.remove(engine, "before_cursor_execute", said)
        for module, name in kept:
            vars(module)[name] = say if name == "say" else say_many


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
    """Return all rows of some tables."""
    engine = engine_of(url)
    try:
        with engine.connect() as connection:
            found = {
                table: sorted(map(repr, connection.exec_driver_sql(f"SELECT * FROM {table}").fetchall()))  # noqa: S608
                for table in tables
            }
    finally:
        engine.dispose()
    return found


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

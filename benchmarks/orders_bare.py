"""The statements of orders said again by a bare driver: what the database alone takes for them."""

from __future__ import annotations

import shutil
import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg

from benchmarks.orders_shops import Statement, make, recorded, terms, wish
from service.clock import to_us
from service.store.connections import WriteConnection
from service.store.schema import engine_of

if TYPE_CHECKING:
    import datetime as dt

__all__ = ["copied", "dumped", "record", "said_postgres", "said_sqlite"]

TABLES = ("orders", "order_lines", "order_events", "stock", "slots", "offers", "points", "idempotency", "changes")
_PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "temp_store=MEMORY")


def record(url: str, n: int, now: dt.datetime) -> list[list[Statement]]:
    """Make n orders, each in a transaction; return what the driver was told for each."""
    engine, made_with = engine_of(url), terms()
    try:
        with recorded(engine) as transactions:
            for number in range(n):
                with engine.connect() as connection, connection.begin():
                    make(WriteConnection(connection, now_us=to_us(now)), made_with, wish(number))
    finally:
        engine.dispose()
    return transactions


def copied(folder: Path, name: str) -> Path:
    """Return a copy of a data folder whose database nobody has open."""
    other = folder.with_name(name)
    shutil.copytree(folder, other)
    return other


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


def dumped(url: str) -> dict[str, list[Any]]:
    """Return all rows of the tables that orders change."""
    engine = engine_of(url)
    try:
        with engine.connect() as connection:
            found = {
                table: sorted(map(repr, connection.exec_driver_sql(f"SELECT * FROM {table}").fetchall()))  # noqa: S608
                for table in TABLES
            }
    finally:
        engine.dispose()
    return found

"""Reads of a SQLite file, beside its one writer: threads that keep a connection each, and connections for followers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from service.errors import DeadlineExceededError, StorageUnavailableError
from service.store.connections import ReadConnection
from service.store.sqlite_engines import sqlite_engine

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Connection

    from service.deadlines import Deadline

__all__ = ["READERS", "SqliteReaders"]

T = TypeVar("T")
READERS = 4
"""Threads for reads."""
_FOLLOWERS = 4
_STEPS = 100_000  # of SQLite's machine between two looks at the clock: about a millisecond


class SqliteReaders:
    """All that reads a SQLite file; ``submit`` and ``reading`` as `service.store.database.Store` has them."""

    def __init__(self, path: Path) -> None:
        self._engine = sqlite_engine(path, writes=False, size=READERS)
        self._own_engine = sqlite_engine(path, writes=False, size=_FOLLOWERS)  # of followers, who may read for long
        self._threads = ThreadPoolExecutor(READERS, "linli-read")
        self._of_thread = threading.local()
        self._kept: list[Connection] = []

    def submit(self, fn: Callable[[ReadConnection], T], deadline: Deadline) -> Future[T]:
        """Queue a read; it is interrupted at its deadline."""
        try:
            return self._threads.submit(self._read, fn, deadline)
        except RuntimeError as error:
            raise StorageUnavailableError("the store is closed") from error

    def _read(self, fn: Callable[[ReadConnection], T], deadline: Deadline) -> T:
        if deadline.is_over:
            raise DeadlineExceededError("the read waited too long")
        try:
            connection = self._connection()
            with connection.begin():
                raw: Any = connection.connection.dbapi_connection
                raw.set_progress_handler(lambda: deadline.is_over, _STEPS)
                try:
                    return fn(ReadConnection(connection))
                finally:
                    raw.set_progress_handler(None, 0)
        except DBAPIError as error:
            self._let_go()
            if deadline.is_over:
                raise DeadlineExceededError("the read took too long") from error
            raise StorageUnavailableError(str(error.orig)) from error

    def _connection(self) -> Connection:
        """Return the connection of this thread: to take one from the pool takes as long as a short read."""
        found: Connection | None = getattr(self._of_thread, "connection", None)
        if found is None:
            found = self._of_thread.connection = self._engine.connect()
            self._kept.append(found)
        return found

    def _let_go(self) -> None:
        found: Connection | None = getattr(self._of_thread, "connection", None)
        if found is not None:
            self._of_thread.connection = None
            self._kept.remove(found)
            found.close()

    @contextmanager
    def reading(self) -> Iterator[ReadConnection]:
        """Give a connection with one consistent view."""
        try:
            with self._own_engine.connect() as connection, connection.begin():
                yield ReadConnection(connection)
        except (DBAPIError, PoolTimeoutError) as error:
            raise StorageUnavailableError(str(getattr(error, "orig", error))) from error

    def close(self) -> None:
        """End what reads, and take no more."""
        self._threads.shutdown(wait=True, cancel_futures=True)
        for connection in self._kept:
            connection.close()
        self._engine.dispose()
        self._own_engine.dispose()

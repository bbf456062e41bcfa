"""PostgreSQL: a pool of connections, one thread for each, no wait longer than the request's deadline."""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import psycopg
from sqlalchemy import Connection, Engine, RootTransaction, create_engine, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from service.clock import Clock
from service.deadlines import Deadline
from service.errors import DeadlineExceededError, OverloadedError, StorageUnavailableError
from service.store.connections import ReadConnection, WriteConnection
from service.store.database import Store
from service.store.drivers import PostgresDriver

__all__ = ["PostgresStore", "postgres_engine", "told_address"]

T = TypeVar("T")
_LOG = logging.getLogger(__name__)
_PASSWORDS = ("password", "sslpassword")
_CONNECT_S = 2
_KEPT_FOR_WRITES = 2  # connections that no read takes
_GRACE_S = 0.1
_FOLLOW_S = 300.0  # what one look of a follower may take: a million points are read in a tenth of it
_CLOSE_S = 1.0
_LINK: Any = {  # a server that is gone without a word is noticed within ten seconds
    "keepalives": 1,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
_BEGIN = (  # a process that is stopped within a transaction keeps its locks no longer than it had time, or `_IDLE_MS`
    "SELECT set_config('statement_timeout', %s, true), set_config('lock_timeout', %s, true),"
    " set_config('idle_in_transaction_session_timeout', %s, true), {}"
    " CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint)"
)
_IDLE_MS = 10_000  # an import's write may take minutes, but not in silence: nobody follows what comes behind it
_WHOLE = "set_config('transaction_timeout', %s, true),"
_WHOLE_MORE_MS = 200  # the others are to come first: they end less
_TIMEOUT = "SELECT set_config('statement_timeout', %s, true)"
_AGAIN = {"40001", "40P01"}  # serialization failure, deadlock: nothing was done, and the server asks for another try
_TOO_SLOW = {"57014", "55P03"}  # statement cancelled, lock not to be had
_CONSTRAINT_CLASS = "23"
_READING: Any = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}


def postgres_engine(url: str, *, size: int) -> Engine:
    """
    Return an engine of at most ``size`` connections.

    What the address says of how to connect goes before what is said here, but for the name and the time zone: `restore`
    knows by the name whether linli serves a database.
    """
    query = make_url(url).query
    options = query.get("options", ())
    own = {"connect_timeout": _CONNECT_S, **_LINK}
    return create_engine(
        url,
        isolation_level="READ COMMITTED",  # whatever the database's own is: what waited for a lock sees what went before
        pool_size=size,
        max_overflow=0,
        pool_timeout=_CONNECT_S,
        hide_parameters=True,  # of statements in errors, which are logged
        connect_args={
            **{name: value for name, value in own.items() if name not in query},
            "application_name": "linli",
            "options": " ".join([*((options,) if isinstance(options, str) else options), "-c timezone=UTC"]),
        },
    )


def told_address(engine: Engine) -> str:
    """Return the address of a database without its passwords, wherever they stand in it."""
    return engine.url.difference_update_query(_PASSWORDS).render_as_string(hide_password=True)


class PostgresStore(Store):
    """The facts in PostgreSQL."""

    def __init__(self, url: str, clock: Clock, *, pool: int = 8, waiting: int = 512) -> None:
        of_reads = pool - _KEPT_FOR_WRITES
        super().__init__(n_readers=of_reads if of_reads > 0 else pool)
        self._clock = clock
        self._engine = postgres_engine(url, size=pool)
        self._own_engine = postgres_engine(url, size=4)  # of followers, who must not wait behind requests
        self._reading = self._engine.execution_options(**_READING)
        self._own_reading = self._own_engine.execution_options(**_READING)
        self._threads = ThreadPoolExecutor(pool, "linli-store")
        self._readers = ThreadPoolExecutor(of_reads, "linli-store-read") if of_reads > 0 else self._threads
        self._places = threading.BoundedSemaphore(waiting)
        self._watch = _Watch()

    def submit_write(self, fn: Callable[[WriteConnection], T], deadline: Deadline) -> Future[T]:
        """Queue a write for a thread of the pool."""
        return self._submit(self._threads, self._write, fn, deadline)

    def submit_read(self, fn: Callable[[ReadConnection], T], deadline: Deadline) -> Future[T]:
        """Queue a read for a thread of those that leave writes some connections, however long reads take."""
        return self._submit(self._readers, self._read, fn, deadline)

    def _submit(
        self, threads: ThreadPoolExecutor, run: Callable[..., T], fn: Callable[..., T], deadline: Deadline
    ) -> Future[T]:
        if not self._places.acquire(blocking=False):
            raise OverloadedError("too many requests wait for storage")
        try:
            future = threads.submit(self._judged, run, fn, deadline)
        except RuntimeError as error:
            self._places.release()
            raise StorageUnavailableError("the store is closed") from error
        future.add_done_callback(lambda _done: self._places.release())
        return future

    def _judged(self, run: Callable[..., T], fn: Callable[..., T], deadline: Deadline) -> T:
        while True:
            if deadline.is_over:
                raise DeadlineExceededError("it waited too long for storage")
            progress = _Progress()
            try:
                result = run(fn, deadline, progress)
            except PoolTimeoutError as error:
                raise StorageUnavailableError("no connection was to be had") from error
            except DBAPIError as error:
                if _is_constraint(error):
                    raise
                if _state(error) in _TOO_SLOW or deadline.left_s() <= 0.0:
                    raise DeadlineExceededError("storage did not answer in time") from error
                # A connection that was dead before it was used, or a try that the server took back: nothing was done.
                stale = progress.is_cut and not progress.begun and not self._watch.is_closed
                if stale or (_state(error) in _AGAIN and not progress.committing):
                    continue
                raise StorageUnavailableError(str(error.orig)) from error
            return result

    def _write(self, fn: Callable[[WriteConnection], T], deadline: Deadline, progress: _Progress) -> T:
        with self._transaction(self._engine, deadline, progress) as (connection, transaction):
            driver, ms = PostgresDriver(connection), _ms(deadline)
            idle_ms = str(min(int(ms), _IDLE_MS))
            whole = [str(int(ms) + _WHOLE_MORE_MS)] if driver.bounds_transactions else []
            *_, server_us = driver.begin(_BEGIN.format(_WHOLE if whole else ""), [ms, ms, idle_ms, *whole])
            progress.begun = True
            writing = WriteConnection(connection, now_us=self._clock.now_us(server_us), driver=driver)
            result = fn(writing)
            writing.settle()
            progress.committing = True
            transaction.commit()
        self.tell_committed()
        return result

    def _read(self, fn: Callable[[ReadConnection], T], deadline: Deadline, progress: _Progress) -> T:
        with self._transaction(self._reading, deadline, progress) as (connection, transaction):
            PostgresDriver(connection).begin(_TIMEOUT, [_ms(deadline)])
            progress.begun = True
            result = fn(ReadConnection(connection))
            transaction.commit()
        return result

    @contextmanager
    def reading(self) -> Iterator[ReadConnection]:
        """Give a connection with one consistent view."""
        try:
            with self._transaction(self._own_reading, Deadline.after(_FOLLOW_S), _Progress()) as (
                connection,
                transaction,
            ):
                yield ReadConnection(connection)
                transaction.commit()
        except (DBAPIError, PoolTimeoutError) as error:
            raise StorageUnavailableError(str(getattr(error, "orig", error))) from error

    @contextmanager
    def _transaction(
        self, engine: Engine, deadline: Deadline, progress: _Progress
    ) -> Iterator[tuple[Connection, RootTransaction]]:
        """Give a connection with a transaction, which is taken back after an error; note whether it was cut."""
        with engine.connect() as connection, self._watch.over(connection, deadline):
            transaction = connection.begin()
            try:
                yield connection, transaction
            except BaseException:
                with suppress(DBAPIError):
                    transaction.rollback()
                progress.is_cut = connection.invalidated
                raise

    def close(self) -> None:
        """Let running work end, but not wait for a server that does not answer; then close the connections."""
        for threads in (self._threads, self._readers):
            threads.shutdown(wait=False, cancel_futures=True)
        self._watch.close(_CLOSE_S)
        for threads in (self._threads, self._readers):
            threads.shutdown(wait=True)
        self._engine.dispose()
        self._own_engine.dispose()


class _Progress:
    """How far a try has come: what is not begun may be tried again, what is being committed may not."""

    begun = False
    committing = False
    is_cut = False


def _ms(deadline: Deadline) -> str:
    return str(max(1, int(deadline.left_s() * 1000)))


def _state(error: DBAPIError) -> str:
    state: str | None = getattr(error.orig, "sqlstate", None)
    return state or ""


def _is_constraint(error: DBAPIError) -> bool:
    return _state(error).startswith(_CONSTRAINT_CLASS)


class _Watch:
    """
    Ends connections whose deadline has passed: a server that is stopped or cut off answers no cancel request.

    The socket is shut down, not closed: the driver, waiting on it in its own thread, sees the end and raises.
    """

    def __init__(self) -> None:
        self._watched: dict[int, tuple[Deadline, Any]] = {}
        self._changed = threading.Condition()
        self._last: Deadline | None = None
        self._thread = threading.Thread(target=self._run, name="linli-watch", daemon=True)
        self._thread.start()

    @contextmanager
    def over(self, connection: Connection, deadline: Deadline) -> Iterator[None]:
        raw: Any = connection.connection.dbapi_connection
        with self._changed:
            self._watched[id(raw)] = (self._limited(deadline), raw)
        try:
            yield
        finally:
            with self._changed:
                self._watched.pop(id(raw), None)

    def close(self, grace_s: float) -> None:
        """Give running work a last deadline, and watch until it has ended."""
        with self._changed:
            self._last = self._last or Deadline.after(grace_s)
            self._watched = {key: (self._limited(old), raw) for key, (old, raw) in self._watched.items()}
            self._changed.notify()
        self._thread.join()

    @property
    def is_closed(self) -> bool:
        """Whether running work has been given its last deadline."""
        return self._last is not None

    def _limited(self, deadline: Deadline) -> Deadline:
        return deadline if self._last is None or deadline.at <= self._last.at else self._last

    def _run(self) -> None:
        with self._changed:
            while self._watched or self._last is None:
                for key, (deadline, raw) in list(self._watched.items()):
                    if deadline.left_s() <= 0.0:
                        self._watched.pop(key)
                        _shut(raw)
                self._changed.wait(_GRACE_S)


def _shut(raw: Any) -> None:
    # Its socket as of now: the driver may have closed it, and the number may be another's since.
    # A copy of the descriptor, so that closing ours leaves the driver's alone.
    with suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(raw.pgconn.socket)) as copy:
        _LOG.warning("a database connection did not answer in time and is cut")
        copy.shutdown(socket.SHUT_RDWR)

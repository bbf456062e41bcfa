"""SQLite: one file, one writer thread that commits up to 32 writes at once, readers beside it."""

from __future__ import annotations

import logging
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from service.clock import Clock
from service.deadlines import Deadline
from service.errors import DeadlineExceededError, OverloadedError, StorageUnavailableError
from service.files import sync
from service.store.connections import ReadConnection, WriteConnection
from service.store.database import Store
from service.store.plain import say
from service.store.sqlite_engines import WAL_BYTES, sqlite_engine
from service.store.sqlite_errors import OF_ONE_WRITE, PASSING, is_busy, primary_code

__all__ = ["SqliteStore"]

T = TypeVar("T")
_LOG = logging.getLogger(__name__)
_GROUP = 32
_READERS = 4
_FOLLOWERS = 4
_STEPS = 100_000  # of SQLite's machine between two looks at the clock: about a millisecond
_EMPTY_EVERY_S = 1.0
_EMPTY_WAIT_MS, _WAIT_MS = 20, 2_000  # for readers, until the log can be emptied; and for all else


@dataclass(eq=False)
class _Job:
    fn: Callable[[WriteConnection], Any]
    deadline: Deadline
    future: Future[Any]
    result: Any = None
    error: BaseException | None = None
    is_erasing: bool = False


class SqliteStore(Store):
    """
    The facts in one SQLite file.

    After an error of the disk nothing is acknowledged any more until the process is started anew: a retry could
    succeed falsely, since the system forgets what it failed to sync.
    """

    def __init__(self, path: Path, clock: Clock, *, waiting: int = 512) -> None:
        super().__init__()
        self._clock = clock
        self._wal = path.with_name(f"{path.name}-wal")
        self._jobs: queue.Queue[_Job | None] = queue.Queue(waiting)
        self._write_engine = sqlite_engine(path, writes=True)
        self._read_engine = sqlite_engine(path, writes=False, size=_READERS)
        self._own_engine = sqlite_engine(path, writes=False, size=_FOLLOWERS)  # of followers, who may read for long
        self._readers = ThreadPoolExecutor(_READERS, "linli-read")
        self._writing: Connection | None = None
        self._is_log_settled = False
        self._must_empty = self._log_bytes() > 0  # a process that was killed left it there
        self._emptied_at = 0.0
        self._broken: str | None = None
        self._closing = threading.Lock()
        self._is_closed = False
        self._writer = threading.Thread(target=self._write_all, name="linli-write", daemon=True)
        self._writer.start()

    def submit_write(self, fn: Callable[[WriteConnection], T], deadline: Deadline) -> Future[T]:
        """Queue a write for the writer thread."""
        future: Future[T] = Future()
        with self._closing:  # a job queued behind the writer's end would wait for ever
            self._check_sound()
            try:
                self._jobs.put_nowait(_Job(fn, deadline, future))
            except queue.Full:
                raise OverloadedError("too many writes are waiting") from None
        return future

    def _check_sound(self) -> None:
        if self._broken is not None:
            text_ = f"storage failed ({self._broken}) and takes no writes until linli is started again"
            raise StorageUnavailableError(text_)
        if self._is_closed:
            raise StorageUnavailableError("the store is closed")

    def submit_read(self, fn: Callable[[ReadConnection], T], deadline: Deadline) -> Future[T]:
        """Queue a read; it is interrupted at its deadline."""
        try:
            return self._readers.submit(self._read, fn, deadline)
        except RuntimeError as error:
            raise StorageUnavailableError("the store is closed") from error

    def _read(self, fn: Callable[[ReadConnection], T], deadline: Deadline) -> T:
        if deadline.is_over:
            raise DeadlineExceededError("the read waited too long")
        try:
            with self._read_engine.connect() as connection, connection.begin():
                raw: Any = connection.connection.dbapi_connection
                raw.set_progress_handler(lambda: deadline.is_over, _STEPS)
                try:
                    return fn(ReadConnection(connection))
                finally:
                    raw.set_progress_handler(None, 0)
        except DBAPIError as error:
            if deadline.is_over:
                raise DeadlineExceededError("the read took too long") from error
            raise StorageUnavailableError(str(error.orig)) from error

    @contextmanager
    def reading(self) -> Iterator[ReadConnection]:
        """Give a connection with one consistent view."""
        try:
            with self._own_engine.connect() as connection, connection.begin():
                yield ReadConnection(connection)
        except (DBAPIError, PoolTimeoutError) as error:
            raise StorageUnavailableError(str(getattr(error, "orig", error))) from error

    def close(self) -> None:
        """End the writer after what is queued, and the readers."""
        with self._closing:
            if self._is_closed:
                return
            self._is_closed = True
        self._jobs.put(None)
        self._writer.join()
        self._readers.shutdown(wait=True, cancel_futures=True)
        self._read_engine.dispose()
        self._own_engine.dispose()
        self._write_engine.dispose()

    def _write_all(self) -> None:
        is_last = False
        while not is_last:
            group, is_last = self._next_group()
            if group:
                self._write_group(group)
        self._let_go()

    def _let_go(self) -> None:
        if self._writing is not None:
            self._writing.close()
            self._writing = None

    def _next_group(self) -> tuple[list[_Job], bool]:
        group: list[_Job] = []
        job = self._jobs.get()
        while job is not None:
            # First whether its caller has gone: a cancelled future takes no exception, which would end the writer.
            if job.future.set_running_or_notify_cancel():
                if job.deadline.is_over:
                    job.future.set_exception(DeadlineExceededError("the write waited too long"))
                else:
                    group.append(job)
            if len(group) == _GROUP:
                return group, False
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                return group, False
        return group, True

    def _write_group(self, group: list[_Job]) -> None:
        if self._broken is not None:
            self._fail(
                group, StorageUnavailableError("storage failed and takes no writes until linli is started again")
            )
            return
        until = max(job.deadline.at for job in group)
        while True:
            try:
                self._commit(group)
            except Exception as error:  # noqa: BLE001 - whatever it is, every waiting caller must hear of it
                if is_busy(error) and not Deadline(until).is_over:
                    continue
                self._fail(group, self._judged(error))
                return
            break
        is_long = self._log_bytes() > WAL_BYTES  # asked before anybody goes on, who would keep this thread waiting
        self._must_empty = self._must_empty or any(job.is_erasing for job in group if job.error is None)
        for job in group:
            if job.error is not None:
                job.future.set_exception(job.error)
            else:
                job.future.set_result(job.result)
        self.tell_committed()
        if self._must_empty and time.monotonic() - self._emptied_at >= _EMPTY_EVERY_S:
            self._must_empty = not self._checkpoint(empties=True)
            self._emptied_at = time.monotonic()
        elif is_long:
            self._checkpoint()

    def _commit(self, group: list[_Job]) -> None:
        if self._writing is None:  # kept: to take it from the pool for each group costs a tenth of an order
            self._writing = self._write_engine.connect()
        try:
            with self._writing.begin():
                if not self._is_log_settled:  # its name is kept, too: SQLite overlooks a folder that cannot be synced
                    sync(self._wal.parent)
                    self._is_log_settled = True
                for job in group:
                    self._do(self._writing, job)
        except Exception:
            self._let_go()
            raise

    def _do(self, connection: Connection, job: _Job) -> None:
        job.result = job.error = None
        if job.deadline.is_over:
            job.error = DeadlineExceededError("the write waited too long")
            return
        # The driver's own words: SQLAlchemy's nested transactions cost many times as much.
        driver: Any = connection.connection.dbapi_connection
        say(driver, "SAVEPOINT job")
        try:
            writing = WriteConnection(connection, now_us=self._clock.now_us())
            job.result = job.fn(writing)
            job.is_erasing = writing.is_erasing
        except Exception as error:
            if isinstance(error, DBAPIError) and primary_code(error) not in OF_ONE_WRITE:
                raise  # of the file, not of this write: the group goes down together
            job.error = error
            say(driver, "ROLLBACK TO job")
        say(driver, "RELEASE job")

    def _log_bytes(self) -> int:
        """Return the log's size, which is cut to the limit when it is begun anew."""
        try:
            return self._wal.stat().st_size
        except FileNotFoundError:
            return 0

    def _checkpoint(self, *, empties: bool = False) -> bool:
        """
        Move what is committed from the log into the file; what a reader still needs stays for the next time.

        With ``empties`` the log is cut to nothing then; tell whether that could be done.
        """
        try:
            with self._write_engine.connect() as connection:
                raw: Any = connection.connection.dbapi_connection
                if not empties:
                    raw.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
                    return False
                raw.execute(f"PRAGMA busy_timeout={_EMPTY_WAIT_MS}")
                (row,) = raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
                raw.execute(f"PRAGMA busy_timeout={_WAIT_MS}")
                return bool(row[0] == 0)
        except sqlite3.Error as error:
            if (error.sqlite_errorcode & 0xFF) not in PASSING:
                self._break(error)
            return False

    def _break(self, error: Exception) -> None:
        self._broken = str(getattr(error, "orig", error))
        _LOG.critical("storage failed: no writes until the next start", exc_info=error)

    def _judged(self, error: Exception) -> Exception:
        if isinstance(error, OSError):
            self._break(error)
            return StorageUnavailableError(str(error))
        if not isinstance(error, DBAPIError):
            _LOG.error("a group of writes failed", exc_info=error)
            return error
        code = primary_code(error)
        if code not in PASSING:
            self._break(error)
        return StorageUnavailableError(str(getattr(error, "orig", error)))

    @staticmethod
    def _fail(group: list[_Job], error: Exception) -> None:
        for job in group:
            job.future.set_exception(error)

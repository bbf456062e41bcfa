"""SQLite: one file, one writer at a time that commits up to 32 writes at once, readers beside it."""

from __future__ import annotations

import logging
import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from service.clock import Clock
from service.deadlines import Deadline
from service.errors import DeadlineExceededError, OverloadedError, StorageUnavailableError
from service.files import sync
from service.store.connections import ReadConnection, WriteConnection
from service.store.database import Store
from service.store.drivers import driver_of
from service.store.sqlite_engines import WAL_BYTES, sqlite_engine
from service.store.sqlite_errors import OF_ONE_WRITE, PASSING, is_busy, primary_code
from service.store.sqlite_reading import READERS, SqliteReaders

__all__ = ["SqliteStore"]

T = TypeVar("T")
_LOG = logging.getLogger(__name__)
_GROUP = 32
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
        super().__init__(n_readers=READERS)
        self._clock = clock
        self._wal = path.with_name(f"{path.name}-wal")
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._most_waiting = waiting
        self._write_engine = sqlite_engine(path, writes=True)
        self._readers = SqliteReaders(path)
        self._writing: Connection | None = None
        self._is_log_settled = False
        self._must_empty = self._log_bytes() > 0  # a process that was killed left it there
        self._emptied_at = 0.0
        self._broken: str | None = None
        self._closing = threading.Lock()
        self._is_closed = False
        self._writes = threading.Lock()  # held by whoever writes: the writer thread, or a caller that waits anyway
        self._is_group_waiting = False  # the writer thread's: callers let it go first
        self._writer = threading.Thread(target=self._write_all, name="linli-write", daemon=True)
        self._writer.start()

    def submit_write(self, fn: Callable[[WriteConnection], T], deadline: Deadline) -> Future[T]:
        """Queue a write for the writer thread."""
        future: Future[T] = Future()
        with self._closing:  # a job queued behind the writer's end would wait for ever
            self._check_sound()
            if self._jobs.qsize() >= self._most_waiting:
                raise OverloadedError("too many writes are waiting")
            self._jobs.put(_Job(fn, deadline, future))
        return future

    def write_now(self, fn: Callable[[WriteConnection], T], seconds: float = 30.0) -> T:
        """Write from a command, and wait: in the caller's own thread where no other write waits."""
        future: Future[T] = Future()
        job = _Job(fn, Deadline.after(seconds), future)
        if not self._jobs.empty() or self._is_group_waiting or not self._writes.acquire(blocking=False):
            return super().write_now(fn, seconds)
        try:
            with self._closing:
                self._check_sound()
            is_log_due = self._write_group([job])
        finally:
            self._writes.release()
        if is_log_due:  # left to the writer thread: should it fail, this write is acknowledged before
            self._jobs.put(_Job(lambda _connection: None, Deadline.after(seconds), Future()))
        return future.result()

    def _check_sound(self) -> None:
        if self._broken is not None:
            text_ = f"storage failed ({self._broken}) and takes no writes until linli is started again"
            raise StorageUnavailableError(text_)
        if self._is_closed:
            raise StorageUnavailableError("the store is closed")

    def submit_read(self, fn: Callable[[ReadConnection], T], deadline: Deadline) -> Future[T]:
        """Queue a read; it is interrupted at its deadline."""
        return self._readers.submit(fn, deadline)

    def reading(self) -> AbstractContextManager[ReadConnection]:
        """Give a connection with one consistent view."""
        return self._readers.reading()

    def close(self) -> None:
        """End the writer after what is queued, and the readers."""
        with self._closing:
            if self._is_closed:
                return
            self._is_closed = True
        self._jobs.put(None)
        self._writer.join()
        self._readers.close()
        self._write_engine.dispose()

    def _write_all(self) -> None:
        is_last = False
        while not is_last:
            group, is_last = self._next_group()
            if group:
                self._is_group_waiting = True
                with self._writes:
                    self._is_group_waiting = False
                    if self._write_group(group):
                        self._tend_log()
        with self._writes:
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

    def _write_group(self, group: list[_Job]) -> bool:
        """Write a group, and tell those who wait; return whether it is time to tend the log."""
        if self._broken is not None:
            self._fail(group, StorageUnavailableError("storage failed: no writes until linli is started again"))
            return False
        until = max(job.deadline.at for job in group)
        while True:
            try:
                self._commit(group)
            except Exception as error:  # noqa: BLE001 - whatever it is, every waiting caller must hear of it
                if is_busy(error) and not Deadline(until).is_over:
                    continue
                self._fail(group, self._judged(error))
                return False
            break
        is_long = self._log_bytes() > WAL_BYTES  # asked before anybody goes on, who would keep this thread waiting
        self._must_empty = self._must_empty or any(job.is_erasing for job in group if job.error is None)
        for job in group:
            if job.error is not None:
                job.future.set_exception(job.error)
            else:
                job.future.set_result(job.result)
        self.tell_committed()
        return is_long or self._is_to_be_emptied()

    def _is_to_be_emptied(self) -> bool:
        return self._must_empty and time.monotonic() - self._emptied_at >= _EMPTY_EVERY_S

    def _tend_log(self) -> None:
        if self._is_to_be_emptied():
            self._must_empty = not self._checkpoint(empties=True)
            self._emptied_at = time.monotonic()
        else:
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
        except BaseException:  # a caller's own thread can be interrupted
            self._let_go()
            raise

    def _do(self, connection: Connection, job: _Job) -> None:
        job.result = job.error = None
        if job.deadline.is_over:
            job.error = DeadlineExceededError("the write waited too long")
            return
        # The driver's own words: SQLAlchemy's nested transactions cost many times as much.
        driver = driver_of(connection)
        driver.say("SAVEPOINT job")
        try:
            writing = WriteConnection(connection, now_us=self._clock.now_us())
            job.result = job.fn(writing)
            job.is_erasing = writing.is_erasing
        except Exception as error:
            if isinstance(error, DBAPIError) and primary_code(error) not in OF_ONE_WRITE:
                raise  # of the file, not of this write: the group goes down together
            job.error = error
            driver.say("ROLLBACK TO job")
        driver.say("RELEASE job")

    def _log_bytes(self) -> int:
        """Return the log's size, which is cut to the limit when it is begun anew."""
        with suppress(FileNotFoundError):
            return self._wal.stat().st_size
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

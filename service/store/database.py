"""The store as the service uses it: reads and writes as functions of a connection, each within a deadline."""

from __future__ import annotations

import abc
import asyncio
import logging
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from contextlib import AbstractContextManager
from typing import Self, TypeVar

from service.deadlines import Deadline
from service.errors import DeadlineExceededError
from service.store.connections import ReadConnection, WriteConnection

__all__ = ["Listener", "Store", "within"]

T = TypeVar("T")
Listener = Callable[[], None]
_LOG = logging.getLogger(__name__)


class Store(abc.ABC):
    """
    The facts.

    A write is ``fn(connection) -> result``, whole or not at all: it may run more than once, if the database asks for
    that, so it has no other effect than through its connection.

    Parameters
    ----------
    n_readers
        How many reads are at work at once.
    """

    def __init__(self, *, n_readers: int) -> None:
        self.n_readers = n_readers
        self._listeners: list[Listener] = []
        self._listening = threading.Lock()

    @abc.abstractmethod
    def submit_write(self, fn: Callable[[WriteConnection], T], deadline: Deadline) -> Future[T]:
        """Queue a write; the future has its result once it is committed."""

    @abc.abstractmethod
    def submit_read(self, fn: Callable[[ReadConnection], T], deadline: Deadline) -> Future[T]:
        """Queue a read."""

    @abc.abstractmethod
    def reading(self) -> AbstractContextManager[ReadConnection]:
        """Give a connection of the caller's own with one consistent view, for a follower's thread."""

    @abc.abstractmethod
    def close(self) -> None:
        """Let running work end, then close; calling it again does nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    async def write(self, fn: Callable[[WriteConnection], T], deadline: Deadline) -> T:
        """
        Return the result of a committed write.

        Raises
        ------
        DeadlineExceededError, OverloadedError, StorageUnavailableError
            If it could not be stored, or nobody knows whether it was.
        """
        return await within(self.submit_write(fn, deadline), deadline)

    async def read(self, fn: Callable[[ReadConnection], T], deadline: Deadline) -> T:
        """Return the result of a read; raises as `write` does."""
        return await within(self.submit_read(fn, deadline), deadline)

    def write_now(self, fn: Callable[[WriteConnection], T], seconds: float = 30.0) -> T:
        """Write from a command, and wait."""
        return self.submit_write(fn, Deadline.after(seconds)).result()

    def read_now(self, fn: Callable[[ReadConnection], T], seconds: float = 30.0) -> T:
        """Read from a command, and wait."""
        return self.submit_read(fn, Deadline.after(seconds)).result()

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call ``listener`` from any thread after commits; return what ends that."""
        with self._listening:
            self._listeners.append(listener)

        def end() -> None:
            with self._listening:
                self._listeners.remove(listener)

        return end

    def tell_committed(self) -> None:
        """Call the listeners: something was committed."""
        with self._listening:
            listeners = list(self._listeners)
        for listener in listeners:
            try:
                listener()
            except Exception:  # noqa: BLE001 - one listener's fault is not the writer's
                _LOG.exception("a listener failed")


async def within(future: Future[T], deadline: Deadline) -> T:
    """Return what a future of a store has in the end; raises as `Store.write` does."""
    try:
        async with asyncio.timeout(deadline.left_s()):
            return await asyncio.wrap_future(future)
    except (TimeoutError, CancelledError) as error:
        future.cancel()
        raise DeadlineExceededError("the store did not answer in time") from error

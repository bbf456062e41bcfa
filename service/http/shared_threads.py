"""Threads for work that takes more than a moment, and those that read the store: each caller has some of them at once."""

from __future__ import annotations

import asyncio
import contextlib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakValueDictionary

from service.http.problems import ProblemError
from service.http.shares import LATER, whose
from service.store.database import within

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from service.http.context import RequestContext
    from service.store.connections import ReadConnection
    from service.store.database import Store

__all__ = ["SharedReads", "SharedThreads"]

T = TypeVar("T")


class _Turns:
    """Lets each caller have a share of some threads; what it asks for beyond that waits for its turn."""

    def __init__(self, share: int) -> None:
        self._share = share
        self._turns = WeakValueDictionary[str, asyncio.Semaphore]()  # as long as any of a caller's is at work or waits

    async def begun(self, context: RequestContext, submit: Callable[..., Future[T]], *args: Any) -> Future[T]:
        """
        Submit what a caller asks for once it is its turn, which ends when the future does.

        Raises
        ------
        ProblemError
            overloaded, where its turn does not come within the request's deadline.
        """
        _, name = whose(context.key_holder)
        turn = self._turns.setdefault(name, asyncio.Semaphore(self._share))
        try:
            async with asyncio.timeout(context.deadline.left_s()):
                await turn.acquire()
        except TimeoutError as error:
            text = f"{self._share} of this caller's are at work, as many as it may have; try again"
            raise ProblemError("overloaded", text, headers=LATER) from error
        loop = asyncio.get_running_loop()

        def give_back(_done: object) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended: nobody waits for a turn
                loop.call_soon_threadsafe(turn.release)

        try:
            future = submit(*args)
        except BaseException:
            turn.release()
            raise
        future.add_done_callback(give_back)
        return future


class SharedThreads:
    """
    Threads for one kind of work; what a caller asks for beyond its share waits for its turn, and keeps out nobody else.

    Parameters
    ----------
    name
        Of the threads.
    limit
        How many there are.
    share
        How many of them one caller has at once: a merchant with all of its keys, or a key of none.
    """

    def __init__(self, name: str, *, limit: int, share: int) -> None:
        self._threads = ThreadPoolExecutor(limit, name)
        self._turns = _Turns(share)

    async def run(self, context: RequestContext, fn: Callable[..., T], *args: Any) -> T:
        """
        Return what a function does in a thread; its place is taken until it ends, also where nobody waits any more.

        Raises
        ------
        ProblemError
            overloaded, where its turn does not come within the request's deadline, or no thread can be started.
        """
        return await asyncio.wrap_future(await self._turns.begun(context, self._submit, fn, *args))

    def _submit(self, fn: Callable[..., T], *args: Any) -> Future[T]:
        try:
            return self._threads.submit(fn, *args)
        except RuntimeError as error:  # no memory for one more thread, or they are ending
            raise ProblemError("overloaded", "no thread is to be had for it now; try again", headers=LATER) from error

    def close(self) -> None:
        """Let running work end; what waits is not begun."""
        self._threads.shutdown(wait=True, cancel_futures=True)


class SharedReads:
    """Reads of the store, of whose threads one caller has half at once; its others wait, and keep out nobody else's."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._turns = _Turns(max(1, store.n_readers // 2))

    async def run(self, context: RequestContext, fn: Callable[[ReadConnection], T]) -> T:
        """Return the result of a read; raises as `Store.read` does, and as `SharedThreads.run`."""
        deadline = context.deadline
        return await within(await self._turns.begun(context, self._store.submit_read, fn, deadline), deadline)

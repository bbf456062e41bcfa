"""Threads for work that takes more than a moment, of which each caller has some at once."""

from __future__ import annotations

import asyncio
import contextlib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakValueDictionary

from service.http.problems import ProblemError
from service.http.shares import LATER, whose

if TYPE_CHECKING:
    from collections.abc import Callable

    from service.http.context import RequestContext

__all__ = ["SharedThreads"]

T = TypeVar("T")


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
        self._share = share
        self._turns = WeakValueDictionary[str, asyncio.Semaphore]()  # as long as any of a caller's is at work or waits

    async def run(self, context: RequestContext, fn: Callable[..., T], *args: Any) -> T:
        """
        Return what a function does in a thread; its place is taken until it ends, also where nobody waits any more.

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

        future = self._threads.submit(fn, *args)
        future.add_done_callback(give_back)
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Let running work end; what waits is not begun."""
        self._threads.shutdown(wait=True, cancel_futures=True)

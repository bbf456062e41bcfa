"""Sends in a thread of its own with an event loop of its own: one receiver that does not answer holds up no other."""

from __future__ import annotations

import asyncio
import random
import ssl
import threading
import time
from typing import TYPE_CHECKING

from service.errors import ForbiddenUrlError
from service.webhooks.deliveries import Tried
from service.webhooks.sending import Told, post
from service.webhooks.signing import signed_headers

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from service.webhooks.deliveries import Due
    from service.webhooks.urls import UrlRules

__all__ = ["Sender"]

_CLOSE_S = 5.0


class Sender:
    """
    Tries deliveries, any number at once.

    Parameters
    ----------
    rules
        Where may be sent to: asked again at each try.
    finished
        Called from the thread with what came of each try.
    seconds
        How long a try may take, names included.
    authorities
        A file of certificate authorities to trust, None for the system's.
    """

    def __init__(
        self,
        rules: UrlRules,
        finished: Callable[[Tried], None],
        *,
        seconds: float,
        authorities: Path | None,
    ) -> None:
        self._rules, self._finished, self._seconds = rules, finished, seconds
        self._tls = ssl.create_default_context(cafile=authorities)
        self._drawn = random.Random()  # noqa: S311 - it spreads what is tried again
        self._loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, name="linli-send", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def send(self, due: Due) -> None:
        """Try a delivery, from any thread."""
        self._loop.call_soon_threadsafe(self._begin, due)

    def cancel(self, *, after_s: float = 0.0) -> None:
        """Let the tries that have begun end, for so many seconds; break off the others, and tell of none of those."""
        if self._thread.is_alive():
            asyncio.run_coroutine_threadsafe(self._cancel(after_s), self._loop).result(after_s + _CLOSE_S)

    def close(self) -> None:
        """Break off all tries, and end the thread."""
        self.cancel()
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(_CLOSE_S)
        self._loop.close()

    def _begin(self, due: Due) -> None:
        task = self._loop.create_task(self._try(due))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _cancel(self, after_s: float) -> None:
        tasks = list(self._tasks)
        if tasks and after_s > 0.0:
            await asyncio.wait(tasks, timeout=after_s)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _try(self, due: Due) -> None:
        told = Told("linli failed")
        try:
            told = await self._post(due)
        except ForbiddenUrlError as error:
            told = Told(f"not sent: the URL {error}")
        finally:
            if not self._is_cancelled():
                self._finished(Tried(due.webhook_id, due.event_id, told, self._drawn.random(), due.tries))

    def _is_cancelled(self) -> bool:
        task = asyncio.current_task()
        return task is not None and task.cancelling() > 0

    async def _post(self, due: Due) -> Told:
        started = self._loop.time()
        target, addresses = await self._rules.check(due.url, self._seconds)
        at_s = int(time.time())  # the store's would stand still where a clock was set back, and receivers refuse that
        headers = signed_headers(due.secrets, due.event_id, at_s, due.body)
        left_s = self._seconds - (self._loop.time() - started)
        return await post(target, addresses, headers, due.body, seconds=left_s, tls=self._tls)

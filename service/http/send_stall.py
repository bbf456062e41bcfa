"""A client that does not take its answer, found by what is left to send."""

from __future__ import annotations

import asyncio
import sys
from asyncio.events import TimerHandle

__all__ = ["SendStall"]


class SendStall:
    """Cuts a connection off of whose answer not one byte was taken within ``stall_s``; idle where nothing waits."""

    def __init__(self, loop: asyncio.AbstractEventLoop, transport: asyncio.Transport, stall_s: float) -> None:
        self._loop, self._transport, self._stall_s = loop, transport, stall_s
        self._n_left = 0
        self._timer: TimerHandle | None = None

    def watch(self) -> None:
        """Look again after ``stall_s``, if anything is left to send."""
        left = self._transport.get_write_buffer_size()
        if left and self._timer is None:
            self._n_left = left
            self._timer = self._loop.call_later(self._stall_s, self._look)

    def note_progress(self) -> None:
        """Take it that the client took some: what is left may have grown again since."""
        self._n_left = sys.maxsize

    def cancel(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        if self._transport.get_write_buffer_size() >= self._n_left:
            self._transport.abort()
        else:
            self.watch()

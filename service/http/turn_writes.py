"""
Answers written once a turn of the event loop.

uvicorn writes the head and the body of an answer apart, each with a system call of its own, between whatever requests
are at work; here they wait, all together, until every request that is ready has had its turn. So an answer is one
write, and requests that come together are answered in a row, by code that is still warm.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Turn", "TurnTransport"]

_Data: TypeAlias = bytes | bytearray | memoryview

_LOG = logging.getLogger(__name__)
_MOST_BYTES = 65_536


class Turn:
    """The connections of one event loop that have something to write when its turn ends."""

    def __init__(self) -> None:
        self._waiting: list[TurnTransport] = []

    def add(self, transport: TurnTransport, loop: asyncio.AbstractEventLoop) -> None:
        """Let a connection write once what is ready now has run."""
        if not self._waiting:
            loop.call_soon(self._end)
        self._waiting.append(transport)

    def _end(self) -> None:
        waiting, self._waiting = self._waiting, []
        for transport in waiting:
            try:
                transport.flush()
            except Exception:  # noqa: BLE001 - the others of this turn have nothing to do with it
                _LOG.exception("an answer cannot be written")
                transport.abort()


class TurnTransport(asyncio.Transport):
    """
    Another transport, whose writes wait until the turn ends.

    Whatever else is asked of it comes after them, and no more than 64 KiB wait, so that order and back-pressure stay as
    they were. ``lingers`` is asked before a close, and tells whether it sees to the end itself.
    """

    def __init__(
        self, transport: asyncio.Transport, turn: Turn, loop: asyncio.AbstractEventLoop, lingers: Callable[[], bool]
    ) -> None:
        self._transport, self._turn, self._loop, self._lingers = transport, turn, loop, lingers
        self._pieces: list[_Data] = []
        self._n_bytes = 0
        self._has_ended = False

    def write(self, data: _Data) -> None:
        """Keep what is to be written; nothing is after the end."""
        if self._has_ended:
            return
        if not self._pieces:
            self._turn.add(self, self._loop)
        self._pieces.append(data)
        self._n_bytes += len(data)
        if self._n_bytes > _MOST_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write what waits; of a connection that is lost nothing is."""
        pieces, n_bytes = self._pieces, self._n_bytes
        if pieces:
            self._pieces, self._n_bytes = [], 0
            if self._transport.is_closing():
                return
            if n_bytes > _MOST_BYTES:  # one write each costs less than to copy them
                self._transport.writelines(pieces)
            else:
                self._transport.write(b"".join(pieces))

    def write_eof(self) -> None:
        """Close the writing end after what waits; of a client that has gone, both ends at once."""
        self.flush()
        self._has_ended = True
        try:
            self._transport.write_eof()
        except OSError:  # it has reset the connection, and the loop has not seen it yet
            self.abort()

    def close(self) -> None:
        """Close after what waits."""
        self.flush()
        if not self._lingers():
            self._transport.close()

    def abort(self) -> None:
        """Close at once."""
        self._pieces, self._n_bytes = [], 0
        self._transport.abort()

    def get_write_buffer_size(self) -> int:
        """Return how many bytes are not sent yet."""
        return self._n_bytes + self._transport.get_write_buffer_size()

    def can_write_eof(self) -> bool:
        """Tell whether the writing end can be closed alone."""
        return self._transport.can_write_eof()

    def is_closing(self) -> bool:
        """Tell whether it is closed or about to be."""
        return self._transport.is_closing()

    def pause_reading(self) -> None:
        """Read no more for now."""
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Read again."""
        self._transport.resume_reading()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return what is known of the connection."""
        return self._transport.get_extra_info(name, default)

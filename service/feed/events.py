"""What is live: pages of the outbox for event streams, and the hub that wakes them."""

from __future__ import annotations

import asyncio
import contextlib
import re
from typing import TYPE_CHECKING, NamedTuple

from service.errors import OverloadedError
from service.feed.outbox import (
    BadPositionError,
    Change,
    Position,
    feed_id,
    head,
    kept_from,
    position_behind,
    read_changes,
    read_changes_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from service.store.connections import ReadConnection

__all__ = ["EventHub", "EventPage", "Place", "read_page"]

_PLACE = re.compile(r"([0-9]{1,18}-[0-9]{1,18})(?:-([0-9a-f]{8}))?")
_NAMED = 8
_PAGE = 200
_SPAN = 50_000
"""Changes among which those of a merchant are looked for at once: of a long feed, whose deadline would pass meanwhile."""
_A_READ_S = 0.001


class Place(NamedTuple):
    """
    Where a stream goes on: a position, and the first letters of its feed's id.

    A position alone would not do: a database that was restored from a backup gives the same positions again, to
    other changes.
    """

    position: Position
    feed: str | None

    def __str__(self) -> str:
        return str(self.position) if self.feed is None else f"{self.position}-{self.feed}"

    @classmethod
    def parse(cls, text: str) -> Place:
        """
        Return the place that `str` wrote; a position without a feed is taken too.

        Raises
        ------
        BadPositionError
            For any other text.
        """
        found = _PLACE.fullmatch(text)
        if found is None:
            message = f"must be the id of an event, such as 0-17-1f2e3d4c, got {text!r:.60}"
            raise BadPositionError(message)
        return cls(Position.parse(found[1]), found[2])


class EventPage(NamedTuple):
    """
    The next events of a stream.

    Attributes
    ----------
    changes
        In order.
    reached
        Where the stream goes on: behind all that it need not be told.
    is_reset
        Whether what lies between was lost to it: its client must read anew what it keeps.
    is_full
        Whether more may be there already.
    """

    changes: Sequence[Change]
    reached: Place
    is_reset: bool
    is_full: bool

    @property
    def is_passing(self) -> bool:
        """Whether it passes by changes of others alone, and there may be more: its place is worth telling."""
        return self.is_full and not self.changes


def read_page(connection: ReadConnection, after: Place | None, merchant_id: str | None) -> EventPage:
    """Return the next events, of one merchant if given; without a place, only where the end is now."""
    feed, end = feed_id(connection)[:_NAMED], head(connection)
    here = Place(end, feed)
    if after is None:
        return EventPage((), here, is_reset=False, is_full=False)
    is_other = after.feed not in {None, feed}
    if is_other or not kept_from(connection) <= after.position <= end:
        return EventPage((), here, is_reset=True, is_full=False)
    if merchant_id is None:
        span_end, found = None, read_changes(connection, after.position, limit=_PAGE)
    else:
        span_end = position_behind(connection, after.position, _SPAN)
        found = read_changes_of(connection, merchant_id, after.position, span_end or end, limit=_PAGE)
    reached = found[-1].position if len(found) == _PAGE else span_end or end
    return EventPage(found, Place(reached, feed), is_reset=False, is_full=reached != end)


class EventHub:
    """
    Wakes the streams of this process when there is something for them to read; follows the feed.

    Parameters
    ----------
    most
        Streams that may be open at once.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._streams: dict[asyncio.Event, str | None] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def n_streams(self) -> int:
        """How many are open."""
        return len(self._streams)

    @property
    def pause_s(self) -> float:
        """How long a stream waits between two reads, so that all together leave the store to others."""
        return _A_READ_S * (10 + self.n_streams)

    @contextlib.contextmanager
    def joined(self, merchant_id: str | None) -> Iterator[asyncio.Event]:
        """
        Give what is set when changes come, of one merchant if given; it is set at first.

        Raises
        ------
        OverloadedError
            If as many streams are open as may be.
        """
        if len(self._streams) >= self._most:
            text = f"{self._most} event streams are open, and no more are taken"
            raise OverloadedError(text)
        self._loop = asyncio.get_running_loop()
        woken = asyncio.Event()
        woken.set()
        self._streams[woken] = merchant_id
        try:
            yield woken
        finally:
            del self._streams[woken]

    def reload(self, connection: ReadConnection, position: Position) -> None:
        """Wake all streams, which find for themselves where they are."""
        self._tell(None)

    def follow(self, connection: ReadConnection, changes: Sequence[Change]) -> None:
        """Wake the streams that changes concern."""
        self._tell({change.merchant_id for change in changes})

    def verify(self, connection: ReadConnection) -> bool:
        """Tell that nothing is kept here that could differ."""
        return True

    def _tell(self, merchants: set[str | None] | None) -> None:
        loop = self._loop
        if loop is not None and self._streams:
            with contextlib.suppress(RuntimeError):  # the loop is closed: there is nobody to wake
                loop.call_soon_threadsafe(self._wake, merchants)

    def _wake(self, merchants: set[str | None] | None) -> None:
        for woken, merchant_id in self._streams.items():
            if merchants is None or merchant_id is None or merchant_id in merchants:
                woken.set()

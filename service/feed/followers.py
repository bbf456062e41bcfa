"""Follow the feed in a thread of its own: read what is new, hand it on, and know how far it has come."""

from __future__ import annotations

import logging
import math
import threading
import time
from typing import TYPE_CHECKING, Protocol

from service.errors import ServiceError
from service.feed.outbox import PAGE, START, Position, feed_id, head, kept_from, oldest_unread_s, read_changes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from service.feed.outbox import Change
    from service.store.connections import ReadConnection
    from service.store.database import Store

__all__ = ["Follower", "Handler"]

_LOG = logging.getLogger(__name__)
_BREATH_S = 0.02  # what comes within it is followed in one step: a step for each change would take a whole core
_MANY, _LONG_BREATH_S = 30, 0.08  # so many in one step, as where many order, and the next one waits for more
_LONGEST_PAUSE_S = 0.5
_CLOSE_S = 5.0


class Handler(Protocol):
    """What a follower hands changes to, always from its one thread."""

    def reload(self, connection: ReadConnection, position: Position) -> None:
        """Take everything anew: what was known is not to be trusted."""
        ...

    def follow(self, connection: ReadConnection, changes: Sequence[Change]) -> None:
        """Take changes; what a subject is now may be read from the connection, which sees at least as much."""
        ...

    def verify(self, connection: ReadConnection) -> bool:
        """Tell whether what is known equals the store; asked when nothing was left to follow of what the connection sees."""
        ...


class Follower:
    """
    Reads the feed of a store.

    Parameters
    ----------
    store
        Where the feed is.
    handlers
        What follows it, in order.
    poll_s, verify_s
        How often it looks when nobody wakes it, and how often it compares.
    position, of_feed
        Where to go on, as of a snapshot, which is compared at once; without, everything is reloaded first.
    rested
        Called with position and feed when everything up to there was followed.
    """

    def __init__(
        self,
        store: Store,
        handlers: Sequence[Handler],
        *,
        poll_s: float = 0.1,
        verify_s: float = 60.0,
        position: Position | None = None,
        of_feed: str | None = None,
        rested: Callable[[Position, str], None] | None = None,
    ) -> None:
        self._store = store
        self._handlers = handlers
        self._poll_s = poll_s
        self._verify_s = verify_s
        self._position = position
        self._feed_id = of_feed
        self._rested = rested
        self._woken = threading.Event()
        self._ended = threading.Event()
        self._confirmed_at: float | None = None  # on the monotonic clock
        self._verified_at = time.monotonic() if position is None else -math.inf
        self._has_gap = position is None
        self._failed_at: float | None = None
        self.n_reloads = 0
        self._n_followed = 0  # in the last step
        self._thread = threading.Thread(target=self._run, name="linli-follow", daemon=True)
        self._stop_listening: Callable[[], None] | None = None

    @property
    def position(self) -> Position:
        """How far it has read."""
        return self._position or START

    @property
    def age_s(self) -> float | None:
        """How old the oldest change may be that is not followed yet, None if all never were."""
        return None if self._confirmed_at is None else time.monotonic() - self._confirmed_at

    def has_come_to(self, instant: float) -> bool:
        """Tell whether all is followed that was committed before an instant of the monotonic clock."""
        return self._confirmed_at is not None and self._confirmed_at >= instant

    @property
    def has_gap(self) -> bool:
        """Whether something is known to be missing."""
        return self._has_gap

    @property
    def feed_id(self) -> str | None:
        """Which feed it follows."""
        return self._feed_id

    def start(self) -> None:
        """Read once, so that everything is known, then go on in the thread."""
        self.step()
        self._stop_listening = self._store.listen(self.wake)
        self._thread.start()

    def wake(self) -> None:
        """Let it look now; from any thread."""
        self._woken.set()

    def close(self) -> None:
        """End the thread; one that waits for a server that does not answer is left to end with the process."""
        self._ended.set()
        self._woken.set()
        if self._stop_listening is not None:
            self._stop_listening()
            self._stop_listening = None
        if self._thread.is_alive():
            self._thread.join(_CLOSE_S)

    def _run(self) -> None:
        pause = self._poll_s
        while not self._ended.is_set():
            self._woken.wait(pause)
            self._ended.wait(_BREATH_S if self._n_followed < _MANY else _LONG_BREATH_S)
            self._woken.clear()
            try:
                self.step()
            except ServiceError as error:  # the store is away: it tries again, more seldom
                self._fail("the feed cannot be read: %s", error)
                pause = max(self._poll_s, min(_LONGEST_PAUSE_S, pause * 2))
            except Exception as error:  # noqa: BLE001 - without the thread the index would stand still unseen
                self._fail("following the feed failed: %r", error, exc_info=error)
                pause = max(self._poll_s, min(_LONGEST_PAUSE_S, pause * 2))
            else:
                if self._failed_at is not None:
                    _LOG.info("the feed is followed again, after %.1f s", time.monotonic() - self._failed_at)
                self._failed_at, pause = None, self._poll_s

    def _fail(self, text: str, error: Exception, *, exc_info: Exception | None = None) -> None:
        """Tell the first of several failures."""
        if self._failed_at is None:
            self._failed_at = time.monotonic()
            _LOG.log(logging.WARNING if exc_info is None else logging.ERROR, text, error, exc_info=exc_info)

    def step(self) -> None:
        """Read until nothing is left; reload first where what is known cannot be built upon."""
        self._n_followed = 0
        while not self._ended.is_set():
            begun_at = time.monotonic()  # whatever is committed later may not be seen
            with self._store.reading() as connection:
                if self._has_gap or self._cannot_go_on(connection):
                    self._reload(connection)
                found = read_changes(connection, self.position)
                if found:
                    for handler in self._handlers:
                        handler.follow(connection, found)
                    self._position = found[-1].position
                    self._n_followed += len(found)
                if len(found) == PAGE:  # there may be more of what this connection sees
                    continue
                unread_s = oldest_unread_s(connection, self.position)
                if unread_s is None:
                    self._verify(connection)
            if not self._has_gap:
                # Not only once nothing is found: where others write all the time, something always is.
                self._confirm(begun_at - (unread_s or 0.0))
                if not found:
                    return

    def _confirm(self, at: float) -> None:
        self._confirmed_at = at if self._confirmed_at is None else max(self._confirmed_at, at)
        if self._rested is not None:
            self._rested(self.position, self._feed_id or "")

    def _cannot_go_on(self, connection: ReadConnection) -> bool:
        return (
            self._feed_id != feed_id(connection)
            or self.position < kept_from(connection)
            or self.position > head(connection)
        )

    def _reload(self, connection: ReadConnection) -> None:
        self._has_gap = True
        position = head(connection)
        for handler in self._handlers:
            handler.reload(connection, position)
        self._position, self._feed_id = position, feed_id(connection)
        self._has_gap = False
        self.n_reloads += 1

    def _verify(self, connection: ReadConnection) -> None:
        if time.monotonic() - self._verified_at < self._verify_s:
            return
        self._verified_at = time.monotonic()
        if not all(handler.verify(connection) for handler in self._handlers):
            _LOG.error("what is known differs from the store: it is read anew")
            self._has_gap = True

"""Redis wakes the followers of other workers at once; without it they poll, and nothing is lost."""

from __future__ import annotations

import logging
import secrets
import threading
from typing import TYPE_CHECKING

from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.retry import Retry

if TYPE_CHECKING:
    from collections.abc import Callable

    from service.store.database import Store

__all__ = ["RedisWaker"]

_LOG = logging.getLogger(__name__)
_TIMEOUT_S = 1.0
_SHORTEST_S, _LONGEST_S = 0.1, 5.0
_PING_S = 5.0
_UNANSWERED = 2
_CLOSE_S = 3.0


class RedisWaker:
    """
    Publishes after this process's commits, and wakes its follower when others have published.

    Neither can hold up a write: publishing is a thread's, which a commit only nudges; many commits are one message.

    Parameters
    ----------
    url
        Of Redis.
    store
        Whose commits are told.
    wake
        Lets the follower look.
    feed_id
        Whose feed it is: Redis may be shared with others.
    """

    def __init__(self, url: str, store: Store, wake: Callable[[], None], feed_id: str) -> None:
        self._url = url
        self._wake = wake
        self._channel = f"linli:{feed_id}:changes"
        self._own = secrets.token_hex(8).encode()
        self._committed = threading.Event()
        self._ended = threading.Event()
        self._stop_listening = store.listen(self._committed.set)
        self.n_woken = 0
        self._threads = [
            threading.Thread(target=self._keep_on, args=(work,), name=name, daemon=True)
            for name, work in (("linli-publish", self._publish), ("linli-subscribe", self._subscribe))
        ]

    def start(self) -> None:
        """Begin; Redis need not be there."""
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """End both threads."""
        self._stop_listening()
        self._ended.set()
        self._committed.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(_CLOSE_S)

    def _keep_on(self, work: Callable[[Redis, Callable[[], None]], None]) -> None:
        """Do a work over and over with a connection of its own, ever more seldom while Redis is away."""
        pause = _SHORTEST_S

        def well() -> None:
            nonlocal pause
            if pause > _SHORTEST_S:
                _LOG.info("Redis is back")
            pause = _SHORTEST_S

        while not self._ended.is_set():
            try:
                with self._client() as client:
                    work(client, well)
            except (RedisError, OSError) as error:
                if pause == _SHORTEST_S:
                    _LOG.warning("Redis is away, followers poll: %s", error)
                pause = min(_LONGEST_S, pause * 2)
                self._ended.wait(pause)

    def _client(self) -> Redis:
        return Redis.from_url(
            self._url,
            protocol=2,
            socket_timeout=_TIMEOUT_S,
            socket_connect_timeout=_TIMEOUT_S,
            health_check_interval=_PING_S,
            retry=Retry(NoBackoff(), 0),  # this module tries again itself, and tells
        )

    def _publish(self, client: Redis, well: Callable[[], None]) -> None:
        client.ping()
        well()
        while not self._ended.is_set():
            self._committed.wait()
            self._committed.clear()
            if not self._ended.is_set():
                client.publish(self._channel, self._own)
                well()

    def _subscribe(self, client: Redis, well: Callable[[], None]) -> None:
        with client.pubsub(ignore_subscribe_messages=True) as pubsub:  # type: ignore[no-untyped-call]
            pubsub.subscribe(self._channel)
            self._wake()  # what was published while nobody listened
            while not self._ended.is_set():
                message = pubsub.get_message(timeout=_TIMEOUT_S)
                if pubsub.health_check_response_counter > _UNANSWERED:
                    raise RedisConnectionError("it has gone silent")
                if pubsub.subscribed and pubsub.health_check_response_counter == 0:
                    well()
                if message is not None and message["type"] == "message" and message["data"] != self._own:
                    self.n_woken += 1
                    self._wake()

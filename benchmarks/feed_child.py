"""
A worker's follower of the benchmark of the feed: ``python -m benchmarks.feed_child DATABASE REDIS POLL_S``.

It follows until its input ends, then prints when each change was in its index, and the digest of what that holds.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from engine import warm_up
from service.clock import SystemClock
from service.feed.followers import Follower
from service.feed.index import LiveIndex
from service.feed.outbox import feed_id
from service.feed.waking import RedisWaker
from service.settings import load_settings
from service.store.opening import open_store

if TYPE_CHECKING:
    from service.feed.outbox import Change
    from service.store.connections import ReadConnection

__all__ = ["main"]


class _Noted(LiveIndex):
    """Notes when changes were in the index."""

    def __init__(self) -> None:
        super().__init__()
        self.at: dict[int, float] = {}

    def follow(self, connection: ReadConnection, changes: Sequence[Change]) -> None:
        super().follow(connection, changes)
        now = time.monotonic()
        self.at.update((change.position.id, now) for change in changes)


def main(database: str, redis_url: str, poll_s: float) -> None:
    """Follow, then tell."""
    warm_up()
    store, index = open_store(load_settings({}, database=database), SystemClock()), _Noted()
    follower = Follower(store, [index], poll_s=poll_s)
    follower.start()
    waker = RedisWaker(redis_url, store, follower.wake, store.read_now(feed_id)) if redis_url else None
    if waker is not None:
        waker.start()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.read()
    follower.close()
    if waker is not None:
        waker.close()
    store.close()
    sys.stdout.write(json.dumps({"at": index.at, "digest": index.digest()}) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]))

"""How late a busy machine is: what it took itself is no fault of what is timed on it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["Lateness", "lateness"]

_STEP_S = 0.005


class Lateness:
    """
    The longest that a thread which had slept its time waited to go on.

    Attributes
    ----------
    most_s
        In seconds.
    """

    def __init__(self) -> None:
        self.most_s = 0.0
        self.ended = threading.Event()

    def watch(self) -> None:
        """Sleep short times over and over, until it is ended."""
        before = time.monotonic()
        while not self.ended.wait(_STEP_S):
            now = time.monotonic()
            self.most_s = max(self.most_s, now - before - _STEP_S)
            before = now


@contextmanager
def lateness() -> Iterator[Lateness]:
    """Watch how late the machine is meanwhile."""
    watched = Lateness()
    thread = threading.Thread(target=watched.watch)
    thread.start()
    try:
        yield watched
    finally:
        watched.ended.set()
        thread.join()

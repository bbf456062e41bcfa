"""One deadline a request, passed down to whatever it waits for."""

from __future__ import annotations

import time
from typing import NamedTuple

__all__ = ["Deadline"]


class Deadline(NamedTuple):
    """An instant of the monotonic clock, in seconds, after which nobody waits any more."""

    at: float

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        """Return the deadline so many seconds from now."""
        return cls(time.monotonic() + seconds)

    def left_s(self) -> float:
        """Return how many seconds are left, never below 0."""
        return max(0.0, self.at - time.monotonic())

    @property
    def is_over(self) -> bool:
        """Whether it has passed."""
        return time.monotonic() >= self.at

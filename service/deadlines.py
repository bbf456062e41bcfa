"""One deadline a request, passed down to whatever it waits for."""

from __future__ import annotations

import time
from typing import NamedTuple

from service.errors import DeadlineExceededError

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

    def demand(self) -> None:
        """
        Go on only as long as somebody waits.

        Raises
        ------
        DeadlineExceededError
            If it has passed.
        """
        if self.is_over:
            raise DeadlineExceededError("it was not done in time, and was ended")

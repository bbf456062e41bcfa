"""How many requests a caller may make in a second: counted here, or with the other workers in Redis."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Allowance", "LocalRates", "Rates"]

_MOST_CALLERS = 100_000


class Allowance(NamedTuple):
    """Whether a request may pass, how many more may in this window, and how long it lasts."""

    admitted: bool
    remaining: int
    reset_s: int


class Rates(Protocol):
    """Admits requests by caller: at most ``rate`` in each second."""

    async def admit(self, caller: str, rate: int) -> Allowance:
        """Count a request."""
        ...

    def admit_now(self, caller: str, rate: int) -> Allowance | None:
        """Count a request if that needs no wait, else return None and count nothing."""
        ...

    async def close(self) -> None:
        """Let go of what it holds, in the event loop that asked it."""
        ...


class LocalRates:
    """
    Counts in this process, in seconds of the wall clock: another second is a new one, be it earlier.

    So a clock that is set back opens one second more and keeps nobody out. Where the share of a rate is less than one
    a second, one is granted every so many seconds.

    Parameters
    ----------
    share
        The part of each rate that this process grants: with w workers that do not know of each other 2 / w, at most
        1, so that all together grant no more than twice the rate: of rates below w / 2 one each to who comes after a
        rest, and no more than that in the long run.
    now
        The clock, in seconds.
    """

    def __init__(self, share: float = 1.0, now: Callable[[], float] = time.time) -> None:
        self._share = share
        self._now = now
        self._window = 0
        self._counts: dict[str, int] = {}
        self._granted_at: dict[str, int] = {}  # of rates of which less than one a second is granted here

    async def admit(self, caller: str, rate: int) -> Allowance:
        """Count a request."""
        return self.admit_now(caller, rate)

    def admit_now(self, caller: str, rate: int) -> Allowance:
        """Count a request in the second that now is."""
        window, granted = int(self._now()), int(rate * self._share)
        if granted < 1:
            return self._admit_seldom(caller, window, math.ceil(1.0 / (rate * self._share)))
        if window != self._window or len(self._counts) > _MOST_CALLERS:
            self._window, self._counts = window, {}
        count = self._counts.get(caller, 0)
        if count >= granted:
            return Allowance(False, 0, 1)
        self._counts[caller] = count + 1
        return Allowance(True, granted - count - 1, 1)

    def _admit_seldom(self, caller: str, window: int, every_s: int) -> Allowance:
        """Grant one in every so many seconds."""
        if len(self._granted_at) > _MOST_CALLERS:
            self._granted_at = {}
        rest_s = self._granted_at.get(caller, -every_s) + every_s - window
        if 0 < rest_s <= every_s:  # more is left only where the clock was set back
            return Allowance(False, 0, rest_s)
        self._granted_at[caller] = window
        return Allowance(True, 0, every_s)

    async def close(self) -> None:
        """Hold nothing."""

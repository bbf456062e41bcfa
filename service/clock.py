"""What time it is: the database's clock, which never runs back."""

from __future__ import annotations

import datetime as dt
import threading
import time
from typing import Protocol

__all__ = ["FIRST_YEAR", "LAST_YEAR", "Clock", "SettableClock", "SystemClock", "from_us", "to_us"]

FIRST_YEAR, LAST_YEAR = 2000, 2100  # of the times that people may tell

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND = dt.timedelta(microseconds=1)


class Clock(Protocol):
    """Gives the instant of a transaction or a question, as microseconds since 1970 in UTC; never less than before."""

    def now_us(self, database_us: int | None = None) -> int:
        """Return now: by the database's clock where the caller has read it, else by the machine's."""
        ...


class SystemClock:
    """
    The clock of production.

    Parameters
    ----------
    mark_us
        The latest instant that the store knows of: time does not run back behind it, over restarts either.
    """

    def __init__(self, mark_us: int = 0) -> None:
        self._own_us = self._database_us = mark_us
        self._has_database = False  # with a clock of its own
        self._lock = threading.Lock()

    def now_us(self, database_us: int | None = None) -> int:
        """
        Return now, or the latest instant told before where that is later.

        A machine whose clock is ahead does not carry the transactions of all machines along: it moves its own questions.
        """
        with self._lock:
            if database_us is None:
                self._own_us = max(self._own_us, self._database_us, time.time_ns() // 1000)
                return self._own_us
            self._has_database = True
            self._database_us = max(self._database_us, database_us)
            return self._database_us

    @property
    def latest_us(self) -> int:
        """The latest instant of a transaction told so far."""
        return self._database_us if self._has_database else self._own_us

    def keep_after(self, mark_us: int) -> None:
        """Take note of an instant that the store has seen."""
        with self._lock:
            self._own_us, self._database_us = max(self._own_us, mark_us), max(self._database_us, mark_us)


class SettableClock:
    """A clock that tests set."""

    def __init__(self, at: dt.datetime) -> None:
        self.at = at

    def now_us(self, database_us: int | None = None) -> int:
        """Return what was set."""
        return to_us(self.at)


def to_us(instant: dt.datetime) -> int:
    """Return an aware instant as microseconds since 1970 in UTC."""
    return (instant - _EPOCH) // _MICROSECOND


def from_us(us: int) -> dt.datetime:
    """Return the aware instant of microseconds since 1970 in UTC."""
    return _EPOCH + us * _MICROSECOND

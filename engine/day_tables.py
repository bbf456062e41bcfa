"""The hours of whole days, minute by minute, for questions that come one at a time."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from engine.asks import hours_at, open_schedules_at
from engine.haste import demand_patience
from engine.local_time import FIRST_S, LAST_S, changes_on_minutes
from engine.packing import pack

if TYPE_CHECKING:
    from engine.hours import ScheduleBook
    from engine.kernels.packing import Packed
    from engine.kernels.state import Hours

__all__ = ["DayTable", "DayTables", "KeptDays"]

_DAY_S = 86_400
_DAY_US = _DAY_S * 1_000_000
_MINUTE_US = 60_000_000
_MOST_DAYS = 64


@dataclass(frozen=True)
class DayTable:
    """
    The hours of one UTC day, of which instant i is minute i.

    Attributes
    ----------
    n_schedules
        How many schedules it knows.
    hours, packed
        What kernels read, and the same as one argument.
    open_schedules
        By whether unknown counts as open: each minute's `Asks.open_schedules`, the bits as an int64. Memoryviews, which
        weigh a third of what lists do.
    """

    n_schedules: int
    hours: Hours
    packed: Packed
    open_schedules: tuple[memoryview, memoryview]


class KeptDays:
    """
    The tables that were made last, of one index or of several; safe to share between threads.

    Parameters
    ----------
    most
        How many: one of a few schedules weighs some 40 kB.
    """

    def __init__(self, most: int = _MOST_DAYS) -> None:
        self._most = most
        self._tables: OrderedDict[tuple[object, int], DayTable] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def n_kept(self) -> int:
        """How many tables are kept."""
        return len(self._tables)

    def find(self, owner: object, day: int) -> DayTable | None:
        """Return the table of an owner's day, None where it is not kept."""
        return self._tables.get((owner, day))

    def keep(self, owner: object, day: int, table: DayTable) -> None:
        """Keep the table of an owner's day in place of the one that was made first."""
        with self._lock:
            self._tables[owner, day] = table
            while len(self._tables) > self._most:
                self._tables.popitem(last=False)


class DayTables:
    """
    The days of one book; a table is made by whoever asks first, and never changed.

    Parameters
    ----------
    book
        The schedules.
    kept
        Where tables are kept, None for a place of its own.
    """

    def __init__(self, book: ScheduleBook, kept: KeptDays | None = None) -> None:
        self._book = book
        self._kept = kept or KeptDays()
        self._owner = object()  # not the book: it would live for as long as one of its days is kept
        self._making = threading.Lock()

    def at(self, at_us: int) -> tuple[DayTable, int] | None:
        """
        Return the table of an instant's day and the instant's number in it; microseconds since 1970 in UTC.

        None for a day that is not told by minutes: outside the years that hours are known for, or one on which
        a zone is off by seconds.

        Raises
        ------
        NotMadeError
            If the table is to be made first, and who asks is in haste.
        """
        day, rest = divmod(at_us, _DAY_US)
        table = self._whole(day)
        if table is None:
            demand_patience()
            with self._making:
                table = self._whole(day) or self._made(day)
        return None if table is None else (table, rest // _MINUTE_US)

    def _whole(self, day: int) -> DayTable | None:
        """Return the table of a day that is kept, None where it lacks schedules by now."""
        table = self._kept.find(self._owner, day)
        return None if table is None or table.n_schedules < self._book.n_schedules else table

    def _made(self, day: int) -> DayTable | None:
        seconds = day * _DAY_S + np.arange(0, _DAY_S, 60)
        if not (seconds[0] >= FIRST_S and seconds[-1] <= LAST_S):
            return None
        hours = hours_at(self._book, seconds)  # first: schedules and zones may come in meanwhile
        if not changes_on_minutes(day, self._book.zones()):
            return None
        bits = tuple(_by_minute(hours, allow_unknown=allow_unknown) for allow_unknown in (False, True))
        table = DayTable(hours.tz_of_schedule.size, hours, pack(hours), bits)  # type: ignore[arg-type]
        self._kept.keep(self._owner, day, table)
        return table


def _by_minute(hours: Hours, *, allow_unknown: bool) -> memoryview:
    return open_schedules_at(hours, allow_unknown=allow_unknown).view(np.int64).data

"""The days of all schedules, compiled to bitmaps when they are first asked for."""

from __future__ import annotations

import bisect
import functools
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from engine.day_bits import DayBits
from engine.haste import demand_patience
from engine.holidays import HolidayCalendar
from engine.hour_bitmaps import DayBitmaps
from engine.hour_expressions import MONDAY, HourExpression, holiday_states

__all__ = ["ScheduleDays"]

_BLOCK_DAYS = 8


class ScheduleDays:
    """
    Which bitmap each day of each schedule is; safe to share between threads.

    Most expressions say the same every week: they are compiled once. The others, and holidays, are compiled in
    blocks of eight days, of which those used last are kept. One thread compiles at a time; what is compiled is told
    meanwhile, and schedules are added.

    Parameters
    ----------
    calendar
        Gives a country's holidays.
    max_cells
        How many days of single schedules to keep compiled beyond the eight last asked for.
    """

    def __init__(self, calendar: Callable[[str], HolidayCalendar], *, max_cells: int = 1 << 24) -> None:
        self.bitmaps = DayBitmaps()
        self._calendar = calendar
        self._max_cells = max_cells
        self._weeks = np.empty((7, 0), np.int32)
        self._dated: list[int] = []
        self._dated_facts: list[tuple[HourExpression, str | None]] = []
        self._blocks: OrderedDict[int, NDArray[np.int32]] = OrderedDict()
        self._lock = threading.Lock()  # of all these, for moments
        self._compiling = threading.Lock()

    @property
    def n_schedules(self) -> int:
        """How many schedules were added."""
        return self._weeks.shape[1]

    def add(self, schedules: Sequence[tuple[HourExpression, str | None]]) -> None:
        """Add schedules, each an expression with the country of its holidays; ids follow their order."""
        compiled = [expression.week for expression, _ in schedules]
        with self._lock:
            for schedule, facts in enumerate(schedules, self.n_schedules):
                if facts[0].holiday_shifts or not facts[0].weekly:
                    self._dated.append(schedule)
                    self._dated_facts.append(facts)
            weeks = [[self.bitmaps.intern(bits) for bits in week] if week else [-1] * 7 for week in compiled]
            self._weeks = np.hstack([self._weeks, np.array(weeks, np.int32).reshape(-1, 7).T])

    def minutes(self) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
        """Return the open and unknown minutes of all bitmaps so far, as `DayBitmaps.arrays` does."""
        with self._lock:
            return self.bitmaps.arrays()

    def gather(self, day: NDArray[np.int32]) -> NDArray[np.int32]:
        """
        Return the bitmaps of the days that occur, (d, S), and turn ``day`` (z, q) into rows of it, in place.

        S is how many schedules there were when it was called, or more.

        Raises
        ------
        NotMadeError
            If some are to be compiled first, and who asks is in haste.
        """
        n = self.n_schedules
        if day.size == 0:
            return np.empty((0, n), np.int32)
        first, last = int(day.min()), int(day.max())
        if first // _BLOCK_DAYS == last // _BLOCK_DAYS:
            day -= first // _BLOCK_DAYS * _BLOCK_DAYS
            return self._block(first // _BLOCK_DAYS, n)
        seen = np.zeros(last - first + 1, np.bool_)
        for zone_days in day:
            seen[zone_days - first] = True
        rank = (np.cumsum(seen) - 1).astype(np.int32)
        for zone_days in day:
            zone_days[:] = rank[zone_days - first]
        occurring = np.flatnonzero(seen) + first
        out = np.empty((occurring.size, n), np.int32)
        for block in np.unique(occurring // _BLOCK_DAYS).tolist():
            rows = np.flatnonzero(occurring // _BLOCK_DAYS == block)
            out[rows] = self._block(block, n)[occurring[rows] % _BLOCK_DAYS, :n]
        return out

    def _block(self, block: int, n: int) -> NDArray[np.int32]:
        """Return the bitmaps of eight days of n schedules or more, (8, S), compiling what is missing."""
        known = self._known(block)
        if known.shape[1] >= n:
            return known
        demand_patience()
        with self._compiling:  # each block once, by whoever asks first
            known = self._known(block)
            return known if known.shape[1] >= n else self._compiled(block, known)

    def _known(self, block: int) -> NDArray[np.int32]:
        with self._lock:
            if block not in self._blocks:
                return np.empty((_BLOCK_DAYS, 0), np.int32)
            self._blocks.move_to_end(block)
            return self._blocks[block]

    def _compiled(self, block: int, known: NDArray[np.int32]) -> NDArray[np.int32]:
        """Return a block of all schedules, and keep it."""
        first_day, first = block * _BLOCK_DAYS, known.shape[1]
        with self._lock:
            out = self._weeks[(np.arange(first_day, first_day + _BLOCK_DAYS) - MONDAY) % 7, first:]
            start = bisect.bisect_left(self._dated, first)
            dated = list(zip(self._dated[start:], self._dated_facts[start:], strict=True))
        found = self._days_of(dated, first_day)
        with self._lock:
            for schedule, days in found:
                out[:, schedule - first] = [self.bitmaps.intern(bits) for bits in days]
            whole = np.hstack([known, out])
            whole.flags.writeable = False
            self._blocks[block] = whole
            self._blocks.move_to_end(block)
            while len(self._blocks) > 1 and len(self._blocks) * whole.size > self._max_cells:
                self._blocks.popitem(last=False)
        return whole

    def _days_of(
        self, dated: Iterable[tuple[int, tuple[HourExpression, str | None]]], first_day: int
    ) -> list[tuple[int, list[DayBits]]]:
        """Compile eight days of schedules, but of those that are as every week then."""

        @functools.cache
        def states(country: str, shifts: tuple[int, ...]) -> Sequence[tuple[int, ...]]:
            days = holiday_states(self._calendar(country), shifts, first_day, _BLOCK_DAYS)
            return days if any(map(any, days)) else ()

        found = []
        for schedule, (expression, country) in dated:
            days = () if country is None else states(country, expression.holiday_shifts)
            if days or not expression.weekly:
                found.append((schedule, expression.bits(first_day, _BLOCK_DAYS, days)))
        return found

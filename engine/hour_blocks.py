"""The days of all schedules, compiled to bitmaps when they are first asked for."""

from __future__ import annotations

import bisect
import functools
from collections import OrderedDict
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from engine.holidays import HolidayCalendar
from engine.hour_bitmaps import DayBitmaps
from engine.hour_expressions import HourExpression, holiday_states

__all__ = ["ScheduleDays"]

_BLOCK_DAYS = 8
_MONDAY = 4  # 1970-01-05


class ScheduleDays:
    """
    Which bitmap each day of each schedule is; its owner guards it with a lock.

    Most expressions say the same every week: they are compiled once. The others, and holidays, are compiled in
    blocks of eight days, of which those used last are kept.

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

    @property
    def n_schedules(self) -> int:
        """How many schedules were added."""
        return self._weeks.shape[1]

    def add(self, schedules: Sequence[tuple[HourExpression, str | None]]) -> None:
        """Add schedules, each an expression with the country of its holidays; ids follow their order."""
        weeks = [self._week(expression) for expression, _ in schedules]
        for schedule, facts in enumerate(schedules, self.n_schedules):
            if facts[0].holiday_shifts or not facts[0].weekly:
                self._dated.append(schedule)
                self._dated_facts.append(facts)
        self._weeks = np.hstack([self._weeks, np.array(weeks, np.int32).reshape(-1, 7).T])

    def gather(self, day: NDArray[np.int32]) -> NDArray[np.int32]:
        """Return the bitmaps of the days that occur, (d, S), and turn ``day`` (z, q) into rows of it, in place."""
        if day.size == 0:
            return np.empty((0, self.n_schedules), np.int32)
        first, last = int(day.min()), int(day.max())
        if first // _BLOCK_DAYS == last // _BLOCK_DAYS:
            day -= first // _BLOCK_DAYS * _BLOCK_DAYS
            return self._block(first // _BLOCK_DAYS)
        seen = np.zeros(last - first + 1, np.bool_)
        for zone_days in day:
            seen[zone_days - first] = True
        rank = (np.cumsum(seen) - 1).astype(np.int32)
        for zone_days in day:
            zone_days[:] = rank[zone_days - first]
        occurring = np.flatnonzero(seen) + first
        out = np.empty((occurring.size, self.n_schedules), np.int32)
        for block in np.unique(occurring // _BLOCK_DAYS).tolist():
            rows = np.flatnonzero(occurring // _BLOCK_DAYS == block)
            out[rows] = self._block(block)[occurring[rows] % _BLOCK_DAYS]
        return out

    def _week(self, expression: HourExpression) -> list[int]:
        """Return the bitmaps of Monday to Sunday, -1 for an expression whose weeks differ."""
        if not expression.weekly:
            return [-1] * 7
        return [self.bitmaps.intern(bits) for bits in expression.bits(_MONDAY, 7)]

    def _block(self, block: int) -> NDArray[np.int32]:
        """Return the bitmaps of eight days, (8, S), compiling what is missing."""
        known = self._blocks.pop(block, np.empty((_BLOCK_DAYS, 0), np.int32))
        if known.shape[1] < self.n_schedules:
            known = np.hstack([known, self._compile(block, known.shape[1])])
            known.flags.writeable = False
        self._blocks[block] = known
        while len(self._blocks) > 1 and len(self._blocks) * known.size > self._max_cells:
            self._blocks.popitem(last=False)
        return known

    def _compile(self, block: int, first: int) -> NDArray[np.int32]:
        """Compile eight days of the schedules from ``first`` on."""
        first_day = block * _BLOCK_DAYS
        out = self._weeks[(np.arange(first_day, first_day + _BLOCK_DAYS) - _MONDAY) % 7, first:]

        @functools.cache
        def states(country: str, shifts: tuple[int, ...]) -> Sequence[tuple[int, ...]]:
            days = holiday_states(self._calendar(country), shifts, first_day, _BLOCK_DAYS)
            return days if any(map(any, days)) else ()

        start = bisect.bisect_left(self._dated, first)
        for schedule, (expression, country) in zip(self._dated[start:], self._dated_facts[start:], strict=True):
            days = () if country is None else states(country, expression.holiday_shifts)
            if days or not expression.weekly:
                bits = expression.bits(first_day, _BLOCK_DAYS, days)
                out[:, schedule - first] = [self.bitmaps.intern(one) for one in bits]
        return out

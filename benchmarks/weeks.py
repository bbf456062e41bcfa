"""Opening hours of a week, as linli reads them and as a peer that is given its bitmaps ready made."""

from __future__ import annotations

import datetime as dt
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

__all__ = ["MINUTES", "MONDAY", "TIMEZONE", "Week", "weeks"]

TIMEZONE = "Asia/Shanghai"
MONDAY = dt.datetime(2026, 11, 23, tzinfo=ZoneInfo(TIMEZONE))
MINUTES = 7 * 24 * 60
DAYS = ("Mo", "Tu", "We", "Th", "Fr", "Sa", "Su")
DAY_SPANS = ((0, 6), (0, 4), (0, 5), (1, 6), (4, 6))


class Week(NamedTuple):
    """One expression, and bool[MINUTES] from Monday 00:00: whether it is open."""

    expression: str
    is_open: NDArray[np.bool_]


def weeks(n: int, seed: int) -> list[Week]:
    """Return n distinct weeks: one is always open, the others for a span of days by day, half of them with a break."""
    rng = np.random.default_rng(seed)
    found = {"24/7": Week("24/7", np.ones(MINUTES, np.bool_))}
    while len(found) < n:
        first, last = DAY_SPANS[rng.integers(len(DAY_SPANS))]
        week = _week(first, last, _spans(rng))
        found.setdefault(week.expression, week)
    return list(found.values())


def _spans(rng: np.random.Generator) -> list[tuple[int, int]]:
    """Return minutes of a day, from and to."""
    opens = int(rng.integers(12, 22)) * 30
    closes = int(rng.integers(34, 46)) * 30
    if rng.random() < 0.5:
        return [(opens, closes)]
    return [(opens, 12 * 60), (13 * 60 + 30, closes)]


def _week(first: int, last: int, spans: list[tuple[int, int]]) -> Week:
    is_open = np.zeros(MINUTES, np.bool_)
    for day in range(first, last + 1):
        for start, end in spans:
            is_open[day * 1440 + start : day * 1440 + end] = True
    times = ",".join(f"{_clock(start)}-{_clock(end)}" for start, end in spans)
    return Week(f"{DAYS[first]}-{DAYS[last]} {times}", is_open)


def _clock(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"

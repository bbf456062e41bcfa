"""The minutes of one day as bits."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from engine.local_time import MINUTES_A_DAY

__all__ = ["ALL_DAY", "ALL_UNKNOWN", "DayBits", "agreed"]

DayBits: TypeAlias = tuple[int, int]
"""Minutes of a day that are open, and unknown, as integers whose bit m is minute m."""

ALL_DAY = (1 << MINUTES_A_DAY) - 1
ALL_UNKNOWN: DayBits = (0, ALL_DAY)


def agreed(answers: Iterable[DayBits]) -> DayBits:
    """Return what all answers say: minutes on which they differ, or that one calls unknown, are unknown."""
    always_open, ever_open, unknown = ALL_DAY, 0, 0
    for open_bits, unknown_bits in answers:
        always_open &= open_bits
        ever_open |= open_bits
        unknown |= unknown_bits
    unknown |= ever_open & ~always_open
    return always_open & ~unknown, unknown

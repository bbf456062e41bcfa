"""Whether a schedule is open at a local minute: a look-up in the bitmaps of days."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from geo.jit import kernel

__all__ = ["CLOSED", "OPEN", "UNKNOWN", "hour_state"]

CLOSED, OPEN, UNKNOWN = 0, 1, 2


# Axes: S schedules, z time zones, q queries, d days (slots), b bitmaps.
@kernel
def hour_state(
    schedule: int,
    query: int,
    tz_of_schedule: NDArray[np.int32],
    day_slot: NDArray[np.int32],
    minute: NDArray[np.int32],
    bitmap_of: NDArray[np.int32],
    open_bits: NDArray[np.uint64],
    unknown_bits: NDArray[np.uint64],
) -> int:
    """
    Return 0 where a schedule is closed at the time of a query, 1 where open, 2 where unknown.

    Parameters
    ----------
    schedule
        Id of the schedule; -1 (no hours) is unknown.
    query
        Column of the query in ``day_slot`` and ``minute``.
    tz_of_schedule
        Shape (S,), the row of a schedule's zone in ``day_slot`` and ``minute``.
    day_slot, minute
        Shape (z, q), the query's local day as a row of ``bitmap_of`` and its minute of that day, 0 to 1439.
    bitmap_of
        Shape (d, S), the bitmap of each day of a schedule.
    open_bits, unknown_bits
        Shape (b, 23), bit ``m % 64`` of word ``m // 64`` for minute m.

    Notes
    -----
    O(1), no allocation. Brute-force twin: `brute_state`.
    """
    if schedule < 0:
        return UNKNOWN
    zone = tz_of_schedule[schedule]
    bitmap = bitmap_of[day_slot[zone, query], schedule]
    word = minute[zone, query] >> 6
    bit = np.uint64(minute[zone, query] & 63)
    if (unknown_bits[bitmap, word] >> bit) & np.uint64(1):
        return UNKNOWN
    if (open_bits[bitmap, word] >> bit) & np.uint64(1):
        return OPEN
    return CLOSED

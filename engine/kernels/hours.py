"""Whether a schedule is open at a local minute: a look-up in the bitmaps of days."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from geo.jit import kernel

__all__ = ["CLOSED", "OPEN", "UNKNOWN", "hour_state", "open_schedules"]

CLOSED, OPEN, UNKNOWN = 0, 1, 2

N_BITS = 63
UNKNOWN_BIT = 63
"""Of rows without hours; other schedules share the `N_BITS` below, by their number."""


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


@kernel
def open_schedules(
    unknown_serves: bool,
    tz_of_schedule: NDArray[np.int32],
    day_slot: NDArray[np.int32],
    minute: NDArray[np.int32],
    bitmap_of: NDArray[np.int32],
    serving_bits: NDArray[np.uint64],
    out: NDArray[np.uint64],
) -> None:
    """
    Write for each query the bits (`schedule_bit`) of all schedules that serve at its time.

    Parameters
    ----------
    unknown_serves
        Whether rows without hours do.
    tz_of_schedule, day_slot, minute, bitmap_of
        As of `hour_state`.
    serving_bits
        As its ``open_bits``: the minutes in which a schedule serves.
    out
        Shape (q,).
    """
    # No branch depends on what a schedule's words say: a processor would guess half of them wrong.
    n_schedules, one, n_bits = tz_of_schedule.shape[0], np.uint64(1), np.uint64(N_BITS)
    out[:] = np.uint64(unknown_serves) << np.uint64(UNKNOWN_BIT)
    words, places = np.empty(n_schedules, np.uint64), np.empty(n_schedules, np.uint64)
    its = np.empty(n_schedules, np.int64)
    for zone in range(day_slot.shape[0]):
        n_its = 0
        for schedule in range(n_schedules):
            if tz_of_schedule[schedule] == zone:
                its[n_its] = schedule
                places[n_its] = np.uint64(schedule) % n_bits
                n_its += 1
        day, word = -1, -1
        for query in range(out.shape[0]):
            # Once in 64 minutes, where queries come in turn.
            if day_slot[zone, query] != day or minute[zone, query] >> 6 != word:
                day, word = day_slot[zone, query], minute[zone, query] >> 6
                for at in range(n_its):
                    words[at] = serving_bits[bitmap_of[day, its[at]], word]
            bit, bits = np.uint64(minute[zone, query] & 63), np.uint64(0)
            for at in range(n_its):
                bits |= (words[at] >> bit & one) << places[at]
            out[query] |= bits


def schedule_bit(schedule: NDArray[np.int32]) -> NDArray[np.uint8]:
    """Return the bit that stands for each schedule, in uint64 of which each bit is shared by few."""
    return np.where(schedule < 0, UNKNOWN_BIT, schedule % N_BITS).astype(np.uint8)

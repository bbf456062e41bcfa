"""Days as bitmaps of their minutes, each distinct one kept once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.day_bits import DayBits
from engine.local_time import MINUTES_A_DAY

__all__ = ["DayBitmaps", "minute_states"]

_WORDS = -(-MINUTES_A_DAY // 64)


class DayBitmaps:
    """An append-only store of distinct days; its arrays' rows are never changed once they are handed out."""

    def __init__(self) -> None:
        self._ids: dict[DayBits, int] = {}
        self._open = np.zeros((64, _WORDS), np.uint64)
        self._unknown = np.zeros_like(self._open)

    def intern(self, bits: DayBits) -> int:
        """Return the id of a day, adding it if it is new."""
        known = self._ids.get(bits)
        if known is not None:
            return known
        row = len(self._ids)
        if row == self._open.shape[0]:
            self._open, self._unknown = (np.concatenate([a, np.zeros_like(a)]) for a in (self._open, self._unknown))
        self._open[row], self._unknown[row] = _words(bits[0]), _words(bits[1])
        self._ids[bits] = row
        return row

    def arrays(self) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
        """Return the open and unknown minutes of all days so far, read-only, each of shape (b, 23)."""
        n = len(self._ids)
        views = self._open[:n], self._unknown[:n]
        for view in views:
            view.flags.writeable = False
        return views


def minute_states(days: list[DayBits]) -> NDArray[np.uint8]:
    """Return 0, 1 or 2 (closed, open, unknown) for each minute of some days in a row."""
    open_minutes, unknown_minutes = (
        np.unpackbits(
            np.stack([_words(bits[side]) for bits in days]).view(np.uint8),
            axis=1,
            count=MINUTES_A_DAY,
            bitorder="little",
        ).ravel()
        for side in (0, 1)
    )
    return open_minutes + 2 * unknown_minutes


def _words(minutes: int) -> NDArray[np.uint64]:
    return np.frombuffer(minutes.to_bytes(_WORDS * 8, "little"), np.dtype("<u8"))

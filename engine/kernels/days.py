"""
The sequence of a crew's day as arrays, and when each node of it starts at the earliest and at the latest.

A day is a sequence of nodes: where the crew starts, its stops, where it ends. A node without a place is a break, taken
wherever the crew is by then: the way to the next place may be driven before it, after it, or in part.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from geo.jit import kernel

__all__ = ["NEVER_S", "DayArrays", "bound_days", "break_after", "break_before"]

NEVER_S = np.int64(1 << 40)


class DayArrays(NamedTuple):
    """
    Sequences of D days of at most M nodes.

    Attributes
    ----------
    n_nodes
        int64[D], 2 at least.
    placed
        bool[D, M], whether a node has a place; the first and the last have one.
    is_set_out
        bool[D, M], whether nothing is inserted before a node any more.
    duration, earliest, latest
        int64[D, M], seconds, and between which instants it starts, inclusive, in seconds since 1970.
    way
        int64[D, M], seconds from a placed node to the next placed one.
    first, last
        int64[D, M], when each starts at the earliest and at the latest, all others kept.
    """

    n_nodes: NDArray[np.int64]
    placed: NDArray[np.bool_]
    is_set_out: NDArray[np.bool_]
    duration: NDArray[np.int64]
    earliest: NDArray[np.int64]
    latest: NDArray[np.int64]
    way: NDArray[np.int64]
    first: NDArray[np.int64]
    last: NDArray[np.int64]


@kernel
def break_after(now: int, left: int, earliest: int, since: int) -> tuple[int, int]:
    """Return when a break on the way, which is driven ``since`` an instant, starts at the earliest, and what is left."""
    driven = min(left, max(0, earliest - max(now, since)))
    return max(now, earliest), left - driven


@kernel
def break_before(now: int, left: int, latest_end: int) -> tuple[int, int]:
    """Return when a break on the way ends at the latest, and how much of the way to it from behind is left."""
    driven = min(left, max(0, now - latest_end))
    return min(now - driven, latest_end), left - driven


# Axes: D days, M nodes.
@kernel
def bound_days(days: DayArrays, out: NDArray[np.int64]) -> None:
    """
    Write when each node starts at the earliest and at the latest, to ``days.first`` and ``days.last``.

    Parameters
    ----------
    days
        As described there.
    out
        Shape (D,): the first node that cannot be kept, -1 where all can.

    Notes
    -----
    O(nodes), no allocation. Checked by `kept_day` of the tests, which knows nothing of it.
    """
    for d in range(days.n_nodes.shape[0]):
        n = days.n_nodes[d]
        out[d] = -1
        now, left = int(days.earliest[d, 0]), 0
        for k in range(n):
            if days.placed[d, k]:
                start = max(now + left, days.earliest[d, k])
                left = days.way[d, k]
            else:
                start, left = break_after(now, left, days.earliest[d, k], now)
            days.first[d, k] = start
            if start > days.latest[d, k] and out[d] < 0:
                out[d] = k
            now = start + days.duration[d, k]
        now, left = int(days.latest[d, n - 1] + days.duration[d, n - 1]), 0
        for k in range(n - 1, -1, -1):
            latest_end = days.latest[d, k] + days.duration[d, k]
            if days.placed[d, k]:
                end = min(now - left, latest_end)
                before = max(k - 1, 0)
                while not days.placed[d, before]:
                    before -= 1
                left = days.way[d, before]
            else:
                end, left = break_before(now, left, latest_end)
            days.last[d, k] = end - days.duration[d, k]
            now = days.last[d, k]

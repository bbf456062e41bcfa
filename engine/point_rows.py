"""From points to rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.kernels import rows as kernels
from engine.views import read_only

if TYPE_CHECKING:
    from engine.columns import Columns

__all__ = ["PointRows", "group_rows"]


class PointRows(NamedTuple):
    """
    The rows of each of p points.

    Attributes
    ----------
    start
        int32[p + 1]: where each point's rows start in ``row``.
    row
        int32[n]: rows by point.
    """

    start: NDArray[np.int32]
    row: NDArray[np.int32]

    def of_points(self, numbers: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the rows of points, one point's after the other's, and how many each has (-1 has none)."""
        known = np.maximum(numbers, 0)
        first = self.start[known].astype(np.int64)
        sizes = np.where(numbers >= 0, self.start[known + 1] - first, 0) if self.start.size > 1 else 0 * numbers
        places = np.repeat(first - np.cumsum(sizes) + sizes, sizes) + np.arange(sizes.sum())
        return self.row[places].astype(np.int64), sizes

    def of_offers(
        self, offer: NDArray[np.int32], numbers: NDArray[np.int64], offers: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """Return the row of each point that has an offer (a code; ``offer`` holds the rows'), -1 where it has not."""
        rows, sizes = self.of_points(numbers)
        wanted = np.repeat(np.arange(numbers.size), sizes)
        has_it = offer[rows] == offers[wanted]
        out = np.full(numbers.size, -1, np.int64)
        out[wanted[has_it]] = rows[has_it]
        return out


def group_rows(columns: Columns) -> PointRows:
    """Return the rows of every point of columns."""
    n = columns.n_rows
    if columns.ids.size == n:
        in_turn = np.arange(n + 1, dtype=np.int32)
        if np.array_equal(columns.point, in_turn[:n]):  # each point has the row of its own number
            return read_only(PointRows(in_turn, in_turn[:n]))
    start, row = np.zeros(columns.ids.size + 1, np.int32), np.empty(n, np.int32)
    kernels.group_rows(read_only(np.ascontiguousarray(columns.point)), start, row)
    return read_only(PointRows(start, row))

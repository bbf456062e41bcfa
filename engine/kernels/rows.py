"""From a point to its rows."""

import numpy as np
from numpy.typing import NDArray

from geo.jit import kernel


# Axes: n rows, p points.
@kernel
def group_rows(point: NDArray[np.int32], start: NDArray[np.int32], row: NDArray[np.int32]) -> None:
    """
    Sort rows by their point, those of one in ascending order: two passes, no comparison.

    Parameters
    ----------
    point
        Shape (n,), each from 0 to p - 1.
    start
        Shape (p + 1,), zeros; gets where each point's rows start in ``row``.
    row
        Shape (n,): the rows.
    """
    for i in range(point.shape[0]):
        start[point[i] + 1] += 1
    for i in range(1, start.shape[0]):
        start[i] += start[i - 1]
    for i in range(point.shape[0]):
        row[start[point[i]]] = i
        start[point[i]] += 1
    for i in range(start.shape[0] - 1, 0, -1):
        start[i] = start[i - 1]
    start[0] = 0

"""From a point to its rows."""

import numpy as np
from numpy.typing import NDArray

from geo.jit import kernel


# Axes: n rows, p points.
@kernel
def group_rows(point: NDArray[np.int64], start: NDArray[np.int32], row: NDArray[np.int32]) -> None:
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


# Axes: n rows, p points, m wanted.
@kernel
def find_offers(
    start: NDArray[np.int32],
    row: NDArray[np.int32],
    offer: NDArray[np.int64],
    numbers: NDArray[np.int64],
    offers: NDArray[np.int64],
    out: NDArray[np.int64],
) -> None:
    """
    Write the row of each wanted point that has the wanted offer, -1 where there is none.

    Parameters
    ----------
    start, row
        As of `group_rows`.
    offer
        Shape (n,): each row's.
    numbers, offers
        Shape (m,): points, -1 for none, and codes of offers.
    out
        Shape (m,).
    """
    for i in range(numbers.shape[0]):
        out[i] = -1
        if numbers[i] < 0:
            continue
        for at in range(start[numbers[i]], start[numbers[i] + 1]):
            if offer[row[at]] == offers[i]:
                out[i] = row[at]
                break

"""What lists of neighbours are made in."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Workshop(NamedTuple):
    """
    What is only needed while neighbours are built.

    Attributes
    ----------
    center, parent, n_rows
        float64[m, 2], int32[m] and int64[m]: a node's own centre on its face's plane, its resolution (-1 for a
        root) and about how many rows it has.
    cell, value
        int64[h] and int32[h]: the cells done so far, by hash (-1 where empty), and what their slots say: cells on
        an edge belong to several nodes.
    rows, chord_sq, listed, squares, smallest, stack
        int64 or float64, of one axis: what one cell's list is made in.
    reach_sq, everywhere
        float64[m] and uint64[m] by node of the part's trees: as `Part.reach_sq`, but for rows that serve everywhere
        where a tree has more of them than a list holds, and these rows' schedules.
    """

    center: NDArray[np.float64]
    parent: NDArray[np.int32]
    n_rows: NDArray[np.int64]
    cell: NDArray[np.int64]
    value: NDArray[np.int32]
    rows: NDArray[np.int64]
    chord_sq: NDArray[np.float64]
    listed: NDArray[np.int64]
    squares: NDArray[np.float64]
    smallest: NDArray[np.float64]
    stack: NDArray[np.int64]
    reach_sq: NDArray[np.float64]
    everywhere: NDArray[np.uint64]

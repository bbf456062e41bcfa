"""Sort rows by numbers, those that are equal as they come."""

import numpy as np
from numpy.typing import NDArray

from geo.jit import kernel

DIGIT_BITS = 11
N_BUCKETS = 1 << DIGIT_BITS


# Axes: n rows.
@kernel
def sort_by_key(
    key: NDArray[np.uint64],
    row: NDArray[np.int32],
    other_key: NDArray[np.uint64],
    other_row: NDArray[np.int32],
    counts: NDArray[np.int64],
) -> bool:
    """
    Sort keys and the rows beside them; tell whether they came to stand in the other arrays.

    Parameters
    ----------
    key, row
        Shape (n,).
    other_key, other_row
        Shape (n,): room.
    counts
        int64[digits, N_BUCKETS], zeros, for as many digits as the largest key has.

    Notes
    -----
    Digit by digit from the lowest, passing over those that all keys share (Knuth, The Art of Computer Programming 3,
    5.2.5): O(n), and the same on every machine.
    """
    mask = np.uint64(N_BUCKETS - 1)
    n = key.shape[0]
    n_digits = counts.shape[0]
    for i in range(n):
        for digit in range(n_digits):
            counts[digit, (key[i] >> np.uint64(DIGIT_BITS * digit)) & mask] += 1
    moved = False
    for digit in range(n_digits):
        shift = np.uint64(DIGIT_BITS * digit)
        start = counts[digit]
        if n == 0 or start[(key[0] >> shift) & mask] == n:
            continue
        before = 0
        for bucket in range(N_BUCKETS):
            count = start[bucket]
            start[bucket] = before
            before += count
        for i in range(n):
            bucket_of_key = (key[i] >> shift) & mask
            to = start[bucket_of_key]
            start[bucket_of_key] = to + 1
            other_key[to] = key[i]
            other_row[to] = row[i]
        key, other_key = other_key, key
        row, other_row = other_row, row
        moved = not moved
    return moved

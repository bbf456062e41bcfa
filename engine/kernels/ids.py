"""A hash over UTF-8 strings in one arena."""

import numpy as np
from numpy.typing import NDArray

from geo.jit import kernel

_FNV_BASIS = np.uint64(14_695_981_039_346_656_037)
_FNV_PRIME = np.uint64(1_099_511_628_211)


@kernel
def _slot(arena: NDArray[np.uint8], start: int, stop: int, mask: np.uint64) -> np.uint64:
    # FNV-1a (Fowler, Noll, Vo), its high bits folded in since the slot takes the low ones.
    state = _FNV_BASIS
    for i in range(start, stop):
        state = (state ^ np.uint64(arena[i])) * _FNV_PRIME
    return (state ^ (state >> np.uint64(29))) & mask


@kernel
def _same(a: NDArray[np.uint8], a_start: int, a_stop: int, b: NDArray[np.uint8], b_start: int, b_stop: int) -> bool:
    if a_stop - a_start != b_stop - b_start:
        return False
    for i in range(a_stop - a_start):  # noqa: SIM110 - a generator does not compile
        if a[a_start + i] != b[b_start + i]:
            return False
    return True


# Axes: n strings, s slots (a power of two above n).
@kernel
def fill_slots(arena: NDArray[np.uint8], offsets: NDArray[np.int64], slots: NDArray[np.int64]) -> None:
    """
    Enter distinct strings into an empty table by linear probing.

    Parameters
    ----------
    arena, offsets
        String i is ``arena[offsets[i]:offsets[i + 1]]``; offsets of shape (n + 1,).
    slots
        Shape (s,), filled with -1; gets the strings' numbers.
    """
    mask = np.uint64(slots.shape[0] - 1)
    for i in range(offsets.shape[0] - 1):
        at = _slot(arena, offsets[i], offsets[i + 1], mask)
        while slots[at] >= 0:
            at = (at + np.uint64(1)) & mask
        slots[at] = i


# Axes: n strings, s slots, m wanted.
@kernel
def find(
    arena: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    slots: NDArray[np.int64],
    wanted: NDArray[np.uint8],
    wanted_offsets: NDArray[np.int64],
    out: NDArray[np.int64],
) -> None:
    """
    Write the number of each wanted string, -1 where there is none.

    Parameters
    ----------
    arena, offsets, slots
        As filled by `fill_slots`.
    wanted, wanted_offsets
        The wanted strings in an arena of their own, offsets of shape (m + 1,).
    out
        Shape (m,).
    """
    mask = np.uint64(slots.shape[0] - 1)
    for i in range(out.shape[0]):
        start = wanted_offsets[i]
        stop = wanted_offsets[i + 1]
        at = _slot(wanted, start, stop, mask)
        out[i] = -1
        while slots[at] >= 0:
            number = slots[at]
            if _same(arena, offsets[number], offsets[number + 1], wanted, start, stop):
                out[i] = number
                break
            at = (at + np.uint64(1)) & mask


@kernel
def rank_in(
    arena: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    order: NDArray[np.int64],
    wanted: NDArray[np.uint8],
    wanted_offsets: NDArray[np.int64],
    out: NDArray[np.int64],
) -> None:
    """
    Write how many of n strings, ``order`` sorting them by their bytes, are smaller than each wanted one.

    Parameters
    ----------
    arena, offsets, wanted, wanted_offsets, out
        As of `find`.
    order
        Shape (n,): the strings' numbers by ascending bytes.
    """
    for i in range(out.shape[0]):
        low = 0
        high = order.shape[0]
        while low < high:
            middle = (low + high) // 2
            number = order[middle]
            if _before(arena, offsets[number], offsets[number + 1], wanted, wanted_offsets[i], wanted_offsets[i + 1]):
                low = middle + 1
            else:
                high = middle
        out[i] = low


@kernel
def _before(a: NDArray[np.uint8], a_start: int, a_stop: int, b: NDArray[np.uint8], b_start: int, b_stop: int) -> bool:
    a_size = a_stop - a_start
    b_size = b_stop - b_start
    for i in range(min(a_size, b_size)):
        if a[a_start + i] != b[b_start + i]:
            return a[a_start + i] < b[b_start + i]
    return a_size < b_size

"""A hash over UTF-8 strings in one arena."""

import numpy as np
from numpy.typing import NDArray

from geo.jit import kernel

_FNV_BASIS = np.uint64(14_695_981_039_346_656_037)
_FNV_PRIME = np.uint64(1_099_511_628_211)


@kernel
def _hash(arena: NDArray[np.uint8], start: int, stop: int) -> np.uint64:
    # FNV-1a (Fowler, Noll, Vo), its high bits folded in since the slot takes the low ones.
    state = _FNV_BASIS
    for i in range(start, stop):
        state = (state ^ np.uint64(arena[i])) * _FNV_PRIME
    return state ^ (state >> np.uint64(29))


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
def number_strings(
    arena: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    slots: NDArray[np.int32],
    hashes: NDArray[np.uint64],
    number: NDArray[np.int32],
    first: NDArray[np.int32],
) -> int:
    """
    Give strings numbers as they first come, by linear probing; return how many are distinct.

    Parameters
    ----------
    arena, offsets
        String i is ``arena[offsets[i]:offsets[i + 1]]``; offsets of shape (n + 1,).
    slots
        Shape (s,), filled with -1; gets the numbers of the distinct strings.
    hashes
        Shape (n,): room for the strings' hashes, so that few strings are compared.
    number
        Shape (n,): each string's number.
    first
        Shape (n,): at a number, the first string that has it. Entries past the count are left as they were.
    """
    mask = np.uint64(slots.shape[0] - 1)
    n_distinct = 0
    for i in range(number.shape[0]):
        hashes[i] = _hash(arena, offsets[i], offsets[i + 1])
    for i in range(number.shape[0]):
        at = hashes[i] & mask
        while slots[at] >= 0:
            seen = first[slots[at]]
            if hashes[seen] == hashes[i] and _same(
                arena, offsets[seen], offsets[seen + 1], arena, offsets[i], offsets[i + 1]
            ):
                break
            at = (at + np.uint64(1)) & mask
        if slots[at] < 0:
            slots[at] = n_distinct
            first[n_distinct] = i
            n_distinct += 1
        number[i] = slots[at]
    return n_distinct


# Axes: n strings, s slots (a power of two above n).
@kernel
def fill_slots(arena: NDArray[np.uint8], offsets: NDArray[np.int64], slots: NDArray[np.int32]) -> None:
    """
    Enter distinct strings into an empty table by linear probing; arguments as of `number_strings`.

    ``slots`` gets the strings' numbers, which are their places.
    """
    mask = np.uint64(slots.shape[0] - 1)
    for i in range(offsets.shape[0] - 1):
        at = _hash(arena, offsets[i], offsets[i + 1]) & mask
        while slots[at] >= 0:
            at = (at + np.uint64(1)) & mask
        slots[at] = i


@kernel
def common_prefix(arena: NDArray[np.uint8], offsets: NDArray[np.int64]) -> int:
    """Return how many bytes at the start of all strings are the same."""
    size = offsets[1] - offsets[0] if offsets.shape[0] > 1 else 0
    for i in range(1, offsets.shape[0] - 1):
        size = min(size, offsets[i + 1] - offsets[i])
        for j in range(size):
            if arena[offsets[i] + j] != arena[offsets[0] + j]:
                size = j
                break
    return size


# Axes: m of n strings.
@kernel
def write_prefixes(
    arena: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    numbers: NDArray[np.int32],
    depth: int,
    prefix: NDArray[np.uint64],
    size: NDArray[np.int8],
) -> None:
    """
    Write the eight bytes of some strings from a depth on, as numbers that compare as the bytes do.

    Parameters
    ----------
    arena, offsets
        As of `number_strings`.
    numbers
        Shape (m,): which strings.
    depth
        How many bytes are passed over.
    prefix, size
        Shape (m,): the bytes, zeros behind the end, and how many there are.
    """
    for i in range(numbers.shape[0]):
        start = offsets[numbers[i]] + depth
        stop = min(offsets[numbers[i] + 1], start + 8)
        value = np.uint64(0)
        for at in range(start, start + 8):
            value = value << np.uint64(8)
            if at < stop:
                value |= np.uint64(arena[at])
        prefix[i] = value
        size[i] = max(0, stop - start)


# Axes: a and b of n strings.
@kernel
def merge_orders(
    arena: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    long: NDArray[np.int32],
    short: NDArray[np.int32],
    out: NDArray[np.int32],
) -> None:
    """
    Merge two lists of string numbers, each ascending by the strings' bytes, into one.

    Parameters
    ----------
    arena, offsets
        As of `number_strings`.
    long, short
        Shapes (a,) and (b,): no string is in both.
    out
        Shape (a + b,).

    Notes
    -----
    Gallops through the longer list: O(b log(a / b)) comparisons.
    """
    i = 0
    for j in range(short.shape[0]):
        start, stop = offsets[short[j]], offsets[short[j] + 1]
        low, step = i, 1
        while low + step <= long.shape[0] and _number_before(arena, offsets, long[low + step - 1], start, stop):
            low += step
            step *= 2
        high = min(low + step - 1, long.shape[0])
        while low < high:
            middle = (low + high) // 2
            if _number_before(arena, offsets, long[middle], start, stop):
                low = middle + 1
            else:
                high = middle
        out[i + j : low + j] = long[i:low]
        out[low + j] = short[j]
        i = low
    out[i + short.shape[0] :] = long[i:]


@kernel
def _number_before(arena: NDArray[np.uint8], offsets: NDArray[np.int64], number: int, start: int, stop: int) -> bool:
    return _before(arena, offsets[number], offsets[number + 1], arena, start, stop)


# Axes: n strings, s slots, m wanted.
@kernel
def find(
    arena: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    slots: NDArray[np.int32],
    wanted: NDArray[np.uint8],
    wanted_offsets: NDArray[np.int64],
    out: NDArray[np.int64],
) -> None:
    """
    Write the number of each wanted string, -1 where there is none.

    Parameters
    ----------
    arena, offsets, slots
        As filled by `number_strings` or `fill_slots`.
    wanted, wanted_offsets
        The wanted strings in an arena of their own, offsets of shape (m + 1,).
    out
        Shape (m,).
    """
    mask = np.uint64(slots.shape[0] - 1)
    for i in range(out.shape[0]):
        start = wanted_offsets[i]
        stop = wanted_offsets[i + 1]
        at = _hash(wanted, start, stop) & mask
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
    order: NDArray[np.int32],
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

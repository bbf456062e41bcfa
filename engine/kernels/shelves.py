"""What a point keeps in stock: is a whole basket on its shelf, and which rows keep an SKU."""

import numpy as np
from numpy.typing import NDArray

from engine.kernels.state import PAGE_BITS, PAGE_ROWS, Asks
from engine.kernels.stock import NO_SHELF, SHELF_BITS, SIGNATURE_BITS, SIGNATURE_WORDS, Stock
from geo.jit import inlined_kernel, kernel, prefetch

SIZE_MASK = (1 << SHELF_BITS) - 1
_A_LINE, _FETCHED = 16, 64  # entries of a cache line, and of a shelf that are asked for ahead


# Axes: e entries, l lines.
@kernel
def first_missing(
    sku: NDArray[np.int32],
    units: NDArray[np.int32],
    good_until_us: NDArray[np.int64],
    start: int,
    size: int,
    line_sku: NDArray[np.int32],
    line_quantity: NDArray[np.int64],
    first: int,
    end: int,
    asked_us: int,
) -> int:
    """
    Return the first line of a basket that a shelf has not got, ``end`` if it has all.

    Parameters
    ----------
    sku, units, good_until_us
        The pool that the shelf stands in, shape (e,).
    start, size
        The shelf: entries by ascending code.
    line_sku, line_quantity
        Shape (l,).
    first, end
        The lines of the basket.
    asked_us
        A count is good before its ``good_until_us``.
    """
    for line in range(first, end):
        wanted = line_sku[line]
        low, high = start, start + size
        while low < high:
            middle = (low + high) >> 1
            if sku[middle] < wanted:
                low = middle + 1
            else:
                high = middle
        if low == start + size or sku[low] != wanted or 0 <= units[low] < line_quantity[line]:
            return line
        if asked_us >= good_until_us[low]:
            return line
    return end


@inlined_kernel
def has_lines(stock: Stock, row: int, asks: Asks, query: int, first: int, end: int) -> bool:
    """Tell whether a row's point has the lines from ``first`` to ``end``, fresh and in the quantity."""
    if first == end:
        return True
    word = stock.word[stock.page[row >> PAGE_BITS], row & (PAGE_ROWS - 1)]
    if word == NO_SHELF:
        return False
    start, size, asked_us = word >> SHELF_BITS, word & SIZE_MASK, asks.asked_us[query]
    lines = (asks.line_sku, asks.line_quantity)
    n = stock.sku.shape[0]
    if start < n:
        return bool(
            first_missing(stock.sku, stock.units, stock.good_until_us, start, size, *lines, first, end, asked_us) == end
        )
    pool = (stock.more_sku, stock.more_units, stock.more_good_until_us)
    return bool(first_missing(*pool, start - n, size, *lines, first, end, asked_us) == end)


@inlined_kernel
def fetch_entries(stock: Stock, row: int) -> None:
    """Ask for the memory of the first entries of a row's shelf."""
    word = stock.word[stock.page[row >> PAGE_BITS], row & (PAGE_ROWS - 1)]
    start, size = word >> SHELF_BITS, word & SIZE_MASK
    if word != NO_SHELF and start < stock.sku.shape[0]:
        for entry in range(start, start + min(size, _FETCHED) + _A_LINE - 1, _A_LINE):
            prefetch(stock.sku, entry)
            prefetch(stock.units, entry)


@inlined_kernel
def has_all(stock: Stock, row: int, asks: Asks, query: int) -> bool:
    """Tell whether a row's point has everything that a query asks for."""
    return has_lines(stock, row, asks, query, asks.first_line[query], asks.end_line[query])


@inlined_kernel
def write_signatures(asks: Asks, first: int, n: int, out: NDArray[np.uint64]) -> None:
    """Write the bits of the SKUs of n queries from ``first`` on."""
    for at in range(n):
        for word in range(SIGNATURE_WORDS):
            out[at, word] = 0
        for line in range(asks.first_line[first + at], asks.end_line[first + at]):
            bit = asks.line_sku[line] % SIGNATURE_BITS
            out[at, bit >> 6] |= np.uint64(1) << np.uint64(bit & 63)


@inlined_kernel
def is_signed(signature: NDArray[np.uint64], i: int, wanted: NDArray[np.uint64], at: int) -> bool:
    """Tell whether a row has all bits that are wanted at a place of a chunk: it may have the SKUs, else it has not."""
    lacking = np.uint64(0)
    for word in range(SIGNATURE_WORDS):
        lacking |= wanted[at, word] & ~signature[i, word]
    return bool(lacking == 0)


# Axes: n rows, e entries of both pools, s SKUs.
@kernel
def count_places(
    word: NDArray[np.int64],
    sku: NDArray[np.int32],
    more_sku: NDArray[np.int32],
    count: NDArray[np.int64],
    signature: NDArray[np.uint64],
) -> None:
    """
    Add to ``count``, shape (s,), how many rows keep each SKU, and their bits to ``signature``, zeros, as of `Postings`.

    ``word`` is each row's shelf, shape (n,); ``sku`` and ``more_sku`` as of `Stock`.
    """
    n = sku.shape[0]
    for i in range(word.shape[0]):
        if word[i] != NO_SHELF:
            start = word[i] >> SHELF_BITS
            for entry in range(start, start + (word[i] & SIZE_MASK)):
                code = sku[entry] if entry < n else more_sku[entry - n]
                count[code] += 1
                bit = code % SIGNATURE_BITS
                signature[i, bit >> 6] |= np.uint64(1) << np.uint64(bit & 63)


@kernel
def write_places(
    word: NDArray[np.int64],
    sku: NDArray[np.int32],
    more_sku: NDArray[np.int32],
    next_at: NDArray[np.int64],
    place: NDArray[np.int32],
) -> None:
    """
    Write the places of the rows that keep each SKU, ascending.

    Parameters
    ----------
    word, sku, more_sku
        As of `count_places`.
    next_at
        Shape (s,): where each SKU's places start; left where they end.
    place
        As many as all rows' shelves have entries.

    Notes
    -----
    A counting sort: 50 million entries of 10 000 SKUs take half a second.
    """
    n = sku.shape[0]
    for i in range(word.shape[0]):
        if word[i] != NO_SHELF:
            start = word[i] >> SHELF_BITS
            for entry in range(start, start + (word[i] & SIZE_MASK)):
                code = sku[entry] if entry < n else more_sku[entry - n]
                place[next_at[code]] = i
                next_at[code] += 1

"""What points keep in stock: tuples of arrays."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

SHELF_BITS = 24  # of the size of a shelf, below its start
NO_SHELF = -1

SIGNATURE_WORDS = 4
SIGNATURE_BITS = 64 * SIGNATURE_WORDS
"""Fifty SKUs set 18 in a hundred of them: of four rows that lack an SKU three say so without a look at their shelf."""


class Postings(NamedTuple):
    """
    Which rows of a part keep each SKU.

    A row stays where it stood when it loses an SKU, so shelves are asked, too; no row keeps one that is not told here.

    Attributes
    ----------
    sku
        int32[s], ascending codes: those that any row keeps.
    start
        int64[s + 1]: the places of each.
    place
        int32[t]: places in index order, ascending for each SKU.
    signature
        uint64[n, SIGNATURE_WORDS]: of each row in index order a bit for the codes of its SKUs, each as `SIGNATURE_BITS`
        divides it; none where no row keeps anything.
    """

    sku: NDArray[np.int32]
    start: NDArray[np.int64]
    place: NDArray[np.int32]
    signature: NDArray[np.uint64]


class Stock(NamedTuple):
    """
    The stock of all rows: shelves of entries by ascending SKU, in two pools.

    Attributes
    ----------
    page, word
        As `Units` of where each row's shelf starts, shifted by `SHELF_BITS`, and its size; `NO_SHELF` where there is
        none. All rows of a point have the same one.
    sku, units, good_until_us
        int32[e], int32[e] and int64[e]: codes, units left (-1 where there is no limit), and the instant from which on
        the count says nothing, in microseconds since 1970.
    more_sku, more_units, more_good_until_us
        The same of the second pool, whose entries are numbered after those of the first.
    """

    page: NDArray[np.int32]
    word: NDArray[np.int64]
    sku: NDArray[np.int32]
    units: NDArray[np.int32]
    good_until_us: NDArray[np.int64]
    more_sku: NDArray[np.int32]
    more_units: NDArray[np.int32]
    more_good_until_us: NDArray[np.int64]


MAY_BE_ALL_ONE = frozenset(("good_until_us", "more_good_until_us"))
"""The arrays of a `Stock` that kernels read as columns."""

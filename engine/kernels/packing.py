"""
Tuples of arrays as one array of addresses.

A kernel that is given a tuple of arrays has each taken apart on the way in and counted at every inner call: a hundred
arrays cost a single question ten times its search. What `engine.packing.pack` made is one argument, and what is read
from it is not counted; the caller keeps the arrays alive.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.kernels.forest import Forest
from engine.kernels.state import Asks, Best, Hours, Neighbours, Part, Polygons, Room, Units, Version
from engine.kernels.stock import Postings, Stock
from engine.kernels.workshop import Workshop
from geo.jit import array_at, column_at, grid_at, inlined_kernel

NUMBERS_AN_ARRAY = 3
"""Address, length of the first axis, and of the second: of one axis how far apart elements are."""

Packed = NDArray[np.int64]


@inlined_kernel
def flat(packed: Packed, number: int, dtype: Any) -> NDArray[Any]:
    """Return the array of this number, of one axis."""
    at = NUMBERS_AN_ARRAY * number
    return array_at(packed[at], packed[at + 1], dtype)


@inlined_kernel
def column(packed: Packed, number: int, dtype: Any) -> NDArray[Any]:
    """Return the array of this number, of one axis, which may be one element seen many times."""
    at = NUMBERS_AN_ARRAY * number
    return column_at(packed[at], packed[at + 1], packed[at + 2], dtype)


@inlined_kernel
def grid(packed: Packed, number: int, dtype: Any) -> NDArray[Any]:
    """Return the array of this number, of two axes."""
    at = NUMBERS_AN_ARRAY * number
    return grid_at(packed[at], packed[at + 1], packed[at + 2], dtype)


@inlined_kernel
def neighbours_at(packed: Packed, at: int) -> Neighbours:
    """Return the neighbours whose first array has a number."""
    return Neighbours(
        flat(packed, at, np.int32),
        grid(packed, at + 1, np.int32),
        flat(packed, at + 2, np.int32),
        flat(packed, at + 3, np.int32),
        flat(packed, at + 4, np.float32),
        flat(packed, at + 5, np.uint64),
        flat(packed, at + 6, np.uint64),
        flat(packed, at + 7, np.uint32),
    )


@inlined_kernel
def workshop_at(packed: Packed) -> Workshop:
    """Return the workshop."""
    return Workshop(
        grid(packed, 0, np.float64),
        flat(packed, 1, np.int32),
        flat(packed, 2, np.int64),
        flat(packed, 3, np.int64),
        flat(packed, 4, np.int32),
        flat(packed, 5, np.int64),
        flat(packed, 6, np.float64),
        flat(packed, 7, np.int64),
        flat(packed, 8, np.float64),
        flat(packed, 9, np.float64),
        flat(packed, 10, np.int64),
        flat(packed, 11, np.float64),
        flat(packed, 12, np.uint64),
    )


@inlined_kernel
def part_at(packed: Packed, at: int) -> Part:
    """Return the part whose first array has a number."""
    return Part(
        Forest(
            grid(packed, at, np.float32),
            flat(packed, at + 1, np.float32),
            flat(packed, at + 2, np.int32),
            flat(packed, at + 3, np.int32),
            flat(packed, at + 4, np.int32),
            flat(packed, at + 5, np.int32),
        ),
        flat(packed, at + 6, np.int64),
        neighbours_at(packed, at + 7),
        column(packed, at + 15, np.float64),
        column(packed, at + 16, np.float32),
        column(packed, at + 17, np.float32),
        column(packed, at + 18, np.uint64),
        column(packed, at + 19, np.uint8),
        grid(packed, at + 20, np.float64),
        flat(packed, at + 21, np.int32),
        flat(packed, at + 22, np.int64),
        column(packed, at + 23, np.int32),
        column(packed, at + 24, np.int32),
        column(packed, at + 25, np.int32),
        column(packed, at + 26, np.uint8),
        column(packed, at + 27, np.uint8),
        column(packed, at + 28, np.float64),
        column(packed, at + 29, np.int32),
        Polygons(
            grid(packed, at + 30, np.float64),
            flat(packed, at + 31, np.int64),
            grid(packed, at + 32, np.float64),
        ),
        Postings(
            flat(packed, at + 33, np.int32),
            flat(packed, at + 34, np.int64),
            flat(packed, at + 35, np.int32),
            grid(packed, at + 36, np.uint64),
        ),
    )


ARRAYS_A_PART = 37
N_PARTS = 3


@inlined_kernel
def stock_at(packed: Packed, at: int) -> Stock:
    """Return the stock whose first array has a number."""
    return Stock(
        flat(packed, at, np.int32),
        grid(packed, at + 1, np.int64),
        flat(packed, at + 2, np.int32),
        flat(packed, at + 3, np.int32),
        column(packed, at + 4, np.int64),
        flat(packed, at + 5, np.int32),
        flat(packed, at + 6, np.int32),
        column(packed, at + 7, np.int64),
    )


@inlined_kernel
def version_at(packed: Packed) -> Version:
    """Return the version."""
    return Version(
        part_at(packed, 0),
        part_at(packed, ARRAYS_A_PART),
        part_at(packed, 2 * ARRAYS_A_PART),
        flat(packed, 3 * ARRAYS_A_PART, np.bool_),
        Units(flat(packed, 3 * ARRAYS_A_PART + 1, np.int32), grid(packed, 3 * ARRAYS_A_PART + 2, np.int64)),
        stock_at(packed, 3 * ARRAYS_A_PART + 3),
    )


@inlined_kernel
def hours_at(packed: Packed) -> Hours:
    """Return the hours."""
    return Hours(
        flat(packed, 0, np.int32),
        grid(packed, 1, np.int32),
        grid(packed, 2, np.int32),
        grid(packed, 3, np.int32),
        grid(packed, 4, np.uint64),
        grid(packed, 5, np.uint64),
    )


@inlined_kernel
def asks_at(packed: Packed) -> Asks:
    """Return the questions."""
    return Asks(
        flat(packed, 0, np.float64),
        flat(packed, 1, np.float64),
        grid(packed, 2, np.float64),
        column(packed, 3, np.int64),
        column(packed, 4, np.int64),
        column(packed, 5, np.int64),
        column(packed, 6, np.int64),
        flat(packed, 7, np.bool_),
        column(packed, 8, np.uint64),
        column(packed, 9, np.int64),
        column(packed, 10, np.int64),
        column(packed, 11, np.int64),
        flat(packed, 12, np.int32),
        flat(packed, 13, np.int64),
    )


@inlined_kernel
def best_at(packed: Packed) -> Best:
    """Return room for the best rows."""
    return Best(
        grid(packed, 0, np.float64), grid(packed, 1, np.int64), grid(packed, 2, np.int64), grid(packed, 3, np.int64)
    )


@inlined_kernel
def room_at(packed: Packed) -> Room:
    """Return a search's room."""
    return Room(
        flat(packed, 0, np.int64),
        flat(packed, 1, np.float64),
        grid(packed, 2, np.float64),
        flat(packed, 3, np.int32),
        flat(packed, 4, np.int32),
        flat(packed, 5, np.int32),
        flat(packed, 6, np.float64),
        flat(packed, 7, np.bool_),
        flat(packed, 8, np.int64),
        flat(packed, 9, np.int64),
        grid(packed, 10, np.uint64),
    )

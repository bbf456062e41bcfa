"""
The order of ids over base, middle and delta.

The id at place i of a base has (2 i + 1) large gaps as its rank. One of a middle stands in the large gap before the
next larger id of the base, with (2 j + 1) small gaps, j its place in the middle; one of a delta in the small gap
before the next larger id of the middle. So no rank changes with the parts above, and equal distances break by id
over all of them. An id that is in two parts lives in one of them only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from engine.errors import InvalidColumnError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.columns import Columns
    from engine.ids import IdTable

__all__ = ["BASE", "DELTA", "MAX_ROWS", "MIDDLE", "gaps", "gaps_at", "ranks"]

BASE, MIDDLE, DELTA = range(3)
MAX_ROWS = (2**28, 2**21 - 1, 2**11 - 1)
"""How many rows a base, a middle and a delta may have."""
_BITS = (34, 12, 0)  # below them 22 bits and 12 bits for twice a place and one, above them 29


def gaps(columns: Columns, below: Sequence[IdTable]) -> NDArray[np.int64]:
    """Return for each row its id's place among those of the parts below: of none, the base, or base and middle."""
    gap = np.zeros(columns.ids.size, np.int64)
    for table, bits in zip(below, _BITS, strict=False):
        gap += (2 * table.ranks(columns.ids)) << bits
    return gap[columns.point]


def gaps_at(gap: NDArray[np.int64], level: int) -> NDArray[np.int64]:
    """Return what is left of gaps when their rows move to a lower level."""
    return gap & (-1 << _BITS[level - 1]) if level else np.zeros_like(gap)


def ranks(columns: Columns, level: int, gap: NDArray[np.int64]) -> NDArray[np.int64]:
    """
    Return for each row of a part a number that orders the points of all parts by their ids.

    Raises
    ------
    InvalidColumnError
        If the part has more rows than its level may have.
    """
    if columns.n_rows > MAX_ROWS[level]:
        raise InvalidColumnError("point_ids", f"must have at most {MAX_ROWS[level]} rows, got {columns.n_rows}")
    return gap + (((2 * columns.ids.places() + 1) << _BITS[level])[columns.point])

"""Columns whose rows are all alike: one element, seen n times."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

__all__ = ["is_repeated", "lean", "repeated", "taken"]

_T = TypeVar("_T", bound=np.generic)


def repeated(value: _T, n: int) -> NDArray[_T]:
    """Return n times a value in the memory of one, read-only."""
    return np.broadcast_to(value, n)


def is_repeated(values: NDArray[Any]) -> bool:
    """Tell whether an array of one axis is one element seen n times."""
    return values.size > 0 and values.strides == (0,)


def lean(values: NDArray[_T]) -> NDArray[_T]:
    """Return an array of one axis in the memory of one element if all are alike, else as it is."""
    if values.size < 2 or is_repeated(values) or values[0] != values[-1] or (values != values[0]).any():
        return values
    return repeated(values[0], values.size)


def taken(values: NDArray[_T], rows: NDArray[Any]) -> NDArray[_T]:
    """Return the elements of some rows."""
    return repeated(values[0], rows.size) if is_repeated(values) else values[rows]

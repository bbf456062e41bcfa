"""What counts as a number, and columns of them."""

from __future__ import annotations

import math
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

__all__ = ["as_float", "as_floats", "find_non_number", "is_number"]


def is_number(value: object) -> TypeGuard[float]:
    """Tell whether a value is a real number: neither text, nor a boolean, nor a span of time."""
    if isinstance(value, int | float):
        return not isinstance(value, bool)
    return isinstance(value, np.integer | np.floating) and not isinstance(value, np.timedelta64)


def as_float(value: float) -> float:
    """Return a number as a float, infinite where it is a whole number beyond all floats."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def find_non_number(column: NDArray[Any]) -> int | None:
    """Return the position of the first element that is no number, None where all are: of Python objects, each is asked."""
    if column.size == 0 or column.dtype.kind in "fiu":
        return None
    if column.dtype.kind != "O":
        return 0
    return next((i for i, value in enumerate(column.tolist()) if not is_number(value)), None)


def as_floats(column: NDArray[Any]) -> NDArray[np.float64]:
    """Return a contiguous column of which `find_non_number` finds none, as `as_float` turns each."""
    if column.dtype.kind == "O":
        return np.array([as_float(value) for value in column.tolist()], np.float64)
    return np.ascontiguousarray(column, np.float64)

"""Pack tuples of arrays into one argument for kernels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from engine.kernels.state import MAY_BE_ONE, MAY_REPEAT, Asks, Part
from engine.kernels.stock import MAY_BE_ALL_ONE, Stock

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["arrays_of", "pack"]

_COLUMNS: dict[type, frozenset[str]] = {Part: MAY_REPEAT, Asks: MAY_BE_ONE, Stock: MAY_BE_ALL_ONE}


def arrays_of(value: Any) -> Iterator[tuple[NDArray[Any], bool]]:
    """Yield the arrays of a tuple of arrays and tuples, in order, and whether each may be one element seen n times."""
    if isinstance(value, np.ndarray):
        yield value, False
    elif type(value) in _COLUMNS:
        columns = _COLUMNS[type(value)]
        for name, held in value._asdict().items():
            for array, _ in arrays_of(held):
                yield array, name in columns
    else:
        for part in value:
            yield from arrays_of(part)


def pack(value: Any) -> NDArray[np.int64]:
    """
    Return the addresses and axes of all arrays of a tuple, in order.

    Whoever calls a kernel with it keeps the arrays alive meanwhile.

    Raises
    ------
    ValueError
        If an array is not contiguous: kernels read what stands at its address.
    """
    numbers: list[int] = []
    for array, may_repeat in arrays_of(value):
        repeats = may_repeat and array.strides == (0,)
        if not array.flags.c_contiguous and not repeats:
            reason = f"arrays must be contiguous to be packed, got strides {array.strides} for {array.shape}"
            raise ValueError(reason)
        stride_or_columns = int(not repeats) if array.ndim == 1 else array.shape[1]
        numbers += (array.ctypes.data, array.shape[0], stride_or_columns)
    return np.array(numbers, np.int64)

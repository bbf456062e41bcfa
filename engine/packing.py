"""Pack tuples of arrays into one argument for kernels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["arrays_of", "pack"]


def arrays_of(value: Any) -> Iterator[NDArray[Any]]:
    """Yield the arrays of a tuple of arrays and tuples, in order."""
    if isinstance(value, np.ndarray):
        yield value
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
    for array in arrays_of(value):
        if not array.flags.c_contiguous:
            reason = f"arrays must be contiguous to be packed, got strides {array.strides} for {array.shape}"
            raise ValueError(reason)
        numbers += (array.ctypes.data, array.shape[0], array.shape[-1])
    return np.array(numbers, np.int64)

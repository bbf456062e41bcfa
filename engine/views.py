"""Views of arrays that nobody can write through."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np

__all__ = ["read_only"]

_T = TypeVar("_T")


def read_only(value: _T) -> _T:
    """
    Return an array, or a tuple of arrays and tuples, as plain read-only views.

    What versions hold passes through here, so that kernels are compiled for one layout only: an array
    mapped from a file is read-only too.
    """
    held: Any = value
    if isinstance(held, np.ndarray):
        view: Any = held.view(np.ndarray)
        view.flags.writeable = False
        return view
    if isinstance(held, tuple):
        parts = [read_only(part) for part in held]
        return type(held)._make(parts) if hasattr(held, "_make") else tuple(parts)  # type: ignore[return-value]
    return value

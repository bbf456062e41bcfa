"""Tuples and dataclasses of arrays as arrays with names, and back."""

from __future__ import annotations

import functools
from dataclasses import is_dataclass
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["named_arrays", "rebuilt"]


@functools.cache
def _fields(kind: Any) -> dict[str, Any]:
    """Return the hints of a tuple's or a dataclass's fields by name."""
    return get_type_hints(kind)


def _is_nested(kind: Any) -> bool:
    return isinstance(kind, type) and (is_dataclass(kind) or hasattr(kind, "_fields"))


def named_arrays(value: Any, prefix: str = "") -> Iterator[tuple[str, NDArray[Any]]]:
    """Yield all arrays of a tuple or dataclass, each named by the fields that lead to it, with dots between."""
    for name, kind in _fields(type(value)).items():  # type: ignore[arg-type]
        held = getattr(value, name)
        if _is_nested(kind):
            yield from named_arrays(held, f"{prefix}{name}.")
        else:
            yield prefix + name, held


def rebuilt(kind: type, given: Mapping[str, NDArray[Any]], prefix: str = "") -> Any:
    """
    Return a tuple or dataclass made of arrays by name, as they are.

    Raises
    ------
    ValueError
        If one is missing or has not the dtype that its field says.
    """
    fields: dict[str, Any] = {}
    for name, hint in _fields(kind).items():
        if _is_nested(hint):
            fields[name] = rebuilt(hint, given, f"{prefix}{name}.")
            continue
        if prefix + name not in given:
            reason = f"{prefix}{name} is missing"
            raise ValueError(reason)
        array, wanted = given[prefix + name], np.dtype(get_args(get_args(hint)[1])[0])
        if array.dtype != wanted:
            reason = f"{prefix}{name} must hold {wanted}, got {array.dtype}"
            raise ValueError(reason)
        fields[name] = array
    return kind(**fields)

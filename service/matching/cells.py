"""Cells of a column as typed arrays; what cannot be one is told row by row, whole columns at a time."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

__all__ = [
    "Faults",
    "as_degrees",
    "as_mask",
    "as_text",
    "cast_each",
    "coded",
    "is_clean",
    "is_number",
    "none_if_empty",
    "of_codes",
    "shown",
]


class Faults:
    """The first reason against each of n rows."""

    def __init__(self, n: int) -> None:
        self._reasons: dict[int, str] = {}
        self.good = np.ones(n, np.bool_)

    def add(self, faulty: NDArray[np.bool_], reason: Callable[[int], str]) -> None:
        """Note the rows of a mask that have no reason yet."""
        new = faulty & self.good
        if new.any():
            self._reasons.update((i, reason(i)) for i in np.flatnonzero(new).tolist())
            self.good &= ~new

    def add_empty(self, column: pa.Array[Any], name: str) -> None:
        """Note the rows that have nothing where something is needed."""
        self.add(as_mask(column.is_null()), lambda _: f"{name} is empty")

    def reasons(self) -> Iterable[tuple[int, str]]:
        """Give the rows and their reasons."""
        return self._reasons.items()


def as_mask(values: pa.Array[Any]) -> NDArray[np.bool_]:
    """Return a column of booleans, False where it is null."""
    return values.fill_null(False).to_numpy(zero_copy_only=False)


def shown(scalar: pa.Scalar[Any]) -> str:
    """Return a cell as a message shows it: cut short, with what cannot be printed escaped."""
    try:
        value = scalar.as_py()
    except (OverflowError, ValueError):  # a time beyond Python's own
        return f"{scalar.cast(pa.int64())} {scalar.type}"
    if isinstance(value, dt.datetime | Decimal):
        return str(value)
    return repr(value.decode("utf-8", "replace") if isinstance(value, bytes) else value)[:60]


def cast_each(column: pa.Array[Any], target: Any) -> tuple[pa.Array[Any], NDArray[np.bool_]]:
    """Return a column as another type, null where a value cannot be one; and where that was."""
    # Arrow casts all or nothing: halves find the few cells that stand in the way.
    try:
        return column.cast(target), np.zeros(len(column), np.bool_)
    except pa.ArrowException:
        if len(column) == 1:
            return pa.nulls(1, target), np.ones(1, np.bool_)
    half = len(column) // 2
    first, first_faulty = cast_each(column[:half], target)
    second, second_faulty = cast_each(column[half:], target)
    return pa.concat_arrays([first, second]), np.concatenate([first_faulty, second_faulty])


def as_text(column: pa.Array[Any], name: str, faults: Faults) -> pa.Array[Any]:
    """Return a column as text, null where it is empty."""
    if isinstance(column, pa.DictionaryArray):
        column = column.dictionary_decode()
    kind = column.type
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        text, faulty = cast_each(column, pa.string())
        faults.add(faulty, lambda i: f"{name} must be UTF-8, got {column[i].as_py()!r:.60}")
    elif pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        text = column.cast(pa.string())
    else:
        text = pa.nulls(len(column), pa.string())
        faults.add(as_mask(column.is_valid()), lambda i: f"{name} must be text, got {shown(column[i])}")
    return none_if_empty(text)


def none_if_empty(text: pa.Array[Any]) -> pa.Array[Any]:
    """Return a column of text with null where nothing is in it."""
    empty = pc.equal(text, pa.scalar(""))
    return pc.if_else(empty, None, text) if as_mask(empty).any() else text


def is_number(kind: pa.DataType) -> bool:
    """Tell whether a column is of numbers: floating, whole or decimal."""
    return pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_decimal(kind)


def as_degrees(column: pa.Array[Any], name: str, faults: Faults) -> NDArray[np.float64]:
    """Return a column of numbers as float64, NaN where there is none."""

    def reason(i: int) -> str:
        return f"{name} must be a number in degrees, got {shown(column[i])}"

    kind = column.type
    if pa.types.is_binary(kind):  # a cell of CSV
        text = as_text(column, name, faults)
        faults.add_empty(text, name)
        numbers, faulty = cast_each(text, pa.float64())
    else:
        faults.add_empty(column, name)
        numbers = column.cast(pa.float64(), safe=False) if is_number(kind) else pa.nulls(len(column), pa.float64())
        faulty = as_mask(column.is_valid()) & (not is_number(kind))
    faults.add(faulty, reason)
    return numbers.fill_null(np.nan).to_numpy(zero_copy_only=False)


def is_clean(column: pa.DictionaryArray[Any, Any]) -> bool:
    """Tell whether a column came in codes of texts as `coded` gives them: none twice, none empty."""
    if not pa.types.is_string(column.type.value_type):
        return False
    texts = column.dictionary.to_pylist()
    return len(set(texts)) == len(texts) and "" not in texts and None not in texts


def coded(text: pa.Array[Any]) -> tuple[NDArray[np.int32], list[str]]:
    """Return the number of each row's text, -1 where it is null, and the distinct texts."""
    encoded = text.dictionary_encode()
    codes = encoded.indices.cast(pa.int64()).fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int32)
    return codes, [str(value) for value in encoded.dictionary.to_pylist()]


def of_codes(codes: NDArray[np.int32], values: list[Any], *, missing: Any) -> NDArray[Any]:
    """Return each row's value by its number, ``missing`` for -1."""
    return np.array([*values, missing])[codes]

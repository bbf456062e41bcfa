"""Columns of text as codes: a million rows of a thousand texts become a thousand texts and a million integers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.pandas_compat  # else the first pa.array imports it, while a snapshot opens
from numpy.typing import NDArray

from engine.errors import EngineError, InvalidColumnError
from engine.inputs import as_list

__all__ = ["TextColumn", "distinct_rows", "encode_texts", "first_rows"]

TextColumn: TypeAlias = (
    "Sequence[str | None] | NDArray[np.object_] | NDArray[np.str_] | pa.Array[Any] | pa.ChunkedArray[Any]"
)


def encode_texts(
    values: TextColumn | str | None, n_rows: int | None, argument: str, error: type[EngineError]
) -> tuple[NDArray[np.int64], list[str]]:
    """
    Return the code of each row, -1 where it has no text, and the distinct texts in order of first appearance.

    Parameters
    ----------
    values
        A list, NumPy or Arrow column of n texts, None or Arrow null; or one text (or None) for all ``n_rows``.
    n_rows
        How many rows there must be; None where this column decides it.
    argument, error
        How a fault is told.

    Raises
    ------
    EngineError
        Of class ``error`` at the first value that is neither text nor missing (NaN is neither), or that UTF-8
        cannot hold.
    InvalidColumnError
        If there are not ``n_rows``.
    """
    if n_rows is not None and (values is None or isinstance(values, str)):
        return np.full(n_rows, -1 if values is None else 0, np.int64), [] if values is None else [values]
    if values is None or isinstance(values, str):
        message = f"must be a column of texts, got {values!r:.60}"
        raise error(argument, message, value=values)
    array = _arrow(values, argument, error)
    if n_rows is not None and len(array) != n_rows:
        message = f"must be one text or as many as there are rows ({n_rows}), got {len(array)}"
        raise InvalidColumnError(argument, message)
    encoded = array.dictionary_encode()
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    return codes, [str(text) for text in encoded.dictionary.to_pylist()]


def first_rows(codes: NDArray[np.int64], n_codes: int) -> list[int]:
    """Return the first row of each code, 0 for one that does not occur; what is below zero is passed over."""
    first = np.zeros(n_codes + 1, np.int64)
    first[codes[::-1]] = np.arange(codes.size - 1, -1, -1)
    return first[:-1].tolist()


def distinct_rows(values: NDArray[np.int64]) -> tuple[NDArray[np.int64], list[int]]:
    """Return the values' numbers by first appearance (-1 for what is below zero) and the first row of each number."""
    encoded = pa.array(values, mask=values < 0).dictionary_encode()
    numbers = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    return numbers, first_rows(numbers, len(encoded.dictionary))


def _arrow(values: TextColumn, argument: str, error: type[EngineError]) -> pa.Array[Any]:
    try:
        if isinstance(values, pa.ChunkedArray):
            values = values.combine_chunks()
        if isinstance(values, pa.Array):
            return _cast(values)
        return pa.array(values, pa.large_string(), from_pandas=False)
    except (pa.ArrowException, TypeError, ValueError) as cause:
        texts = as_list(values, argument)
        position = next((i for i, text in enumerate(texts) if not _is_text(text)), None)
        if position is None:
            return pa.array(texts, pa.large_string())
        message = f"must be text or None, got {texts[position]!r:.60}"
        raise error(argument, message, position=position, value=texts[position]) from cause


def _cast(array: pa.Array[Any]) -> pa.Array[Any]:
    if isinstance(array, pa.DictionaryArray):
        array = array.dictionary_decode()
    kind = array.type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)):
        if array.null_count != len(array):
            message = f"Arrow type {kind} is not text"
            raise TypeError(message)
        return pa.nulls(len(array), pa.large_string())
    texts: pa.Array[Any] = array.cast(pa.large_string())
    return texts


def _is_text(value: object) -> bool:
    if value is None:
        return True
    if not isinstance(value, str):
        return False
    return value.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in value)

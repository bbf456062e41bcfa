"""Turn lists, NumPy and Arrow columns into arrays, or say which element is wrong."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from engine.errors import EngineError, InvalidColumnError, InvalidOfferError
from engine.sorting import sorted_by

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "Column",
    "as_degrees",
    "as_flags",
    "as_list",
    "as_offers",
    "as_text",
    "as_whole",
    "ascending_order",
    "coded_texts",
    "distinct_lists",
]

Column = Any
"""A list, a NumPy array, an Arrow array or chunked array, or a pandas series."""

MAX_WHOLE = 2**62
_OFFER_PATTERN = r"^[a-z0-9_]+/[a-z0-9_]+$"


def _is_arrow(values: Column) -> bool:
    return isinstance(values, pa.Array | pa.ChunkedArray)


def _combined(values: Column) -> Any:
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    return values


def as_list(values: Column, argument: str) -> list[Any]:
    """Return a column as a list of Python objects, missing ones as None; `InvalidColumnError` if it is none."""
    if _is_arrow(values):
        return _combined(values).to_pylist()
    items = values.tolist() if hasattr(values, "tolist") else values
    if isinstance(items, list):
        return items if items is not values else list(items)
    if isinstance(items, str) or not isinstance(items, Iterable):
        raise InvalidColumnError(argument, f"must be a column, got {values!r:.60}", value=values)
    return list(items)


def distinct_lists(values: Column, argument: str) -> tuple[list[Any], NDArray[np.int64]]:
    """
    Return the distinct elements of a column of lists, and each element's number among them.

    Arrow lists of strings are told apart without a Python object a row; in other columns each element
    counts as distinct.
    """
    if not _is_arrow(values) or not pa.types.is_list(values.type) or not pa.types.is_string(values.type.value_type):
        items = as_list(values, argument)
        return items, np.arange(len(items))
    lists = _combined(values)
    parts = lists.flatten()
    if parts.null_count or pc.any(pc.match_substring_regex(parts, r"^$|\x00")).as_py():
        items = lists.to_pylist()
        return items, np.arange(len(items))
    joined: Any = pc.dictionary_encode(pc.binary_join(lists, "\x00"), null_encoding="encode")
    texts = joined.dictionary.to_pylist()
    return [
        None if text is None else text.split("\x00") if text else [] for text in texts
    ], joined.indices.to_numpy().astype(np.int64)


def _check_length(size: int, n: int | None, argument: str) -> None:
    if n is not None and size != n:
        raise InvalidColumnError(argument, f"must have {n} elements, one for every row, got {size}")


def as_text(values: Column, argument: str, n: int | None = None) -> Any:
    """Return a column of text without missing elements as an Arrow large_string array."""
    if not hasattr(values, "__len__"):
        raise InvalidColumnError(argument, f"must be a column of text, got {values!r:.60}", value=values)
    if _is_arrow(values):
        array = _combined(values)
    else:
        items = as_list(values, argument)
        if set(map(type, items)) - {str}:
            _check_are_text(items, argument)
        array = _encoded(items, argument)
    if not (
        pa.types.is_string(array.type) or pa.types.is_large_string(array.type) or pa.types.is_string_view(array.type)
    ):
        raise InvalidColumnError(argument, f"must be text, got a column of {array.type}")
    if array.null_count:
        position = pc.index(array.is_null(), True).as_py()
        raise InvalidColumnError(argument, "must be text, got nothing", position=position)
    _check_length(len(array), n, argument)
    return array.cast(pa.large_string())


def coded_texts(values: Column, argument: str, n: int | None = None) -> tuple[NDArray[np.int64], Any]:
    """Return a column of texts as codes and their texts, as `as_text` checks them: a dictionary as it is, with a text twice, too."""
    if isinstance(values, pa.ChunkedArray):
        values = values.unify_dictionaries().combine_chunks()
    if isinstance(values, pa.DictionaryArray) and not values.null_count and not values.dictionary.null_count:
        texts = as_text(values.dictionary, argument)
        if n is not None and len(values) != n:
            raise InvalidColumnError(argument, f"must have {n} elements, one for every row, got {len(values)}")
        return values.indices.to_numpy(zero_copy_only=False).astype(np.int64), texts
    encoded: Any = as_text(values, argument, n).dictionary_encode()
    return encoded.indices.to_numpy().astype(np.int64), encoded.dictionary


def _check_are_text(items: list[Any], argument: str) -> None:
    for position, item in enumerate(items):
        if not isinstance(item, str):
            raise InvalidColumnError(argument, f"must be text, got {item!r:.60}", position=position, value=item)


def _encoded(items: list[str], argument: str) -> Any:
    try:
        return pa.array(items, pa.large_string())
    except UnicodeEncodeError:
        for position, item in enumerate(items):
            if any("\ud800" <= character <= "\udfff" for character in item):
                expected = "must be text without lone surrogates"
                raise InvalidColumnError(argument, expected, position=position, value=item) from None
        raise


def as_offers(values: Column, argument: str = "offers", n: int | None = None) -> tuple[NDArray[np.int64], list[str]]:
    """
    Return a column of ``sector/mode`` as codes and the distinct offers they stand for.

    Raises
    ------
    InvalidOfferError
        If one is not of that form; names the first position.
    """
    encoded: Any = pc.dictionary_encode(as_text(values, argument, n))
    distinct = encoded.dictionary
    codes = encoded.indices.to_numpy().astype(np.int64)
    good = pc.match_substring_regex(distinct, _OFFER_PATTERN).to_numpy(zero_copy_only=False)
    if not good.all():
        position = int(np.argmax(~good[codes]))
        value = distinct[int(codes[position])].as_py()
        expected = f'must be "sector/mode" in [a-z0-9_], got {value!r:.60}'
        raise InvalidOfferError(argument, expected, position=position, value=value)
    return codes, distinct.to_pylist()


def as_degrees(values: Column) -> Column:
    """Return a column of numbers for `geo.places.check_latlng`: Arrow's turned to NumPy, the rest as it is."""
    if not _is_arrow(values):
        return values
    array = _combined(values)
    plain = array.null_count == 0 and (pa.types.is_floating(array.type) or pa.types.is_integer(array.type))
    return array.to_numpy() if plain else array.to_pylist()


def as_whole(
    values: Column | None,
    argument: str,
    n: int,
    *,
    missing: int | None,
    minimum: int,
    maximum: int = MAX_WHOLE,
    error: type[EngineError] = InvalidColumnError,
) -> NDArray[np.int64]:
    """
    Return a column of whole numbers as int64[n], missing ones filled in.

    Parameters
    ----------
    values
        n numbers, or None where the whole column is missing.
    argument, n
        For the checks.
    missing
        What stands for a missing element; None where none may be missing.
    minimum, maximum
        The smallest and the largest number allowed.
    error
        The class raised for a bad element.
    """
    if values is None and missing is not None:
        return np.full(n, missing, np.int64)
    if _is_arrow(values) and pa.types.is_integer(_combined(values).type):
        array = _combined(values)
        gone = array.is_null().to_numpy(zero_copy_only=False)
        whole = _as_int64(array.fill_null(0).to_numpy())
    elif isinstance(values, np.ndarray) and values.dtype.kind in "iu":
        whole, gone = _as_int64(values), np.zeros(values.size, np.bool_)
    else:
        whole, gone = _whole_items(as_list(values, argument), argument, error)
    _check_length(whole.size, n, argument)
    if n == 0 or (minimum <= whole.min() and whole.max() <= maximum and not gone.any()):
        return whole
    bad = (gone & (missing is None)) | (~gone & ((whole < minimum) | (whole > maximum)))
    if bad.any():
        position = int(np.argmax(bad))
        came = "nothing" if gone[position] else int(whole[position])
        limits = f"of at least {minimum}" if maximum == MAX_WHOLE else f"from {minimum} to {maximum}"
        raise error(argument, f"must be a whole number {limits}, got {came}", position=position, value=came)
    if missing is not None:
        whole[gone] = missing
    return whole


def _as_int64(values: NDArray[Any]) -> NDArray[np.int64]:
    # Of whole numbers only uint64 holds more than int64 does: what is too large stays too large.
    if values.dtype.kind == "u" and values.dtype.itemsize == 8:
        values = np.minimum(values, np.uint64(MAX_WHOLE + 1))
    return values.astype(np.int64)


def _whole_items(
    items: Sequence[Any], argument: str, error: type[EngineError]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    whole = np.zeros(len(items), np.int64)
    gone = np.zeros(len(items), np.bool_)
    for position, item in enumerate(items):
        if item is None:
            gone[position] = True
        elif isinstance(item, bool | np.bool_) or not isinstance(item, int | np.integer) or abs(int(item)) > MAX_WHOLE:
            raise error(argument, f"must be a whole number, got {item!r:.60}", position=position, value=item)
        else:
            whole[position] = item
    return whole, gone


def as_flags(values: Column | None, argument: str, n: int) -> NDArray[np.bool_]:
    """Return a column of booleans as bool[n]; a missing column or element is false."""
    if values is None:
        return np.zeros(n, np.bool_)
    if isinstance(values, np.ndarray) and values.dtype == np.bool_:
        flags = values.astype(np.bool_)
    else:
        items = as_list(values, argument)
        for position, item in enumerate(items):
            if item is not None and not isinstance(item, bool | np.bool_):
                raise InvalidColumnError(
                    argument, f"must be true or false, got {item!r:.60}", position=position, value=item
                )
        flags = np.array([bool(item) for item in items], np.bool_)
    _check_length(flags.size, n, argument)
    return flags


def ascending_order(
    key: NDArray[np.int64], argument: str, rule: str, error: type[EngineError] = InvalidColumnError
) -> NDArray[np.int32] | None:
    """Return the stable order that sorts key, or None where it ascends already; none may come twice."""
    if (key[1:] > key[:-1]).all():
        return None
    order, ranked = sorted_by(key.astype(np.uint64))
    again = order[1:][ranked[1:] == ranked[:-1]]
    if again.size:
        raise error(argument, rule, position=int(again.min()))
    return order

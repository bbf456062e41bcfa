"""Check the items that are asked for, and turn them into lines for the kernels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.errors import InvalidColumnError, InvalidQueryError
from engine.inputs import MAX_WHOLE, Column, as_list, as_whole, ascending_order, coded_texts
from engine.kernels.baskets import write_lines
from engine.lean import repeated

if TYPE_CHECKING:
    from engine.vocabulary import Vocabulary

__all__ = ["Baskets", "Lines", "parse_items"]


class Baskets(NamedTuple):
    """
    The baskets of q queries in long form: one entry for each line, as columns (lists, NumPy or Arrow).

    Attributes
    ----------
    query
        l numbers of queries, from 0 to q - 1, in any order; one that is not named asks for no items.
    skus
        l texts, an SKU once for a query.
    quantities
        l units needed, at least 1.
    """

    query: Column
    skus: Column
    quantities: Column


class Lines(NamedTuple):
    """
    The baskets of q queries as of `engine.kernels.state.Asks`; the lines of each by SKU where it came as a mapping.

    Attributes
    ----------
    skus
        The lines' SKUs as they were asked for, where it is one basket for all.
    """

    first_line: NDArray[np.int64]
    end_line: NDArray[np.int64]
    line_sku: NDArray[np.int32]
    line_quantity: NDArray[np.int64]
    skus: tuple[str, ...] = ()


def parse_items(vocabulary: Vocabulary, items: Any, q: int) -> Lines:
    """
    Return the lines of q queries.

    Parameters
    ----------
    vocabulary
        Knows the SKUs.
    items
        None, a mapping from SKU to quantity for all, q of these, or `Baskets`.
    q
        How many queries there are.

    Raises
    ------
    EngineError
        For the first bad line.
    """
    if items is None:
        return Lines(*_same(0, q), np.empty(0, np.int32), np.empty(0, np.int64))
    if isinstance(items, Baskets):
        return _of_columns(vocabulary, items, q)
    if isinstance(items, Mapping):
        lines = _sorted_lines(items, None)
        skus = tuple(sku for sku, _ in lines)
        return Lines(*_same(len(lines), q), *_coded(vocabulary, lines), skus)
    if isinstance(items, str) or not hasattr(items, "__len__") or getattr(items, "ndim", 1) == 0:
        raise InvalidQueryError("items", f"must be a mapping from SKU to quantity, got {items!r:.60}", value=items)
    given = as_list(items, "items")
    if len(given) != q:
        raise InvalidColumnError("items", f"must be one basket, or {q}, one for every query, got {len(given)}")
    baskets = [_sorted_lines({} if item is None else item, position) for position, item in enumerate(given)]
    end = np.cumsum([0, *map(len, baskets)])
    return Lines(end[:-1], end[1:].copy(), *_coded(vocabulary, [line for basket in baskets for line in basket]))


def _same(n_lines: int, q: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    return repeated(np.int64(0), q), repeated(np.int64(n_lines), q)


def _sorted_lines(items: Any, position: int | None) -> list[tuple[str, int]]:
    """Return the lines of a basket by SKU."""
    if not isinstance(items, Mapping):
        expected = f"must be a mapping from SKU to quantity, got {items!r:.60}"
        raise InvalidQueryError("items", expected, position=position, value=items)
    for sku, quantity in items.items():
        if not isinstance(sku, str):
            raise InvalidQueryError("items", f"must name SKUs by text, got {sku!r:.60}", position=position, value=sku)
        is_whole = isinstance(quantity, int | np.integer) and not isinstance(quantity, bool | np.bool_)
        if not is_whole or not 1 <= quantity <= MAX_WHOLE:
            expected = f"must ask for a whole quantity of at least 1, got {quantity!r:.40} of {sku!r:.40}"
            raise InvalidQueryError("items", expected, position=position, value=quantity)
    return sorted(items.items())


def _coded(vocabulary: Vocabulary, lines: list[tuple[str, int]]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    return vocabulary.find_skus(sku for sku, _ in lines), np.array([quantity for _, quantity in lines], np.int64)


def _of_columns(vocabulary: Vocabulary, baskets: Baskets, q: int) -> Lines:
    codes, texts = coded_texts(baskets.skus, "items.skus")
    n = codes.size
    query = as_whole(
        baskets.query, "items.query", n, missing=None, minimum=0, maximum=max(0, q - 1), error=InvalidQueryError
    )
    quantity = as_whole(baskets.quantities, "items.quantities", n, missing=None, minimum=1, error=InvalidQueryError)
    if n and not q:
        raise InvalidColumnError("items.query", "must be empty where nothing is asked", position=0)
    number = _numbers(vocabulary, texts.to_pylist())
    least = int(number.min(initial=0))
    width = int(number.max(initial=0)) - least + 1
    sku, bounds = np.empty(n, np.int32), np.zeros(q + 1, np.int64)
    if not write_lines(query, codes, number, least, np.zeros(width, np.int64), sku, bounds[1:]):
        key = query * width + (number[codes] - least)
        order = ascending_order(key, "items.skus", "must name an SKU once for a query", InvalidQueryError)
        query, codes, quantity = query[order], codes[order], quantity[order]
        write_lines(query, codes, number, least, np.zeros(width, np.int64), sku, bounds[1:])
    return Lines(bounds[:-1], bounds[1:].copy(), sku, quantity)


def _numbers(vocabulary: Vocabulary, texts: list[str]) -> NDArray[np.int32]:
    """Return a number for each text, those that are equal the same: the code of an SKU, below zero for one that nobody keeps."""
    numbers = vocabulary.find_skus(texts)
    unknown: dict[str, int] = {}
    for at in np.flatnonzero(numbers < 0).tolist():
        numbers[at] = -1 - unknown.setdefault(texts[at], len(unknown))
    return numbers

"""Set single entries of stock in a version."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from engine.columns import Columns, joined_columns
from engine.errors import InvalidColumnError
from engine.inputs import as_whole, coded_texts
from engine.shelves import MAX_SHELF, MAX_UNITS, NO_LIMIT, Entries
from engine.snapshots import Snapshot, unknown_point, with_rows
from engine.stock import CODE_BITS, NOT_KEPT, instants_until_us, sku_codes

if TYPE_CHECKING:
    from engine.drafts import Draft

__all__ = ["with_stock"]

_MISSING = -2  # while `NOT_KEPT` has the number that means no limit on a shelf
_CODE = (1 << CODE_BITS) - 1


def with_stock(draft: Draft, snapshot: Snapshot, given: Any) -> Snapshot:
    """
    Return the version with entries set; of one that is named twice the last counts.

    Shelves are written anew. A row whose point did not keep an SKU before enters the delta: postings never grow.
    """
    if not isinstance(given, tuple | list) or len(given) not in {3, 4}:
        raise InvalidColumnError("stock", "must be (point ids, SKUs, units, good_until)")
    point_ids, skus, units, good_until = (*given, None)[:4]
    number, names = _distinct(point_ids)
    n = number.size
    left = as_whole(units, "stock.units", n, missing=_MISSING, minimum=NOT_KEPT, maximum=MAX_UNITS)
    until_us = instants_until_us(good_until, "stock.good_until", n)
    rows, owner = snapshot.owned_rows(names)
    word_of_point = np.full(len(names), _MISSING, np.int64)
    word_of_point[owner] = snapshot.shelves.rows.of_rows(rows)
    if (word_of_point == _MISSING).any():
        position = int(np.argmax(word_of_point[number] == _MISSING))
        raise unknown_point("stock.point_ids", names.take(number), position, "a point")
    if not n:
        return snapshot
    key = (number << CODE_BITS) | sku_codes(draft, skus, "stock.skus", n)
    entries, sizes, is_grown = _changed(snapshot, word_of_point, key, left, until_us)
    shelves, words = snapshot.shelves.with_entries(entries, sizes)
    stays = ~is_grown[owner]
    after = replace(snapshot, shelves=shelves.with_rows(rows[stays], words[owner[stays]]))
    return _with_grown(after, rows[~stays], words[owner[~stays]])


def _distinct(point_ids: Any) -> tuple[NDArray[np.int64], Any]:
    """Return each entry's number among the points that are named, and these: of a dictionary only what is used, and once."""
    codes, texts = coded_texts(point_ids, "stock.point_ids")
    used, number = np.unique(codes, return_inverse=True)
    names = texts.take(used).dictionary_encode()
    return names.indices.to_numpy()[number].astype(np.int64), names.dictionary


def _changed(
    snapshot: Snapshot,
    words: NDArray[np.int64],
    key: NDArray[np.int64],
    units: NDArray[np.int64],
    until_us: NDArray[np.int64],
) -> tuple[Entries, NDArray[np.int64], NDArray[np.bool_]]:
    """Return the shelves of points with entries set, how many entries each has, and which have an SKU more."""
    held, sizes = snapshot.shelves.entries_of(words)
    old = (np.repeat(np.arange(words.size), sizes) << CODE_BITS) | held.sku
    keys = np.concatenate([old, key])
    order = np.argsort(keys, kind="stable")
    in_order = keys[order]
    is_last = np.append(in_order[1:] != in_order[:-1], True)
    is_first = np.append(True, is_last[:-1])
    was_held = np.maximum.accumulate(np.where(is_first, np.arange(keys.size), 0))
    all_units = np.concatenate([held.units, np.where(units == NOT_KEPT, _MISSING - 1, units)])
    all_units[all_units == _MISSING] = NO_LIMIT
    kept = is_last & (all_units[order] >= NO_LIMIT)
    is_new = kept & (order[was_held] >= old.size)
    is_grown = np.zeros(words.size, np.bool_)
    is_grown[in_order[is_new] >> CODE_BITS] = True
    at = order[kept]
    sizes = np.bincount(in_order[kept] >> CODE_BITS, minlength=words.size)
    if sizes.max(initial=0) > MAX_SHELF:
        raise InvalidColumnError("stock", f"must have at most {MAX_SHELF} SKUs for a point, got {sizes.max()}")
    skus = (in_order[kept] & _CODE).astype(np.int32)
    times = np.concatenate([held.good_until_us, until_us])[at]
    return Entries(skus, all_units[at].astype(np.int32), times), sizes.astype(np.int64), is_grown


def _with_grown(snapshot: Snapshot, rows: NDArray[np.int64], words: NDArray[np.int64]) -> Snapshot:
    """Return the version with some rows, all of each of their points, entered anew with other shelves."""
    if not rows.size:
        return snapshot
    pieces: list[tuple[Columns, NDArray[np.bool_]]] = []
    for part in snapshot.parts:
        is_own = (rows >= part.first_row) & (rows < part.first_row + part.columns.n_rows)
        own = rows[is_own]
        if own.size:
            columns = part.columns.take(own - part.first_row).with_units(snapshot.units.of_rows(own))
            pieces.append((columns.with_shelf(words[is_own]), np.ones(own.size, np.bool_)))
    return with_rows(snapshot, rows, joined_columns(pieces))

"""Check what points keep in stock, by row or in long form, and put it in order."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.errors import InvalidColumnError, UnknownPointError
from engine.inputs import Column, as_list, as_whole, ascending_order, coded_texts
from engine.instants import EPOCH, MICROSECOND, NAT, as_instants_us
from engine.lean import is_repeated, repeated
from engine.shelves import MAX_SHELF, MAX_UNITS, NEVER_US, NO_LIMIT, Entries, no_entries

if TYPE_CHECKING:
    from engine.drafts import Draft
    from engine.ids import IdTable

__all__ = ["CODE_BITS", "NOT_KEPT", "PointStock", "StockEntries", "instants_until_us", "parse_stock", "sku_codes"]

NOT_KEPT = -1
"""As units of a change: the point does not keep the SKU any more."""

CODE_BITS = 32
_FIELDS = ("point_ids", "skus", "units", "good_until")


class StockEntries(NamedTuple):
    """
    Stock in long form: one entry for each point and SKU, as columns (lists, NumPy or Arrow, dictionaries welcome).

    Attributes
    ----------
    point_ids, skus
        e texts each.
    units
        e of: units left, or None for no limit.
    good_until
        e of: an aware instant from which on the count is not trusted, or None; None for all.
    """

    point_ids: Column
    skus: Column
    units: Column
    good_until: Column | None = None


class PointStock(NamedTuple):
    """What each of p points keeps: entries by point, then SKU, and int64[p], how many each has."""

    entries: Entries
    sizes: NDArray[np.int64]


def parse_stock(draft: Draft, given: Any, ids: IdTable, point: NDArray[np.int64]) -> PointStock | None:
    """
    Return what points keep; None where nothing is given.

    Parameters
    ----------
    draft
        Gets the SKUs.
    given
        As of `Engine.from_columns`.
    ids, point
        The points, and each row's number among them.

    Raises
    ------
    EngineError
        For the first bad entry, with its position.
    """
    if given is None:
        return None
    if isinstance(given, StockEntries | Mapping):
        return _of_long_form(draft, _entries_of(given), ids)
    return _of_rows(draft, given, ids.size, point)


def _entries_of(given: Any) -> StockEntries:
    if isinstance(given, StockEntries):
        return given
    for name in given:
        if name not in _FIELDS:
            raise InvalidColumnError("stock", f"must have the columns {', '.join(_FIELDS)}, got {name!r:.40}")
    for name in _FIELDS[:3]:
        if name not in given:
            raise InvalidColumnError("stock", f"must have the columns {', '.join(_FIELDS)}, {name} is missing")
    return StockEntries(**given)


def sku_codes(draft: Draft, values: Column, argument: str, n: int) -> NDArray[np.int64]:
    """Return the code of each SKU."""
    codes, texts = coded_texts(values, argument, n)
    names = texts.to_pylist()
    is_empty = np.array([not name for name in names], np.bool_)[codes] if "" in names else codes < 0
    if is_empty.any():
        position = int(np.argmax(is_empty))
        raise InvalidColumnError(argument, "must be an SKU, got an empty text", position=position, value="")
    return draft.sku_codes(names)[codes] if n else codes


def instants_until_us(values: Any, argument: str, n: int) -> NDArray[np.int64]:
    """Return until when each of n counts is good, in microseconds since 1970, `NEVER_US` for ever."""
    if values is None:
        return repeated(np.int64(NEVER_US), n)
    instants = as_instants_us(values, argument, n)
    return np.where(instants == NAT, NEVER_US, instants)


def _of_long_form(draft: Draft, given: StockEntries, ids: IdTable) -> PointStock:
    codes, names = coded_texts(given.point_ids, "stock.point_ids")
    number = ids.find(names)[codes] if codes.size else codes
    if (number < 0).any():
        position = int(np.argmax(number < 0))
        value = names[int(codes[position])].as_py()
        expected = f"must be one of point_ids, got {value!r:.60}"
        raise UnknownPointError("stock.point_ids", expected, position=position, value=value)
    units = as_whole(given.units, "stock.units", codes.size, missing=NO_LIMIT, minimum=0, maximum=MAX_UNITS)
    skus = sku_codes(draft, given.skus, "stock.skus", codes.size)
    until_us = instants_until_us(given.good_until, "stock.good_until", codes.size)
    return in_order(number, skus, units, until_us, ids.size)


def in_order(
    number: NDArray[np.int64],
    skus: NDArray[np.int64],
    units: NDArray[np.int64],
    until_us: NDArray[np.int64],
    n_points: int,
) -> PointStock:
    """Return entries by point, then SKU; none may come twice."""
    key = (number << CODE_BITS) | skus
    order = ascending_order(key, "stock", "must name an SKU once for a point")
    if order is not None:
        key, units = key[order], units[order]
        until_us = until_us if is_repeated(until_us) else until_us[order]
    sizes = np.bincount(key >> CODE_BITS, minlength=n_points)
    if sizes.max(initial=0) > MAX_SHELF:
        raise InvalidColumnError("stock", f"must have at most {MAX_SHELF} SKUs for a point, got {sizes.max()}")
    entries = Entries((key & ((1 << CODE_BITS) - 1)).astype(np.int32), units.astype(np.int32), until_us)
    return PointStock(entries, sizes.astype(np.int64))


def _of_rows(draft: Draft, given: Any, n_points: int, point: NDArray[np.int64]) -> PointStock:
    items = as_list(given, "stock")
    if len(items) != point.size:
        raise InvalidColumnError("stock", f"must have {point.size} elements, one for every row, got {len(items)}")
    kept: dict[int, tuple[int, Mapping[str, Any]]] = {}
    for row, (item, number) in enumerate(zip(items, point.tolist(), strict=True)):
        if item is None:
            continue
        if not isinstance(item, Mapping):
            expected = f"must be a mapping from SKUs to units, or None, got {item!r:.60}"
            raise InvalidColumnError("stock", expected, position=row, value=item)
        first, held = kept.setdefault(number, (row, item))
        if held is not item and dict(held) != dict(item):
            expected = f"must be one stock for all offers of a point, got another than in row {first}"
            raise InvalidColumnError("stock", expected, position=row, value=item)
    lines = [(number, *_line(row, sku, had)) for number, (row, item) in kept.items() for sku, had in item.items()]
    if not lines:
        return PointStock(no_entries(), np.zeros(n_points, np.int64))
    numbers, skus, units, until_us = zip(*lines, strict=True)
    codes = draft.sku_codes(skus)
    return in_order(np.array(numbers), codes, np.array(units), np.array(until_us, np.int64), n_points)


def _line(row: int, sku: Any, had: Any) -> tuple[str, int, int]:
    """Return an SKU, the units that a point has of it, and until when that is known."""
    if not isinstance(sku, str) or not sku or not _is_utf8(sku):
        raise InvalidColumnError("stock", f"must name SKUs by text, got {sku!r:.60}", position=row, value=sku)
    units, until = had if isinstance(had, tuple) and len(had) == 2 else (had, None)
    if units is not None and (
        isinstance(units, bool | np.bool_) or not isinstance(units, int | np.integer) or not 0 <= units <= MAX_UNITS
    ):
        expected = f"must be whole units from 0 to {MAX_UNITS}, None, or these and an instant, got {had!r:.60}"
        raise InvalidColumnError("stock", expected, position=row, value=had)
    if until is not None and (not isinstance(until, dt.datetime) or until.utcoffset() is None):
        expected = f"must be good until a datetime with a time zone, or None, got {until!r:.60}"
        raise InvalidColumnError("stock", expected, position=row, value=until)
    until_us = NEVER_US if until is None else (until - EPOCH) // MICROSECOND
    return sku, NO_LIMIT if units is None else int(units), int(until_us)


def _is_utf8(text: str) -> bool:
    return text.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in text)

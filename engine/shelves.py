"""What every point keeps in stock, in pools of entries that versions share."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.kernels import shelves as kernels
from engine.kernels.shelves import SIZE_MASK
from engine.kernels.stock import NO_SHELF, SHELF_BITS, SIGNATURE_WORDS, Postings, Stock
from engine.lean import is_repeated, repeated
from engine.named_arrays import rebuilt
from engine.units import UnitPages, paged_units
from engine.views import read_only

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = [
    "MAX_UNITS",
    "NEVER_US",
    "NO_LIMIT",
    "Entries",
    "Shelves",
    "no_entries",
    "postings_of",
    "stocked_arrays",
    "stocked_shelves",
]

NO_LIMIT = -1
MAX_UNITS = 2**31 - 1
NEVER_US = np.iinfo(np.int64).max
"""When a count that is always good ends to be so."""

MAX_SHELF = SIZE_MASK
_NO_TIMES = np.empty(0, np.int64)
LEAST_ROOM = 4096
_ROWS_AN_ENTRY = 4
"""To regrow the second pool each row is looked at: it has room for an entry for so many rows, and each one written pays."""
_FOLD_SHARE = 4
"""A second pool is folded into the first when it would hold more than one in so many of its entries."""


class Entries(NamedTuple):
    """
    Entries of shelves, one shelf after the other, each by ascending SKU.

    Attributes
    ----------
    sku
        int32[e], codes.
    units
        int32[e] left, `NO_LIMIT` where there is no limit.
    good_until_us
        int64[e]: from when on the count is not trusted, in microseconds since 1970; `NEVER_US` for never.
    """

    sku: NDArray[np.int32]
    units: NDArray[np.int32]
    good_until_us: NDArray[np.int64]


def no_entries() -> Entries:
    """Return no entries."""
    return Entries(np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0, np.int64))


def _room(n: int) -> Entries:
    return Entries(np.empty(n, np.int32), np.empty(n, np.int32), np.empty(n, np.int64))


def _picked(held: Entries, at: NDArray[np.int64]) -> Entries:
    return Entries(held.sku[at], held.units[at], held.good_until_us[at])


def _put(room: Entries, at: slice | NDArray[np.bool_], entries: Entries) -> None:
    room.sku[at] = entries.sku
    room.units[at] = entries.units
    room.good_until_us[at] = entries.good_until_us


@dataclass(frozen=True)
class Shelves:
    """
    The stock of one version.

    Shelves are never changed: a changed one is written anew into the second pool's room behind ``n_more``, where no
    version has looked yet, as `engine.units.UnitPages` does with pages.

    Attributes
    ----------
    rows
        Each row's shelf as a word of `engine.kernels.state.Stock`; rows of one point share one.
    first, more
        The pools.
    n_more
        How many entries of the second pool this version or one before it uses.
    n_codes
        Above the largest SKU's code.
    """

    rows: UnitPages
    first: Entries
    more: Entries
    n_more: int
    n_codes: int

    @classmethod
    def none(cls, n_rows: int) -> Shelves:
        """Return the stock of rows that keep none."""
        return cls(UnitPages.of(repeated(np.int64(NO_SHELF), n_rows)), no_entries(), no_entries(), 0, 0)

    @classmethod
    def around(cls, pages: NDArray[np.int64], n_rows: int, first: Entries) -> Shelves:
        """Return the stock of n rows whose words stand in pages, int64[m, PAGE_ROWS]; nothing is copied."""
        n_codes = int(first.sku.max(initial=-1)) + 1
        return cls(UnitPages.around(pages, n_rows), first, no_entries(), 0, n_codes)

    @cached_property
    def searched(self) -> Stock:
        """What the kernels read."""
        words = self.rows.searched
        return read_only(Stock(words.page, words.left, *self.first, *self.more))

    def entries_of(self, words: NDArray[np.int64]) -> tuple[Entries, NDArray[np.int64]]:
        """Return the entries of shelves, one shelf's after the other's, and how many each has."""
        sizes = np.where(words == NO_SHELF, 0, words & SIZE_MASK)
        ends = np.cumsum(sizes)
        at = np.repeat((words >> SHELF_BITS) - ends + sizes, sizes) + np.arange(ends[-1] if ends.size else 0)
        n = self.first.sku.size
        of_first = at < n
        if of_first.all():
            return _picked(self.first, at), sizes
        own = _room(at.size)
        _put(own, of_first, _picked(self.first, at[of_first]))
        _put(own, ~of_first, _picked(self.more, at[~of_first] - n))
        return own, sizes

    def had(self, row: int) -> dict[int, tuple[int, int]]:
        """Return what a row's point keeps: (units, good until when) by code."""
        entries, _ = self.entries_of(self.rows.of_rows(np.array([row])))
        pairs = zip(entries.units.tolist(), entries.good_until_us.tolist(), strict=True)
        return dict(zip(entries.sku.tolist(), pairs, strict=True))

    def with_entries(self, entries: Entries, sizes: NDArray[np.int64]) -> tuple[Shelves, NDArray[np.int64]]:
        """Return the stock with new shelves of these sizes on which no row stands yet, and their words."""
        if not self.n_more and not self.first.sku.size:
            start, after = 0, replace(self, first=_lean_times(entries))
        else:
            held = self if self.n_more + entries.sku.size <= self.more.sku.size else self._regrown(entries.sku.size)
            start = held.first.sku.size + held.n_more
            _put(held.more, slice(held.n_more, held.n_more + entries.sku.size), entries)
            after = replace(held, n_more=held.n_more + entries.sku.size)
        words = ((start + np.cumsum(sizes) - sizes) << SHELF_BITS) | sizes
        n_codes = max(self.n_codes, int(entries.sku.max(initial=-1)) + 1)
        return replace(after, n_codes=n_codes), np.where(sizes > 0, words, NO_SHELF)

    def with_rows(self, rows: NDArray[np.int64], words: NDArray[np.int64]) -> Shelves:
        """Return the stock with other shelves at some rows."""
        return replace(self, rows=self.rows.with_units(rows, words))

    def with_tail(self, start: int, words: NDArray[np.int64]) -> Shelves:
        """Return the stock with other shelves, and as many rows as these are, from a row on."""
        return replace(self, rows=self.rows.with_tail(start, words))

    def renumbered(self, words: NDArray[np.int64]) -> Shelves:
        """Return the stock of rows with these shelves; where most entries are on none, the pools are made anew."""
        after = replace(self, rows=UnitPages.of(words))
        n_held = self.first.sku.size + self.n_more
        if n_held <= LEAST_ROOM:
            return after
        kept = np.unique(words)
        n_kept = int((kept[kept != NO_SHELF] & SIZE_MASK).sum())
        return after.folded(words) if n_held > 2 * n_kept else after

    def _regrown(self, n: int) -> Shelves:
        """Return the same stock with room for n entries in the second pool; what no row has is left behind."""
        words = self.rows.flat()
        rows = np.flatnonzero(words >> SHELF_BITS >= self.first.sku.size)
        kept, number = np.unique(words[rows], return_inverse=True)
        n_more = int((kept & SIZE_MASK).sum()) + n
        least = max(LEAST_ROOM, words.size // _ROWS_AN_ENTRY)
        if n_more * _FOLD_SHARE > self.first.sku.size and n_more > least:
            folded = self.folded(words)
            return replace(folded, more=_room(max(least, 2 * n)))
        entries, sizes = self.entries_of(kept)
        more = _room(max(least, 2 * n_more))
        _put(more, slice(entries.sku.size), entries)
        moved = ((self.first.sku.size + np.cumsum(sizes) - sizes) << SHELF_BITS) | sizes
        return replace(self, more=more, n_more=entries.sku.size).with_rows(rows, moved[number])

    def folded(self, words: NDArray[np.int64]) -> Shelves:
        """Return the stock of rows with these shelves in one pool."""
        kept, number = np.unique(words, return_inverse=True)
        entries, sizes = self.entries_of(kept)
        moved = np.where(kept == NO_SHELF, NO_SHELF, ((np.cumsum(sizes) - sizes) << SHELF_BITS) | sizes)
        return Shelves(UnitPages.of(moved[number]), _lean_times(entries), no_entries(), 0, self.n_codes)


def _lean_times(entries: Entries) -> Entries:
    times = entries.good_until_us
    if times.size and not is_repeated(times) and bool((times == NEVER_US).all()):
        return entries._replace(good_until_us=repeated(np.int64(NEVER_US), times.size))
    return entries


def no_postings() -> Postings:
    """Return the postings of rows that keep nothing."""
    unsigned = np.empty((0, SIGNATURE_WORDS), np.uint64)
    return Postings(np.empty(0, np.int32), np.zeros(1, np.int64), np.empty(0, np.int32), unsigned)


def postings_of(words: NDArray[np.int64], shelves: Shelves) -> Postings:
    """Return which places keep each SKU, of rows in index order that have these shelves."""
    if bool((words == NO_SHELF).all()):
        return no_postings()
    words, stock = read_only(np.ascontiguousarray(words)), shelves.searched
    count = np.zeros(shelves.n_codes, np.int64)
    signature = np.zeros((words.size, SIGNATURE_WORDS), np.uint64)
    kernels.count_places(words, stock.sku, stock.more_sku, count, signature)
    sku = np.flatnonzero(count)
    start = np.concatenate([[0], np.cumsum(count[sku])]).astype(np.int64)
    next_at, place = np.zeros(shelves.n_codes, np.int64), np.empty(int(start[-1]), np.int32)
    next_at[sku] = start[:-1]
    kernels.write_places(words, stock.sku, stock.more_sku, next_at, place)
    return Postings(sku.astype(np.int32), start, place, signature)


def stocked_arrays(shelves: Shelves) -> Iterator[tuple[str, NDArray[Any]]]:
    """Yield the stock of a version as named arrays; times that are all alike as none."""
    words = shelves.rows.flat()
    if shelves.n_more:
        shelves = shelves.folded(words)
        words = shelves.rows.flat()
    yield "shelf", paged_units(words).left
    entries = _lean_times(shelves.first)
    yield from ((f"stock.{name}", values) for name, values in entries._asdict().items() if name != "good_until_us")
    yield "stock.good_until_us", _NO_TIMES if is_repeated(entries.good_until_us) else entries.good_until_us


def stocked_shelves(given: Mapping[str, NDArray[Any]], n_rows: int) -> Shelves:
    """Return the stock that `stocked_arrays` wrote of n rows; `ValueError` for an array of another dtype."""
    entries = rebuilt(Entries, given, "stock.")
    if not entries.good_until_us.size:
        entries = entries._replace(good_until_us=repeated(np.int64(NEVER_US), entries.sku.size))
    return Shelves.around(given["shelf"], n_rows, entries)

"""The units left of rows, in pages that versions share."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from engine.kernels.state import PAGE_BITS, PAGE_ROWS, Units
from engine.lean import is_repeated
from engine.views import read_only

__all__ = ["UnitPages", "flat_units", "paged_units"]

_UNLIMITED = -1


def paged_units(flat: NDArray[np.int64]) -> Units:
    """Return a copy of int64[n] units in pages of its own."""
    n_pages = -(-flat.size // PAGE_ROWS)
    left = np.full((max(1, n_pages), PAGE_ROWS), _UNLIMITED, np.int64)
    left.reshape(-1)[: flat.size] = flat
    return Units(np.arange(n_pages, dtype=np.int32), left)


def flat_units(units: Units, n: int) -> NDArray[np.int64]:
    """Return the units of the first n rows as int64[n], a copy."""
    return units.left[units.page].reshape(-1)[:n]


@dataclass(frozen=True)
class UnitPages:
    """
    The units of one version: pages in a pool that later versions go on filling.

    Rows may stand on the same page where all it says is the same. A change copies the pages it touches into the
    spare room behind ``n_used``, where no version has looked yet; when there is not enough room, all pages in use
    move to a new pool. There is one writer, and a version
    that was not published may be written over.

    Attributes
    ----------
    page, left
        As of `Units`; ``left`` is the pool.
    n_used
        How many pages of the pool this version or one before it uses.
    n_rows
        How many rows there are.
    has_limit
        Whether any row has, or had when it was last built, a limit.
    """

    page: NDArray[np.int32]
    left: NDArray[np.int64]
    n_used: int
    n_rows: int
    has_limit: bool

    @classmethod
    def of(cls, flat: NDArray[np.int64]) -> UnitPages:
        """Return a copy of int64[n] units; pages without a limit are one."""
        if is_repeated(flat) and flat[0] == _UNLIMITED:
            page = np.zeros(-(-flat.size // PAGE_ROWS), np.int32)
            return cls(page, np.full((1, PAGE_ROWS), _UNLIMITED, np.int64), 1, flat.size, has_limit=False)
        units = paged_units(flat)
        is_free = (units.left == _UNLIMITED).all(axis=1)
        if not is_free.any():
            return cls(units.page, units.left, units.left.shape[0], flat.size, has_limit=True)
        page = np.where(is_free, 0, np.cumsum(~is_free))[: units.page.size].astype(np.int32)
        left = np.concatenate([np.full((1, PAGE_ROWS), _UNLIMITED, np.int64), units.left[~is_free]])
        return cls(page, left, left.shape[0], flat.size, has_limit=not is_free.all())

    @classmethod
    def around(cls, pages: NDArray[np.int64], n_rows: int) -> UnitPages:
        """Return the units of n rows that stand in pages, int64[m, PAGE_ROWS]; changes write elsewhere."""
        n_pages = -(-n_rows // PAGE_ROWS)
        return cls(np.arange(n_pages, dtype=np.int32), pages, pages.shape[0], n_rows, bool((pages >= 0).any()))

    @cached_property
    def searched(self) -> Units:
        """What the kernels read."""
        return read_only(Units(self.page, self.left))

    def flat(self) -> NDArray[np.int64]:
        """Return a copy of the units by row."""
        return flat_units(self.searched, self.n_rows)

    def of_rows(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the units of some rows."""
        return self.left[self.page[rows >> PAGE_BITS], rows & (PAGE_ROWS - 1)]

    def with_units(self, rows: NDArray[np.int64], units: NDArray[np.int64]) -> UnitPages:
        """Return the pages with other units at some rows; of a row that is named twice the last counts."""
        is_touched = np.zeros(self.page.size, np.bool_)
        is_touched[rows >> PAGE_BITS] = True
        return self._with(self.page, self.n_rows, np.flatnonzero(is_touched), rows, units)

    def with_tail(self, start: int, units: NDArray[np.int64]) -> UnitPages:
        """Return the pages with other units, and as many rows as these are, from a row on."""
        n_rows = start + units.size
        n_pages = -(-n_rows // PAGE_ROWS)
        page = np.zeros(n_pages, np.int32)
        page[: min(n_pages, self.page.size)] = self.page[:n_pages]
        return self._with(page, n_rows, np.arange(start // PAGE_ROWS, n_pages), np.arange(start, n_rows), units)

    def _with(
        self,
        page: NDArray[np.int32],
        n_rows: int,
        touched: NDArray[np.int64],
        rows: NDArray[np.int64],
        units: NDArray[np.int64],
    ) -> UnitPages:
        """Return these pages of the pool, the touched ones in room of their own, with other units at some rows."""
        if not touched.size:
            return UnitPages(page, self.left, self.n_used, n_rows, self.has_limit)
        left, n_used = self.left, self.n_used
        if n_used + touched.size > left.shape[0]:
            # Room for as many again: each page moved pays for one page written.
            used, numbers = np.unique(page, return_inverse=True)
            page = numbers.astype(np.int32)
            n_used = used.size
            left = np.empty((2 * (n_used + touched.size), PAGE_ROWS), np.int64)
            np.take(self.left, used, axis=0, out=left[:n_used], mode="clip")
        else:
            page = page.copy()
        fresh = np.arange(n_used, n_used + touched.size)
        left[fresh] = left[page[touched]]
        page[touched] = fresh
        left[page[rows >> PAGE_BITS], rows & (PAGE_ROWS - 1)] = units
        return UnitPages(page, left, n_used + touched.size, n_rows, self.has_limit or bool((units >= 0).any()))

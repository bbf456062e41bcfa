"""The peer of `feasible`, that also asks whose assortment holds a basket: masks of bits first, then the SKUs themselves."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from benchmarks.basket_city import AskedBaskets, StockedCity
from benchmarks.feasible_city import OFFERS, Asked
from benchmarks.feasible_peer import Setting, by_offer, fetched

__all__ = ["FILTERS", "BasketPeer"]

FILTERS = (
    ("reach", "capacity", "hours", "basket", "area"),
    ("basket", "reach", "capacity", "hours", "area"),
    ("reach", "basket", "capacity", "hours", "area"),
    ("reach", "capacity", "hours", "area", "basket"),
)
_WORDS = 4  # of 64 bits each, for a mask
Ints = NDArray[np.int64]
Masks = NDArray[np.uint64]


class BasketPeer:
    """Everything ready made: trees, bitmaps, bounds of areas, prepared polygons, and masks of the assortments."""

    def __init__(self, stocked: StockedCity, threads: int) -> None:
        self._threads = ThreadPoolExecutor(threads)
        shapely.prepare(stocked.city.areas)
        masks = masks_of(stocked.kept)
        self._rows = [np.flatnonzero(stocked.city.offer == number) for number in range(len(OFFERS))]
        self._offers = [_Offer(stocked, rows, masks[rows]) for rows in self._rows]

    def nearest(self, asked: Asked, baskets: AskedBaskets, setting: Setting) -> Ints:
        """Return the row of each query's nearest feasible point, -1 where there is none; the offers share the threads."""
        masks = masks_of(baskets.skus)

        def answer(number: int, group: Ints) -> Ints:
            return self._offers[number].nearest(asked.take(group), baskets.take(group), masks[group], setting)

        return by_offer(self._threads, self._rows, asked, setting, answer)


def masks_of(skus: NDArray[np.int16]) -> Masks:
    """Return masks with the bit of each SKU of a row set; below 0 is none."""
    masks = np.zeros((skus.shape[0], _WORDS), np.uint64)
    for column in skus.T.astype(np.int64):
        rows = np.flatnonzero(column >= 0)
        bit = column[rows] * 2_654_435_761 % (64 * _WORDS)
        masks[rows, bit >> 6] |= np.uint64(1) << (bit & 63).astype(np.uint64)
    return masks


class _Offer:
    """The rows of one offer."""

    def __init__(self, stocked: StockedCity, rows: Ints, masks: Masks) -> None:
        city = stocked.city
        self._tree: Any = cKDTree(city.xyz[rows])
        self._is_full, self._week = city.is_full[rows], city.week[rows]
        self._reach_m, self._areas = city.reach_m[rows], city.areas[rows]
        self._is_open = np.stack([week.is_open for week in city.weeks], axis=1)
        self._kept, self._masks = stocked.kept[rows], masks
        self._bound_m = float(self._reach_m.max(initial=0.0))

    def nearest(self, asked: Asked, baskets: AskedBaskets, masks: Masks, setting: Setting) -> Ints:
        """Return the nearest row of the offer that is feasible and has the basket for each query, -1 where none is."""

        def passing(query: Ints, row: Ints, chord_m: NDArray[np.float64]) -> tuple[Ints, Ints]:
            for name in setting.filters:
                passes = self._passes(name, asked, baskets, masks, query, row, chord_m)
                query, row, chord_m = query[passes], row[passes], chord_m[passes]
            return query, row

        return fetched(self._tree, asked.xyz, self._bound_m, setting.start, passing)

    def _passes(
        self,
        name: str,
        asked: Asked,
        baskets: AskedBaskets,
        masks: Masks,
        query: Ints,
        row: Ints,
        chord_m: NDArray[np.float64],
    ) -> NDArray[np.bool_]:
        if name == "capacity":
            return ~self._is_full[row]
        if name == "hours":
            return self._is_open[asked.minute[query], self._week[row]]
        if name == "reach":
            return chord_m <= self._reach_m[row]
        if name == "area":
            return shapely.intersects_xy(self._areas[row], asked.lng[query], asked.lat[query])
        passes = (self._masks[row] & masks[query] == masks[query]).all(axis=1)
        pairs = np.flatnonzero(passes)
        for line in range(baskets.skus.shape[1]):
            sku = baskets.skus[query[pairs], line]
            has = (self._kept[row[pairs]] == sku[:, None]).any(axis=1) | (sku < 0)
            passes[pairs[~has]] = False
            pairs = pairs[has]
        return passes

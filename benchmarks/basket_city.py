"""What benchmark `basket` asks of the city of `feasible`: assortments by Zipf, and baskets out of one point's nearby."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from benchmarks.feasible_city import OFFERS, Asked, City, build_city
from engine import Baskets, Engine, StockEntries

__all__ = ["MOST_LINES", "N_SKUS", "AskedBaskets", "StockedCity", "build_stocked", "draw_assortments", "draw_baskets"]

N_SKUS = 10_000
MOST_LINES = 8
MOST_UNITS = 9
NEARBY = 4  # the basket is drawn from one of so many
_DRAWN = 160  # of which 50 differ, but for one point in a million
_CHUNK = 20_000

Ints = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class StockedCity:
    """
    A city, and what its points keep.

    Attributes
    ----------
    kept
        int16[n, m]: each point's SKUs, ascending.
    """

    city: City
    kept: NDArray[np.int16]

    def stock(self) -> StockEntries:
        """Return all entries as Arrow columns."""
        n, m = self.kept.shape
        points = pa.array([f"p{row}" for row in range(n)])
        units = np.random.default_rng(5).integers(1, MOST_UNITS, self.kept.size, dtype=np.int32, endpoint=True)
        return StockEntries(
            pa.DictionaryArray.from_arrays(np.repeat(np.arange(n, dtype=np.int32), m), points),
            pa.DictionaryArray.from_arrays(self.kept.ravel(), sku_names()),
            units,
        )

    def engine(self) -> Engine:
        """Return linli's index of the city and its stock."""
        return self.city.engine(self.stock())


def sku_names() -> pa.Array[pa.StringScalar]:
    """Return the names of all SKUs."""
    return pa.array([f"sku-{number:05d}" for number in range(N_SKUS)])


@dataclass(frozen=True, kw_only=True)
class AskedBaskets:
    """
    A basket for each of q queries.

    Attributes
    ----------
    skus
        int16[q, MOST_LINES], -1 beyond a basket's lines.
    """

    skus: NDArray[np.int16]

    def take(self, which: Ints | slice) -> AskedBaskets:
        """Return the baskets of some queries."""
        return AskedBaskets(skus=self.skus[which])

    def columns(self) -> Baskets:
        """Return the baskets as linli takes them from columns: one unit a line."""
        query, line = np.nonzero(self.skus >= 0)
        skus = pa.DictionaryArray.from_arrays(self.skus[query, line], sku_names())
        return Baskets(query, skus, np.ones(query.size, np.int64))


def build_stocked(n: int, seed: int, area_m: float, kept: NDArray[np.int16]) -> StockedCity:
    """Return the city of `feasible` with these assortments."""
    return StockedCity(city=build_city(n, seed, area_m), kept=kept)


def draw_assortments(n: int, m: int, seed: int) -> NDArray[np.int16]:
    """Return m different SKUs for each of n points: one after the other by Zipf's law, each kept once."""
    rng = np.random.default_rng(seed + 30)
    odds = np.cumsum(1.0 / np.arange(1, N_SKUS + 1))
    kept = np.empty((n, m), np.int16)
    for start in range(0, n, _CHUNK):
        kept[start : start + _CHUNK] = _different(rng, odds / odds[-1], min(_CHUNK, n - start), m)
    return kept


def _different(rng: np.random.Generator, odds: NDArray[np.float64], n: int, m: int) -> NDArray[np.int16]:
    drawn = np.searchsorted(odds, rng.random((n, _DRAWN))).astype(np.int32)
    keys = np.sort((drawn << 8) | np.arange(_DRAWN, dtype=np.int32), axis=1)  # by SKU, then as drawn
    again = np.zeros(keys.shape, np.bool_)
    again[:, 1:] = keys[:, 1:] >> 8 == keys[:, :-1] >> 8
    turn = np.where(again, 1 << 30, ((keys & 255) << 16) | (keys >> 8))
    turn.partition(m, axis=1)
    first = turn[:, :m]
    short = (first == 1 << 30).any(axis=1)
    out = np.sort(first & 0xFFFF, axis=1).astype(np.int16)
    if short.any():
        out[short] = _different(rng, odds, int(short.sum()), m)
    return out


def draw_baskets(bare: Engine, stocked: StockedCity, asked: Asked, seed: int) -> AskedBaskets:
    """
    Draw 1 to 8 SKUs for each query out of what one point nearby keeps.

    One of the four nearest that can serve the query but for the basket, or, where nobody can, that have the offer.
    """
    rng = np.random.default_rng(seed + 40)
    offers = pa.array([OFFERS[number] for number in asked.offer])
    near = bare.nearest_many(asked.lat, asked.lng, offers, k=NEARBY, at=asked.at).row
    bare_near = bare.nearest_many(asked.lat, asked.lng, offers, k=NEARBY, require=()).row
    near = np.where(near[:, :1] >= 0, near, bare_near)
    n_near = (near >= 0).sum(axis=1)
    row = near[np.arange(n_near.size), rng.integers(n_near)]
    order = rng.permuted(np.tile(np.arange(stocked.kept.shape[1]), (row.size, 1)), axis=1)[:, :MOST_LINES]
    skus = np.take_along_axis(stocked.kept[row], order, axis=1)
    n_lines = rng.integers(1, MOST_LINES, row.size, endpoint=True)
    return AskedBaskets(skus=np.where(np.arange(skus.shape[1]) < n_lines[:, None], skus, -1).astype(np.int16))

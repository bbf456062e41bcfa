"""
The few rows of a part that have the features asked for, in an index of their own.

A search for what thirty of a million rows have would pass by all the others: it is given those thirty alone. Only
rows that could not serve are left out, so the answers are the same; whoever judges the rows that were passed over
searches the whole part. Subsets are kept with the part they were taken from, and go with it.
"""

from __future__ import annotations

import threading
import weakref
from collections import OrderedDict
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from engine.forest import bits_in_nodes, build_forest, largest_in_nodes
from engine.kernels.packing import ARRAYS_A_PART, NUMBERS_AN_ARRAY, Packed
from engine.kernels.state import Part
from engine.lean import taken
from engine.neighbours import list_neighbours
from engine.packing import pack
from engine.shelves import no_postings
from engine.views import read_only
from geo.cells import FINEST_RESOLUTION, latlng_to_cell_many

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.feature_sets import EnoughSets
    from engine.kernels.state import Asks
    from engine.parts import IndexPart
    from engine.snapshots import Snapshot

__all__ = ["Narrowing", "Subset", "Subsets", "narrowed", "narrowed_to"]

RARE = 16
"""Features are rare if fewer than one row in so many has them: a search meets few others before."""
KEPT_SHARE = 8
"""Of a part's rows one in so many may be in kept subsets, together."""
MAX_KEPT = 64
_PASSED_US, _MADE_US, _LOOKED_AT_US, _LISTED_US = 0.25, 300.0, 0.001, 2.5
"""
What a search pays for a row passed over, and what a subset costs: at all, by row of the part, by row of its own.
Measured on a million rows.
"""
_BY_ROW = (
    "inner_m", "reach_m", "schedule_bit", "xyz", "row", "rank", "schedule", "lead_s", "feature_set", "flags", "area_kind", "radius_m", "polygon",
)  # fmt: skip


@dataclass(eq=False)
class Subset:
    """
    Some rows of a part, as kernels search them.

    Attributes
    ----------
    was_asked
        Whether it was searched, by who did not ask `Subsets` for it, since it was last to be dropped.
    """

    part: Part
    was_asked: bool = False

    @cached_property
    def packed(self) -> Packed:
        """The same as one argument."""
        return pack(self.part)


class Subsets:
    """The subsets of one part by what is enough; any thread may ask."""

    def __init__(self, whole: IndexPart) -> None:
        self._whole = whole
        self._n_rows = whole.part.row.size
        self._n_of_set = np.bincount(whole.part.feature_set)
        self._lock = threading.Lock()
        self._made: OrderedDict[bytes, Subset] = OrderedDict()
        self._n_asked: OrderedDict[bytes, int] = OrderedDict()

    def __len__(self) -> int:
        return len(self._made)

    def of(self, enough: NDArray[np.bool_], n_queries: int) -> Subset | None:
        """
        Return the rows whose set of features is enough; None where there are many, or they are not asked for enough.

        Parameters
        ----------
        enough
            bool by set of features.
        n_queries
            How many queries are to be searched for: a subset is made once it is cheaper than to pass rows by.
        """
        codes = np.flatnonzero(enough[: self._n_of_set.size])
        n, n_rows = self._n_rows, int(self._n_of_set[codes].sum())
        if n_rows * RARE >= n:
            return None
        key = codes.tobytes()
        with self._lock:
            if key in self._made:
                self._made.move_to_end(key)
                return self._made[key]
            asked = self._n_asked.pop(key, 0) + n_queries
            if asked * _PASSED_US * n / (n_rows + 1) < _MADE_US + _LOOKED_AT_US * n + _LISTED_US * n_rows:
                self._n_asked[key] = asked
                if len(self._n_asked) > MAX_KEPT:
                    self._n_asked.popitem(last=False)
                return None
        made = Subset(_part_of(self._whole, np.flatnonzero(enough[self._whole.part.feature_set])))
        with self._lock:
            self._made[key] = made
            while len(self._made) > MAX_KEPT or self._n_kept() * KEPT_SHARE > n:
                self._drop_one()
        return made

    def is_common(self, enough: NDArray[np.bool_]) -> bool:
        """Tell whether the rows whose set of features is enough are too many for a subset, however often asked for."""
        return int(self._n_of_set[np.flatnonzero(enough[: self._n_of_set.size])].sum()) * RARE >= self._n_rows

    def _drop_one(self) -> None:
        key, subset = self._made.popitem(last=False)
        if subset.was_asked:
            subset.was_asked = False
            self._made[key] = subset

    def _n_kept(self) -> int:
        return sum(subset.part.row.size for subset in self._made.values())


def _part_of(whole: IndexPart, places: NDArray[np.int64]) -> Part:
    """Return the rows at places of a part's index order, ascending, with trees and lists of their own."""
    part, columns = whole.part, whole.columns
    rows = part.row[places] - whole.first_row
    offers, tree_start = np.unique(columns.offer[rows], return_index=True)
    root_of_offer = np.full(part.root_of_offer.size, -1, np.int64)
    root_of_offer[offers] = np.arange(offers.size)
    by_row: dict[str, Any] = {name: taken(getattr(part, name), places) for name in _BY_ROW}
    cells = latlng_to_cell_many(columns.lat[rows], columns.lng[rows], FINEST_RESOLUTION)
    forest = build_forest(by_row["xyz"], cells, np.append(tree_start, rows.size).astype(np.int64))
    reach_sq = largest_in_nodes(by_row["reach_m"].astype(np.float64), forest) ** 2
    bits = bits_in_nodes(by_row["schedule_bit"], forest)
    trees: dict[str, Any] = {
        "forest": forest,
        "root_of_offer": root_of_offer,
        "reach_sq": reach_sq,
        "schedule_bits": bits,
        "postings": no_postings(),
    }
    few = part._replace(**trees, **by_row)
    return read_only(few._replace(neighbours=list_neighbours(few)))


def narrowed(snapshot: Snapshot, asks: Asks) -> tuple[Packed, object]:
    """
    Return the version as one argument, parts narrowed to what has the features asked for, and what keeps it alive.

    For searches for who can serve: what such a version lacks is refused for its features.
    """
    if asks.enough_features.all():
        return snapshot.packed, None
    subsets = [part.subsets.of(asks.enough_features, asks.offer.size) for part in snapshot.parts]
    return _with_subsets(snapshot, subsets), subsets


def _with_subsets(snapshot: Snapshot, subsets: Sequence[Subset | None]) -> Packed:
    if not any(subsets):
        return snapshot.packed
    packed, size = snapshot.packed.copy(), NUMBERS_AN_ARRAY * ARRAYS_A_PART
    for number, subset in enumerate(subsets):
        if subset is not None:
            packed[number * size : (number + 1) * size] = subset.packed
    return packed


@dataclass(frozen=True, eq=False)
class Narrowing:
    """A version narrowed for features, as one argument; each subset is kept by its part, as long as it keeps it."""

    packed: Packed
    subsets: tuple[weakref.ref[Subset], ...]


def narrowed_to(snapshot: Snapshot, features: EnoughSets) -> tuple[Packed, object]:
    """Return `narrowed` for one question; what nothing more is to be made of is found again at once."""
    held = snapshot.narrowings.get(features)
    if held is not None:
        subsets = [subset for reference in held.subsets if (subset := reference())]
        if len(subsets) == len(held.subsets):
            for subset in subsets:
                subset.was_asked = True
            return held.packed, subsets
    found = [part.subsets.of(features.enough, 1) for part in snapshot.parts]
    packed = _with_subsets(snapshot, found)
    if all(
        subset or part.subsets.is_common(features.enough) for part, subset in zip(snapshot.parts, found, strict=True)
    ):
        if len(snapshot.narrowings) >= MAX_KEPT:
            snapshot.narrowings.clear()
        snapshot.narrowings[features] = Narrowing(packed, tuple(weakref.ref(subset) for subset in found if subset))
    return packed, found

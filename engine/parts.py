"""Make rows searchable: sort them by offer and cell, and build the trees."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from engine.columns import PUBLIC, Columns
from engine.forest import build_forest, largest_in_nodes
from engine.kernels.state import Part, Polygons
from engine.serving import ServingTable, build_serving
from geo.cells import FINEST_RESOLUTION, latlng_to_cell_many
from geo.metric import ecef

__all__ = ["IndexPart", "build_part"]

RANK_GAP = 1 << 24
"""Ranks of neighbouring ids of a base stand so far apart that a delta's fit between them."""


@dataclass(frozen=True)
class IndexPart:
    """
    Columns and the index over their public rows.

    Attributes
    ----------
    columns
        The rows as they came.
    first_row
        The number of the first of them in the version.
    part
        What the kernels search.
    """

    columns: Columns
    first_row: int
    part: Part

    @cached_property
    def _row_order(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        order = np.lexsort((self.columns.offer, self.columns.point)).astype(np.int64)
        starts = np.searchsorted(self.columns.point[order], np.arange(self.columns.ids.size + 1))
        return order, starts

    @cached_property
    def serving(self) -> ServingTable:
        """The index of places to areas, built when first asked for."""
        return build_serving(self.part, self.columns.areas)

    @cached_property
    def place_of_row(self) -> NDArray[np.int64]:
        """Each row's place in index order, -1 for rows that are not public."""
        place = np.full(self.columns.n_rows, -1, np.int64)
        place[self.part.row - self.first_row] = np.arange(self.part.row.size)
        return place

    def rows_of(self, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the version's row numbers of all offers of these points (numbers of ``columns.ids``)."""
        order, starts = self._row_order
        sizes = starts[numbers + 1] - starts[numbers]
        places = np.repeat(starts[numbers] - np.cumsum(sizes) + sizes, sizes) + np.arange(sizes.sum())
        return order[places] + self.first_row

    def row_of_offer(self, numbers: NDArray[np.int64], offers: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the version's row number of each point's offer, -1 where it has not got it."""
        order, _ = self._row_order
        width = int(self.columns.offer.max(initial=0)) + 1
        keys = self.columns.point[order] * width + self.columns.offer[order]
        wanted = np.where((numbers >= 0) & (offers >= 0) & (offers < width), numbers * width + offers, -1)
        at = np.minimum(np.searchsorted(keys, wanted), max(0, keys.size - 1))
        found = (wanted >= 0) & (keys[at] == wanted) if keys.size else np.zeros(wanted.size, np.bool_)
        return np.where(found, order[at] + self.first_row, -1) if keys.size else np.full(wanted.size, -1, np.int64)


def build_part(columns: Columns, *, first_row: int = 0, base: IndexPart | None = None) -> IndexPart:
    """
    Return the index over columns.

    Parameters
    ----------
    columns
        The rows.
    first_row
        Their first number in the version.
    base
        The part that this one is a delta to, so that ties between both break by id.
    """
    public = np.flatnonzero(columns.visibility == PUBLIC)
    cells = latlng_to_cell_many(columns.lat[public], columns.lng[public], FINEST_RESOLUTION)
    key = cells & np.uint64((1 << 52) - 1)
    order = np.lexsort((key, columns.offer[public]))
    rows = public[order]
    offer = columns.offer[rows]
    xyz = ecef(columns.lat[rows], columns.lng[rows])
    offers, tree_start = np.unique(offer, return_index=True)
    root_of_offer = np.full(int(columns.offer.max(initial=-1)) + 1, -1, np.int64)
    root_of_offer[offers] = np.arange(offers.size)
    areas = columns.areas
    forest = build_forest(xyz, np.ascontiguousarray(key[order]), np.append(tree_start, rows.size).astype(np.int64))
    part = Part(
        forest=forest,
        root_of_offer=root_of_offer,
        reach_sq=largest_in_nodes(areas.reach_m(columns.lat, columns.lng)[rows], forest) ** 2,
        xyz=xyz,
        row=rows + first_row,
        rank=_ranks(columns, base)[rows],
        schedule=columns.schedule[rows],
        lead_s=columns.lead_s[rows],
        feature_set=columns.feature_set[rows],
        flags=columns.flags[rows],
        area_kind=areas.kind[rows],
        radius_m=areas.radius_m[rows],
        polygon=areas.polygon[rows],
        polygons=Polygons(*areas.polygons),
    )
    return IndexPart(columns, first_row, part)


def _ranks(columns: Columns, base: IndexPart | None) -> NDArray[np.int64]:
    # A base's id number r has rank (2 r + 1) gaps; a delta's between ids r - 1 and r, 2 r gaps and its own place.
    place = np.empty(columns.ids.size, np.int64)
    place[columns.ids.order] = np.arange(columns.ids.size)
    if base is None:
        return ((2 * place + 1) * RANK_GAP)[columns.point]
    return (2 * base.columns.ids.ranks(columns.ids) * RANK_GAP + place)[columns.point]

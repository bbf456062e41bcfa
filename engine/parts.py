"""Make rows searchable: sort them by offer and cell, and build the trees."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.columns import PUBLIC, Columns
from engine.forest import Forest, build_forest, largest_in_nodes
from engine.kernels.state import Part, Polygons
from engine.neighbours import list_neighbours, no_neighbours
from engine.point_rows import PointRows, group_rows
from engine.ranks import BASE, ranks
from engine.serving import ServingTable, build_serving
from engine.views import read_only
from geo.cells import FINEST_RESOLUTION, latlng_to_cell_many
from geo.metric import ecef

__all__ = ["IndexPart", "build_part", "empty_part"]


@dataclass(frozen=True, eq=False)
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
    point_rows
        The rows of each point, counted from ``first_row``.
    gap
        int64[n]: as of `engine.ranks.gaps`.
    """

    columns: Columns
    first_row: int
    part: Part
    point_rows: PointRows
    gap: NDArray[np.int64]

    def listed(self) -> IndexPart:
        """Return the part with the rows near every cell listed, if they are not yet."""
        if self.is_listed:
            return self
        listed = replace(self, part=self.part._replace(neighbours=read_only(list_neighbours(self.part))))
        for name in ("serving", "can_refuse", "place_of_row"):  # do not look at lists
            if name in self.__dict__:
                listed.__dict__[name] = self.__dict__[name]
        return listed

    @property
    def is_listed(self) -> bool:
        """Whether the rows near every cell are listed."""
        return self.part.neighbours.near_m.size > 0

    @cached_property
    def can_refuse(self) -> bool:
        """Whether any row is paused or suspended, or serves a limited area."""
        return bool(self.part.flags.any() or self.part.area_kind.any())

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

    def rows_of(self, numbers: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the version's row numbers of all offers of points (numbers of ``columns.ids``), and how many of each."""
        rows, sizes = self.point_rows.of_points(numbers)
        return rows + self.first_row, sizes

    def row_of_offer(self, numbers: NDArray[np.int64], offers: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the version's row number of each point's offer, -1 where it has not got it."""
        rows = self.point_rows.of_offers(self.columns.offer, numbers, offers)
        return np.where(rows >= 0, rows + self.first_row, -1)


def empty_part(base: IndexPart) -> IndexPart:
    """Return a part without rows to stand on a base; no kernel is called, so that a snapshot opens at once."""
    columns, part = base.columns.none(), base.part
    nested: dict[str, Any] = {
        "forest": Forest._make(array[:0] for array in part.forest),
        "neighbours": no_neighbours(0),
        "polygons": Polygons(*columns.areas.polygons),
    }
    plain = {name: array[:0] for name, array in part._asdict().items() if name not in nested}
    rows = PointRows(np.zeros(1, np.int32), np.empty(0, np.int32))
    return IndexPart(columns, base.columns.n_rows, read_only(Part(**nested, **plain)), read_only(rows), base.gap[:0])


def build_part(
    columns: Columns, *, first_row: int = 0, level: int = BASE, gap: NDArray[np.int64] | None = None
) -> IndexPart:
    """
    Return the index over columns.

    Parameters
    ----------
    columns
        The rows.
    first_row
        Their first number in the version.
    level, gap
        Which part it is to be and, unless a base, where its ids stand among those below: as of `engine.ranks`.
    """
    gap = np.broadcast_to(np.int64(0), columns.n_rows) if gap is None else gap
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
    reach_m = np.nextafter(areas.reach_m(columns.lat, columns.lng)[rows].astype(np.float32), np.float32(np.inf))
    part = Part(
        forest=forest,
        root_of_offer=root_of_offer,
        neighbours=no_neighbours(root_of_offer.size),
        reach_sq=largest_in_nodes(reach_m.astype(np.float64), forest) ** 2,
        reach_m=reach_m,
        xyz=xyz,
        row=rows + first_row,
        rank=ranks(columns, level, gap)[rows],
        schedule=columns.schedule[rows],
        lead_s=columns.lead_s[rows],
        feature_set=columns.feature_set[rows],
        flags=columns.flags[rows],
        area_kind=areas.kind[rows],
        radius_m=areas.radius_m[rows],
        polygon=areas.polygon[rows],
        polygons=Polygons(*areas.polygons),
    )
    return IndexPart(columns, first_row, read_only(part), group_rows(columns), gap)

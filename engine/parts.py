"""Make rows searchable: sort them by offer and cell, and build the trees."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from engine.columns import PUBLIC, Columns
from engine.forest import Forest, bits_in_nodes, build_forest, largest_in_nodes
from engine.kernels.hours import schedule_bit
from engine.kernels.packing import Packed
from engine.kernels.state import NEVER, Part, Polygons
from engine.lean import is_repeated, lean, repeated, taken
from engine.neighbours import list_neighbours, no_neighbours
from engine.packing import pack
from engine.point_rows import PointRows, group_rows
from engine.ranks import BASE, ranks
from engine.serving import Serving, build_serving
from engine.shelves import Shelves, no_postings, postings_of
from engine.sorting import sorted_by
from engine.subsets import Subsets
from engine.threads import in_chunks
from engine.views import read_only
from geo.cells import FINEST_RESOLUTION, latlng_to_cell_many
from geo.metric import ecef

if TYPE_CHECKING:
    pass

__all__ = ["IndexPart", "build_part", "empty_part"]

_KEY_BITS = 52  # of a cell: its base cell and digits; the bits above say nothing at one resolution


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
        for name in ("serving", "can_refuse", "place_of_row", "subsets", "names", "values"):  # do not look at lists
            if name in self.__dict__:
                listed.__dict__[name] = self.__dict__[name]
        return listed

    @cached_property
    def packed(self) -> Packed:
        """What the kernels search, as one argument."""
        return pack(self.part)

    @cached_property
    def is_listed(self) -> bool:
        """Whether the rows near every cell are listed."""
        return self.part.neighbours.near_m.size > 0

    @cached_property
    def can_refuse(self) -> bool:
        """Whether any row is paused or suspended, or serves a limited area."""
        return bool(self.part.flags.any() or self.part.area_kind.any())

    @cached_property
    def serving(self) -> Serving:
        """The index of places to areas, built when first asked for."""
        return build_serving(self.part, self.columns.areas, self.first_row)

    @cached_property
    def subsets(self) -> Subsets:
        """The rows that have rare features, apart from the others."""
        return Subsets(self)

    @cached_property
    def place_of_row(self) -> NDArray[np.int32]:
        """Each row's place in index order, -1 for rows that are not public."""
        place = np.full(self.columns.n_rows, -1, np.int32)
        place[self.part.row - self.first_row] = np.arange(self.part.row.size)
        return place

    @cached_property
    def names(self) -> tuple[memoryview, memoryview, memoryview]:
        """Each row's point, and offsets and bytes of the ids: an element of a memoryview costs a fifth of an array's."""
        ids = self.columns.ids
        return self.columns.point.data, ids.offsets.data, ids.arena.data

    @cached_property
    def values(self) -> tuple[memoryview, memoryview, memoryview, memoryview, memoryview]:
        """Each row's offer, latitude, longitude, lead time and schedule, as `names`."""
        columns = self.columns
        return columns.offer.data, columns.lat.data, columns.lng.data, columns.lead_s.data, columns.schedule.data

    def name_of(self, row: int) -> str:
        """Return the point id of one of the version's rows."""
        point, offsets, arena = self.names
        number = point[row - self.first_row]
        return str(arena[offsets[number] : offsets[number + 1]], "utf-8")

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
        "postings": no_postings(),
    }
    plain = {name: array[:0] for name, array in part._asdict().items() if name not in nested}
    rows = PointRows(np.zeros(1, np.int32), np.empty(0, np.int32))
    return IndexPart(columns, base.columns.n_rows, read_only(Part(**nested, **plain)), read_only(rows), base.gap[:0])


def build_part(
    columns: Columns,
    shelves: Shelves,
    *,
    first_row: int = 0,
    level: int = BASE,
    gap: NDArray[np.int64] | None = None,
) -> IndexPart:
    """
    Return the index over columns.

    Parameters
    ----------
    columns
        The rows; capacities left and shelves are not kept in them.
    shelves
        What the rows' shelves hold.
    first_row
        Their first number in the version.
    level, gap
        Which part it is to be and, unless a base, where its ids stand among those below: as of `engine.ranks`.
    """
    gap = repeated(np.int64(0), columns.n_rows) if gap is None else gap
    words, columns = columns.shelf, columns.without_units().lean()
    point_rows = group_rows(columns)
    if np.array_equal(point_rows.row, columns.point):  # each point has one row: three columns in the memory of one
        columns = replace(columns, point=point_rows.row)
    rows, key = _index_order(columns)
    xyz = _positions(columns, rows)
    root_of_offer, tree_start = _trees(columns.offer, rows)
    forest = build_forest(xyz, key, tree_start)
    areas = columns.areas
    inner_m, reach_m = (lean(taken(reach, rows)) for reach in areas.reaches_m(columns.lat, columns.lng))
    schedule, flags = taken(columns.schedule, rows), taken(columns.flags, rows)
    bit = lean(np.where(flags > 0, np.uint8(NEVER), schedule_bit(schedule)))
    part = Part(
        forest=forest,
        root_of_offer=root_of_offer,
        neighbours=no_neighbours(root_of_offer.size),
        reach_sq=lean(largest_in_nodes(reach_m.astype(np.float64), forest) ** 2),
        inner_m=inner_m,
        reach_m=reach_m,
        schedule_bits=lean(bits_in_nodes(bit, forest)),
        schedule_bit=bit,
        xyz=xyz,
        row=rows + np.int32(first_row),
        rank=ranks(columns, level, gap)[rows],
        schedule=schedule,
        lead_s=taken(columns.lead_s, rows),
        feature_set=taken(columns.feature_set, rows),
        flags=flags,
        area_kind=taken(areas.kind, rows),
        radius_m=taken(areas.radius_m, rows),
        polygon=taken(areas.polygon, rows),
        polygons=Polygons(*areas.polygons),
        postings=postings_of(taken(words, rows), shelves),
    )
    return IndexPart(columns, first_row, read_only(part), point_rows, gap)


def _index_order(columns: Columns) -> tuple[NDArray[np.int32], NDArray[np.uint64]]:
    """Return the public rows by offer, then cell, then as they came, and the cells' keys in that order."""
    public = np.flatnonzero(columns.visibility == PUBLIC).astype(np.int32)
    key = np.empty(public.size, np.uint64)

    def encode(start: int, stop: int) -> None:
        rows = public[start:stop]
        key[start:stop] = latlng_to_cell_many(columns.lat[rows], columns.lng[rows], FINEST_RESOLUTION)

    in_chunks(encode, public.size)
    key &= np.uint64((1 << _KEY_BITS) - 1)
    offer = taken(columns.offer, public)
    if not public.size or is_repeated(offer):
        order, key = sorted_by(key)
    elif offer.max() < 1 << (64 - _KEY_BITS):  # one number to sort by
        order, key = sorted_by(key | (offer.astype(np.uint64) << np.uint64(_KEY_BITS)))
    else:
        order = np.lexsort((key, offer)).astype(np.int32)
        key = key[order]
    return public[order], key


def _positions(columns: Columns, rows: NDArray[np.int32]) -> NDArray[np.float64]:
    xyz = np.empty((rows.size, 3))

    def write(start: int, stop: int) -> None:
        some = rows[start:stop]
        xyz[start:stop] = ecef(columns.lat[some], columns.lng[some])

    in_chunks(write, rows.size)
    return xyz


def _trees(offer: NDArray[np.int32], rows: NDArray[np.int32]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return each offer's tree, -1 where no row has it, and where in index order each tree's rows start."""
    in_order = taken(offer, rows)
    starts = np.flatnonzero(in_order[1:] != in_order[:-1]) + 1
    tree_start = np.concatenate([[0], starts, [rows.size]]) if rows.size else np.zeros(1, np.int64)
    root_of_offer = np.full(int(offer.max(initial=-1)) + 1, -1, np.int64)
    root_of_offer[in_order[tree_start[:-1]]] = np.arange(tree_start.size - 1)
    return root_of_offer, tree_start.astype(np.int64)

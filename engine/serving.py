"""Which rows' service areas contain a place: by lists of areas for cells, built once over all areas."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.areas import POLYGON, RADIUS
from engine.covering import finest_for, list_cells, starts_of
from engine.kernels import serving as kernels
from engine.kernels.covering import ASKED, CIRCLE, N_BASE_CELLS, ROW_SHIFT, Lists, Shapes
from engine.kernels.serving import Asked, ServingTable
from engine.packing import pack
from engine.views import read_only
from geo.kernels.metric import EARTH_RADIUS_M, max_chord_sq

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.areas import AreaColumns
    from engine.kernels.state import Part

__all__ = ["Serving", "build_serving", "serving_pairs"]

_QUERIES_A_CHUNK = 1024


class Serving(NamedTuple):
    """The table of a part's rows, and the number of the first of them."""

    table: ServingTable
    first_row: int


def build_serving(part: Part, areas: AreaColumns, first_row: int) -> Serving:
    """Return the table of the rows of a part; ``areas`` holds their polygons."""
    circles = _circles(part)
    roots, offers = _roots(part, areas, first_row)
    cells = list_cells(_shapes(areas, circles), roots)
    root = np.full(part.root_of_offer.size, -1, np.int64)
    root[offers] = N_BASE_CELLS * np.arange(offers.size)
    leaves = cells.leaves
    leaves.listed[leaves.listed_start[1:] - 1] ^= -1
    table = ServingTable(
        root=root,
        child=cells.child,
        start=leaves.start,
        code=leaves.code,
        first_listed=leaves.listed_start[leaves.first_asked],
        listed=leaves.listed,
        edges=areas.polygons.edges,
        circles=circles,
    )
    return Serving(read_only(table), first_row)


def _circles(part: Part) -> NDArray[np.float64]:
    """Return the circles of the rows that have one, in index order: see `ServingTable`."""
    places = np.flatnonzero(part.area_kind == RADIUS)
    circles = np.empty((places.size, 6))
    circles[:, :3] = part.xyz[places]
    for i, radius_m in enumerate(part.radius_m[places].tolist()):
        circles[i, 3:] = _surely_inside_sq(radius_m), max_chord_sq(radius_m), radius_m
    return circles


def _surely_inside_sq(radius_m: float) -> float:
    # The chord of the radius with the margin of `max_chord_sq`, the other way; none where it would not be positive.
    if not radius_m < math.pi * EARTH_RADIUS_M:
        return -1.0
    chord = 2.0 * EARTH_RADIUS_M * math.sin(radius_m / (2.0 * EARTH_RADIUS_M)) * (1.0 - 1e-9) - 1e-6
    return chord * chord if chord > 0.0 else -1.0


def _shapes(areas: AreaColumns, circles: NDArray[np.float64]) -> Shapes:
    west, south, east, north = areas.polygons.boxes.T
    width_m = (east - west) * 111_320.0 * np.cos(np.radians(np.minimum(np.abs(south), np.abs(north))))
    extent_m = np.maximum(width_m, (north - south) * 110_600.0)
    return Shapes(
        boxes=areas.polygons.boxes,
        edges=areas.polygons.edges,
        circles=np.ascontiguousarray(np.c_[circles[:, :3], np.sqrt(circles[:, 4])]),
        finest_polygon=finest_for(extent_m, np.diff(areas.polygons.starts)),
        finest_circle=finest_for(2.0 * circles[:, 5], np.zeros(len(circles), np.int64)),
    )


def _roots(part: Part, areas: AreaColumns, first_row: int) -> tuple[Lists, NDArray[np.int64]]:
    """Return a node of the whole earth for each offer that has rows, and these offers."""
    offers = np.flatnonzero(part.root_of_offer >= 0)
    roots = part.root_of_offer[offers]
    offer = np.repeat(offers, part.forest.stop[roots] - part.forest.start[roots])
    order = np.lexsort((part.row, offer))
    kind = part.area_kind[order]
    is_circle, is_polygon = kind == RADIUS, kind == POLYGON
    is_asked = is_circle | is_polygon
    circle_of_place = np.cumsum(part.area_kind == RADIUS) - 1
    area = np.where(is_circle, circle_of_place[order], part.polygon[order])
    edge_start = areas.polygons.starts
    first, count = area.copy(), np.ones(area.size, np.int64)
    first[is_polygon] = edge_start[area[is_polygon]]
    count[is_polygon] = np.diff(edge_start)[area[is_polygon]]
    listed_start = starts_of(count[is_asked])
    start = np.searchsorted(offer, np.append(offers, part.root_of_offer.size)).astype(np.int64)
    code = ((part.row[order] - first_row) << ROW_SHIFT) | (ASKED * is_asked + CIRCLE * is_circle)
    listed = np.repeat(first[is_asked] - listed_start[:-1], count[is_asked]) + np.arange(listed_start[-1])
    lists = Lists(
        cell=np.zeros(offers.size, np.uint64),
        slot=np.arange(offers.size),
        start=start,
        first_asked=starts_of(is_asked)[start],
        code=code.astype(np.int32),
        area=area[is_asked].astype(np.int32),
        listed_start=listed_start,
        listed=listed.astype(np.int32),
    )
    return lists, offers


def serving_pairs(
    servings: Sequence[Serving], dead: NDArray[np.bool_], asked: Asked, *, threads: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """
    Return all pairs of a query and a version's row that serves it, by query, then row.

    Parameters
    ----------
    servings
        Of the version's parts, whose row numbers ascend from part to part.
    dead
        bool by the version's row.
    asked
        q places.
    threads
        How many to use.
    """
    q = asked.order.size
    packed, packed_asked = [pack(serving.table) for serving in servings], pack(asked)
    dead_of = [dead[serving.first_row :] for serving in servings]
    any_dead = bool(dead.any())
    n_rows = np.zeros((len(servings), q), np.int64)
    chunks = [
        (part, first, min(first + _QUERIES_A_CHUNK, q))
        for part, serving in enumerate(servings)
        if serving.table.code.size
        for first in range(0, q, _QUERIES_A_CHUNK)
    ]

    def find(chunk: tuple[int, int, int]) -> NDArray[np.int32]:
        part, first, stop = chunk
        leaf = np.empty(stop - first, np.int64)
        rows = np.empty(kernels.find_leaves(packed[part], packed_asked, first, stop, leaf), np.int32)
        n = kernels.find_rows(
            packed[part], packed_asked, dead_of[part], any_dead, first, stop, leaf, rows, n_rows[part]
        )
        return rows[:n].copy()

    def write(chunk: tuple[int, int, int], rows: NDArray[np.int32]) -> None:
        part, first, stop = chunk
        queries = asked.order[first:stop]
        kernels.write_pairs(servings[part].first_row, rows, queries, n_rows[part], pair_start[part], query, row)

    with ThreadPoolExecutor(threads) as pool:
        in_turn = pool.map if len(chunks) > 1 else map
        found = list(in_turn(find, chunks))
        starts = starts_of(n_rows.sum(axis=0))
        pair_start = starts[:-1] + np.cumsum(n_rows, axis=0) - n_rows
        query, row = np.empty((2, starts[-1]), np.int64)
        list(in_turn(write, chunks, found))
    return query, row

"""Which rows' service areas contain a place: built once over the covers of all areas."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from engine.areas import EVERYWHERE, POLYGON, RADIUS
from engine.kernels import serving as kernels
from engine.kernels.serving import ServingTable
from geo.covers import Cover, CoverWriter

if TYPE_CHECKING:
    from engine.areas import AreaColumns
    from engine.kernels.packing import Packed
    from engine.kernels.state import Part

__all__ = ["ServingTable", "build_serving", "serving_rows"]

_FIRST_ROOM = 1 << 16


def build_serving(part: Part, areas: AreaColumns) -> ServingTable:
    """Return the serving table of the rows of a part; ``areas`` holds their polygons."""
    n_offers = part.root_of_offer.size
    place_offer = _offer_of_place(part)
    covers, place_of_cover = _covers(part, areas)
    sizes = np.array([cover.cells.size for cover in covers], np.int64)
    cell = np.concatenate([cover.cells for cover in covers]) if covers else np.empty(0, np.uint64)
    interior = np.concatenate([cover.interior for cover in covers]) if covers else np.empty(0, np.bool_)
    place = np.repeat(place_of_cover, sizes)
    order = np.lexsort((cell, place_offer[place]))
    cell, interior, place = cell[order], interior[order], place[order]
    run = place_offer[place] * 16 + ((cell >> np.uint64(52)) & np.uint64(15)).astype(np.int64)
    runs, run_start = np.unique(run, return_index=True)
    everywhere = np.flatnonzero(part.area_kind == EVERYWHERE)
    offers = np.arange(n_offers + 1)
    return ServingTable(
        cell=cell,
        place=place,
        interior=interior,
        run_start=np.append(run_start, cell.size).astype(np.int64),
        run_resolution=runs % 16,
        first_run=np.searchsorted(runs // 16, offers).astype(np.int64),
        everywhere=everywhere,
        first_everywhere=np.searchsorted(place_offer[everywhere], offers).astype(np.int64),
    )


def _offer_of_place(part: Part) -> NDArray[np.int64]:
    offers = np.flatnonzero(part.root_of_offer >= 0)
    roots = part.root_of_offer[offers]
    return np.repeat(offers, part.forest.stop[roots] - part.forest.start[roots]).astype(np.int64)


def _covers(part: Part, areas: AreaColumns) -> tuple[list[Cover], NDArray[np.int64]]:
    # A polygon shared by several rows is covered once.
    writer = CoverWriter()
    of_polygon = list(writer.polygons(areas.polygons))
    places = np.flatnonzero(part.area_kind == POLYGON)
    circles = np.flatnonzero(part.area_kind == RADIUS)
    covers = [of_polygon[part.polygon[place]] for place in places]
    covers += [writer.circle(part.xyz[place], float(part.radius_m[place])) for place in circles]
    return covers, np.concatenate([places, circles]).astype(np.int64)


def serving_rows(
    n_offers: int,
    packed_part: Packed,
    table: ServingTable,
    dead: NDArray[np.bool_],
    lat: NDArray[np.float64],
    lng: NDArray[np.float64],
    xyz: NDArray[np.float64],
    finest: NDArray[np.uint64],
    offer: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """
    Return the version's rows that serve each of q queries, and how many each has; arguments as the kernel's.

    Queries with an offer that the part has not got (code -1 or not under ``n_offers``) have none.
    """
    n_pairs = np.zeros(offer.size, np.int64)
    known = np.flatnonzero((offer >= 0) & (offer < n_offers))
    asked = (lat[known], lng[known], np.ascontiguousarray(xyz[known]), finest[known], offer[known])
    counts = np.zeros(known.size, np.int64)
    chunks: list[NDArray[np.int64]] = []
    room, query = _FIRST_ROOM, 0
    while query < known.size:
        out = np.empty(room, np.int64)
        after = kernels.serving(packed_part, table, dead, *asked, query, out, counts)
        chunks.append(out[: counts[query:after].sum()])
        room, query = (room if after > query else 2 * room), after
    n_pairs[known] = counts
    return (np.concatenate(chunks) if chunks else np.empty(0, np.int64)), n_pairs

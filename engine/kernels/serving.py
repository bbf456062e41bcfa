"""All rows whose service area contains a place, by the cells that cover the areas."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.kernels.feasibility import area_contains
from engine.kernels.packing import Packed, part_at
from engine.kernels.state import Part
from geo.jit import kernel
from geo.kernels.cells import parent


class ServingTable(NamedTuple):
    """
    The cover cells of all areas of all offers, and the rows that serve everywhere.

    Attributes
    ----------
    cell
        uint64[c], by offer and then by cell: the resolution is among a cell's highest bits.
    place
        int64[c]: the row in index order whose area the cell covers.
    interior
        bool[c]: the area holds all of the cell.
    run_start, run_resolution
        int64[r + 1] and int64[r]: a run is the cells of one offer and resolution.
    first_run
        int64[o + 1]: the runs of each offer.
    everywhere, first_everywhere
        int64[e] places by offer, and int64[o + 1].
    """

    cell: NDArray[np.uint64]
    place: NDArray[np.int64]
    interior: NDArray[np.bool_]
    run_start: NDArray[np.int64]
    run_resolution: NDArray[np.int64]
    first_run: NDArray[np.int64]
    everywhere: NDArray[np.int64]
    first_everywhere: NDArray[np.int64]


@kernel
def _first_at_least(cells: NDArray[np.uint64], start: int, stop: int, cell: np.uint64) -> int:
    while start < stop:
        middle = (start + stop) // 2
        if cells[middle] < cell:
            start = middle + 1
        else:
            stop = middle
    return start


# Axes: q queries, p pairs.
@kernel
def serving(
    packed_part: Packed,
    table: ServingTable,
    dead: NDArray[np.bool_],
    lat: NDArray[np.float64],
    lng: NDArray[np.float64],
    xyz: NDArray[np.float64],
    finest: NDArray[np.uint64],
    offer: NDArray[np.int64],
    start: int,
    out: NDArray[np.int64],
    n_pairs: NDArray[np.int64],
) -> int:
    """
    Write the rows that serve each query from ``start`` on, as long as they fit; return the next query.

    Parameters
    ----------
    packed_part, table, dead
        What is searched; bool by version row.
    lat, lng, xyz
        The places, float64[q] in degrees and float64[q, 3] in metres.
    finest
        uint64[q]: their cells at resolution 15.
    offer
        int64[q], codes within the table.
    start
        The first query.
    out
        int64[p]: gets the version's row numbers, query by query, ascending within each.
    n_pairs
        int64[q]: how many of them each query has.

    Notes
    -----
    An interior cell answers by itself; in a boundary cell the exact area is asked. O(pairs) beside a
    binary search for each resolution in use. Brute-force twin: `brute_serving`.
    """
    part = part_at(packed_part, 0)
    written = 0
    for query in range(start, offer.shape[0]):
        first = written
        full = False
        for run in range(table.first_run[offer[query]], table.first_run[offer[query] + 1]):
            cell = parent(finest[query], table.run_resolution[run])
            stop = table.run_start[run + 1]
            at = _first_at_least(table.cell, table.run_start[run], stop, cell)
            while at < stop and table.cell[at] == cell and not full:
                i = table.place[at]
                if not dead[part.row[i]] and (
                    table.interior[at] or _asked(part, i, lat[query], lng[query], xyz, query)
                ):
                    if written == out.shape[0]:
                        full = True
                    else:
                        out[written] = part.row[i]
                        written += 1
                at += 1
        for at in range(table.first_everywhere[offer[query]], table.first_everywhere[offer[query] + 1]):
            row = part.row[table.everywhere[at]]
            if not dead[row]:
                if written == out.shape[0]:
                    full = True
                    break
                out[written] = row
                written += 1
        if full:
            return query
        out[first:written].sort()
        n_pairs[query] = written - first
    return offer.shape[0]


@kernel
def _asked(part: Part, i: int, lat: float, lng: float, xyz: NDArray[np.float64], query: int) -> bool:
    dx = part.xyz[i, 0] - xyz[query, 0]
    dy = part.xyz[i, 1] - xyz[query, 1]
    dz = part.xyz[i, 2] - xyz[query, 2]
    return area_contains(part, i, lat, lng, dx * dx + dy * dy + dz * dz)

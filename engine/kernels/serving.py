"""All rows whose service area contains a place, by the lists of the cell that it lies in."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.kernels.covering import ASKED, CIRCLE, INSIDE, ROW_SHIFT
from engine.kernels.packing import Packed, flat, grid
from geo.jit import borrowing_kernel, inlined_kernel, kernel
from geo.kernels.clips import clear_crossing, listed_covers
from geo.kernels.metric import told_distance_m


class ServingTable(NamedTuple):
    """
    Cells of mixed resolution, and the areas that hold or touch each.

    Attributes
    ----------
    root
        int64[o]: where an offer's search starts: a leaf, told as ``-1 - leaf``, or the first of the 122 slots of
        its base cells. Leaf 0 is empty.
    child
        int32[s]: of each slot, a leaf or the first of the seven slots of the cell's children.
    start, code
        The leaves' entries, as of `engine.kernels.covering.Lists`.
    first_listed, listed
        int64[l] and int32[...]: the edges or the circle of each entry that is to be asked, in the order of
        the entries; the last of each has all bits inverted.
    edges
        As of `geo.polygons.PolygonTable`.
    circles
        float64[c, 6]: earth-centred centre, the squared chords that are surely inside and surely outside,
        and the radius, in metres.
    """

    root: NDArray[np.int64]
    child: NDArray[np.int32]
    start: NDArray[np.int64]
    code: NDArray[np.int32]
    first_listed: NDArray[np.int64]
    listed: NDArray[np.int32]
    edges: NDArray[np.float64]
    circles: NDArray[np.float64]


class Asked(NamedTuple):
    """
    q places, asked in an order that keeps those of a cell together: its lists and edges then stay in the cache.

    Attributes
    ----------
    lat, lng, xyz
        float64[q] in degrees, float64[q, 3] in metres.
    finest
        uint64[q]: the cells at resolution 15.
    offer
        int64[q]: codes; one that a table has not got has no rows there.
    order
        int64[q].
    """

    lat: NDArray[np.float64]
    lng: NDArray[np.float64]
    xyz: NDArray[np.float64]
    finest: NDArray[np.uint64]
    offer: NDArray[np.int64]
    order: NDArray[np.int64]


@inlined_kernel
def table_at(packed: Packed) -> ServingTable:
    """Return the table."""
    return ServingTable(
        flat(packed, 0, np.int64),
        flat(packed, 1, np.int32),
        flat(packed, 2, np.int64),
        flat(packed, 3, np.int32),
        flat(packed, 4, np.int64),
        flat(packed, 5, np.int32),
        grid(packed, 6, np.float64),
        grid(packed, 7, np.float64),
    )


@inlined_kernel
def asked_at(packed: Packed) -> Asked:
    """Return the places."""
    return Asked(
        flat(packed, 0, np.float64),
        flat(packed, 1, np.float64),
        grid(packed, 2, np.float64),
        flat(packed, 3, np.uint64),
        flat(packed, 4, np.int64),
        flat(packed, 5, np.int64),
    )


@borrowing_kernel
def find_leaves(packed_table: Packed, packed_asked: Packed, first: int, stop: int, leaf: NDArray[np.int64]) -> int:
    """
    Write the leaf of each query of ``order[first:stop]``; return how many entries these have together.

    Parameters
    ----------
    packed_table, packed_asked
        A `ServingTable` and an `Asked`.
    leaf
        int64[stop - first].
    """
    table, asked = table_at(packed_table), asked_at(packed_asked)
    n_entries = 0
    for i in range(first, stop):
        query = asked.order[i]
        offer, cell = asked.offer[query], asked.finest[query]
        at = table.root[offer] if 0 <= offer < table.root.shape[0] else -1
        digit = np.int64((cell >> np.uint64(45)) & np.uint64(127))
        shift = 42
        while at >= 0:
            at = np.int64(table.child[at + digit])
            digit = np.int64((cell >> np.uint64(max(shift, 0))) & np.uint64(7))
            shift -= 3
        leaf[i - first] = -1 - at
        n_entries += table.start[-at] - table.start[-1 - at]
    return n_entries


@borrowing_kernel
def find_rows(
    packed_table: Packed,
    packed_asked: Packed,
    dead: NDArray[np.bool_],
    any_dead: bool,
    first: int,
    stop: int,
    leaf: NDArray[np.int64],
    rows: NDArray[np.int32],
    n_rows: NDArray[np.int64],
) -> int:
    """
    Write the rows that serve each query of ``order[first:stop]``, one query's behind the other's; return how many.

    Parameters
    ----------
    packed_table, packed_asked
        A `ServingTable` and an `Asked`.
    dead, any_dead
        bool by row, counted from the part's first, and whether any is.
    leaf
        As of `find_leaves`.
    rows
        int32, as many as the leaves' entries: rows counted from the part's first, ascending for each query.
    n_rows
        int64[q]: how many each query has.

    Notes
    -----
    Brute-force twin: `brute_serving`.
    """
    table, asked = table_at(packed_table), asked_at(packed_asked)
    edges, listed = table.edges, table.listed
    at = 0
    for i in range(first, stop):
        query = asked.order[i]
        x, y = asked.lng[query], asked.lat[query]
        before = at
        k = table.first_listed[leaf[i - first]]
        for entry in range(table.start[leaf[i - first]], table.start[leaf[i - first] + 1]):
            bits = table.code[entry]
            row = bits >> ROW_SHIFT
            serves = True
            if bits & CIRCLE:
                serves = _circle_holds(table.circles, ~listed[k], asked.xyz, query)
                k += 1
            elif bits & ASKED:
                serves = bits & INSIDE != 0
                doubt = False
                k_first = k
                more = True
                while more:
                    e = listed[k]
                    k += 1
                    more = e >= 0
                    e ^= e >> 31
                    crosses, in_doubt = clear_crossing(edges[e, 0], edges[e, 1], edges[e, 2], edges[e, 3], x, y)
                    serves ^= crosses
                    doubt |= in_doubt
                if doubt:
                    serves = listed_covers(edges, listed, k_first, k, bits & INSIDE != 0, x, y)
            if any_dead:
                serves &= not dead[row]
            rows[at] = row
            at += serves
        n_rows[query] = at - before
    return at


@inlined_kernel
def _circle_holds(circles: NDArray[np.float64], circle: int, xyz: NDArray[np.float64], query: int) -> bool:
    dx = xyz[query, 0] - circles[circle, 0]
    dy = xyz[query, 1] - circles[circle, 1]
    dz = xyz[query, 2] - circles[circle, 2]
    chord_sq = dx * dx + dy * dy + dz * dz
    return chord_sq < circles[circle, 3] or (
        chord_sq <= circles[circle, 4] and told_distance_m(chord_sq) <= circles[circle, 5]
    )


# Axes: q queries, p pairs.
@kernel
def write_pairs(
    first_row: int,
    rows: NDArray[np.int32],
    queries: NDArray[np.int64],
    n_rows: NDArray[np.int64],
    pair_start: NDArray[np.int64],
    out_query: NDArray[np.int64],
    out_row: NDArray[np.int64],
) -> None:
    """
    Write what `find_rows` found where each query has its pairs.

    Parameters
    ----------
    first_row
        The number of the part's first row.
    rows, queries
        The rows, and the queries that they were found for, in that order.
    n_rows, pair_start
        int64[q]: how many of the rows each query has, and its first pair.
    out_query, out_row
        int64[p].
    """
    at = 0
    for query in queries:
        to = pair_start[query]
        for k in range(n_rows[query]):
            out_query[to + k] = query
            out_row[to + k] = first_row + rows[at + k]
        at += n_rows[query]

"""Refine cells, each with the areas that reach into it, until few of them need an exact test."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from geo.jit import borrowing_kernel, cell_to_latlng_rad, h3_kernel, kernel
from geo.kernels.clips import boxes_meet, clip, disc_box, listed_covers
from geo.kernels.covers import BOUNDARY, CELL_REACH_M, INTERIOR, OUTSIDE, base_cells, children_of, circle_state
from geo.kernels.metric import ECCENTRICITY_SQ, SEMI_MAJOR_M

ASKED = 1  # the bits of a code below its row: the exact area is to be asked
INSIDE = 2  # what the polygon's edges that are not listed say
CIRCLE = 4
ROW_SHIFT = 3
FEW_TESTS = 8.0
"""Tests that a cell may have whatever else it lists, in tests of a short list of edges."""
EDGES_A_TEST = 8.0
N_BASE_CELLS = 122
FINEST = 15


class Lists(NamedTuple):
    """
    The areas of each of m cells: those that hold all of it and those to be asked, by row.

    Attributes
    ----------
    cell, slot
        uint64[m] and int64[m]: the cell, and which child of the level it is.
    start
        int64[m + 1]: the entries of each cell.
    first_asked
        int64[m + 1]: the asked ones among them.
    code
        int32[e]: row, counted from the part's first, and bits.
    area
        int32[a], of the asked entries only: the polygon, or the circle.
    listed_start
        int64[a + 1].
    listed
        int32[...]: the edges of a polygon that decide in the cell, or the one circle.
    """

    cell: NDArray[np.uint64]
    slot: NDArray[np.int64]
    start: NDArray[np.int64]
    first_asked: NDArray[np.int64]
    code: NDArray[np.int32]
    area: NDArray[np.int32]
    listed_start: NDArray[np.int64]
    listed: NDArray[np.int32]


class Shapes(NamedTuple):
    """
    What is listed.

    Attributes
    ----------
    boxes, edges
        As of `geo.polygons.PolygonTable`.
    circles
        float64[c, 4]: earth-centred centre and chord in metres.
    finest_polygon, finest_circle
        int64[p] and int64[c]: the resolution from which on a finer cell is not worth it.
    """

    boxes: NDArray[np.float64]
    edges: NDArray[np.float64]
    circles: NDArray[np.float64]
    finest_polygon: NDArray[np.int64]
    finest_circle: NDArray[np.int64]


# Axes: m nodes.
@h3_kernel
def refine(
    shapes: Shapes,
    nodes: Lists,
    resolution: int,
    first: int,
    stop: int,
    inner: Lists,
    leaves: Lists,
    counts: NDArray[np.int64],
) -> int:
    """
    Judge the areas of nodes in each child; return the node and child before which there was no room.

    Parameters
    ----------
    shapes, nodes
        What is refined.
    resolution
        Of the children: 0 to 15.
    first, stop
        The children, counted over all nodes, 122 each at resolution 0 and 7 each below.
    inner, leaves
        Get the children to be refined and those that are not; one without areas is left out.
    counts
        int64[2, 4]: how many cells, entries, asked entries and listed there are of each.

    Notes
    -----
    A child is refined where its tests would cost more than the rest of its list, so that lists cannot
    outgrow by much the boundary cells that the areas would have each by itself.
    """
    n_children = N_BASE_CELLS if resolution == 0 else 7
    children = np.empty(n_children, np.uint64)
    latlng_rad, scratch = np.empty(2), np.empty((2, 4))
    known_node, n_known = -1, 0
    for item in range(first, stop):
        node, number = item // n_children, item % n_children
        if node != known_node:
            known_node, n_known = node, _children(nodes.cell[node], resolution, children)
        if number >= n_known:
            continue
        if not (_has_room(nodes, node, inner, counts[0]) and _has_room(nodes, node, leaves, counts[1])):
            return item
        if cell_to_latlng_rad(children[number], latlng_rad) != 0:
            return -1
        at = counts[0, 0]
        inner.cell[at] = children[number]
        inner.slot[at] = item + 1 if n_known == 6 and number > 0 else item  # a pentagon has no child 1
        is_worth_it = _list_areas(shapes, nodes, node, latlng_rad, resolution, inner, counts[0], scratch)
        entry, asked = inner.start[at + 1], inner.first_asked[at + 1]
        if entry > counts[0, 1] and is_worth_it:
            counts[0, 0], counts[0, 1], counts[0, 2], counts[0, 3] = at + 1, entry, asked, inner.listed_start[asked]
        elif entry > counts[0, 1]:
            _move_last(inner, counts[0], leaves, counts[1])
    return stop


@kernel
def _children(cell: np.uint64, resolution: int, out: NDArray[np.uint64]) -> int:
    # Write a node's children of this resolution.
    return base_cells(out) if resolution == 0 else children_of(cell, resolution - 1, out)


@borrowing_kernel
def _list_areas(
    shapes: Shapes,
    nodes: Lists,
    node: int,
    latlng_rad: NDArray[np.float64],
    resolution: int,
    out: Lists,
    counts: NDArray[np.int64],
    scratch: NDArray[np.float64],
) -> bool:
    # Write the list of a node's child behind the counted ones; tell whether to refine it is worth it.
    node_code, node_area, node_listed_start, node_listed = nodes.code, nodes.area, nodes.listed_start, nodes.listed
    boxes, edges, circles = shapes.boxes, shapes.edges, shapes.circles
    finest_polygon, finest_circle = shapes.finest_polygon, shapes.finest_circle
    out_code, out_area, out_listed_start, out_listed = out.code, out.area, out.listed_start, out.listed
    reach_m = CELL_REACH_M[resolution]
    box, xyz = scratch[0], scratch[1]
    lat, lng = math.degrees(latlng_rad[0]), math.degrees(latlng_rad[1])
    crosses = disc_box(lat, lng, reach_m, box)
    _position(latlng_rad, xyz)
    entry, asked, listed = counts[1], counts[2], counts[3]
    wanted, settled = 0.0, 0
    from_asked = nodes.first_asked[node] - 1
    for at in range(nodes.start[node], nodes.start[node + 1]):
        code = node_code[at]
        state, inside, end, finest, area = INTERIOR, False, listed, 0, 0
        if code & ASKED:
            from_asked += 1
            area = node_area[from_asked]
            if code & CIRCLE:
                state = circle_state(_distance(xyz, circles, area), reach_m, circles[area, 3])
                finest = finest_circle[area]
                out_listed[listed] = area
                end += 1
            else:
                first, stop = node_listed_start[from_asked], node_listed_start[from_asked + 1]
                inside = code & INSIDE != 0
                finest = finest_polygon[area]
                state, inside, end = _clip_polygon(
                    boxes, area, edges, node_listed, first, stop, inside, box, crosses, lat, lng, out_listed, listed
                )
        if state == OUTSIDE:
            continue
        if state == INTERIOR:
            out_code[entry] = code & ~(ASKED | INSIDE | CIRCLE)
        else:
            out_code[entry] = code & ~INSIDE | INSIDE * inside
            out_area[asked] = area
            asked += 1
            out_listed_start[asked] = end
        if state == BOUNDARY and finest > resolution:
            wanted += 1.0 + (end - listed) / EDGES_A_TEST
        else:
            settled += 1
        if state == BOUNDARY:
            listed = end
        entry += 1
    out.start[counts[0] + 1] = entry
    out.first_asked[counts[0] + 1] = asked
    return wanted > FEW_TESTS + settled and resolution < FINEST


@borrowing_kernel
def _clip_polygon(
    boxes: NDArray[np.float64],
    area: int,
    edges: NDArray[np.float64],
    listed: NDArray[np.int32],
    start: int,
    stop: int,
    inside: bool,
    box: NDArray[np.float64],
    crosses: bool,
    lat: float,
    lng: float,
    out: NDArray[np.int32],
    first: int,
) -> tuple[int, bool, int]:
    # Return how a box with this centre lies to a polygon, what the edges left out say, and the end of the others.
    if not boxes_meet(box, boxes[area, 0], boxes[area, 1], boxes[area, 2], boxes[area, 3]):
        return OUTSIDE, False, first
    end, inside, meets = clip(edges, listed, start, stop, inside, box, crosses, out, first)
    if meets:
        return BOUNDARY, inside, end
    return INTERIOR if listed_covers(edges, out, first, end, inside, lng, lat) else OUTSIDE, inside, end


@borrowing_kernel
def _distance(xyz: NDArray[np.float64], circles: NDArray[np.float64], circle: int) -> float:
    dx, dy, dz = xyz[0] - circles[circle, 0], xyz[1] - circles[circle, 1], xyz[2] - circles[circle, 2]
    return math.sqrt(dx * dx + dy * dy + dz * dz)


@kernel
def _has_room(nodes: Lists, node: int, to: Lists, counts: NDArray[np.int64]) -> bool:
    asked, asked_end = nodes.first_asked[node], nodes.first_asked[node + 1]
    return (
        counts[0] < to.cell.shape[0]
        and counts[1] + nodes.start[node + 1] - nodes.start[node] <= to.code.shape[0]
        and counts[2] + asked_end - asked <= to.area.shape[0]
        and counts[3] + nodes.listed_start[asked_end] - nodes.listed_start[asked] <= to.listed.shape[0]
    )


@kernel
def _move_last(inner: Lists, inner_counts: NDArray[np.int64], leaves: Lists, counts: NDArray[np.int64]) -> None:
    # Move the list behind the last counted one of ``inner`` to the end of ``leaves``.
    cell, entry, asked, listed = inner_counts
    n_entries = inner.start[cell + 1] - entry
    n_asked = inner.first_asked[cell + 1] - asked
    n_listed = inner.listed_start[asked + n_asked] - listed
    leaf = counts[0]
    leaves.cell[leaf] = inner.cell[cell]
    leaves.slot[leaf] = inner.slot[cell]
    leaves.start[leaf + 1] = counts[1] + n_entries
    leaves.first_asked[leaf + 1] = counts[2] + n_asked
    for i in range(n_entries):
        leaves.code[counts[1] + i] = inner.code[entry + i]
    for i in range(n_asked):
        leaves.area[counts[2] + i] = inner.area[asked + i]
        leaves.listed_start[counts[2] + i + 1] = inner.listed_start[asked + i + 1] - listed + counts[3]
    for i in range(n_listed):
        leaves.listed[counts[3] + i] = inner.listed[listed + i]
    counts[0] += 1
    counts[1] += n_entries
    counts[2] += n_asked
    counts[3] += n_listed


@borrowing_kernel
def _position(latlng_rad: NDArray[np.float64], xyz: NDArray[np.float64]) -> None:
    sin_lat, cos_lat = math.sin(latlng_rad[0]), math.cos(latlng_rad[0])
    normal_m = SEMI_MAJOR_M / math.sqrt(1.0 - ECCENTRICITY_SQ * sin_lat * sin_lat)
    xyz[0] = normal_m * cos_lat * math.cos(latlng_rad[1])
    xyz[1] = normal_m * cos_lat * math.sin(latlng_rad[1])
    xyz[2] = normal_m * (1.0 - ECCENTRICITY_SQ) * sin_lat

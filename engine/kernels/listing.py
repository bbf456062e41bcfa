"""List the rows near every cell, at a resolution that follows density."""

import math

import numpy as np
from numpy.typing import NDArray

from engine.kernels.gathering import (
    MAX_ENTRIES,
    REACH,
    bit_of_schedule,
    count_within,
    gather_enough,
    kth_smallest,
    nearest_first,
    reaching,
)
from engine.kernels.packing import Packed, neighbours_at, part_at, workshop_at
from engine.kernels.state import (
    FIRST_I,
    FIRST_J,
    FIRST_SLOT,
    N_I,
    N_J,
    NONE,
    RESOLUTION,
    ROW_BITS,
    STEPS,
    Neighbours,
    Workshop,
)
from geo.jit import borrowing_kernel, inlined_kernel, kernel
from geo.kernels.lattice import (
    FINEST_RESOLUTION,
    HALF_SQRT_3,
    SCALES,
    SPACING_M,
    SQRT_3,
    center_at,
    ecef_of,
    face_of,
    in_spacings,
    nearest_center,
    on_face,
)
from geo.kernels.metric import ECCENTRICITY_SQ

_ROWS_A_CELL = 8.0
_MAX_STEP = 3  # resolutions from a node to its cells
ROOM = 256  # rows looked at for one cell


@kernel
def _radius_m(resolution: int) -> float:
    # A hexagon's, rounded up: no place of a cell is farther from its centre.
    return SPACING_M / SCALES[resolution] / SQRT_3 * 1.0001 + 1e-3


# Axes: n rows.
@kernel
def extents(xyz: NDArray[np.float64], start: int, stop: int, out: NDArray[np.float64]) -> None:
    """
    Write for each face how many of the rows from ``start`` to ``stop`` lie on it, and within which i and j.

    ``out`` has shape (20, 2, 5): count, least i, most i, least j, most j, at resolutions 0 and 1.
    """
    out[:, :, 0] = 0.0
    out[:, :, 1] = out[:, :, 3] = math.inf
    out[:, :, 2] = out[:, :, 4] = -math.inf
    face = 0
    for row in range(start, stop):
        x, y, z = xyz[row, 0], xyz[row, 1], xyz[row, 2] / (1.0 - ECCENTRICITY_SQ)
        face = face_of(x, y, z, face)
        px, py = on_face(face, x, y, z)
        for turned in range(2):
            u, v = in_spacings(px, py, turned)
            j = v / HALF_SQRT_3
            i = u + 0.5 * j
            box = out[face, turned]
            box[0] += 1.0
            box[1] = min(box[1], i)
            box[2] = max(box[2], i)
            box[3] = min(box[3], j)
            box[4] = max(box[4], j)


# Axes: n rows.
@kernel
def along(
    xyz: NDArray[np.float64], start: int, stop: int, step: int, face: int, resolution: int, out: NDArray[np.float64]
) -> int:
    """Write i at a resolution of every so manyth row from ``start`` to ``stop`` that lies on a face; return how many."""
    found = 0
    at = face
    for row in range(start, stop, step):
        x, y, z = xyz[row, 0], xyz[row, 1], xyz[row, 2] / (1.0 - ECCENTRICITY_SQ)
        at = face_of(x, y, z, at)
        if at == face and found < out.shape[0]:
            px, py = on_face(face, x, y, z)
            u, v = in_spacings(px, py, resolution)
            out[found] = u + 0.5 * v / HALF_SQRT_3
            found += 1
    return found


@kernel
def _outside(px: float, py: float, resolution: int, parent: int) -> bool:
    # Does a cell at this offset from the middle of a coarser one lie outside it?
    x, y = in_spacings(px, py, parent)
    limit = 0.5 + SCALES[parent] / SCALES[resolution] / SQRT_3 * 1.001
    return abs(x) > limit or abs(0.5 * x + HALF_SQRT_3 * y) > limit or abs(-0.5 * x + HALF_SQRT_3 * y) > limit


@inlined_kernel
def _finish_leaf(
    neighbours: Neighbours,
    leaf: int,
    listed: NDArray[np.int64],
    squares: NDArray[np.float64],
    n: int,
    near_m: float,
    schedule_bit: NDArray[np.uint8],
) -> None:
    first = neighbours.start[leaf]
    steps_per_m = STEPS / near_m if near_m > 0.0 else 0.0
    bits = np.uint64(0)
    for at in range(n):
        bits |= bit_of_schedule(schedule_bit[listed[at]])
        step = min(STEPS - 1, int(math.sqrt(squares[at]) * steps_per_m))
        neighbours.entry[first + at] = np.uint32((step << ROW_BITS) | listed[at])
    neighbours.schedule_bits[leaf] = bits
    neighbours.near_m[leaf] = near_m * (1.0 - 1e-6) - 1e-3  # below any rounding
    neighbours.start[leaf + 1] = first + n


@inlined_kernel
def _divide(
    neighbours: Neighbours, workshop: Workshop, node: int, n_slots: int, resolution: int, px: float, py: float, n: int
) -> int:
    # Enter a node for a cell that is too full; return how many slots there are then.
    step = math.floor(math.log(max(1.0, n / _ROWS_A_CELL)) / math.log(7.0) + 0.5)
    finer = min(FINEST_RESOLUTION, resolution + min(_MAX_STEP, max(1, step)))
    x, y = in_spacings(px, py, finer)
    i, j = nearest_center(x, y)
    half = math.ceil(SCALES[finer] / SCALES[resolution] / SQRT_3 * 2.0 / SQRT_3 + 0.7)
    rhomb = neighbours.node[node]
    rhomb[RESOLUTION] = finer
    rhomb[FIRST_I] = int(i) - half
    rhomb[FIRST_J] = int(j) - half
    rhomb[N_I] = rhomb[N_J] = 2 * half + 1
    rhomb[FIRST_SLOT] = n_slots
    workshop.center[node, 0] = px
    workshop.center[node, 1] = py
    workshop.parent[node] = resolution
    workshop.n_rows[node] = max(1, n)
    return n_slots + rhomb[N_I] * rhomb[N_J]


@inlined_kernel
def _known_cell(workshop: Workshop, resolution: int, i: int, j: int) -> int:
    # Where a cell stands among those done, or is to stand.
    res, along_i, along_j = np.int64(resolution), np.int64(i), np.int64(j)
    key = (res << 58) | ((along_i + (1 << 28)) << 29) | (along_j + (1 << 28))
    last = workshop.cell.shape[0] - 1
    at = ((along_i * 73_856_093) ^ (along_j * 19_349_663) ^ (res * 83_492_791)) & last  # Teschner et al. 2003
    while workshop.cell[at] != -1 and workshop.cell[at] != key:
        at = (at + 1) & last
    if workshop.cell[at] == -1:
        workshop.cell[at] = key
        workshop.value[at] = NONE
    return at


@borrowing_kernel
def build(  # noqa: C901 - one pass over cells, and to hand its state on would cost more than it tells
    packed_part: Packed,
    root: int,
    face: int,
    packed_neighbours: Packed,
    packed_workshop: Packed,
    counts: NDArray[np.int64],
) -> bool:
    """
    List the rows near every cell of one tree on one face; False where there is not room.

    Parameters
    ----------
    packed_part
        The part whose rows are listed.
    root, face
        The tree and the face.
    packed_neighbours
        Grown; node ``counts[0]`` is the root, entered by the caller.
    packed_workshop
        Its cells are all -1 at first.
    counts
        How many nodes, slots and leaves there are: int64[3], grown.

    Notes
    -----
    A list holds all rows nearer to its cell's centre than the fifth and 1.3 radii of the cell. A cell for which
    that is too many becomes a node. Whatever a list lacks, a search that needs it asks the tree.
    """
    part, neighbours, workshop = (
        part_at(packed_part, 0),
        neighbours_at(packed_neighbours, 0),
        workshop_at(packed_workshop),
    )
    forest, xyz = part.forest, part.xyz
    node, n_slots, n_leaves, n_cells = counts[0], counts[1], counts[2], 0
    n_nodes = node + 1
    rows, chord_sq, listed, squares = workshop.rows, workshop.chord_sq, workshop.listed, workshop.squares
    smallest, stack = workshop.smallest, workshop.stack
    while node < n_nodes:
        rhomb = neighbours.node[node]
        resolution = rhomb[RESOLUTION]
        radius_m = _radius_m(resolution)
        parent = workshop.parent[node]
        guess_m = 3.0 * radius_m
        if parent >= 0:
            guess_m = 2.8 * _radius_m(parent) / math.sqrt(workshop.n_rows[node]) + REACH * radius_m
        for at in range(rhomb[N_I] * rhomb[N_J]):
            slot = rhomb[FIRST_SLOT] + at
            i, j = rhomb[FIRST_I] + at // rhomb[N_J], rhomb[FIRST_J] + at % rhomb[N_J]
            px, py = center_at(i, j, resolution)
            neighbours.slot[slot] = NONE
            if parent >= 0 and _outside(
                px - workshop.center[node, 0], py - workshop.center[node, 1], resolution, parent
            ):
                continue
            known = _known_cell(workshop, resolution, i, j)
            if workshop.value[known] != NONE:
                neighbours.slot[slot] = workshop.value[known]
                continue
            n_cells += 1
            x, y, z = ecef_of(face, px, py)
            found, near_m = gather_enough(
                forest, xyz, root, x, y, z, radius_m, guess_m, resolution, rows, chord_sq, stack
            )
            n = MAX_ENTRIES + 1
            if found >= 0:
                fifth_m = math.sqrt(kth_smallest(chord_sq, found, smallest))
                near_m = min(near_m, fifth_m + REACH * radius_m)
                if fifth_m < math.inf:
                    guess_m = 1.25 * fifth_m + REACH * radius_m
                n = nearest_first(rows, chord_sq, found, near_m * near_m, listed, squares)
                if n > MAX_ENTRIES and resolution == FINEST_RESOLUTION:
                    n = 0  # a pile: the tree is asked
                    near_m = 0.0
            if n > MAX_ENTRIES:
                n_in = count_within(forest, root, x, y, z, radius_m, stack)
                neighbours.slot[slot] = -2 - n_nodes
                n_slots = _divide(neighbours, workshop, n_nodes, n_slots, resolution, px, py, n_in)
                n_nodes += 1
            else:
                more, bits = reaching(
                    part, root, x, y, z, radius_m, near_m * near_m,
                    rows, MAX_ENTRIES - n, stack,
                )  # fmt: skip
                for extra in range(more):
                    listed[n] = rows[extra]
                    squares[n] = near_m * near_m
                    n += 1
                neighbours.rest_bits[n_leaves] = bits if more < 0 else np.uint64(0)
                _finish_leaf(neighbours, n_leaves, listed, squares, n, near_m, part.schedule_bit)
                neighbours.slot[slot] = n_leaves
                n_leaves += 1
            workshop.value[known] = neighbours.slot[slot]
            if (
                n_nodes + 1 >= neighbours.node.shape[0]
                or n_slots + 2048 >= neighbours.slot.shape[0]
                or n_leaves + 1 >= neighbours.near_m.shape[0]
                or neighbours.start[n_leaves] + MAX_ENTRIES >= neighbours.entry.shape[0]
                or 3 * n_cells >= 2 * workshop.cell.shape[0]
            ):
                return False
        node += 1
    counts[0], counts[1], counts[2] = n_nodes, n_slots, n_leaves
    return True

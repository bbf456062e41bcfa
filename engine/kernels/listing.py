"""List the rows near every cell, at a resolution that follows density."""

import math

import numpy as np
from numpy.typing import NDArray

from engine.kernels.gathering import (
    MAX_ENTRIES,
    REACH,
    WIDE_ROWS,
    bit_of_schedule,
    count_within,
    gather_enough,
    kth_smallest,
    nearest_first,
    reaching,
    widened,
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
    Part,
)
from engine.kernels.workshop import Workshop
from geo.jit import borrowing_kernel, inlined_kernel, kernel
from geo.kernels.lattice import (
    FINEST_RESOLUTION,
    HALF_SQRT_3,
    SCALES,
    SPACING_M,
    SQRT_3,
    center_at,
    ecef_of,
    in_spacings,
    nearest_center,
)

_ROWS_A_CELL = 8.0
_MAX_STEP = 3  # resolutions from a node to its cells
ROOM = 256  # rows looked at for one cell
_OWN_ROWS = 8  # of a cell that holds many
_ONE_PLACE_M = 1.0
_FAR = 8.0  # radii of a cell to its fifth row from which on smaller cells answer hardly more
N_NODES, N_SLOTS, N_LEAVES, N_CELLS, N_SPARE = range(5)
"""Of the counts of `build`: the last is how many cells that hold few rows may be divided."""


@kernel
def _radius_m(resolution: int) -> float:
    # A hexagon's, rounded up: no place of a cell is farther from its centre.
    return SPACING_M / SCALES[resolution] / SQRT_3 * 1.0001 + 1e-3


@kernel
def _outside(px: float, py: float, resolution: int, parent: int) -> bool:
    # Does a cell at this offset from the middle of a coarser one lie outside it?
    x, y = in_spacings(px, py, parent)
    limit = 0.5 + SCALES[parent] / SCALES[resolution] / SQRT_3 * 1.001
    return abs(x) > limit or abs(0.5 * x + HALF_SQRT_3 * y) > limit or abs(-0.5 * x + HALF_SQRT_3 * y) > limit


@inlined_kernel
def _is_to_divide(
    chord_sq: NDArray[np.float64],
    found: int,
    near_m: float,
    fifth_m: float,
    radius_m: float,
    resolution: int,
    counts: NDArray[np.int64],
) -> bool:
    # Will smaller cells list more than this one, of which a list lacks some? Not where the rest stands in one place:
    # round a mall of a hundred shops all cells down to the smallest would be as full. Cells that hold rows of their
    # own are few; others are divided only a number of times.
    if found < 0 or resolution == FINEST_RESOLUTION:
        return resolution < FINEST_RESOLUTION
    n_own = 0
    for at in range(found):
        chord_m = math.sqrt(chord_sq[at])
        n_own += 1 if chord_m < radius_m and abs(chord_m - fifth_m) > _ONE_PLACE_M else 0
    if n_own >= _OWN_ROWS:
        return True
    finer_m = REACH * radius_m / 7.0  # of cells two resolutions finer
    if counts[N_SPARE] > 0 and near_m - fifth_m > finer_m and fifth_m < _FAR * radius_m:
        counts[N_SPARE] -= 1
        return True
    return False


@inlined_kernel
def _divide(
    neighbours: Neighbours,
    workshop: Workshop,
    resolution: int,
    px: float,
    py: float,
    n: int,
    counts: NDArray[np.int64],
) -> int:
    # Enter a node for a cell of about n rows that is too full; return what its slot says.
    node = counts[N_NODES]
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
    rhomb[FIRST_SLOT] = counts[N_SLOTS]
    workshop.center[node, 0] = px
    workshop.center[node, 1] = py
    workshop.parent[node] = resolution
    workshop.n_rows[node] = max(1, n)
    counts[N_NODES] += 1
    counts[N_SLOTS] += rhomb[N_I] * rhomb[N_J]
    return -2 - node


@inlined_kernel
def _add_leaf(
    part: Part,
    root: int,
    neighbours: Neighbours,
    workshop: Workshop,
    x: float,
    y: float,
    z: float,
    radius_m: float,
    n: int,
    near_sq: float,
    counts: NDArray[np.int64],
) -> int:
    # Enter a list of the n rows nearer than a chord, and of those whose areas reach into the cell; return its number.
    leaf = counts[N_LEAVES]
    listed, squares = workshop.listed, workshop.squares
    more, rest_bits = reaching(part, root, x, y, z, radius_m, near_sq, workshop, MAX_ENTRIES - n)
    for extra in range(more):
        listed[n] = workshop.rows[extra]
        squares[n] = near_sq
        n += 1
    if more < 0 and 0 < n < WIDE_ROWS and not workshop.everywhere[root]:
        n, near_sq = widened(part, root, x, y, z, n, near_sq, workshop)
    first = neighbours.start[leaf]
    near_m = math.sqrt(near_sq)
    steps_per_m = STEPS / near_m if near_m > 0.0 else 0.0
    bits = np.uint64(0)
    for at in range(n):
        bits |= bit_of_schedule(part.schedule_bit[listed[at]])
        step = min(STEPS - 1, int(math.sqrt(squares[at]) * steps_per_m))
        neighbours.entry[first + at] = np.uint32((step << ROW_BITS) | listed[at])
    neighbours.schedule_bits[leaf] = bits
    neighbours.rest_bits[leaf] = rest_bits if more < 0 else np.uint64(0)
    neighbours.near_m[leaf] = near_m * (1.0 - 1e-6) - 1e-3  # below any rounding
    neighbours.start[leaf + 1] = first + n
    counts[N_LEAVES] += 1
    return leaf


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


@inlined_kernel
def _has_room(neighbours: Neighbours, workshop: Workshop, counts: NDArray[np.int64]) -> bool:
    # For one cell more?
    n_leaves = counts[N_LEAVES]
    return bool(
        counts[N_NODES] + 1 < neighbours.node.shape[0]
        and counts[N_SLOTS] + 2048 < neighbours.slot.shape[0]
        and n_leaves + 1 < neighbours.near_m.shape[0]
        and neighbours.start[n_leaves] + MAX_ENTRIES < neighbours.entry.shape[0]
        and 3 * counts[N_CELLS] < 2 * workshop.cell.shape[0]
    )


@inlined_kernel
def _list_cell(
    part: Part,
    root: int,
    face: int,
    resolution: int,
    px: float,
    py: float,
    guess_m: float,
    neighbours: Neighbours,
    workshop: Workshop,
    counts: NDArray[np.int64],
) -> tuple[int, float]:
    # Enter a leaf or a node for a cell; return what its slot says, and what to guess for the next.
    radius_m = _radius_m(resolution)
    x, y, z = ecef_of(face, px, py)
    rows, chord_sq = workshop.rows, workshop.chord_sq
    found, near_m = gather_enough(
        part.forest, part.xyz, root, x, y, z, radius_m, guess_m, resolution, rows, chord_sq, workshop.stack
    )
    fifth_m = math.sqrt(kth_smallest(chord_sq, found, workshop.smallest))
    if fifth_m < math.inf:
        guess_m = 1.25 * fifth_m + REACH * radius_m
        near_m = min(near_m, fifth_m + REACH * radius_m)
    n, near_sq = nearest_first(rows, chord_sq, found, near_m * near_m, workshop.listed, workshop.squares)
    is_full = near_sq < near_m * near_m or fifth_m == math.inf
    if is_full and _is_to_divide(chord_sq, found, math.sqrt(near_sq), fifth_m, radius_m, resolution, counts):
        n_in = count_within(part.forest, root, x, y, z, radius_m, workshop.stack)
        return _divide(neighbours, workshop, resolution, px, py, n_in, counts), guess_m
    return _add_leaf(part, root, neighbours, workshop, x, y, z, radius_m, n, near_sq, counts), guess_m


@borrowing_kernel
def build(
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
        Grown; its last node is the root, entered by the caller.
    packed_workshop
        Its cells are all -1 at first.
    counts
        int64[5]: how many nodes, slots, leaves and cells there are, grown, and how many cells that hold few rows may
        be divided: what a list of theirs lacks is far from most.

    Notes
    -----
    A list holds all rows nearer to its cell's centre than the fifth and 1.3 radii of the cell. A cell for which
    that is too many becomes a node where that helps. Whatever a list lacks, a search that needs it asks the tree.
    """
    part, neighbours, workshop = (
        part_at(packed_part, 0),
        neighbours_at(packed_neighbours, 0),
        workshop_at(packed_workshop),
    )
    node = counts[N_NODES] - 1
    while node < counts[N_NODES]:
        rhomb = neighbours.node[node]
        resolution, parent = rhomb[RESOLUTION], workshop.parent[node]
        guess_m = 3.0 * _radius_m(resolution)
        if parent >= 0:
            guess_m = 2.8 * _radius_m(parent) / math.sqrt(workshop.n_rows[node]) + REACH * _radius_m(resolution)
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
            if workshop.value[known] == NONE:
                counts[N_CELLS] += 1
                workshop.value[known], guess_m = _list_cell(
                    part, root, face, resolution, px, py, guess_m, neighbours, workshop, counts
                )
            neighbours.slot[slot] = workshop.value[known]
            if not _has_room(neighbours, workshop, counts):
                return False
        node += 1
    return True

"""Gather the rows of a tree round a place, nearest first."""

import math

import numpy as np
from numpy.typing import NDArray

from engine.kernels.forest import Forest
from engine.kernels.state import NEVER, Part
from engine.kernels.workshop import Workshop
from geo.jit import inlined_kernel, kernel
from geo.kernels.lattice import FINEST_RESOLUTION

MAX_ENTRIES = 96
"""A cell that needs more is split."""
WIDE_ROWS = 64.0  # about as many has a list that lacks rows whose areas reach into its cell: it settles more
WELL_KNOWN = 5  # neighbours that a list holds for every place of its cell, or nearly
_MOST_LOOKED_AT = 1 << 12  # rows whose areas are asked one by one for a cell
_CLOSE = 0.1  # radii of a cell to which a chord is found that holds fewer than five rows and next to one of too many
REACH = 1.3  # radii of a cell beyond its centre's fifth neighbour: measured, 1 place in 10 000 asks the tree


@inlined_kernel
def _from_center(forest: Forest, node: int, x: float, y: float, z: float) -> tuple[float, float, float]:
    # Centres are kept narrow; what is reckoned with them is not.
    center = forest.center
    return np.float64(center[node, 0]) - x, np.float64(center[node, 1]) - y, np.float64(center[node, 2]) - z


@inlined_kernel
def _gather(
    forest: Forest,
    xyz: NDArray[np.float64],
    root: int,
    x: float,
    y: float,
    z: float,
    within_m: float,
    rows: NDArray[np.int64],
    chord_sq: NDArray[np.float64],
    stack: NDArray[np.int64],
) -> int:
    # Rows nearer than a chord; return how many, or -1 if there is not room for all.
    found = 0
    limit = within_m * within_m
    stack[0] = root
    top = 1
    while top > 0:
        top -= 1
        node = stack[top]
        if forest.n_children[node] == 0:
            if found + forest.stop[node] - forest.start[node] > rows.shape[0]:
                return -1
            for row in range(forest.start[node], forest.stop[node]):
                dx, dy, dz = xyz[row, 0] - x, xyz[row, 1] - y, xyz[row, 2] - z
                square = dx * dx + dy * dy + dz * dz
                rows[found] = row
                chord_sq[found] = square
                found += 1 if square < limit else 0
        for child in range(forest.first_child[node], forest.first_child[node] + forest.n_children[node]):
            dx, dy, dz = _from_center(forest, child, x, y, z)
            bound = within_m + np.float64(forest.radius[child])
            stack[top] = child
            top += 1 if dx * dx + dy * dy + dz * dz <= bound * bound else 0
    return found


@inlined_kernel
def count_within(
    forest: Forest, root: int, x: float, y: float, z: float, within_m: float, stack: NDArray[np.int64]
) -> int:
    """Return about how many rows of a tree lie within a chord."""
    found = 0
    stack[0] = root
    top = 1
    while top > 0:
        top -= 1
        node = stack[top]
        dx, dy, dz = _from_center(forest, node, x, y, z)
        chord = math.sqrt(dx * dx + dy * dy + dz * dz)
        if chord > within_m + np.float64(forest.radius[node]):
            continue
        if forest.n_children[node] == 0 or chord + np.float64(forest.radius[node]) < within_m:
            found += forest.stop[node] - forest.start[node]
            continue
        for child in range(forest.first_child[node], forest.first_child[node] + forest.n_children[node]):
            stack[top] = child
            top += 1
    return found


@inlined_kernel
def reaching(
    part: Part,
    root: int,
    x: float,
    y: float,
    z: float,
    radius_m: float,
    beyond_sq: float,
    workshop: Workshop,
    room: int,
) -> tuple[int, np.uint64]:
    """
    Write the rows at a squared chord or beyond whose areas may reach within a radius, and tell their schedules' bits.

    Return how many, -1 if there is not room for all: then there may be bits of others, too.
    """
    forest, xyz, stack, rows = part.forest, part.xyz, workshop.stack, workshop.rows
    bits = workshop.everywhere[root]
    found = -1 if bits else 0
    looked_at = 0
    stack[0] = root
    top = 1
    while top > 0:
        top -= 1
        node = stack[top]
        dx, dy, dz = _from_center(forest, node, x, y, z)
        bound = np.float64(forest.radius[node]) + radius_m + math.sqrt(workshop.reach_sq[node])
        if dx * dx + dy * dy + dz * dz > bound * bound or (found < 0 and not part.schedule_bits[node] & ~bits):
            continue
        if looked_at > _MOST_LOOKED_AT:
            found = -1
            bits |= part.schedule_bits[node]
            continue
        if forest.n_children[node] == 0:
            looked_at += forest.stop[node] - forest.start[node]
            for row in range(forest.start[node], forest.stop[node]):
                dx, dy, dz = xyz[row, 0] - x, xyz[row, 1] - y, xyz[row, 2] - z
                square = dx * dx + dy * dy + dz * dz
                bound = radius_m + np.float64(part.reach_m[row])
                if square >= beyond_sq and square <= bound * bound:
                    bits |= bit_of_schedule(part.schedule_bit[row])
                    if found == room:
                        found = -1
                    if found >= 0:
                        rows[found] = row
                        found += 1
        for child in range(forest.first_child[node], forest.first_child[node] + forest.n_children[node]):
            stack[top] = child
            top += 1
    return found, bits


@inlined_kernel
def bit_of_schedule(number: int) -> np.uint64:
    """Return the bit that a `Part.schedule_bit` numbers, none for `NEVER`."""
    return np.uint64(number < NEVER) << np.uint64(number & 63)


@kernel
def nearest_first(
    rows: NDArray[np.int64],
    chord_sq: NDArray[np.float64],
    found: int,
    below_sq: float,
    listed: NDArray[np.int64],
    squares: NDArray[np.float64],
) -> tuple[int, float]:
    """Sort the rows below a squared chord into a list, or below a smaller one what fits; return how many, and which."""
    n = 0
    for at in range(found):
        square = chord_sq[at]
        if square >= below_sq:
            continue
        if n == MAX_ENTRIES:
            below_sq = max(square, squares[n - 1])
            if square == below_sq:
                continue
            n -= 1
        to = n
        while to > 0 and squares[to - 1] > square:
            squares[to] = squares[to - 1]
            listed[to] = listed[to - 1]
            to -= 1
        squares[to] = square
        listed[to] = rows[at]
        n += 1
    while n > 0 and squares[n - 1] >= below_sq:
        n -= 1
    return n, below_sq


@inlined_kernel
def widened(
    part: Part, root: int, x: float, y: float, z: float, n: int, near_sq: float, workshop: Workshop
) -> tuple[int, float]:
    """Take about `WIDE_ROWS` of the nearest rows into a list of n; return how many, and below which squared chord."""
    within_sq = near_sq * WIDE_ROWS / n
    rows, chord_sq, stack = workshop.rows, workshop.chord_sq, workshop.stack
    found = _gather(part.forest, part.xyz, root, x, y, z, math.sqrt(within_sq), rows, chord_sq, stack)
    if found < 0:
        return n, near_sq
    return nearest_first(rows, chord_sq, found, within_sq, workshop.listed, workshop.squares)


@kernel
def kth_smallest(chord_sq: NDArray[np.float64], found: int, smallest: NDArray[np.float64]) -> float:
    """Return the largest of the few smallest squared chords, inf if there are fewer."""
    smallest[:] = math.inf
    last = smallest.shape[0] - 1
    for at in range(found):
        square = chord_sq[at]
        if square < smallest[last]:
            to = last
            while to > 0 and smallest[to - 1] > square:
                smallest[to] = smallest[to - 1]
                to -= 1
            smallest[to] = square
    return smallest[last]


@inlined_kernel
def gather_enough(
    forest: Forest,
    xyz: NDArray[np.float64],
    root: int,
    x: float,
    y: float,
    z: float,
    radius_m: float,
    guess_m: float,
    resolution: int,
    rows: NDArray[np.int64],
    chord_sq: NDArray[np.float64],
    stack: NDArray[np.int64],
) -> tuple[int, float]:
    """
    Write the rows within a chord that holds five; return how many, and the chord.

    Fewer than five if the next ones are more than there is room for, all at about that chord; -1 if the cell is too
    full.
    """
    within_m = guess_m
    few_m, many_m = 0.0, math.inf  # chords that hold too few, and too many
    enough = min(WELL_KNOWN, forest.stop[root] - forest.start[root])
    least_m = REACH * radius_m
    for _ in range(80):
        found = _gather(forest, xyz, root, x, y, z, within_m, rows, chord_sq, stack)
        if found >= enough:
            return found, within_m
        if found >= 0:
            few_m = within_m
        elif within_m <= least_m and resolution < FINEST_RESOLUTION:
            return -1, within_m
        else:
            many_m = within_m
        if many_m - few_m > _CLOSE * radius_m:
            if many_m == math.inf:
                within_m *= 2.0
            elif few_m > 0.0:
                within_m = 0.5 * (few_m + many_m)
            else:
                within_m = max(0.6 * within_m, least_m) if within_m > least_m else 0.5 * within_m
        elif few_m > 0.0 and found < 0:
            within_m = few_m
        else:
            break
    return (found, within_m) if found >= 0 else (0, 0.0)

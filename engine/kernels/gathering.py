"""Gather the rows of a tree round a place, nearest first."""

import math

import numpy as np
from numpy.typing import NDArray

from engine.kernels.forest import Forest
from engine.kernels.state import NEVER, Part
from geo.jit import inlined_kernel, kernel
from geo.kernels.lattice import FINEST_RESOLUTION

MAX_ENTRIES = 96
"""A cell that needs more is split."""
WELL_KNOWN = 5  # neighbours that a list holds for every place of its cell, or nearly
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
    rows: NDArray[np.int64],
    room: int,
    stack: NDArray[np.int64],
) -> tuple[int, np.uint64]:
    """
    Write the rows at a squared chord or beyond whose areas may reach within a radius, and tell their schedules' bits.

    Return how many, -1 if there is not room for all.
    """
    forest, xyz = part.forest, part.xyz
    found = 0
    bits = np.uint64(0)
    stack[0] = root
    top = 1
    while top > 0:
        top -= 1
        node = stack[top]
        dx, dy, dz = _from_center(forest, node, x, y, z)
        bound = np.float64(forest.radius[node]) + radius_m + math.sqrt(part.reach_sq[node])
        if dx * dx + dy * dy + dz * dz > bound * bound:
            continue
        if found < 0 and not part.schedule_bits[node] & ~bits:
            continue
        if forest.n_children[node] == 0:
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
) -> int:
    """Sort the rows below a squared chord into a list; return how many, one more than fit if too many."""
    n = 0
    for at in range(found):
        square = chord_sq[at]
        if square >= below_sq:
            continue
        if n == MAX_ENTRIES:
            return n + 1
        to = n
        while to > 0 and squares[to - 1] > square:
            squares[to] = squares[to - 1]
            listed[to] = listed[to - 1]
            to -= 1
        squares[to] = square
        listed[to] = rows[at]
        n += 1
    return n


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
    """Write the rows within a chord that holds five; return how many and the chord, -1 if the cell is too full."""
    within_m = guess_m
    enough = min(WELL_KNOWN, forest.stop[root] - forest.start[root])
    least_m = REACH * radius_m
    for _ in range(60):
        found = _gather(forest, xyz, root, x, y, z, within_m, rows, chord_sq, stack)
        if found >= enough:
            return found, within_m
        if found >= 0:
            within_m *= 2.0
        elif within_m > least_m:
            within_m = max(0.6 * within_m, least_m)
        elif resolution < FINEST_RESOLUTION:
            return -1, within_m
        else:
            return 0, 0.0
    return 0, 0.0

"""Trees of H3 cells over sorted rows, each node bounded by a ball round its rows."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from geo.jit import kernel

LEAF_ROWS = 12
MAX_CHILDREN = 122  # of a root: the base cells; elsewhere at most 7


class Forest(NamedTuple):
    """
    The nodes of all trees; the children of a node stand together.

    Attributes
    ----------
    center, radius
        float32[m, 3] and float32[m] in metres: a ball that holds the node's rows.
    start, stop
        int32[m]: its rows, in index order.
    first_child, n_children
        int32[m]; no children in a leaf.
    """

    center: NDArray[np.float32]
    radius: NDArray[np.float32]
    start: NDArray[np.int32]
    stop: NDArray[np.int32]
    first_child: NDArray[np.int32]
    n_children: NDArray[np.int32]


@kernel
def _digit(key: np.uint64, resolution: int) -> np.int64:
    # The child taken at a resolution; at 0 the base cell.
    if resolution == 0:
        return np.int64((key >> np.uint64(45)) & np.uint64(0x7F))
    return np.int64((key >> np.uint64(3 * (15 - resolution))) & np.uint64(7))


@kernel
def _bound(xyz: NDArray[np.float64], start: int, stop: int, center: NDArray[np.float32]) -> float:
    # The centre is narrow, and the radius is from where it came to stand: no row is outside.
    x = y = z = 0.0
    for i in range(start, stop):
        x += xyz[i, 0]
        y += xyz[i, 1]
        z += xyz[i, 2]
    n = stop - start
    center[0], center[1], center[2] = x / n, y / n, z / n
    x, y, z = np.float64(center[0]), np.float64(center[1]), np.float64(center[2])
    largest = 0.0
    for i in range(start, stop):
        dx, dy, dz = xyz[i, 0] - x, xyz[i, 1] - y, xyz[i, 2] - z
        largest = max(largest, dx * dx + dy * dy + dz * dz)
    # Far above the rounding of positions, and twice that of a radius of 24 bits.
    return (math.sqrt(largest) + 1e-5) * (1.0 + 2.0**-23)


# Axes: n rows, t trees, m node slots.
@kernel
def build(
    xyz: NDArray[np.float64],
    key: NDArray[np.uint64],
    tree_start: NDArray[np.int64],
    forest: Forest,
    depth: NDArray[np.int64],
    n_done: int,
    n_nodes: int,
) -> tuple[int, int]:
    """
    Build trees until done or out of room; return how many nodes are split and how many exist.

    Parameters
    ----------
    xyz
        Earth-centred positions in index order (by tree, then cell), shape (n, 3).
    key
        Cells at resolution 15 in the same order, shape (n,).
    tree_start
        Tree i has the rows from ``tree_start[i]`` to ``tree_start[i + 1]``, at least one; shape (t + 1,).
    forest, depth
        Node arrays of m slots; ``depth`` is the resolution whose digit a node is split by. Node i < t is
        the root of tree i.
    n_done, n_nodes
        What the last call returned; both 0 at first.

    Notes
    -----
    Breadth first. Resolutions at which all rows of a node share a child make no node.
    """
    room = forest.radius.shape[0]
    if n_nodes == 0:
        for tree in range(tree_start.shape[0] - 1):
            forest.start[tree] = tree_start[tree]
            forest.stop[tree] = tree_start[tree + 1]
            forest.radius[tree] = _bound(xyz, tree_start[tree], tree_start[tree + 1], forest.center[tree])
            depth[tree] = 0
        n_nodes = tree_start.shape[0] - 1
    while n_done < n_nodes:
        if n_nodes + MAX_CHILDREN > room:
            return n_done, n_nodes
        start = forest.start[n_done]
        stop = forest.stop[n_done]
        resolution = depth[n_done]
        while resolution <= 15 and _digit(key[start], resolution) == _digit(key[stop - 1], resolution):
            resolution += 1
        forest.first_child[n_done] = n_nodes
        forest.n_children[n_done] = 0
        if stop - start > LEAF_ROWS and resolution <= 15:
            child_start = start
            for i in range(start + 1, stop + 1):
                if i == stop or _digit(key[i], resolution) != _digit(key[child_start], resolution):
                    forest.start[n_nodes] = child_start
                    forest.stop[n_nodes] = i
                    forest.radius[n_nodes] = _bound(xyz, child_start, i, forest.center[n_nodes])
                    depth[n_nodes] = resolution + 1
                    n_nodes += 1
                    forest.n_children[n_done] += 1
                    child_start = i
        n_done += 1
    return n_done, n_nodes


# Axes: n rows, m nodes.
@kernel
def spread_bits(bit: NDArray[np.uint8], forest: Forest, out: NDArray[np.uint64]) -> None:
    """Write to ``out``, shape (m,), the bits of each node's rows; ``bit`` in index order, shape (n,)."""
    for node in range(out.shape[0] - 1, -1, -1):  # children stand behind their parents
        bits = np.uint64(0)
        if forest.n_children[node] == 0:
            for i in range(forest.start[node], forest.stop[node]):
                if bit[i] < 64:
                    bits |= np.uint64(1) << np.uint64(bit[i])
        for child in range(forest.first_child[node], forest.first_child[node] + forest.n_children[node]):
            bits |= out[child]
        out[node] = bits


# Axes: n rows, m nodes.
@kernel
def spread(of_row: NDArray[np.float64], forest: Forest, out: NDArray[np.float64]) -> None:
    """Write to ``out``, shape (m,), the largest value of each node's rows; ``of_row`` in index order, shape (n,)."""
    for node in range(out.shape[0] - 1, -1, -1):  # children stand behind their parents
        largest = 0.0
        if forest.n_children[node] == 0:
            for i in range(forest.start[node], forest.stop[node]):
                largest = max(largest, of_row[i])
        for child in range(forest.first_child[node], forest.first_child[node] + forest.n_children[node]):
            largest = max(largest, out[child])
        out[node] = largest

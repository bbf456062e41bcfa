"""The H3 index: one tree of cells for each offer, over rows sorted by offer and cell."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.kernels import forest as kernels
from engine.kernels.forest import Forest
from engine.views import read_only

__all__ = ["Forest", "bits_in_nodes", "build_forest", "largest_in_nodes"]


def _nodes(room: int) -> Forest:
    start, stop, first_child, n_children = np.empty((4, room), np.int32)
    return Forest(np.empty((room, 3), np.float32), np.empty(room, np.float32), start, stop, first_child, n_children)


def build_forest(xyz: NDArray[np.float64], key: NDArray[np.uint64], tree_start: NDArray[np.int64]) -> Forest:
    """
    Return the trees over sorted rows; root i is node i.

    Parameters
    ----------
    xyz
        float64[n, 3], earth-centred metres, sorted by tree, then cell.
    key
        uint64[n], the rows' cells at resolution 15 (ancestry: parents are its leading digits).
    tree_start
        int64[t + 1], where each tree's rows start; no tree is empty.
    """
    n_trees = tree_start.size - 1
    room = n_trees + kernels.MAX_CHILDREN + max(64, key.size // 4)
    forest, depth = _nodes(room), np.empty(room, np.int64)
    n_done = n_nodes = 0
    while True:
        n_done, n_nodes = kernels.build(xyz, key, tree_start, forest, depth, n_done, n_nodes)
        if n_done == n_nodes:
            return Forest._make(column[:n_nodes].copy() for column in forest)
        grown = _nodes(2 * forest.radius.size)
        for old, new in zip(forest, grown, strict=True):
            new[:n_nodes] = old[:n_nodes]
        forest = grown
        depth = np.concatenate([depth[:n_nodes], np.empty(forest.radius.size - n_nodes, np.int64)])


def largest_in_nodes(of_row: NDArray[np.float64], forest: Forest) -> NDArray[np.float64]:
    """Return the largest value among each node's rows; ``of_row`` is float64[n] in index order, not negative."""
    out = np.empty(forest.radius.size)
    kernels.spread(np.ascontiguousarray(of_row), forest, out)
    return out


def bits_in_nodes(bit: NDArray[np.uint8], forest: Forest) -> NDArray[np.uint64]:
    """Return the bits of each node's rows; ``bit`` is uint8[n] in index order; 64 and above count for none."""
    out = np.empty(forest.radius.size, np.uint64)
    kernels.spread_bits(read_only(np.ascontiguousarray(bit)), forest, out)
    return out

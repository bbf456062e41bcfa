"""The k-d trees that linli is timed against, each with the leaf size that suits it best."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from benchmarks.frame import best_times

__all__ = ["LEAF_SIZES", "Tree", "plant_trees"]

LEAF_SIZES = (8, 16, 32)
Floats = NDArray[np.float64]
Ask = Callable[[Floats, int], object]


@dataclass(frozen=True)
class Tree:
    """One peer over the same positions: how to ask it for the k nearest, by leaf size."""

    name: str
    threads: str
    asks: dict[int, Ask]

    def best(self, sample: Floats, k: int) -> tuple[str, Ask]:
        """Return the setting that answers the sample fastest, in words and to be asked."""
        work = {f"{self.name}, leafsize {leaf}": partial(ask, sample, k) for leaf, ask in self.asks.items()}
        times = best_times(work, repeats=3)
        leaf = min(self.asks, key=lambda size: times[f"{self.name}, leafsize {size}"])
        return f"ECEF ready made, leafsize {leaf} of {tuple(self.asks)}, {self.threads}", self.asks[leaf]


def plant_trees(points: Floats, threads: int) -> list[Tree]:
    """Build every peer over earth-centred positions."""
    pinned, kd_tree = _pinned_pykdtree(threads)

    def scipy_tree(leaf_size: int) -> Ask:
        tree = cKDTree(points, leafsize=leaf_size)
        return lambda xyz, k: tree.query(xyz, k=k, workers=threads)

    def pykdtree_tree(leaf_size: int) -> Ask:
        tree = pinned.submit(kd_tree, points, leafsize=leaf_size).result()
        return lambda xyz, k: pinned.submit(tree.query, xyz, k=k).result()

    return [
        Tree("scipy cKDTree", f"{threads} thread(s)", {leaf: scipy_tree(leaf) for leaf in LEAF_SIZES}),
        Tree("pykdtree", f"{threads} pinned OpenMP thread(s)", {leaf: pykdtree_tree(leaf) for leaf in LEAF_SIZES}),
    ]


@cache
def _pinned_pykdtree(threads: int) -> tuple[ThreadPoolExecutor, Any]:
    """
    Return the one thread that loads and asks pykdtree, and its tree.

    OpenMP reads its settings when it is loaded, and pins the thread that loads it: if that were the main
    one, linli's and scipy's threads would inherit its one processor (they took twice as long, measured).
    """
    processors = os.sched_getaffinity(0)
    pinned = ThreadPoolExecutor(1)
    os.environ["OMP_NUM_THREADS"] = str(threads)
    os.environ["OMP_PROC_BIND"] = "true"
    kd_tree = pinned.submit(lambda: importlib.import_module("pykdtree.kdtree").KDTree).result()
    del os.environ["OMP_PROC_BIND"]  # another package's OpenMP may still be loaded by the main thread
    if os.sched_getaffinity(0) != processors:
        reason = "OpenMP pinned the main thread: no other times can be trusted"
        raise RuntimeError(reason)
    return pinned, kd_tree

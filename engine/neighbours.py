"""List the rows near every cell of every offer's tree, for searches that start there."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from engine.kernels import listing as kernels
from engine.kernels.gathering import MAX_ENTRIES, WELL_KNOWN
from engine.kernels.state import NONE, ROW_BITS, STACK, Neighbours, Part, Workshop
from engine.packing import arrays_of, pack
from geo.kernels.lattice import N_FACES

__all__ = ["Neighbours", "list_neighbours", "no_neighbours"]

_SMALL_TREE = 64
"""A tree of no more rows is one leaf that lists them all."""
_ROOT_CELLS = 1 << 16


def no_neighbours(n_offers: int) -> Neighbours:
    """Return the lists of a part whose searches all ask its trees."""
    return _neighbours(np.full(n_offers * N_FACES, NONE, np.int32), 1, 1, 1, 1, n_used=(0, 0, 0, 0))


def _neighbours(
    root: NDArray[np.int32],
    n_nodes: int,
    n_slots: int,
    n_leaves: int,
    n_entries: int,
    *,
    n_used: tuple[int, int, int, int] | None = None,
) -> Neighbours:
    made = Neighbours(
        root=root,
        node=np.zeros((n_nodes, 6), np.int32),
        slot=np.empty(n_slots, np.int32),
        start=np.zeros(n_leaves + 1, np.int32),
        near_m=np.empty(n_leaves, np.float32),
        whole=np.empty(n_leaves, np.bool_),
        schedule_bits=np.empty(n_leaves, np.uint64),
        entry=np.empty(n_entries, np.uint32),
    )
    return made if n_used is None else _cut(made, *n_used)


def _cut(neighbours: Neighbours, n_nodes: int, n_slots: int, n_leaves: int, n_entries: int) -> Neighbours:
    return Neighbours(
        root=neighbours.root,
        node=neighbours.node[:n_nodes].copy(),
        slot=neighbours.slot[:n_slots].copy(),
        start=neighbours.start[: n_leaves + 1].copy(),
        near_m=neighbours.near_m[:n_leaves].copy(),
        whole=neighbours.whole[:n_leaves].copy(),
        schedule_bits=neighbours.schedule_bits[:n_leaves].copy(),
        entry=neighbours.entry[:n_entries].copy(),
    )


def list_neighbours(part: Part) -> Neighbours:
    """
    Return the lists of a part; none where it has more rows than they can name.

    About 1.4 s for a million rows of one offer, and 55 bytes a row.
    """
    n_offers = part.root_of_offer.size
    if part.xyz.shape[0] >= 1 << ROW_BITS:
        return no_neighbours(n_offers)
    builder = _ListBuilder(part)
    for offer in np.flatnonzero(part.root_of_offer >= 0):
        builder.add(int(offer), int(part.root_of_offer[offer]))
    return builder.finished()


class _ListBuilder:
    """Arrays that grow with every tree."""

    def __init__(self, part: Part) -> None:
        self._part, self._packed = part, pack(part)
        # Memory that is not written is not taken: room for a million rows costs what they fill.
        n = part.xyz.shape[0]
        root = np.full(part.root_of_offer.size * N_FACES, NONE, np.int32)
        self._made = _neighbours(root, n // 8 + 4096, 4 * n + (1 << 18), 2 * n + (1 << 17), 24 * n + (1 << 20))
        self._counts = np.zeros(3, np.int64)

    def add(self, offer: int, tree: int) -> None:
        """List the rows of one tree on every face on which it has any."""
        start, stop = int(self._part.forest.start[tree]), int(self._part.forest.stop[tree])
        if stop - start <= _SMALL_TREE:
            self._made.root[offer * N_FACES : (offer + 1) * N_FACES] = self._whole_tree(tree, start, stop)
            return
        extents = np.empty((N_FACES, 2, 5))
        kernels.extents(self._part.xyz, start, stop, extents)
        for face in np.flatnonzero(extents[:, 0, 0]):
            self._add_face(offer, tree, int(face), extents[face])

    def _whole_tree(self, tree: int, start: int, stop: int) -> int:
        leaf = int(self._counts[2])
        self._make_room(0, 0, 1, stop - start)
        first = self._made.start[leaf]
        self._made.entry[first : first + stop - start] = np.arange(start, stop)
        self._made.start[leaf + 1] = first + stop - start
        self._made.near_m[leaf] = np.inf
        self._made.whole[leaf] = True
        self._made.schedule_bits[leaf] = self._part.schedule_bits[tree]
        self._counts[2] += 1
        return leaf

    def _add_face(self, offer: int, tree: int, face: int, extent: NDArray[np.float64]) -> None:
        n = int(extent[0, 0])
        rhomb = _root_rhomb(extent, n)
        n_cells = int(rhomb[3] * rhomb[4])
        room = n_cells + n
        while True:
            self._make_room(room // 8 + 64, n_cells + 2 * room + 4096, room + 64, 16 * room + 4096)
            if self._built(offer, tree, face, rhomb, room):
                return
            room *= 2

    def _built(self, offer: int, tree: int, face: int, rhomb: NDArray[np.int32], room: int) -> bool:
        node, n_slots, _ = self._counts
        n_nodes, n_cells = self._made.node.shape[0], 1 << int(math.log2(2 * room) + 1)
        workshop = Workshop(
            center=np.zeros((n_nodes, 2)),
            parent=np.full(n_nodes, -1, np.int32),
            n_rows=np.zeros(n_nodes, np.int64),
            cell=np.full(n_cells, -1, np.int64),
            value=np.empty(n_cells, np.int32),
            rows=np.empty(kernels.ROOM, np.int64),
            chord_sq=np.empty(kernels.ROOM),
            listed=np.empty(MAX_ENTRIES, np.int64),
            squares=np.empty(MAX_ENTRIES),
            smallest=np.empty(WELL_KNOWN),
            stack=np.empty(STACK, np.int64),
        )
        self._made.node[node] = [*rhomb, n_slots]
        counts = np.array([node, n_slots + int(rhomb[3] * rhomb[4]), self._counts[2]], np.int64)
        if not kernels.build(self._packed, tree, face, pack(self._made), pack(workshop), counts):
            return False
        self._made.root[offer * N_FACES + face] = -2 - node
        self._counts = counts
        return True

    def _make_room(self, n_nodes: int, n_slots: int, n_leaves: int, n_entries: int) -> None:
        used = (*(int(count) for count in self._counts), int(self._made.start[self._counts[2]]))
        wanted = [have + more for have, more in zip(used, (n_nodes, n_slots, n_leaves, n_entries), strict=True)]
        made = self._made
        have = (made.node.shape[0], made.slot.size, made.near_m.size, made.entry.size)
        if all(one >= other for one, other in zip(have, wanted, strict=True)):
            return
        grown = _neighbours(made.root, *(max(one, 2 * other) for one, other in zip(have, wanted, strict=True)))
        n_used = (used[0], used[1], used[2] + 1, used[2], used[2], used[2], used[3])
        for (old, _), (new, _), n in zip(arrays_of(made[1:]), arrays_of(grown[1:]), n_used, strict=True):
            new[:n] = old[:n]
        self._made = grown

    def finished(self) -> Neighbours:
        """Return what is filled."""
        n_nodes, n_slots, n_leaves = (int(count) for count in self._counts)
        return _cut(self._made, n_nodes, n_slots, n_leaves, int(self._made.start[n_leaves]))


def _root_rhomb(extent: NDArray[np.float64], n: int) -> NDArray[np.int32]:
    """Return resolution, least i and j, and how many of each: the finest rhomb round n rows of not too many cells."""
    most_cells = max(16, min(_ROOT_CELLS, n // 4))
    for resolution in range(15, -1, -1):
        _, least_i, most_i, least_j, most_j = extent[resolution % 2] * 7.0 ** (resolution // 2)
        rhomb = np.array([math.floor(least_i) - 1, math.floor(least_j) - 1, math.ceil(most_i), math.ceil(most_j)])
        n_i, n_j = rhomb[2] - rhomb[0] + 2, rhomb[3] - rhomb[1] + 2
        if n_i * n_j <= most_cells or resolution == 0:
            return np.array([resolution, rhomb[0], rhomb[1], n_i, n_j], np.int32)
    raise AssertionError

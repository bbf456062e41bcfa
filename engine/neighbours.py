"""List the rows near every cell of every offer's tree, for searches that start there."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from engine.kernels import extents as kernels
from engine.kernels.state import FIRST_I, FIRST_SLOT, N_I, N_J, NONE, ROW_BITS, Neighbours, Part
from engine.listing import list_few, list_rhomb, reaches_of, room_for_lists
from engine.packing import pack
from engine.threads import n_processors
from geo.kernels.lattice import N_FACES

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Neighbours", "list_neighbours", "no_neighbours"]

_SMALL_TREE = 64
"""A tree of no more rows is one leaf that lists them all."""
_ROOT_CELLS = 1 << 17
_STRIP_ROWS = 1 << 17
"""A face's rows are divided into strips of about so many, which threads share."""
_SAMPLE = 8192  # rows of a tree that are looked at to divide it


@dataclass(frozen=True)
class _Task:
    """A strip of the cells of a tree on a face; of a small tree no cells."""

    offer: int
    tree: int
    face: int
    rhomb: NDArray[np.int32]
    n_rows: int


def no_neighbours(n_offers: int) -> Neighbours:
    """Return the lists of a part whose searches all ask its trees."""
    return room_for_lists(0, 0, 0, 0)._replace(root=np.full(n_offers * N_FACES, NONE, np.int32))


def list_neighbours(part: Part) -> Neighbours:
    """
    Return the lists of a part; none where it has more rows than they can name.

    On all processors, about 1.6 s of one and 55 bytes a row for a million rows of one offer, 7 s and twice as many
    bytes for those of a city of many offers; near-linear in rows, however many stand in one place.
    """
    if part.xyz.shape[0] >= 1 << ROW_BITS:
        return no_neighbours(part.root_of_offer.size)
    packed, reaches, forest = pack(part), reaches_of(part), part.forest

    def listed(task: _Task) -> Neighbours:
        if not task.rhomb.size:
            return list_few(int(forest.start[task.tree]), int(forest.stop[task.tree]), part.schedule_bits[task.tree])
        return list_rhomb(packed, reaches, task.tree, task.face, task.rhomb, task.n_rows)

    tasks = list(_tasks(part))
    n_threads = min(n_processors(), sum(task.rhomb.size > 0 for task in tasks))
    if n_threads <= 1:
        return _joined(part, tasks, [listed(task) for task in tasks])
    with ThreadPoolExecutor(n_threads) as pool:
        return _joined(part, tasks, list(pool.map(listed, tasks)))


def _tasks(part: Part) -> Iterator[_Task]:
    for offer in np.flatnonzero(part.root_of_offer >= 0):
        tree = int(part.root_of_offer[offer])
        start, stop = int(part.forest.start[tree]), int(part.forest.stop[tree])
        if stop - start <= _SMALL_TREE:
            yield _Task(int(offer), tree, 0, np.empty(0, np.int32), stop - start)
            continue
        extents = np.empty((N_FACES, 2, 5))
        kernels.extents(part.xyz, start, stop, extents)
        for face in np.flatnonzero(extents[:, 0, 0]):
            n = int(extents[face, 0, 0])
            rhomb = _root_rhomb(extents[face], n)
            for strip, share in _strips(part, start, stop, int(face), rhomb, n):
                yield _Task(int(offer), tree, int(face), strip, int(share * n))


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


def _strips(
    part: Part, start: int, stop: int, face: int, rhomb: NDArray[np.int32], n: int
) -> Iterator[tuple[NDArray[np.int32], float]]:
    """Yield rhombs that make up one, by i, of about as many of its n rows each, and about which share each has."""
    n_strips = min(int(rhomb[N_I]), -(-n // _STRIP_ROWS))
    step = max(1, (stop - start) // _SAMPLE)
    along = np.empty((stop - start) // step + 1)
    n_seen = kernels.along(part.xyz, start, stop, step, face, int(rhomb[0]), along)
    along = np.sort(along[:n_seen]) - rhomb[FIRST_I]
    inner = along[np.arange(1, n_strips) * n_seen // n_strips] if n_seen else np.empty(0)
    edges = np.unique(np.clip(np.floor(inner), 1, rhomb[N_I] - 1)) if n_strips > 1 else np.empty(0)
    edges = np.concatenate([[0], edges, [rhomb[N_I]]]).astype(np.int64)
    shares = np.diff(np.searchsorted(along, edges[1:-1]), prepend=0, append=n_seen) / max(1, n_seen)
    for first, last, share in zip(edges[:-1], edges[1:], shares, strict=True):
        strip = rhomb.copy()
        strip[FIRST_I] += first
        strip[N_I] = last - first
        yield strip, float(share)


def _joined(part: Part, tasks: list[_Task], pieces: list[Neighbours]) -> Neighbours:
    """Return all pieces as one: the strips of a face are one rhomb again."""
    join = _Join(part.root_of_offer.size)
    together = groupby(zip(tasks, pieces, strict=True), lambda pair: (pair[0].offer, pair[0].face))
    for (offer, face), pairs in together:
        of_face = list(pairs)
        if of_face[0][0].rhomb.size:
            join.add_face(offer, face, [task.rhomb for task, _ in of_face], [piece for _, piece in of_face])
        else:
            join.add_leaf(offer, of_face[0][1])
    return join.finished()


class _Join:
    """Pieces one after the other, and what they refer to shifted."""

    def __init__(self, n_offers: int) -> None:
        self._root = np.full(n_offers * N_FACES, NONE, np.int32)
        self._columns: dict[str, list[NDArray[Any]]] = {name: [] for name in Neighbours._fields[1:]}
        self._columns["start"].append(np.zeros(1, np.int32))
        self._n = dict.fromkeys(Neighbours._fields, 0)

    def add_leaf(self, offer: int, piece: Neighbours) -> None:
        """Add the one leaf of a small tree, on all faces."""
        self._root[offer * N_FACES : (offer + 1) * N_FACES] = self._n["near_m"]
        self._add_leaves(piece)

    def add_face(self, offer: int, face: int, rhombs: list[NDArray[np.int32]], strips: list[Neighbours]) -> None:
        """Add the strips of a face: their cells stand together, then what they are divided into, strip by strip."""
        whole = rhombs[0].copy()
        whole[N_I] = sum(int(rhomb[N_I]) for rhomb in rhombs)
        self._root[offer * N_FACES + face] = -2 - self._n["node"]
        self._add("node", np.append(whole, self._n["slot"]).astype(np.int32)[None])
        inner = []
        n_cells = [int(rhomb[N_I]) * int(rhomb[N_J]) for rhomb in rhombs]
        first_inner = self._n["slot"] + sum(n_cells)
        for strip, n in zip(strips, n_cells, strict=True):
            # A strip's node 0 is not kept; node 1 becomes the next.
            slot = strip.slot
            to = np.where(slot >= 0, slot + self._n["near_m"], np.where(slot == NONE, NONE, slot + 1 - self._n["node"]))
            node = strip.node[1:].copy()
            node[:, FIRST_SLOT] += first_inner - n
            self._add("node", node)
            self._add("slot", to[:n].astype(np.int32))
            inner.append(to[n:].astype(np.int32))
            first_inner += slot.size - n
            self._add_leaves(strip)
        for slots in inner:
            self._add("slot", slots)

    def _add_leaves(self, piece: Neighbours) -> None:
        self._columns["start"].append(piece.start[1:] + np.int32(self._n["entry"]))
        for name in ("near_m", "schedule_bits", "rest_bits", "entry"):
            self._add(name, getattr(piece, name))

    def _add(self, name: str, values: NDArray[Any]) -> None:
        self._columns[name].append(values)
        self._n[name] += values.shape[0]

    def finished(self) -> Neighbours:
        """Return all of them."""
        empty = room_for_lists(0, 0, 0, 0)
        columns = {name: np.concatenate([getattr(empty, name)[:0], *held]) for name, held in self._columns.items()}
        return Neighbours(root=self._root, **columns)

"""List the service areas of every cell: refine, level by level, where they need exact tests."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.kernels.covering import N_BASE_CELLS, Lists, Shapes, refine
from engine.threads import n_processors
from engine.views import read_only
from geo.cells import FINEST_RESOLUTION
from geo.kernels.covers import CELL_REACH_M

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Cells", "finest_for", "list_cells", "starts_of"]

_ROOM = 1 << 20
_CHILDREN_A_PIECE = 2048
_ACROSS = 24  # the finest cells' reach is at least about this share of an area's extent
_EDGES_ACROSS = 4.0
_MOST_ACROSS = 1000.0


class Cells(NamedTuple):
    """
    The cells of mixed resolution under some roots.

    Attributes
    ----------
    child
        int32[s]: of each slot a leaf, told as ``-1 - leaf``, or its first child's slot; 122 of each root, then
        seven of each cell that is divided.
    leaves
        Their lists; the first is empty.
    """

    child: NDArray[np.int32]
    leaves: Lists


def starts_of(sizes: NDArray[np.int64] | NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return where each of n runs starts that stand one behind the other, and where the last ends, int64[n + 1]."""
    starts = np.zeros(sizes.size + 1, np.int64)
    np.cumsum(sizes, out=starts[1:])
    return starts


def finest_for(extent_m: NDArray[np.float64], n_edges: NDArray[np.int64]) -> NDArray[np.int64]:
    """
    Return the resolution from which on finer cells are not worth it for areas, int64[n].

    An area of more edges has more and smaller cells, so that the edges of each stay few.
    """
    across = np.clip(n_edges / _EDGES_ACROSS, _ACROSS, _MOST_ACROSS)
    return np.minimum(np.searchsorted(-CELL_REACH_M, -extent_m / across, side="right"), FINEST_RESOLUTION)


def list_cells(shapes: Shapes, roots: Lists) -> Cells:
    """Return the cells under roots, each of which lists areas of the whole earth."""
    children: list[NDArray[np.int32]] = []
    leaves = [_room(1, 0, 0, 0)]
    nodes, n_leaves, n_slots = roots, 1, 0
    for resolution in range(FINEST_RESOLUTION + 1):
        fan = N_BASE_CELLS if resolution == 0 else 7
        n_children = nodes.cell.size * fan
        n_slots += n_children
        child = np.full(n_children, -1, np.int32)
        found = _refine(shapes, nodes, resolution, n_children)
        nodes = _joined([inner for inner, _ in found])
        child[nodes.slot] = n_slots + 7 * np.arange(nodes.cell.size)
        for _, some in found:
            child[some.slot] = -1 - n_leaves - np.arange(some.cell.size)
            n_leaves += some.cell.size
            leaves.append(some)
        children.append(child)
        if nodes.cell.size == 0:
            break
    return Cells(np.concatenate(children), _joined(leaves))


def _refine(shapes: Shapes, nodes: Lists, resolution: int, n_children: int) -> list[tuple[Lists, Lists]]:
    pieces = range(0, n_children, _CHILDREN_A_PIECE)
    runs = [(start, min(start + _CHILDREN_A_PIECE, n_children)) for start in pieces]
    if not runs:
        return [(_room(0, 0, 0, 0), _room(0, 0, 0, 0))]
    if len(runs) == 1:
        return _refine_run(shapes, nodes, resolution, *runs[0])
    with ThreadPoolExecutor(n_processors()) as pool:
        found = pool.map(lambda run: _refine_run(shapes, nodes, resolution, *run), runs)
        return [piece for pieces in found for piece in pieces]


def _refine_run(shapes: Shapes, nodes: Lists, resolution: int, item: int, stop: int) -> list[tuple[Lists, Lists]]:
    found = []
    most = _largest(nodes)
    shapes, nodes = read_only(shapes), read_only(nodes)
    while item < stop:
        room = np.maximum(most, min(_ROOM, 8 * int(most[1]) * (stop - item)))
        inner, leaves = _room(stop - item, *room[1:]), _room(stop - item, *room[1:])
        counts = np.zeros((2, 4), np.int64)
        item = refine(shapes, nodes, resolution, item, stop, inner, leaves, counts)
        if item < 0:
            msg = "H3 could not tell the centre of a cell"
            raise RuntimeError(msg)
        found.append((_taken(inner, counts[0]), _taken(leaves, counts[1])))
    return found


def _largest(nodes: Lists) -> NDArray[np.int64]:
    """Return 1 and the most entries, asked entries and listed that any node has."""
    if nodes.cell.size == 0:
        return np.array([1, 0, 0, 0])
    listed_start = nodes.listed_start[nodes.first_asked]
    return np.array([1, *(int(np.diff(starts).max()) for starts in (nodes.start, nodes.first_asked, listed_start))])


def _room(n_cells: int, n_entries: int, n_asked: int, n_listed: int) -> Lists:
    start, first_asked = np.zeros((2, n_cells + 1), np.int64)
    return Lists(
        cell=np.zeros(n_cells, np.uint64),
        slot=np.zeros(n_cells, np.int64),
        start=start,
        first_asked=first_asked,
        code=np.empty(n_entries, np.int32),
        area=np.empty(n_asked, np.int32),
        listed_start=np.zeros(n_asked + 1, np.int64),
        listed=np.empty(n_listed, np.int32),
    )


def _taken(lists: Lists, counts: NDArray[np.int64]) -> Lists:
    """Return what was written, in arrays of its own size."""
    n_cells, n_entries, n_asked, n_listed = counts
    return Lists(
        cell=lists.cell[:n_cells].copy(),
        slot=lists.slot[:n_cells].copy(),
        start=lists.start[: n_cells + 1].copy(),
        first_asked=lists.first_asked[: n_cells + 1].copy(),
        code=lists.code[:n_entries].copy(),
        area=lists.area[:n_asked].copy(),
        listed_start=lists.listed_start[: n_asked + 1].copy(),
        listed=lists.listed[:n_listed].copy(),
    )


def _joined(pieces: Sequence[Lists]) -> Lists:
    return Lists(
        cell=np.concatenate([piece.cell for piece in pieces]),
        slot=np.concatenate([piece.slot for piece in pieces]),
        start=_joined_starts([piece.start for piece in pieces]),
        first_asked=_joined_starts([piece.first_asked for piece in pieces]),
        code=np.concatenate([piece.code for piece in pieces]),
        area=np.concatenate([piece.area for piece in pieces]),
        listed_start=_joined_starts([piece.listed_start for piece in pieces]),
        listed=np.concatenate([piece.listed for piece in pieces]),
    )


def _joined_starts(pieces: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    ends = np.cumsum([piece[-1] for piece in pieces])
    shifted = [piece[1:] + end - piece[-1] for piece, end in zip(pieces, ends, strict=True)]
    return np.concatenate([np.zeros(1, np.int64), *shifted])

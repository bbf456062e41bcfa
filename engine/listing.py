"""List the rows near every cell of a piece of one tree: what `engine.neighbours` makes a part's lists of."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.forest import bits_in_nodes, largest_in_nodes
from engine.kernels import listing as kernels
from engine.kernels.gathering import MAX_ENTRIES, WELL_KNOWN
from engine.kernels.packing import Packed
from engine.kernels.state import N_I, N_J, NEVER, STACK, Neighbours, Part
from engine.kernels.workshop import Workshop
from engine.packing import pack

__all__ = ["Reaches", "list_few", "list_rhomb", "reaches_of", "room_for_lists"]

NO_ROOT = np.empty(0, np.int32)


def room_for_lists(n_nodes: int, n_slots: int, n_leaves: int, n_entries: int) -> Neighbours:
    """Return room for lists of one piece; memory that is not written is not taken."""
    return Neighbours(
        root=NO_ROOT,
        node=np.zeros((n_nodes, 6), np.int32),
        slot=np.empty(n_slots, np.int32),
        start=np.zeros(n_leaves + 1, np.int32),
        near_m=np.empty(n_leaves, np.float32),
        schedule_bits=np.empty(n_leaves, np.uint64),
        rest_bits=np.empty(n_leaves, np.uint64),
        entry=np.empty(n_entries, np.uint32),
    )


def list_few(start: int, stop: int, schedule_bits: np.uint64) -> Neighbours:
    """Return one leaf that lists the few rows of a tree, wherever a place is; with the bits of their schedules."""
    made = room_for_lists(0, 0, 1, stop - start)
    made.start[1] = stop - start
    made.near_m[0] = np.inf
    made.schedule_bits[0] = schedule_bits
    made.rest_bits[0] = 0
    made.entry[:] = np.arange(start, stop)
    return made


class Reaches(NamedTuple):
    """The fields of `Workshop` that all cells of a part share."""

    reach_sq: NDArray[np.float64]
    everywhere: NDArray[np.uint64]


def reaches_of(part: Part) -> Reaches:
    """Return how far the areas of a part's trees reach, those apart that reach everywhere and are too many to list."""
    forest, n_trees = part.forest, int(part.root_of_offer.max(initial=-1)) + 1
    is_everywhere = np.isinf(part.reach_m) & (part.schedule_bit < NEVER)
    before = np.concatenate([[0], np.cumsum(is_everywhere)])
    start, stop = forest.start[:n_trees], forest.stop[:n_trees]
    is_apart = is_everywhere & np.repeat(before[stop] - before[start] > MAX_ENTRIES, stop - start)
    return Reaches(
        largest_in_nodes(np.where(is_apart, 0.0, part.reach_m).astype(np.float64), forest) ** 2,
        bits_in_nodes(np.where(is_apart, part.schedule_bit, np.uint8(NEVER)), forest),
    )


def list_rhomb(
    packed_part: Packed, reaches: Reaches, tree: int, face: int, rhomb: NDArray[np.int32], n_rows: int
) -> Neighbours:
    """
    Return the lists of the cells of a rhomb, resolution, least i and j, and how many of each; node 0 is the rhomb.

    Parameters
    ----------
    packed_part
        The part whose rows are listed.
    reaches
        Its areas.
    tree, face
        Which of its trees, and on which face.
    rhomb
        int32[5].
    n_rows
        About how many rows lie there.
    """
    n_cells = int(rhomb[N_I]) * int(rhomb[N_J])
    room = n_cells + n_rows
    n_spare = room // 8
    while True:
        made = room_for_lists(room // 8 + 64, n_cells + 2 * room + 4096, room + 64, 24 * room + 4096)
        made.node[0] = [*rhomb, 0]
        workshop, counts = _workshop(made.node.shape[0], room, reaches), np.array([1, n_cells, 0, 0, n_spare], np.int64)
        if kernels.build(packed_part, tree, face, pack(made), pack(workshop), counts):
            return _cut(made, *(int(count) for count in counts[: kernels.N_CELLS]))
        room *= 2


def _workshop(n_nodes: int, room: int, reaches: Reaches) -> Workshop:
    n_cells = 1 << int(math.log2(2 * room) + 1)
    return Workshop(
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
        **reaches._asdict(),
    )


def _cut(made: Neighbours, n_nodes: int, n_slots: int, n_leaves: int) -> Neighbours:
    return Neighbours(
        root=NO_ROOT,
        node=made.node[:n_nodes].copy(),
        slot=made.slot[:n_slots].copy(),
        start=made.start[: n_leaves + 1].copy(),
        near_m=made.near_m[:n_leaves].copy(),
        schedule_bits=made.schedule_bits[:n_leaves].copy(),
        rest_bits=made.rest_bits[:n_leaves].copy(),
        entry=made.entry[: int(made.start[n_leaves])].copy(),
    )

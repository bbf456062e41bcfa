"""Find the leaf cell of a place: what most searches need of the index is listed there."""

import math

import numpy as np
from numpy.typing import NDArray

from engine.kernels.state import (
    FIRST_I,
    FIRST_J,
    FIRST_SLOT,
    N_I,
    N_J,
    NONE,
    RESOLUTION,
    ROW_BITS,
    Asks,
    Best,
    Neighbours,
    Part,
    Room,
)
from geo.jit import inlined_kernel, prefetch
from geo.kernels.lattice import (
    HALF_SQRT_3,
    N_FACES,
    SCALES,
    face_of,
    farthest_m,
    in_spacings,
    nearest_center,
    on_face,
    spacing_m_at,
)
from geo.kernels.metric import ECCENTRICITY_SQ


# Axes: q queries of a chunk.
@inlined_kernel
def locate(
    neighbours: Neighbours,
    xyz: NDArray[np.float64],
    offer: NDArray[np.int64],
    start: int,
    n: int,
    room: Room,
) -> None:
    """
    Find the leaf of each of n queries, and how far from its centre they are at most.

    Parameters
    ----------
    neighbours
        What is searched.
    xyz, offer
        All queries' positions, shape (., 3), and offers; those from ``start`` on are meant.
    room
        Its ``leaf`` is filled (``NONE`` where no leaf holds the place), and ``off_m``.

    Notes
    -----
    All queries of the chunk go down one level, then those that must go farther: a processor overlaps what does not
    depend on one another, and waits for memory once a level instead of once a query.
    """
    plane, place, pending, leaf, off_m = room.plane, room.place, room.pending, room.leaf, room.off_m
    left = 0
    face = 0
    n_offers = neighbours.root.shape[0] // N_FACES
    for at in range(n):
        x, y, z = xyz[start + at, 0], xyz[start + at, 1], xyz[start + at, 2] / (1.0 - ECCENTRICITY_SQ)
        face = face_of(x, y, z, face)
        plane[at, 0], plane[at, 1] = on_face(face, x, y, z)
        plane[at, 2] = spacing_m_at(face, x, y, z)
        code = offer[start + at]
        root = neighbours.root[code * N_FACES + face] if 0 <= code < n_offers else np.int32(NONE)
        leaf[at] = root
        off_m[at] = 0.0
        place[at] = -2 - root
        pending[left] = at
        left += 1 if root < NONE else 0
    while left > 0:
        kept = 0
        for order in range(left):
            at = pending[order]
            rhomb = neighbours.node[place[at]]
            resolution = rhomb[RESOLUTION]
            x, y = in_spacings(plane[at, 0], plane[at, 1], resolution)
            i, j = nearest_center(x, y)
            along_i, along_j = int(i) - rhomb[FIRST_I], int(j) - rhomb[FIRST_J]
            inside = 0 <= along_i < rhomb[N_I] and 0 <= along_j < rhomb[N_J]
            found = neighbours.slot[rhomb[FIRST_SLOT] + along_i * rhomb[N_J] + along_j] if inside else np.int32(NONE)
            dx, dy = x - (i - 0.5 * j), y - j * HALF_SQRT_3
            leaf[at] = found
            off_m[at] = farthest_m(math.sqrt(dx * dx + dy * dy) / SCALES[resolution], plane[at, 2]) + 1e-3
            place[at] = -2 - found
            pending[kept] = at
            kept += 1 if found < NONE else 0
        left = kept


@inlined_kernel
def fetch_lists(neighbours: Neighbours, leaf: NDArray[np.int32], at: int, n: int, checked: bool) -> None:
    """Ask for the memory of the lists that the queries a little behind ``at`` in a chunk of n will need."""
    ahead = at + 16
    if ahead < n and leaf[ahead] >= 0:
        prefetch(neighbours.start, leaf[ahead])
        prefetch(neighbours.near_m, leaf[ahead])
        if checked:
            prefetch(neighbours.schedule_bits, leaf[ahead])
            prefetch(neighbours.rest_bits, leaf[ahead])
    ahead = at + 8
    if ahead < n and leaf[ahead] >= 0:
        start = neighbours.start[leaf[ahead]]
        prefetch(neighbours.entry, start)
        prefetch(neighbours.entry, start + 16)


@inlined_kernel
def fetch_ahead(part: Part, asks: Asks, first: int, leaf: NDArray[np.int32], at: int, n: int, checked: bool) -> None:
    """Ask for the memory that the queries a little behind ``at`` in a chunk of n will need: list, then rows."""
    neighbours = part.neighbours
    fetch_lists(neighbours, leaf, at, n, checked)
    ahead = at + 4
    if ahead < n and leaf[ahead] >= 0:
        if checked and not neighbours.schedule_bits[leaf[ahead]] & asks.open_schedules[first + ahead]:
            return
        start = neighbours.start[leaf[ahead]]
        for entry in range(start, min(start + 8, neighbours.start[leaf[ahead] + 1])):
            row = int(neighbours.entry[entry] & np.uint32((1 << ROW_BITS) - 1))
            if checked:
                prefetch(part.schedule_bit, row)
                prefetch(part.inner_m, row)
                prefetch(part.reach_m, row)
                prefetch(part.row, row)
            prefetch(part.xyz, row)


@inlined_kernel
def fetch_rows(part: Part, best: Best, query: int, stop: int, has_more: bool) -> None:
    """Ask for the memory that tells the rows of the queries a little behind one, before ``stop``."""
    ahead = query + 8
    if ahead < stop:
        for at in range(best.place.shape[1]):
            if best.place[ahead, at] >= 0:
                prefetch(part.row, best.place[ahead, at])
                if has_more:
                    prefetch(part.rank, best.place[ahead, at])

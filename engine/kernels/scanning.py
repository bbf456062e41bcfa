"""Take the nearest rows of lists, where nothing but their offer is asked: their positions are read, and of answers the rest."""

import math

import numpy as np

from engine.kernels.feasibility import chord_sq_to
from engine.kernels.neighbours import fetch_ahead, fetch_rows
from engine.kernels.search import NO_RANK, clear
from engine.kernels.state import ROW_BITS, STEPS, Asks, Best, Part, Room, Version
from geo.jit import inlined_kernel

_ROW = (1 << ROW_BITS) - 1


@inlined_kernel
def _insert_place(part: Part, best: Best, query: int, filled: int, chord_sq: float, place: int) -> None:
    """Enter a place of a part among those of a query, of which so many are filled; ranks are read for ties alone."""
    at = filled
    while at > 0:
        before = best.chord_sq[query, at - 1]
        if before < chord_sq or (before == chord_sq and part.rank[best.place[query, at - 1]] < part.rank[place]):
            break
        at -= 1
    last = best.chord_sq.shape[1] - 1
    if at > last:
        return
    for to in range(min(filled, last), at, -1):
        best.chord_sq[query, to] = best.chord_sq[query, to - 1]
        best.place[query, to] = best.place[query, to - 1]
    best.chord_sq[query, at] = chord_sq
    best.place[query, at] = place


@inlined_kernel
def _scan_for_one(part: Part, asks: Asks, query: int, leaf: int, off_m: float, best: Best) -> bool:
    """Do what `_scan_list` does where one neighbour is asked for, and nothing is written on the way."""
    neighbours = part.neighbours
    near_m = np.float64(neighbours.near_m[leaf])
    steps_per_m = STEPS / near_m * 1.00001 if near_m > 0.0 else math.inf
    x, y, z = asks.xyz[query, 0], asks.xyz[query, 1], asks.xyz[query, 2]
    least, nearest = math.inf, -1
    end = np.int64(STEPS + 1) << ROW_BITS  # of the words that can matter
    for entry in range(neighbours.start[leaf], neighbours.start[leaf + 1]):
        word = np.int64(neighbours.entry[entry])
        if word >= end:
            break
        i = int(word & _ROW)
        chord_sq = chord_sq_to(part.xyz, i, x, y, z)
        if chord_sq < least or (chord_sq == least and part.rank[i] < part.rank[nearest]):
            least, nearest = chord_sq, i
            end = (np.int64(min(STEPS, (math.sqrt(least) + off_m) * steps_per_m)) + 2) << ROW_BITS
    best.chord_sq[query, 0] = least
    best.place[query, 0] = nearest
    return bool(math.sqrt(least) + off_m < near_m)


@inlined_kernel
def _scan_list(part: Part, asks: Asks, query: int, leaf: int, off_m: float, best: Best) -> bool:
    """
    Take the nearest that a leaf lists, whatever may be wrong with them; tell whether no other row is nearer.

    Only ``chord_sq`` and ``place`` of ``best`` are written: what else is to be known of a row is read once it is an
    answer, not for every row that is passed.
    """
    neighbours = part.neighbours
    near_m = np.float64(neighbours.near_m[leaf])
    steps_per_m = STEPS / near_m * 1.00001 if near_m > 0.0 else math.inf
    x, y, z = asks.xyz[query, 0], asks.xyz[query, 1], asks.xyz[query, 2]
    k = best.chord_sq.shape[1]
    worst = math.inf
    end = np.int64(STEPS + 1) << ROW_BITS  # of the words that can matter
    filled = 0
    for entry in range(neighbours.start[leaf], neighbours.start[leaf + 1]):
        word = np.int64(neighbours.entry[entry])
        if word >= end:
            break
        i = int(word & _ROW)
        chord_sq = chord_sq_to(part.xyz, i, x, y, z)
        if chord_sq > worst:
            continue
        _insert_place(part, best, query, filled, chord_sq, i)
        filled = min(k, filled + 1)
        if filled == k:
            worst = best.chord_sq[query, k - 1]
            end = (np.int64(min(STEPS, (math.sqrt(worst) + off_m) * steps_per_m)) + 2) << ROW_BITS
    for at in range(filled, k):
        best.place[query, at] = -1
    return bool(math.sqrt(worst) + off_m < near_m)


@inlined_kernel
def _tell_rows(part: Part, version: Version, query: int, has_dead: bool, has_more: bool, best: Best) -> bool:
    """
    Fill in the rows of the places that `_scan_list` took; tell whether all are living.

    Their ranks are told where more parts are to be searched.
    """
    for at in range(best.place.shape[1]):
        place = best.place[query, at]
        if place < 0:
            best.chord_sq[query, at] = math.inf
            best.rank[query, at] = NO_RANK
            best.row[query, at] = -1
            continue
        row = part.row[place]
        if has_dead and version.dead[row]:
            return False
        if has_more:
            best.rank[query, at] = part.rank[place]
        best.row[query, at] = row
    return True


@inlined_kernel
def scan_chunk(
    version: Version, asks: Asks, first: int, n: int, has_dead: bool, has_more: bool, best: Best, room: Room
) -> None:
    """
    Answer n located queries from ``first`` on by the lists of their leaves in the base.

    ``room.settled`` tells which are answered; the others have what was found so far. Ranks are told where more is
    to be searched.
    """
    base, leaf, off_m, settled = version.base, room.leaf, room.off_m, room.settled
    wants_one = best.chord_sq.shape[1] == 1
    for at in range(n):
        fetch_ahead(base, asks, first, leaf, at, n, False)
        if leaf[at] < 0:
            settled[at] = False
        elif wants_one:
            settled[at] = _scan_for_one(base, asks, first + at, leaf[at], off_m[at], best)
        else:
            settled[at] = _scan_list(base, asks, first + at, leaf[at], off_m[at], best)
    for at in range(n):
        fetch_rows(base, best, first + at, first + n, has_more)
        has_rows = leaf[at] >= 0 and _tell_rows(base, version, first + at, has_dead, has_more or not settled[at], best)
        if not has_rows:
            settled[at] = False
            clear(best, first + at)

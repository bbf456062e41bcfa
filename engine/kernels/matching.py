"""Search the forest for the nearest rows that can serve."""

import math

import numpy as np
from numpy.typing import NDArray

from engine.kernels.feasibility import MATCHED, NO_OFFER, chord_sq_to, refusal
from engine.kernels.forest import MAX_CHILDREN
from engine.kernels.state import Asks, Best, Hours, Part, Version
from geo.jit import inlined_kernel, kernel
from geo.kernels.metric import max_chord_sq

STACK = 16 * 7 + MAX_CHILDREN  # one path of siblings from a root to the finest resolution


@kernel
def _least_chord_sq(
    center: NDArray[np.float64], radius: NDArray[np.float64], node: int, x: float, y: float, z: float
) -> float:
    gap = math.sqrt(chord_sq_to(center, node, x, y, z)) - radius[node]
    return gap * gap if gap > 0.0 else 0.0


@inlined_kernel
def _insert(best: Best, query: int, chord_sq: float, rank: int, row: int, place: int) -> None:
    # Start behind the last that is filled: rooms beyond it are empty, and may be many.
    at = np.searchsorted(best.chord_sq[query], math.inf)
    at = min(at, best.chord_sq.shape[1] - 1)
    while at > 0:
        before = best.chord_sq[query, at - 1]
        if before < chord_sq or (before == chord_sq and best.rank[query, at - 1] < rank):
            break
        best.chord_sq[query, at] = before
        best.rank[query, at] = best.rank[query, at - 1]
        best.row[query, at] = best.row[query, at - 1]
        best.place[query, at] = best.place[query, at - 1]
        at -= 1
    best.chord_sq[query, at] = chord_sq
    best.rank[query, at] = rank
    best.row[query, at] = row
    best.place[query, at] = place


@inlined_kernel
def _search_tree(
    part: Part,
    root: int,
    version: Version,
    hours: Hours,
    asks: Asks,
    query: int,
    checked: bool,
    best: Best,
    stack: NDArray[np.int64],
    least: NDArray[np.float64],
) -> None:
    # Depth first, the nearest child first; a node whose ball lies beyond the k-th best, or farther than
    # any area of its rows goes, falls away.
    # The arrays of the loop are named outside it: to hand whole tuples on costs a count for each array.
    center, radius = part.forest.center, part.forest.radius
    start, stop = part.forest.start, part.forest.stop
    first_child, n_children = part.forest.first_child, part.forest.n_children
    reach_sq, ask_area = part.reach_sq, checked and asks.ask_area
    xyz, row, rank, dead = part.xyz, part.row, part.rank, version.dead
    best_chord_sq, best_rank = best.chord_sq, best.rank
    x, y, z = asks.xyz[query, 0], asks.xyz[query, 1], asks.xyz[query, 2]
    last = best_chord_sq.shape[1] - 1
    limit = max_chord_sq(asks.limit_m) if checked else math.inf
    stack[0] = root
    least[0] = _least_chord_sq(center, radius, root, x, y, z)
    top = 1
    while top > 0:
        top -= 1
        node = stack[top]
        if least[top] > best_chord_sq[query, last] or least[top] > limit:
            continue
        if ask_area and least[top] > reach_sq[node]:
            continue
        for i in range(start[node], stop[node] if n_children[node] == 0 else start[node]):
            chord_sq = chord_sq_to(xyz, i, x, y, z)
            worst = best_chord_sq[query, last]
            if chord_sq > worst or (chord_sq == worst and rank[i] >= best_rank[query, last]) or dead[row[i]]:
                continue
            if not checked or refusal(part, i, version.units, hours, asks, query, chord_sq) == MATCHED:
                _insert(best, query, chord_sq, rank[i], row[i], i)
        bottom = top
        for child in range(first_child[node], first_child[node] + n_children[node]):
            bound = _least_chord_sq(center, radius, child, x, y, z)
            at = top
            while at > bottom and least[at - 1] < bound:
                stack[at] = stack[at - 1]
                least[at] = least[at - 1]
                at -= 1
            stack[at] = child
            least[at] = bound
            top += 1


@kernel
def _search_part(
    part: Part,
    version: Version,
    hours: Hours,
    asks: Asks,
    query: int,
    checked: bool,
    best: Best,
    stack: NDArray[np.int64],
    least: NDArray[np.float64],
) -> None:
    offer = asks.offer[query]
    if 0 <= offer < part.root_of_offer.shape[0] and part.root_of_offer[offer] >= 0:
        root = part.root_of_offer[offer]
        _search_tree(part, root, version, hours, asks, query, checked, best, stack, least)


# Axes: q queries, k neighbours.
@kernel
def nearest(part: Part, version: Version, hours: Hours, asks: Asks, start: int, stop: int, best: Best) -> None:
    """
    Find the k nearest rows of one part that can serve queries ``start`` to ``stop``, and are nearer than the best.

    Parameters
    ----------
    part, version, hours, asks
        What is searched and asked; the part is one of the version's.
    start, stop
        The queries of this call, so that threads share the arrays.
    best
        Filled with inf, the largest integer, -1 and -1 before the first part.

    Notes
    -----
    Ordered by squared chord, then rank. Brute-force twin: `brute_nearest`.
    """
    stack = np.empty(STACK, np.int64)
    least = np.empty(STACK)
    for query in range(start, stop):
        offer = asks.offer[query]
        if 0 <= offer < part.root_of_offer.shape[0] and part.root_of_offer[offer] >= 0:
            root = part.root_of_offer[offer]
            _search_tree(part, root, version, hours, asks, query, True, best, stack, least)


@kernel
def _nearest_refused(
    version: Version,
    hours: Hours,
    asks: Asks,
    query: int,
    best: Best,
    stack: NDArray[np.int64],
    least: NDArray[np.float64],
) -> int:
    # Find the nearest row with the offer, whatever else fails, and return its first reason.
    _search_part(version.delta, version, hours, asks, query, False, best, stack, least)
    seen = best.row[query, 0]
    _search_part(version.base, version, hours, asks, query, False, best, stack, least)
    row = best.row[query, 0]
    if row < 0:
        return NO_OFFER
    place = best.place[query, 0]
    chord_sq = best.chord_sq[query, 0]
    if row == seen:
        return refusal(version.delta, place, version.units, hours, asks, query, chord_sq)
    return refusal(version.base, place, version.units, hours, asks, query, chord_sq)


@kernel
def nearest_refused(
    version: Version, hours: Hours, asks: Asks, start: int, stop: int, best: Best, code: NDArray[np.uint8]
) -> None:
    """
    Find for queries ``start`` to ``stop`` the nearest row that has the offer, and why it cannot serve.

    Parameters
    ----------
    version, hours, asks, start, stop, best
        As of `nearest`, with k = 1.
    code
        uint8[q]: the first reason, `MATCHED` if it can serve, `NO_OFFER` if no row has the offer.
    """
    stack = np.empty(STACK, np.int64)
    least = np.empty(STACK)
    for query in range(start, stop):
        code[query] = _nearest_refused(version, hours, asks, query, best, stack, least)


@kernel
def in_turn(version: Version, hours: Hours, asks: Asks, best: Best, refused: Best, code: NDArray[np.uint8]) -> None:
    """
    Serve queries one after the other, each taking its quantity off the units of the row that serves it.

    Parameters
    ----------
    version, hours, asks, best
        As of `nearest`, with k = 1; ``version.units`` is changed.
    refused, code
        As ``best`` and ``code`` of `nearest_refused`, for queries that nobody serves: judged at their turn.
    """
    stack = np.empty(STACK, np.int64)
    least = np.empty(STACK)
    for query in range(asks.offer.shape[0]):
        _search_part(version.delta, version, hours, asks, query, True, best, stack, least)
        _search_part(version.base, version, hours, asks, query, True, best, stack, least)
        row = best.row[query, 0]
        code[query] = MATCHED
        if row < 0:
            code[query] = _nearest_refused(version, hours, asks, query, refused, stack, least)
        elif version.units[row] >= 0:
            # Never below nothing, which would read as no limit where capacity is not asked.
            version.units[row] = max(0, version.units[row] - asks.quantity[query])


@kernel
def nearest_of_any(
    part: Part, version: Version, hours: Hours, asks: Asks, start: int, stop: int, offers: NDArray[np.int64], best: Best
) -> None:
    """
    Find for queries ``start`` to ``stop`` the nearest row of any offer, nothing else asked; as `nearest`, k = 1.

    ``offers`` holds all codes in the order in which the rows of one point are to be preferred.
    """
    stack = np.empty(STACK, np.int64)
    least = np.empty(STACK)
    for query in range(start, stop):
        for offer in offers:
            if offer < part.root_of_offer.shape[0] and part.root_of_offer[offer] >= 0:
                root = part.root_of_offer[offer]
                _search_tree(part, root, version, hours, asks, query, False, best, stack, least)

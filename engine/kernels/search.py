"""Search a part for rows that can serve one query: the list of its cell first, the tree for what the list lacks."""

import math

import numpy as np
from numpy.typing import NDArray

from engine.kernels.feasibility import chord_sq_to, is_awake, serves
from engine.kernels.state import ROW_BITS, STEPS, Asks, Best, Hours, Part, Room, Terms, Version
from geo.jit import inlined_kernel, kernel
from geo.kernels.metric import max_chord_sq

_ROW = (1 << ROW_BITS) - 1
NO_RANK = np.iinfo(np.int64).max


@kernel
def least_chord_sq(
    center: NDArray[np.float32], radius: NDArray[np.float32], node: int, x: float, y: float, z: float
) -> float:
    """Return a squared chord from x, y, z that no row of a node is nearer than."""
    gap = math.sqrt(chord_sq_to(center, node, x, y, z)) - np.float64(radius[node])
    return gap * gap if gap > 0.0 else 0.0


@inlined_kernel
def insert(best: Best, query: int, filled: int, chord_sq: float, rank: int, row: int, place: int) -> int:
    """Enter a row among those of a query, of which so many are filled; return how many are then."""
    k = best.chord_sq.shape[1]
    at = filled
    while at > 0:
        before = best.chord_sq[query, at - 1]
        if before < chord_sq or (before == chord_sq and best.rank[query, at - 1] <= rank):
            break
        at -= 1
    if at == k or (at > 0 and best.chord_sq[query, at - 1] == chord_sq and best.rank[query, at - 1] == rank):
        return filled  # met before: in a list, and now in the tree
    for to in range(min(filled, k - 1), at, -1):
        best.chord_sq[query, to] = best.chord_sq[query, to - 1]
        best.rank[query, to] = best.rank[query, to - 1]
        best.row[query, to] = best.row[query, to - 1]
        best.place[query, to] = best.place[query, to - 1]
    best.chord_sq[query, at] = chord_sq
    best.rank[query, at] = rank
    best.row[query, at] = row
    best.place[query, at] = place
    return min(k, filled + 1)


@inlined_kernel
def clear(best: Best, query: int) -> None:
    """Empty the places of a query."""
    for at in range(best.chord_sq.shape[1]):
        best.chord_sq[query, at] = math.inf
        best.rank[query, at] = NO_RANK
        best.row[query, at] = -1
        best.place[query, at] = -1


@inlined_kernel
def n_filled(best: Best, query: int) -> int:
    """Return how many places of a query are filled."""
    k = best.chord_sq.shape[1]
    if best.row[query, k - 1] >= 0:
        return k
    at = 0
    while best.row[query, at] >= 0:
        at += 1
    return at


@inlined_kernel
def steps_to(worst: float, off_m: float, steps_per_m: float) -> int:
    """Return up to which step of a list rows may be as near as a squared chord, ``off_m`` from the leaf's centre."""
    return int(min(STEPS, (math.sqrt(worst) + off_m) * steps_per_m)) + 1


@inlined_kernel
def farthest_sq(part: Part, asks: Asks, terms: Terms, query: int) -> float:
    """Return a squared chord beyond which no row of a part can serve a query: by what is asked, or by how far its offer's areas go."""
    limit, offer = max_chord_sq(terms.limit_m), asks.offer[query]
    root = part.root_of_offer[offer] if 0 <= offer < part.root_of_offer.shape[0] else -1
    return min(limit, part.reach_sq[root]) if terms.ask_area and root >= 0 else limit


@inlined_kernel
def search_list(
    part: Part,
    version: Version,
    hours: Hours,
    asks: Asks,
    terms: Terms,
    query: int,
    checked: bool,
    leaf: int,
    off_m: float,
    best: Best,
) -> bool:
    """Take what a leaf lists; tell whether nothing that it lacks can matter."""
    neighbours = part.neighbours
    near_m = np.float64(neighbours.near_m[leaf])
    x, y, z = asks.xyz[query, 0], asks.xyz[query, 1], asks.xyz[query, 2]
    last = best.chord_sq.shape[1] - 1
    is_whole = bool(checked and terms.ask_area and not neighbours.rest_bits[leaf] & asks.open_schedules[query])
    if checked and not neighbours.schedule_bits[leaf] & asks.open_schedules[query]:
        return is_whole
    worst = farthest_sq(part, asks, terms, query) if checked else math.inf
    steps_per_m = STEPS / near_m * 1.00001 if near_m > 0.0 else math.inf
    most_steps = STEPS if worst == math.inf else steps_to(worst, off_m, steps_per_m)
    filled = 0
    for entry in range(neighbours.start[leaf], neighbours.start[leaf + 1]):
        word = np.int64(neighbours.entry[entry])
        if (word >> ROW_BITS) > most_steps:
            return True
        i = int(word & _ROW)
        if checked and not is_awake(part, i, asks.open_schedules[query]):
            continue
        chord_sq = chord_sq_to(part.xyz, i, x, y, z)
        if chord_sq > worst or version.dead[part.row[i]]:
            continue
        if checked and not serves(part, i, version.units, hours, asks, terms, query, chord_sq):
            continue
        filled = insert(best, query, filled, chord_sq, part.rank[i], part.row[i], i)
        if filled > last and best.chord_sq[query, last] < worst:
            worst = best.chord_sq[query, last]
            most_steps = steps_to(worst, off_m, steps_per_m)
    return bool(math.sqrt(worst) + off_m < near_m or is_whole)


@inlined_kernel
def push_children(
    part: Part,
    node: int,
    x: float,
    y: float,
    z: float,
    worst: float,
    checked: bool,
    is_open: np.uint64,
    ask_area: bool,
    stack: NDArray[np.int64],
    least: NDArray[np.float64],
    top: int,
) -> int:
    """Stack the children that may hold an answer, the nearest on top; return how high the stack is."""
    forest = part.forest
    bottom = top
    for child in range(forest.first_child[node], forest.first_child[node] + forest.n_children[node]):
        if checked and not part.schedule_bits[child] & is_open:
            continue
        bound = least_chord_sq(forest.center, forest.radius, child, x, y, z)
        if bound > worst or (ask_area and bound > part.reach_sq[child]):
            continue
        at = top
        while at > bottom and least[at - 1] < bound:
            stack[at] = stack[at - 1]
            least[at] = least[at - 1]
            at -= 1
        stack[at] = child
        least[at] = bound
        top += 1
    return top


@inlined_kernel
def search_tree(
    part: Part,
    root: int,
    version: Version,
    hours: Hours,
    asks: Asks,
    terms: Terms,
    query: int,
    checked: bool,
    best: Best,
    room: Room,
) -> None:
    """Enter the rows of a tree that are better than the best so far."""
    # Depth first, the nearest child first; a node whose ball lies beyond the k-th best, or farther than
    # any area of its rows goes, falls away.
    forest = part.forest
    stack, least = room.stack, room.least
    ask_area = checked and terms.ask_area
    is_open = asks.open_schedules[query]
    x, y, z = asks.xyz[query, 0], asks.xyz[query, 1], asks.xyz[query, 2]
    last = best.chord_sq.shape[1] - 1
    limit = max_chord_sq(terms.limit_m) if checked else math.inf
    filled = n_filled(best, query)
    worst = min(limit, best.chord_sq[query, last])
    stack[0] = root
    least[0] = least_chord_sq(forest.center, forest.radius, root, x, y, z)
    top = 1
    while top > 0:
        top -= 1
        node = stack[top]
        if least[top] > worst or (ask_area and least[top] > part.reach_sq[node]):
            continue
        for i in range(forest.start[node], forest.stop[node] if forest.n_children[node] == 0 else forest.start[node]):
            if checked and not is_awake(part, i, is_open):
                continue
            chord_sq = chord_sq_to(part.xyz, i, x, y, z)
            if chord_sq > worst or version.dead[part.row[i]]:
                continue
            if not checked or serves(part, i, version.units, hours, asks, terms, query, chord_sq):
                filled = insert(best, query, filled, chord_sq, part.rank[i], part.row[i], i)
                worst = min(limit, best.chord_sq[query, last])
        top = push_children(part, node, x, y, z, worst, checked, is_open, ask_area, stack, least, top)


@inlined_kernel
def search_part(
    part: Part,
    version: Version,
    hours: Hours,
    asks: Asks,
    terms: Terms,
    query: int,
    checked: bool,
    best: Best,
    room: Room,
) -> None:
    """Enter the rows of a query's offer that are better than the best so far."""
    offer = asks.offer[query]
    if 0 <= offer < part.root_of_offer.shape[0] and part.root_of_offer[offer] >= 0:
        root = part.root_of_offer[offer]
        search_tree(part, root, version, hours, asks, terms, query, checked, best, room)

"""Search a part for rows that have a basket: the list of its cell first, then in the tree those that keep its rarest SKU."""

import math

import numpy as np
from numpy.typing import NDArray

from engine.kernels.feasibility import chord_sq_to, is_awake, serves
from engine.kernels.fetching import BEHIND, fetch_keepers
from engine.kernels.neighbours import locate
from engine.kernels.packing import ARRAYS_A_PART, Packed, asks_at, part_at, version_at
from engine.kernels.search import farthest_sq, insert, least_chord_sq, n_filled, push_children, steps_to
from engine.kernels.shelves import has_all, has_lines, is_signed, write_signatures
from engine.kernels.state import NONE, ROW_BITS, STEPS, Asks, Best, Hours, Part, Room, Terms, Version
from engine.kernels.stock import Postings
from geo.jit import borrowing_kernel, inlined_kernel, kernel

FEW = 16
"""The rows of a node that keep the SKU are looked at one by one where there are no more."""


@kernel
def _near_bound(values: NDArray[np.int32], low: int, high: int, wanted: int, guess: int) -> int:
    # As `lower_bound`, from where the wanted one should stand.
    at, step = min(max(low, guess), high), 16
    first, last = at, at
    while first > low and values[first - 1] >= wanted:
        first, step = max(low, first - step), step * 4
    while last < high and values[last] < wanted:
        last, step = min(high, last + step), step * 4
    return lower_bound(values, first, last, wanted)


@kernel
def _its_postings(place: NDArray[np.int32], low: int, high: int, start: int, stop: int, n: int) -> tuple[int, int]:
    # Which of the postings of an SKU, spread over n rows, are of those from ``start`` to ``stop``.
    first = _near_bound(place, low, high, start, low + (high - low) * start // n)
    return first, _near_bound(place, first, high, stop, first + (high - low) * (stop - start) // n)


@kernel
def lower_bound(values: NDArray[np.int32], low: int, high: int, wanted: int) -> int:
    """Return the first place from ``low`` to ``high`` of ascending values that is not below the wanted one."""
    # No branch depends on what is read: a processor would guess half of them wrong.
    n = high - low
    while n > 1:
        half = n >> 1
        low += half if values[low + half - 1] < wanted else 0
        n -= half
    return low + 1 if n == 1 and values[low] < wanted else low


# Axes: l lines, t texts, s SKUs, q queries.
@kernel
def write_lines(
    query: NDArray[np.int64],
    code: NDArray[np.int64],
    number: NDArray[np.int32],
    least: int,
    seen_by: NDArray[np.int64],
    sku: NDArray[np.int32],
    end: NDArray[np.int64],
) -> bool:
    """
    Write the SKU of each line, and where the lines of each query end; False where they are not by query, each SKU once.

    Parameters
    ----------
    query, code
        Of each line its query and its text, shape (l,).
    number, least
        The SKU of each text, shape (t,), from ``least`` on.
    seen_by
        Shape (s,), all 0 at first.
    sku, end
        Shapes (l,) and (q,), written.
    """
    reached = 0
    for line in range(query.shape[0]):
        its, own = query[line], number[code[line]]
        if its < reached or seen_by[own - least] == its + 1:
            return False
        seen_by[own - least] = its + 1
        sku[line] = own
        end[reached:its] = line
        reached = its
    end[reached:] = query.shape[0]
    return True


@inlined_kernel
def rarest(postings: Postings, asks: Asks, query: int) -> tuple[int, int]:
    """Return the postings of the SKU of a query's basket that the fewest rows keep: none where nobody keeps one of them."""
    low, high, n = 0, -1, postings.sku.shape[0]
    for line in range(asks.first_line[query], asks.end_line[query]):
        wanted = asks.line_sku[line]
        at = max(0, min(wanted, n - 1))  # where every SKU up to it is kept, as most are
        if n == 0 or postings.sku[at] != wanted:
            at = lower_bound(postings.sku, 0, n, wanted)
        if at == n or postings.sku[at] != wanted:
            low, high = 0, 0
            break
        if high < 0 or postings.start[at + 1] - postings.start[at] < high - low:
            low, high = postings.start[at], postings.start[at + 1]
    return low, high


@inlined_kernel
def _push_keepers(
    part: Part,
    node: int,
    start: int,
    stop: int,
    x: float,
    y: float,
    z: float,
    worst: float,
    is_open: np.uint64,
    ask_area: bool,
    room: Room,
    top: int,
) -> int:
    # As `search.push_children`, of the children that have any of the postings from ``start`` to ``stop``.
    forest, place = part.forest, part.postings.place
    bottom, reached = top, -1
    for child in range(forest.first_child[node], forest.first_child[node] + forest.n_children[node]):
        if not part.schedule_bits[child] & is_open:
            continue
        bound = least_chord_sq(forest.center, forest.radius, child, x, y, z)
        if bound > worst or (ask_area and bound > part.reach_sq[child]):
            continue
        if forest.start[child] != reached:
            start = lower_bound(place, start, stop, forest.start[child])
        end = lower_bound(place, start, stop, forest.stop[child])
        reached = forest.stop[child]
        if start == end:
            continue
        at = top
        while at > bottom and room.least[at - 1] < bound:
            room.stack[at] = room.stack[at - 1]
            room.least[at] = room.least[at - 1]
            room.low[at] = room.low[at - 1]
            room.high[at] = room.high[at - 1]
            at -= 1
        room.stack[at] = child
        room.least[at] = bound
        room.low[at] = start
        room.high[at] = end
        top += 1
        start = end
    return top


@inlined_kernel
def _enter_keeper(
    part: Part,
    i: int,
    version: Version,
    hours: Hours,
    asks: Asks,
    terms: Terms,
    query: int,
    worst: float,
    best: Best,
) -> float:
    # Enter a row that `is_awake` and `is_signed` if it serves, has the basket and is better than the best so far;
    # return the worst that is wanted then.
    chord_sq = chord_sq_to(part.xyz, i, asks.xyz[query, 0], asks.xyz[query, 1], asks.xyz[query, 2])
    if chord_sq > worst or version.dead[part.row[i]]:
        return worst
    if not serves(part, i, version.units, hours, asks, terms, query, chord_sq):
        return worst
    if has_all(version.stock, part.row[i], asks, query):
        insert(best, query, n_filled(best, query), chord_sq, part.rank[i], part.row[i], i)
        return min(worst, best.chord_sq[query, best.chord_sq.shape[1] - 1])
    return worst


@inlined_kernel
def scan_keepers(
    part: Part,
    version: Version,
    hours: Hours,
    asks: Asks,
    terms: Terms,
    query: int,
    at: int,
    best: Best,
    room: Room,
) -> bool:
    """Take what the leaf of a query at a place of its chunk lists and has the basket; tell whether nothing that it lacks can matter."""
    neighbours, leaf, off_m = part.neighbours, room.leaf[at], room.off_m[at]
    is_open = asks.open_schedules[query]
    near_m = np.float64(neighbours.near_m[leaf])
    worst = min(farthest_sq(part, asks, terms, query), best.chord_sq[query, best.chord_sq.shape[1] - 1])
    is_whole = bool(not neighbours.rest_bits[leaf] & is_open or math.sqrt(worst) + off_m < near_m)
    if not neighbours.schedule_bits[leaf] & is_open:
        return is_whole
    steps_per_m = STEPS / near_m * 1.00001 if near_m > 0.0 else math.inf
    most_steps = STEPS if worst == math.inf else steps_to(worst, off_m, steps_per_m)
    for entry in range(neighbours.start[leaf], neighbours.start[leaf + 1]):
        word = np.int64(neighbours.entry[entry])
        if (word >> ROW_BITS) > most_steps:
            return True
        i = int(word & ((1 << ROW_BITS) - 1))
        if is_awake(part, i, is_open) and is_signed(part.postings.signature, i, room.signature, at):
            before, worst = worst, _enter_keeper(part, i, version, hours, asks, terms, query, worst, best)
            most_steps = steps_to(worst, off_m, steps_per_m) if worst < before else most_steps
    return bool(is_whole or math.sqrt(worst) + off_m < near_m)


@inlined_kernel
def search_keepers(
    part: Part, version: Version, hours: Hours, asks: Asks, terms: Terms, query: int, at: int, best: Best, room: Room
) -> None:
    """Enter the rows of a part that have the offer and basket of the query at a place of its chunk and are better than the best so far."""
    # As `search.search_tree`; a node none of whose rows keeps the rarest SKU falls away. Where its postings stand is not
    # looked for in a node wider than the search goes that most likely has more than a few: few such nodes are met.
    offer = asks.offer[query]
    root = part.root_of_offer[offer] if 0 <= offer < part.root_of_offer.shape[0] else -1
    low, high = rarest(part.postings, asks, query)
    if root < 0 or low == high:
        return
    worst = min(farthest_sq(part, asks, terms, query), best.chord_sq[query, best.chord_sq.shape[1] - 1])
    forest, place = part.forest, part.postings.place
    is_open = asks.open_schedules[query]
    x, y, z = asks.xyz[query, 0], asks.xyz[query, 1], asks.xyz[query, 2]
    n_kept, n_rows, ask_area = high - low, part.row.shape[0], terms.ask_area
    room.stack[0], room.low[0] = root, NONE
    room.least[0] = least_chord_sq(forest.center, forest.radius, root, x, y, z)
    top = 1
    while top > 0:
        top -= 1
        node, start, stop = room.stack[top], room.low[top], room.high[top]
        if room.least[top] > worst or (ask_area and room.least[top] > part.reach_sq[node]):
            continue
        is_leaf = forest.n_children[node] == 0
        if start == NONE:
            n_its, radius_m = forest.stop[node] - forest.start[node], np.float64(forest.radius[node])
            if not is_leaf and radius_m * radius_m > worst and n_its * n_kept > FEW * n_rows:
                bottom = top
                top = push_children(part, node, x, y, z, worst, True, is_open, ask_area, room.stack, room.least, top)
                room.low[bottom:top] = NONE
                continue
            start, stop = _its_postings(place, low, high, forest.start[node], forest.stop[node], n_rows)
        if stop - start > FEW and not is_leaf:
            top = _push_keepers(part, node, start, stop, x, y, z, worst, is_open, ask_area, room, top)
            continue
        for posting in range(start, stop):
            i = int(place[posting])
            if is_awake(part, i, is_open) and is_signed(part.postings.signature, i, room.signature, at):
                worst = _enter_keeper(part, i, version, hours, asks, terms, query, worst, best)


@inlined_kernel
def search_chunk(
    part: Part, version: Version, hours: Hours, asks: Asks, terms: Terms, first: int, n: int, best: Best, room: Room
) -> None:
    """Do what `search_keepers` does for those of n queries from ``first`` on that ask for a basket."""
    leaf = room.leaf
    write_signatures(asks, first, n, room.signature)
    if terms.ask_area:
        locate(part.neighbours, asks.xyz, asks.offer, first, n, room)
        room.place[: min(n, BEHIND)] = -1
    for at in range(n):
        query = first + at
        if terms.ask_area:
            fetch_keepers(part, version, asks, first, at, n, room)
        if asks.first_line[query] == asks.end_line[query]:
            continue
        is_listed = terms.ask_area and leaf[at] >= 0
        if not (is_listed and scan_keepers(part, version, hours, asks, terms, query, at, best, room)):
            search_keepers(part, version, hours, asks, terms, query, at, best, room)


@borrowing_kernel
def lines_had(
    packed_version: Packed, part_number: int, places: NDArray[np.int64], packed_asks: Packed, out: NDArray[np.int64]
) -> None:
    """Write to ``out[i]`` which lines of query 0 the row at ``places[i]`` of a part has, a bit each, 62 at most."""
    version, asks = version_at(packed_version), asks_at(packed_asks)
    part = part_at(packed_version, part_number * ARRAYS_A_PART)
    first, end = asks.first_line[0], asks.end_line[0]
    for i in range(places.shape[0]):
        bits = 0
        for line in range(first, end):
            bits |= int(has_lines(version.stock, part.row[places[i]], asks, 0, line, line + 1)) << (line - first)
        out[i] = bits

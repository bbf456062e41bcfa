"""Find the nearest rows that can serve, for many queries, and why others cannot."""

import numpy as np
from numpy.typing import NDArray

from engine.kernels.baskets import search_chunk
from engine.kernels.feasibility import MATCHED, NO_OFFER, chord_sq_to, refusal
from engine.kernels.neighbours import fetch_ahead, locate
from engine.kernels.packing import (
    ARRAYS_A_PART,
    N_PARTS,
    Packed,
    asks_at,
    best_at,
    flat,
    hours_at,
    part_at,
    room_at,
    version_at,
)
from engine.kernels.scanning import scan_chunk
from engine.kernels.search import clear, search_list, search_part, search_tree
from engine.kernels.state import CHUNK, PAGE_BITS, PAGE_ROWS, Asks, Best, Hours, Room, Terms, Version, units_left
from geo.jit import borrowing_kernel, inlined_kernel
from geo.kernels.metric import ecef


@borrowing_kernel
def put_ask(
    packed_asks: Packed,
    lat: float,
    lng: float,
    offer: int,
    instant: int,
    wait_us: int,
    quantity: int,
    open_schedules: int,
) -> None:
    """Write one question where one was before: as of `Asks`, ``open_schedules`` as an int64 of the same bits."""
    asks = asks_at(packed_asks)
    asks.lat[0] = lat
    asks.lng[0] = lng
    ecef(asks.lat, asks.lng, asks.xyz)
    asks.offer[0] = offer
    asks.instant[0] = instant
    asks.wait_us[0] = wait_us
    asks.quantity[0] = quantity
    flat(packed_asks, 8, np.int64)[0] = open_schedules


# Axes: q queries, k neighbours.
@borrowing_kernel
def nearest(
    packed_version: Packed,
    packed_hours: Packed,
    packed_asks: Packed,
    terms: Terms,
    checked: bool,
    has_dead: bool,
    start: int,
    stop: int,
    packed_best: Packed,
    packed_room: Packed,
) -> None:
    """
    Find the k nearest rows that can serve queries ``start`` to ``stop``.

    Parameters
    ----------
    packed_version, packed_hours, packed_asks, terms
        What is searched and asked.
    checked
        Whether anything beside the offer can refuse.
    has_dead
        Whether any row of the version is dead.
    start, stop
        The queries of this call, so that threads share the arrays.
    packed_best
        Filled, empty places too.
    packed_room
        A `Room` of this call's own.

    Notes
    -----
    Ordered by squared chord, then rank. Brute-force twin: `brute_nearest`.
    """
    version, hours = version_at(packed_version), hours_at(packed_hours)
    asks, best = asks_at(packed_asks), best_at(packed_best)
    base = version.base
    room = room_at(packed_room)
    leaf, off_m, settled = room.leaf, room.off_m, room.settled
    has_more = version.middle.row.shape[0] + version.delta.row.shape[0] > 0
    for first in range(start, stop, CHUNK):
        n = min(CHUNK, stop - first)
        locate(base.neighbours, asks.xyz, asks.offer, first, n, room)
        if checked:
            for at in range(n):
                fetch_ahead(base, asks, first, leaf, at, n, True)
                clear(best, first + at)
                settled[at] = leaf[at] >= 0 and search_list(
                    base, version, hours, asks, terms, first + at, True, leaf[at], off_m[at], best
                )
        else:
            scan_chunk(version, asks, first, n, has_dead, has_more, best, room)
        for at in range(n):
            query = first + at
            if not settled[at]:
                search_part(base, version, hours, asks, terms, query, checked, best, room)
            if has_more:
                search_part(version.middle, version, hours, asks, terms, query, checked, best, room)
                search_part(version.delta, version, hours, asks, terms, query, checked, best, room)


@borrowing_kernel
def nearest_with_items(
    packed_version: Packed,
    packed_hours: Packed,
    packed_asks: Packed,
    terms: Terms,
    has_dead: bool,
    start: int,
    stop: int,
    packed_best: Packed,
    packed_room: Packed,
) -> None:
    """
    Do what `nearest` does where queries ask for baskets: of a tree only rows that keep the rarest SKU of each are looked at.

    Parameters as of `nearest`; everything may refuse. Lists are read first: trees are asked for what these do not settle.
    """
    asks, best, room = asks_at(packed_asks), best_at(packed_best), room_at(packed_room)
    version, hours = version_at(packed_version), hours_at(packed_hours)
    for query in range(start, stop):
        clear(best, query)
    for first in range(start, stop, CHUNK):
        n = min(CHUNK, stop - first)
        for number in range(N_PARTS):
            part = part_at(packed_version, number * ARRAYS_A_PART)
            if part.postings.sku.shape[0] > 0:  # else none of its rows keeps anything
                search_chunk(part, version, hours, asks, terms, first, n, best, room)
    shared = (packed_version, packed_hours, packed_asks, terms, True, has_dead)
    for query in range(start, stop):
        if asks.first_line[query] == asks.end_line[query]:
            nearest(*shared, query, query + 1, packed_best, packed_room)


@inlined_kernel
def _nearest_refused(
    packed_version: Packed,
    version: Version,
    hours: Hours,
    asks: Asks,
    terms: Terms,
    query: int,
    best: Best,
    room: Room,
) -> int:
    # Find the nearest row with the offer, whatever else fails, and return its first reason. Each part is taken out of
    # the packed version in turn: searched by its name, a copy of the search would be compiled for each.
    clear(best, query)
    found = 0
    for step in range(N_PARTS):
        number = N_PARTS - 1 - step
        row = best.row[query, 0]
        part = part_at(packed_version, number * ARRAYS_A_PART)
        search_part(part, version, hours, asks, terms, query, False, best, room)
        if best.row[query, 0] != row:
            found = number
    if best.row[query, 0] < 0:
        return NO_OFFER
    part = part_at(packed_version, found * ARRAYS_A_PART)
    return refusal(part, best.place[query, 0], version, hours, asks, terms, query, best.chord_sq[query, 0])


@borrowing_kernel
def nearest_refused(
    packed_version: Packed,
    packed_hours: Packed,
    packed_asks: Packed,
    terms: Terms,
    start: int,
    stop: int,
    packed_best: Packed,
    packed_room: Packed,
    code: NDArray[np.uint8],
) -> None:
    """
    Find for queries ``start`` to ``stop`` the nearest row that has the offer, and why it cannot serve.

    Parameters
    ----------
    packed_version, packed_hours, packed_asks, terms, start, stop, packed_best
        As of `nearest`, with k = 1.
    code
        uint8[q]: the first reason, `MATCHED` if it can serve, `NO_OFFER` if no row has the offer.
    """
    version, hours = version_at(packed_version), hours_at(packed_hours)
    asks, best = asks_at(packed_asks), best_at(packed_best)
    room = room_at(packed_room)
    for query in range(start, stop):
        code[query] = _nearest_refused(packed_version, version, hours, asks, terms, query, best, room)


@borrowing_kernel
def in_turn(
    packed_version: Packed,
    packed_hours: Packed,
    packed_asks: Packed,
    terms: Terms,
    packed_best: Packed,
    packed_refused: Packed,
    packed_room: Packed,
    code: NDArray[np.uint8],
) -> None:
    """
    Serve queries one after the other, each taking its quantity off the units of the row that serves it.

    Parameters
    ----------
    packed_version, packed_hours, packed_asks, terms, packed_best
        As of `nearest`, with k = 1; the version's units are changed.
    packed_refused, code
        As ``packed_best`` and ``code`` of `nearest_refused`, for queries that nobody serves: judged at their turn.
    """
    version, hours = version_at(packed_version), hours_at(packed_hours)
    asks, best, refused = asks_at(packed_asks), best_at(packed_best), best_at(packed_refused)
    room = room_at(packed_room)
    for query in range(asks.offer.shape[0]):
        clear(best, query)
        clear(refused, query)
        for number in range(N_PARTS):
            part = part_at(packed_version, number * ARRAYS_A_PART)
            search_part(part, version, hours, asks, terms, query, True, best, room)
        row = best.row[query, 0]
        code[query] = MATCHED
        if row < 0:
            code[query] = _nearest_refused(packed_version, version, hours, asks, terms, query, refused, room)
        elif units_left(version.units, row) >= 0:
            # Never below nothing, which would read as no limit where capacity is not asked.
            page = version.units.page[row >> PAGE_BITS]
            left = max(0, units_left(version.units, row) - asks.quantity[query])
            version.units.left[page, row & (PAGE_ROWS - 1)] = left


@borrowing_kernel
def nearest_of_any(
    packed_version: Packed,
    packed_hours: Packed,
    packed_asks: Packed,
    terms: Terms,
    start: int,
    stop: int,
    offers: NDArray[np.int64],
    packed_best: Packed,
    packed_room: Packed,
) -> None:
    """
    Find for queries ``start`` to ``stop`` the nearest row of any offer, nothing else asked; as `nearest`, k = 1.

    ``offers`` holds all codes in the order in which the rows of one point are to be preferred.
    """
    version, hours = version_at(packed_version), hours_at(packed_hours)
    asks, best = asks_at(packed_asks), best_at(packed_best)
    room = room_at(packed_room)
    for query in range(start, stop):
        clear(best, query)
        for part in (version.base, version.middle, version.delta):
            for offer in offers:
                if offer < part.root_of_offer.shape[0] and part.root_of_offer[offer] >= 0:
                    root = part.root_of_offer[offer]
                    search_tree(part, root, version, hours, asks, terms, query, False, best, room)


@borrowing_kernel
def refusals(
    packed_version: Packed,
    part_number: int,
    places: NDArray[np.int64],
    packed_hours: Packed,
    packed_asks: Packed,
    terms: Terms,
    out: NDArray[np.uint8],
) -> None:
    """Write to ``out[i]`` why the row at ``places[i]`` of a part's index order cannot serve query 0."""
    version, hours, asks = version_at(packed_version), hours_at(packed_hours), asks_at(packed_asks)
    part = part_at(packed_version, part_number * ARRAYS_A_PART)
    for i in range(places.shape[0]):
        chord_sq = chord_sq_to(part.xyz, places[i], asks.xyz[0, 0], asks.xyz[0, 1], asks.xyz[0, 2])
        out[i] = refusal(part, places[i], version, hours, asks, terms, 0, chord_sq)

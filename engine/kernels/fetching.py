"""Ask ahead for the memory that tells which rows of a list have a basket: what is known of each waits for the one before."""

import numpy as np

from engine.kernels.feasibility import is_awake
from engine.kernels.neighbours import fetch_lists
from engine.kernels.shelves import fetch_entries, is_signed
from engine.kernels.state import PAGE_BITS, PAGE_ROWS, ROW_BITS, Asks, Part, Room, Version
from geo.jit import inlined_kernel, prefetch

BEHIND = 6
"""By so many queries the first that is asked for of a query's rows is ahead."""
_ROWS = 32


@inlined_kernel
def fetch_keepers(part: Part, version: Version, asks: Asks, first: int, at: int, n: int, room: Room) -> None:
    """
    Ask for the memory that the queries a little behind ``at`` in a chunk of n will need.

    First lists, then what their rows keep; and of the first row that `is_awake` and `is_signed`, which answers most, all that is asked.
    ``room.place`` holds these rows.
    """
    fetch_lists(part.neighbours, room.leaf, at, n, True)
    if at + 8 < n and room.leaf[at + 8] >= 0:
        prefetch(part.neighbours.entry, part.neighbours.start[room.leaf[at + 8]] + _ROWS)
    if at + BEHIND < n:
        _fetch_signatures(part, asks, first, at + BEHIND, room)
    if at + 4 < n:
        _fetch_keeper(part, asks, first, at + 4, room)
    if at + 2 < n and room.place[at + 2] >= 0:
        _fetch_shelf(part, version, room.place[at + 2])
    if at + 1 < n and room.place[at + 1] >= 0:
        fetch_entries(version.stock, part.row[room.place[at + 1]])


@inlined_kernel
def _fetch_signatures(part: Part, asks: Asks, first: int, at: int, room: Room) -> None:
    neighbours, leaf = part.neighbours, room.leaf[at]
    room.place[at] = -1
    if leaf < 0 or not neighbours.schedule_bits[leaf] & asks.open_schedules[first + at]:
        return
    start = neighbours.start[leaf]
    for entry in range(start, min(start + _ROWS, neighbours.start[leaf + 1])):
        row = int(neighbours.entry[entry] & np.uint32((1 << ROW_BITS) - 1))
        prefetch(part.schedule_bit, row)
        prefetch(part.postings.signature, row)
    room.place[at] = start


@inlined_kernel
def _fetch_keeper(part: Part, asks: Asks, first: int, at: int, room: Room) -> None:
    neighbours, leaf, start = part.neighbours, room.leaf[at], room.place[at]
    room.place[at] = -1
    if start < 0:
        return
    is_open = asks.open_schedules[first + at]
    for entry in range(start, min(start + _ROWS, neighbours.start[leaf + 1])):
        i = int(neighbours.entry[entry] & np.uint32((1 << ROW_BITS) - 1))
        if is_awake(part, i, is_open) and is_signed(part.postings.signature, i, room.signature, at):
            room.place[at] = i
            prefetch(part.xyz, i)
            prefetch(part.row, i)
            prefetch(part.inner_m, i)
            prefetch(part.reach_m, i)
            prefetch(part.area_kind, i)
            prefetch(part.polygon, i)
            return


@inlined_kernel
def _fetch_shelf(part: Part, version: Version, i: int) -> None:
    row = part.row[i]
    prefetch(version.dead, row)
    prefetch(version.units.left[version.units.page[row >> PAGE_BITS]], row & (PAGE_ROWS - 1))
    prefetch(version.stock.word[version.stock.page[row >> PAGE_BITS]], row & (PAGE_ROWS - 1))
    if part.polygon[i] >= 0:
        prefetch(part.polygons.boxes, part.polygon[i])
        prefetch(part.polygons.starts, part.polygon[i])

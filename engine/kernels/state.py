"""What kernels search and are asked: tuples of arrays."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.kernels.forest import MAX_CHILDREN, Forest
from engine.kernels.stock import Postings, Stock
from geo.jit import inlined_kernel

NEVER = 64
NO_LEAD = -(2**62)
PAGE_BITS = 10
PAGE_ROWS = 1 << PAGE_BITS

STACK = 16 * 7 + MAX_CHILDREN  # one path of siblings from a root to the finest resolution
CHUNK = 512  # queries that are located together

ROW_BITS = 26
STEPS = 64  # of the distance from a leaf's centre, in the bits of an entry above its row
NONE = -1
RESOLUTION, FIRST_I, FIRST_J, N_I, N_J, FIRST_SLOT = range(6)  # of a node of `Neighbours`


class Polygons(NamedTuple):
    """The fields of `geo.polygons.PolygonTable`."""

    boxes: NDArray[np.float64]
    starts: NDArray[np.int64]
    edges: NDArray[np.float64]


class Neighbours(NamedTuple):
    """
    Cells of H3's lattice on the faces of the icosahedron, and the rows near each.

    Attributes
    ----------
    root
        int32[o * 20]: where an offer's search starts on a face: a leaf, ``NONE``, or ``-2 - node``.
    node
        int32[m, 6]: the rhomb of cells that a node is divided into: resolution, least i and j, how many of
        each, and its first slot.
    slot
        int32[s]: a leaf, ``NONE``, or ``-2 - node``, by i, then j.
    start
        int32[l + 1]: the entries of each leaf.
    near_m
        float32[l]: every row nearer than this to the leaf's centre is listed.
    schedule_bits
        uint64[l]: the schedules of the leaf's rows, each as `schedule_bit` says.
    rest_bits
        uint64[l]: those of the rows beyond ``near_m`` whose areas reach into the leaf; 0 where these are listed, too.
    entry
        uint32[e]: row in index order, and above it how far it is from the leaf's centre at least, in
        64ths of ``near_m``; nearest first.
    """

    root: NDArray[np.int32]
    node: NDArray[np.int32]
    slot: NDArray[np.int32]
    start: NDArray[np.int32]
    near_m: NDArray[np.float32]
    schedule_bits: NDArray[np.uint64]
    rest_bits: NDArray[np.uint64]
    entry: NDArray[np.uint32]


class Part(NamedTuple):
    """
    Searchable rows in index order (by offer, then cell), public ones only.

    Attributes
    ----------
    forest, root_of_offer
        The trees, and int64[o]: each offer's root, -1 where no row has it.
    neighbours
        The rows near every cell; no leaves where none were listed.
    reach_sq
        float64[m]: no area of a node's rows goes farther from its row than this squared chord.
    inner_m, reach_m
        float32[n]: a row's area holds every place nearer than the first chord, and none beyond the second.
    schedule_bits, schedule_bit
        uint64[m] and uint8[n]: the schedules of a node's rows, and the bit of a row's own; `NEVER` for a row that is
        paused or suspended, whose schedule counts for no node and no leaf.
    xyz
        float64[n, 3], earth-centred metres.
    row, rank
        int32[n] and int64[n]: the row's number in its version, and its place by point id.
    schedule, lead_s, feature_set, flags, area_kind, radius_m, polygon
        As of `engine.columns.Columns` and `engine.areas.AreaColumns`.
    polygons
        The polygons.
    postings
        The rows by SKU.

    The arrays in `MAY_REPEAT` may be one element seen n times.
    """

    forest: Forest
    root_of_offer: NDArray[np.int64]
    neighbours: Neighbours
    reach_sq: NDArray[np.float64]
    inner_m: NDArray[np.float32]
    reach_m: NDArray[np.float32]
    schedule_bits: NDArray[np.uint64]
    schedule_bit: NDArray[np.uint8]
    xyz: NDArray[np.float64]
    row: NDArray[np.int32]
    rank: NDArray[np.int64]
    schedule: NDArray[np.int32]
    lead_s: NDArray[np.int32]
    feature_set: NDArray[np.int32]
    flags: NDArray[np.uint8]
    area_kind: NDArray[np.uint8]
    radius_m: NDArray[np.float64]
    polygon: NDArray[np.int32]
    polygons: Polygons
    postings: Postings


MAY_REPEAT = frozenset(
    (
        "reach_sq", "inner_m", "reach_m", "schedule_bits", "schedule_bit",
        "schedule", "lead_s", "feature_set", "flags", "area_kind", "radius_m", "polygon",
    )
)  # fmt: skip
"""The arrays of a `Part` that kernels read as columns: what no row has of its own takes no memory."""

MAY_BE_ONE = frozenset(
    ("offer", "instant", "wait_us", "quantity", "open_schedules", "first_line", "end_line", "asked_us")
)
"""The arrays of `Asks` that kernels read as columns: what all questions have in common is written once."""


class Units(NamedTuple):
    """
    The units left of all rows, -1 where there is no limit, in pages that versions share.

    Attributes
    ----------
    page
        int32[p]: where each page of `PAGE_ROWS` rows stands in ``left``.
    left
        int64[m, PAGE_ROWS]: row r has ``left[page[r >> PAGE_BITS], r & (PAGE_ROWS - 1)]``.
    """

    page: NDArray[np.int32]
    left: NDArray[np.int64]


@inlined_kernel
def units_left(units: Units, row: int) -> int:
    """Return the units left of a row, -1 where there is no limit."""
    return units.left[units.page[row >> PAGE_BITS], row & (PAGE_ROWS - 1)]


class Version(NamedTuple):
    """One state of the index: three parts, bool[rows] over the rows of all, their units and stock."""

    base: Part
    middle: Part
    delta: Part
    dead: NDArray[np.bool_]
    units: Units
    stock: Stock


class Hours(NamedTuple):
    """The arguments of `engine.kernels.hours.hour_state` after schedule and query."""

    tz_of_schedule: NDArray[np.int32]
    day_slot: NDArray[np.int32]
    minute: NDArray[np.int32]
    bitmap_of: NDArray[np.int32]
    open_bits: NDArray[np.uint64]
    unknown_bits: NDArray[np.uint64]


class Asks(NamedTuple):
    """
    q questions.

    Attributes
    ----------
    lat, lng, xyz
        float64[q] in degrees, float64[q, 3] in metres.
    offer
        int64[q], codes; -1 where nobody has it.
    instant
        int64[q]: the query of `Hours`, -1 where hours are left out.
    wait_us
        int64[q], microseconds between asking and the time wanted; `NO_LEAD` leaves lead times out.
    quantity
        int64[q].
    enough_features
        bool[f] by set of features.
    open_schedules
        uint64[q]: a schedule whose `schedule_bit` is not among these is not open at the time of the query.
    first_line, end_line
        int64[q]: the lines of a query's basket; none where no items are asked for.
    asked_us
        int64[q], microseconds since 1970: when it is asked, for the age of counts; the least integer leaves it out.
    line_sku, line_quantity
        int32[l] and int64[l]: a code, -1 of an SKU that nobody ever had, and units needed.
    """

    lat: NDArray[np.float64]
    lng: NDArray[np.float64]
    xyz: NDArray[np.float64]
    offer: NDArray[np.int64]
    instant: NDArray[np.int64]
    wait_us: NDArray[np.int64]
    quantity: NDArray[np.int64]
    enough_features: NDArray[np.bool_]
    open_schedules: NDArray[np.uint64]
    first_line: NDArray[np.int64]
    end_line: NDArray[np.int64]
    asked_us: NDArray[np.int64]
    line_sku: NDArray[np.int32]
    line_quantity: NDArray[np.int64]


class Terms(NamedTuple):
    """
    What counts, the same for all questions of a call.

    Attributes
    ----------
    limit_m
        The farthest told distance, inf for none.
    allow_unknown, ask_open, ask_area, ask_units, ask_features, ask_items
        What counts.
    bits_decide
        Whether ``Asks.open_schedules`` says all about hours: no two schedules share a bit, or hours do not count.
    """

    limit_m: float
    allow_unknown: bool
    ask_open: bool
    ask_area: bool
    ask_units: bool
    ask_features: bool
    ask_items: bool
    bits_decide: bool


class Best(NamedTuple):
    """
    The k best rows found for each of q queries, best first.

    Attributes
    ----------
    chord_sq, rank, row, place
        float64 and int64, each [q, k]: inf, the largest integer, -1 and -1 where there is none.
        ``place`` is the row's place in the index order of its part.
    """

    chord_sq: NDArray[np.float64]
    rank: NDArray[np.int64]
    row: NDArray[np.int64]
    place: NDArray[np.int64]


class Room(NamedTuple):
    """
    What a search writes to on its way.

    Attributes
    ----------
    stack, least
        int64[STACK] and float64[STACK]: nodes of a tree, and the least squared chord to each.
    plane, place, pending
        float64[CHUNK, 3], int32[CHUNK] and int32[CHUNK]: queries on their way to a leaf: where they are on their
        face's plane, and how many metres a spacing is there; ``place`` then is of `fetch_keepers`.
    leaf, off_m, settled
        int32[CHUNK], float64[CHUNK] and bool[CHUNK]: each query's leaf, how far it is from its centre at most, and
        whether the leaf's list was enough.
    low, high, signature
        int64[STACK] twice: the postings of a stacked node; uint64[CHUNK, SIGNATURE_WORDS]: of each query's SKUs, as of
        `Postings`.
    """

    stack: NDArray[np.int64]
    least: NDArray[np.float64]
    plane: NDArray[np.float64]
    place: NDArray[np.int32]
    pending: NDArray[np.int32]
    leaf: NDArray[np.int32]
    off_m: NDArray[np.float64]
    settled: NDArray[np.bool_]
    low: NDArray[np.int64]
    high: NDArray[np.int64]
    signature: NDArray[np.uint64]

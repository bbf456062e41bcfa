"""Search the forest for the nearest rows that can serve, and say why others cannot."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.kernels.forest import MAX_CHILDREN, Forest
from engine.kernels.hours import hour_state
from geo.jit import inlined_kernel, kernel
from geo.kernels.metric import max_chord_sq, told_distance_m
from geo.kernels.polygons import covers

MATCHED = 0
NO_OFFER = 1
PAUSED = 2
SUSPENDED = 3
FEATURE_MISSING = 4
CLOSED = 5
HOURS_UNKNOWN = 6
TOO_SOON = 7
OUTSIDE_AREA = 8
FULL = 9
TOO_FAR = 12

NO_LEAD = -(2**62)
STACK = 16 * 7 + MAX_CHILDREN  # one path of siblings from a root to the finest resolution

_PAUSED_BIT = 1
_SUSPENDED_BIT = 2
_RADIUS = 1
_POLYGON = 2
_OPEN = 1
_UNKNOWN = 2


class Polygons(NamedTuple):
    """The fields of `geo.polygons.PolygonTable`."""

    boxes: NDArray[np.float64]
    starts: NDArray[np.int64]
    edges: NDArray[np.float64]


class Part(NamedTuple):
    """
    Searchable rows in index order (by offer, then cell), public ones only.

    Attributes
    ----------
    forest, root_of_offer
        The trees, and int64[o]: each offer's root, -1 where no row has it.
    xyz
        float64[n, 3], earth-centred metres.
    row, rank
        int64[n]: the row's number in its version, and its place by point id.
    schedule, lead_s, feature_set, flags, area_kind, radius_m, polygon
        As of `engine.columns.Columns` and `engine.areas.AreaColumns`.
    polygons
        The polygons.
    """

    forest: Forest
    root_of_offer: NDArray[np.int64]
    xyz: NDArray[np.float64]
    row: NDArray[np.int64]
    rank: NDArray[np.int64]
    schedule: NDArray[np.int32]
    lead_s: NDArray[np.int64]
    feature_set: NDArray[np.int32]
    flags: NDArray[np.uint8]
    area_kind: NDArray[np.uint8]
    radius_m: NDArray[np.float64]
    polygon: NDArray[np.int64]
    polygons: Polygons


class Version(NamedTuple):
    """One state of the index: two parts, and bool[rows] and int64[rows] over the rows of both."""

    base: Part
    delta: Part
    dead: NDArray[np.bool_]
    units: NDArray[np.int64]


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
    limit_m
        The farthest told distance, inf for none.
    allow_unknown, ask_open, ask_area, ask_units
        What counts.
    """

    lat: NDArray[np.float64]
    lng: NDArray[np.float64]
    xyz: NDArray[np.float64]
    offer: NDArray[np.int64]
    instant: NDArray[np.int64]
    wait_us: NDArray[np.int64]
    quantity: NDArray[np.int64]
    enough_features: NDArray[np.bool_]
    limit_m: float
    allow_unknown: bool
    ask_open: bool
    ask_area: bool
    ask_units: bool


@inlined_kernel
def area_contains(part: Part, i: int, lat: float, lng: float, chord_sq: float) -> bool:
    """Tell whether the area of a row in index order contains a place at a squared chord from the row."""
    if part.area_kind[i] == _RADIUS:
        return told_distance_m(chord_sq) <= part.radius_m[i]
    if part.area_kind[i] == _POLYGON:
        polygon = part.polygon[i]
        boxes = part.polygons.boxes
        if not (boxes[polygon, 0] <= lng <= boxes[polygon, 2] and boxes[polygon, 1] <= lat <= boxes[polygon, 3]):
            return False
        starts = part.polygons.starts
        return covers(part.polygons.edges, starts[polygon], starts[polygon + 1], lng, lat)
    return True


@inlined_kernel
def _time_refusal(part: Part, i: int, hours: Hours, asks: Asks, query: int) -> int:
    if asks.ask_open and asks.instant[query] >= 0:
        state = hour_state(
            part.schedule[i],
            asks.instant[query],
            hours.tz_of_schedule,
            hours.day_slot,
            hours.minute,
            hours.bitmap_of,
            hours.open_bits,
            hours.unknown_bits,
        )
        if state == _UNKNOWN:
            if not asks.allow_unknown:
                return HOURS_UNKNOWN
        elif state != _OPEN:
            return CLOSED
    if asks.wait_us[query] != NO_LEAD and asks.wait_us[query] < part.lead_s[i] * 1_000_000:
        return TOO_SOON
    return MATCHED


@inlined_kernel
def refusal(part: Part, i: int, units: NDArray[np.int64], hours: Hours, asks: Asks, query: int, chord_sq: float) -> int:
    """Return the first reason why a row in index order cannot serve a query, `MATCHED` if it can."""
    if part.flags[i] & _PAUSED_BIT:
        return PAUSED
    if part.flags[i] & _SUSPENDED_BIT:
        return SUSPENDED
    if not asks.enough_features[part.feature_set[i]]:
        return FEATURE_MISSING
    code = _time_refusal(part, i, hours, asks, query)
    if code != MATCHED:
        return code
    if asks.ask_area and not area_contains(part, i, asks.lat[query], asks.lng[query], chord_sq):
        return OUTSIDE_AREA
    left = units[part.row[i]]
    if asks.ask_units and 0 <= left < asks.quantity[query]:
        return FULL
    if not told_distance_m(chord_sq) <= asks.limit_m:
        return TOO_FAR
    return MATCHED


@kernel
def _chord_sq(xyz: NDArray[np.float64], i: int, x: float, y: float, z: float) -> float:
    dx = xyz[i, 0] - x
    dy = xyz[i, 1] - y
    dz = xyz[i, 2] - z
    return dx * dx + dy * dy + dz * dz


@kernel
def _least_chord_sq(
    center: NDArray[np.float64], radius: NDArray[np.float64], node: int, x: float, y: float, z: float
) -> float:
    gap = math.sqrt(_chord_sq(center, node, x, y, z)) - radius[node]
    return gap * gap if gap > 0.0 else 0.0


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


@inlined_kernel
def _insert(best: Best, query: int, chord_sq: float, rank: int, row: int, place: int) -> None:
    at = best.chord_sq.shape[1] - 1
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


@kernel
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
    # Depth first, the nearest child first; a node whose ball lies beyond the k-th best falls away.
    # The arrays of the loop are named outside it: to hand whole tuples on costs a count for each array.
    center, radius = part.forest.center, part.forest.radius
    start, stop = part.forest.start, part.forest.stop
    first_child, n_children = part.forest.first_child, part.forest.n_children
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
        for i in range(start[node], stop[node] if n_children[node] == 0 else start[node]):
            chord_sq = _chord_sq(xyz, i, x, y, z)
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
def nearest(version: Version, hours: Hours, asks: Asks, start: int, stop: int, best: Best) -> None:
    """
    Find the k nearest rows that can serve queries ``start`` to ``stop``.

    Parameters
    ----------
    version, hours, asks
        What is searched and asked.
    start, stop
        The queries of this call, so that threads share the arrays.
    best
        Comes filled with inf, the largest integer, -1 and -1.

    Notes
    -----
    Ordered by squared chord, then rank. Brute-force twin: `brute_nearest`.
    """
    stack = np.empty(STACK, np.int64)
    least = np.empty(STACK)
    for query in range(start, stop):
        _search_part(version.delta, version, hours, asks, query, True, best, stack, least)
        _search_part(version.base, version, hours, asks, query, True, best, stack, least)


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
def nearest_of_any(version: Version, asks: Asks, hours: Hours, start: int, stop: int, best: Best) -> None:
    """Find for queries ``start`` to ``stop`` the nearest row of any offer, nothing else asked; as `nearest`, k = 1."""
    stack = np.empty(STACK, np.int64)
    least = np.empty(STACK)
    for query in range(start, stop):
        for root in version.delta.root_of_offer:
            if root >= 0:
                _search_tree(version.delta, root, version, hours, asks, query, False, best, stack, least)
        for root in version.base.root_of_offer:
            if root >= 0:
                _search_tree(version.base, root, version, hours, asks, query, False, best, stack, least)


@kernel
def refusals(
    part: Part,
    places: NDArray[np.int64],
    units: NDArray[np.int64],
    hours: Hours,
    asks: Asks,
    out: NDArray[np.uint8],
) -> None:
    """Write to ``out[i]`` why the row at ``places[i]`` of the index order cannot serve query 0."""
    for i in range(places.shape[0]):
        chord_sq = _chord_sq(part.xyz, places[i], asks.xyz[0, 0], asks.xyz[0, 1], asks.xyz[0, 2])
        out[i] = refusal(part, places[i], units, hours, asks, 0, chord_sq)

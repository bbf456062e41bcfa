"""Can a row serve a query, and if not, what is the first reason."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.kernels.hours import hour_state
from engine.kernels.shelves import has_all
from engine.kernels.state import NEVER, NO_LEAD, Asks, Hours, Part, Terms, Units, Version, units_left
from geo.jit import inlined_kernel, kernel
from geo.kernels.metric import told_distance_m
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
OUT_OF_STOCK = 10
TOO_FAR = 12

_PAUSED_BIT = 1
_SUSPENDED_BIT = 2
_RADIUS = 1
_POLYGON = 2
_OPEN = 1
_UNKNOWN = 2


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
def _hours_refusal(part: Part, i: int, hours: Hours, asks: Asks, terms: Terms, query: int) -> int:
    if terms.ask_open and asks.instant[query] >= 0:
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
            if not terms.allow_unknown:
                return HOURS_UNKNOWN
        elif state != _OPEN:
            return CLOSED
    return MATCHED


@inlined_kernel
def _is_too_soon(part: Part, i: int, asks: Asks, query: int) -> bool:
    return bool(asks.wait_us[query] != NO_LEAD and asks.wait_us[query] < np.int64(part.lead_s[i]) * 1_000_000)


@inlined_kernel
def refusal(
    part: Part, i: int, version: Version, hours: Hours, asks: Asks, terms: Terms, query: int, chord_sq: float
) -> int:
    """Return the first reason why a row in index order cannot serve a query, `MATCHED` if it can."""
    if part.flags[i] & _PAUSED_BIT:
        return PAUSED
    if part.flags[i] & _SUSPENDED_BIT:
        return SUSPENDED
    if not asks.enough_features[part.feature_set[i]]:
        return FEATURE_MISSING
    code = _hours_refusal(part, i, hours, asks, terms, query)
    if code != MATCHED:
        return code
    if _is_too_soon(part, i, asks, query):
        return TOO_SOON
    if terms.ask_area and not area_contains(part, i, asks.lat[query], asks.lng[query], chord_sq):
        return OUTSIDE_AREA
    left = units_left(version.units, part.row[i])
    if terms.ask_units and 0 <= left < asks.quantity[query]:
        return FULL
    if terms.ask_items and not has_all(version.stock, part.row[i], asks, query):
        return OUT_OF_STOCK
    if not told_distance_m(chord_sq) <= terms.limit_m:
        return TOO_FAR
    return MATCHED


@inlined_kernel
def is_awake(part: Part, i: int, open_schedules: np.uint64) -> bool:
    """Tell whether a row is neither paused nor suspended, and its schedule's bit is among those of a query."""
    bit = part.schedule_bit[i]
    return bool(bit < NEVER and (open_schedules >> np.uint64(bit)) & np.uint64(1))


@inlined_kernel
def serves(
    part: Part, i: int, units: Units, hours: Hours, asks: Asks, terms: Terms, query: int, chord_sq: float
) -> bool:
    """Tell whether `refusal` finds no reason but the basket in a row that `is_awake`: cheap questions that refuse most come first."""
    is_near = True
    if terms.ask_area:
        inner_m, outer_m = np.float64(part.inner_m[i]), np.float64(part.reach_m[i])
        if chord_sq > outer_m * outer_m:
            return False
        is_near = bool(chord_sq < inner_m * inner_m)
    if terms.ask_units:
        left = units_left(units, part.row[i])
        if 0 <= left < asks.quantity[query]:
            return False
    if terms.ask_features and not asks.enough_features[part.feature_set[i]]:
        return False
    if not terms.bits_decide and _hours_refusal(part, i, hours, asks, terms, query) != MATCHED:
        return False
    if _is_too_soon(part, i, asks, query):
        return False
    if not is_near and not area_contains(part, i, asks.lat[query], asks.lng[query], chord_sq):
        return False
    return terms.limit_m == math.inf or told_distance_m(chord_sq) <= terms.limit_m


@kernel
def chord_sq_to(xyz: NDArray[np.floating[Any]], i: int, x: float, y: float, z: float) -> float:
    """Return the squared chord from row i of positions to x, y, z, in square metres."""
    dx = np.float64(xyz[i, 0]) - x
    dy = np.float64(xyz[i, 1]) - y
    dz = np.float64(xyz[i, 2]) - z
    return dx * dx + dy * dy + dz * dz

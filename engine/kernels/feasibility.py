"""Can a row serve a query, and if not, what is the first reason."""

import numpy as np
from numpy.typing import NDArray

from engine.kernels.hours import hour_state
from engine.kernels.state import NO_LEAD, Asks, Hours, Part
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
def chord_sq_to(xyz: NDArray[np.float64], i: int, x: float, y: float, z: float) -> float:
    """Return the squared chord from row i of positions to x, y, z, in square metres."""
    dx = xyz[i, 0] - x
    dy = xyz[i, 1] - y
    dz = xyz[i, 2] - z
    return dx * dx + dy * dy + dz * dz


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
        chord_sq = chord_sq_to(part.xyz, places[i], asks.xyz[0, 0], asks.xyz[0, 1], asks.xyz[0, 2])
        out[i] = refusal(part, places[i], units, hours, asks, 0, chord_sq)

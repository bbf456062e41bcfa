"""The few edges of an area that decide for all places of a small box."""

import math

import numpy as np
from numpy.typing import NDArray

from geo.jit import borrowing_kernel
from geo.kernels.polygons import orientation

SURE = 1e-15  # as of `geo.kernels.polygons`
WIDEST_ROUND = 5.0
"""Degrees: half the width up to which all places that a box was made for lie in the ellipse in it."""


@borrowing_kernel
def disc_box(lat: float, lng: float, reach_m: float, box: NDArray[np.float64]) -> bool:
    """
    Write a box, shape (4,), that holds every place within reach of another; tell whether it meets 180 degrees.

    Notes
    -----
    A degree of latitude is never under 110.5 km, one of longitude never under 110.5 km times the cosine of
    the latitude farthest from the equator. Round a pole the box has all longitudes.
    """
    d_lat = reach_m / 110_500.0
    top = abs(lat) + d_lat
    d_lng = 360.0 if top >= 89.999 else reach_m / (110_500.0 * math.cos(math.radians(top)))
    box[0] = lng - d_lng
    box[1] = lat - d_lat
    box[2] = lng + d_lng
    box[3] = lat + d_lat
    return box[0] <= -180.0 or box[2] >= 180.0


@borrowing_kernel
def boxes_meet(box: NDArray[np.float64], west: float, south: float, east: float, north: float) -> bool:
    """Tell whether a box of `disc_box` may hold a place of another box, whole turns of longitude apart or not."""
    if box[1] > north or box[3] < south:
        return False
    return (
        (box[0] <= east and box[2] >= west)
        or (box[0] - 360.0 <= east and box[2] - 360.0 >= west)
        or (box[0] + 360.0 <= east and box[2] + 360.0 >= west)
    )


@borrowing_kernel
def clip(
    edges: NDArray[np.float64],
    listed: NDArray[np.int32],
    start: int,
    stop: int,
    inside: bool,
    box: NDArray[np.float64],
    crosses: bool,
    out: NDArray[np.int32],
    first: int,
) -> tuple[int, bool, bool]:
    """
    List the edges that decide for the places of a box, from ``out[first]`` on.

    Parameters
    ----------
    edges
        As of `geo.kernels.polygons.covers`.
    listed, start, stop, inside
        The edges that decide for a larger box, ``listed[start:stop]``, and what the others say of its places.
    box, crosses
        As of `disc_box`; edges of all longitudes count for a box that crosses.
    out, first
        Gets at most ``stop - start`` edges.

    Returns
    -------
    tuple
        The end of the list, what the edges that are left out say, and whether a listed edge may meet the disc of the box.

    Notes
    -----
    A ray to the east from a place meets no edge that lies north, south or west of the box. Of the edges that
    lie east of it, those are left out that make up chains with both ends beyond the box's latitudes: from
    every latitude of the box a ray meets them an even number of times, or from every one an odd number. So
    `listed_covers` equals `geo.kernels.polygons.covers` for every place of the box.
    """
    west, south, east, north = box[0], box[1], box[2], box[3]
    if crosses:
        west, east = -math.inf, math.inf
    middle, centre = 0.5 * (south + north), 0.5 * (west + east)
    half_height, half_width = 0.5 * (north - south), 0.5 * (east - west)
    is_round = half_width <= WIDEST_ROUND
    meets, turned = False, False
    torn, is_open = False, False  # of chains of edges that lie east: ended within the box's latitudes
    last_x, last_y = 0.0, 0.0
    at = first
    for k in range(start, stop):
        e = listed[k]
        x1, y1, x2, y2 = edges[e, 0], edges[e, 1], edges[e, 2], edges[e, 3]
        if max(y1, y2) < south or min(y1, y2) > north or max(x1, x2) < west:
            continue
        if min(x1, x2) > east:
            torn |= is_open != (south <= y1 <= north) or (is_open and (x1 != last_x or y1 != last_y))
            is_open = south <= y2 <= north
            last_x, last_y = x2, y2
            turned ^= (y1 > middle) != (y2 > middle)
        elif not meets:
            u1, v1 = (x1 - centre) / half_width, (y1 - middle) / half_height
            u2, v2 = (x2 - centre) / half_width, (y2 - middle) / half_height
            meets = not is_round or _meets_unit_disc(u1, v1, u2, v2)
        out[at] = e
        at += 1
    if torn or is_open:
        return at, inside, meets
    return _without_east(edges, east, out, first, at), inside != turned, meets


@borrowing_kernel
def _without_east(edges: NDArray[np.float64], east: float, out: NDArray[np.int32], first: int, stop: int) -> int:
    at = first
    for k in range(first, stop):
        if min(edges[out[k], 0], edges[out[k], 2]) <= east:
            out[at] = out[k]
            at += 1
    return at


@borrowing_kernel
def _meets_unit_disc(x1: float, y1: float, x2: float, y2: float) -> bool:
    # Rounding, a part in 10^8 of the disc at the finest resolution, is answered with a margin, towards true.
    dx, dy = x2 - x1, y2 - y1
    length_sq = dx * dx + dy * dy
    share = 0.0 if length_sq == 0.0 else min(max(-(x1 * dx + y1 * dy) / length_sq, 0.0), 1.0)
    x, y = x1 + share * dx, y1 + share * dy
    return x * x + y * y <= 1.0 + 1e-6


@borrowing_kernel
def listed_covers(
    edges: NDArray[np.float64],
    listed: NDArray[np.int32],
    start: int,
    stop: int,
    inside: bool,
    lng: float,
    lat: float,
) -> bool:
    """Tell what `geo.kernels.polygons.covers` tells of a place of the box that `clip` was given; the last of a list may be inverted."""
    for k in range(start, stop):
        e = listed[k] ^ (listed[k] >> 31)
        x1, y1, x2, y2 = edges[e, 0], edges[e, 1], edges[e, 2], edges[e, 3]
        if x1 < lng and x2 < lng:
            continue
        if x2 == lng and y2 == lat:
            return True
        if y1 == lat and y2 == lat:
            if min(x1, x2) <= lng <= max(x1, x2):
                return True
        elif (y1 > lat) != (y2 > lat):
            side = orientation(x1, y1, x2, y2, lng, lat)
            if side == 0:
                return True
            if (side > 0) == (y2 > y1):
                inside = not inside
    return inside


@borrowing_kernel
def clear_crossing(x1: float, y1: float, x2: float, y2: float, lng: float, lat: float) -> tuple[bool, bool]:
    """
    Tell whether a ray to the east from a place crosses an edge, and whether rounding leaves that in doubt.

    The first part of `geo.kernels.polygons.orientation`, without a branch; a place on the edge or on the edge's
    line is always in doubt.
    """
    left = (x1 - lng) * (y2 - lat)
    right = (y1 - lat) * (x2 - lng)
    determinant = left - right
    doubtful = not abs(determinant) > SURE * (abs(left) + abs(right))
    return ((y1 > lat) != (y2 > lat)) & ((determinant > 0.0) == (y2 > lat)), doubtful

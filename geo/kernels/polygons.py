"""Does an area contain a place, exactly: edges straight in longitude and latitude, the boundary included."""

import math

import numpy as np
from numpy.typing import NDArray

from geo.jit import kernel

_SPLITTER = 134_217_729.0  # 2**27 + 1, Dekker (1971)
_FILTER = 1e-15  # of Shewchuk's (1997) error bound for a 2 x 2 determinant, (3 + 16 u) u = 3.4e-16, rounded up


@kernel
def _two_product(a: float, b: float) -> tuple[float, float]:
    # Dekker's exact product: a * b = high + low.
    product = a * b
    wide = _SPLITTER * a
    a_high = wide - (wide - a)
    a_low = a - a_high
    wide = _SPLITTER * b
    b_high = wide - (wide - b)
    b_low = b - b_high
    return product, ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low


@kernel
def _two_difference(a: float, b: float) -> tuple[float, float]:
    # Knuth's exact difference: a - b = high + low.
    difference = a - b
    b_virtual = a - difference
    a_virtual = difference + b_virtual
    return difference, (a - a_virtual) + (b_virtual - b)


@kernel
def _add(high: float, low: float, value: float) -> tuple[float, float]:
    # Add a float to an unevaluated sum of two and renormalise.
    total = high + value
    virtual = total - high
    rest = (high - (total - virtual)) + (value - virtual) + low
    return total + rest, rest - ((total + rest) - total)


@kernel
def orientation(x1: float, y1: float, x2: float, y2: float, x: float, y: float) -> int:
    """
    Return the side of the line 1 → 2 that a place lies on: 1 left, -1 right, 0 on it.

    The float64 determinant decides where its error bound allows (Shewchuk 1997, section 4.1);
    otherwise it is evaluated with twice the precision, differences and products exact.
    """
    left = (x1 - x) * (y2 - y)
    right = (y1 - y) * (x2 - x)
    determinant = left - right
    if abs(determinant) > _FILTER * (abs(left) + abs(right)):
        return 1 if determinant > 0.0 else -1
    ax, ax_low = _two_difference(x1, x)
    ay, ay_low = _two_difference(y1, y)
    bx, bx_low = _two_difference(x2, x)
    by, by_low = _two_difference(y2, y)
    high, low = _two_product(ax, by)
    for value in (ax * by_low, ax_low * by, ax_low * by_low):
        high, low = _add(high, low, value)
    product, rest = _two_product(ay, bx)
    for value in (-product, -rest, -(ay * bx_low), -(ay_low * bx), -(ay_low * bx_low)):
        high, low = _add(high, low, value)
    total = high + low
    return 1 if total > 0.0 else (-1 if total < 0.0 else 0)


# Axes: n edges of all areas.
@kernel
def covers(edges: NDArray[np.float64], start: int, stop: int, lng: float, lat: float) -> bool:
    """
    Tell whether the area of ``edges[start:stop]`` contains a place or has it on its boundary.

    Parameters
    ----------
    edges
        Shape (n, 4): x1, y1, x2, y2 in degrees of longitude and latitude; all rings of all parts, holes too.
    start, stop
        The area's edges.
    lng, lat
        The place in degrees.

    Notes
    -----
    Counts the edges that a ray to the east crosses (Shimrat 1962); of a valid area the even-odd rule
    needs no telling apart of shells and holes. O(stop - start). Brute-force twin: shapely's ``covers``.
    """
    inside = False
    for i in range(start, stop):
        x1 = edges[i, 0]
        y1 = edges[i, 1]
        x2 = edges[i, 2]
        y2 = edges[i, 3]
        if x1 < lng and x2 < lng:
            continue
        if x2 == lng and y2 == lat:
            return True
        if y1 == lat and y2 == lat:
            if min(x1, x2) <= lng <= max(x1, x2):
                return True
            continue
        if (y1 > lat and y2 <= lat) or (y2 > lat and y1 <= lat):
            side = orientation(x1, y1, x2, y2, lng, lat)
            if side == 0:
                return True
            if (side > 0) == (y2 > y1):
                inside = not inside
    return inside


@kernel
def touches_box(
    edges: NDArray[np.float64], start: int, stop: int, west: float, south: float, east: float, north: float
) -> bool:
    """
    Tell whether any edge of ``edges[start:stop]`` may meet a box; false only if none does.

    Parameters
    ----------
    edges, start, stop
        As of `covers`.
    west, south, east, north
        The box in degrees, boundary included.

    Notes
    -----
    Bounding boxes first, then whether the box's corners lie on both sides of the edge's line; rounding
    is answered with a margin of a part in 10⁹ of the extent, towards true.
    """
    for i in range(start, stop):
        x1 = edges[i, 0]
        y1 = edges[i, 1]
        x2 = edges[i, 2]
        y2 = edges[i, 3]
        if max(x1, x2) < west or min(x1, x2) > east or max(y1, y2) < south or min(y1, y2) > north:
            continue
        dx = x2 - x1
        dy = y2 - y1
        middle = dx * ((south + north) * 0.5 - y1) - dy * ((west + east) * 0.5 - x1)
        reach = 0.5 * (abs(dx) * (north - south) + abs(dy) * (east - west))
        if abs(middle) <= reach * (1.0 + 1e-9) + 1e-12:
            return True
    return False


_LEAST_M, _MOST_M = 110_570.0, 111_700.0  # of a degree of latitude
_LEAST_EQUATOR_M, _MOST_EQUATOR_M = 111_319.0, 111_700.0  # of a degree of longitude by the cosine of latitude
_FAR_M = 100_000.0  # a chord so long is shorter than the way over ground by a part in 100 000
_MOST_EDGES = 1024


@kernel
def _segment_sq(x1: float, y1: float, x2: float, y2: float) -> float:
    # The squared distance of the origin from a segment.
    dx, dy = x2 - x1, y2 - y1
    along = dx * dx + dy * dy
    t = min(1.0, max(0.0, -(x1 * dx + y1 * dy) / along)) if along > 0.0 else 0.0
    x, y = x1 + t * dx, y1 + t * dy
    return x * x + y * y


# Axes: n rows, p polygons, e edges.
@kernel
def reaches(
    edges: NDArray[np.float64],
    starts: NDArray[np.int64],
    boxes: NDArray[np.float64],
    polygon: NDArray[np.int32],
    lat: NDArray[np.float64],
    lng: NDArray[np.float64],
    out: NDArray[np.float64],
) -> None:
    """
    Write how far areas reach from places: the area holds all nearer than the first chord, and none beyond the second.

    Parameters
    ----------
    edges, starts, boxes
        As of `geo.polygons.PolygonTable`, shapes (e, 4), (p + 1,) and (p, 4).
    polygon, lat, lng
        Each row's polygon (-1: it is passed over) and place in degrees, shape (n,).
    out
        Metres, shape (n, 2).

    Notes
    -----
    The way that is straight in degrees is no shorter than the chord, and at no latitude of it is a degree longer than
    the constants say: vertices bound the second. The shortest way to the boundary crosses no latitude at which a degree
    is shorter than at the farthest that the area has: its edges bound the first. Of areas of many edges only the box
    is looked at.
    """
    for row in range(out.shape[0]):
        number = polygon[row]
        if number < 0:
            continue
        y, x = lat[row], lng[row]
        west, south, east, north = boxes[number]
        low, high = min(south, y), max(north, y)
        widest = 1.0 if low <= 0.0 <= high else math.cos(math.radians(min(abs(low), abs(high))))
        start, stop = starts[number], starts[number + 1]
        most = 0.0
        if stop - start > _MOST_EDGES:
            dx, dy = max(abs(west - x), abs(east - x)) * widest * _MOST_EQUATOR_M, max(north - y, y - south) * _MOST_M
            most = dx * dx + dy * dy
        else:
            for i in range(start, stop):
                dx, dy = (edges[i, 0] - x) * widest * _MOST_EQUATOR_M, (edges[i, 1] - y) * _MOST_M
                most = max(most, dx * dx + dy * dy)
        out[row, 0] = 0.0
        out[row, 1] = math.sqrt(most) * (1.0 + 1e-9) + 1e-3
        farthest = max(abs(low), abs(high)) + 0.001 + out[row, 1] / _LEAST_M
        if (
            stop - start > _MOST_EDGES
            or out[row, 1] > _FAR_M
            or farthest > 89.0
            or not covers(edges, start, stop, x, y)
        ):
            continue
        width = math.cos(math.radians(farthest)) * _LEAST_EQUATOR_M
        least = math.inf
        for i in range(start, stop):
            x1, y1 = (edges[i, 0] - x) * width, (edges[i, 1] - y) * _LEAST_M
            x2, y2 = (edges[i, 2] - x) * width, (edges[i, 3] - y) * _LEAST_M
            least = min(least, _segment_sq(x1, y1, x2, y2))
        out[row, 0] = max(0.0, math.sqrt(least) * (1.0 - 1e-4) - 1e-2)

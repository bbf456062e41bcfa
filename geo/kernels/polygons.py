"""Does an area contain a place, exactly: edges straight in longitude and latitude, the boundary included."""

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

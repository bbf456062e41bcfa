"""Cover an area by H3 cells of mixed resolution, interior and boundary told apart."""

import math

import numpy as np
from numpy.typing import NDArray

from geo.jit import cell_to_latlng_rad, h3_kernel, kernel
from geo.kernels.metric import ECCENTRICITY_SQ, SEMI_MAJOR_M
from geo.kernels.polygons import covers, touches_box

OUTSIDE = 0
BOUNDARY = 1
INTERIOR = 2

_RESOLUTION_SHIFT = np.uint64(52)
_CENTER_STEPS_M = (916_578.0, 348_733.0, 131_932.0, 49_874.0, 18_851.0)  # measured over all cells, rounded up
_FINEST_CIRCUMRADIUS_M = 0.66


def _cell_reach_m() -> NDArray[np.float64]:
    # A descendant's centre is at most one step of each finer resolution away, and a place at most a
    # circumradius from the centre of its finest cell. The steps shrink by the square root of 7.
    steps = [_CENTER_STEPS_M[min(r, 4)] / math.sqrt(7.0) ** max(0, r - 4) for r in range(15)]
    reach = [_FINEST_CIRCUMRADIUS_M]
    for step in reversed(steps):
        reach.append(reach[-1] + step)
    return np.array(reach[::-1]) * 1.01


CELL_REACH_M = _cell_reach_m()
"""No place is farther than this (a chord in metres) from the centre of its ancestor, by resolution."""

_PENTAGON_BASE_CELLS = (4, 14, 24, 38, 49, 58, 63, 72, 83, 97, 107, 117)
_IS_PENTAGON_BASE = np.array([base in _PENTAGON_BASE_CELLS for base in range(128)])


@kernel
def children_of(cell: np.uint64, resolution: int, out: NDArray[np.uint64]) -> int:
    """Write the children of a cell of this resolution, shape (7,); a pentagon (all digits 0) has no child 1."""
    shift = np.uint64(3 * (14 - resolution))
    base = (cell & ~(np.uint64(0xF) << _RESOLUTION_SHIFT)) | (np.uint64(resolution + 1) << _RESOLUTION_SHIFT)
    base &= ~(np.uint64(7) << shift)
    digits = (cell & ((np.uint64(1) << np.uint64(45)) - np.uint64(1))) >> np.uint64(3 * (15 - resolution))
    pentagon = digits == np.uint64(0) and _IS_PENTAGON_BASE[np.int64((cell >> np.uint64(45)) & np.uint64(0x7F))]
    count = 0
    for digit in range(7):
        if pentagon and digit == 1:
            continue
        out[count] = base | (np.uint64(digit) << shift)
        count += 1
    return count


@kernel
def base_cells(out: NDArray[np.uint64]) -> int:
    """Write the 122 cells of resolution 0."""
    for base in range(122):
        out[base] = np.uint64(0x08001FFFFFFFFFFF) | (np.uint64(base) << np.uint64(45))
    return 122


@kernel
def _polygon_state(
    lat: float, lng: float, reach_m: float, edges: NDArray[np.float64], start: int, stop: int, box: NDArray[np.float64]
) -> int:
    # The box holds every place within reach of the centre: a degree of latitude is never under 110.5 km,
    # one of longitude never under 110.5 km times the cosine of the latitude farthest from the equator.
    d_lat = reach_m / 110_500.0
    top = abs(lat) + d_lat
    d_lng = 360.0 if top >= 89.999 else reach_m / (110_500.0 * math.cos(math.radians(top)))
    south = lat - d_lat
    north = lat + d_lat
    if south > box[3] or north < box[1]:
        return OUTSIDE
    if d_lng >= 180.0:
        return (
            BOUNDARY
            if touches_box(edges, start, stop, -180.0, south, 180.0, north) or covers(edges, start, stop, lng, lat)
            else OUTSIDE
        )
    for turn in (-360.0, 0.0, 360.0):
        west = lng + turn - d_lng
        east = lng + turn + d_lng
        if west <= box[2] and east >= box[0] and touches_box(edges, start, stop, west, south, east, north):
            return BOUNDARY
    return INTERIOR if covers(edges, start, stop, lng, lat) else OUTSIDE


@kernel
def _circle_state(lat_rad: float, lng_rad: float, reach_m: float, center: NDArray[np.float64], chord: float) -> int:
    sin_lat = math.sin(lat_rad)
    cos_lat = math.cos(lat_rad)
    normal_m = SEMI_MAJOR_M / math.sqrt(1.0 - ECCENTRICITY_SQ * sin_lat * sin_lat)
    dx = normal_m * cos_lat * math.cos(lng_rad) - center[0]
    dy = normal_m * cos_lat * math.sin(lng_rad) - center[1]
    dz = normal_m * (1.0 - ECCENTRICITY_SQ) * sin_lat - center[2]
    return circle_state(math.sqrt(dx * dx + dy * dy + dz * dz), reach_m, chord)


@kernel
def circle_state(distance: float, reach_m: float, chord: float) -> int:
    """Return how a disc lies to a circle: the chord between their centres, its reach, the circle's chord, in metres."""
    if distance - reach_m > chord * (1.0 + 1e-9) + 1e-3:
        return OUTSIDE
    return INTERIOR if distance + reach_m < chord * (1.0 - 1e-9) - 1e-3 else BOUNDARY


# Axes: c slots for cells.
@h3_kernel
def cover(
    edges: NDArray[np.float64],
    start: int,
    stop: int,
    box: NDArray[np.float64],
    center: NDArray[np.float64],
    chord: float,
    finest: int,
    cells: NDArray[np.uint64],
    interior: NDArray[np.bool_],
    frontier: NDArray[np.uint64],
) -> int:
    """
    Write a cover of one area and return how many cells it has; -1 if there is no room.

    Parameters
    ----------
    edges, start, stop
        The polygon's edges as of `geo.kernels.polygons.covers`; start = stop for a circle.
    box
        Shape (4,): west, south, east, north of the polygon in degrees.
    center, chord
        Earth-centred centre of the circle, shape (3,), and its chord in metres.
    finest
        The resolution at which refining ends.
    cells, interior
        Shape (c,). Every place of the area has its ancestor among the cells; all places of an interior
        cell lie in the area. Cells are refined level by level, so that refining ends early where the next
        level might not fit.
    frontier
        Shape (2, c): scratch.

    Notes
    -----
    Membership is by ancestry. A cell is judged by a disc that holds all its descendants' places
    (`CELL_REACH_M`), so the cells' outlines are never asked and pentagons are no special case.
    """
    children = np.empty(7, np.uint64)
    latlng_rad = np.empty(2)
    count = 0
    n_frontier = base_cells(frontier[0])
    for resolution in range(finest + 1):
        n_next = 0
        for i in range(n_frontier):
            cell = frontier[0, i]
            if cell_to_latlng_rad(cell, latlng_rad) != 0:
                return -1
            state = _state(latlng_rad, CELL_REACH_M[resolution], edges, start, stop, box, center, chord)
            if state == INTERIOR:
                if count == cells.shape[0]:
                    return -1
                cells[count] = cell
                interior[count] = True
                count += 1
            elif state == BOUNDARY:
                frontier[1, n_next] = cell
                n_next += 1
        # Refining ends at the finest resolution, or where the next level might not fit.
        if resolution == finest or count + 7 * n_next > cells.shape[0]:
            return _keep(frontier[1, :n_next], count, cells, interior)
        n_frontier = 0
        for i in range(n_next):
            for j in range(children_of(frontier[1, i], resolution, children)):
                frontier[0, n_frontier] = children[j]
                n_frontier += 1
    return count


@kernel
def _state(
    latlng_rad: NDArray[np.float64],
    reach_m: float,
    edges: NDArray[np.float64],
    start: int,
    stop: int,
    box: NDArray[np.float64],
    center: NDArray[np.float64],
    chord: float,
) -> int:
    if start == stop:
        return _circle_state(latlng_rad[0], latlng_rad[1], reach_m, center, chord)
    lat = math.degrees(latlng_rad[0])
    lng = math.degrees(latlng_rad[1])
    return _polygon_state(lat, lng, reach_m, edges, start, stop, box)


@kernel
def _keep(boundary: NDArray[np.uint64], count: int, cells: NDArray[np.uint64], interior: NDArray[np.bool_]) -> int:
    if count + boundary.shape[0] > cells.shape[0]:
        return -1
    for cell in boundary:
        cells[count] = cell
        interior[count] = False
        count += 1
    return count

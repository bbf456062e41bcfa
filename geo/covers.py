"""Covers of service areas by H3 cells of mixed resolution."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import h3.api.numpy_int as h3
import numpy as np
import shapely
from numpy.typing import NDArray

from geo.area_rules import AreaLimits
from geo.cells import FINEST_RESOLUTION, check_resolution
from geo.errors import CoverTooLargeError, GeoError
from geo.kernels import covers as kernels
from geo.kernels.metric import max_chord_sq
from geo.metric import ecef
from geo.polygons import PolygonTable, polygon_table

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Cover", "CoverWriter", "cover_area", "cover_circle", "fill_area"]

MAX_CELLS = AreaLimits().max_cells
_CELLS_ACROSS = 24  # the finest cells' reach is about this share of an area's extent


class Cover(NamedTuple):
    """
    A cover of one area.

    Attributes
    ----------
    cells
        uint64[c], disjoint by ancestry: every place of the area has an ancestor among them.
    interior
        bool[c]: all places of the cell lie in the area; in the others each place must be asked.
    """

    cells: NDArray[np.uint64]
    interior: NDArray[np.bool_]


def _finest_for(extent_m: float) -> int:
    small = np.flatnonzero(extent_m / _CELLS_ACROSS > kernels.CELL_REACH_M)
    return int(small[0]) if small.size else FINEST_RESOLUTION


class CoverWriter:
    """Makes many covers with one set of scratch arrays; not for several threads at once."""

    def __init__(self, max_cells: int = MAX_CELLS) -> None:
        self._cells = np.empty(max_cells, np.uint64)
        self._interior = np.empty(max_cells, np.bool_)
        self._frontier = np.empty((2, max(7 * max_cells, 128)), np.uint64)

    def polygons(self, table: PolygonTable) -> Iterator[Cover]:
        """Yield a cover of each polygon, refined until its cells are small beside its extent."""
        no_center = np.zeros(3)
        for i in range(table.boxes.shape[0]):
            box = table.boxes[i]
            width = (box[2] - box[0]) * 111_320.0 * math.cos(math.radians(min(abs(box[1]), abs(box[3]))))
            finest = _finest_for(max(width, (box[3] - box[1]) * 110_600.0))
            yield self._cover(table, i, no_center, 0.0, finest)

    def polygon(self, table: PolygonTable, i: int, finest: int) -> Cover:
        """Return a cover of one polygon refined to a resolution, or as far as its cells fit."""
        return self._cover(table, i, np.zeros(3), 0.0, finest)

    def circle(self, center: NDArray[np.float64], radius_m: float) -> Cover:
        """Return a cover of all places within a told distance of an earth-centred position, shape (3,)."""
        chord = math.sqrt(max_chord_sq(float(radius_m)))
        # A circle is asked cheaply, so its boundary cells may be few and large.
        return self._cover(_NO_POLYGONS, -1, center, chord, _finest_for(0.5 * radius_m))

    def _cover(self, table: PolygonTable, i: int, center: NDArray[np.float64], chord: float, finest: int) -> Cover:
        start, stop = (0, 0) if i < 0 else (int(table.starts[i]), int(table.starts[i + 1]))
        edges, box = (_still(array) for array in (table.edges, _NO_BOX if i < 0 else table.boxes[i]))
        count = kernels.cover(
            edges, start, stop, box, center, chord, finest, self._cells, self._interior, self._frontier
        )
        if count < 0:
            raise CoverTooLargeError("area", f"must have a cover of at most {self._cells.size} cells")
        return Cover(self._cells[:count].copy(), self._interior[:count].copy())


def _still(array: NDArray[np.float64]) -> NDArray[np.float64]:
    # A mapped index has read-only polygons: the kernel is compiled for those, and not twice.
    view = array.view()
    view.flags.writeable = False
    return view


_NO_POLYGONS = polygon_table([])
_NO_BOX = np.zeros(4)


def cover_area(area: shapely.Geometry, *, resolution: int | None = None, max_cells: int = MAX_CELLS) -> Cover:
    """
    Cover a polygon or multipolygon by H3 cells of mixed resolution.

    Parameters
    ----------
    area
        Valid, in lng/lat degrees.
    resolution
        The resolution that boundary cells shall have; None chooses one by the area's extent and stops
        refining where the cells would not fit.
    max_cells
        The most cells that a cover may have.

    Raises
    ------
    CoverTooLargeError
        If a resolution is asked for at which the boundary alone is estimated to pass ``max_cells``.
    InvalidResolutionError
        If the resolution is none.
    """
    table = polygon_table([area])
    if resolution is None:
        return next(CoverWriter(max_cells).polygons(table))
    finest = check_resolution(resolution)
    estimate = _boundary_cells(table, finest)
    if estimate > max_cells:
        expected = f"must have a cover of at most {max_cells} cells, got about {estimate} at resolution {finest}"
        raise CoverTooLargeError("area", expected)
    return CoverWriter(max_cells).polygon(table, 0, finest)


def fill_area(area: shapely.Geometry, resolution: int, *, max_cells: int = MAX_CELLS) -> NDArray[np.uint64]:
    """
    Return all cells of one resolution whose outline meets an area, ascending: for drawing, not for membership.

    Parameters
    ----------
    area
        Valid, in lng/lat degrees.
    resolution
        0 to 15.
    max_cells
        The most cells that a fill may have.

    Raises
    ------
    CoverTooLargeError
        If the area's size says that more would be needed; nothing is filled then.
    InvalidResolutionError
        If the resolution is none.
    """
    resolution = check_resolution(resolution)
    _, south, _, north = shapely.bounds(area)
    km2 = shapely.area(area) * 111.32 * 110.6 * math.cos(math.radians((south + north) / 2.0))
    estimate = math.ceil(km2 / h3.average_hexagon_area(resolution, "km^2"))
    if estimate > max_cells:
        expected = f"must fill at most {max_cells} cells, got about {estimate} at resolution {resolution}"
        raise CoverTooLargeError("area", expected)
    cells = h3.h3shape_to_cells_experimental(h3.geo_to_h3shape(area), resolution, contain="overlap")
    return np.sort(np.array(cells, np.uint64))


def _boundary_cells(table: PolygonTable, resolution: int) -> int:
    x1, y1, x2, y2 = table.edges.T
    east = (x2 - x1) * 111_320.0 * np.cos(np.radians((y1 + y2) / 2.0))
    length = np.hypot(east, (y2 - y1) * 110_600.0).sum()
    # A boundary crosses a cell about every 1.5 edges' lengths; its neighbours within reach count too.
    return int(2.0 * length / (1.5 * h3.average_hexagon_edge_length(resolution, "m")))


def cover_circle(lat: float, lng: float, radius_m: float, *, max_cells: int = MAX_CELLS) -> Cover:
    """
    Cover the places within a told distance of a place, as `cover_area`.

    Raises
    ------
    InvalidLatLngError
        If the place is not finite or out of range.
    GeoError
        If the radius is not finite or less than 0.
    """
    if not 0.0 <= radius_m < math.inf:
        raise GeoError("radius_m", f"must be a finite distance of at least 0 m, got {radius_m!r:.40}", value=radius_m)
    return CoverWriter(max_cells).circle(ecef([lat], [lng])[0], radius_m)

"""Service areas as arrays: the edges of many polygons in one table, and exact containment."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray

from geo.kernels import polygons as kernels
from geo.places import check_latlng

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["PolygonTable", "area_covers", "polygon_table"]


class PolygonTable(NamedTuple):
    """
    The edges of p polygons and multipolygons, holes included.

    Attributes
    ----------
    boxes
        float64[p, 4]: west, south, east, north in degrees.
    starts
        int64[p + 1]: polygon i has the edges from ``starts[i]`` to ``starts[i + 1]``.
    edges
        float64[e, 4]: x1, y1, x2, y2 in degrees of longitude and latitude.
    """

    boxes: NDArray[np.float64]
    starts: NDArray[np.int64]
    edges: NDArray[np.float64]


def polygon_table(geometries: Sequence[shapely.Geometry] | NDArray[np.object_]) -> PolygonTable:
    """Return the table of valid polygons and multipolygons in lng/lat degrees (`geo.check_area` says which are)."""
    shapes = np.asarray(geometries, dtype=object)
    if shapes.size == 0:
        return PolygonTable(np.empty((0, 4)), np.zeros(1, np.int64), np.empty((0, 4)))
    parts, shape_of_part = shapely.get_parts(shapes, return_index=True)
    rings, part_of_ring = shapely.get_rings(parts, return_index=True)
    coordinates, ring_of_vertex = shapely.get_coordinates(rings, return_index=True)
    joined = ring_of_vertex[1:] == ring_of_vertex[:-1]
    edges = np.hstack([coordinates[:-1][joined], coordinates[1:][joined]])
    shape_of_edge = shape_of_part[part_of_ring[ring_of_vertex[1:][joined]]]
    starts = np.zeros(shapes.size + 1, np.int64)
    np.cumsum(np.bincount(shape_of_edge, minlength=shapes.size), out=starts[1:])
    return PolygonTable(np.ascontiguousarray(shapely.bounds(shapes)), starts, np.ascontiguousarray(edges))


def area_covers(area: shapely.Geometry, lat: ArrayLike, lng: ArrayLike) -> NDArray[np.bool_]:
    """
    Tell for each place whether an area contains it or has it on its boundary, holes' rings included.

    Parameters
    ----------
    area
        A valid polygon or multipolygon in lng/lat degrees, edges straight there (RFC 7946).
    lat, lng
        Degrees, n of each.

    Raises
    ------
    InvalidLatLngError
        If a value is not finite or out of range.
    """
    lats, lngs = check_latlng(lat, lng)
    table = polygon_table([area])
    stop = int(table.starts[1])
    return np.array([kernels.covers(table.edges, 0, stop, x, y) for x, y in zip(lngs, lats, strict=True)], np.bool_)

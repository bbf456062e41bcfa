"""Service areas: checked one by one or as many, from and to GeoJSON, WKT and WKB."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from geo import area_formats as formats
from geo import area_rules as rules
from geo.area_rules import AreaLimits, AreaName

__all__ = [
    "AreaLimits",
    "area_from_geojson",
    "area_from_wkb",
    "area_from_wkt",
    "area_to_geojson",
    "areas_from_wkb",
    "check_area",
    "check_areas",
]

Area = shapely.Polygon | shapely.MultiPolygon

_DEFAULT_LIMITS = AreaLimits()


def check_area(
    geometry: object, *, limits: AreaLimits = _DEFAULT_LIMITS, argument: str = "areas", position: int | None = None
) -> Area:
    """
    Return a service area in its normal form: two dimensions, rings turned and ordered one way.

    Parameters
    ----------
    geometry
        A shapely polygon or multipolygon in lng/lat degrees, WGS 84, edges straight there; either turn of its
        rings, a third number of each position is dropped. Over the antimeridian it is split (RFC 7946,
        section 3.1.9).
    limits
        What it may cost. Counts are checked before any geometry is computed.
    argument, position
        How the caller calls it, for the error.

    Raises
    ------
    UnsupportedGeometryError
        If it is something else, has another SRID or measures, or goes round a pole.
    GeometryTooLargeError
        If it has too many vertices or holes.
    InvalidLatLngError
        If a vertex is not finite or not on the globe.
    AntimeridianError
        If a ring crosses the antimeridian or is wider than 180 degrees.
    InvalidGeometryError
        If it has no coordinates, or crosses itself, has a hole outside its shell or parts that overlap.
    EmptyGeometryError
        If it has less area than the limit.

    Examples
    --------
    >>> check_area(shapely.box(121.4, 31.2, 121.5, 31.3)).bounds
    (121.4, 31.2, 121.5, 31.3)
    """
    name = AreaName(argument, position)
    area = rules.check_kind(geometry, name)
    parts = shapely.get_parts(area)
    sizes = shapely.get_num_coordinates(shapely.get_rings(parts))
    rules.check_counts(int(sizes.sum()) - sizes.size, int(rules.n_holes(_as_array([area]))[0]), limits, name)
    rules.check_drawn([*sizes.tolist(), *shapely.get_num_coordinates(parts).tolist()], name)
    coordinates = shapely.get_coordinates(area)
    rules.check_vertices(coordinates, name)
    drawn = np.split(coordinates, np.cumsum(sizes)[:-1])
    rules.check_poles(drawn, name)
    rules.check_meridian(drawn, name)
    rules.check_simple(area, limits, name)
    rules.check_wide_enough(area, limits, name)
    normal: Area = shapely.normalize(shapely.force_2d(area))
    return normal


def check_areas(
    geometries: Sequence[object] | NDArray[np.object_],
    *,
    limits: AreaLimits = _DEFAULT_LIMITS,
    argument: str = "areas",
    positions: Sequence[int] | NDArray[np.int64] | None = None,
) -> NDArray[np.object_]:
    """
    Return many service areas in their normal form, as `check_area` does one.

    Parameters
    ----------
    geometries
        n shapely polygons or multipolygons.
    limits, argument
        As in `check_area`.
    positions
        Shape (n,): the position of each in the caller's own list, for the error; counted from 0 if left out.

    Raises
    ------
    GeoError
        What `check_area` raises for the first bad one.

    Notes
    -----
    O(n) array operations: about 10 microseconds an area of 20 vertices. They only pick what looks bad, never
    too little; `check_area` has the word on those.
    """
    shapes = _as_array(geometries)
    for row in np.flatnonzero(_suspects(shapes, limits)):
        position = int(row) if positions is None else int(positions[int(row)])
        check_area(shapes[row], limits=limits, argument=argument, position=position)
    normal: NDArray[np.object_] = _as_array(shapely.normalize(shapely.force_2d(shapes)))
    return normal


def _as_array(geometries: Sequence[object] | NDArray[np.object_]) -> NDArray[np.object_]:
    shapes = np.empty(len(geometries), dtype=object)
    shapes[:] = geometries
    return shapes


def _suspects(shapes: NDArray[np.object_], limits: AreaLimits) -> NDArray[np.bool_]:
    """Mark at least every shape that `check_area` refuses."""
    suspect = np.array([not isinstance(shape, shapely.Polygon | shapely.MultiPolygon) for shape in shapes], np.bool_)
    rows = np.flatnonzero(~suspect)
    known = shapes[rows]
    bad = ~np.isin(shapely.get_srid(known), rules.WGS84_SRIDS) | shapely.has_m(known)
    bad |= (shapely.get_num_coordinates(known) > limits.max_vertices) | (rules.n_holes(known) > limits.max_holes)
    bad |= _off_globe(known)
    sound = np.flatnonzero(~bad)
    bad[sound] = ~shapely.is_valid(known[sound]) | (rules.area_m2(known[sound]) < limits.min_area_m2)
    suspect[rows] = bad
    return suspect


def _off_globe(shapes: NDArray[np.object_]) -> NDArray[np.bool_]:
    """Mark shapes with an empty part, a vertex at a pole or off the globe, or a part wider than 180 degrees."""
    parts, owner = shapely.get_parts(shapes, return_index=True)
    west, south, east, north = shapely.bounds(parts).T  # NaN for an empty part; a NaN vertex is left out, and invalid
    inside = (west >= -180.0) & (east <= 180.0) & (south > -90.0) & (north < 90.0) & (east - west <= 180.0)
    marked = shapely.is_empty(shapes)
    marked[owner[~inside]] = True
    return marked


def area_from_geojson(
    value: Mapping[str, Any] | str,
    *,
    limits: AreaLimits = _DEFAULT_LIMITS,
    argument: str = "areas",
    position: int | None = None,
) -> Area:
    """
    Return the service area that a GeoJSON Polygon or MultiPolygon draws, as an object or its text.

    Positions are [longitude, latitude] and, ignored, altitude. Rings are closed, either way round.

    Raises
    ------
    UnsupportedGeometryError
        If the type is another, it names a ``crs``, or a position has more than three numbers.
    InvalidGeometryError
        If it is no GeoJSON, or a ring is open or has fewer than four positions.
    GeoError
        What else `check_area` raises.
    """
    shape = formats.shape_from_geojson(value, limits, AreaName(argument, position))
    return check_area(shape, limits=limits, argument=argument, position=position)


def area_from_wkt(
    value: str, *, limits: AreaLimits = _DEFAULT_LIMITS, argument: str = "areas", position: int | None = None
) -> Area:
    """
    Return the service area that a well-known text draws, longitude before latitude.

    Raises
    ------
    UnsupportedGeometryError
        If its type is no polygon or multipolygon.
    InvalidGeometryError
        If it is no well-known text, or a ring is open.
    GeoError
        What else `check_area` raises.
    """
    shape = formats.shape_from_wkt(value, limits, AreaName(argument, position))
    return check_area(shape, limits=limits, argument=argument, position=position)


def area_from_wkb(
    value: bytes | bytearray | memoryview,
    *,
    limits: AreaLimits = _DEFAULT_LIMITS,
    argument: str = "areas",
    position: int | None = None,
) -> Area:
    """
    Return the service area that well-known binary draws, longitude before latitude.

    Raises
    ------
    UnsupportedGeometryError
        If its type is no polygon or multipolygon, or its SRID is not that of WGS 84.
    InvalidGeometryError
        If it is no well-known binary.
    GeoError
        What else `check_area` raises.
    """
    shape = formats.shape_from_wkb(value, limits, AreaName(argument, position))
    return check_area(shape, limits=limits, argument=argument, position=position)


def areas_from_wkb(
    values: Sequence[bytes], *, limits: AreaLimits = _DEFAULT_LIMITS, argument: str = "areas"
) -> NDArray[np.object_]:
    """
    Return many service areas in their normal form, as `area_from_wkb` does one.

    Raises
    ------
    GeoError
        What `area_from_wkb` raises for a bad one.

    Notes
    -----
    Heads are looked at one by one, which takes about a microsecond an area; the rest is as `check_areas` does it.
    """
    return check_areas(formats.shapes_from_wkb(values, limits, argument), limits=limits, argument=argument)


def area_to_geojson(area: Area) -> dict[str, Any]:
    """
    Return a service area as a GeoJSON object, outer rings counter-clockwise (RFC 7946, section 3.1.6).

    Raises
    ------
    UnsupportedGeometryError
        If it is no polygon or multipolygon in WGS 84.

    Examples
    --------
    >>> area_to_geojson(check_area(shapely.box(8, 47, 9, 48)))["coordinates"]
    [[[8.0, 47.0], [9.0, 47.0], [9.0, 48.0], [8.0, 48.0], [8.0, 47.0]]]
    """
    return formats.geojson_from_shape(rules.check_kind(area, AreaName("area", None)))

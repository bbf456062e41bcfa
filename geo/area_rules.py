"""What a service area must be: one function a rule, each raising the error that says what to do."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from geo.errors import (
    AntimeridianError,
    EmptyGeometryError,
    GeoError,
    GeometryTooLargeError,
    InvalidGeometryError,
    InvalidLatLngError,
    UnsupportedGeometryError,
)
from geo.metric import EARTH_RADIUS_M

__all__ = [
    "WGS84_SRIDS",
    "AreaLimits",
    "AreaName",
    "area_m2",
    "check_counts",
    "check_drawn",
    "check_kind",
    "check_meridian",
    "check_poles",
    "check_polygonal",
    "check_simple",
    "check_vertices",
    "check_wide_enough",
    "n_holes",
]

WGS84_SRIDS = (0, 4326)  # 0 is none given
_LEAST_POSITIONS = 4  # of a ring, the closing one included
_REASON = re.compile(r"(?P<what>.*)\[(?P<lng>\S+) (?P<lat>\S+)\]")
_SPLIT_HINT = (
    "split it there into a MultiPolygon whose parts end at 180 and begin at -180 (RFC 7946, section 3.1.9), "
    "and a part wider than 180 degrees into several"
)


@dataclass(frozen=True, kw_only=True)
class AreaLimits:
    """
    What one service area may cost.

    Attributes
    ----------
    max_vertices
        Vertices of all its rings, 3 to 1 000 000; the position that closes a ring is not one. Checking grows
        with n log n and each exact containment test with n.
    max_holes
        Holes of all its parts, 0 to 1 000 000.
    min_area_m2
        What has less area is refused as empty, 0 or more.
    max_cells
        H3 cells in its cover, 1 to 1 000 000 000.
    """

    max_vertices: int = 2_000
    max_holes: int = 50
    min_area_m2: float = 1.0
    max_cells: int = 20_000

    def __post_init__(self) -> None:
        for name, least, most in (("max_vertices", 3, 1_000_000), ("max_holes", 0, 1_000_000), ("max_cells", 1, 10**9)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
                text = f"must be a whole number in [{least}, {most}], got {value!r:.40}"
                raise GeoError(name, text, value=value)
        if not 0.0 <= self.min_area_m2 < math.inf:
            text = f"must be finite and 0 or more, got {self.min_area_m2!r:.40}"
            raise GeoError("min_area_m2", text, value=self.min_area_m2)


class AreaName(NamedTuple):
    """How the caller calls an area, for the errors."""

    argument: str
    position: int | None

    def error(self, reason: type[GeoError], text: str, value: object = None) -> GeoError:
        """Return an error of a class that names this area."""
        return reason(self.argument, text, position=self.position, value=value)


def check_polygonal(shape: object, name: AreaName) -> shapely.Polygon | shapely.MultiPolygon:
    """Return a polygon or multipolygon, or say what came instead."""
    if isinstance(shape, shapely.Polygon | shapely.MultiPolygon):
        return shape
    kind = shape.geom_type if isinstance(shape, BaseGeometry) else type(shape).__name__
    raise name.error(UnsupportedGeometryError, f"must be a Polygon or MultiPolygon, got {kind}", kind)


def check_kind(shape: object, name: AreaName) -> shapely.Polygon | shapely.MultiPolygon:
    """Return a polygon or multipolygon that is in WGS 84 and without measures."""
    shape = check_polygonal(shape, name)
    srid = shapely.get_srid(shape)
    if srid not in WGS84_SRIDS:
        text = f"must be in WGS 84 (SRID 4326 or none), got SRID {srid}; transform it first"
        raise name.error(UnsupportedGeometryError, text, srid)
    if shapely.has_m(shape):
        text = "must have positions of 2 or 3 numbers, got measures (M); drop them"
        raise name.error(UnsupportedGeometryError, text)
    return shape


def n_holes(shapes: NDArray[np.object_]) -> NDArray[np.int64]:
    """Return the number of holes of each (multi)polygon."""
    parts, owner = shapely.get_parts(shapes, return_index=True)
    found = np.bincount(owner, weights=shapely.get_num_interior_rings(parts), minlength=shapes.size)
    return found.astype(np.int64)


def check_counts(n_vertices: int, holes: int, limits: AreaLimits, name: AreaName) -> None:
    """Refuse what is too large, before anything that costs more than counting."""
    if n_vertices > limits.max_vertices:
        text = f"must have at most {limits.max_vertices} vertices, got {n_vertices}; simplify it or split it"
        raise name.error(GeometryTooLargeError, text, n_vertices)
    if holes > limits.max_holes:
        text = f"must have at most {limits.max_holes} holes, got {holes}; fill the smallest or split it"
        raise name.error(GeometryTooLargeError, text, holes)


def check_drawn(sizes: list[int], name: AreaName) -> None:
    """Refuse an area without rings, and rings of fewer than four positions; ``sizes`` are those of the rings."""
    if not sizes or 0 in sizes:
        raise name.error(InvalidGeometryError, "must have coordinates in every part and ring, got an empty one")
    if min(sizes) < _LEAST_POSITIONS:
        text = (
            f"must have rings of at least {_LEAST_POSITIONS} positions, the last equal to the first, got {min(sizes)}"
        )
        raise name.error(InvalidGeometryError, text, min(sizes))


def check_vertices(lnglat: NDArray[np.float64], name: AreaName) -> None:
    """Refuse vertices, shape (m, 2), that are not finite or not on the globe; a lng up to 360 is a crossing."""
    lng, lat = lnglat[:, 0], lnglat[:, 1]
    good = (np.abs(lat) <= 90.0) & (np.abs(lng) <= 360.0)  # False for NaN
    if not good.all():
        row = int(np.argmin(good))
        text = f"must have vertices with lat in [-90, 90] and lng in [-180, 180], got lat {lat[row]}, lng {lng[row]}"
        text += f" at vertex {row}"
        if 90.0 < abs(lat[row]) <= 180.0 and abs(lng[row]) <= 90.0:
            text += "; swapped? A position is longitude, latitude"
        elif 1_000.0 < np.abs(lnglat[row]).max() < math.inf:
            text += "; is it in metres? Turn them into degrees first"
        raise name.error(InvalidLatLngError, text, (float(lat[row]), float(lng[row])))


def check_poles(rings: list[NDArray[np.float64]], name: AreaName) -> None:
    """
    Refuse an area round a pole.

    That is a ring whose steps of longitude, each taken the short way, add up to a full turn; and rings whose
    edges along a pole's latitude add up to 360 degrees, as a cap in one box or split has them. A shape that
    only touches a pole is none.
    """
    along = {90.0: 0.0, -90.0: 0.0}
    for ring in rings:
        steps = np.diff(ring[:, 0])
        turn = float(np.sum(steps - 360.0 * np.rint(steps / 360.0)))
        for pole in along:
            along[pole] += float(np.abs(steps[(ring[:-1, 1] == pole) & (ring[1:, 1] == pole)]).sum())
        if abs(turn) > 180.0 or max(along.values()) >= 360.0:
            text = "must not go round a pole; leave the pole out, with parts that end at 180 and begin at -180"
            raise name.error(UnsupportedGeometryError, text)


def check_meridian(rings: list[NDArray[np.float64]], name: AreaName) -> None:
    """Refuse a ring wider than 180 degrees: it crosses the antimeridian, or nobody can tell that it does not."""
    for ring in rings:
        west, east = float(ring[:, 0].min()), float(ring[:, 0].max())
        if east - west > 180.0 or west < -180.0 or east > 180.0:
            text = f"must not cross the antimeridian or be wider than 180 degrees, got lng {west} to {east}: "
            raise name.error(AntimeridianError, text + _SPLIT_HINT, (west, east))


def check_simple(shape: shapely.Polygon | shapely.MultiPolygon, limits: AreaLimits, name: AreaName) -> None:
    """Refuse rings that cross or touch along a line, holes outside, parts that overlap; name where."""
    if shapely.is_valid(shape):
        return
    check_wide_enough(shapely.convex_hull(shape), limits, name)  # a line is empty rather than crossed
    reason = str(shapely.is_valid_reason(shape))
    found = _REASON.fullmatch(reason)
    where = f"{found['what'].lower()} at lng {found['lng']}, lat {found['lat']}" if found else reason
    text = "must not cross itself, have holes outside its shell or on it, or parts that overlap or share an edge, "
    raise name.error(InvalidGeometryError, f"{text}got {where}; draw it anew or join what overlaps", reason)


def check_wide_enough(shape: shapely.Geometry, limits: AreaLimits, name: AreaName) -> None:
    """Refuse a shape with less area than the limit."""
    found = float(area_m2(np.array([shape], dtype=object))[0])
    if found < limits.min_area_m2:
        text = f"must have an area of at least {limits.min_area_m2:g} m2, got {found:.6g}"
        raise name.error(EmptyGeometryError, text, found)


def area_m2(shapes: NDArray[np.object_]) -> NDArray[np.float64]:
    """Return the areas of shapes in lng/lat degrees: on the sphere, by Lambert's equal-area cylinder."""
    return np.asarray(shapely.area(shapely.transform(shapes, _equal_area)), dtype=np.float64)


def _equal_area(lnglat: NDArray[np.float64]) -> NDArray[np.float64]:
    x, y = np.radians(lnglat).T
    return EARTH_RADIUS_M * np.column_stack([x, np.sin(y)])

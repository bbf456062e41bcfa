"""From degrees to the flat units of a drawing, and the short text of a path in them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray

from geo.metric import EARTH_RADIUS_M

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shapely.geometry.base import BaseGeometry

    from service.maps.page import Bounds

__all__ = ["Projection"]

_LONGEST_SIDE = 8000.0
_METRES_PER_DEGREE = math.radians(1.0) * EARTH_RADIUS_M


@dataclass(frozen=True)
class Projection:
    """
    Local equirectangular projection scaled by cos(latitude): north is up, y grows to the south.

    Positions are written in tenths of a unit. A unit is a metre, or more where the longest side would pass
    8 000 units, so that a file stays small and its smallest step is a hundred-thousandth of the picture.

    Attributes
    ----------
    south, west, north, east
        The box in degrees. Where its east is beyond 180, places at the other side of that meridian are drawn there.
    metres_per_unit
        Metres on the ground for one unit of the drawing.
    """

    south: float
    west: float
    north: float
    east: float
    metres_per_unit: float

    @classmethod
    def of(cls, bounds: Bounds) -> Projection:
        """Return the projection whose origin is the north-west corner of a box."""
        mid = math.radians((bounds.south + bounds.north) / 2)
        width = (bounds.east - bounds.west) * _METRES_PER_DEGREE * math.cos(mid)
        height = (bounds.north - bounds.south) * _METRES_PER_DEGREE
        scale = max(1.0, max(width, height) / _LONGEST_SIDE)
        return cls(bounds.south, bounds.west, bounds.north, bounds.east, scale)

    @property
    def size(self) -> tuple[float, float]:
        """Width and height of the box in units."""
        corner = self.units([self.south], [self.east])[0]
        return float(corner[0]), float(corner[1])

    def units(self, lat: ArrayLike, lng: ArrayLike) -> NDArray[np.float64]:
        """Return the positions of places, shape (n, 2), rounded to a tenth of a unit."""
        lats = np.atleast_1d(np.asarray(lat, np.float64))
        lngs = np.atleast_1d(np.asarray(lng, np.float64))
        return self._flat(lats, lngs + self._turn(lngs))

    def _turn(self, lngs: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return by how many degrees each longitude is moved to be drawn on its side of the box: 0 or 360."""
        beyond = (self.east > 180.0) & (lngs < (self.west + self.east) / 2 - 180.0)
        return np.where(beyond, 360.0, 0.0)

    def _flat(self, lats: NDArray[np.float64], lngs: NDArray[np.float64]) -> NDArray[np.float64]:
        mid = math.radians((self.south + self.north) / 2)
        x = (lngs - self.west) * (_METRES_PER_DEGREE * math.cos(mid) / self.metres_per_unit)
        y = (self.north - lats) * (_METRES_PER_DEGREE / self.metres_per_unit)
        return np.stack([x, y], axis=1).round(1)

    def line(self, path: NDArray[np.float64]) -> str:
        """Return the path text of a line given as latitude and longitude, shape (n, 2)."""
        return _path(self.units(path[:, 0], path[:, 1]))

    def clipped_line(self, path: NDArray[np.float64]) -> str:
        """Return the path text of what a line shows inside the box; empty if nothing."""
        clipped = self._clip(shapely.LineString(path[:, ::-1]))
        parts = (shapely.get_coordinates(part) for part in shapely.get_parts(clipped) if part.geom_type == "LineString")
        return "".join(_path(self.units(part[:, 1], part[:, 0])) for part in parts)

    def rings(self, geometry: BaseGeometry) -> str:
        """Return the path text of all rings of an area in lng/lat, to be filled even-odd."""
        return "".join(_path(self._ring(ring)[:-1]) + "z" for ring in _rings(geometry))

    def _ring(self, ring: NDArray[np.float64]) -> NDArray[np.float64]:
        # As a whole, so that none is torn, wherever it lies.
        middle = (ring[:, 0].min() + ring[:, 0].max()) / 2
        return self._flat(ring[:, 1], ring[:, 0] + self._turn(middle))

    def clipped_rings(self, geometry: BaseGeometry) -> str:
        """Return the path text of what an area shows inside the box; empty if nothing."""
        return self.rings(self._clip(geometry))

    def _clip(self, geometry: BaseGeometry) -> BaseGeometry:
        return shapely.clip_by_rect(geometry, self.west, self.south, self.east, self.north)


def _rings(geometry: BaseGeometry) -> Iterator[NDArray[np.float64]]:
    for part in shapely.get_parts(geometry):
        if part.geom_type == "Polygon" and not part.is_empty:
            for ring in (part.exterior, *part.interiors):
                yield shapely.get_coordinates(ring)


def _path(xy: NDArray[np.float64]) -> str:
    tenths = np.rint(xy * 10).astype(np.int64)
    steps = np.diff(tenths, axis=0)
    steps = steps[steps.any(axis=1)]
    start = f"M{_number(tenths[0, 0])} {_number(tenths[0, 1])}"
    if not len(steps):
        return start + "l0 0"
    return start + "l" + " ".join(f"{_number(dx)} {_number(dy)}" for dx, dy in steps.tolist())


def _number(tenths: int) -> str:
    whole, tenth = divmod(abs(int(tenths)), 10)
    sign = "-" if tenths < 0 else ""
    return f"{sign}{whole}.{tenth}" if tenth else f"{sign}{whole}"

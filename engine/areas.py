"""Service areas of rows: everywhere, a radius in metres, or a polygon."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray

from engine.errors import InvalidColumnError
from engine.inputs import Column, as_list
from engine.lean import is_repeated, lean, repeated
from engine.views import read_only
from geo.areas import check_areas
from geo.kernels.metric import EARTH_RADIUS_M
from geo.kernels.polygons import reaches
from geo.polygons import PolygonTable, polygon_table

__all__ = ["EVERYWHERE", "POLYGON", "RADIUS", "AreaColumns", "area_columns"]

EVERYWHERE = 0
RADIUS = 1
POLYGON = 2
MAX_RADIUS_M = 20_100_000.0  # beyond half a meridian: the whole earth


class AreaColumns(NamedTuple):
    """
    The areas of n rows.

    Attributes
    ----------
    kind
        uint8[n]: `EVERYWHERE`, `RADIUS` or `POLYGON`.
    radius_m
        float64[n], 0 where there is none.
    polygon
        int32[n]: a row of ``polygons``, -1 where there is none.
    polygons
        The distinct polygons.
    """

    kind: NDArray[np.uint8]
    radius_m: NDArray[np.float64]
    polygon: NDArray[np.int32]
    polygons: PolygonTable

    def reaches_m(
        self, lat: NDArray[np.float64], lng: NDArray[np.float64]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """
        Return how far the areas of rows at these places, float64[n] each, reach: float32[n] twice, chords in metres.

        An area holds every place nearer than the first, and none beyond the second.
        """
        n = self.kind.size
        if is_repeated(self.kind) and self.kind[0] == EVERYWHERE:
            return repeated(np.float32(np.inf), n), repeated(np.float32(np.inf), n)
        reach = np.full((n, 2), np.inf)
        limited = self.kind == RADIUS
        chord_m = 2 * EARTH_RADIUS_M * np.sin(np.minimum(self.radius_m[limited] / (2 * EARTH_RADIUS_M), np.pi / 2))
        reach[limited, 0] = np.maximum(0.0, chord_m * (1.0 - 1e-9) - 1e-3)
        reach[limited, 1] = self.radius_m[limited] * (1.0 + 1e-9) + 1e-3
        if self.polygons.boxes.size:
            table = read_only(self.polygons)
            polygon = read_only(np.ascontiguousarray(self.polygon))
            here = (read_only(np.ascontiguousarray(lat)), read_only(np.ascontiguousarray(lng)))
            reaches(table.edges, table.starts, table.boxes, polygon, *here, reach)
        inner, outer = reach.astype(np.float32).T
        return np.nextafter(inner, np.float32(0.0)), np.nextafter(outer, np.float32(np.inf))

    def lean(self) -> AreaColumns:
        """Return the same areas with the memory of one element for columns whose rows are all alike."""
        return self._replace(kind=lean(self.kind), radius_m=lean(self.radius_m), polygon=lean(self.polygon))

    def take(self, rows: NDArray[np.int64]) -> AreaColumns:
        """Return the areas of these rows, with only the polygons that they use."""
        polygon = self.polygon[rows]
        used, number = np.unique(polygon[polygon >= 0], return_inverse=True)
        renumbered = polygon.copy()
        renumbered[polygon >= 0] = number
        return AreaColumns(
            self.kind[rows], self.radius_m[rows], renumbered, _take_polygons(self.polygons, used.astype(np.int64))
        )

    def followed_by(self, other: AreaColumns) -> AreaColumns:
        """Return these areas and then the other's."""
        shifted = np.where(other.polygon < 0, np.int32(-1), other.polygon + np.int32(self.polygons.boxes.shape[0]))
        mine, its = self.polygons, other.polygons
        polygons = PolygonTable(
            np.concatenate([mine.boxes, its.boxes]),
            np.concatenate([mine.starts, its.starts[1:] + mine.starts[-1]]),
            np.concatenate([mine.edges, its.edges]),
        )
        return AreaColumns(
            np.concatenate([self.kind, other.kind]),
            np.concatenate([self.radius_m, other.radius_m]),
            np.concatenate([self.polygon, shifted]),
            polygons,
        )


def _take_polygons(table: PolygonTable, numbers: NDArray[np.int64]) -> PolygonTable:
    sizes = table.starts[numbers + 1] - table.starts[numbers]
    starts = np.zeros(numbers.size + 1, np.int64)
    np.cumsum(sizes, out=starts[1:])
    edges = np.repeat(table.starts[numbers] - starts[:-1], sizes) + np.arange(starts[-1])
    return PolygonTable(table.boxes[numbers], starts, table.edges[edges])


def area_columns(areas: Column | None, n: int) -> AreaColumns:
    """
    Return the areas of n rows: polygons in lng/lat, radii in metres, None for everywhere.

    Raises
    ------
    InvalidColumnError, GeoError
        For the first bad element, with its position.
    """
    if areas is None:
        everywhere, none = repeated(np.uint8(EVERYWHERE), n), repeated(np.int32(-1), n)
        return AreaColumns(everywhere, repeated(np.float64(0.0), n), none, polygon_table([]))
    kind = np.zeros(n, np.uint8)
    radius_m = np.zeros(n)
    polygon = np.full(n, -1, np.int32)
    items = _objects(areas)
    if items.size != n:
        raise InvalidColumnError("areas", f"must have {n} elements, one for every row, got {items.size}")
    is_shape = shapely.is_geometry(items)
    is_radius = ~is_shape & np.array([item is not None for item in items], np.bool_)
    kind[is_shape] = POLYGON
    kind[is_radius] = RADIUS
    radius_m[is_radius] = _radii(items, np.flatnonzero(is_radius))
    positions = np.flatnonzero(is_shape)
    seen: dict[int, int] = {}
    number = np.array([seen.setdefault(id(item), len(seen)) for item in items[is_shape]], np.int64)
    first = np.unique(number, return_index=True)[1]
    distinct = check_areas(items[positions[first]], positions=positions[first])
    polygon[positions] = number
    return AreaColumns(kind, radius_m, polygon, polygon_table(distinct))


def _objects(areas: Column) -> NDArray[np.object_]:
    given = areas if isinstance(areas, list) else as_list(areas, "areas")
    items = np.empty(len(given), object)
    items[:] = given
    return items


def _radii(items: NDArray[Any], positions: NDArray[np.int64]) -> NDArray[np.float64]:
    radii = np.empty(positions.size)
    for i, position in enumerate(positions):
        item = items[position]
        number = isinstance(item, int | float | np.number) and not isinstance(item, bool)
        if not number or not 0.0 <= item <= MAX_RADIUS_M:
            expected = f"must be a polygon, a radius from 0 to {MAX_RADIUS_M:.0f} m, or None, got {item!r:.60}"
            raise InvalidColumnError("areas", expected, position=int(position), value=item)
        radii[i] = item
    return radii

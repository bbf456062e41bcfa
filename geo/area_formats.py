"""Shapes from and to GeoJSON, WKT and WKB, counted before they are built; `geo.areas` checks what comes out."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray

from geo.area_rules import AreaLimits, AreaName, check_counts, check_drawn, check_vertices
from geo.errors import GeometryTooLargeError, InvalidGeometryError, UnsupportedGeometryError

__all__ = ["geojson_from_shape", "shape_from_geojson", "shape_from_wkb", "shape_from_wkt", "shapes_from_wkb"]

_POSITION_SIZES = (2, 3)  # longitude, latitude and, ignored, altitude
_RINGS_PER_VERTEX = 1 / 3  # at most: a ring has at least three
_WKB_BYTES_PER_VERTEX = 64  # at most: 32 of numbers, the share of a part's and a ring's head and its closing position
_POLYGON_DEPTH = {"Polygon": 1, "MultiPolygon": 2}

# GEOS goes down shapes inside shapes until the stack ends, and the process with it; so only those are read that hold none.
_KINDS = {
    1: "Point",
    2: "LineString",
    3: "Polygon",
    4: "MultiPoint",
    5: "MultiLineString",
    6: "MultiPolygon",
    7: "GeometryCollection",
    8: "CircularString",
    9: "CompoundCurve",
    10: "CurvePolygon",
    11: "MultiCurve",
    12: "MultiSurface",
}  # by their number in WKB
_KINDS_BY_WORD = {kind.upper(): kind for kind in [*_KINDS.values(), "LinearRing"]}
_WKT_WORD = re.compile(r"\s*([A-Za-z]+)")


class _Head(NamedTuple):
    """How a shape in WKB begins: its kind, the order of its bytes, those of a position, and those before its count."""

    kind: str
    order: str
    n_position: int
    n_before: int


def _heads() -> Iterator[tuple[bytes, _Head]]:
    """Give every head with its five bytes, in the way of ISO (thousands say Z and M) and of EWKB (so do flags)."""
    for (byte, order), (number, kind) in product(((0, ">"), (1, "<")), _KINDS.items()):
        for thousands, has_z, has_m, has_srid in product(range(4), *[(False, True)] * 3):
            code = number + 1_000 * thousands + (has_z << 31) + (has_m << 30) + (has_srid << 29)
            n_numbers = 2 + (has_z or thousands in {1, 3}) + (has_m or thousands in {2, 3})
            yield struct.pack(f"{order}BI", byte, code), _Head(kind, f"{order}I", 8 * n_numbers, 9 if has_srid else 5)


_HEADS = dict(_heads())

_Parts = list[Sequence[Sequence[Any]]]


def shape_from_geojson(value: object, limits: AreaLimits, name: AreaName) -> shapely.Polygon | shapely.MultiPolygon:
    """Return the shape of a GeoJSON object or text, its counts, rings and numbers checked, nothing else."""
    geometry = _geojson_object(value, name)
    parts = _geojson_parts(geometry, name)
    rings = [ring for part in parts for ring in part]
    n_positions = sum(len(ring) for ring in rings)
    check_counts(n_positions - len(rings), max(0, len(rings) - len(parts)), limits, name)
    check_drawn([*(len(part) for part in parts if not part), *(len(ring) for ring in rings)], name)
    drawn = [[_geojson_ring(ring, name) for ring in part] for part in parts]
    polygons = [shapely.Polygon(shell, holes) for shell, *holes in drawn]
    return polygons[0] if geometry["type"] == "Polygon" else shapely.MultiPolygon(polygons)


def _geojson_object(value: object, name: AreaName) -> Mapping[str, Any]:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError) as error:
            reason = getattr(error, "msg", "nested too deeply or a number of too many digits")
            raise name.error(InvalidGeometryError, f"must be GeoJSON, got text that is no JSON: {reason}") from error
    if not isinstance(value, Mapping):
        text = f"must be a GeoJSON object, got {type(value).__name__}"
        raise name.error(UnsupportedGeometryError, text)
    kind = value.get("type")
    if not isinstance(kind, str) or kind not in _POLYGON_DEPTH:
        text = f"must be a GeoJSON geometry of type Polygon or MultiPolygon, got type {kind!r:.40}"
        raise name.error(UnsupportedGeometryError, text, kind)
    if "crs" in value:
        text = "must be in WGS 84, got a 'crs' member; transform it and leave 'crs' out (RFC 7946, section 4)"
        raise name.error(UnsupportedGeometryError, text)
    return value


def _geojson_parts(geometry: Mapping[str, Any], name: AreaName) -> _Parts:
    """Return the parts as lists of rings, each a list of what should be positions."""
    coordinates = geometry.get("coordinates")
    parts: Any = [coordinates] if geometry["type"] == "Polygon" else coordinates
    if not _is_list(parts) or not all(_is_list(part) and all(map(_is_ring, part)) for part in parts):
        text = f"must have 'coordinates' of a {geometry['type']}: nested lists of positions, got another shape"
        raise name.error(InvalidGeometryError, text)
    return list(parts)


def _is_list(value: object) -> bool:
    return isinstance(value, list | tuple)


def _is_ring(value: object) -> bool:
    return isinstance(value, list | tuple) and (not value or _is_list(value[0]))


def _geojson_ring(ring: Sequence[Any], name: AreaName) -> NDArray[np.float64]:
    lnglat = np.array([_geojson_position(position, name) for position in ring])
    check_vertices(lnglat, name)
    if (lnglat[0] != lnglat[-1]).any():
        text = f"must have closed rings, the last position equal to the first, got {ring[0]} and {ring[-1]}"
        raise name.error(InvalidGeometryError, text)
    return lnglat


def _geojson_position(position: object, name: AreaName) -> tuple[float, float]:
    if (
        not isinstance(position, list | tuple)
        or not all(map(_is_number, position))
        or len(position) < min(_POSITION_SIZES)
    ):
        text = f"must have positions of two numbers, longitude and latitude, got {position!r:.60}"
        raise name.error(InvalidGeometryError, text)
    if len(position) not in _POSITION_SIZES:
        text = f"must have positions of 2 or 3 numbers, got {len(position)}"
        raise name.error(UnsupportedGeometryError, text, len(position))
    return _as_float(position[0]), _as_float(position[1])


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _as_float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:  # a whole number beyond float64
        return float("inf")


def shape_from_wkt(value: object, limits: AreaLimits, name: AreaName) -> shapely.Geometry:
    """Return the shape of a well-known text."""
    if not isinstance(value, str):
        raise name.error(InvalidGeometryError, f"must be WKT text, got {type(value).__name__}")
    if value.count(",") > limits.max_vertices * (1 + _RINGS_PER_VERTEX):
        raise name.error(GeometryTooLargeError, _too_long(limits))
    word = _WKT_WORD.match(value)
    kind = None if word is None else _KINDS_BY_WORD.get(word[1].upper().rstrip("ZM"))
    if kind is None:
        raise name.error(InvalidGeometryError, f"must be WKT of a polygon with closed rings, got {value!r:.60}")
    if kind not in _POLYGON_DEPTH:
        raise name.error(UnsupportedGeometryError, _other_kind(kind), kind)
    return _parsed(shapely.from_wkt, value, "WKT", name)


def shape_from_wkb(value: object, limits: AreaLimits, name: AreaName) -> shapely.Geometry:
    """Return the shape of a well-known binary."""
    return _parsed(shapely.from_wkb, _checked_wkb(value, limits, name), "WKB", name)


def shapes_from_wkb(values: Sequence[object], limits: AreaLimits, argument: str) -> NDArray[np.object_]:
    """Return the shapes of many well-known binaries, read together."""
    checked = [_checked_wkb(value, limits, AreaName(argument, position)) for position, value in enumerate(values)]
    shapes: NDArray[np.object_] = _parsed(shapely.from_wkb, checked, "WKB", AreaName(argument, None))
    return shapes


def _checked_wkb(value: object, limits: AreaLimits, name: AreaName) -> bytes:
    """Return the bytes of a polygon or of a multipolygon of polygons, as far as the heads of its parts tell."""
    if not isinstance(value, bytes | bytearray | memoryview):
        raise name.error(InvalidGeometryError, f"must be WKB bytes, got {type(value).__name__}")
    data = bytes(value)
    if len(data) > limits.max_vertices * _WKB_BYTES_PER_VERTEX:
        raise name.error(GeometryTooLargeError, _too_long(limits))
    try:
        head = _HEADS[data[:5]]
        if head.kind == "MultiPolygon":
            _check_parts(data, head, name)
    except (struct.error, KeyError) as error:
        text = "must be WKB of a polygon with closed rings, got bytes that are none or broken off"
        raise name.error(InvalidGeometryError, text) from error
    if head.kind not in _POLYGON_DEPTH:
        raise name.error(UnsupportedGeometryError, _other_kind(head.kind), head.kind)
    return data


def _check_parts(data: bytes, head: _Head, name: AreaName) -> None:
    """Refuse a multipolygon with a part that is no polygon."""
    at = head.n_before + 4
    for _ in range(struct.unpack_from(head.order, data, head.n_before)[0]):
        part = _HEADS[data[at : at + 5]]
        if part.kind != "Polygon":
            text = f"must have parts that are Polygons, got {part.kind}"
            raise name.error(UnsupportedGeometryError, text, part.kind)
        (n_rings,) = struct.unpack_from(part.order, data, at + part.n_before)
        at += part.n_before + 4
        for _ in range(n_rings):
            at += 4 + part.n_position * struct.unpack_from(part.order, data, at)[0]


def _other_kind(kind: str) -> str:
    return f"must be a Polygon or MultiPolygon with straight edges, got {kind}"


def _too_long(limits: AreaLimits) -> str:
    return f"must have at most {limits.max_vertices} vertices, got more; simplify it or split it"


def _parsed(read: Callable[[Any], Any], value: object, form: str, name: AreaName) -> Any:
    try:
        with np.errstate(invalid="ignore"):  # a NaN vertex gets its own error later
            shape = read(value)
    except shapely.errors.ShapelyError as error:
        reason = str(error).partition(": ")[2] or str(error)
        raise name.error(
            InvalidGeometryError, f"must be {form} of a polygon with closed rings: {reason:.120}"
        ) from error
    return shape


def geojson_from_shape(shape: shapely.Polygon | shapely.MultiPolygon) -> dict[str, Any]:
    """Return the GeoJSON object of a shape, outer rings counter-clockwise."""
    turned = shapely.orient_polygons(shapely.force_2d(shape))
    parts = [
        [shapely.get_coordinates(ring).tolist() for ring in (part.exterior, *part.interiors)]
        for part in shapely.get_parts(turned)
    ]
    return {"type": shape.geom_type, "coordinates": parts[0] if shape.geom_type == "Polygon" else parts}

"""Points in GeoJSON: a FeatureCollection, one feature for every offer of every point."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import shapely

from geo.areas import area_from_geojson, area_to_geojson
from geo.errors import GeoError
from service.csv_records import is_unicode
from service.errors import BadFileError, ServiceError
from service.points.rows import BadRow, RawPoints
from service.points.schema import POINT_SCHEMA

__all__ = ["read_geojson", "write_geojson"]

_AREAS = ("Polygon", "MultiPolygon")
_MAX_WHOLE = 2**62


class _BadFeatureError(ServiceError):
    """A feature that cannot be a row."""

    def __init__(self, name: str, expected: str, value: object) -> None:
        super().__init__(f"{name} must be {expected}, got {value!r:.60}")


def read_geojson(path: Path) -> RawPoints:
    """
    Return the features of a FeatureCollection; the first is row 1.

    A Point is the place. A Polygon or MultiPolygon is the service area; the place is then ``lat`` and ``lng`` of
    the properties, else a place inside the area. The other columns are properties, ``features`` a text or a list.

    Raises
    ------
    BadFileError
        If it is no FeatureCollection, or names a ``crs`` (RFC 7946 knows only WGS 84; another datum is an option).
    """
    rows: list[int] = []
    bad: list[BadRow] = []
    cells: dict[str, list[Any]] = {name: [] for name in POINT_SCHEMA.names}
    ignored: dict[str, None] = {}
    for row, feature in enumerate(_features(path), 1):
        try:
            record = _record(feature)
        except (_BadFeatureError, GeoError) as error:
            bad.append(BadRow(row, str(error), _point_id(feature)))
            continue
        rows.append(row)
        for name, column in cells.items():
            column.append(record.pop(name, None))
        ignored |= dict.fromkeys(record)
    columns = {name: pa.array(cells[name], _types()[name]) for name in POINT_SCHEMA.names}
    return RawPoints(np.array(rows, np.int64), columns, bad, list(ignored), empty_is_everywhere=False)


def write_geojson(table: pa.Table, path: Path) -> None:
    """Write a feature for every row: its area where it has one, else its place; both as properties where needed."""
    with path.open("w", encoding="utf-8", newline="") as target:
        target.write('{"type": "FeatureCollection", "features": [')
        for number, row in enumerate(table.to_pylist()):
            target.write(",\n" if number else "\n")
            target.write(json.dumps(_feature(row), ensure_ascii=False, allow_nan=False))
        target.write("\n]}\n")


def _types() -> dict[str, pa.DataType]:
    return {field.name: field.type for field in POINT_SCHEMA} | {"area": pa.string()}


def _features(path: Path) -> list[Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8-sig"), object_pairs_hook=_once, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise BadFileError(path, None, f"must be GeoJSON in UTF-8: {error!s:.200}") from error
    if not isinstance(document, dict) or document.get("type") != "FeatureCollection":
        raise BadFileError(path, None, "must be a GeoJSON FeatureCollection")
    if "crs" in document:
        raise BadFileError(path, None, "must not name a crs: RFC 7946 knows only WGS 84, another datum is an option")
    features = document.get("features")
    if not isinstance(features, list):
        raise BadFileError(path, None, "must have a list of features")
    return features


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = dict(pairs)
    if len(names) < len(pairs):
        text = "a name stands twice in one object"
        raise ValueError(text)
    return names


def _no_number(name: str) -> float:
    text = f"{name} is no JSON"
    raise ValueError(text)


def _record(feature: Any) -> dict[str, Any]:
    """Return the cells of a feature, each of its column's type, or raise."""
    if not isinstance(feature, dict) or feature.get("type") != "Feature":
        raise _BadFeatureError("row", "a GeoJSON Feature", feature)
    properties = feature.get("properties")
    if properties is None:
        properties = {}
    if not isinstance(properties, dict):
        raise _BadFeatureError("properties", "an object", properties)
    odd = next((name for name in properties if not _is_text(name)), None)
    if odd is not None:
        raise _BadFeatureError("properties", "an object with names of Unicode", odd)
    record = {name: _cell(name, value) for name, value in properties.items() if value is not None}
    if "point_id" not in record and feature.get("id") is not None:
        record["point_id"] = _cell("point_id", feature["id"])
    record |= _geometry(feature.get("geometry"), record)
    return record


def _point_id(feature: Any) -> str | None:
    """Return the id that even a bad feature tells, None where it tells none."""
    properties = feature.get("properties") if isinstance(feature, dict) else None
    found = properties.get("point_id", feature.get("id")) if isinstance(properties, dict) else None
    return str(found) if isinstance(found, str | int) else None


def _geometry(geometry: Any, record: dict[str, Any]) -> dict[str, Any]:
    kind = geometry.get("type") if isinstance(geometry, dict) else None
    if kind == "Point":
        position = geometry.get("coordinates")
        if not isinstance(position, list) or len(position) not in {2, 3} or not all(map(_is_number, position)):
            raise _BadFeatureError("Point", "[longitude, latitude]", position)
        return {"lng": float(position[0]), "lat": float(position[1])}
    if kind not in _AREAS:
        raise _BadFeatureError("geometry", "a Point, a Polygon or a MultiPolygon", kind)
    if "area" in record:
        raise _BadFeatureError("area", "left out where the geometry is the area", record["area"])
    area = area_from_geojson(geometry, argument="geometry")
    inside = area.representative_point()
    place = {"lat": inside.y, "lng": inside.x} if "lat" not in record and "lng" not in record else {}
    return {"area": shapely.to_wkt(area, rounding_precision=-1)} | place


def _cell(name: str, value: Any) -> Any:
    """Return a property as its column holds it."""
    if name not in POINT_SCHEMA.names:
        return value
    kind = _types()[name]
    if name == "features" and isinstance(value, list) and all(isinstance(key, str) for key in value):
        value = ";".join(value) or None
    elif name == "point_id" and isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    fits, expected = _fits(kind)
    if value is not None and not fits(value):
        raise _BadFeatureError(name, expected, value)
    return float(value) if value is not None and kind == pa.float64() else value


def _fits(kind: pa.DataType) -> tuple[Callable[[Any], bool], str]:
    if kind == pa.float64():
        return _is_number, "a number"
    if kind == pa.int64():
        return _is_whole, "a whole number"
    if kind == pa.bool_():
        return lambda value: isinstance(value, bool), "true or false"
    return _is_text, "text"


def _is_number(value: Any) -> bool:
    return isinstance(value, float) or (_is_whole(value))


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < _MAX_WHOLE


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and is_unicode(value)


def _feature(row: dict[str, Any]) -> dict[str, Any]:
    properties = dict(_properties(row))
    if row["area"] is not None:
        geometry = area_to_geojson(shapely.from_wkb(row["area"]))
        properties |= {"lat": row["lat"], "lng": row["lng"]}
    else:
        geometry = {"type": "Point", "coordinates": [row["lng"], row["lat"]]}
        if row["radius_m"] is None:
            properties["area"] = "everywhere"
    return {"type": "Feature", "geometry": geometry, "properties": properties}


def _properties(row: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in row.items():
        if name not in {"lat", "lng", "area"} and value is not None:
            yield name, value.split(";") if name == "features" else value

"""Service areas as requests write them, as the store keeps them, and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import shapely
from pydantic import PlainValidator, WithJsonSchema

from geo.areas import area_from_geojson, area_to_geojson, check_area
from geo.datums import convert_datum
from service.http.problems import invalid

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["EVERYWHERE", "MAX_RADIUS_M", "AreaBody", "Drawn", "Kept", "area_json", "wkb_of"]

MAX_RADIUS_M = 20_100_000.0  # beyond half a meridian: the whole earth
_RADIUS, _EVERYWHERE, _TYPE = "radius_m", "everywhere", "type"


@dataclass(frozen=True, slots=True)
class Drawn:
    """An area that GeoJSON draws, not yet looked at."""

    geojson: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Kept:
    """An area as the store keeps it already; no request can hold one."""

    wkb: bytes


@dataclass(frozen=True, slots=True)
class _Everywhere:
    """The area that is the whole earth."""


EVERYWHERE = _Everywhere()


def _read(value: Any) -> float | Drawn | Kept | _Everywhere | None:
    """Return a radius, a drawing, everywhere, or None where nothing is told."""
    if value is None or isinstance(value, Kept | _Everywhere):
        return value
    if isinstance(value, dict):
        if len(value) == 1:
            if _RADIUS in value:
                return _radius(value[_RADIUS])
            if value.get(_EVERYWHERE) is True:
                return EVERYWHERE
        if _TYPE in value and not (_RADIUS in value or _EVERYWHERE in value):
            return Drawn(value)
    raise invalid("", "must be a GeoJSON Polygon or MultiPolygon, {radius_m: …} or {everywhere: true}")


def _radius(value: Any) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= MAX_RADIUS_M:
        return float(value)
    raise invalid("", f"must have a radius_m from 0 to {MAX_RADIUS_M:.0f}, got {value!r:.40}")


_SCHEMA = {
    "anyOf": [
        {
            "type": "object",
            "description": "GeoJSON (RFC 7946), positions in longitude and latitude of the body's datum.",
            "required": ["type", "coordinates"],
            "properties": {
                "type": {"type": "string", "enum": ["Polygon", "MultiPolygon"]},
                "coordinates": {"type": "array", "items": {}},
            },
        },
        {
            "type": "object",
            "required": [_RADIUS],
            "properties": {_RADIUS: {"type": "number", "minimum": 0, "maximum": MAX_RADIUS_M}},
            "additionalProperties": False,
        },
        {
            "type": "object",
            "required": [_EVERYWHERE],
            "properties": {_EVERYWHERE: {"type": "boolean", "const": True}},
            "additionalProperties": False,
        },
        {"type": "null"},
    ]
}

AreaBody = Annotated[Any, PlainValidator(_read), WithJsonSchema(_SCHEMA)]
"""Where an offer serves."""


def wkb_of(drawn: Drawn | Kept, datum: str) -> bytes:
    """
    Return a drawn area as the store keeps it: checked, in WGS 84, its edges straight between converted vertices.

    Raises
    ------
    GeoError
        What `geo.area_from_geojson` raises; counts are checked before any geometry is computed.
    """
    if isinstance(drawn, Kept):
        return drawn.wkb
    area = area_from_geojson(drawn.geojson, argument="area")
    if datum != "wgs84":
        area = check_area(_moved(area, datum, "wgs84"), argument="area")
    return bytes(shapely.to_wkb(area))


def area_json(radius_m: float | None, wkb: bytes | None, datum: str) -> dict[str, Any]:
    """Return a kept area as requests write it, in a datum."""
    if wkb is not None:
        area: Any = shapely.from_wkb(bytes(wkb))
        return area_to_geojson(area if datum == "wgs84" else _moved(area, "wgs84", datum))
    return {_EVERYWHERE: True} if radius_m is None else {_RADIUS: radius_m}


def _moved(area: Any, source: str, target: str) -> Any:
    def moved(vertices: NDArray[np.float64]) -> NDArray[np.float64]:
        lat, lng = convert_datum(vertices[:, 1], vertices[:, 0], source=source, target=target)
        return np.column_stack([lng, lat])

    return shapely.transform(area, moved)

"""Coordinate datums of Chinese maps: WGS 84, GCJ-02 and BD-09."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from importlib.resources import files
from typing import overload

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray
from shapely.geometry.base import BaseGeometry

from geo.errors import InvalidDatumError
from geo.places import check_latlng

__all__ = ["DATUMS", "convert_datum", "mainland_china"]

DATUMS = ("wgs84", "gcj02", "bd09")

_Degrees = NDArray[np.float64]
_Pair = tuple[_Degrees, _Degrees]
_Many = NDArray[np.number] | Sequence[float]

# Krasovsky 1940, the ellipsoid that GCJ-02's offsets are computed on.
_SEMI_MAJOR_M = 6_378_245.0
_ECCENTRICITY_SQ = 0.00669342162296594323
_BD_TURN = np.pi * 3000.0 / 180.0
_BD_SHIFT_LAT, _BD_SHIFT_LNG = 0.006, 0.0065

# The offsets change by less than 0.6 % of a step, so six rounds reach the last bits; always six, so that
# a place has one result, whatever stands beside it. At lng = 105 the offset is steep, for 1e-11 degrees only.
_ROUNDS = 6
_LARGEST_OFFSET_DEG = 0.05  # above any offset within the boundary's bounds
_CHUNK = 32_768  # the temporaries of a chunk stay in the cache: 1.1 to 1.2 times as fast as 1 M places at once


@overload
def convert_datum(lat: float, lng: float, source: str = ..., target: str = ...) -> tuple[float, float]: ...
@overload
def convert_datum(lat: _Many, lng: _Many, source: str = ..., target: str = ...) -> _Pair: ...
@overload
def convert_datum(
    lat: ArrayLike, lng: ArrayLike, source: str = ..., target: str = ...
) -> tuple[float, float] | _Pair: ...
def convert_datum(
    lat: ArrayLike, lng: ArrayLike, source: str = "gcj02", target: str = "wgs84"
) -> tuple[float, float] | _Pair:
    """
    Convert places between WGS 84, GCJ-02 and BD-09; outside mainland China all three are the same.

    The way from WGS 84 asks whether the place lies inside `mainland_china`, the way to it whether its
    result does; between GCJ-02 and BD-09 it is asked of the same place in WGS 84. What lies outside comes
    back bit for bit.

    Parameters
    ----------
    lat, lng
        Degrees in the source datum: one number each, or n of each.
    source, target
        ``"wgs84"``, ``"gcj02"`` or ``"bd09"``.

    Returns
    -------
    lat, lng
        Degrees in the target datum: floats for numbers, float64 arrays of shape (n,) for arrays.

    Raises
    ------
    InvalidDatumError
        If a datum is not one of the three.
    InvalidLatLngError
        If a value is not finite or out of range, or the lengths differ.

    Notes
    -----
    The offsets are those of open implementations (eviltransform, gcoord, coordtransform), met to 1e-9
    degrees. They are inverted by iteration, so that a round trip returns to within 1e-9 degrees, except in
    the strip of 2 km along the boundary: an offset may carry a place across it, so some places there have
    two origins or none. Nothing is promised for the strip, where the boundary itself is no more exact.

    O(n): about half a microsecond a place from WGS 84 and two to it.

    Examples
    --------
    >>> lat, lng = convert_datum(39.908823, 116.397470, source="wgs84", target="gcj02")
    >>> round(lat, 6), round(lng, 6)
    (39.910226, 116.403714)
    >>> convert_datum(37.5665, 126.978)  # Seoul
    (37.5665, 126.978)
    """
    _check_datum("source", source)
    _check_datum("target", target)
    lats, lngs = (np.array(values) for values in check_latlng(lat, lng))
    if source != target:
        for start in range(0, lats.size, _CHUNK):
            part = slice(start, start + _CHUNK)
            _convert_within(lats[part], lngs[part], source, target)
    if np.ndim(lat) == 0 and np.ndim(lng) == 0:
        return float(lats[0]), float(lngs[0])
    return lats, lngs


@functools.cache
def mainland_china() -> BaseGeometry:
    """
    Return the boundary inside which the datums differ, in lng/lat WGS 84, prepared for containment.

    From Natural Earth 1:10m (public domain): its land borders moved out by 0.005 degrees, for the towns that
    stand on them, and its coast by 0.05, for ports and reclaimed land. Hong Kong, Macao and Taiwan are
    outside. ``geo/data/README.md`` tells how it is made and what it misses.
    """
    text = files("geo").joinpath("data/mainland_china.geojson").read_text(encoding="utf-8")
    boundary = shapely.from_geojson(text)
    shapely.prepare(boundary)
    return boundary


def _check_datum(argument: str, datum: object) -> None:
    if not isinstance(datum, str) or datum not in DATUMS:
        known = ", ".join(f"{name!r}" for name in DATUMS)
        raise InvalidDatumError(argument, f"must be one of {known}, got {datum!r:.40}", value=datum)


def _convert_within(lat: _Degrees, lng: _Degrees, source: str, target: str) -> None:
    """Overwrite the places that lie inside the boundary with their values in the target datum."""
    west, south, east, north = mainland_china().bounds
    pad = _LARGEST_OFFSET_DEG
    near = (lat > south - pad) & (lat < north + pad) & (lng > west - pad) & (lng < east + pad)
    rows = np.flatnonzero(near)
    known = {source: (lat[rows], lng[rows])}
    if source == "bd09":
        known["gcj02"] = _inverted(_gcj_to_bd, *known["bd09"])
    if source != "wgs84":
        known["wgs84"] = _inverted(_wgs_to_gcj, *known["gcj02"])
    wgs_lat, wgs_lng = known["wgs84"]
    inside = shapely.intersects_xy(mainland_china(), wgs_lng, wgs_lat)
    found = {datum: (values[0][inside], values[1][inside]) for datum, values in known.items()}
    if "gcj02" not in found:
        found["gcj02"] = _wgs_to_gcj(*found["wgs84"])
    if target not in found:
        found[target] = _gcj_to_bd(*found["gcj02"])
    lat[rows[inside]], lng[rows[inside]] = found[target]


def _inverted(forward: Callable[[_Degrees, _Degrees], _Pair], lat: _Degrees, lng: _Degrees) -> _Pair:
    """Return the places that ``forward`` carries to the given ones."""
    from_lat, from_lng = lat.copy(), lng.copy()
    for _ in range(_ROUNDS):
        to_lat, to_lng = forward(from_lat, from_lng)
        from_lat += lat - to_lat
        from_lng += lng - to_lng
    return from_lat, from_lng


def _wgs_to_gcj(lat: _Degrees, lng: _Degrees) -> _Pair:
    x, y = lng - 105.0, lat - 35.0
    wave = np.sin(6.0 * np.pi * x) + np.sin(2.0 * np.pi * x)
    north_m = -100.0 + 2.0 * x + 3.0 * y + 0.2 * y * y + 0.1 * x * y + 0.2 * np.sqrt(np.abs(x))
    north_m += 40.0 / 3.0 * (wave + _waves(y) + 8.0 * np.sin(np.pi * y / 12.0) + 16.0 * np.sin(np.pi * y / 30.0))
    east_m = 300.0 + x + 2.0 * y + 0.1 * x * x + 0.1 * x * y + 0.1 * np.sqrt(np.abs(x))
    east_m += 40.0 / 3.0 * (wave + _waves(x) + 7.5 * np.sin(np.pi * x / 12.0) + 15.0 * np.sin(np.pi * x / 30.0))
    lat_rad = np.radians(lat)
    flattening = 1.0 - _ECCENTRICITY_SQ * np.sin(lat_rad) ** 2
    prime_vertical_m = _SEMI_MAJOR_M / np.sqrt(flattening)
    meridian_m = prime_vertical_m * (1.0 - _ECCENTRICITY_SQ) / flattening
    return lat + np.degrees(north_m / meridian_m), lng + np.degrees(east_m / (prime_vertical_m * np.cos(lat_rad)))


def _waves(degrees: _Degrees) -> _Degrees:
    waves: _Degrees = np.sin(np.pi * degrees) + 2.0 * np.sin(np.pi * degrees / 3.0)
    return waves


def _gcj_to_bd(lat: _Degrees, lng: _Degrees) -> _Pair:
    radius = np.hypot(lat, lng) + 0.00002 * np.sin(lat * _BD_TURN)
    angle = np.arctan2(lat, lng) + 0.000003 * np.cos(lng * _BD_TURN)
    return radius * np.sin(angle) + _BD_SHIFT_LAT, radius * np.cos(angle) + _BD_SHIFT_LNG

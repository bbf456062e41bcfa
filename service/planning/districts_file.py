"""Read district borders from a map file."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import geopandas as gpd
import pyogrio.errors
import pyproj
import shapely
from pyproj.exceptions import ProjError

from geo.districts import check_district
from geo.errors import GeoError
from service.errors import BadFileError

__all__ = ["read_districts"]

_NAMES = ("district", "name")
_DEGREES = ("CRS84", "CRS:84", "#4326")
"""How names of WGS 84 in degrees end that are no names to pyproj."""
_NAMED_BY = {"epsg": "code", "ogc": "urn", "link": "href", "url": "url"}
"""Where a coordinate system of a type that is not ``name`` has its name."""
_UNREADABLE = (
    OSError,
    ValueError,
    NotImplementedError,
    pyogrio.errors.DataSourceError,
    shapely.errors.ShapelyError,
    zipfile.BadZipFile,
    ProjError,
)


def read_districts(path: Path, *, name_column: str | None = None) -> Any:
    """
    Return a GeoDataFrame in WGS 84 with the columns ``district`` (text) and ``geometry``.

    Parameters
    ----------
    path
        GeoJSON, GeoPackage or what else GDAL reads; without a coordinate system it is lng/lat.
    name_column
        Column that names a district; without it ``district``, else ``name``.

    Raises
    ------
    BadFileError
        If the file cannot be read, names a coordinate system that cannot be turned into WGS 84, has no such column, or
        a row has no name or is no polygon, or one of which `geo.districts.check_district` says that nobody can tell
        what lies in it.
    """
    frame = _frame(path)
    columns = [name for name in frame.columns if name != "geometry"]
    wanted = [name_column] if name_column else list(_NAMES)
    found = next((name for name in wanted if name in columns), None)
    if found is None:
        raise BadFileError(path, None, f"lacks the column {' or '.join(wanted)}; it has {', '.join(columns) or 'none'}")
    if "geometry" not in frame.columns:
        raise BadFileError(path, None, "has no geometry")
    for row, (name, shape) in enumerate(zip(frame[found], frame.geometry, strict=True), 1):
        if shape is None or shape.geom_type not in {"Polygon", "MultiPolygon"} or shape.is_empty:
            kind = "nothing" if shape is None else f"a {shape.geom_type}"
            raise BadFileError(path, row, f"must be a polygon or multipolygon, got {kind}")
        if name is None or name != name or not str(name).strip():
            raise BadFileError(path, row, f"{found} must name the district, is empty")
    named = gpd.GeoDataFrame({"district": frame[found].astype(str)}, geometry=frame.geometry.array, crs=frame.crs)
    try:
        turned = named if named.crs is None else named.to_crs(4326)
    except ProjError as error:
        raise BadFileError(path, None, f"cannot be turned into WGS 84: {error}") from error
    for position, shape in enumerate(turned.geometry):
        try:
            check_district(shape, position)
        except GeoError as error:
            reason = str(error).removeprefix(f"districts[{position}] ")
            raise BadFileError(path, position + 1, reason) from error
    return turned


def _frame(path: Path) -> Any:
    try:
        frame = gpd.read_file(path)
        unknown = _unknown_system(path, getattr(frame, "crs", None))  # a table has none
    except _UNREADABLE as error:
        raise BadFileError(path, None, f"cannot be read as a map: {str(error).strip()}") from error
    if unknown is not None:
        raise BadFileError(path, None, f"names a coordinate system that is not known: {unknown!r:.60}")
    return frame


def _unknown_system(path: Path, read_as: pyproj.CRS | None) -> str | None:
    """Return the coordinate system that a GeoJSON file names where nobody knows it: GDAL takes it for degrees."""
    if pyogrio.read_info(path)["driver"] != "GeoJSON":
        return None
    name = _system_name(_document(path))
    if name is None or name.endswith(_DEGREES):
        return None
    try:
        known = pyproj.CRS.from_user_input(name)
    except ProjError:
        return name
    is_passed_over = read_as is not None and read_as.is_geographic and not known.is_geographic
    return name if is_passed_over else None


def _system_name(document: Any) -> str | None:
    """Return the coordinate system that a GeoJSON document names, in any form of GeoJSON 2008 and those before it."""
    told = document.get("crs") if isinstance(document, dict) else None
    properties = told.get("properties") if isinstance(told, dict) else None
    if not isinstance(told, dict) or not isinstance(properties, dict):
        return None
    word = _NAMED_BY.get(str(told.get("type")).lower(), "name")
    if properties.get(word) is None:
        return None
    return f"EPSG:{properties[word]}" if word == "code" else str(properties[word])


def _document(path: Path) -> Any:
    """Return a JSON file's document, or that of the one file in an archive."""
    if path.suffix != ".zip":
        with path.open("rb") as file:
            return json.load(file)
    with zipfile.ZipFile(path) as archive:
        (name,) = (name for name in archive.namelist() if not name.endswith("/"))
        with archive.open(name) as file:
            return json.load(file)

"""
Read OpenStreetMap files: PBF or XML, plain or compressed.

What a tag means is not known here; places, streets and buildings come out as they stand on the map.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import osmium
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from geo.antimeridian import joined_at_180, turned_back
from geo.mapfiles import open_osm

__all__ = ["Buildings", "MapObject", "Streets", "read_buildings", "read_objects", "read_streets"]

_WGS84_A_M = 6_378_137.0
_WGS84_E2 = 0.006_694_379_990_141_317


@dataclass(frozen=True, slots=True)
class MapObject:
    """
    A tagged object of the map.

    Attributes
    ----------
    kind, id
        ``n`` (node), ``w`` (way) or ``r`` (relation), and the number that is unique within the kind.
    tags
        All its tags.
    lat, lng
        Degrees: a node's own place; a closed way's or a multipolygon's centroid where that lies inside, else a
        place inside; the middle of an open way along its length. None where the file does not tell.
    gap
        Why there is no place, else None: ``location_invalid`` (node), ``nodes_missing`` (way that is empty, cut
        by the edge of the extract, or before its nodes in a file that is not sorted), ``parts_missing``
        (multipolygon that cannot be put together), ``not_an_area`` (relation of another type).
    """

    kind: Literal["n", "w", "r"]
    id: int
    tags: dict[str, str]
    lat: float | None
    lng: float | None
    gap: str | None

    @property
    def name(self) -> str:
        """How people who work with OSM write it: ``n123``."""
        return f"{self.kind}{self.id}"


@dataclass(frozen=True)
class Streets:
    """
    n polylines with m vertices together.

    Attributes
    ----------
    way_id
        int64[n]; a way whose nodes are missing in between gives one polyline for each stretch.
    highway, name
        n values of the tags; name is None where there is none.
    offsets
        int64[n + 1]: polyline i has the vertices ``offsets[i]:offsets[i + 1]``, two at least.
    lat, lng
        float64[m], degrees.
    """

    way_id: NDArray[np.int64]
    highway: list[str]
    name: list[str | None]
    offsets: NDArray[np.int64]
    lat: NDArray[np.float64]
    lng: NDArray[np.float64]


@dataclass(frozen=True)
class Buildings:
    """
    n footprints.

    Attributes
    ----------
    osm_id
        n texts, ``w123`` or ``r123``.
    kind
        n values of the tag ``building``.
    lat, lng
        float64[n], a place inside, degrees.
    area_m2
        float64[n], footprint without its holes.
    levels
        float64[n], storeys above the ground, NaN where the map does not say a number above 0.
    n_without_area
        How many buildings have no footprint, because the edge of the extract cuts them.
    """

    osm_id: list[str]
    kind: list[str]
    lat: NDArray[np.float64]
    lng: NDArray[np.float64]
    area_m2: NDArray[np.float64]
    levels: NDArray[np.float64]
    n_without_area: int


def read_objects(path: str | Path, keys: Sequence[str]) -> list[MapObject]:
    """
    Return every object that has one of these keys: nodes, then ways, then relations, each by id.

    Nothing is lost: an object whose place the file does not tell is there with its `MapObject.gap`.

    Parameters
    ----------
    path
        OSM PBF or XML, the latter plain, ``.gz`` or ``.bz2``.
    keys
        Tag keys, at least one.

    Raises
    ------
    MapFileError
        If the file is missing, no OSM file, broken off, or holds several versions of an object.
    """
    wanted = osmium.filter.KeyFilter(*keys)
    found: list[MapObject] = []
    relations: dict[int, dict[str, str]] = {}
    places: dict[int, tuple[float, float]] = {}
    to_wkb = osmium.geom.WKBFactory().create_multipolygon
    with open_osm(path) as processor:
        for item in processor.with_areas(wanted).with_filter(wanted):
            if item.is_node():
                found.append(_node(item))
            elif item.is_way():
                found.append(_way(item))
            elif item.is_relation():
                relations[item.id] = dict(item.tags)
            elif not item.from_way() and item.num_rings()[0]:
                places[item.orig_id()] = _inner_place(joined_at_180(shapely.from_wkb(to_wkb(item))))
    found += [_relation(number, tags, places.get(number)) for number, tags in relations.items()]
    return sorted(found, key=lambda item: ("nwr".index(item.kind), item.id))


def read_streets(path: str | Path) -> Streets:
    """
    Return the ways tagged ``highway`` as polylines, in the order of the file; areas are left out.

    Raises
    ------
    MapFileError
        As `read_objects`.
    """
    ways: list[tuple[int, str, str | None]] = []
    runs: list[list[tuple[float, float]]] = []
    with open_osm(path) as processor:
        for way in processor.with_locations().with_filter(osmium.filter.KeyFilter("highway")):
            if not way.is_way() or way.tags.get("area") == "yes":
                continue
            stretches = _stretches(way.nodes)
            runs += stretches
            ways += [(way.id, way.tags["highway"], way.tags.get("name"))] * len(stretches)
    lengths = np.array([len(run) for run in runs], np.int64)
    vertices = np.array([vertex for run in runs for vertex in run], np.float64).reshape(-1, 2)
    return Streets(
        way_id=np.array([way[0] for way in ways], np.int64),
        highway=[way[1] for way in ways],
        name=[way[2] for way in ways],
        offsets=np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)]),
        lat=np.ascontiguousarray(vertices[:, 0]),
        lng=np.ascontiguousarray(vertices[:, 1]),
    )


def read_buildings(path: str | Path) -> Buildings:
    """
    Return the footprints of what is tagged ``building`` (but not ``building=no``), by kind of object and id.

    Raises
    ------
    MapFileError
        As `read_objects`.
    """
    wanted = osmium.filter.KeyFilter("building")
    to_wkb = osmium.geom.WKBFactory().create_multipolygon
    shapes: dict[tuple[str, int], tuple[str, str | None, str]] = {}
    n_tagged = 0
    with open_osm(path) as processor:
        for item in processor.with_areas(wanted).with_filter(wanted):
            if item.is_node() or item.tags["building"] == "no":
                continue
            if not item.is_area():
                n_tagged += 1
                continue
            if item.num_rings()[0]:
                key = ("w" if item.from_way() else "r", item.orig_id())
                shapes[key] = (item.tags["building"], item.tags.get("building:levels"), to_wkb(item))
    order = sorted(shapes, key=lambda key: (key[0] == "r", key[1]))
    polygons = joined_at_180(shapely.from_wkb([shapes[key][2] for key in order]))
    inside = shapely.point_on_surface(polygons)
    lat = shapely.get_y(inside)
    return Buildings(
        osm_id=[f"{kind}{number}" for kind, number in order],
        kind=[shapes[key][0] for key in order],
        lat=lat,
        lng=turned_back(shapely.get_x(inside)),
        area_m2=shapely.area(polygons) * _square_metres_per_square_degree(lat),
        levels=np.array([_levels(shapes[key][1]) for key in order], np.float64),
        n_without_area=n_tagged - len(shapes),
    )


def _node(node: osmium.osm.Node) -> MapObject:
    if not node.location.valid():
        return MapObject("n", node.id, dict(node.tags), None, None, "location_invalid")
    return MapObject("n", node.id, dict(node.tags), node.location.lat, node.location.lon, None)


def _way(way: osmium.osm.Way) -> MapObject:
    vertices = [(node.lon, node.lat) for node in way.nodes if node.location.valid()]
    if not vertices or len(vertices) < len(way.nodes):
        return MapObject("w", way.id, dict(way.tags), None, None, "nodes_missing")
    lat, lng = _middle(vertices, closed=way.is_closed())
    return MapObject("w", way.id, dict(way.tags), lat, lng, None)


def _relation(number: int, tags: dict[str, str], place: tuple[float, float] | None) -> MapObject:
    if place is not None:
        return MapObject("r", number, tags, *place, None)
    is_area = tags.get("type") in {"multipolygon", "boundary"}
    return MapObject("r", number, tags, None, None, "parts_missing" if is_area else "not_an_area")


def _middle(vertices: list[tuple[float, float]], *, closed: bool) -> tuple[float, float]:
    if len(set(vertices)) == 1:
        return vertices[0][1], vertices[0][0]
    if closed and len(vertices) >= 4:
        polygon = joined_at_180(shapely.Polygon(vertices))
        if polygon.area > 0 and polygon.is_valid:
            return _inner_place(polygon)
    return _latlng(joined_at_180(shapely.LineString(vertices)).interpolate(0.5, normalized=True))


def _inner_place(area: BaseGeometry) -> tuple[float, float]:
    middle = area.centroid
    return _latlng(middle if area.covers(middle) else area.point_on_surface())


def _latlng(place: shapely.Point) -> tuple[float, float]:
    return place.y, turned_back(place.x)


def _stretches(nodes: Any) -> list[list[tuple[float, float]]]:
    """Cut a way where nodes are missing, and drop what is left of single nodes."""
    runs: list[list[tuple[float, float]]] = [[]]
    for node in nodes:
        if node.location.valid():
            runs[-1].append((node.lat, node.lon))
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if len(run) >= 2]


def _square_metres_per_square_degree(lat: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the ellipsoid's scale; over the size of a building it changes by less than 1e-4."""
    phi = np.radians(lat)
    w_sq = 1.0 - _WGS84_E2 * np.sin(phi) ** 2
    meridional = _WGS84_A_M * (1.0 - _WGS84_E2) / w_sq**1.5
    normal = _WGS84_A_M / np.sqrt(w_sq)
    scale: NDArray[np.float64] = np.radians(1.0) ** 2 * meridional * normal * np.cos(phi)
    return scale


def _levels(text: str | None) -> float:
    try:
        levels = float(text) if text else np.nan
    except ValueError:
        return np.nan
    return levels if 0 < levels < np.inf else np.nan

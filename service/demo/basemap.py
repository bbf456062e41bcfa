"""What a street map shows under the points, and how much floor there is to live on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import osmium
import shapely
from numpy.typing import NDArray

from geo.osm import Buildings, Streets, read_buildings, read_streets
from service.maps import Bounds, Shape, Street

__all__ = ["Basemap", "Homes", "read_basemap"]

_MAIN_STREETS = {"trunk", "primary", "secondary", "tertiary"}
_STREETS = {"residential", "unclassified", "living_street", "pedestrian"}
_RAILS = {"rail", "tram", "light_rail"}
_MAIN, _STREET, _PATH, _RAIL = 0, 1, 2, 3
_GREEN = {("leisure", "park"), ("leisure", "garden"), ("landuse", "grass"), ("landuse", "forest"), ("natural", "wood")}
# Buildings whose tag says that nobody lives there. In a city centre most are tagged "yes" and mixed.
_NOT_HOMES = {
    "public", "roof", "office", "church", "university", "school", "kiosk", "shed", "utility", "tower", "pavilion",
    "commercial", "retail", "atrium", "museum", "ship", "service", "train_station", "glasshouse", "entrance", "chapel",
    "underpass_entrance", "cathedral", "hospital", "hotel", "industrial", "warehouse", "garage", "garages", "civic",
    "government", "stadium", "sports_hall", "transportation", "parking", "construction", "ruins", "greenhouse",
}  # fmt: skip
_USUAL_LEVELS = 5.0
_MOST_LEVELS = 60.0
_LEAST_FOOTPRINT_M2 = 60.0


@dataclass(frozen=True)
class Homes:
    """
    Buildings that people may live in, standing for the people.

    Attributes
    ----------
    lat, lng
        A place inside each, degrees, shape (n,).
    weight
        Floor area in square metres: footprint times levels (5 where the map gives none), shape (n,).
    """

    lat: NDArray[np.float64]
    lng: NDArray[np.float64]
    weight: NDArray[np.float64]

    @property
    def columns(self) -> dict[str, NDArray[np.float64]]:
        """The columns that `engine.coverage` takes as a demand."""
        return {"lat": self.lat, "lng": self.lng, "weight": self.weight}


@dataclass(frozen=True)
class Basemap:
    """Streets and ground of a map extract, its homes, and the box of its streets."""

    streets: tuple[Street, ...]
    shapes: tuple[Shape, ...]
    homes: Homes
    bounds: Bounds


def read_basemap(path: Path) -> Basemap:
    """
    Read streets, rails, water, parks and buildings of an OSM file.

    Raises
    ------
    MapFileError
        If the file cannot be read.
    """
    streets = read_streets(path)
    rails, shapes = _rails_and_ground(path)
    return Basemap((*_streets(streets), *rails), shapes, _homes(read_buildings(path)), _box(streets))


def _streets(streets: Streets) -> list[Street]:
    places = np.column_stack([streets.lat, streets.lng])
    bends = np.split(places, streets.offsets[1:-1])
    named = zip(bends, streets.highway, streets.name, strict=True)
    return [Street(path, _rank(highway), name or "") for path, highway, name in named]


def _rank(highway: str) -> int:
    kind = highway.removesuffix("_link")
    return _MAIN if kind in _MAIN_STREETS else _STREET if kind in _STREETS else _PATH


def _rails_and_ground(path: Path) -> tuple[list[Street], tuple[Shape, ...]]:
    rails: list[Street] = []
    shapes: list[Shape] = []
    to_wkb = osmium.geom.WKBFactory().create_multipolygon
    processor: Any = osmium.FileProcessor(str(path)).with_areas()
    for item in processor:
        if item.is_way() and item.tags.get("railway") in _RAILS:
            bends = np.array([(node.lat, node.lon) for node in item.nodes if node.location.valid()])
            if len(bends) >= 2:
                rails.append(Street(bends, _RAIL))
        elif item.is_area() and item.num_rings()[0]:
            kind = _ground(item.tags)
            if kind is not None:
                shapes.append(Shape(kind, shapely.from_wkb(to_wkb(item))))
    return rails, tuple(shapes)


def _ground(tags: Any) -> str | None:
    if tags.get("building", "no") != "no":
        return "building"
    if tags.get("natural") == "water":
        return "water"
    if any(tags.get(key) == value for key, value in _GREEN):
        return "green"
    return None


def _homes(buildings: Buildings) -> Homes:
    lived_in = ~np.isin(np.array(buildings.kind), list(_NOT_HOMES)) & (buildings.area_m2 >= _LEAST_FOOTPRINT_M2)
    told = (buildings.levels >= 1) & (buildings.levels <= _MOST_LEVELS)
    floor = buildings.area_m2 * np.where(told, buildings.levels, _USUAL_LEVELS)
    return Homes(buildings.lat[lived_in], buildings.lng[lived_in], floor[lived_in].round(1))


def _box(streets: Streets) -> Bounds:
    """Return the box of nearly all vertices: some ways leave an extract far behind."""
    south, north = np.quantile(streets.lat, (0.001, 0.999)).tolist()
    west, east = np.quantile(streets.lng, (0.001, 0.999)).tolist()
    return Bounds(south, west, north, east)

"""Places and shapes: H3 cells, coordinate datums, distance, service areas. Knows nothing of orders."""

from geo.areas import (
    AreaLimits,
    area_from_geojson,
    area_from_wkb,
    area_from_wkt,
    area_to_geojson,
    check_area,
    check_areas,
)
from geo.cells import (
    ancestor_cells,
    cell_boundary,
    cell_centers,
    cell_distance_m,
    cell_from_text,
    cell_to_text,
    cells_union,
    latlng_to_cell_many,
)
from geo.covers import Cover, cover_area, cover_circle, fill_area
from geo.datums import DATUMS, convert_datum
from geo.errors import GeoError
from geo.metric import EARTH_RADIUS_M, distance_m
from geo.polygons import area_covers

__all__ = [
    "DATUMS",
    "EARTH_RADIUS_M",
    "AreaLimits",
    "Cover",
    "GeoError",
    "ancestor_cells",
    "area_covers",
    "area_from_geojson",
    "area_from_wkb",
    "area_from_wkt",
    "area_to_geojson",
    "cell_boundary",
    "cell_centers",
    "cell_distance_m",
    "cell_from_text",
    "cell_to_text",
    "cells_union",
    "check_area",
    "check_areas",
    "convert_datum",
    "cover_area",
    "cover_circle",
    "distance_m",
    "fill_area",
    "latlng_to_cell_many",
]

"""Map pages: one HTML file that stands alone, drawn from plain values."""

from service.maps.classes import DISTANCE_COLOURS, SHORTFALL_COLOURS, SYMBOLS, Classes, band_classes, count_classes
from service.maps.page import (
    Bounds,
    Category,
    Example,
    Figure,
    Hexagon,
    HexClass,
    HexLayer,
    MapPage,
    MapPoint,
    Outline,
    Shape,
    Spot,
    Street,
    Table,
)
from service.maps.render import render_map

__all__ = [
    "DISTANCE_COLOURS",
    "SHORTFALL_COLOURS",
    "SYMBOLS",
    "Bounds",
    "Category",
    "Classes",
    "Example",
    "Figure",
    "HexClass",
    "HexLayer",
    "Hexagon",
    "MapPage",
    "MapPoint",
    "Outline",
    "Shape",
    "Spot",
    "Street",
    "Table",
    "band_classes",
    "count_classes",
    "render_map",
]

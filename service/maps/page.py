"""What a map page shows, as plain values: nothing here knows how it is drawn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

__all__ = [
    "Bounds",
    "Category",
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
]


@dataclass(frozen=True)
class Bounds:
    """The box that a map shows first, in degrees; its east is beyond 180 where it lies across that meridian."""

    south: float
    west: float
    north: float
    east: float


@dataclass(frozen=True)
class Street:
    """
    A line of the street network.

    Attributes
    ----------
    path
        Latitude and longitude in degrees, shape (n, 2).
    rank
        0 a main street, 1 a street, 2 a path, 3 a railway or tramway.
    """

    path: NDArray[np.float64]
    rank: int = 1
    name: str = ""


@dataclass(frozen=True)
class Shape:
    """A piece of the ground: ``water``, ``green`` or ``building``; geometry in lng/lat."""

    kind: str
    geometry: BaseGeometry


@dataclass(frozen=True)
class Outline:
    """A district's border with its name; geometry in lng/lat."""

    label: str
    geometry: BaseGeometry


@dataclass(frozen=True)
class Category:
    """A kind of point: what the legend calls it and how it is drawn (``symbol`` is a name in `SYMBOLS`)."""

    key: str
    label: str
    symbol: str
    colour: str
    label_zh: str = ""


@dataclass(frozen=True)
class MapPoint:
    """A place with its symbol; ``lines`` are what is told of it besides its title."""

    lat: float
    lng: float
    category: str
    title: str
    lines: tuple[str, ...] = ()
    synthetic: bool = False


@dataclass(frozen=True)
class HexClass:
    """One class of a legend: a range in words and its colour."""

    label: str
    colour: str


@dataclass(frozen=True)
class Hexagon:
    """An H3 cell, the class that it falls in and what is told of it."""

    cell: int
    hex_class: int
    lines: tuple[str, ...]


@dataclass(frozen=True)
class HexLayer:
    """Cells coloured by one value; ``unit`` says what is counted in which cells."""

    key: str
    title: str
    unit: str
    classes: tuple[HexClass, ...]
    hexagons: tuple[Hexagon, ...]


@dataclass(frozen=True)
class Spot:
    """A point of an example: where, which, and the label beside it."""

    lat: float
    lng: float
    title: str
    label: str


@dataclass(frozen=True)
class Example:
    """An order explained: its place, the point that serves it, the nearer ones and why they do not."""

    title: str
    text: str
    place: Spot
    match: Spot | None
    refused: tuple[Spot, ...] = ()
    area: BaseGeometry | None = None
    area_label: str = ""


@dataclass(frozen=True)
class Figure:
    """One number that the reader should take home."""

    value: str
    label: str


@dataclass(frozen=True)
class Table:
    """Rows of text; every column but the first is set as numbers."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    total_row: bool = False


@dataclass(frozen=True, kw_only=True)
class MapPage:
    """A whole page: a map with its layers, and what is told beside it."""

    title: str
    subtitle: str
    bounds: Bounds
    attribution: str
    figures: tuple[Figure, ...] = ()
    categories: tuple[Category, ...] = ()
    points: tuple[MapPoint, ...] = ()
    streets: tuple[Street, ...] = ()
    shapes: tuple[Shape, ...] = ()
    outlines: tuple[Outline, ...] = ()
    hex_layers: tuple[HexLayer, ...] = ()
    examples: tuple[Example, ...] = ()
    tables: tuple[Table, ...] = ()
    notes: tuple[str, ...] = ()

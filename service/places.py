"""Places as answers tell them, and as orders keep them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import h3

from geo.datums import convert_datum

if TYPE_CHECKING:
    from typing import Any

__all__ = ["centre_of", "coarse_cell", "places_in", "told_place"]

_COARSE = 8


def told_place(lat: float, lng: float, datum: str) -> tuple[float, float]:
    """Return a place in the datum in which it is to be told."""
    if datum == "wgs84":
        return lat, lng
    converted: tuple[Any, Any] = convert_datum(lat, lng, source="wgs84", target=datum)
    return float(converted[0]), float(converted[1])


def coarse_cell(lat: float, lng: float) -> str:
    """Return the cell of resolution 8 that a person's place lies in: no finer one is kept."""
    cell: str = h3.latlng_to_cell(lat, lng, _COARSE)
    return cell


def centre_of(cell: str) -> tuple[float, float]:
    """Return the centre of a cell, which stands for all places in it."""
    lat, lng = h3.cell_to_latlng(cell)
    return lat, lng


def places_in(cell: str) -> list[tuple[float, float]]:
    """Return places that stand for all in a cell, where an area may reach into a part of it: its centre, its corners."""
    return [centre_of(cell), *((lat, lng) for lat, lng in h3.cell_to_boundary(cell))]

"""Places as answers tell them, and as orders keep them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import h3
import shapely

from geo.datums import convert_datum

if TYPE_CHECKING:
    from typing import Any

__all__ = ["centre_of", "coarse_cell", "place_in_both", "places_in", "told_place"]

_COARSE = 8
_HALF_TURN = 180.0


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


def place_in_both(cell: str, area: bytes) -> tuple[float, float] | None:
    """Return a place in a cell and in a drawn area, WKB in WGS 84; None where they are apart, or the date line parts the cell."""
    corners = [(lng, lat) for lat, lng in h3.cell_to_boundary(cell)]
    lngs = [lng for lng, _ in corners]
    if max(lngs) - min(lngs) > _HALF_TURN:
        return None
    both = shapely.Polygon(corners).intersection(shapely.from_wkb(area))
    place = None if both.is_empty else both.representative_point()
    return None if place is None else (place.y, place.x)

"""Places as answers tell them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from geo.datums import convert_datum

if TYPE_CHECKING:
    from typing import Any

__all__ = ["told_place"]


def told_place(lat: float, lng: float, datum: str) -> tuple[float, float]:
    """Return a place in the datum in which it is to be told."""
    if datum == "wgs84":
        return lat, lng
    converted: tuple[Any, Any] = convert_datum(lat, lng, source="wgs84", target=datum)
    return float(converted[0]), float(converted[1])

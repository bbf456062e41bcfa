"""Time zone and country of a place, for sources that do not tell them."""

from __future__ import annotations

import functools
from importlib.resources import files

import numpy as np
import tzfpy
from numpy.typing import NDArray

from engine.errors import InvalidTimezoneError
from engine.holidays import check_country
from engine.local_time import check_timezone

__all__ = ["country_of", "zones_of"]

_BANGKOK = "Asia/Bangkok"


def zones_of(lat: NDArray[np.float64], lng: NDArray[np.float64]) -> list[str | None]:
    """
    Return the time zone of each place, None on the high seas; looked up with tzfpy.

    Parameters
    ----------
    lat, lng
        n degrees, WGS 84.

    Notes
    -----
    Along a border tzfpy's simplified outlines may be off by some hundred metres.
    """
    zones = (tzfpy.get_tz(east, north) for east, north in zip(lng.tolist(), lat.tolist(), strict=True))
    return [zone if _is_on_land(zone) else None for zone in zones]


def country_of(zone: str, lat: float, lng: float) -> str | None:
    """
    Return the ISO 3166 code of a place's country, given its zone; None where that has no holiday calendar.

    Notes
    -----
    A zone is of one country by tzdata's ``zone.tab``, but Bangkok's is that of northern Vietnam, too. Laos lies between,
    with a zone of its own, so that a straight line is enough to tell them apart.
    """
    if zone == _BANGKOK and lat > 17.8 - 0.92 * (lng - 105.0):
        return "VN"
    return _country_of_zone(zone)


@functools.cache
def _country_of_zone(zone: str) -> str | None:
    country = _zone_table().get(zone)
    try:
        return None if country is None else check_country(country)
    except InvalidTimezoneError:
        return None


@functools.cache
def _is_on_land(zone: str) -> bool:
    try:
        return bool(check_timezone(zone)) and not zone.startswith("Etc/")
    except InvalidTimezoneError:
        return False


@functools.cache
def _zone_table() -> dict[str, str]:
    text = files("tzdata").joinpath("zoneinfo", "zone.tab").read_text(encoding="utf-8")
    rows = (line.split("\t") for line in text.splitlines() if line and not line.startswith("#"))
    return {row[2]: row[0] for row in rows}

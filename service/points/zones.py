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

__all__ = ["country_of_zone", "zones_of"]


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


@functools.cache
def country_of_zone(zone: str) -> str | None:
    """Return the ISO 3166 code of a zone's country by tzdata's ``zone.tab``, None where it has no holiday calendar."""
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

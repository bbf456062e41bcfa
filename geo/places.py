"""Check latitudes and longitudes."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geo.errors import InvalidLatLngError
from geo.numbers import as_floats, find_non_number, is_number

__all__ = ["check_latlng"]


def check_latlng(
    lat: ArrayLike, lng: ArrayLike, lat_name: str = "lat", lng_name: str = "lng"
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """
    Return two contiguous float64 arrays of finite degrees within range.

    Parameters
    ----------
    lat, lng
        Degrees, n of each (one value counts as n = 1); numbers only, neither text nor booleans; Python objects where each is one.
    lat_name, lng_name
        How the caller calls them, for the error.

    Raises
    ------
    InvalidLatLngError
        If a value is not a finite number, latitude is outside [-90, 90] or longitude outside [-180, 180],
        or the lengths differ.
    """
    lats = _degrees(lat, lat_name)
    lngs = _degrees(lng, lng_name)
    if lats.shape != lngs.shape:
        raise InvalidLatLngError(lng_name, f"must be as many as {lat_name} ({lats.size}), got {lngs.size}")
    _check_range(lats, lat_name, 90.0, lngs)
    _check_range(lngs, lng_name, 180.0, None)
    return lats, lngs


def _degrees(values: ArrayLike, name: str) -> NDArray[np.float64]:
    mixed = isinstance(values, list | tuple) and not all(is_number(value) for value in values)
    array = np.atleast_1d(np.asarray(values, dtype=object if mixed else None))  # NumPy would count True as 1.0
    if array.size == 0:
        return np.empty(0)
    if array.ndim != 1:
        raise InvalidLatLngError(name, f"must have one dimension, got {array.ndim}")
    position = find_non_number(array)
    if position is not None:
        value = array.tolist()[position]
        raise InvalidLatLngError(
            name, f"must be a number in degrees, got {value!r:.60}", position=position, value=value
        )
    degrees = as_floats(array)
    return degrees if degrees.flags.writeable else degrees.copy()  # one layout, or kernels compile again


def _check_range(values: NDArray[np.float64], name: str, limit: float, lngs: NDArray[np.float64] | None) -> None:
    good = np.abs(values) <= limit  # False for NaN
    if good.all():
        return
    position = int(np.argmin(good))
    value = float(values[position])
    text = f"must be in [{-limit:g}, {limit:g}], got {value!r}"
    if lngs is not None and abs(value) <= 180.0 and abs(lngs[position]) <= 90.0:
        text += "; swapped with lng?"
    raise InvalidLatLngError(name, text, position=position, value=value)

"""Distance on the WGS 84 ellipsoid by earth-centred chords."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geo.kernels import metric as kernels
from geo.places import check_latlng

__all__ = ["EARTH_RADIUS_M", "distance_m", "distances_between_m", "ecef", "told_distances_m"]

EARTH_RADIUS_M = kernels.EARTH_RADIUS_M


def ecef(lat: ArrayLike, lng: ArrayLike) -> NDArray[np.float64]:
    """
    Return the earth-centred positions of places on the WGS 84 ellipsoid.

    Parameters
    ----------
    lat, lng
        Degrees, WGS 84, n of each.

    Returns
    -------
    float64[n, 3]
        x, y, z in metres.

    Raises
    ------
    InvalidLatLngError
        If a value is not finite or out of range.
    """
    lat, lng = check_latlng(lat, lng)
    out = np.empty((lat.shape[0], 3))
    kernels.ecef(lat, lng, out)
    return out


def distance_m(lat1: ArrayLike, lng1: ArrayLike, lat2: ArrayLike, lng2: ArrayLike) -> NDArray[np.float64]:
    """
    Return the told distance of pairs of places.

    The chord c through the ellipsoid is told as ``2R asin(min(1, c / 2R))``, R = 6 371 008.8 m: within
    0.02 mm of the geodesic at 10 km and 1.5 mm at 50 km.

    Parameters
    ----------
    lat1, lng1, lat2, lng2
        Degrees, WGS 84, n of each.

    Returns
    -------
    float64[n]
        Metres.

    Raises
    ------
    InvalidLatLngError
        If a value is not finite or out of range.
    """
    a = ecef(*check_latlng(lat1, lng1, "lat1", "lng1"))
    b = ecef(*check_latlng(lat2, lng2, "lat2", "lng2"))
    a, b = (np.ascontiguousarray(part) for part in np.broadcast_arrays(a, b))
    out = np.empty(a.shape[0])
    kernels.distances_m(a, b, out)
    return out


def distances_between_m(origins: NDArray[np.float64], destinations: NDArray[np.float64]) -> NDArray[np.float64]:
    """
    Return the told distance of each of some places to each of others, as `distance_m` tells it.

    Parameters
    ----------
    origins, destinations
        Shapes (m, 2) and (n, 2): lat and lng in degrees, WGS 84.

    Returns
    -------
    float64[m, n]
        Metres.

    Raises
    ------
    InvalidLatLngError
        If a value is not finite or out of range.
    """
    a, b = (np.require(part, np.float64, ["C", "W"]) for part in (origins, destinations))
    out = np.empty((a.shape[0], b.shape[0]))
    if not kernels.distances_between_m(a, b, out):
        for part in (a, b):
            check_latlng(part[:, 0], part[:, 1])
    return out


def told_distances_m(chord_sq: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the told distances in metres of squared chords of any shape, by the function that limits are held to."""
    flat = np.ascontiguousarray(chord_sq).ravel()
    out = np.empty(flat.size)
    kernels.tell_distances_m(flat, out)
    return out.reshape(chord_sq.shape)

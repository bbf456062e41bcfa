"""The metric: squared chords between positions on the WGS 84 ellipsoid, told as metres along the ground."""

import math

import numpy as np
from numpy.typing import NDArray

from geo.jit import kernel

SEMI_MAJOR_M = 6_378_137.0  # WGS 84, NGA.STND.0036 (2014), table 3.1
FLATTENING = 1.0 / 298.257223563
ECCENTRICITY_SQ = FLATTENING * (2.0 - FLATTENING)
EARTH_RADIUS_M = 6_371_008.8  # mean radius R1 of WGS 84 (Moritz 1980)


# Axes: n places.
@kernel
def ecef(lat: NDArray[np.float64], lng: NDArray[np.float64], out: NDArray[np.float64]) -> None:
    """
    Write the earth-centred positions of places on the ellipsoid.

    Parameters
    ----------
    lat, lng
        Degrees, WGS 84, each of shape (n,), finite and in range.
    out
        Shape (n, 3): x, y, z in metres.
    """
    for i in range(lat.shape[0]):
        lat_rad = math.radians(lat[i])
        lng_rad = math.radians(lng[i])
        sin_lat = math.sin(lat_rad)
        cos_lat = math.cos(lat_rad)
        normal_m = SEMI_MAJOR_M / math.sqrt(1.0 - ECCENTRICITY_SQ * sin_lat * sin_lat)
        out[i, 0] = normal_m * cos_lat * math.cos(lng_rad)
        out[i, 1] = normal_m * cos_lat * math.sin(lng_rad)
        out[i, 2] = normal_m * (1.0 - ECCENTRICITY_SQ) * sin_lat


@kernel
def told_distance_m(chord_sq: float) -> float:
    """Return the distance told for a squared chord in square metres: ``2R asin(min(1, c / 2R))``."""
    return 2.0 * EARTH_RADIUS_M * math.asin(min(1.0, math.sqrt(chord_sq) / (2.0 * EARTH_RADIUS_M)))


@kernel
def max_chord_sq(limit_m: float) -> float:
    """
    Return a squared chord that no place within a told limit exceeds: for prefilters only.

    The chord of the limit with a margin of a part in 10⁹ and a micrometre, far above what rounding can
    take away; infinite from half the circumference on.
    """
    if not limit_m < math.pi * EARTH_RADIUS_M:
        return math.inf
    chord = 2.0 * EARTH_RADIUS_M * math.sin(limit_m / (2.0 * EARTH_RADIUS_M))
    margin = chord * (1.0 + 1e-9) + 1e-6
    return margin * margin


# Axes: n pairs.
@kernel
def distances_m(a: NDArray[np.float64], b: NDArray[np.float64], out: NDArray[np.float64]) -> None:
    """
    Write the told distance of each pair.

    Parameters
    ----------
    a, b
        Earth-centred positions in metres, each of shape (n, 3).
    out
        Shape (n,), metres.
    """
    for i in range(a.shape[0]):
        dx = a[i, 0] - b[i, 0]
        dy = a[i, 1] - b[i, 1]
        dz = a[i, 2] - b[i, 2]
        out[i] = told_distance_m(dx * dx + dy * dy + dz * dz)


# Axes: n chords.
@kernel
def tell_distances_m(chord_sq: NDArray[np.float64], out: NDArray[np.float64]) -> None:
    """Write the told distance of each squared chord, both of shape (n,); inf stays inf."""
    for i in range(chord_sq.shape[0]):
        out[i] = told_distance_m(chord_sq[i]) if chord_sq[i] < math.inf else math.inf

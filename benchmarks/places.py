"""Seeded places as a city scatters them, and the slow obvious answers: NumPy alone, nothing of what is measured."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "CENTRE",
    "METRES_A_DEGREE",
    "brute_nearest_chord_sq",
    "clustered_places",
    "ecef",
    "morton_order",
    "one_square_kilometre",
    "round_pentagon",
    "told_m",
]

Floats = NDArray[np.float64]
CENTRE = (39.9042, 116.4074)
PENTAGON = (23.717925271222974, -67.13232636643566)  # h3 854c0003fffffff
METRES_A_DEGREE = 111_320.0
EARTH_RADIUS_M = 6_371_008.8
N_CLUSTERS = 400
SPREADS = (
    (16, 0x0000FFFF0000FFFF),
    (8, 0x00FF00FF00FF00FF),
    (4, 0x0F0F0F0F0F0F0F0F),
    (2, 0x3333333333333333),
    (1, 0x5555555555555555),
)


def clustered_places(n: int, seed: int) -> tuple[Floats, Floats]:
    """Return ``(lat, lng)``: nine in ten in neighbourhoods that thin out from the centre, the rest anywhere in 2 x 2 degrees."""
    layout = np.random.default_rng(0)  # the neighbourhoods are the same for every seed
    middles = np.array(CENTRE) + layout.normal(scale=0.25, size=(N_CLUSTERS, 2))
    spreads = layout.lognormal(mean=np.log(0.006), sigma=0.8, size=N_CLUSTERS)
    weights = layout.pareto(1.2, size=N_CLUSTERS) + 0.05
    rng = np.random.default_rng(seed)
    cluster = rng.choice(N_CLUSTERS, size=n, p=weights / weights.sum())
    places = middles[cluster] + rng.normal(size=(n, 2)) * spreads[cluster, None]
    anywhere = rng.random(n) < 0.1
    places[anywhere] = np.array(CENTRE) + rng.uniform(-1.0, 1.0, size=(int(anywhere.sum()), 2))
    return np.ascontiguousarray(places[:, 0]), np.ascontiguousarray(places[:, 1])


def one_square_kilometre(n: int, seed: int) -> tuple[Floats, Floats]:
    """Return ``(lat, lng)`` even over a square of one kilometre round the centre."""
    return _even_square(CENTRE, 500.0, n, seed)


def round_pentagon(n: int, seed: int) -> tuple[Floats, Floats]:
    """Return ``(lat, lng)`` even over a square of 40 kilometres round the centre of an H3 pentagon."""
    return _even_square(PENTAGON, 20_000.0, n, seed)


def _even_square(centre: tuple[float, float], half_m: float, n: int, seed: int) -> tuple[Floats, Floats]:
    north, east = np.random.default_rng(seed).uniform(-half_m, half_m, size=(2, n)) / METRES_A_DEGREE
    return centre[0] + north, centre[1] + east / np.cos(np.radians(centre[0]))


def told_m(chord_m: Floats) -> Floats:
    """Return the distances that linli tells for chords."""
    return 2 * EARTH_RADIUS_M * np.arcsin(np.minimum(1.0, chord_m / (2 * EARTH_RADIUS_M)))


def ecef(lat: Floats, lng: Floats) -> Floats:
    """Return positions on the WGS 84 ellipsoid in metres, shape (n, 3)."""
    eccentricity_sq = (1 / 298.257223563) * (2 - 1 / 298.257223563)
    sin_lat, cos_lat = np.sin(np.radians(lat)), np.cos(np.radians(lat))
    normal = 6_378_137.0 / np.sqrt(1 - eccentricity_sq * sin_lat**2)
    x = normal * cos_lat * np.cos(np.radians(lng))
    y = normal * cos_lat * np.sin(np.radians(lng))
    return np.stack([x, y, normal * (1 - eccentricity_sq) * sin_lat], axis=1)


def brute_nearest_chord_sq(points: Floats, queries: Floats, k: int) -> Floats:
    """Return the k smallest squared chords of each query, ascending, shape (q, k)."""
    out = np.empty((len(queries), k))
    x, y, z = np.ascontiguousarray(points.T)
    for row, query in enumerate(queries):
        chord_sq = (x - query[0]) ** 2 + (y - query[1]) ** 2 + (z - query[2]) ** 2
        out[row] = np.sort(np.partition(chord_sq, k - 1)[:k])
    return out


def morton_order(lat: Floats, lng: Floats) -> NDArray[np.int64]:
    """Return the order of places along a Z curve of 2 x 21 bits over their own box."""
    code = np.zeros(len(lat), dtype=np.uint64)
    for shift, values in ((0, lat), (1, lng)):
        span = max(float(np.ptp(values)), 1e-12)
        bits = ((values - values.min()) / span * (2**21 - 1)).astype(np.uint64)
        code |= _spread(bits) << np.uint64(shift)
    return np.argsort(code)


def _spread(bits: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Set 21 bits two apart."""
    for shift, mask in SPREADS:
        bits = (bits | (bits << np.uint64(shift))) & np.uint64(mask)
    return bits

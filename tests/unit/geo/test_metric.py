"""The metric against Karney's geodesic."""

import math

import numpy as np
import pyproj
import pytest

from geo.errors import InvalidLatLngError
from geo.kernels import metric as kernels
from geo.metric import EARTH_RADIUS_M, distance_m, distances_between_m, ecef

GEOD = pyproj.Geod(ellps="WGS84")
RNG = np.random.default_rng(20151)


@pytest.mark.parametrize(("metres", "error_m"), [(10.0, 2e-5), (1_000.0, 2e-5), (10_000.0, 2.5e-5), (50_000.0, 2e-3)])
def test_distance__is_within_its_bound_of_the_geodesic(metres, error_m):
    rng = np.random.default_rng(5)
    n = 4000
    lat, lng = np.degrees(np.arcsin(rng.uniform(-1, 1, n))), rng.uniform(-180, 180, n)
    lng2, lat2, _ = GEOD.fwd(lng, lat, rng.uniform(0, 360, n), np.full(n, metres))
    assert np.abs(distance_m(lat, lng, lat2, lng2) - metres).max() < error_m


def test_distance__of_antipodes_is_half_the_mean_circumference_at_most():
    # Near antipodes the ellipsoid's shorter axis shows: between the poles 4 % under the geodesic.
    assert distance_m([90.0], [0.0], [-90.0], [0.0])[0] == pytest.approx(20_003_931, rel=5e-2)
    assert distance_m([0.0], [0.0], [0.0], [180.0])[0] == pytest.approx(math.pi * EARTH_RADIUS_M)


def test_ecef__equals_proj():
    rng = np.random.default_rng(6)
    lat, lng = rng.uniform(-90, 90, 1000), rng.uniform(-180, 180, 1000)
    wanted = pyproj.Transformer.from_crs(4979, 4978, always_xy=True).transform(lng, lat, np.zeros(1000))
    assert np.abs(ecef(lat, lng) - np.transpose(wanted)).max() < 1e-6


def test_max_chord_sq__never_cuts_off_what_is_within_the_limit():
    rng = np.random.default_rng(7)
    for limit in [0.0, *np.exp(rng.uniform(-5, 17, 5000))]:
        chord = 2 * EARTH_RADIUS_M * math.sin(min(limit / (2 * EARTH_RADIUS_M), math.pi / 2))
        for square in (chord * chord, np.nextafter(chord * chord, np.inf)):
            if kernels.told_distance_m(square) <= limit:
                assert square <= kernels.max_chord_sq(limit)
    assert math.isinf(kernels.max_chord_sq(math.inf))
    assert math.isinf(kernels.max_chord_sq(2.1e7))


def test_distance__names_the_argument_that_is_wrong():
    with pytest.raises(InvalidLatLngError) as caught:
        distance_m([0.0], [0.0], [0.0, 0.0], [0.0, 200.0])
    assert (caught.value.argument, caught.value.position) == ("lng2", 1)


def test_distances_between__are_those_of_all_pairs():
    places = RNG.uniform((-90.0, -180.0), (90.0, 180.0), (30, 2))
    near = np.clip(places[:20] + RNG.uniform(-1e-3, 1e-3, (20, 2)), (-90.0, -180.0), (90.0, 180.0))
    for origins, destinations in ((places, near), (places[::2], near), (places[::-1].astype(np.float32), near)):
        found = distances_between_m(origins, destinations)
        assert found.shape == (len(origins), len(destinations))
        for row, (lat, lng) in zip(found, origins.tolist(), strict=True):
            assert np.array_equal(row, distance_m([lat], [lng], destinations[:, 0], destinations[:, 1]))
    assert distances_between_m(places, near[:0]).shape == (30, 0)


@pytest.mark.parametrize("bad", [(91.0, 0.0), (0.0, -180.5), (np.nan, 0.0), (0.0, np.inf)])
def test_distances_between__wants_places(bad):
    good = np.array([[1.0, 2.0]])
    for places in ((good, np.array([bad])), (np.array([[3.0, 4.0], bad]), good)):
        with pytest.raises(InvalidLatLngError):
            distances_between_m(*places)

"""Datums: exact round trips inside the boundary, nothing changed outside it."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import shapely
from numpy.typing import NDArray

from geo.datums import DATUMS, convert_datum, mainland_china
from geo.errors import InvalidDatumError, InvalidLatLngError
from tests.scale import scaled

PAIRS = list(itertools.permutations(DATUMS, 2))

OUTSIDE = {
    "Almaty": (43.2380, 76.8890),
    "Bangkok": (13.7563, 100.5018),
    "Delhi": (28.6139, 77.2090),
    "Hanoi": (21.0285, 105.8542),
    "Hong Kong, Central": (22.2819, 114.1582),
    "Hong Kong, Lau Fau Shan": (22.4690, 113.9820),
    "Hong Kong, airport": (22.3080, 113.9185),
    "Irkutsk": (52.2870, 104.3050),
    "Kathmandu": (27.7172, 85.3240),
    "Kinmen": (24.4367, 118.3186),
    "Macau": (22.1987, 113.5439),
    "Macau, Cotai": (22.1450, 113.5650),
    "Matsu": (26.1600, 119.9500),
    "Osaka": (34.6937, 135.5023),
    "Pyongyang": (39.0392, 125.7625),
    "Seoul": (37.5665, 126.9780),
    "Taipei": (25.0330, 121.5654),
    "Ulaanbaatar": (47.9184, 106.9177),
    "Vientiane": (17.9757, 102.6331),
    "Vladivostok": (43.1155, 131.8855),
    "the poles' and the meridian's corner": (-90.0, 180.0),
}

INSIDE = {
    "Beijing": (39.9042, 116.4074),
    "Dandong, on the Yalu": (40.1240, 124.3860),
    "Heihe, on the Amur": (50.2435, 127.5210),
    "Hengqin, beside Macau": (22.1300, 113.5300),
    "Kashgar": (39.4704, 75.9898),
    "Lhasa": (29.6520, 91.1721),
    "Qianhai, beside Hong Kong": (22.5270, 113.8950),
    "Sanya": (18.2528, 109.5119),
    "Shanghai, Lingang on reclaimed land": (30.8800, 121.9500),
    "Shanghai, Pudong airport": (31.1500, 121.8050),
    "Tianjin, port": (38.9800, 117.7500),
    "Xiamen, across from Kinmen": (24.4800, 118.0890),
    "Zhoushan": (29.9850, 122.2070),
}


def random_inside(n: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Places at least 0.02 degrees (2 km) inside the boundary, and near the meridian where the offset is steep."""
    rng = np.random.default_rng(20_260)
    core = shapely.buffer(mainland_china(), -0.02)
    west, south, east, north = core.bounds
    lat, lng = rng.uniform(south, north, 4 * n), rng.uniform(west, east, 4 * n)
    lng[: n // 10] = 105.0 + rng.normal(0.0, 1.0, n // 10) * 10.0 ** rng.uniform(-14, -1, n // 10)
    kept = np.flatnonzero(shapely.contains_xy(core, lng, lat))[:n]
    assert kept.size == n
    return lat[kept], lng[kept]


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_convert_datum__returns_from_a_round_trip(source: str, target: str) -> None:
    lat, lng = random_inside(scaled(100_000))
    there = convert_datum(lat, lng, source, target)
    back = convert_datum(there[0], there[1], target, source)
    assert np.abs(back[0] - lat).max() < 1e-9
    assert np.abs(back[1] - lng).max() < 1e-9
    assert np.abs(there[0] - lat).max() < 0.02
    assert (np.hypot(there[0] - lat, there[1] - lng) > 1e-5).mean() > 0.999


def random_outside(n: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Places beyond 0.03 degrees (2 km or more) outside the boundary, most of them close to it."""
    rng = np.random.default_rng(20_261)
    ring = shapely.get_coordinates(mainland_china())
    lat, lng = (ring[rng.integers(0, len(ring), 20 * n)] + rng.normal(0.0, 0.05, (20 * n, 2))).T[::-1]
    kept = np.flatnonzero(~shapely.contains_xy(shapely.buffer(mainland_china(), 0.03), lng, lat))[:n]
    assert kept.size == n
    return lat[kept], lng[kept]


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_convert_datum__changes_nothing_beyond_the_strip(source: str, target: str) -> None:
    lat, lng = random_outside(scaled(20_000))
    found = convert_datum(lat, lng, source, target)
    assert found[0].tobytes() == lat.tobytes()
    assert found[1].tobytes() == lng.tobytes()


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_convert_datum__of_a_chain_equals_one_step(source: str, target: str) -> None:
    lat, lng = random_inside(1_000)
    over = next(datum for datum in DATUMS if datum not in (source, target))
    direct = convert_datum(lat, lng, source, target)
    halfway = convert_datum(lat, lng, source, over)
    chained = convert_datum(halfway[0], halfway[1], over, target)
    assert np.allclose(direct, chained, rtol=0.0, atol=1e-9)


@pytest.mark.parametrize("place", OUTSIDE)
@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_convert_datum__leaves_places_outside_as_they_are(place: str, source: str, target: str) -> None:
    assert convert_datum(*OUTSIDE[place], source, target) == OUTSIDE[place]


@pytest.mark.parametrize("place", INSIDE)
@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_convert_datum__moves_places_inside(place: str, source: str, target: str) -> None:
    lat, lng = convert_datum(*INSIDE[place], source, target)
    assert 1e-4 < np.hypot(lat - INSIDE[place][0], lng - INSIDE[place][1]) < 0.02


@pytest.mark.parametrize(("source", "target"), [*PAIRS, *((datum, datum) for datum in DATUMS)])
def test_convert_datum__gives_the_same_for_one_as_for_many(source: str, target: str) -> None:
    places = [*INSIDE.values(), *OUTSIDE.values()]
    lat, lng = np.array(places).T
    many = convert_datum(lat, lng, source, target)
    assert [convert_datum(*place, source, target) for place in places] == list(zip(*many, strict=True))


def test_convert_datum__takes_gcj02_to_wgs84_unless_told() -> None:
    assert convert_datum(39.9, 116.4) == convert_datum(39.9, 116.4, "gcj02", "wgs84")
    assert convert_datum(39.9, 116.4) != (39.9, 116.4)


@pytest.mark.parametrize(
    ("lat", "lng"),
    [(31.2, 121.5), (31, 121), (np.float32(31.25), np.float64(121.5)), (np.array(31.2), np.array(121.5))],
)
def test_convert_datum__gives_floats_for_numbers(lat: Any, lng: Any) -> None:
    converted = convert_datum(lat, lng)
    assert [type(value) for value in converted] == [float, float]


@pytest.mark.parametrize("datum", DATUMS)
@pytest.mark.parametrize(
    ("lat", "lng"),
    [
        ([], []),
        ([31.2], [121.5]),
        ((31, 32), (121, 122)),
        (np.array([31.25], np.float32), np.array([121.5], np.float32)),
        ([31.2], 121.5),
    ],
)
def test_convert_datum__gives_float64_arrays_for_arrays(lat: Any, lng: Any, datum: str) -> None:
    converted = convert_datum(lat, lng, "wgs84", datum)
    for values in converted:
        assert isinstance(values, np.ndarray)
        assert values.dtype == np.float64
        assert values.shape == (len(lat),)


@pytest.mark.parametrize("target", DATUMS)
def test_convert_datum__leaves_its_input_alone(target: str) -> None:
    lat, lng = np.array([31.2, 37.5665]), np.array([121.5, 126.978])
    converted_lat, converted_lng = convert_datum(lat, lng, "wgs84", target)
    converted_lat += 1.0
    converted_lng += 1.0
    assert lat.tolist() == [31.2, 37.5665]
    assert lng.tolist() == [121.5, 126.978]


def test_convert_datum__chunks_do_not_show() -> None:
    lat, lng = random_inside(100)
    repeats = 701  # several chunks, the last one short
    many = convert_datum(np.tile(lat, repeats), np.tile(lng, repeats), "wgs84", "bd09")
    for values, once in zip(many, convert_datum(lat, lng, "wgs84", "bd09"), strict=True):
        assert (values.reshape(repeats, -1) == once).all()


@pytest.mark.parametrize(
    ("source", "target", "argument"),
    [
        ("wgs-84", "gcj02", "source"),
        ("WGS84", "gcj02", "source"),
        ("gcj02", "cgcs2000", "target"),
        (None, "wgs84", "source"),
        ("wgs84", ["gcj02"], "target"),
        ("", "", "source"),
    ],
)
def test_convert_datum__names_the_known_datums(source: Any, target: Any, argument: str) -> None:
    with pytest.raises(
        InvalidDatumError, match=rf"^{argument} must be one of 'wgs84', 'gcj02', 'bd09', got "
    ) as caught:
        convert_datum(31.2, 121.5, source, target)
    assert caught.value.argument == argument


# Rows 21 to 23 of the table of bad inputs, and what else is no place.
@pytest.mark.parametrize(
    ("lat", "lng", "names"),
    [
        (91.0, 121.5, r"^lat\[0\] must be in \[-90, 90\]"),  # 21
        ([31.2, 1e300], [121.5, 121.5], r"^lat\[1\]"),  # 21
        (31.2, 180.0001, r"^lng\[0\] must be in \[-180, 180\]"),  # 22
        (121.47, 31.23, "swapped with lng"),  # 23
        ([31.2, np.nan], [121.5, 121.5], r"^lat\[1\].*nan"),
        ([31.2, 31.2], [121.5, np.inf], r"^lng\[1\].*inf"),
        ([31.2], [121.5, 121.5], "as many as lat"),
        ("31.2", "121.5", "must be a number"),
        (None, 121.5, "must be a number"),
    ],
)
@pytest.mark.parametrize("target", DATUMS)
def test_convert_datum__refuses_what_is_no_place(lat: Any, lng: Any, names: str, target: str) -> None:
    with pytest.raises(InvalidLatLngError, match=names):
        convert_datum(lat, lng, "wgs84", target)


def test_mainland_china__is_one_sound_shape() -> None:
    boundary = mainland_china()
    assert boundary.geom_type == "MultiPolygon"
    assert shapely.is_valid(boundary)
    assert mainland_china() is boundary

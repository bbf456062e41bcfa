"""Cells over arrays: equal to H3, by ancestry, and in one form of text."""

import h3.api.numpy_int as h3
import numpy as np
import pytest

from geo import jit
from geo.cells import (
    ancestor_cells,
    cell_boundary,
    cell_centers,
    cell_distance_m,
    cell_from_text,
    cell_to_text,
    cells_union,
    latlng_to_cell_many,
    parents,
)
from geo.errors import InvalidCellError, InvalidLatLngError, InvalidResolutionError
from geo.kernels import covers as cover_kernels
from geo.metric import ecef
from tests.scale import sized

BEIJING = 31.23, 121.47


def sphere(n, seed=0):
    rng = np.random.default_rng(seed)
    return np.degrees(np.arcsin(rng.uniform(-1, 1, n))), rng.uniform(-180, 180, n)


def brute_cells(lat, lng, resolution):
    return np.array([h3.latlng_to_cell(a, b, resolution) for a, b in zip(lat, lng, strict=True)], np.uint64)


@pytest.mark.parametrize("resolution", [0, 5, 9, 15])
def test_latlng_to_cell_many__equals_h3(resolution):
    lat, lng = sphere(2000)
    assert (latlng_to_cell_many(lat, lng, resolution) == brute_cells(lat, lng, resolution)).all()


def test_latlng_to_cell_many__gives_a_real_cell_in_every_mode():
    # Without the compiler H3's C functions answer zeros: the plain loop must have stepped in.
    assert latlng_to_cell_many([20.0], [123.0], 2).tolist() == [0x824B9FFFFFFFFFF]


def test_compiled_and_plain_h3_functions_agree():
    lat, lng = sphere(500, seed=1)
    out, plain = np.empty(1, np.uint64), np.empty(2)
    for a, b in zip(np.radians(lat), np.radians(lng), strict=True):
        assert jit.latlng_rad_to_cell(np.array([a, b]), 9, out) == 0
        loop = np.empty(1, np.uint64)
        jit.plain_latlng_rad_to_cell(np.array([a, b]), 9, loop)
        assert out[0] == loop[0]
        center = np.empty(2)
        assert jit.cell_to_latlng_rad(out[0], center) == 0
        jit.plain_cell_to_latlng_rad(out[0], plain)
        assert np.allclose(center, plain, rtol=0, atol=1e-15)


def test_ancestor_cells__are_parents_and_not_always_the_direct_cell():
    lat, lng = sphere(5000, seed=2)
    fine = brute_cells(lat, lng, 15)
    cells = ancestor_cells(lat, lng, 7)
    assert (cells == [h3.cell_to_parent(cell, 7) for cell in fine]).all()
    assert 0.01 < (cells != latlng_to_cell_many(lat, lng, 7)).mean() < 0.12


def test_parents__refuse_a_finer_resolution():
    with pytest.raises(InvalidResolutionError, match=r"cells\[0\]"):
        parents(latlng_to_cell_many([1.0], [1.0], 5), 6)


def test_cell_reach__holds_every_place_of_a_cell_at_all_resolutions():
    lat, lng = sphere(sized(50_000, interpreted=5_000), seed=3)
    pentagons = [h3.cell_to_latlng(cell) for cell in h3.get_pentagons(15)]
    lat = np.r_[lat, [p[0] for p in pentagons]]
    lng = np.r_[lng, [p[1] for p in pentagons]]
    places = ecef(lat, lng)
    for resolution in range(16):
        centers = ecef(*cell_centers(ancestor_cells(lat, lng, resolution)))
        chord = np.sqrt(((places - centers) ** 2).sum(axis=1)).max()
        assert chord <= cover_kernels.CELL_REACH_M[resolution]
        assert chord > 0.5 * cover_kernels.CELL_REACH_M[resolution]  # and is no idle bound


def test_text__has_one_form():
    cell = h3.latlng_to_cell(*BEIJING, 9)
    assert cell_from_text(cell_to_text(cell), 9) == cell


BAD_TEXTS = [
    "",  # row 27
    "0",
    "zzz",
    "f" * 15,
    "8" * 17,
    "115283473fffffff",  # a directed edge
    "2255283463fffffff",  # a vertex
    "85283473fffffff ",  # row 28: one cell has one key
    "0x85283473fffffff",
    "85283473FFFFFFF",
    "8" * 1000,  # row 29
    "\uff185283473fffffff",  # another script's digit
    0x85283473FFFFFFF,  # a number is no text
    None,
]


@pytest.mark.parametrize("text", BAD_TEXTS)
def test_cell_from_text__refuses(text):
    with pytest.raises(InvalidCellError, match="cell must be an H3 cell"):
        cell_from_text(text)


def test_cell_from_text__refuses_another_resolution():  # row 30
    with pytest.raises(InvalidResolutionError, match="resolution 9"):
        cell_from_text("85283473fffffff", 9)


@pytest.mark.parametrize("resolution", [16, -1, 2**40, 9.0, "9", True, None])  # row 26
def test_resolution__is_a_whole_number_from_0_to_15(resolution):
    with pytest.raises(InvalidResolutionError, match="whole number from 0 to 15"):
        latlng_to_cell_many([0.0], [0.0], resolution)


BAD_PLACES = [
    (91.0, 0.0, "lat"),  # row 21
    (-90.0001, 0.0, "lat"),
    (1e300, 0.0, "lat"),
    (0.0, 180.0001, "lng"),  # row 22
    (0.0, 1000.0, "lng"),
    (float("nan"), 0.0, "lat"),
    (0.0, float("inf"), "lng"),
    ("31", 0.0, "lat"),
    (True, 0.0, "lat"),
]


@pytest.mark.parametrize(("lat", "lng", "argument"), BAD_PLACES)
def test_places__name_argument_and_position(lat, lng, argument):
    with pytest.raises(InvalidLatLngError) as caught:
        latlng_to_cell_many([0.0, lat], [0.0, lng], 9)
    assert (caught.value.argument, caught.value.position) == (argument, 1)


def test_places__swapped_ones_get_a_hint():  # row 23
    with pytest.raises(InvalidLatLngError, match="swapped with lng"):
        latlng_to_cell_many([121.47], [31.23], 9)


def test_places__at_the_pole_and_on_both_sides_of_the_antimeridian_are_one_cell():  # row 24
    assert latlng_to_cell_many([90.0], [0.0], 9).size == 1
    west, east = latlng_to_cell_many([10.0, 10.0], [-180.0, 180.0], 9)
    assert west == east


def test_cells_union__takes_overlaps_as_one_set():  # row 30
    cell = h3.latlng_to_cell(*BEIJING, 7)
    child = h3.cell_to_center_child(cell, 9)
    other = h3.latlng_to_cell(0.0, 0.0, 9)
    assert cells_union([child, cell, other, cell]).tolist() == sorted([cell, other])
    with pytest.raises(InvalidCellError, match=r"cells\[1\]"):
        cells_union([cell, 5])


CELL = h3.latlng_to_cell(*BEIJING, 9)


def test_cell_distance__of_far_and_pentagon_crossing_pairs_is_answered():  # row 32
    north, south = h3.latlng_to_cell(89.0, 0.0, 5), h3.latlng_to_cell(-89.0, 180.0, 5)
    assert cell_distance_m(north, south) == pytest.approx(19_800_000, rel=0.05)
    pentagon = next(iter(h3.get_pentagons(5)))
    ring = h3.grid_ring(pentagon, 1) if hasattr(h3, "grid_ring") else h3.grid_disk(pentagon, 1)
    assert all(cell_distance_m(pentagon, int(cell)) < 40_000 for cell in ring)


@pytest.mark.parametrize("wrong", [0, 5, -1, 2**63, 2**64 - 1, CELL + 1, CELL | 1 << 63])
def test_centers_and_distances__are_of_cells_alone(wrong):
    with pytest.raises(InvalidCellError, match=rf"^cells\[1\] must be an H3 cell, got {wrong}"):
        cell_centers([CELL, wrong])
    with pytest.raises(InvalidCellError, match=r"^a must be"):
        cell_distance_m(wrong, CELL)
    with pytest.raises(InvalidCellError, match=r"^b must be"):
        cell_distance_m(CELL, wrong)


def test_cell_boundary__is_lat_lng():
    outline = cell_boundary(h3.latlng_to_cell(*BEIJING, 9))
    assert outline.shape == (6, 2)
    assert abs(outline[:, 0] - BEIJING[0]).max() < 0.01

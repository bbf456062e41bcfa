"""Covers hold every place of their area, and interior cells hold nothing else."""

import h3.api.numpy_int as h3
import numpy as np
import pytest
import shapely

from geo.cells import ancestor_cells, latlng_to_cell_many, parents
from geo.covers import CoverWriter, cover_area, cover_circle, fill_area
from geo.errors import GeoError, GeometryTooLargeError
from geo.metric import distance_m
from geo.polygons import area_covers, polygon_table


def brute_covered(cover, lat, lng):
    """(how many cells hold each place, whether an interior one does), by ancestry."""
    finest = ancestor_cells(lat, lng, 15)
    resolutions = np.array([h3.get_resolution(cell) for cell in cover.cells])
    held, inner = np.zeros(lat.size, int), np.zeros(lat.size, bool)
    for resolution in np.unique(resolutions):
        own = resolutions == resolution
        ancestors = parents(finest, int(resolution))
        held += np.isin(ancestors, cover.cells[own])
        inner |= np.isin(ancestors, cover.cells[own & cover.interior])
    return held, inner


def star(rng, lat, lng, size, m=24):
    turn = np.sort(rng.uniform(0, 2 * np.pi, m))
    reach = size * rng.uniform(0.3, 1.0, m)
    shape = shapely.Polygon(np.c_[lng + reach * np.cos(turn) / np.cos(np.radians(lat)), lat + reach * np.sin(turn)])
    return shape.difference(shape.representative_point().buffer(size / 20))


SHANGHAI = (31.2, 121.5, 0.02)
PLACES = [SHANGHAI, (0.05, -0.05, 3.0), (64.7, 10.536, 0.3), (-88.5, 20.0, 0.5), (58.157, 11.25, 0.001)]


@pytest.mark.parametrize(("lat", "lng", "size"), PLACES)
def test_cover__holds_each_place_once_and_interior_cells_only_places_inside(lat, lng, size):
    rng = np.random.default_rng(11)
    for _ in range(5):
        area = star(rng, lat, lng, size)
        west, south, east, north = area.bounds
        lats, lngs = rng.uniform(south, north, 4000), rng.uniform(west, east, 4000)
        inside = shapely.covers(area, shapely.points(lngs, lats))
        held, inner = brute_covered(cover_area(area), lats, lngs)
        assert held.max() <= 1
        assert held[inside].all()
        assert inside[inner].all()
        assert inner[inside].mean() > 0.4  # most of the inside is answered for free


def test_cover__across_the_antimeridian_and_round_a_pole_in_its_split_form():
    rng = np.random.default_rng(12)
    area = shapely.MultiPolygon([shapely.box(179.5, 10, 180, 11), shapely.box(-180, 10, -179.5, 11)])
    cap = shapely.box(-180, 85, 180, 90)
    for shape, lats, lngs in (
        (area, rng.uniform(9.9, 11.1, 4000), (rng.uniform(179.3, 180.7, 4000) + 180) % 360 - 180),
        (cap, rng.uniform(84.5, 90, 4000), rng.uniform(-180, 180, 4000)),
    ):
        inside = shapely.covers(shape, shapely.points(lngs, lats))
        held, inner = brute_covered(cover_area(shape), lats, lngs)
        assert held[inside].all()
        assert inside[inner].all()


@pytest.mark.parametrize("radius_m", [0.0, 1.0, 300.0, 5_000.0, 2_000_000.0])
def test_cover_circle__holds_each_place_within_and_interior_cells_nothing_else(radius_m):
    rng = np.random.default_rng(13)
    spread = max(1e-5, 1.5 * radius_m / 111_000)
    lat, lng = np.clip(60 + rng.normal(0, spread, 4000), -90, 90), 24 + rng.normal(0, spread, 4000)
    within = distance_m(np.full(4000, 60.0), np.full(4000, 24.0), lat, lng) <= radius_m
    held, inner = brute_covered(cover_circle(60.0, 24.0, radius_m), lat, lng)
    assert held[within].all()
    assert within[inner].all()


@pytest.mark.parametrize("radius_m", [-5.0, float("nan"), float("inf"), -float("inf")])
def test_cover_circle__refuses_a_radius_that_is_none(radius_m):
    with pytest.raises(GeoError, match=r"^radius_m must be a finite distance of at least 0 m") as caught:
        cover_circle(0.0, 0.0, radius_m)
    assert caught.value.argument == "radius_m"


def test_cover__of_one_degree_fits_and_a_flat_fill_is_refused_by_its_size():  # row 41
    degree, country = shapely.box(10, 10, 11, 11), shapely.box(80, 25, 120, 45)
    assert cover_area(degree).cells.size < 20_000
    assert cover_area(country).cells.size < 20_000
    for area, resolution in ((degree, 10), (country, 9)):
        with pytest.raises(GeometryTooLargeError, match="at most 20000 cells, got about"):
            fill_area(area, resolution)
    with pytest.raises(GeometryTooLargeError, match="20000 cells"):
        cover_area(degree, resolution=13)


def test_cover__stops_refining_where_cells_would_not_fit():
    rng = np.random.default_rng(14)
    area = star(rng, *SHANGHAI)
    table = polygon_table([area])
    cover = CoverWriter(150).polygon(table, 0, 15)
    lats, lngs = rng.uniform(31.18, 31.22, 4000), rng.uniform(121.47, 121.53, 4000)
    inside = shapely.covers(area, shapely.points(lngs, lats))
    held, inner = brute_covered(cover, lats, lngs)
    assert cover.cells.size <= 150
    assert held[inside].all()
    assert inside[inner].all()


def test_area_covers__boundary_and_holes_rings_included():
    area = shapely.Polygon([(0, 0), (4, 0), (4, 4), (0, 4)], [[(1, 1), (3, 1), (3, 3), (1, 3)]])
    places = {
        (0, 0): True,
        (2, 0): True,
        (1, 2): True,
        (3, 3): True,
        (2, 2): False,
        (3.5, 2): True,
        (4.0000001, 2): False,
    }
    for (lng, lat), inside in places.items():
        assert area_covers(area, [lat], [lng])[0] == inside


def test_fill_area__meets_every_place_of_the_area_and_small_ones_too():
    courtyard = shapely.box(24.94, 60.17, 24.9402, 60.1701)  # holds no centre of a cell
    cells = fill_area(courtyard, 9)
    assert 1 <= cells.size <= 2
    rng = np.random.default_rng(15)
    area = shapely.box(24.9, 60.1, 25.0, 60.2)
    places = rng.uniform(60.1, 60.2, 2000), rng.uniform(24.9, 25.0, 2000)
    assert np.isin(latlng_to_cell_many(*places, 8), fill_area(area, 8)).all()

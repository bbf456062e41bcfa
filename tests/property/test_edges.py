"""Places within a metre of the edges of coarse cells and of areas: where covers and containment could go wrong."""

import h3
import numpy as np
import shapely

from engine import Engine
from tests.property.twins import brute_told, random_star
from tests.scale import scaled

N = scaled(100_000)


def near_segments(rng, ends, n, metres=1.0):
    """Places within some metres of random places on segments given as (lat1, lng1, lat2, lng2)."""
    chosen = ends[rng.integers(len(ends), size=n)]
    share = rng.uniform(0, 1, n) * rng.integers(0, 2, n)  # half of them at the first end
    lat = chosen[:, 0] + share * (chosen[:, 2] - chosen[:, 0])
    lng = chosen[:, 1] + share * (chosen[:, 3] - chosen[:, 1])
    off = (
        rng.uniform(-metres, metres, (n, 2)) / 111_320.0 * rng.integers(0, 2, n)[:, None]
    )  # half of them exactly there
    return np.clip(lat + off[:, 0], -90, 90), np.clip(lng + off[:, 1] / np.cos(np.radians(lat)), -180, 180)


def test_serving_many__near_the_edges_of_areas_equals_covers():
    rng = np.random.default_rng(21)
    areas = [
        star
        for i in range(400)
        if (star := random_star(rng, 31 + rng.normal() * 0.05, 121 + rng.normal() * 0.05, 0.03, 12))
    ]
    areas += [shapely.box(121 + i / 64, 31, 121 + (i + 1) / 64, 31 + 1 / 64) for i in range(8)]  # edges that touch
    engine = Engine.from_columns(
        [str(i) for i in range(len(areas))],
        ["a/b"] * len(areas),
        [31.0] * len(areas),
        [121.0] * len(areas),
        areas=areas,
    )
    xy = [np.c_[np.array(area.exterior.coords)[:-1, ::-1], np.array(area.exterior.coords)[1:, ::-1]] for area in areas]
    lat, lng = near_segments(rng, np.concatenate(xy), N)
    query, row = engine.serving_many(lat, lng, "a/b")
    tree = shapely.STRtree(shapely.points(lng, lat))
    wanted_row, wanted_query = tree.query(areas, predicate="covers")
    order = np.lexsort((wanted_row, wanted_query))
    assert (query == wanted_query[order]).all()
    assert (row == wanted_row[order]).all()


def test_nearest_many__near_the_edges_of_coarse_cells_equals_brute_force():
    rng = np.random.default_rng(22)
    cells = [
        h3.latlng_to_cell(*place, r)
        for place in ((31.2, 121.5), (60.2, 24.9), (64.7, 10.536), (-40.0, 179.9))
        for r in (1, 3, 5)
    ]
    cells += sorted(h3.get_pentagons(2))
    outlines = [np.array(h3.cell_to_boundary(cell)) for cell in cells]
    segments = np.concatenate([np.c_[outline, np.roll(outline, -1, axis=0)] for outline in outlines])
    segments = segments[np.abs(segments[:, 1] - segments[:, 3]) < 90]
    n_points = 3_000
    lat, lng = near_segments(rng, segments, n_points, metres=200.0)
    engine = Engine.from_columns([f"{i:05}" for i in range(n_points)], ["a/b"] * n_points, lat, lng)
    places = near_segments(rng, segments, N)
    found = engine.nearest_many(*places, "a/b", k=1)
    xyz, to = (_xyz(*degrees) for degrees in ((lat, lng), places))
    for start in range(0, N, 2_000):
        squares = ((xyz[None] - to[start : start + 2_000, None]) ** 2).sum(axis=2)
        least = squares.min(axis=1)
        mine = squares[np.arange(least.size), found.row[start : start + 2_000, 0]]
        assert (np.sqrt(mine) - np.sqrt(least) < 1e-6).all()
        assert np.allclose(
            found.distance_m[start : start + 2_000, 0], [brute_told(square) for square in least], atol=1e-6
        )


def _xyz(lat, lng):
    la, lo = np.radians(lat), np.radians(lng)
    e2 = (1 / 298.257223563) * (2 - 1 / 298.257223563)
    n = 6_378_137.0 / np.sqrt(1 - e2 * np.sin(la) ** 2)
    return np.c_[n * np.cos(la) * np.cos(lo), n * np.cos(la) * np.sin(lo), n * (1 - e2) * np.sin(la)]

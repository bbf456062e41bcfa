"""How far areas reach from their points: what lies nearer is inside, what lies farther is outside."""

import numpy as np
import pytest
import shapely

from engine.areas import area_columns
from geo.metric import ecef

SIZES_DEG = (0.0005, 0.003, 0.2, 3.0)


def _star(rng, lng, lat, size_deg, n):
    angle = np.sort(rng.uniform(0.0, 2 * np.pi, n))
    radius = size_deg * rng.uniform(0.2, 1.0, n)
    corners = np.stack([lng + radius * np.cos(angle), lat + radius * np.sin(angle)], axis=1)
    corners[:, 0] = np.clip(corners[:, 0], -180.0, 180.0)
    corners[:, 1] = np.clip(corners[:, 1], -90.0, 90.0)
    return shapely.make_valid(shapely.Polygon(corners))


def _polygons(seed, lat, lng):
    rng = np.random.default_rng(seed)
    made = []
    for size_deg in SIZES_DEG:
        shape = _star(rng, lng, lat, size_deg, int(rng.integers(3, 30)))
        hole = _star(rng, lng + 0.3 * size_deg, lat, 0.1 * size_deg, 5)
        made += [shape, shape.difference(hole)]
    return [
        area
        for area in made
        if area.geom_type in {"Polygon", "MultiPolygon"} and area.area * np.cos(np.radians(lat)) > 1e-9
    ]


@pytest.mark.parametrize("lat", [0.0, 31.2, -62.0, 88.5, 89.9])
@pytest.mark.parametrize("lng", [121.5, 179.9995])
def test_reach__holds_what_is_nearer_and_nothing_farther(lat, lng):
    """Places round a point, most of them near its area's boundary: none contradicts the two chords."""
    rng = np.random.default_rng(7)
    polygons = [polygon for seed in range(12) for polygon in _polygons(seed, lat, lng)]
    n = len(polygons)
    inner, outer = area_columns(polygons, n).reaches_m(np.full(n, lat), np.full(n, lng))
    here = ecef(np.array([lat]), np.array([lng]))
    for polygon, nearest_m, farthest_m in zip(polygons, inner.astype(float), outer.astype(float), strict=True):
        rings = shapely.get_coordinates(shapely.segmentize(polygon, polygon.length / 200))
        spread = rng.normal(scale=polygon.length * 1e-3, size=rings.shape) * rng.choice([0.0, 1.0], (len(rings), 1))
        places = np.clip(rings + spread, [-180.0, -90.0], [180.0, 90.0])
        chord_m = np.sqrt(((ecef(places[:, 1], places[:, 0]) - here) ** 2).sum(axis=1))
        held = shapely.covers(polygon, shapely.points(places))
        assert not (~held & (chord_m < nearest_m)).any()
        assert not (held & (chord_m > farthest_m)).any()
    if abs(lat) < 80:
        assert (inner > 0.0).any()  # else nothing was tried

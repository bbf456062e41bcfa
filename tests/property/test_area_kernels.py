"""Containment and covers of areas equal shapely and the told distance, on their edges too."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import shapely
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from geo.cells import latlng_to_cell_many, parents
from geo.covers import CoverWriter
from geo.metric import distance_m, ecef
from geo.polygons import area_covers, polygon_table
from tests.scale import scaled

GRID = 8
CORNERS = st.tuples(
    st.integers(1, GRID), st.integers(1, GRID)
)  # from 1: the next float of 0 is a denormal, out of scope
WRITER = CoverWriter(2_000)


@st.composite
def grid_areas(draw: st.DrawFn) -> shapely.Geometry:
    """Draw a polygon or multipolygon with holes: boxes and triangles on a grid, united and cut."""
    corners = draw(st.lists(st.tuples(CORNERS, CORNERS, CORNERS), min_size=1, max_size=7))
    triangles = [shapely.Polygon(three) for three in corners]
    boxes = [shapely.box(*np.minimum(a, b), *np.maximum(a, b)) for a, b, _ in corners]
    kept = [shape for shape in (*triangles[::2], *boxes[1::2]) if shape.is_valid and shape.area > 0]
    cut = [shape for shape in (*triangles[1::2], *boxes[2::2]) if shape.is_valid and shape.area > 0]
    area = shapely.difference(shapely.union_all(kept), shapely.union_all(cut[:3]))
    assume(area.geom_type in {"Polygon", "MultiPolygon"} and area.is_valid and area.area > 0)
    return area


def _places_in_doubt(area: shapely.Geometry) -> NDArray[np.float64]:
    """Return the grid and its middles, the area's vertices, the middles of its edges, and their next floats."""
    halves = np.arange(-1, 2 * GRID + 2) / 2.0
    grid = np.stack(np.meshgrid(halves, halves), axis=-1).reshape(-1, 2)
    edges = polygon_table([area]).edges
    middles = (edges[:, :2] + edges[:, 2:]) / 2.0
    on_edges = np.concatenate([edges[:, :2], middles])
    return np.concatenate([grid, on_edges, np.nextafter(on_edges, 99.0), np.nextafter(on_edges, -99.0)])


def _covers_exactly(area: shapely.Geometry, lng: float, lat: float) -> bool:
    """Tell by even-odd crossings in rational arithmetic: GEOS rounds, and tells apart what is prepared."""
    inside = False
    x, y = Fraction(lng), Fraction(lat)
    for edge in polygon_table([area]).edges.tolist():
        x1, y1, x2, y2 = map(Fraction, edge)
        side = (x2 - x1) * (y - y1) - (y2 - y1) * (x - x1)
        if side == 0 and min(x1, x2) <= x <= max(x1, x2) and min(y1, y2) <= y <= max(y1, y2):
            return True
        if (y1 <= y < y2 and side > 0) or (y2 <= y < y1 and side < 0):
            inside = not inside
    return inside


@settings(max_examples=scaled(2_000))
@given(area=grid_areas())
def test_covers__equals_shapely_on_grid_edges_and_vertices(area: shapely.Geometry) -> None:
    places = _places_in_doubt(area)
    lng, lat = places.T
    told = area_covers(area, lat, lng)
    doubted = np.flatnonzero(told != shapely.covers(area, shapely.points(lng, lat)))
    assert [places[i].tolist() for i in doubted if told[i] != _covers_exactly(area, *places[i])] == []


def test_covers_exactly__agrees_with_shapely_where_nothing_is_rounded() -> None:
    area = shapely.difference(shapely.box(0, 0, 4, 4), shapely.Polygon([(1, 1), (3, 1), (1, 3)]))
    places = [(x / 2, y / 2) for x in range(-1, 10) for y in range(-1, 10)]
    assert [_covers_exactly(area, *place) for place in places] == shapely.covers(area, shapely.points(places)).tolist()


def test_covers__place_on_an_edge_by_rational_arithmetic_is_covered() -> None:
    area = shapely.Polygon([(4.0, 3.8), (4.0, 1.0), (3.4814814814814814, 3.074074074074074), (7.0, 8.0)])
    lng, lat = 3.9999999999999996, 3.7999999999999994  # GEOS 3.14 says no, and yes of the same area prepared
    assert _covers_exactly(area, lng, lat)
    assert area_covers(area, lat, lng).all()


def _cover_state(cells: NDArray[np.uint64], interior: NDArray[np.bool_], lat: NDArray[np.float64], lng: NDArray[np.float64]) -> NDArray[np.int64]:  # fmt: skip
    """Return for each place 0 outside the cover, 1 in a boundary cell, 2 in an interior cell, by ancestry."""
    state_of = dict(zip(cells.tolist(), np.where(interior, 2, 1).tolist(), strict=True))
    finest = latlng_to_cell_many(lat, lng, 15)
    state = np.zeros(lat.size, np.int64)
    for resolution in range(16):
        found = [state_of.get(cell, 0) for cell in parents(finest, resolution).tolist()]
        state = np.maximum(state, np.array(found, np.int64))
    return state


@settings(max_examples=scaled(400))
@given(
    lat=st.floats(-89.9, 89.9),
    lng=st.floats(-180.0, 180.0),
    radius_m=st.floats(1.0, 20_000.0),
    seed=st.integers(0, 2**32 - 1),
)
def test_cover_circle__misses_no_place_within_and_promises_none_beyond(
    lat: float, lng: float, radius_m: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    bearing, share = rng.uniform(0.0, 2.0 * np.pi, 400), rng.choice([0.3, 0.9, 0.999, 1.0, 1.001, 1.1], 400)
    north = lat + np.degrees(share * radius_m * np.cos(bearing) / 6_371_008.8)
    east = lng + np.degrees(share * radius_m * np.sin(bearing) / 6_371_008.8) / np.cos(np.radians(lat))
    inside_world = (np.abs(north) <= 90.0) & (np.abs(east) <= 180.0)
    assume(inside_world.any())
    lats, lngs = north[inside_world], east[inside_world]
    cover = WRITER.circle(ecef([lat], [lng])[0], radius_m)
    state = _cover_state(cover.cells, cover.interior, lats, lngs)
    told = distance_m(np.full(lats.size, lat), np.full(lats.size, lng), lats, lngs)
    assert state[told <= radius_m].min(initial=2) >= 1, "a place within the radius lies outside the cover"
    assert state[told > radius_m].max(initial=0) <= 1, "a place beyond the radius lies in an interior cell"


@settings(max_examples=scaled(300))
@given(area=grid_areas(), seed=st.integers(0, 2**32 - 1), size_deg=st.sampled_from([0.001, 0.01, 0.3]))
def test_cover_polygon__misses_no_place_within_and_promises_none_beyond(
    area: shapely.Geometry, seed: int, size_deg: float
) -> None:
    placed = shapely.transform(area, lambda xy: xy * (size_deg / GRID) + np.array([116.4, 39.9]))
    assume(bool(shapely.is_valid(placed)))
    rng = np.random.default_rng(seed)
    around = rng.uniform(-0.2, 1.2, (400, 2)) * size_deg + np.array([116.4, 39.9])
    edges = polygon_table([placed]).edges
    along = edges[rng.integers(len(edges), size=400)]
    share = rng.random((400, 1))
    near = along[:, :2] * share + along[:, 2:] * (1.0 - share) + rng.normal(scale=1e-6, size=(400, 2))
    lng, lat = np.concatenate([around, near]).T
    (cover,) = WRITER.polygons(polygon_table([placed]))
    state = _cover_state(cover.cells, cover.interior, np.ascontiguousarray(lat), np.ascontiguousarray(lng))
    within = shapely.covers(placed, shapely.points(lng, lat))
    assert state[within].min(initial=2) >= 1, "a place of the area lies outside the cover"
    assert state[~within].max(initial=0) <= 1, "a place outside the area lies in an interior cell"

"""`serving_many` equals brute force on areas that the lists of cells could get wrong, over all parts of a version."""

import h3
import numpy as np
import pytest
import shapely
import shapely.affinity
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import Engine, snapshots
from geo.areas import check_area
from geo.errors import GeoError
from tests.property import twins
from tests.scale import scaled

OFFERS = ("a/x", "a/y", "a/z")
PENTAGON = h3.cell_to_latlng(sorted(h3.get_pentagons(4))[3])
MIDDLES = [(39.9, 116.4), (0.0, 179.99), (10.0, -180.0), (89.5, 10.0), (-89.95, -120.0), (90.0, 0.0), (0.0, 0.0)]
MIDDLES += [PENTAGON, (64.7, 10.536)]
DELTA_ROWS = 8


@pytest.fixture(autouse=True)
def _small_delta(monkeypatch):
    monkeypatch.setattr(snapshots, "DELTA_ROWS", DELTA_ROWS)


def degrees(lat, lng):
    return np.clip(lat, -90.0, 90.0), np.where(np.abs(lng) > 180.0, (lng + 180.0) % 360.0 - 180.0, lng)


def star(rng, lat, lng, size):
    return twins.random_star(rng, round(lat, 3), round(lng, 3), size * rng.choice([0.1, 1.0, 3.0]), rng.integers(4, 60))


def ring(rng, lat, lng, size):
    shape = star(rng, lat, lng, size)
    return shape and shape.difference(shapely.affinity.scale(shape, 0.4, 0.4))


def snapped(rng, lat, lng, size):
    """A polygon on a grid that its neighbours share: their vertices meet, and edges lie on one another."""
    shape = star(rng, lat, lng, size)
    return shape and shapely.set_precision(shape, size / 8)


def sliver(rng, lat, lng, size):
    turn, wide = rng.uniform(0, np.pi), size * 1e-4
    x, y = size * np.cos(turn), size * np.sin(turn)
    return shapely.Polygon([(lng - x, lat - y), (lng + x, lat + y), (lng + x, lat + y + wide)])


def cell(rng, lat, lng, size):
    """The outline of an H3 cell of about the size, seldom a pentagon: its edges lie near those of a list's cells."""
    resolution = int(np.clip(np.log(20.0 / size) / np.log(7**0.5) + rng.integers(-1, 3), 0, 15))
    outline = h3.cell_to_boundary(h3.latlng_to_cell(lat, lng, resolution))
    return shapely.Polygon([(x, y) for y, x in outline])


def halves(_rng, lat, _lng, size):
    """Both sides of 180 degrees."""
    south, north = np.clip([lat - size, lat + size], -90, 90)
    return shapely.MultiPolygon(
        [shapely.box(180 - size, south, 180, north), shapely.box(-180, south, size - 180, north)]
    )


def random_area(rng, lat, lng, size):
    kind = rng.integers(10)
    if kind == 0:
        return None
    if kind == 1:
        return float(rng.choice([0.0, 5.0, size * 5e4, size * 2e5, 2e7]))
    shape = (star, ring, snapped, snapped, sliver, cell, halves, star)[kind - 2](rng, lat, lng, size)
    try:
        return check_area(shape) if shape else size * 1e5
    except GeoError:  # round a pole, across 180 degrees, under a square metre: areas that are not accepted
        return size * 1e5


def random_rows(rng, names, middle, size):
    lat, lng = degrees(*(np.array(middle)[:, None] + rng.normal(size=(2, len(names))) * size))
    return {
        "point_ids": names,
        "offers": rng.choice(OFFERS, len(names)).tolist(),
        "lat": lat.tolist(),
        "lng": lng.tolist(),
        "areas": [random_area(rng, *place, size) for place in zip(lat, lng, strict=True)],
    }


def random_places(rng, areas, middle, size, q):
    """Anywhere around, on vertices and edges, level with a vertex, and within a metre of all these."""
    lat, lng = np.array(middle)[:, None] + rng.normal(size=(2, q)) * size * 2
    rings = [np.array(part.coords) for area in areas for part in rings_of(area)]
    if rings:
        ends = np.concatenate([np.c_[ring[:-1], ring[1:]] for ring in rings])[:, [1, 0, 3, 2]]
        one, other = ends[rng.integers(0, len(ends), (2, q))]
        share = rng.choice([0.0, 0.5, 0.3], q)[:, None]
        on_edge = one[:, :2] + share * (one[:, 2:] - one[:, :2])
        kind = rng.integers(0, 5, q)
        lat = np.select([kind <= 1, kind == 2], [on_edge[:, 0], one[:, 0]], lat)
        lng = np.select([kind <= 1, kind == 3], [on_edge[:, 1], other[:, 1]], lng)
    off = rng.uniform(-1.0, 1.0, (2, q)) / 111_320.0 * rng.integers(0, 2, q)
    return degrees(lat + off[0], lng + off[1])


def rings_of(area):
    parts = shapely.get_parts([area]) if isinstance(area, shapely.Geometry) else []
    return [ring for part in parts for ring in (part.exterior, *part.interiors)]


@settings(max_examples=scaled(600), deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    middle=st.sampled_from(MIDDLES),
    size=st.sampled_from([0.001, 0.02, 0.3, 3.0, 20.0]),
    n=st.integers(1, 120),
)
def test_serving_many__equals_brute_force_in_every_part(seed, middle, size, n):
    rng = np.random.default_rng(seed)
    columns = random_rows(rng, [f"p{i}" for i in range(n)], middle, size)
    engine, held = Engine.from_columns(**columns), twins.rows_of(columns)
    for n_new in (2 * DELTA_ROWS, DELTA_ROWS - 2):  # into the middle, then into the delta; old rows of both die
        names = [f"p{i}" for i in rng.choice(n + 4 * DELTA_ROWS, n_new, replace=False)]
        columns = random_rows(rng, names, middle, size)
        gone = [row["point_ids"] for row in held if rng.random() < 0.1]
        engine.apply({"remove": gone, "upsert": columns})
        held = [row for row in held if row["point_ids"] not in {*gone, *names}] + twins.rows_of(columns)
    lat, lng = random_places(rng, [row["areas"] for row in held], middle, size, 60)
    offers = rng.choice([*OFFERS, "no/body"], lat.size).tolist()
    query, row = engine.serving_many(lat, lng, offers)
    assert (np.lexsort((row, query)) == np.arange(query.size)).all()
    held = [{**row, "visibility": "public"} for row in held]
    wanted = [
        (i, held[k]["point_ids"])
        for i in range(lat.size)
        for k in twins.brute_serving(held, float(lat[i]), float(lng[i]), offers[i])
    ]
    assert sorted(zip(query.tolist(), engine.point_ids(row), strict=True)) == sorted(wanted)


def test_serving_many__equals_brute_force_where_many_areas_lie_on_one_another():
    """So many that the cells are refined far, on one thread's chunk and on several."""
    rng = np.random.default_rng(5)
    columns = random_rows(rng, [f"p{i}" for i in range(scaled(6_000))], MIDDLES[0], 0.05)
    engine = Engine.from_columns(**columns)
    lat, lng = random_places(rng, columns["areas"], MIDDLES[0], 0.05, 3_000)
    query, row = engine.serving_many(lat, lng, OFFERS[0])
    held = [{**row, "visibility": "public"} for row in twins.rows_of(columns)]
    some = rng.choice(lat.size, 100, replace=False)
    for i in some.tolist():
        wanted = twins.brute_serving(held, float(lat[i]), float(lng[i]), OFFERS[0])
        assert row[query == i].tolist() == wanted
    few = engine.serving_many(lat[some], lng[some], OFFERS[0])
    assert few.row.tolist() == np.concatenate([row[query == i] for i in some]).tolist()

"""In deep trees: the nearest whose area holds a place is the nearest of all pairs that the covers give."""

import numpy as np
import pytest

from engine import Engine
from geo.areas import check_area
from geo.errors import GeoError
from geo.metric import distance_m
from tests.property.twins import random_star
from tests.scale import scaled

N_QUERIES = scaled(40_000)


def mixed_area(rng, lat, lng, size):
    kind = rng.integers(4)
    if kind == 0:
        return float(rng.uniform(0, size) * 111_000)
    # Areas that lie beside their point, too: a shop that delivers across the river only.
    shift = rng.normal(0, size, 2) * (kind == 1)
    star = random_star(rng, lat + shift[0], lng + shift[1], size)
    try:
        return 50.0 if star is None else check_area(star)
    except GeoError:
        return 50.0


@pytest.mark.parametrize(
    ("center", "spread", "size"), [((31.2, 121.5), 0.1, 0.01), ((64.7, 179.6), 0.3, 0.02), ((-87.0, 0.0), 1.0, 0.2)]
)
def test_nearest_many__equals_the_nearest_of_those_that_serve(center, spread, size):
    rng = np.random.default_rng(31)
    n = 4_000
    lat = np.clip(center[0] + rng.normal(0, spread, n), -90, 90)
    lng = (center[1] + rng.normal(0, spread, n) / np.cos(np.radians(center[0])) + 180) % 360 - 180
    areas = [mixed_area(rng, a, b, size * rng.choice([0.2, 1.0, 3.0])) for a, b in zip(lat, lng, strict=True)]
    engine = Engine.from_columns([f"{i:05}" for i in range(n)], ["a/b"] * n, lat, lng, areas=areas)
    chosen = rng.integers(0, n, N_QUERIES)
    to_lat = np.clip(lat[chosen] + rng.normal(0, size, N_QUERIES), -90, 90)
    to_lng = (lng[chosen] + rng.normal(0, size, N_QUERIES) + 180) % 360 - 180
    query, row = engine.serving_many(to_lat, to_lng, "a/b")
    told = distance_m(lat[row], lng[row], to_lat[query], to_lng[query])
    order = np.lexsort((row, told, query))
    first = np.unique(query[order], return_index=True)
    wanted, wanted_m = np.full(N_QUERIES, -1), np.full(N_QUERIES, np.inf)
    wanted[first[0]], wanted_m[first[0]] = row[order][first[1]], told[order][first[1]]
    found = engine.nearest_many(to_lat, to_lng, "a/b")
    same = found.row[:, 0] == wanted
    assert (wanted >= 0).mean() > 0.2
    assert ((found.row[:, 0] >= 0) == (wanted >= 0)).all()
    assert np.abs(found.distance_m[:, 0][~same] - wanted_m[~same]).max(initial=0.0) < 1e-6
    assert same.mean() > 0.999

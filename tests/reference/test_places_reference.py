"""144 563 real places: nearest five by geodesic, and how many lie within a radius."""

import csv
import gzip
import json

import numpy as np
import pytest

from engine import Engine
from tests.reference_data import DATA, needs_reference

PLACES = DATA / "places-world"


@pytest.fixture(scope="module")
def world():
    with gzip.open(PLACES / "cities1000.csv.gz", "rt", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    lat, lng = (np.array([float(row[name]) for row in rows]) for name in ("lat", "lon"))
    ids = [f"{i:06}" for i in range(len(rows))]
    return Engine.from_columns(ids, ["a/b"] * len(rows), lat, lng)


@needs_reference
def test_nearest_many__equals_the_geodesic_nearest_five(world):
    with (PLACES / "nearest5.csv").open(encoding="utf-8") as file:
        queries = list(csv.DictReader(file))
    lat, lng = (
        np.array([float(row[name]) for row in queries]) for name in ("lat", "lng" if "lng" in queries[0] else "lon")
    )
    found = world.nearest_many(lat, lng, "a/b", k=6)
    compared = 0
    for i, row in enumerate(queries):
        told = np.array([float(row[f"distance_m{j}"]) for j in range(1, 6)])
        allowed = np.where(told <= 10_000, 1e-4, np.where(told <= 50_000, 1.6e-3, 2e-4 * told))
        assert (np.abs(found.distance_m[i][:5] - told) <= allowed).all(), i
        for j in range(5):
            gap = min(abs(found.distance_m[i][j] - found.distance_m[i][other]) for other in range(6) if other != j)
            if gap > allowed[j]:
                assert found.row[i][j] == int(row[f"row{j + 1}"])
                compared += 1
    assert len(queries) == 412
    assert compared > 1_500


@needs_reference
@pytest.mark.parametrize(("limit_m", "total"), [(10_000, 1_151), (50_000, 24_917), (250_000, 373_565)])
def test_max_distance__counts_what_the_geodesic_counts(world, limit_m, total):
    wanted = json.loads((PLACES / "within_radius_counts.json").read_text())[str(limit_m)]
    with (PLACES / "nearest5.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    lat, lng = (np.array([float(row[name]) for row in rows]) for name in ("lat", "lng"))
    found = world.nearest_many(lat, lng, "a/b", k=12_000, max_distance_m=limit_m)
    assert (found.row >= 0).sum(axis=1).tolist() == wanted
    assert sum(wanted) == total

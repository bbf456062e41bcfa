"""Containing districts of real places in real concave districts."""

from __future__ import annotations

import csv
import json
from functools import cache
from typing import Any

import numpy as np
import pytest
import shapely

from geo.areas import area_from_geojson, area_to_geojson, check_areas
from geo.districts import containing_district
from tests.reference_data import DATA, needs_reference

pytestmark = needs_reference
FOLDER = DATA / "china-districts"


@cache
def features(name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((FOLDER / name).read_text(encoding="utf-8"))["features"]
    return found


def test_containing_district__finds_the_district_of_every_point() -> None:
    with (FOLDER / "district_points.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    districts = [area_from_geojson(feature["geometry"]) for feature in features("districts.geojson")]
    codes = [str(feature["properties"]["adcode"]) for feature in features("districts.geojson")]
    lat, lng = np.array([(row["lat"], row["lng"]) for row in rows], float).T
    found = containing_district(districts, lat, lng)
    assert [codes[i] if i >= 0 else "" for i in found] == [row["district_containing"] for row in rows]
    assert len(rows) == 77
    assert sum(codes[i] == row["adcode"] for i, row in zip(found, rows, strict=True)) == 76


def test_check_areas__takes_all_real_districts_unchanged() -> None:
    drawn = shapely.from_geojson([json.dumps(feature["geometry"]) for feature in features("districts.geojson")])
    checked = check_areas(drawn)
    assert len(checked) == 104
    assert shapely.equals(checked, drawn).all()
    assert int(shapely.get_num_coordinates(checked).sum()) == int(shapely.get_num_coordinates(drawn).sum())


@pytest.mark.parametrize("row", [0, 50, 103])
def test_area_to_geojson__writes_a_real_district_as_it_was_read(row: int) -> None:
    area = area_from_geojson(features("districts.geojson")[row]["geometry"])
    assert area_from_geojson(json.dumps(area_to_geojson(area))) == area

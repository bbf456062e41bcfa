"""Every object of the reference extracts is taken or left with a reason, in the numbers that pyosmium counts."""

from __future__ import annotations

import functools
import json
from typing import Any

import pyarrow as pa
import pytest

from geo.osm import read_buildings, read_objects, read_streets
from service.points.importing import import_table
from service.points.report import ImportReport, ObjectReport
from tests.reference_data import DATA, needs_reference

pytestmark = needs_reference

FILES = ("helsinki.osm.pbf", "monaco.osm.pbf", "moorgate.osm.pbf", "beijing-haidian.osm.gz", "shanghai-streets.osm.gz")
KEYS = ("amenity", "shop", "craft", "office")


def _reference(name: str) -> dict[str, Any]:
    counts = json.loads((DATA / "osm" / "reference_counts.json").read_text(encoding="utf-8"))
    found: dict[str, Any] = next(file for file in counts["files"] if file["file"] == name)
    return found


@functools.cache
def _import(name: str) -> tuple[pa.Table, ImportReport, ObjectReport]:
    table, report = import_table([DATA / "osm" / name])
    objects = report.sources[0].objects
    assert objects is not None
    return table, report, objects


@pytest.mark.parametrize("name", FILES)
def test_import__takes_or_leaves_every_object(name: str) -> None:
    reference = _reference(name)
    _, report, objects = _import(name)
    expected = reference["objects_with_amenity_or_shop_or_craft_or_office"]["total"]
    assert objects.n_taken + objects.n_left == objects.n_objects == expected
    assert objects.n_left == sum(objects.left.values())
    assert report.n_points == objects.n_taken + objects.n_taken_besides
    assert report.n_bad_rows == 0


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("key", KEYS)
def test_import__takes_or_leaves_every_object_of_a_key(name: str, key: str) -> None:
    _, _, objects = _import(name)
    counts = objects.keys[key]
    assert counts.get("taken", 0) + counts.get("left", 0) == _reference(name)["tag_counts"][key]["total"]


@pytest.mark.parametrize("name", FILES)
def test_import__accounts_for_all_opening_hours(name: str) -> None:
    reference = _reference(name)["opening_hours"].get("on_amenity_shop_craft_office", 0)
    found = read_objects(DATA / "osm" / name, KEYS)
    assert sum("opening_hours" in item.tags for item in found) == reference
    table, _, objects = _import(name)
    taken = set(table["point_id"].to_pylist())
    others = read_objects(DATA / "osm" / name, ("tourism", "leisure", "industrial"))
    besides = [item for item in others if f"osm:{item.name}" in taken and not set(KEYS) & set(item.tags)]
    told = sum(objects.hours[state] for state in ("known", "malformed", "in_words")) + objects.left_with_hours
    assert told - sum("opening_hours" in item.tags for item in besides) == reference


@pytest.mark.parametrize("name", FILES)
def test_read_objects__counts_each_type_as_the_reference_does(name: str) -> None:
    found = read_objects(DATA / "osm" / name, KEYS)
    expected = _reference(name)["objects_with_amenity_or_shop_or_craft_or_office"]
    for kind, letter in (("nodes", "n"), ("ways", "w"), ("relations", "r")):
        assert sum(item.kind == letter for item in found) == expected.get(kind, 0)


@pytest.mark.parametrize("name", FILES)
def test_read_objects__puts_every_place_into_the_box(name: str) -> None:
    west, south, east, north = _reference(name)["bbox_lng_lat"]
    for item in read_objects(DATA / "osm" / name, KEYS):
        if item.gap is None:
            assert item.lat is not None
            assert item.lng is not None
            assert south <= item.lat <= north
            assert west <= item.lng <= east


@pytest.mark.parametrize("name", FILES)
def test_read_streets__finds_no_more_ways_than_the_reference(name: str) -> None:
    streets = read_streets(DATA / "osm" / name)
    n_ways = len(set(streets.way_id.tolist()))
    expected = _reference(name)["tag_counts"]["highway"].get("ways", 0)
    assert 0.9 * expected <= n_ways <= expected  # areas, and ways that the edge leaves one node of, are no streets


@pytest.mark.parametrize("name", FILES)
def test_read_buildings__accounts_for_every_building(name: str) -> None:
    buildings = read_buildings(DATA / "osm" / name)
    counts = _reference(name)["tag_counts"].get("building", {})
    expected = counts.get("ways", 0) + counts.get("relations", 0)
    found = read_objects(DATA / "osm" / name, ("building",))
    n_denied = sum(item.tags["building"] == "no" for item in found if item.kind != "n")
    assert len(buildings.osm_id) + buildings.n_without_area == expected - n_denied


def test_import__reads_chinese_names_and_places() -> None:
    table, report, _ = _import("beijing-haidian.osm.gz")
    assert report.timezone_origin == {"place": table.num_rows}
    assert set(table["timezone"].to_pylist()) == {"Asia/Shanghai"}
    assert set(table["country"].to_pylist()) == {"CN"}
    assert "兰州拉面" in set(table["name_zh"].to_pylist())
    assert "肯德基" in {name for name in table["name"].to_pylist() if name}

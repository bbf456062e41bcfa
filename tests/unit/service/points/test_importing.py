from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine.norms import load_norms
from fixtures.extract import helsinki_path
from geo.errors import MapFileError
from service.errors import BadFileError
from service.points.files import read_points
from service.points.importing import import_points, import_table

HEADER = "point_id,offer,lat,lng\n"


def _file(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_import_points__gives_the_extract_as_a_points_file(tmp_path: Path) -> None:
    out = tmp_path / "points.parquet"
    told: list[tuple[str, int]] = []
    report = import_points([helsinki_path()], out, progress=lambda what, done: told.append((what, done)))
    held = read_points(out, strict=True)
    assert held.table.num_rows == report.n_rows == sum(report.rows_by_offer.values())
    assert len(set(held.table["point_id"].to_pylist())) == report.n_points == sum(report.points_by_kind.values())
    known = held.table.filter(held.table["hours"].is_valid())["point_id"]
    assert report.points_by_hours["known"] == len(set(known.to_pylist()))
    assert told == [(str(helsinki_path()), 0), ("writing", 1)]


def test_import_points__lets_the_norms_radius_stand_in_and_counts_it() -> None:
    table, report = import_table([helsinki_path()])
    norms = load_norms()
    assert report.default_areas == report.rows_by_offer
    for row in table.select(["offer", "radius_m"]).to_pylist():
        assert row["radius_m"] == norms.offer(row["offer"]).radius_m


def test_import_points__is_the_same_each_time(tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv"):
        import_points([helsinki_path()], tmp_path / name)
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()


def test_import_points__of_its_own_file_changes_nothing(tmp_path: Path) -> None:
    first, again = tmp_path / "a.csv", tmp_path / "b.csv"
    import_points([helsinki_path()], first)
    report = import_points([first], again)
    assert first.read_bytes() == again.read_bytes()
    assert report.default_areas == {}
    assert set(report.timezone_origin) == {"column"}


def test_import_table__takes_a_point_from_the_first_source_that_has_it(tmp_path: Path) -> None:
    first = _file(tmp_path, "a.csv", HEADER + "x,a/b,1,2\n")
    second = _file(tmp_path, "b.csv", HEADER + "x,a/b,5,6\ny,a/b,3,4\n")
    table, report = import_table([first, second])
    assert list(zip(table["point_id"].to_pylist(), table["lat"].to_pylist(), strict=True)) == [("x", 1.0), ("y", 3.0)]
    assert report.sources[1].bad_rows == [{"row": 2, "reason": f"point_id 'x' is already in {first}"}]
    with pytest.raises(BadFileError, match="already in"):
        import_table([first, second], strict=True)


def test_import_table__counts_only_the_rows_that_it_gives(tmp_path: Path) -> None:
    text = "point_id,offer,lat,lng\nx,retail/pickup,60.17,24.94\ny,retail/pickup,60.18,24.95\n"
    first = _file(tmp_path, "a.csv", text)
    second = _file(tmp_path, "b.csv", text + "z,retail/pickup,91,24.95\nz,retail/pickup,60.19,24.95\n")
    table, report = import_table([first, second])
    assert table.num_rows == report.n_rows == 3
    assert report.rows_by_offer == report.default_areas == {"retail/pickup": 3}
    assert report.timezone_origin == report.country_origin == {"place": 3}
    assert [bad["row"] for bad in report.sources[1].bad_rows] == [2, 3, 4]


def test_import_table__leaves_objects_of_an_overlapping_map_without_an_error() -> None:
    once, _ = import_table([helsinki_path()])
    twice, report = import_table([helsinki_path(), helsinki_path()])
    assert twice.equals(once)
    objects = report.sources[1].objects
    assert objects is not None
    assert (objects.n_taken, objects.n_left, report.n_bad_rows) == (0, 1835, 0)
    assert objects.left["seen_before"] == 806


def test_import_table__leaves_an_object_whose_hours_lie_in_no_zone(tmp_path: Path) -> None:
    tags = '<tag k="shop" v="kiosk"/><tag k="opening_hours" v="24/7"/>'
    node = f'<node id="1" lat="0" lon="-140" version="1">{tags}</node>'
    sea = _file(tmp_path, "sea.osm", f'<osm version="0.6">{node}</osm>')
    table, report = import_table([sea])
    objects = report.sources[0].objects
    assert objects is not None
    assert (table.num_rows, objects.n_taken, objects.left) == (0, 0, {"unusable": 1})
    assert objects.keys["shop"] == {"left": 1}
    assert report.sources[0].bad_rows[0]["row"] == "osm:n1"
    assert import_table([sea], timezone="UTC")[0].num_rows == 1
    with pytest.raises(BadFileError, match="osm:n1: hours need a timezone"):
        import_table([sea], strict=True)


def test_import_points__writes_the_report_as_json_or_text(tmp_path: Path) -> None:
    bad = _file(tmp_path, "a.csv", HEADER + "x,a/b,1,2\ny,a/b,91,2\n")
    for name in ("report.json", "report.txt"):
        report = import_points([helsinki_path(), bad], tmp_path / "p.csv", report=tmp_path / name)
    told = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert told == json.loads(json.dumps(report.as_json()))
    assert told["sources"][0]["objects"]["n_objects"] == 1835
    assert told["n_bad_rows"] == 1
    text = (tmp_path / "report.txt").read_text(encoding="utf-8")
    assert text == report.as_text()
    for words in (
        "1835 objects with amenity, shop, craft or office: 806 taken, 1029 left; 5 more taken",
        "malformed hours, taken for unknown: 8",
        "'Seasonal, only summer time'",
        "row 3: lat must be in [-90, 90], got 91.0",
        "time zone from: nowhere 1, place 1127",
    ):
        assert words in text


@pytest.mark.parametrize("fault", ["a source that is broken off", "a bad row when strict", "a report that cannot be"])
def test_import_points__leaves_the_old_files_when_it_fails_midway(tmp_path: Path, fault: str) -> None:
    out, report = tmp_path / "p.csv", tmp_path / "report.txt"
    out.write_text("old points")
    report.write_text("old report")
    broken = tmp_path / "cut.osm.pbf"
    broken.write_bytes(helsinki_path().read_bytes()[:300_000])
    bad = _file(tmp_path, "a.csv", HEADER + "x,a/b,91,2\n")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    second = {"a source that is broken off": broken, "a bad row when strict": bad}.get(fault, helsinki_path())
    target = tmp_path / "absent" / "report.txt" if fault == "a report that cannot be" else report
    with pytest.raises((MapFileError, BadFileError)):
        import_points([helsinki_path(), second], out, report=target, strict=True)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_import_points__refuses_an_unknown_suffix_before_it_reads(tmp_path: Path) -> None:
    with pytest.raises(BadFileError, match=r"out\.txt: must end in"):
        import_points([tmp_path / "absent.csv"], tmp_path / "out.txt")

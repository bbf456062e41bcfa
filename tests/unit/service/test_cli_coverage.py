"""`linli coverage` as people run it."""

import csv
import errno
import json
import math
from pathlib import Path

import geopandas as gpd
import pyarrow.parquet as pq
import pytest
import shapely
from typer.testing import CliRunner, Result

from geo.cells import ancestor_cells, cell_to_text
from service.cli import app
from service.planning import job

POINTS = """point_id,offer,lat,lng,hours,area,timezone
north,community/parcel,60.01,25.0,Mo-Fr 09:00-17:00,everywhere,Europe/Helsinki
south,community/parcel,60.0,25.0,24/7,everywhere,Europe/Helsinki
other,retail/pickup,60.0,25.01,24/7,everywhere,Europe/Helsinki
"""
DEMAND = """lat,lng,weight,ward
60.0101,25.0,100,N
60.0001,25.0,300,S
60.03,25.0,50,N
60.0,25.0,0,S
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "points.csv").write_text(POINTS)
    (tmp_path / "demand.csv").write_text(DEMAND)
    halves = [shapely.box(24, 60.005, 26, 61), shapely.box(24, 59, 26, 60.005)]
    frame = gpd.GeoDataFrame({"name": ["North", "South"]}, geometry=halves, crs=4326)
    frame.to_file(tmp_path / "wards.geojson")
    return tmp_path


def run(folder: Path, *options: str, out: str = "out.csv") -> Result:
    fixed = ["--points", "points.csv", "--demand", "demand.csv", "--offer", "community/parcel", "--out", out]
    files = ("points.csv", "demand.csv", "wards.geojson", "over180.geojson", "out.csv", "out.parquet", "map.html")
    paths = [str(folder / word) if word in files else word for word in (*fixed, *options)]
    return CliRunner().invoke(app, ["coverage", *paths])


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "out.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_coverage__writes_a_row_for_each_cell(folder: Path) -> None:
    result = run(folder)
    assert result.exit_code == 0, result.output
    cells = ancestor_cells([60.0101, 60.0001, 60.03], [25.0] * 3, 9)
    assert {row["cell"] for row in rows(folder)} == {cell_to_text(cell) for cell in cells.tolist()}
    assert sum(float(row["total"]) for row in rows(folder)) == 450.0


def test_coverage__tells_distances_by_all_of_their_digits(folder: Path) -> None:
    result = run(folder, "--bands", "1234567,1234568", "--max-distance", "1234569", "--report", "map.html")
    assert "within 1234567 m: 450 (100.0 %)" in result.output
    assert "not further than 1234569 m" in (folder / "map.html").read_text()


def test_coverage__prints_figures_as_json(folder: Path) -> None:
    told = json.loads(run(folder, "--bands", "20,500", "--json").stdout)
    assert told["total"] == 450.0
    assert told["within"] == {"20": 400.0, "500": 400.0}
    assert told["median_m"] == pytest.approx(11.1, abs=0.1)
    assert told["worst_m"] == pytest.approx(2228, abs=1)
    assert told["n_bad_rows"] == 0


def test_coverage__by_district_of_a_map(folder: Path) -> None:
    assert run(folder, "--districts", "wards.geojson").exit_code == 0
    assert {row["district"]: row["total"] for row in rows(folder)} == {"North": "150.0", "South": "300.0"}


def test_coverage__by_district_of_a_demand_column_as_parquet(folder: Path) -> None:
    assert run(folder, "--district-column", "ward", out="out.parquet").exit_code == 0
    table = pq.read_table(folder / "out.parquet").to_pylist()
    assert {row["district"]: row["within_300_m"] for row in table} == {"N": 100.0, "S": 300.0}


def test_coverage__writes_no_district_that_a_spreadsheet_runs(folder: Path) -> None:
    labels = ["=cmd()", "+1+2", "-x", "@x", "\t=x", "'=x", "\uff1dx", "-5", "N"]
    with (folder / "demand.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("lat", "lng", "weight", "ward"), *((60.0, 25.0, 1, label) for label in labels)])
    assert run(folder, "--district-column", "ward").exit_code == 0
    assert {row["district"] for row in rows(folder)} == {*(f"'{label}" for label in labels[:7]), "-5", "N"}
    assert run(folder, "--district-column", "ward", out="out.parquet").exit_code == 0
    assert set(pq.read_table(folder / "out.parquet")["district"].to_pylist()) == set(labels)


def test_coverage__at_night_only_what_is_open_counts(folder: Path) -> None:
    told = json.loads(run(folder, "--at", "2026-11-24T22:00+02:00", "--json").stdout)
    assert told["p95_m"] > 3000
    assert json.loads(run(folder, "--at", "2026-11-24T12:00+02:00", "--json").stdout)["p95_m"] < 2500


def test_coverage__max_distance_leaves_people_unserved(folder: Path) -> None:
    assert json.loads(run(folder, "--max-distance", "1000", "--json").stdout)["unserved"] == 50.0


def test_coverage__any_area_asks_who_lives_near_whomever_a_point_serves(folder: Path) -> None:
    small = POINTS.replace(",area,", ",radius_m,").replace("everywhere", "5")
    (folder / "points.csv").write_text(small)
    assert json.loads(run(folder, "--json").stdout)["unserved"] == 450.0
    assert json.loads(run(folder, "--any-area", "--json").stdout)["unserved"] == 0.0


@pytest.mark.parametrize("area", ["area", "hours"])
def test_coverage__without_an_area_a_point_serves_within_its_norm(folder: Path, area: str) -> None:
    """The column is empty, or is not there."""
    silent = (
        POINTS.replace("everywhere", "") if area == "area" else POINTS.replace("everywhere,", "").replace("area,", "")
    )
    (folder / "points.csv").write_text(silent)
    result = run(folder, "--json")
    told = json.loads(result.stdout)
    assert told["unserved"] == 50.0  # those 2.2 km away
    assert told["default_areas"] == {"community/parcel": 2, "retail/pickup": 1}
    words = "points without an area, served within their norm's radius: community/parcel 2, retail/pickup 1"
    assert words in run(folder).stdout
    assert json.loads(run(folder, "--any-area", "--json").stdout)["unserved"] == 0.0


def test_coverage__report_is_a_page_with_the_districts(folder: Path) -> None:
    assert run(folder, "--districts", "wards.geojson", "--report", "map.html").exit_code == 0
    html = (folder / "map.html").read_text(encoding="utf-8")
    assert html.count("data-hex=") == 6  # three cells in two layers
    assert "North" in html
    assert "24/7" in html


@pytest.mark.parametrize(
    ("options", "counted"),
    [
        ((), None),
        (("--unknown-hours",), None),
        (("--at", "2026-11-24T12:00Z"), False),
        (("--at", "2026-11-24T12:00Z", "--unknown-hours"), True),
    ],
)
def test_coverage__report_says_whether_unknown_hours_count(
    folder: Path, options: tuple[str, ...], *, counted: bool | None
) -> None:
    assert run(folder, "--report", "map.html", *options).exit_code == 0
    html = (folder / "map.html").read_text(encoding="utf-8")
    assert ("An unknown opening time does not count as open." in html) == (counted is False)
    assert ("An unknown opening time counts as open." in html) == (counted is True)
    assert (", unknown hours counted as open" in html) == (counted is True)


def test_coverage__names_bad_rows_and_goes_on(folder: Path) -> None:
    with (folder / "demand.csv").open("a") as file:
        file.write("99,25,1,N\n60,25,-1,N\n")
    result = run(folder, "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["total"] == 450.0
    assert "demand.csv, row 6: lat must be" in result.stderr
    assert "demand.csv, row 7: weight must be" in result.stderr
    assert (folder / "out.csv").exists()


def test_coverage__names_points_that_no_engine_takes(folder: Path) -> None:
    slow = "near,community/parcel,60,25,0,everywhere,1\nslow,community/parcel,60,25,316224001,everywhere,1\n"
    (folder / "points.csv").write_text(f"point_id,offer,lat,lng,lead_s,area,lead\n{slow}")
    result = run(folder)
    assert result.exit_code == 1
    assert "points.csv, row 3: lead_s must be a whole number from 0 to 316224000" in result.stderr
    assert "points.csv: columns that mean nothing here: lead\n" in result.stderr
    assert sum(float(row["total"]) for row in rows(folder)) == 450.0


def test_coverage__strict_stops_at_the_first_bad_row_and_writes_nothing(folder: Path) -> None:
    with (folder / "demand.csv").open("a") as file:
        file.write("99,25,1,N\n")
    (folder / "out.csv").write_text("old")
    result = run(folder, "--strict", "--report", "map.html")
    assert result.exit_code == 1
    assert "demand.csv, row 6" in result.stderr
    assert (folder / "out.csv").read_text() == "old"
    assert not (folder / "map.html").exists()


@pytest.mark.parametrize("out", ["out.csv", "nowhere/out.csv"])
@pytest.mark.parametrize("report", ["map.html", "nowhere/map.html"])
def test_coverage__writes_table_and_report_or_neither(folder: Path, out: str, report: str) -> None:
    (folder / "out.csv").write_text("old")
    before = {path.name for path in folder.iterdir()}
    result = run(folder, "--report", str(folder / report), out=str(folder / out))
    assert result.exit_code == int("nowhere/" in out + report), result.output
    if result.exit_code:
        assert "nowhere" in result.stderr
        assert (folder / "out.csv").read_text() == "old"
        assert {path.name for path in folder.iterdir()} == before


@pytest.mark.parametrize(("writer", "file"), [("write_coverage", "out.csv"), ("render_map", "map.html")])
def test_coverage__that_breaks_off_leaves_both_as_they_were(
    folder: Path, monkeypatch: pytest.MonkeyPatch, writer: str, file: str
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    for name in ("out.csv", "map.html"):
        (folder / name).write_text("old")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    monkeypatch.setattr(job, writer, full)
    result = run(folder, "--report", "map.html")
    assert result.exit_code == 1
    assert f"{file}: cannot be written: No space left on device" in result.stderr
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize(
    "options",
    [
        ("--at", "2026-11-24T12:00"),  # no offset
        ("--at", "noon"),
        ("--bands", "300,x"),
        ("--bands", "300,-1"),
        ("--bands", "nan"),
        ("--bands", ""),
        ("--by", "ward"),
        ("--by", "district"),  # nothing tells the districts
        ("--datum", "mercator"),
        ("--cell-resolution", "16"),
        ("--country", "cn"),
        ("--timezone", "Asia/Shangai"),
    ],
)
def test_coverage__bad_usage_is_exit_code_2(folder: Path, options: tuple[str, ...]) -> None:
    assert run(folder, *options).exit_code == 2
    assert not (folder / "out.csv").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--district-column", "nowhere"), "lacks the column nowhere"),
        (("--districts", "points.csv"), "points.csv"),
        (("--districts", "over180.geojson"), "over180.geojson, row 1: must not cross the antimeridian"),
    ],
)
def test_coverage__a_failed_job_is_exit_code_1(folder: Path, options: tuple[str, ...], message: str) -> None:
    over = shapely.Polygon([(179, -17), (-179, -17), (-179, -16), (179, -16)])
    gpd.GeoDataFrame({"name": ["Taveuni"]}, geometry=[over], crs=4326).to_file(folder / "over180.geojson")
    result = run(folder, *options)
    assert result.exit_code == 1
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert not (folder / "out.csv").exists()


def test_coverage__another_suffix_is_refused_before_any_work(folder: Path) -> None:
    assert run(folder, out="out.xlsx").exit_code == 2


@pytest.mark.parametrize(
    ("out", "options"),
    [
        ("points.csv", ()),
        ("demand.csv", ()),
        ("link.csv", ()),
        ("out.csv", ("--report", "out.csv")),
        ("out.csv", ("--report", "points.csv")),
        ("out.csv", ("--report", "wards.geojson", "--districts", "wards.geojson")),
    ],
)
def test_coverage__writes_over_nothing_that_it_reads(folder: Path, out: str, options: tuple[str, ...]) -> None:
    (folder / "link.csv").symlink_to(folder / "demand.csv")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    result = run(folder, *options, out=str(folder / out))
    assert result.exit_code == 2
    assert ("--report" if options else "--out") in result.stderr
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_coverage__leaves_no_temporary_files(folder: Path) -> None:
    before = {path.name for path in folder.iterdir()}
    run(folder, "--report", "map.html")
    assert {path.name for path in folder.iterdir()} == before | {"out.csv", "map.html"}


def test_coverage__unserved_demand_is_told_as_such(folder: Path) -> None:
    result = run(folder, "--offer", "laundry/pickup")
    assert result.exit_code == 0
    assert "unserved 450" in result.stdout
    assert all(math.isclose(float(row["unserved"]), float(row["total"])) for row in rows(folder))


def test_coverage__of_an_offer_that_nobody_knows_is_no_result(folder: Path) -> None:
    before = {path.name for path in folder.iterdir()}
    result = run(folder, "--offer", "community/parcle", "--report", "map.html")
    assert result.exit_code == 1
    assert "no point has the offer 'community/parcle'" in result.output
    assert "the points have 'community/parcel" in result.output
    assert {path.name for path in folder.iterdir()} == before

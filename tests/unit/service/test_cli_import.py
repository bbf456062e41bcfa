from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fixtures.extract import helsinki_path
from service.cli import app
from service.points.files import read_points
from service.points.schema import POINT_SCHEMA

ROOT = Path(__file__).resolve().parents[3]
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "200"}


def _process(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    path = tmp_path / "points.csv"
    path.write_text("point_id,offer,lat,lng\na,retail/pickup,60.17,24.94\nb,retail/pickup,91,24.94\n")
    return path


def test_import__in_a_process_of_its_own_writes_points_and_report(tmp_path: Path) -> None:
    out, report = tmp_path / "points.parquet", tmp_path / "report.txt"
    run = _process("from service.cli import main; main()", "import", helsinki_path(), "--out", out, "--report", report)
    assert run.returncode == 0, run.stderr
    assert read_points(out, strict=True).table.num_rows == 1127
    assert "811 points with 1127 offers" in run.stdout
    assert "of 1835 objects 806 taken (and 5 for other tags), 1029 left: street_furniture 439" in run.stdout
    assert "malformed hours" in report.read_text(encoding="utf-8")


def test_import__names_bad_rows_and_goes_on_with_exit_code_1(tmp_path: Path, mixed: Path) -> None:
    out = tmp_path / "out.csv"
    run = CliRunner().invoke(app, ["import", str(mixed), "--out", str(out), "--json"])
    assert run.exit_code == 1
    assert f"Left out: {mixed}, row 3: lat must be in [-90, 90], got 91.0" in run.stderr
    assert read_points(out).table["point_id"].to_pylist() == ["a"]
    told = json.loads(run.stdout)
    assert (told["n_rows"], told["n_bad_rows"]) == (1, 1)


def test_import__shows_a_table_of_rows_for_people(tmp_path: Path, mixed: Path) -> None:
    run = CliRunner().invoke(app, ["import", str(mixed), "--out", str(tmp_path / "out.csv")], env={"COLUMNS": "200"})
    assert "1 points with 1 offers" in run.stdout
    assert f"{mixed}: 1 rows taken, 1 bad" in run.stdout
    assert f"written: {tmp_path / 'out.csv'}" in run.stdout


def test_import__stops_at_the_first_bad_row_when_strict(tmp_path: Path, mixed: Path) -> None:
    run = CliRunner().invoke(app, ["import", str(mixed), "--out", str(tmp_path / "out.csv"), "--strict"])
    assert run.exit_code == 1
    assert f"Error: {mixed}, row 3: lat must be" in run.stderr
    assert list(tmp_path.iterdir()) == [mixed]


def test_import__names_columns_and_properties_that_are_no_unicode(tmp_path: Path) -> None:
    table, drawn, out, report = (tmp_path / name for name in ("latin.csv", "p.geojson", "out.csv", "report.txt"))
    table.write_text("point_id,offer,lat,lng,Straße\na,retail/pickup,60.17,24.94,x\n", encoding="latin-1")
    feature = {"type": "Feature", "geometry": {"type": "Point", "coordinates": [24.94, 60.17]}}
    good, odd = ({"point_id": "a", "offer": "retail/pickup", name: 1} for name in ("street", "\ud800"))
    features = [{**feature, "properties": properties} for properties in (good, odd)]
    drawn.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    run = CliRunner().invoke(app, ["import", str(table), "--out", str(out), "--report", str(report)])
    assert (run.exit_code, run.stderr.strip()) == (1, f"Error: {table}: the header must be in UTF-8")
    run = CliRunner().invoke(app, ["import", str(drawn), "--out", str(out), "--report", str(report), "--json"])
    assert run.exit_code == 1
    assert json.loads(run.stdout)["sources"][0]["ignored_columns"] == ["street"]
    assert "row 2: properties must be an object with names of Unicode, got '\\ud800'" in report.read_text(
        encoding="utf-8"
    )


@pytest.mark.parametrize("name", ["cut.osm.pbf", "absent.osm.pbf", "absent.csv", "absent.parquet"])
def test_import__names_a_source_that_cannot_be_read(tmp_path: Path, name: str) -> None:
    (tmp_path / "cut.osm.pbf").write_bytes(b"hello")
    run = CliRunner().invoke(app, ["import", str(tmp_path / name), "--out", str(tmp_path / "out.csv")])
    assert run.exit_code == 1
    assert f"Error: {tmp_path / name}" in run.stderr
    assert "Traceback" not in run.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["points.csv"], id="no out"),
        pytest.param(["points.csv", "--out", "out.txt"], id="suffix of out"),
        pytest.param(["points.doc", "--out", "out.csv"], id="suffix of a source"),
        pytest.param(["points.csv", "--out", "out.csv", "--timezone", "Asia/Nowhere"], id="time zone"),
        pytest.param(["points.csv", "--out", "out.csv", "--country", "China"], id="country"),
        pytest.param(["points.csv", "--out", "out.csv", "--datum", "nad27"], id="datum"),
        pytest.param(["points.csv", "--out", "out.csv", "--report", "out.csv"], id="report over out"),
        pytest.param(["points.csv", "--out", "points.csv"], id="out over a source"),
        pytest.param(["points.csv", "--out", "out.csv", "--report", "points.csv"], id="report over a source"),
        pytest.param(["--out", "out.csv"], id="no source"),
    ],
)
def test_import__answers_bad_usage_with_exit_code_2(
    tmp_path: Path, mixed: Path, arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run = CliRunner().invoke(app, ["import", *arguments])
    assert run.exit_code == 2, run.stderr
    assert list(tmp_path.iterdir()) == [mixed]


def test_help__loads_no_heavy_library() -> None:
    heavy = ("numba", "numpy", "pyarrow", "shapely", "pandas", "osmium", "rich", "engine", "geo")
    pages = ([], *([command] for command in ("demo", "import", "match", "coverage", "doctor")))
    code = f"""
import sys
from service.cli import app
for page in {pages!r}:
    try:
        app([*page, "--help"])
    except SystemExit as ended:
        assert ended.code == 0
print("loaded:", *(name for name in {heavy!r} if name in sys.modules))
"""
    run = _process(code)
    assert run.stdout.count("Usage") == len(pages), run.stderr
    assert run.stdout.rstrip().endswith("loaded:")


def test_doctor__finds_this_installation_whole() -> None:
    run = CliRunner().invoke(app, ["doctor", "--json", "--country", "KR"])
    assert run.exit_code == 0, run.stdout
    findings = {finding["name"]: finding["state"] for finding in json.loads(run.stdout)}
    assert set(findings) > {"python", "libraries", "kernel compiler", "h3", "norms", "time zones", "holidays KR"}
    assert set(findings.values()) == {"ok"}


def test_doctor__ends_with_exit_code_1_when_something_is_broken() -> None:
    run = CliRunner().invoke(app, ["doctor", "--country", "XX"])
    assert run.exit_code == 1
    assert "BROKEN   holidays XX" in run.stdout


def test_import__says_which_columns_mean_nothing_and_its_help_which_do(tmp_path: Path) -> None:
    misspelt, out = tmp_path / "q.csv", tmp_path / "q.parquet"
    misspelt.write_text("point_id,offer,lat,lng,opening_hours,radius\na,retail/pickup,60.17,24.94,24/7,500\n")
    for options in ([], ["--json"]):
        run = CliRunner().invoke(app, ["import", str(misspelt), "--out", str(out), *options])
        assert run.exit_code == 0
        assert f"{misspelt}: columns that mean nothing here: opening_hours, radius\n" in run.stderr
    page = CliRunner().invoke(app, ["import", "--help"], env={"COLUMNS": "200"}).stdout
    assert set(POINT_SCHEMA.names) <= {word.strip(".,") for word in page.split()}


def test_import__says_some_of_very_many_columns_that_mean_nothing(tmp_path: Path) -> None:
    wide = tmp_path / "w.csv"
    names = [f"x{n}" for n in range(30)]
    wide.write_text(f"point_id,offer,lat,lng,{','.join(names)}\na,retail/pickup,60.17,24.94{',' * 30}\n")
    run = CliRunner().invoke(app, ["import", str(wide), "--out", str(tmp_path / "out.csv")])
    assert f"columns that mean nothing here: {', '.join(names[:20])} and 10 more\n" in run.stderr

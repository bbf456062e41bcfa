"""The real command in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fixtures.extract import helsinki_path
from service.points.files import read_points

ROOT = Path(__file__).resolve().parents[3]
RUN = "from service.cli import main; main()"


def _linli(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", RUN, *map(str, arguments)],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    path = tmp_path / "points.csv"
    path.write_text("point_id,offer,lat,lng\na,retail/pickup,60.17,24.94\nb,retail/pickup,91,24.94\n")
    return path


def test_import__writes_points_and_report_and_tells_what_it_took(tmp_path: Path) -> None:
    out, report = tmp_path / "points.parquet", tmp_path / "report.txt"
    run = _linli("import", helsinki_path(), "--out", out, "--report", report)
    assert run.returncode == 0, run.stderr
    assert read_points(out, strict=True).table.num_rows == 1127
    assert "811 points with 1127 offers" in run.stdout
    assert "of 1835 objects 806 taken (and 5 for other tags), 1029 left: street_furniture 439" in run.stdout
    assert "malformed hours" in report.read_text(encoding="utf-8")


def test_import__names_bad_rows_and_goes_on_with_exit_code_1(tmp_path: Path, mixed: Path) -> None:
    out = tmp_path / "out.csv"
    run = _linli("import", mixed, "--out", out, "--json")
    assert run.returncode == 1
    assert f"Left out: {mixed}, row 3: lat must be in [-90, 90], got 91.0" in run.stderr
    assert read_points(out).table["point_id"].to_pylist() == ["a"]
    told = json.loads(run.stdout)
    assert (told["n_rows"], told["n_bad_rows"]) == (1, 1)


def test_import__stops_at_the_first_bad_row_when_strict(tmp_path: Path, mixed: Path) -> None:
    run = _linli("import", mixed, "--out", tmp_path / "out.csv", "--strict")
    assert run.returncode == 1
    assert f"Error: {mixed}, row 3: lat must be" in run.stderr
    assert "Traceback" not in run.stderr
    assert list(tmp_path.iterdir()) == [mixed]


def test_import__names_a_source_that_cannot_be_read(tmp_path: Path) -> None:
    broken = tmp_path / "cut.osm.pbf"
    broken.write_bytes(b"hello")
    for source in (broken, tmp_path / "absent.osm.pbf", tmp_path / "absent.csv"):
        run = _linli("import", source, "--out", tmp_path / "out.csv")
        assert run.returncode == 1
        assert str(source) in run.stderr
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
        pytest.param(["--out", "out.csv"], id="no source"),
    ],
)
def test_import__answers_bad_usage_with_exit_code_2(tmp_path: Path, mixed: Path, arguments: list[str]) -> None:
    run = _linli("import", *arguments, cwd=tmp_path)
    assert run.returncode == 2, run.stderr
    assert list(tmp_path.iterdir()) == [mixed]


@pytest.mark.parametrize("arguments", [["--help"], ["import", "--help"], ["doctor", "--help"]])
def test_help__loads_no_heavy_library(arguments: list[str]) -> None:
    heavy = ("numba", "numpy", "pyarrow", "shapely", "pandas", "osmium", "engine", "geo")
    code = f"""
import sys
from service.cli import app
try:
    app({arguments!r})
except SystemExit as ended:
    assert ended.code == 0
print("loaded:", *(name for name in {heavy!r} if name in sys.modules))
"""
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    run = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=60, check=True)
    assert "Usage" in run.stdout
    assert run.stdout.rstrip().endswith("loaded:")


def test_doctor__finds_this_installation_whole() -> None:
    run = _linli("doctor", "--json", "--country", "KR")
    assert run.returncode == 0, run.stdout
    findings = {finding["name"]: finding["state"] for finding in json.loads(run.stdout)}
    assert set(findings) > {"python", "libraries", "kernel compiler", "h3", "norms", "time zones", "holidays KR"}
    assert set(findings.values()) == {"ok"}


def test_doctor__ends_with_exit_code_1_when_something_is_broken() -> None:
    run = _linli("doctor", "--country", "XX")
    assert run.returncode == 1
    assert "BROKEN   holidays XX" in run.stdout

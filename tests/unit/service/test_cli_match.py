"""The command `linli match`, run as a process of its own."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from geo import convert_datum
from tests import serving

ROOT = Path(__file__).resolve().parents[3]

POINTS = [
    "point_id,offer,lat,lng,radius_m,hours,timezone,capacity,features",
    "near,retail/pickup,31.2,121.5,,Mo-Su 09:00-18:00,Asia/Shanghai,2,",
    "far,retail/pickup,31.21,121.5,2000,24/7,Asia/Shanghai,1,lift",
    "silent,laundry/pickup,31.2,121.5,,,,,",
]
ORDERS = [
    "order_id,lat,lng,offer,at,asked_at,quantity,features",
    "o1,31.2,121.5,retail/pickup,2026-03-01T12:00:00+08:00,2026-03-01T11:30:00+08:00,,",
    "o2,31.2,121.5,retail/pickup,2026-03-01T12:00:00+08:00,2026-03-01T11:00:00+08:00,2,",
    "o3,31.2,121.5,retail/pickup,2026-03-01T20:00:00+08:00,2026-03-01T11:30:00+08:00,,",
    "o4,31.2,121.5,retail/pickup,2026-03-01T12:00:00+08:00,2026-03-01T11:30:00+08:00,,lift",
    "o5,31.2,121.5,laundry/pickup,2026-03-01T12:00:00+08:00,,,",
    "o6,31.2,121.5,fresh_food/delivery,,,,",
    "o7,31.5,121.5,retail/pickup,2026-03-01T20:00:00+08:00,,,",
]


def linli(*arguments: object) -> subprocess.CompletedProcess[str]:
    return serving.linli(*map(str, arguments))


@pytest.fixture
def points(tmp_path: Path) -> Path:
    (tmp_path / "points.csv").write_text("\n".join(POINTS))
    return tmp_path / "points.csv"


@pytest.fixture
def orders(tmp_path: Path) -> Path:
    (tmp_path / "orders.csv").write_text("\n".join(ORDERS))
    return tmp_path / "orders.csv"


def _answers(path: Path) -> dict[str, dict[str, Any]]:
    if path.suffix == ".csv":
        with path.open(newline="") as file:
            rows: list[dict[str, Any]] = list(csv.DictReader(file))
    elif path.suffix == ".parquet":
        rows = pq.read_table(path).to_pylist()
    else:
        rows = [json.loads(line) for line in path.read_text().splitlines()]
    return {row["order_id"]: row for row in rows}


def _outcome(path: Path) -> dict[str, tuple[str, str | None]]:
    return {name: (row["status"], row["point_id"] or None) for name, row in _answers(path).items()}


FACTS = {
    "o1": ("matched", "near"),
    "o2": ("matched", "near"),
    "o3": ("matched", "far"),
    "o4": ("matched", "far"),
    "o5": ("hours_unknown", None),
    "o6": ("no_offer", None),
    "o7": ("outside_area", None),
}


@pytest.mark.parametrize("suffix", ["csv", "parquet", "ndjson"])
def test_match__answers_in_order_and_tells_a_summary(points: Path, orders: Path, suffix: str) -> None:
    out = orders.with_name(f"answers.{suffix}")
    run = linli("match", "--points", points, "--orders", orders, "--out", out, "--json")
    assert run.returncode == 0, run.stderr
    assert list(_answers(out)) == [f"o{i}" for i in range(1, 8)]
    assert _outcome(out) == FACTS
    assert set(_answers(out)["o1"]) == {"order_id", "status", "point_id", "distance_m", "version"}
    told = json.loads(run.stdout)
    assert (told["n_orders"], told["n_matched"], told["n_bad_rows"]) == (7, 4, 0)
    assert told["n_by_reason"] == {"no_offer": 1, "hours_unknown": 1, "outside_area": 1}


def test_match__with_consume_serves_the_first_come_first(points: Path, orders: Path) -> None:
    out = orders.with_name("answers.csv")
    run = linli("match", "--points", points, "--orders", orders, "--out", out, "--consume")
    assert run.returncode == 0, run.stderr
    # o2 was asked first and takes all of `near`; o1 comes before o3 and o4 in the file and takes `far`.
    assert _outcome(out) == FACTS | {"o1": ("matched", "far"), "o3": ("closed", None), "o4": ("feature_missing", None)}
    assert "matched" in run.stdout
    assert "feature_missing" in run.stdout


def test_match__takes_its_options(points: Path, orders: Path) -> None:
    out = orders.with_name("answers.csv")
    options = ("--unknown-hours", "allow", "--max-distance-m", "500", "--threads", "1")
    run = linli("match", "--points", points, "--orders", orders, "--out", out, *options)
    assert run.returncode == 0, run.stderr
    assert _outcome(out) == FACTS | {
        "o3": ("closed", None),
        "o4": ("feature_missing", None),
        "o5": ("matched", "silent"),
    }


def test_match__without_an_area_a_point_serves_within_its_norm(points: Path, orders: Path) -> None:
    points.write_text(
        "point_id,offer,lat,lng,area\na,retail/pickup,31.2,121.5,\nb,retail/delivery,31.2,121.5,everywhere"
    )
    header = "order_id,lat,lng,offer"
    orders.write_text(
        f"{header}\nnear,31.2,121.5,retail/pickup\nfar,32.2,121.5,retail/pickup\nall,32.2,121.5,retail/delivery"
    )
    out = orders.with_name("answers.csv")
    run = linli("match", "--points", points, "--orders", orders, "--out", out)
    assert _outcome(out) == {"near": ("matched", "a"), "far": ("outside_area", None), "all": ("matched", "b")}
    assert "points without an area, served within their norm's radius: retail/pickup 1" in run.stdout
    told = json.loads(linli("match", "--points", points, "--orders", orders, "--out", out, "--json").stdout)
    assert told["default_areas"] == {"retail/pickup": 1}


def test_match__converts_the_datum_of_orders(points: Path, orders: Path) -> None:
    lat, lng = convert_datum(31.2, 121.5, source="wgs84", target="gcj02")
    orders.write_text(orders.read_text().replace("31.2,121.5", f"{lat!r},{lng!r}"))
    distances = {}
    for datum in ("gcj02", "wgs84"):
        out = orders.with_name(f"{datum}.csv")
        run = linli("match", "--points", points, "--orders", orders, "--out", out, "--datum", datum)
        assert run.returncode == 0, run.stderr
        distances[datum] = float(_answers(out)["o1"]["distance_m"])
    assert distances["gcj02"] < 0.001
    assert 300.0 < distances["wgs84"] < 800.0


def test_match__names_bad_rows_goes_on_and_ends_with_1(points: Path, orders: Path) -> None:
    out, report = orders.with_name("answers.csv"), orders.with_name("report.json")
    orders.write_text(orders.read_text() + "\nbad,131.2,21.5,retail/pickup,,,,\n")
    run = linli("match", "--points", points, "--orders", orders, "--out", out, "--report", report)
    assert run.returncode == 1
    assert "orders.csv, row 9: lat must be in [-90, 90], got 131.2; swapped with lng?" in run.stderr
    assert _outcome(out) == FACTS
    assert [bad["row"] for bad in json.loads(report.read_text())["bad_rows"]] == [9]


def test_match__with_strict_stops_at_a_bad_row_and_writes_nothing(points: Path, orders: Path) -> None:
    orders.write_text(orders.read_text() + "\nbad,31.2,121.5,retail/pickup,2026-03-01T12:00:00,,,\n")
    before = sorted(points.parent.iterdir())
    run = linli("match", "--points", points, "--orders", orders, "--out", orders.with_name("a.csv"), "--strict")
    assert run.returncode == 1
    assert "orders.csv, row 9: at must be a time" in run.stderr
    assert "it has no offset" in run.stderr
    assert "Traceback" not in run.stderr
    assert sorted(points.parent.iterdir()) == before


def test_match__names_points_that_no_engine_takes(points: Path, orders: Path) -> None:
    rows = ("near,retail/pickup,31.2,121.5,24/7,0,", "slow,retail/pickup,31.2,121.5,24/7,316224001,")
    points.write_text("\n".join(("point_id,offer,lat,lng,hours,lead_s,lead", *rows)))
    out = points.with_name("out.csv")
    done = linli("match", "--points", points, "--orders", orders, "--out", out)
    assert done.returncode == 1
    assert "points.csv, row 3: lead_s must be a whole number from 0 to 316224000, got '316224001'" in done.stderr
    assert "points.csv: columns that mean nothing here: lead\n" in done.stderr
    assert _answers(out)["o1"]["point_id"] == "near"


def test_match__names_bad_points(points: Path, orders: Path) -> None:
    points.write_text(points.read_text() + "\nlost,retail/pickup,95,121.5,,,,,")
    run = linli("match", "--points", points, "--orders", orders, "--out", orders.with_name("a.csv"))
    assert run.returncode == 1
    assert "points.csv, row 5:" in run.stderr
    assert _outcome(orders.with_name("a.csv")) == FACTS


def test_match__ends_with_1_where_a_file_is_no_orders_file(points: Path, orders: Path) -> None:
    orders.write_text("id,lat\n1,2\n")
    run = linli("match", "--points", points, "--orders", orders, "--out", orders.with_name("a.csv"))
    assert run.returncode == 1
    assert "lacks the column order_id, lng, offer" in run.stderr
    assert "Traceback" not in run.stderr


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"--out": "answers.xlsx"}, "--out"),
        ({"--out": "orders.csv"}, "--out"),  # would replace what is read
        ({"--orders": "orders.txt"}, "--orders"),
        ({"--report": "answers.csv"}, "--report"),
        ({"--datum": "mars"}, "--datum"),
        ({"--unknown-hours": "perhaps"}, "--unknown-hours"),
        ({"--threads": "0"}, "--threads"),
        ({"--max-distance-m": "-5"}, "--max-distance-m"),
        ({"--max-distance-m": "nan"}, "--max-distance-m"),
        ({"--country": "cn"}, "--country"),
        ({"--timezone": "Asia/Shangai"}, "--timezone"),
    ],
)
def test_match__ends_with_2_for_what_cannot_be_meant(
    points: Path, orders: Path, change: dict[str, str], says: str
) -> None:
    folder = points.parent
    names = {"--points": "points.csv", "--orders": "orders.csv", "--out": "answers.csv"} | change
    paths = {"--points", "--orders", "--out", "--report"}
    options = [(name, folder / value if name in paths else value) for name, value in names.items()]
    run = linli("match", *(part for option in options for part in option))
    assert run.returncode == 2, run.stderr
    assert says in run.stderr
    assert sorted(path.name for path in folder.iterdir()) == ["orders.csv", "points.csv"]


def test_match_help__imports_no_compiler() -> None:
    code = "import sys; sys.argv = ['linli', 'match', '--help']; import atexit; "
    code += "atexit.register(lambda: print('numba' in sys.modules, 'pyarrow' in sys.modules)); "
    code += "from service.cli import main; main()"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    assert run.stdout.splitlines()[-1] == "False False"
    assert "--consume" in run.stdout

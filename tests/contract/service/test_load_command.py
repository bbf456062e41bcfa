"""``linli load``: points files into the registry, beside a server that serves from it."""

from __future__ import annotations

import json
import time
from pathlib import Path

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely

from fixtures.extract import helsinki_path
from service.points.schema import POINT_SCHEMA
from tests.contract.service.talking import ask
from tests.serving import Serving, linli

HOURS = "Mo-Fr 09:00-18:00; PH off"


def parquet(path: Path, rows: list[dict[str, object]]) -> Path:
    usual = {"lat": 60.17, "lng": 24.94, "offer": "retail/pickup", "synthetic": False}
    columns = {name: [{**usual, **row}.get(name) for row in rows] for name in POINT_SCHEMA.names}
    pq.write_table(pa.table(columns, schema=POINT_SCHEMA), path)
    return path


def wait_for_points(client: httpx.Client, n: int) -> int:
    for _ in range(600):
        found = client.get("/readyz").json()["points"]
        if found >= n:
            return int(found)
        time.sleep(0.05)
    raise AssertionError(found)


@pytest.fixture(scope="module")
def helsinki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the points of a map."""
    file = tmp_path_factory.mktemp("load") / "points.parquet"
    assert linli("import", str(helsinki_path()), "--out", str(file)).returncode == 0
    return file


def test_load__of_an_import_is_served_at_once_and_done_once(service: Serving, helsinki: Path) -> None:
    file = helsinki
    run = linli("load", str(file), "--merchant", "helsinki", "--name", "City", "--json", *service.place.flags)
    told = json.loads(run.stdout)
    assert run.returncode == 0, run.stderr
    assert told == {
        "merchant": "helsinki", "status": "verified", "points": 811, "written": 811, "unchanged": 0, "bad": [],
    }  # fmt: skip
    with service.client() as admin:
        wait_for_points(admin, 811)
        page = admin.get("/v1/points", params={"merchant": "helsinki", "page_size": 200}).json()
        assert all(one["point_id"].startswith("helsinki:osm:") for one in page["items"])
        assert admin.get("/v1/merchants/helsinki").json()["name"] == "City"
    again = linli("load", str(file), "--merchant", "helsinki", *service.place.flags)
    assert "811 points: 0 written, 811 as they were, 0 bad rows" in again.stdout
    revisions = ask(service.place, "SELECT DISTINCT revision FROM points WHERE merchant_id = 'helsinki'")
    assert [tuple(row) for row in revisions] == [(1,)]


def test_load__keeps_every_column(service: Serving, tmp_path: Path) -> None:
    area = shapely.box(24.9, 60.1, 25.0, 60.2)
    first = {
        "point_id": "node/1", "area": area.wkb, "hours": HOURS, "timezone": "Europe/Helsinki", "country": "FI",
        "capacity": 3, "lead_s": 60, "features": "brand:Burger King;lift", "kind": "venue", "name": "Halli",
        "visibility": "unlisted", "synthetic": True, "address": "Katu 1",
    }  # fmt: skip
    rows: list[dict[str, object]] = [
        first,
        {"point_id": "other", "radius_m": 400.0},
        {**first, "offer": "food_service/pickup", "area": None, "radius_m": 5.0, "hours": None},
        {"point_id": "wide"},
    ]
    run = linli("load", str(parquet(tmp_path / "p.parquet", rows)), "--merchant", "columns", *service.place.flags)
    assert run.returncode == 0, run.stderr
    with service.client() as admin:
        found = admin.get("/v1/points/columns:node:1").json()
        drawn = found["offers"][1].pop("area")
        assert shapely.geometry.shape(drawn).equals(area)
        usual = {"paused": False, "in_work": 0, "slot": None}
        assert found["offers"] == [
            {"offer": "food_service/pickup", "area": {"radius_m": 5.0}, "hours": None, "capacity": 3, "lead_s": 60,
             **usual},
            {"offer": "retail/pickup", "hours": HOURS, "capacity": 3, "lead_s": 60, **usual},
        ]  # fmt: skip
        for name in ("kind", "name", "visibility", "synthetic", "timezone", "country", "address"):
            assert found[name] == first[name], name
        assert found["features"] == ["brand:Burger King", "lift"]
        other = admin.get("/v1/points/columns:other").json()
        assert (other["name"], other["kind"], other["timezone"]) == ("other", "store", "Europe/Helsinki")
        assert other["offers"][0]["area"] == {"radius_m": 400.0}
        assert admin.get("/v1/points/columns:wide").json()["offers"][0]["area"] == {"everywhere": True}


def test_load__names_bad_rows_and_takes_the_others(service: Serving, tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [
        {"point_id": "a"},
        {"point_id": "a", "offer": "retail/nonsense"},
        {"point_id": "b", "features": "Bad"},
        {"point_id": "c", "lat": 91.0},
        {"point_id": "d/1"},
        {"point_id": "d:1"},
        {"point_id": "-e"},
        {"point_id": "f", "offer": "retail/nonsense"},
    ]
    file = parquet(tmp_path / "bad.parquet", rows)
    run = linli("load", str(file), "--merchant", "bad", "--json", *service.place.flags)
    told = json.loads(run.stdout)
    assert (run.returncode, told["points"], told["written"]) == (1, 2, 2)
    assert [one["row"] for one in told["bad"]] == [2, 3, 4, 6, 7, 8]
    plain = linli("load", str(file), "--merchant", "bad", *service.place.flags)
    assert f"Left out: {file}, row 3: /features" in plain.stderr
    assert linli("load", str(file), "--merchant", "Bad", *service.place.flags).returncode == 2
    missing = linli("load", str(tmp_path / "none.parquet"), "--merchant", "bad", *service.place.flags)
    assert (missing.returncode, "none.parquet" in missing.stderr) == (1, True)


def test_load__names_columns_that_mean_nothing(service: Serving, tmp_path: Path) -> None:
    file = tmp_path / "misspelt.csv"
    file.write_text("point_id,offer,lat,lng,opening_hours\na,retail/pickup,60.17,24.94,24/7\n")
    run = linli("load", str(file), "--merchant", "misspelt", *service.place.flags)
    assert run.returncode == 0
    assert f"{file}: columns that mean nothing here: opening_hours\n" in run.stderr


@pytest.mark.parametrize("name", ["two\nlines", "\u202eturned", "half\udcff", "x" * 201])
def test_load__refuses_a_name_that_no_route_takes(tmp_path: Path, name: str) -> None:
    file = parquet(tmp_path / "points.parquet", [{"point_id": "a"}])
    refused = linli("load", str(file), "--merchant", "named", f"--name={name}", f"--data={tmp_path / 'data'}")
    assert refused.returncode == 2, refused.stderr
    assert "--name" in refused.stderr
    assert not (tmp_path / "data").exists()


def test_load__of_a_file_that_is_not_there_makes_no_database(tmp_path: Path) -> None:
    run = linli("load", str(tmp_path / "none.csv"), "--merchant", "corner", "--data", str(tmp_path / "data"))
    assert run.returncode == 1
    assert "none.csv: there is no such file" in " ".join(run.stderr.split())
    assert not (tmp_path / "data").exists()

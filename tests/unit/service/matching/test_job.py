"""Files of orders become files of answers, alike in every format and equal to what the engine says."""

from __future__ import annotations

import errno
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from engine import REASONS, Engine
from fixtures import city
from service.errors import BadFileError
from service.matching.asking import Terms
from service.matching.bad_rows import BadRows
from service.matching.columns import BadRow
from service.matching.job import match_file
from service.points.engine import engine_from_table

LIMIT_M = 1_500.0


def brute_in_turn(
    turn: list[int], candidates: list[list[int]], quantity: list[int], units: list[int]
) -> tuple[dict[int, int], dict[int, list[int]]]:
    """Return which row serves each order, and the units that were left when an order was not served."""
    served, left = {}, {}
    for order in turn:
        for row in candidates[order]:
            if units[row] == -1 or units[row] >= quantity[order]:
                served[order] = row
                units[row] -= quantity[order] if units[row] != -1 else 0
                break
        else:
            left[order] = list(units)
    return served, left


def scarce_city(seed: int) -> tuple[Engine, pa.Table]:
    """Give a small city where capacity runs out, and orders in no order of time, many asked in the same minute."""
    rng = np.random.default_rng(seed)
    made = city(seed, 300, 1_500)
    points = made.points_table()
    capacity = rng.integers(0, 5, points.num_rows)
    has_limit = rng.random(points.num_rows) < 0.9
    points = points.set_column(9, "capacity", pa.array(capacity, mask=~has_limit))
    orders = made.orders_table().take(rng.permutation(1_500))
    asked = orders["asked_at"].to_numpy().astype("datetime64[h]").astype("datetime64[s]")
    silent = rng.random(1_500) < 0.2
    features = ["wheelchair" if wanted else None for wanted in rng.random(1_500) < 0.3]
    columns: dict[str, Any] = {name: orders[name] for name in orders.schema.names}
    columns["asked_at"] = pa.array(asked, pa.timestamp("s", "UTC"), mask=silent)
    columns["features"] = pa.array(features, pa.string())
    return engine_from_table(points), pa.table(columns)


@pytest.fixture(scope="module")
def scarce() -> tuple[Engine, pa.Table]:
    return scarce_city(11)


def _write(orders: pa.Table, path: Path) -> Path:
    if path.suffix == ".parquet":
        pq.write_table(orders, path)
    elif path.suffix == ".csv":
        pacsv.write_csv(orders, path)
    else:
        rows = orders.to_pylist()
        for row in rows:
            row |= {name: row[name] and row[name].isoformat() for name in ("at", "asked_at")}
            row["features"] = row["features"] and row["features"].split(";")
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def _read(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".parquet":
        return pq.read_table(path).to_pylist()
    if path.suffix == ".csv":
        return pacsv.read_csv(path, convert_options=pacsv.ConvertOptions(strings_can_be_null=True)).to_pylist()
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _ask(orders: pa.Table, rows: NDArray[np.int64]) -> dict[str, Any]:
    some = orders.take(rows)
    instants = {name: some[name].cast(pa.timestamp("us")).to_numpy() for name in ("at", "asked_at")}
    return {"lat": some["lat"], "lng": some["lng"], "offer": some["offer"], "quantity": some["quantity"], **instants}


def _by_features(orders: pa.Table) -> list[tuple[set[str], NDArray[np.int64]]]:
    wanted = np.array(orders["features"].to_pylist(), object)
    return [
        (set(), np.flatnonzero(wanted == None)),  # noqa: E711 - elementwise
        ({"wheelchair"}, np.flatnonzero(wanted == "wheelchair")),
    ]


@pytest.mark.parametrize("consume", [False, True])
def test_match_file__gives_the_same_answers_in_every_format(
    tmp_path: Path, scarce: tuple[Engine, pa.Table], consume: bool
) -> None:
    engine, orders = scarce
    answers = []
    for read, written in ((".csv", ".parquet"), (".parquet", ".ndjson"), (".ndjson", ".csv")):
        out = tmp_path / f"from{read[1:]}{written}"
        summary = match_file(engine, _write(orders, tmp_path / f"orders{read}"), out, consume=consume)
        assert summary.n_bad_rows == 0
        assert summary.n_orders == 1_500
        answers.append(_read(out))
    assert answers[0] == answers[1] == answers[2]
    assert [answer["order_id"] for answer in answers[0]] == orders["order_id"].to_pylist()
    assert len({answer["status"] for answer in answers[0]}) > 3


def test_match_file__answers_what_the_engine_says(tmp_path: Path, scarce: tuple[Engine, pa.Table]) -> None:
    engine, orders = scarce
    out = tmp_path / "answers.parquet"
    summary = match_file(engine, _write(orders, tmp_path / "o.parquet"), out, terms=Terms(max_distance_m=LIMIT_M))
    answers = _read(out)
    for features, rows in _by_features(orders):
        ask = _ask(orders, rows) | {"features": features, "max_distance_m": LIMIT_M}
        matches, refusals = engine.nearest_many(**ask), engine.refusals_many(**ask)
        for i, order in enumerate(rows.tolist()):
            answer, point = answers[order], matches.point_ids()[i][0]
            assert answer["point_id"] == point
            assert answer["distance_m"] == (None if point is None else matches.distance_m[i, 0])
            assert answer["status"] == ("matched" if point else REASONS[refusals.code[i]])
            assert answer["version"] == engine.version
    assert summary.n_matched == sum(answer["status"] == "matched" for answer in answers)
    assert sum(summary.n_by_reason.values()) + summary.n_matched == 1_500


@pytest.mark.parametrize("seed", [11, 12])
def test_consume__serves_the_first_come_first(tmp_path: Path, seed: int) -> None:
    engine, orders = scarce_city(seed)
    units = engine.units()
    out = tmp_path / "answers.csv"
    match_file(engine, _write(orders, tmp_path / "o.csv"), out, consume=True, terms=Terms(max_distance_m=LIMIT_M))
    assert np.array_equal(engine.units(), units)

    candidates: list[list[int]] = [[] for _ in range(1_500)]
    nearest, reason = [-1] * 1_500, [""] * 1_500
    for features, rows in _by_features(orders):
        ask = _ask(orders, rows) | {"features": features, "max_distance_m": LIMIT_M}
        matches = engine.nearest_many(**ask, k=engine.n_rows, require=("open", "serves"))
        refusals = engine.refusals_many(**ask, units=np.full(engine.n_rows, -1))
        for i, order in enumerate(rows.tolist()):
            candidates[order] = [row for row in matches.row[i].tolist() if row >= 0]
            nearest[order], reason[order] = int(refusals.row[i]), REASONS[refusals.code[i]]
    asked = [at.isoformat() if at else "later" for at in orders["asked_at"].to_pylist()]
    quantity = [int(units) for units in orders["quantity"].to_numpy()]
    turn = sorted(range(1_500), key=lambda order: (asked[order], order))
    served, left = brute_in_turn(turn, candidates, quantity, units.tolist())

    names = engine.point_ids(np.arange(engine.n_rows))
    answers = _read(out)
    assert len(served) > 100
    for order, row in served.items():
        assert (answers[order]["status"], answers[order]["point_id"]) == ("matched", names[row])
    n_full = 0
    for order, at_the_turn in left.items():
        expected, there = reason[order], nearest[order]
        if expected in {"matched", "too_far"} and -1 < at_the_turn[there] < quantity[order]:
            expected = "full"
            n_full += 1
        assert answers[order]["status"] == expected
    assert n_full > 20


def test_consume__takes_ties_as_they_come(tmp_path: Path) -> None:
    always: dict[str, Any] = {"hours": ["24/7"], "timezone": "UTC"}
    engine = Engine.from_columns(["a"], ["retail/pickup"], [0.0], [0.0], capacity=[3], **always)
    at, early, late = "2026-03-01T12:00:00Z", "2026-03-01T09:00:00+08:00", "2026-03-01T09:30:00Z"
    lines = [
        "order_id,lat,lng,offer,at,asked_at,quantity",
        f"late,0,0,retail/pickup,{at},{late},1",
        "silent,0,0,retail/pickup,,,1",
        f"big,0,0,retail/pickup,{at},{early},2",
        f"second,0,0,retail/pickup,{at},{early},2",
        f"third,0,0,retail/pickup,{at},{early},1",
    ]
    (tmp_path / "o.csv").write_text("\n".join(lines))
    match_file(engine, tmp_path / "o.csv", tmp_path / "a.csv", consume=True)
    statuses = {answer["order_id"]: answer["status"] for answer in _read(tmp_path / "a.csv")}
    assert statuses == {"late": "full", "silent": "full", "big": "matched", "second": "full", "third": "matched"}


def test_consume__without_asked_at_goes_by_the_file(tmp_path: Path) -> None:
    engine = Engine.from_columns(["a"], ["retail/pickup"], [0.0], [0.0], capacity=[1])
    (tmp_path / "o.csv").write_text("order_id,lat,lng,offer\nb,0,0,retail/pickup\na,0,0,retail/pickup\n")
    match_file(engine, tmp_path / "o.csv", tmp_path / "a.csv", consume=True)
    assert [answer["status"] for answer in _read(tmp_path / "a.csv")] == ["matched", "full"]


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".ndjson"])
@pytest.mark.parametrize("consume", [False, True])
def test_match_file__of_no_orders_writes_no_answers(tmp_path: Path, suffix: str, consume: bool) -> None:
    engine = Engine.from_columns([], [], [], [])
    (tmp_path / "o.csv").write_text("order_id,lat,lng,offer\n")
    summary = match_file(engine, tmp_path / "o.csv", tmp_path / f"a{suffix}", consume=consume)
    assert (summary.n_orders, summary.n_by_reason) == (0, {})
    assert _read(tmp_path / f"a{suffix}") == []


def test_match_file__keeps_the_account_of_bad_rows(tmp_path: Path) -> None:
    engine = Engine.from_columns(["a"], ["retail/pickup"], [0.0], [0.0])
    rows = ["good,0,0,retail/pickup,x"] + ["bad,91,0,retail/pickup,y"] * 30 + ["last,0,0,laundry/pickup,z"]
    (tmp_path / "o.csv").write_text("\n".join(["order_id,lat,lng,offer,note", *rows]))
    summary = match_file(engine, tmp_path / "o.csv", tmp_path / "a.ndjson", report=tmp_path / "r.json")
    assert [answer["order_id"] for answer in _read(tmp_path / "a.ndjson")] == ["good", "last"]
    report = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    assert [bad["row"] for bad in report["bad_rows"]] == list(range(3, 33))
    assert report["summary"]["n_bad_rows"] == summary.n_bad_rows == 30
    assert (summary.n_orders, summary.n_matched, summary.n_by_reason) == (32, 1, {"no_offer": 1})
    assert len(summary.first_bad_rows) == 20
    assert summary.ignored_columns == ["note"]


class _FullDisk(io.StringIO):
    def flush(self) -> None:
        raise OSError(errno.ENOSPC, "told by the system")


def test_bad_rows__name_the_report_where_its_disk_is_full(tmp_path: Path) -> None:
    bad = BadRows(tmp_path / "o.csv", strict=False, report=(tmp_path / "r.json", _FullDisk()))
    bad.add([BadRow(3, "lat must be a number")])
    with pytest.raises(BadFileError, match=r"r\.json: cannot be written: No space left"):
        bad.finish({})


def test_strict__stops_at_the_first_bad_row_and_writes_nothing(tmp_path: Path) -> None:
    engine = Engine.from_columns(["a"], ["retail/pickup"], [0.0], [0.0])
    (tmp_path / "o.csv").write_text("order_id,lat,lng,offer\na,0,0,retail/pickup\nb,x,0,retail/pickup\nc,0\n")
    (tmp_path / "a.csv").write_text("as it was")
    with pytest.raises(BadFileError, match=r"o\.csv, row 3: lat must be a number"):
        match_file(engine, tmp_path / "o.csv", tmp_path / "a.csv", strict=True, report=tmp_path / "r.json")
    assert (tmp_path / "a.csv").read_text() == "as it was"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "o.csv"]


def test_match_file__writes_nothing_of_a_file_that_breaks_off(tmp_path: Path) -> None:
    engine = Engine.from_columns(["a"], ["retail/pickup"], [0.0], [0.0])
    n = 300_000
    zeros: Any = np.zeros(n)
    ids: Any = np.arange(n)
    table = pa.table({"order_id": ids, "lat": zeros, "lng": zeros, "offer": ["a/b"] * n})
    pq.write_table(table, tmp_path / "o.parquet", row_group_size=50_000, use_dictionary=False)
    content = bytearray((tmp_path / "o.parquet").read_bytes())
    page = pq.read_metadata(tmp_path / "o.parquet").row_group(4).column(0).data_page_offset
    content[page : page + 100] = bytes(100)
    (tmp_path / "o.parquet").write_bytes(content)
    shares: list[float] = []
    with pytest.raises(BadFileError, match="cannot be read"):
        match_file(
            engine,
            tmp_path / "o.parquet",
            tmp_path / "a.csv",
            progress=lambda _stage, share, _rows: shares.append(share),
        )
    assert 0.0 < max(shares) < 1.0  # it was on its way
    assert [path.name for path in tmp_path.iterdir()] == ["o.parquet"]


def test_csv_answers__cannot_be_run_by_a_spreadsheet(tmp_path: Path) -> None:
    engine = Engine.from_columns(["@point, 1"], ["retail/pickup"], [0.0], [0.0])
    (tmp_path / "o.ndjson").write_text(
        "".join(
            json.dumps({"order_id": order_id, "lat": 0, "lng": 0, "offer": "retail/pickup"}) + "\n"
            for order_id in ("=cmd()", "'=x", "-5", 'say "no"', "plain")
        )
    )
    match_file(engine, tmp_path / "o.ndjson", tmp_path / "a.csv")
    answers = _read(tmp_path / "a.csv")
    assert [answer["order_id"] for answer in answers] == ["'=cmd()", "''=x", "-5", 'say "no"', "plain"]
    assert {answer["point_id"] for answer in answers} == {"'@point, 1"}


def test_match_in_turn__is_the_same_however_features_alternate(tmp_path: Path) -> None:
    engine = Engine.from_columns(
        ["lift", "stairs"], ["retail/pickup"] * 2, [0.0, 0.1], [0.0, 0.0], capacity=[2, 2], features=[{"lift"}, None]
    )
    wants = ["", "lift", "", "lift", ""]
    lines = [f"{i},0,0,retail/pickup,{features}" for i, features in enumerate(wants)]
    (tmp_path / "o.csv").write_text("\n".join(["order_id,lat,lng,offer,features", *lines]))
    match_file(engine, tmp_path / "o.csv", tmp_path / "a.csv", consume=True)
    answers = _read(tmp_path / "a.csv")
    assert [answer["point_id"] for answer in answers] == ["lift", "lift", "stairs", None, "stairs"]
    assert answers[3]["status"] == "full"

"""Orders files of every format: the good rows become the same orders, each bad one gets its row and reason."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from service.errors import BadFileError
from service.matching.checks import check_orders
from service.matching.columns import BadRow, Orders
from service.matching.order_files import BATCH_ROWS, open_orders

GOOD: dict[str, Any] = {
    "order_id": "good",
    "lat": "31.2",
    "lng": "121.5",
    "offer": "retail/pickup",
    "at": "2026-03-01T18:30:00+08:00",
    "asked_at": "2026-03-01T10:00:00.25Z",
    "quantity": "2",
    "features": "lift;cold_locker",
}
TYPED = GOOD | {"lat": 31.2, "lng": 121.5, "quantity": 2, "features": ["lift", "cold_locker"]}

# What is wrong in a cell of CSV, and what is said of it.
BAD_CELLS = [
    ({"order_id": ""}, "order_id is empty"),
    ({"order_id": "a\x00b"}, "order_id must have no control characters"),
    ({"order_id": "a\nb"}, "order_id must have no control characters"),
    ({"order_id": "a\u202eb"}, "order_id must have no control characters"),  # turns the direction of writing
    ({"order_id": "x" * 257}, "order_id must have at most 256 characters"),
    ({"order_id": b"\xff"}, "order_id must be UTF-8"),
    ({"lat": "91"}, "lat must be in [-90, 90], got 91.0"),
    ({"lat": "-90.0001"}, "lat must be in [-90, 90], got -90.0001"),
    ({"lat": "1e300"}, "lat must be in [-90, 90], got 1e+300"),
    ({"lat": "1e999"}, "lat must be in [-90, 90], got inf"),
    ({"lat": "nan"}, "lat must be in [-90, 90], got nan"),
    ({"lat": "121.47", "lng": "31.23"}, "swapped with lng?"),
    ({"lat": ""}, "lat is empty"),
    ({"lat": "1_0"}, "lat must be a number in degrees, got '1_0'"),
    ({"lat": " 1"}, "lat must be a number in degrees, got ' 1'"),
    ({"lat": "\u0663"}, "lat must be a number in degrees"),  # three in Arabic digits
    ({"lat": "0x10"}, "lat must be a number in degrees"),
    ({"lng": "180.0001"}, "lng must be in [-180, 180], got 180.0001"),
    ({"lng": "1000"}, "lng must be in [-180, 180], got 1000.0"),
    ({"lng": "inf"}, "lng must be in [-180, 180], got inf"),
    ({"offer": ""}, "offer is empty"),
    ({"offer": "retail"}, 'offer must be "sector/mode"'),
    ({"offer": "Retail/Pickup"}, 'offer must be "sector/mode"'),
    ({"at": "2026-03-01T18:30:00"}, "at must be a time such as"),
    ({"at": "2026-03-01T18:30:00"}, "it has no offset"),
    ({"at": "9999-01-01T00:00:00Z"}, "at must be"),
    ({"at": "2100-01-01T00:00:00Z"}, "at must be from 1970 to 2099"),
    ({"at": "1969-12-31T23:59:59Z"}, "at must be from 1970 to 2099"),
    ({"at": "2027-02-29T10:00:00Z"}, "at must be a time"),
    ({"at": "2026-03-01T10:00:60Z"}, "at must be a time"),
    ({"at": "2026-03-01T24:00:00Z"}, "at must be a time"),
    ({"at": "tomorrow"}, "at must be a time"),
    ({"at": ""}, "asked_at needs at"),
    ({"asked_at": "2026-03-01T18:30"}, "asked_at must be a time"),
    ({"quantity": "0"}, "quantity must be a whole number of at least 1, got '0'"),
    ({"quantity": "-1"}, "quantity must be a whole number"),
    ({"quantity": "1.0"}, "quantity must be a whole number"),
    ({"quantity": "1e2"}, "quantity must be a whole number"),
    ({"quantity": "0x10"}, "quantity must be a whole number"),
    ({"quantity": "1" + "0" * 23}, "quantity must be a whole number"),
    ({"features": "lift;"}, "features must be keys"),
    ({"features": "lift; curbside"}, "features must be keys"),
]
# The same for values with a type: NDJSON and, where the types allow it, Parquet.
BAD_VALUES = [
    ({"lat": True}, "lat must be a number in degrees, got True"),
    ({"lat": "31.2"}, "lat must be a number in degrees, got '31.2'"),
    ({"lat": 10**400}, "lat must be a number in degrees"),
    ({"lat": None}, "lat is empty"),
    ({"order_id": 1.5}, "order_id must be text"),
    ({"order_id": "\ud800"}, "order_id must be text"),  # a lone surrogate
    ({"at": 1_772_000_000}, "at must be text"),
    ({"quantity": 1.0}, "quantity must be a whole number"),
    ({"quantity": "1"}, "quantity must be a whole number"),
    ({"quantity": True}, "quantity must be a whole number"),
    ({"quantity": 10**23}, "quantity must be a whole number"),
    ({"quantity": 0}, "quantity must be a whole number of at least 1, got 0"),
    ({"features": "lift"}, "features must be a list"),
    ({"features": [None]}, "features must be a list"),
    ({"features": ["a b;c"]}, "features must be keys"),  # one key: only CSV has them in one cell
    ({"features": [""]}, "features must be keys"),
    ({"features": [" "]}, "features must be keys"),
]


def _csv_line(order: dict[str, Any]) -> bytes:
    cells = [value if isinstance(value, bytes) else str(value).encode() for value in order.values()]
    return b",".join(b'"' + cell + b'"' for cell in cells) + b"\n"


def _csv(path: Path, orders: list[dict[str, Any]]) -> Path:
    path.write_bytes(",".join(orders[0]).encode() + b"\n" + b"".join(map(_csv_line, orders)))
    return path


def _ndjson(path: Path, orders: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(order) + "\n" for order in orders), encoding="utf-8")
    return path


def _read(path: Path, **options: Any) -> tuple[list[Orders], list[BadRow]]:
    batches, bad = [], []
    with open_orders(path) as source:
        for raw in source:
            orders, faults = check_orders(raw, **options)
            batches.append(orders)
            bad += faults
        assert source.share_read() == 1.0
    return batches, bad


def _ids(batches: list[Orders]) -> list[str]:
    return [str(order_id) for orders in batches for order_id in orders.order_id.to_pylist()]


@pytest.mark.parametrize(("change", "reason"), BAD_CELLS)
def test_csv__tells_row_and_reason_of_a_bad_cell_and_goes_on(
    tmp_path: Path, change: dict[str, Any], reason: str
) -> None:
    batches, bad = _read(_csv(tmp_path / "o.csv", [GOOD, GOOD | change, GOOD | {"order_id": "after"}]))
    assert _ids(batches) == ["good", "after"]
    assert [row for row, _ in bad] == [3]  # the header is row 1
    assert reason in bad[0].reason
    assert "\n" not in bad[0].reason
    assert "\x00" not in bad[0].reason


@pytest.mark.parametrize(("change", "reason"), BAD_VALUES)
def test_ndjson__tells_row_and_reason_of_a_bad_value_and_goes_on(
    tmp_path: Path, change: dict[str, Any], reason: str
) -> None:
    batches, bad = _read(_ndjson(tmp_path / "o.ndjson", [TYPED, TYPED | change, TYPED | {"order_id": "after"}]))
    assert [row for row, _ in bad] == ([2] if reason else [])
    assert _ids(batches) == (["good", "after"] if reason else ["good", "good", "after"])
    assert all(reason in fault.reason for fault in bad)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "must be JSON"),
        ("[1]", "must be a JSON object"),
        ("null", "must be a JSON object"),
        ('{"lat": NaN}', "which has no NaN"),
        ('{"lat": 1, "lat": 2}', "each member once"),
        ("[" * 100_000, "must be JSON"),
        ('{"note": "' + "x" * 300_000 + '"}', "a line of at most 262144 bytes"),
        ('{"quantity": ' + "9" * 5_000 + "}", "must be JSON"),
    ],
)
def test_ndjson__tells_row_and_reason_of_a_line_without_an_order(tmp_path: Path, line: str, reason: str) -> None:
    path = tmp_path / "o.ndjson"
    good = json.dumps(TYPED)
    path.write_text(f"{good}\n\n{line}\n{good}\n", encoding="utf-8")
    batches, bad = _read(path)
    assert _ids(batches) == ["good", "good"]
    assert [row for row, _ in bad] == [3]
    assert reason in bad[0].reason


def test_ndjson__takes_bytes_that_are_not_utf8_for_a_bad_row(tmp_path: Path) -> None:
    path = tmp_path / "o.ndjson"
    path.write_bytes(b'{"order_id": "\xff"}\n' + json.dumps(TYPED).encode())
    batches, bad = _read(path)
    assert _ids(batches) == ["good"]
    assert "UTF-8" in bad[0].reason


@pytest.mark.parametrize(
    ("column", "values", "reason"),
    [
        ("order_id", pa.array([None, "a"]), "order_id is empty"),
        ("lat", pa.array([float("nan"), 1.0]), "lat must be in [-90, 90], got nan"),
        ("lat", pa.array([None, 1.0]), "lat is empty"),
        ("lat", pa.array([91, 1], pa.int32()), "lat must be in [-90, 90], got 91.0"),
        ("offer", pa.array(["retail", "retail/pickup"]).dictionary_encode(), 'offer must be "sector/mode"'),
        ("at", pa.array([dt.datetime(2026, 3, 1), None]), "at must have an offset or zone"),  # noqa: DTZ001
        ("at", pa.array(["2026-03-01T10:00:00", None]), "it has no offset"),
        ("at", pa.array([2**62, 0], pa.timestamp("ms", "UTC")), "at must be from 1970 to 2099"),
        ("quantity", pa.array([0, None]), "quantity must be a whole number of at least 1, got 0"),
        ("quantity", pa.array([2**64 - 1, 1], pa.uint64()), "quantity must be a whole number"),
        ("quantity", pa.array([1.0, None]), "quantity must be a whole number of at least 1, got 1.0"),
        ("quantity", pa.array([Decimal("1.5"), Decimal(2)]), "quantity must be a whole number of at least 1, got 1.5"),
        ("quantity", pa.array([Decimal(10**30), Decimal(2)]), "quantity must be a whole number"),
        ("features", pa.array([["a", None], ["a"]]), "features must be keys"),
        ("features", pa.array([[1], []]), "features must be keys"),
    ],
)
def test_parquet__tells_row_and_reason_of_a_bad_value(
    tmp_path: Path, column: str, values: pa.Array[Any], reason: str
) -> None:
    columns: dict[str, Any] = {
        "order_id": ["a", "b"],
        "lat": [1.0, 2.0],
        "lng": [1.0, 2.0],
        "offer": ["retail/pickup"] * 2,
    }
    pq.write_table(pa.table({**columns, column: values}), tmp_path / "o.parquet")
    batches, bad = _read(tmp_path / "o.parquet")
    assert [row for row, _ in bad] == [1]
    assert reason in bad[0].reason
    assert len(_ids(batches)) == 1


@pytest.mark.parametrize("column", ["lat", "lng"])
def test_parquet__does_not_take_text_for_degrees(tmp_path: Path, column: str) -> None:
    columns: dict[str, Any] = {
        "order_id": ["a"],
        "lat": [1.0],
        "lng": [1.0],
        "offer": ["retail/pickup"],
        column: ["1.0"],
    }
    pq.write_table(pa.table(columns), tmp_path / "o.parquet")
    assert f"{column} must be a number in degrees, got '1.0'" in _read(tmp_path / "o.parquet")[1][0].reason


def _parquet(path: Path, orders: list[dict[str, Any]]) -> Path:
    times = {name: [dt.datetime.fromisoformat(order[name]) for order in orders] for name in ("at", "asked_at")}
    columns = {name: [order[name] for order in orders] for name in orders[0]}
    pq.write_table(pa.table({**columns, **times}), path)
    return path


def test_formats__give_the_same_orders(tmp_path: Path) -> None:
    files = [
        _csv(tmp_path / "o.csv", [GOOD]),
        _ndjson(tmp_path / "o.ndjson", [TYPED]),
        _parquet(tmp_path / "o.parquet", [TYPED]),
    ]
    for path in files:
        batches, bad = _read(path)
        orders = batches[0]
        assert not bad
        assert orders.order_id.to_pylist() == ["good"]
        assert (orders.lat[0], orders.lng[0], orders.quantity[0]) == (31.2, 121.5, 2)
        assert orders.offers[orders.offer[0]] == "retail/pickup"
        assert orders.feature_sets[orders.wants[0]] == {"lift", "cold_locker"}
        assert orders.at[0] == np.datetime64("2026-03-01T10:30:00")
        assert orders.asked_at[0] == np.datetime64("2026-03-01T10:00:00.25")


def test_empty_cells__leave_out_what_may_be_left_out(tmp_path: Path) -> None:
    empty = GOOD | dict.fromkeys(("at", "asked_at", "quantity", "features"), "")
    (orders,), bad = _read(_csv(tmp_path / "o.csv", [empty]))
    assert not bad
    assert np.isnat(orders.at[0])
    assert np.isnat(orders.asked_at[0])
    assert orders.quantity[0] == 1
    assert orders.feature_sets[orders.wants[0]] == frozenset()


def test_poles_and_the_antimeridian__are_places(tmp_path: Path) -> None:
    orders = [GOOD | {"lat": "90", "lng": "180"}, GOOD | {"lat": "-90", "lng": "-180"}]
    (batch,), bad = _read(_csv(tmp_path / "o.csv", orders))
    assert not bad
    assert batch.lat.tolist() == [90.0, -90.0]


def test_csv__counts_rows_over_torn_and_empty_ones_and_blocks(tmp_path: Path) -> None:
    line = _csv_line(GOOD).decode()
    lines = [",".join(GOOD) + "\n"]
    expected = {}
    for row in range(2, 60_000):
        if row % 7_001 == 0:
            expected[row] = "must have 8 cells, got 2"
            lines.append("torn,1\n")
        elif row % 5_003 == 0:
            lines.append("\n")
        elif row % 6_007 == 0:
            expected[row] = "lat must be a number"
            lines.append(line.replace("31.2", "x"))
        else:
            lines.append(line)
    (tmp_path / "o.csv").write_text("".join(lines), encoding="utf-8-sig")
    batches, bad = _read(tmp_path / "o.csv")
    assert len(batches) > 1
    assert [row for row, _ in bad] == list(expected)
    assert all(expected[row] in reason for row, reason in bad)


def test_csv__lets_a_column_without_meaning_hold_line_breaks(tmp_path: Path) -> None:
    (tmp_path / "o.csv").write_text(
        'order_id,note,lat,lng,offer\r\na,"x\r\ny, z",1,2,retail/pickup\r\nb,,1,2,retail\r\n'
    )
    batches, bad = _read(tmp_path / "o.csv")
    assert _ids(batches) == ["a"]
    assert [row for row, _ in bad] == [3]
    with open_orders(tmp_path / "o.csv") as source:
        assert source.ignored() == ["note"]


def test_csv__takes_off_the_apostrophe_that_keeps_a_spreadsheet_from_running_an_id(tmp_path: Path) -> None:
    orders = [GOOD | {"order_id": order_id} for order_id in ("'=1+1", "''@x", "'quoted'", "-5")]
    assert _ids(_read(_csv(tmp_path / "o.csv", orders))[0]) == ["=1+1", "'@x", "'quoted'", "-5"]


def test_large_files__come_in_batches(tmp_path: Path) -> None:
    n = BATCH_ROWS + 1
    zeros: Any = np.zeros(n)
    ids: Any = np.arange(n)
    pq.write_table(
        pa.table({"order_id": ids, "lat": zeros, "lng": zeros, "offer": ["a/b"] * n}), tmp_path / "o.parquet"
    )
    batches, bad = _read(tmp_path / "o.parquet")
    assert not bad
    assert max(map(len, batches)) <= BATCH_ROWS
    assert _ids(batches) == [str(i) for i in range(n)]


def test_datum__is_converted(tmp_path: Path) -> None:
    path = _csv(tmp_path / "o.csv", [GOOD])
    (given,), _ = _read(path)
    (moved,), _ = _read(path, datum="gcj02")
    assert given.lat[0] == 31.2
    assert 1e-3 < abs(moved.lat[0] - 31.2) + abs(moved.lng[0] - 121.5) < 2e-2


def test_files__with_a_header_of_many_names_are_told_at_once_with_a_few(tmp_path: Path) -> None:
    names = [f"n{i}" for i in range(200_000)]
    for header, reason in (([*names, *names], "has the column 'n0, "), (names, "lacks the column order_id, ")):
        (tmp_path / "o.csv").write_text(",".join(header))
        with pytest.raises(BadFileError, match=reason) as error, open_orders(tmp_path / "o.csv"):
            pass
        assert len(error.value.reason) < 300


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("o.csv", b"", "cannot be read"),
        ("o.csv", b"order_id,lat,lng\na,1,2\n", "lacks the column offer"),
        ("o.csv", b"order_id,lat,lat,lng,offer\n", "has the column 'lat' more than once"),
        ("o.csv", b"\xff\xfe,b\n", "cannot be read: the header must be in UTF-8"),  # as a spreadsheet's UTF-16
        ("o.csv", b"order_id,lat,lng,offer,\xfc\n", "cannot be read: the header must be in UTF-8"),
        ("o.csv", b"\r\norder_id,lat,lng,offer\na,1,2,a/b\n", "the first line must be the header, and is empty"),
        ("o.parquet", b"PAR1", "cannot be read"),
        ("o.xlsx", b"", "must end in one of"),
        ("absent.csv", None, "cannot be read"),
    ],
)
def test_files__that_cannot_be_read_are_told(tmp_path: Path, name: str, content: bytes | None, reason: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(BadFileError, match=name) as error, open_orders(tmp_path / name) as source:
        list(source)
    assert reason in error.value.reason
    assert error.value.row is None

"""Demand files: the good rows are read, the bad ones named."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from geo import convert_datum
from service.errors import BadFileError
from service.planning.demand_file import read_demand


def _write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_read_demand__reads_csv_and_parquet_alike(tmp_path: Path) -> None:
    text = _write(tmp_path / "d.csv", "name,lng,lat,weight,区\na,121.5,31.2,10,静安区\nb,121.4,31.1,0.5,\n")
    columns: dict[str, Any] = {
        "lat": [31.2, 31.1],
        "lng": [121.5, 121.4],
        "weight": [10.0, 0.5],
        "区": ["静安区", None],
    }
    pq.write_table(pa.table(columns), tmp_path / "d.parquet")
    for path in (text, tmp_path / "d.parquet"):
        demand = read_demand(path, label_column="区")
        assert demand.lat.tolist() == [31.2, 31.1]
        assert demand.lng.tolist() == [121.5, 121.4]
        assert demand.weight.tolist() == [10.0, 0.5]
        assert demand.labels is not None
        assert demand.labels.tolist() == ["静安区", None]
        assert demand.bad == ()


def test_read_demand__turns_datums(tmp_path: Path) -> None:
    path = _write(tmp_path / "d.csv", "lat,lng,weight\n31.2,121.5,1\n")
    demand = read_demand(path, datum="gcj02")
    assert (demand.lat[0], demand.lng[0]) == convert_datum(31.2, 121.5, source="gcj02", target="wgs84")


def test_read_demand__names_bad_rows_by_their_line_and_goes_on(tmp_path: Path) -> None:
    rows = [
        "lat,lng,weight",
        "1,2,3",  # good
        "91,2,3",  # out of range
        "1,x,3",  # no number
        "1,2,-1",  # negative
        "1,2,",  # empty
        "1,2",  # too few
        "1,2,3,4",  # too many
        "1,2,nan",
        "1,2,inf",
        "1,2,1_000",
        "1,2,1e308",  # two of these are infinite
        "",
        "5,6,7",  # good
    ]
    demand = read_demand(_write(tmp_path / "d.csv", "\n".join(rows) + "\n"))
    assert demand.weight.tolist() == [3.0, 7.0]
    assert [error.row for error in demand.bad] == [3, 4, 5, 6, 7, 8, 9, 10, 11, 12]
    assert str(demand.bad[0]) == f"{tmp_path / 'd.csv'}, row 3: lat must be a number in [-90, 90], got '91'"
    assert "must have 3 fields as the header has, got 2" in str(demand.bad[4])


def test_read_demand__names_rows_that_cannot_be_taken_apart_and_goes_on(tmp_path: Path) -> None:
    text = 'lat,lng,weight,note\n1,2,3,"a" b\n1,2,4,c\n1,2,5,"\n' + "x" * 200_000 + '"\n1,2,6,d\n1,2,7,"open\n1,2,8,e\n'
    demand = read_demand(_write(tmp_path / "d.csv", text))
    assert demand.weight.tolist() == [4.0, 6.0]
    assert [error.row for error in demand.bad] == [2, 4, 7]
    assert all("cannot be taken apart" in error.reason for error in demand.bad)


def test_read_demand__names_rows_that_are_no_utf_8_where_they_are_read(tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_bytes(
        b"lat,lng,weight,name,note\n1,2,3,a,\xff\n1,2,4,\xe5,b\n\xff\xfe,2,5,c,\n1,2,6,\xe5\xae\xb6,d\n"
    )
    demand = read_demand(tmp_path / "d.csv", label_column="name")
    assert demand.weight.tolist() == [3.0, 6.0]
    assert demand.labels is not None
    assert demand.labels.tolist() == ["a", "家"]
    assert [str(error) for error in demand.bad] == [
        f"{tmp_path / 'd.csv'}, row {row}: must be in UTF-8" for row in (3, 4)
    ]


def test_read_demand__names_bad_rows_of_parquet_from_1(tmp_path: Path) -> None:
    pq.write_table(pa.table({"lat": [1.0, None], "lng": [1.0, 2.0], "weight": [1, 2]}), tmp_path / "d.parquet")
    (bad,) = read_demand(tmp_path / "d.parquet").bad
    assert bad.row == 2
    assert bad.reason == "lat must be a number in [-90, 90], got None"


def test_read_demand__takes_decimals_for_numbers(tmp_path: Path) -> None:
    columns = {"lat": ["31.2", "91", "31.1"], "lng": ["121.5", "121.4", "121.3"], "weight": ["10.25", "1", "7"]}
    decimals = {name: [Decimal(text) for text in texts] for name, texts in columns.items()}
    pq.write_table(pa.table({**decimals, "ward": decimals["weight"]}), tmp_path / "d.parquet")
    demand = read_demand(tmp_path / "d.parquet", label_column="ward")
    assert (demand.lat.tolist(), demand.lng.tolist()) == ([31.2, 31.1], [121.5, 121.3])
    assert demand.weight.tolist() == [10.25, 7.0]
    assert [(one.row, one.reason) for one in demand.bad] == [(2, "lat must be a number in [-90, 90], got 91.0")]


def test_read_demand__counts_lines_inside_quotes(tmp_path: Path) -> None:
    path = _write(tmp_path / "d.csv", 'lat,lng,weight,note\n1,2,3,"two\nlines"\n1,2,x,\n')
    assert [error.row for error in read_demand(path).bad] == [4]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("d.csv", b"lat,lon,weight\n", "lacks the column lng; it has 'lat, lon, weight'"),
        ("d.csv", b"lat,lng,weight,weight\n", "has the column 'weight' more than once"),
        ("d.csv", b"", "lacks the column lat, lng, weight; it has none"),
        ("d.csv", b"lat,lng,weight,\xff\n1,1,2,3\n", "the header must be in UTF-8"),
        ("d.csv", "lat,lng,weight\n1,1,2\n".encode("utf-16"), "the header must be in UTF-8"),
        ("d.parquet", b"not parquet", "cannot be read as Parquet"),
        ("d.xlsx", b"", "must end in one of .csv, .parquet"),
    ],
)
def test_read_demand__refuses_what_is_no_demand(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadFileError, match=message):
        read_demand(tmp_path / name)


def test_read_demand__takes_a_header_of_many_names_at_once_and_tells_few(tmp_path: Path) -> None:
    names = [f"n{i}" for i in range(200_000)]
    path = _write(tmp_path / "d.csv", ",".join(["lat,lng,weight", *names]))
    assert read_demand(path).weight.size == 0
    for header, reason in (([*names, *names], "has the column 'n0, "), (names, "lacks the column lat, ")):
        with pytest.raises(BadFileError, match=reason) as error:
            read_demand(_write(path, ",".join(header)))
        assert len(error.value.reason) < 300


def test_read_demand__refuses_a_column_of_parquet_that_is_there_twice(tmp_path: Path) -> None:
    table = pa.table([pa.array([1.0])] * 4, names=["lat", "lng", "weight", "weight"])
    pq.write_table(table, tmp_path / "d.parquet")
    with pytest.raises(BadFileError, match="has the column 'weight' more than once"):
        read_demand(tmp_path / "d.parquet")


def test_read_demand__refuses_a_name_of_a_parquet_column_that_is_no_utf_8(tmp_path: Path) -> None:
    path = tmp_path / "d.parquet"
    pq.write_table(pa.table({"lat": [1.0], "lng": [2.0], "weight": [3.0], "Strase": [4]}), path)
    path.write_bytes(path.read_bytes().replace(b"Strase", b"Stra\xdfe"))
    with pytest.raises(BadFileError, match="cannot be read as Parquet"):
        read_demand(path)


def test_read_demand__takes_a_number_for_the_label_too(tmp_path: Path) -> None:
    text = _write(tmp_path / "d.csv", "lat,lng,weight\n1,2,3\n4,5,6\n")
    pq.write_table(pa.table({"lat": [1, 4], "lng": [2, 5], "weight": [3, 6]}), tmp_path / "d.parquet")
    for path in (text, tmp_path / "d.parquet"):
        demand = read_demand(path, label_column="weight")
        assert demand.weight.tolist() == [3.0, 6.0]
        assert demand.labels is not None
        assert demand.labels.tolist() == ["3", "6"]


def test_read_demand__refuses_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(BadFileError, match="cannot be read"):
        read_demand(tmp_path / "none.csv")


def test_read_demand__of_no_rows_is_empty(tmp_path: Path) -> None:
    demand = read_demand(_write(tmp_path / "d.csv", "lat,lng,weight\n"))
    assert demand.columns["lat"].shape == (0,)
    assert demand.weight.dtype == np.float64

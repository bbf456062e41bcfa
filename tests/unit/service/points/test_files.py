from __future__ import annotations

import csv
import json
import struct
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely

from engine.norms import load_norms
from geo.datums import convert_datum
from service.errors import BadFileError
from service.points.engine import engine_from_table
from service.points.files import read_points, write_points
from service.points.schema import POINT_SCHEMA

GOOD = {"point_id": "a", "offer": "retail/pickup", "lat": "31.2", "lng": "121.5"}
SQUARE = "POLYGON ((121 31, 121 32, 122 32, 122 31, 121 31))"


def _csv(folder: Path, *rows: dict[str, str], name: str = "points.csv") -> Path:
    path = folder / name
    header = list(dict.fromkeys(key for row in rows for key in row))
    with path.open("w", encoding="utf-8", errors="surrogateescape", newline="") as target:
        writer = csv.DictWriter(target, header, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return path


def _full_table() -> pa.Table:
    rows: list[dict[str, Any]] = [
        {"point_id": "a", "offer": "retail/pickup", "radius_m": 500.0, "hours": "PH,Mo-Fr 09:00-18:00", "capacity": 0,
         "lead_s": 60, "features": "brand:A & B;lift", "kind": "store", "name": "小店", "visibility": "unlisted"},
        {"point_id": "a", "offer": "retail/delivery", "area": shapely.to_wkb(shapely.from_wkt(SQUARE)),
         "visibility": "public", "synthetic": True},
        {"point_id": "=1+2", "offer": "a/b", "name": "'=x", "address": '"q", 1', "name_en": "-5", "name_ko": "가",
         "visibility": "internal", "hours": "24/7"},
    ]  # fmt: skip
    common = {"lat": 31.2, "lng": 121.50000000000001, "timezone": "Asia/Shanghai", "country": "CN", "synthetic": False}
    return pa.Table.from_pylist([common | row for row in rows], schema=POINT_SCHEMA)


@pytest.mark.parametrize("name", ["p.csv", "p.parquet", "p.geojson", "p.json", "P.CSV"])
def test_write_points__is_read_back_as_it_was(tmp_path: Path, name: str) -> None:
    table = _full_table()
    write_points(table, tmp_path / name)
    held = read_points(tmp_path / name, strict=True)
    assert held.table.to_pylist() == table.to_pylist()
    assert held.table.schema == POINT_SCHEMA
    assert held.zone_origin == {"column": 3, "place": 0, "nowhere": 0}


def test_write_points__writes_no_cell_that_a_spreadsheet_runs(tmp_path: Path) -> None:
    write_points(_full_table(), tmp_path / "p.csv")
    with (tmp_path / "p.csv").open(encoding="utf-8", newline="") as source:
        cells = [cell for row in csv.reader(source) for cell in row]
    assert "'=1+2" in cells
    assert "''=x" in cells
    assert not [cell for cell in cells if cell[:1] in tuple("=+-@\t\r")]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\uff1d", "\uff20"])  # the last two are = and @ in full width
def test_write_points__escapes_every_start_of_a_formula(tmp_path: Path, start: str) -> None:
    row = dict(_full_table().to_pylist()[0], name=f"{start}cmd()")
    table = pa.Table.from_pylist([row], schema=POINT_SCHEMA)
    write_points(table, tmp_path / "p.csv")
    assert f"'{start}cmd()" in (tmp_path / "p.csv").read_text(encoding="utf-8")
    assert read_points(tmp_path / "p.csv").table["name"].to_pylist() == [f"{start}cmd()"]


BAD_CELLS = [
    ({"lat": "1_0"}, "lat must be a number in degrees, got '1_0'"),
    ({"lat": " 31.2"}, "lat must be a number in degrees, got ' 31.2'"),
    ({"lat": "\u0663\u0661"}, "lat must be a number in degrees"),  # Arabic digits
    ({"lat": "\uff13\uff11"}, "lat must be a number in degrees"),  # digits in full width
    ({"lat": ""}, "lat is empty"),
    ({"lat": "true"}, "lat must be a number"),
    ({"lat": "nan"}, r"lat must be in \[-90, 90\]"),
    ({"lng": "inf"}, r"lng must be in \[-180, 180\]"),
    ({"lat": "1e999"}, r"lat must be in \[-90, 90\]"),
    ({"lat": "-90.0001"}, r"lat must be in \[-90, 90\], got -90.0001"),
    ({"lng": "180.0001"}, r"lng must be in \[-180, 180\]"),
    ({"lat": "121.5", "lng": "31.2"}, "swapped with lng"),
    ({"point_id": ""}, "point_id is empty"),
    ({"point_id": "a\x00b"}, "point_id must have no control characters"),
    ({"point_id": "a\nb"}, "point_id must have no control characters"),
    ({"point_id": "a\u202eb"}, "point_id must have no control characters"),
    ({"point_id": "a" * 257}, "point_id must have at most 256"),
    ({"point_id": "a\udcffb"}, "point_id must be UTF-8"),  # a byte that is no UTF-8
    ({"offer": "retail"}, 'offer must be "sector/mode"'),
    ({"offer": "Retail/pickup"}, 'offer must be "sector/mode"'),
    ({"offer": ""}, "offer is empty"),
    ({"area": "POLYGON ((0 0, 1 1, 0 1, 1 0, 0 0))"}, "area must"),
    ({"area": "circle"}, "area must"),
    ({"area": "POINT (1 2)"}, "area must"),
    ({"area": SQUARE, "radius_m": "5"}, "must have an area or a radius_m"),
    ({"radius_m": "-1"}, "radius_m must be a number from 0"),
    ({"radius_m": "1e9"}, "radius_m must be a number from 0"),
    ({"radius_m": "nan"}, "radius_m must be a number from 0"),
    ({"radius_m": "5 m"}, "radius_m must be a number from 0"),
    ({"hours": "9 to 5"}, "hours must be an opening_hours expression"),
    ({"timezone": "Asia/Nowhere"}, "timezone must be an IANA time zone"),
    ({"country": "cn"}, "country must be an ISO 3166 code"),
    ({"capacity": "-1"}, "capacity must be a whole number"),
    ({"capacity": "1.0"}, "capacity must be a whole number"),
    ({"capacity": "1e2"}, "capacity must be a whole number"),
    ({"capacity": "9" * 24}, "capacity must be a whole number"),
    ({"capacity": str(2**62 + 1)}, f"capacity must be a whole number from 0 to {2**62}, got '{2**62 + 1}'"),
    ({"lead_s": "1_0"}, "lead_s must be a whole number"),
    ({"lead_s": "316224001"}, "lead_s must be a whole number from 0 to 316224000, got '316224001'"),
    ({"features": "a;;b"}, "features must be keys"),
    ({"features": "a\x07"}, "features must have no control characters"),
    ({"kind": "stall"}, "kind must be one of store"),
    ({"visibility": "secret"}, "visibility must be one of public"),
    ({"synthetic": "maybe"}, "synthetic must be true or false"),
    ({"name": "a\tb"}, "name must have no control characters"),
    ({"name": "x" * 1_001}, "name must have at most 1000"),
    ({"point_id": "ok", "lat": "30"}, "must be at one place"),
    ({"point_id": "ok", "lat": "31.2"}, "must name an offer once"),
]


@pytest.mark.parametrize(("cells", "reason"), BAD_CELLS)
def test_read_points__names_the_bad_row_and_keeps_the_others(
    tmp_path: Path, cells: dict[str, str], reason: str
) -> None:
    good = GOOD | {"point_id": "ok"}
    path = _csv(tmp_path, good, GOOD | cells, GOOD | {"point_id": "last"})
    held = read_points(path)
    assert held.table["point_id"].to_pylist() == ["ok", "last"]
    [bad] = held.bad
    assert (bad.file, bad.row) == (path, 3)
    with pytest.raises(BadFileError, match=reason):
        read_points(path, strict=True)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param("", "lacks the column point_id, offer, lat, lng; it has none", id="empty"),
        pytest.param("point_id,offer,lat\n", "lacks the column lng", id="a column missing"),
        pytest.param("point_id,offer,lat,lng,lat\n", "has the column 'lat' more than once", id="a column twice"),
    ],
)
def test_read_points__names_what_the_header_lacks(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "p.csv").write_text(text)
    with pytest.raises(BadFileError, match=reason):
        read_points(tmp_path / "p.csv")


def test_read_points__takes_a_header_of_many_names_at_once_and_tells_few(tmp_path: Path) -> None:
    names = [f"n{i}" for i in range(200_000)]
    path = tmp_path / "p.csv"
    path.write_text(",".join(["point_id,offer,lat,lng", *names]))
    assert read_points(path).ignored == tuple(names)
    for header, reason in (([*names, *names], "has the column 'n0, "), (names, "lacks the column point_id, ")):
        path.write_text(",".join(header))
        with pytest.raises(BadFileError, match=reason) as error:
            read_points(path)
        assert len(error.value.reason) < 300


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
def test_read_points__refuses_a_header_that_is_no_utf_8(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "p.csv").write_text("point_id,offer,lat,lng,Straße\n", encoding=encoding)
    with pytest.raises(BadFileError, match="the header must be in UTF-8"):
        read_points(tmp_path / "p.csv")


def test_read_points__refuses_a_name_of_a_parquet_column_that_is_no_utf_8(tmp_path: Path) -> None:
    path = _parquet(tmp_path, Strase=[1, 2])
    path.write_bytes(path.read_bytes().replace(b"Strase", b"Stra\xdfe"))
    with pytest.raises(BadFileError, match="cannot be read: 'utf-8' codec"):
        read_points(path)


@pytest.mark.parametrize("name", ["absent.csv", "absent.parquet", "absent.geojson", "text.parquet", "text.geojson"])
def test_read_points__names_a_file_it_cannot_read(tmp_path: Path, name: str) -> None:
    for kind in ("parquet", "geojson"):
        (tmp_path / f"text.{kind}").write_text("hello")
    with pytest.raises(BadFileError, match=name):
        read_points(tmp_path / name)


def test_read_points__takes_torn_rows_alone(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_text(
        '\ufeffpoint_id,offer,lat,lng,note\na,a/b,1,2,x\nb,a/b,1\n\n,,,,\nc,a/b,1,2,"two\nlines"\n', encoding="utf-8"
    )
    held = read_points(path)
    assert held.table["point_id"].to_pylist() == ["a", "c"]
    assert [(bad.row, bad.reason) for bad in held.bad] == [(3, "must have 5 cells, got 3")]
    assert held.ignored == ("note",)


def test_read_points__goes_on_after_a_cell_without_end(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_text(f'point_id,offer,lat,lng\na,a/b,1,2\n"{"x" * 200_000}\nc,a/b,1,2\n')
    held = read_points(path)
    assert held.table["point_id"].to_pylist() == ["a", "c"]
    assert [bad.row for bad in held.bad] == [3]


@pytest.mark.parametrize(
    ("lines", "bad"),
    [
        pytest.param(["a,a/b,1,2,", 'b,a/b,1,2,"x', "c,a/b,1,2,"], (3, "lines 3 to 4 cannot"), id="to the end"),
        pytest.param(["a,a/b,1,2,", 'b,a/b,1,2,"x', 'c,a/b,1,2,"y"'], (3, "lines 3 to 4 cannot"), id="to the next one"),
        pytest.param(['"b","a/b","1","2","x', '"c","a/b","1","2",""', "a,a/b,1,2,"], (2, "lines 2 to 3 cannot"), id="all quoted"),
        pytest.param(["a,a/b,1,2,", 'b,a/b,1,2,"x" y'], (3, "cannot be taken apart"), id="in one line"),
        pytest.param(['a,a/b,1,2,"two\nlines"', 'b,a/b,1,2,"x', "c,a/b,1,2,"], (3, "lines 4 to 5 cannot"), id="after two lines"),
    ],
)  # fmt: skip
def test_read_points__tells_what_a_quote_without_end_swallows(
    tmp_path: Path, lines: list[str], bad: tuple[int, str]
) -> None:
    path = tmp_path / "p.csv"
    path.write_text("\n".join(["point_id,offer,lat,lng,note", *lines, ""]))
    held = read_points(path)
    assert held.table["point_id"].to_pylist() == ["a"]
    [error] = held.bad
    assert (error.row, error.reason.startswith(bad[1])) == (bad[0], True)
    assert held.bad_points == {None}  # any point may be in those lines


def test_read_points__looks_up_zone_and_country_where_nothing_tells_them(tmp_path: Path) -> None:
    rows = [GOOD | {"point_id": "a"}, GOOD | {"point_id": "b", "timezone": "Asia/Urumqi", "country": "HK"}]
    path = _csv(tmp_path, *rows)
    held = read_points(path)
    assert held.table["timezone"].to_pylist() == ["Asia/Shanghai", "Asia/Urumqi"]
    assert held.table["country"].to_pylist() == ["CN", "HK"]
    assert held.zone_origin == held.country_origin == {"column": 1, "place": 1, "nowhere": 0}
    told = read_points(path, timezone="Europe/Helsinki", country="FI")
    assert told.table["timezone"].to_pylist() == ["Europe/Helsinki", "Asia/Urumqi"]
    assert told.country_origin == {"column": 1, "option": 1}


def test_read_points__refuses_hours_where_no_zone_is(tmp_path: Path) -> None:
    sea = GOOD | {"lat": "0", "lng": "-140"}
    rows = (
        sea,
        sea | {"point_id": "b", "hours": "24/7"},
        sea | {"point_id": "c", "hours": "PH off", "timezone": "UTC"},
    )
    held = read_points(_csv(tmp_path, *rows))
    assert [(bad.row, bad.reason.split(":")[0]) for bad in held.bad] == [
        (3, "hours need a timezone"),
        (4, "hours with PH need a country"),
    ]
    assert held.table["timezone"].to_pylist() == [None]


def test_read_points__lets_norms_stand_in_only_where_no_area_is_told(tmp_path: Path) -> None:
    rows = [
        GOOD,
        GOOD | {"point_id": "b", "radius_m": "70"},
        GOOD | {"point_id": "c", "area": SQUARE},
        GOOD | {"point_id": "d", "area": "everywhere"},
        GOOD | {"point_id": "e", "offer": "recycling/onsite"},
        GOOD | {"point_id": "f", "offer": "ticketing/ticket"},
    ]
    path = _csv(tmp_path, *rows)
    norms = load_norms()
    radii = [norms.offer("retail/pickup").radius_m, 70.0, None, None, None, norms.offer("ticketing/ticket").radius_m]
    held = read_points(path, norms=norms)
    assert held.table["radius_m"].to_pylist() == radii
    assert held.default_areas == {"retail/pickup": 1, "ticketing/ticket": 1}
    assert read_points(path).table["radius_m"].to_pylist() == [None, 70.0, None, None, None, None]
    write_points(held.table, tmp_path / "p.parquet")
    assert read_points(tmp_path / "p.parquet", norms=norms).table["radius_m"].to_pylist() == radii


def test_read_points__turns_places_and_areas_into_wgs84(tmp_path: Path) -> None:
    rows = (GOOD | {"area": SQUARE}, GOOD | {"point_id": "b"})
    held = read_points(_csv(tmp_path, *rows), datum="gcj02")
    lat, lng = convert_datum(31.2, 121.5, source="gcj02", target="wgs84")
    assert held.table["lat"].to_pylist() == [lat, lat]
    assert held.table["lng"].to_pylist() == [lng, lng]
    corners = shapely.get_coordinates(shapely.from_wkb(held.table["area"][0].as_py()))
    corner = convert_datum(31.0, 121.0, source="gcj02", target="wgs84")
    assert np.abs(corners - [corner[1], corner[0]]).sum(axis=1).min() < 1e-12


def _parquet(folder: Path, **columns: Any) -> Path:
    path = folder / "p.parquet"
    base: dict[str, Any] = {"point_id": ["a", "b"], "offer": ["a/b"] * 2, "lat": [1.0, 2.0], "lng": [3.0, 4.0]}
    pq.write_table(pa.table(base | columns), path)
    return path


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"lat": [float("nan"), 1.0]}, "lat must be in"),
        ({"lat": pa.array([None, 1.0])}, "lat is empty"),
        ({"lat": [True, False]}, "lat must be a number"),
        ({"offer": pa.array([b"a/\xff", b"a/b"])}, "offer must be UTF-8"),
        ({"capacity": [0.5, 1.0]}, "capacity must be a whole number"),
        ({"capacity": [True, None]}, "capacity must be a whole number"),
        ({"capacity": [2**62 + 1, 1]}, f"capacity must be a whole number from 0 to {2**62}"),
        ({"capacity": pa.array([2**64 - 1, 1], pa.uint64())}, "capacity must be a whole number"),
        ({"lead_s": [316_224_001, 1]}, "lead_s must be a whole number from 0 to 316224000"),
        ({"lead_s": [4e8, 1.0]}, "lead_s must be a whole number from 0 to 316224000"),
        ({"radius_m": [float("nan"), 1.0]}, "radius_m must be a number"),
        ({"capacity": [Decimal("0.50"), None]}, "capacity must be a whole number .* got 0.50$"),
        ({"capacity": [Decimal(10**30), None]}, "capacity must be a whole number"),
        ({"lead_s": [Decimal("-1.0"), None]}, "lead_s must be a whole number"),
        ({"radius_m": [Decimal("-0.5"), None]}, "radius_m must be a number from 0 to 20100000, got -0.5$"),
        ({"hours": [1, None]}, "hours must be text, got 1"),
        ({"features": [[1], None]}, "features must be a list of texts"),
        ({"features": [["a", None], None]}, "features must be a list of texts"),
        ({"area": [b"hello", None]}, "area must"),
        ({"area": [struct.pack("<BII", 1, 7, 1) * 14_000, None]}, "area must be .* got GeometryCollection"),  # nested
        ({"area": [struct.pack("<BII", 1, 12, 1), None]}, "area must be .* straight edges, got MultiSurface"),
    ],
)
def test_read_points__checks_typed_columns_too(tmp_path: Path, columns: dict[str, Any], reason: str) -> None:
    path = _parquet(tmp_path, **columns)
    assert 1 in {bad.row for bad in read_points(path).bad}
    with pytest.raises(BadFileError, match=reason):
        read_points(path, strict=True)


def test_read_points__takes_what_other_writers_make_of_the_columns(tmp_path: Path) -> None:
    path = _parquet(
        tmp_path,
        point_id=pa.array([7, 8]),
        offer=pa.array(["a/b", "a/b"]).dictionary_encode(),
        lat=pa.array([1.0, 2.0], pa.float32()),
        capacity=[5.0, None],
        lead_s=pa.array([Decimal("60.00"), None], pa.decimal128(20, 2)),
        radius_m=pa.array([None, Decimal("2.5")], pa.decimal256(50, 4)),
        features=[["lift", "cold_locker", "lift"], []],
        area=[SQUARE, None],
    )
    held = read_points(path, strict=True)
    assert held.table["point_id"].to_pylist() == ["7", "8"]
    assert held.table["capacity"].to_pylist() == [5, None]
    assert held.table["lead_s"].to_pylist() == [60, None]
    assert held.table["radius_m"].to_pylist() == [None, 2.5]
    assert held.table["features"].to_pylist() == ["cold_locker;lift", None]
    assert held.table["area"].is_valid().to_pylist() == [True, False]


def test_read_points__takes_what_an_engine_takes(tmp_path: Path) -> None:
    most = GOOD | {"capacity": str(2**62), "lead_s": "316224000"}
    held = read_points(_csv(tmp_path, most), strict=True)
    write_points(held.table, tmp_path / "p.parquet")
    engine = engine_from_table(read_points(tmp_path / "p.parquet", strict=True).table)
    assert engine.explain(31.2, 121.5, "retail/pickup", point="a").point is not None


def _geojson(folder: Path, *features: Any, **document: Any) -> Path:
    path = folder / "p.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": list(features)} | document), encoding="utf-8")
    return path


def _feature(geometry: Any, **properties: Any) -> dict[str, Any]:
    return {"type": "Feature", "geometry": geometry, "properties": {"point_id": "a", "offer": "a/b"} | properties}


POINT = {"type": "Point", "coordinates": [121.5, 31.2]}
POLYGON = {"type": "Polygon", "coordinates": [[[121, 31], [122, 31], [122, 32], [121, 32], [121, 31]]]}


def test_read_points__takes_a_polygon_for_the_area_and_a_place_inside(tmp_path: Path) -> None:
    features = (
        _feature(POLYGON),
        _feature(POLYGON, point_id="b", lat=31, lng=121.25),
        _feature(POINT, point_id=None) | {"id": 5},
    )
    held = read_points(_geojson(tmp_path, *features), strict=True)
    first, second, third = held.table.to_pylist()
    assert shapely.from_wkb(first["area"]).covers(shapely.Point(first["lng"], first["lat"]))
    assert (second["lat"], second["lng"]) == (31.0, 121.25)
    assert (third["point_id"], third["lat"], third["lng"], third["area"]) == ("5", 31.2, 121.5, None)


@pytest.mark.parametrize(
    ("feature", "reason"),
    [
        ("x", "row must be a GeoJSON Feature"),
        (_feature(None), "geometry must be a Point"),
        (_feature({"type": "LineString", "coordinates": []}), "geometry must be a Point"),
        (_feature({"type": "Point", "coordinates": [1]}), "Point must be"),
        (_feature({"type": "Point", "coordinates": ["1", 2]}), "Point must be"),
        (_feature({"type": "Point", "coordinates": [1, 2, 3, 4]}), "Point must be"),
        (_feature({"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [0, 1], [1, 0], [0, 0]]]}), "geometry must"),
        (_feature(POLYGON, area="everywhere"), "area must be left out"),
        (_feature(POINT, capacity="5"), "capacity must be a whole number"),
        (_feature(POINT, capacity=True), "capacity must be a whole number"),
        (_feature(POINT, capacity=10**23), "capacity must be a whole number"),
        (_feature(POINT, radius_m="5"), "radius_m must be a number"),
        (_feature(POINT, synthetic=1), "synthetic must be true or false"),
        (_feature(POINT, name="\ud800"), "name must be text"),
        (_feature(POINT, **{"\ud800": 1}), "properties must be an object with names of Unicode, got '.ud800'"),
        (_feature(POINT, **{"\ud800": None}), "properties must be an object with names of Unicode"),
        (_feature(POINT, features=[1]), "features must be text"),
        (_feature(POINT, offer=None), "offer is empty"),
        (_feature(POINT) | {"properties": []}, "properties must be an object"),
        (_feature(POLYGON, lat=31.5), "lng is empty"),
    ],
)
def test_read_points__names_the_bad_feature_and_keeps_the_others(tmp_path: Path, feature: Any, reason: str) -> None:
    path = _geojson(tmp_path, _feature(POINT, point_id="ok"), feature, _feature(POINT, point_id="last"))
    held = read_points(path)
    assert held.table["point_id"].to_pylist() == ["ok", "last"]
    assert [bad.row for bad in held.bad] == [2]
    with pytest.raises(BadFileError, match=reason):
        read_points(path, strict=True)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"type": "FeatureCollection", "features": [], "crs": {}}', "must not name a crs"),
        ('{"type": "FeatureCollection", "type": "FeatureCollection", "features": []}', "stands twice"),
        ('{"type": "FeatureCollection", "features": [NaN]}', "NaN is no JSON"),
        ('{"type": "FeatureCollection"}', "must have a list of features"),
        ('{"type": "Feature"}', "must be a GeoJSON FeatureCollection"),
        ("[" * 100_000, "must be GeoJSON"),
        ("", "must be GeoJSON"),
    ],
)
def test_read_points__refuses_what_is_no_feature_collection(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "p.geojson").write_text(text)
    with pytest.raises(BadFileError, match=reason):
        read_points(tmp_path / "p.geojson")


def test_read_points__reads_a_file_without_rows(tmp_path: Path) -> None:
    write_points(POINT_SCHEMA.empty_table(), tmp_path / "p.csv")
    write_points(POINT_SCHEMA.empty_table(), tmp_path / "p.geojson")
    for name in ("p.csv", "p.geojson"):
        assert read_points(tmp_path / name, norms=load_norms()).table.num_rows == 0


def test_write_points__leaves_the_old_file_when_a_row_cannot_be_written(tmp_path: Path) -> None:
    path = tmp_path / "p.geojson"
    path.write_text("old")
    table = _full_table()
    broken = table.set_column(2, POINT_SCHEMA.field("lat"), pa.array([1.0, float("nan"), 1.0]))
    with pytest.raises(ValueError, match="JSON"):
        write_points(broken, path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]

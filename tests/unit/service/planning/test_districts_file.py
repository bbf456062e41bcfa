"""District files."""

import json
import zipfile
from pathlib import Path
from typing import Any

import geopandas as gpd
import pyogrio
import pytest
import shapely

from service.errors import BadFileError
from service.planning.districts_file import read_districts

SQUARE = shapely.box(121.0, 31.0, 121.1, 31.1)
OVER_180 = shapely.Polygon([(179, -17), (-179, -17), (-179, -16), (179, -16)])


def _frame(**columns: list[object]) -> gpd.GeoDataFrame:
    return gpd.GeoDataFrame({"adcode": [1], **columns}, geometry=[SQUARE], crs=4326)


def test_read_districts__reads_a_map_that_is_zipped(tmp_path: Path) -> None:
    _frame(name=["静安区"]).to_file(tmp_path / "d.geojson")
    with zipfile.ZipFile(tmp_path / "d.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(tmp_path / "d.geojson", "d.geojson")
    assert read_districts(tmp_path / "d.zip")["district"].tolist() == ["静安区"]


@pytest.mark.parametrize("suffix", [".geojson", ".gpkg"])
def test_read_districts__reads_maps_in_any_crs(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"d{suffix}"
    frame = _frame(name=["静安区"])
    (frame if suffix == ".geojson" else frame.to_crs(32651)).to_file(path)
    districts = read_districts(path)
    assert districts["district"].tolist() == ["静安区"]
    assert districts.geometry.iloc[0].symmetric_difference(SQUARE).area < 1e-9


def test_read_districts__takes_the_column_that_is_named(tmp_path: Path) -> None:
    _frame(name=["静安区"]).to_file(tmp_path / "d.geojson")
    assert read_districts(tmp_path / "d.geojson", name_column="adcode")["district"].tolist() == ["1"]


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (_frame(title=["x"]), "lacks the column district or name; it has adcode, title"),
        (gpd.GeoDataFrame({"name": ["p"]}, geometry=[shapely.Point(1, 2)], crs=4326), "row 1: must be a polygon"),
        (_frame(name=[None]), "row 1: name must name the district, is empty"),
        (_frame(name=[""]), "row 1: name must name the district, is empty"),
        (
            gpd.GeoDataFrame({"name": ["a", "b"]}, geometry=[SQUARE, OVER_180], crs=4326),
            "row 2: must not cross the anti",
        ),
    ],
)
def test_read_districts__refuses_what_is_no_district(tmp_path: Path, frame: gpd.GeoDataFrame, message: str) -> None:
    frame.to_file(tmp_path / "d.geojson")
    with pytest.raises(BadFileError, match=message):
        read_districts(tmp_path / "d.geojson")


def test_read_districts__refuses_what_is_no_map(tmp_path: Path) -> None:
    (tmp_path / "d.geojson").write_text("{}")
    with pytest.raises(BadFileError, match="cannot be read as a map"):
        read_districts(tmp_path / "d.geojson")


def test_read_districts__refuses_metres_of_which_nobody_tells_the_system(tmp_path: Path) -> None:
    _frame(name=["x"]).to_crs(32651).to_file(tmp_path / "d.shp")
    (tmp_path / "d.prj").unlink()
    with pytest.raises(BadFileError, match=r"d\.shp, row 1: must have vertices .* is it in metres"):
        read_districts(tmp_path / "d.shp")


RING = [[24.9, 60.1], [25.0, 60.1], [25.0, 60.2], [24.9, 60.2], [24.9, 60.1]]


def _geojson(folder: Path, ring: list[list[float]], system: Any = None) -> Path:
    crs = None if system is None else {"type": "name", "properties": {"name": system}}
    return _geojson_of(folder, ring, crs)


def _geojson_of(folder: Path, ring: list[list[float]], crs: Any) -> Path:
    geometry = {"type": "Polygon", "coordinates": [ring]}
    feature = {"type": "Feature", "properties": {"name": "x"}, "geometry": geometry}
    path = folder / "d.geojson"
    told = {} if crs is None else {"crs": crs}
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature], **told}))
    return path


def _zipped(path: Path) -> Path:
    with zipfile.ZipFile(path.with_suffix(".zip"), "w", zipfile.ZIP_DEFLATED) as archive:
        archive.mkdir("maps")
        archive.write(path, f"maps/{path.name}")
    return path.with_suffix(".zip")


@pytest.mark.filterwarnings("ignore:Non closed ring")
@pytest.mark.parametrize("ring", [RING[:1], RING[:2], [[float("nan"), 60.1], *RING[1:4], [float("nan"), 60.1]]])
def test_read_districts__refuses_a_ring_that_is_none(tmp_path: Path, ring: list[list[float]]) -> None:
    with pytest.raises(BadFileError, match=r"d\.geojson: cannot be read as a map: "):
        read_districts(_geojson(tmp_path, ring))


@pytest.mark.parametrize(
    ("system", "reason"),
    [
        ("EPSG:5800", "cannot be read as a map: "),  # one without a place on earth
        ("urn:ogc:def:crs:EPSG::999999", "names a coordinate system that is not known: 'urn:"),
        ("GCJ-02", "names a coordinate system that is not known: 'GCJ-02'"),
        ("", "names a coordinate system that is not known: ''"),
    ],
)
def test_read_districts__refuses_a_system_that_nobody_knows(tmp_path: Path, system: str, reason: str) -> None:
    with pytest.raises(BadFileError, match=rf"d\.geojson: {reason}"):
        read_districts(_geojson(tmp_path, RING, system))
    with pytest.raises(BadFileError, match=rf"d\.zip: {reason}"):
        read_districts(_zipped(tmp_path / "d.geojson"))


@pytest.mark.parametrize(
    ("crs", "name"),
    [
        ({"type": "EPSG", "properties": {"code": 999999}}, "EPSG:999999"),
        ({"type": "OGC", "properties": {"urn": "urn:ogc:def:crs:EPSG::999999"}}, "urn:ogc:def:crs:EPSG::999999"),
        ({"type": "link", "properties": {"href": "file:yard.prj", "type": "esriwkt"}}, "file:yard.prj"),
        ({"type": "name", "properties": {"name": 3879}}, "3879"),
        ({"properties": {"name": "EPSG:3879"}}, "EPSG:3879"),  # GDAL wants the type, too
    ],
)
def test_read_districts__refuses_a_system_of_any_form_that_is_passed_over(tmp_path: Path, crs: Any, name: str) -> None:
    with pytest.raises(BadFileError, match=f"names a coordinate system that is not known: '{name}'"):
        read_districts(_geojson_of(tmp_path, RING, crs))


@pytest.mark.parametrize(
    "crs", [{"type": "EPSG", "properties": {"code": 3857}}, {"type": "name", "properties": {"name": "EPSG:3857"}}]
)
def test_read_districts__turns_a_system_of_either_form(tmp_path: Path, crs: Any) -> None:
    ring = shapely.Polygon(RING)
    metres = gpd.GeoSeries([ring], crs=4326).to_crs(3857)[0].exterior.coords
    path = _geojson_of(tmp_path, [list(place) for place in metres], crs)
    for one in (path, _zipped(path)):
        assert read_districts(one).total_bounds.tolist() == pytest.approx([24.9, 60.1, 25.0, 60.2])


def test_read_districts__refuses_a_system_that_is_of_no_place(tmp_path: Path) -> None:
    local = 'LOCAL_CS["yard",UNIT["metre",1],AXIS["East",EAST],AXIS["North",NORTH]]'
    frame = gpd.GeoDataFrame({"name": ["x"]}, geometry=[SQUARE])
    pyogrio.write_dataframe(frame.set_crs(local), tmp_path / "d.gpkg")
    with pytest.raises(BadFileError, match=r"d\.gpkg: cannot be turned into WGS 84: "):
        read_districts(tmp_path / "d.gpkg")


@pytest.mark.parametrize("system", [None, "EPSG:4326", "urn:ogc:def:crs:OGC:1.3:CRS84", "CRS84", "WGS84"])
def test_read_districts__takes_degrees_by_any_of_their_names(tmp_path: Path, system: str | None) -> None:
    path = _geojson(tmp_path, RING, system)
    for one in (path, _zipped(path)):
        assert read_districts(one).total_bounds.tolist() == [24.9, 60.1, 25.0, 60.2]


@pytest.mark.parametrize(
    "crs", [{}, {"type": "name", "properties": {}}, {"type": "EPSG", "properties": {"code": 4326}}]
)
def test_read_districts__takes_degrees_where_nothing_else_is_named(tmp_path: Path, crs: Any) -> None:
    assert read_districts(_geojson_of(tmp_path, RING, crs)).total_bounds.tolist() == [24.9, 60.1, 25.0, 60.2]

from __future__ import annotations

import bz2
import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import osmium
import pytest

from fixtures.extract import helsinki_path
from geo.errors import MapFileError
from geo.osm import MapObject, read_buildings, read_objects, read_streets

KEYS = ("amenity", "shop")


def _nodes(*places: tuple[int, float, float]) -> str:
    return "".join(f'<node id="{number}" lat="{lat}" lon="{lng}" version="1"/>' for number, lat, lng in places)


def _way(number: int, nodes: list[int], **tags: str) -> str:
    return f'<way id="{number}" version="1">{"".join(f"<nd ref={chr(34)}{n}{chr(34)}/>" for n in nodes)}{_tags(tags)}</way>'


def _relation(number: int, ways: list[int], **tags: str) -> str:
    members = "".join(f'<member type="way" ref="{way}" role="outer"/>' for way in ways)
    return f'<relation id="{number}" version="1">{members}{_tags(tags)}</relation>'


def _tags(tags: dict[str, str]) -> str:
    return "".join(f'<tag k="{key.replace("__", ":")}" v="{value}"/>' for key, value in tags.items())


def _write(folder: Path, body: str, name: str = "map.osm") -> Path:
    path = folder / name
    path.write_text(f'<?xml version="1.0" encoding="UTF-8"?><osm version="0.6">{body}</osm>', encoding="utf-8")
    return path


SQUARE = _nodes((1, 0.0, 10.0), (2, 0.0, 10.002), (3, 0.002, 10.002), (4, 0.002, 10.0))
RING = [1, 2, 3, 4, 1]


def _only(path: Path) -> MapObject:
    [found] = read_objects(path, KEYS)
    return found


def _assert_at(item: MapObject, lat: float, lng: float) -> None:
    assert item.lat == pytest.approx(lat)
    assert item.lng == pytest.approx(lng)


def test_read_objects__gives_nodes_ways_and_relations_in_order(tmp_path: Path) -> None:
    tagged = '<node id="9" lat="1.5" lon="2.5" version="1"><tag k="shop" v="面包"/></node>'
    ways = _way(7, RING) + _way(8, RING, amenity="bank")
    path = _write(tmp_path, SQUARE + tagged + ways + _relation(5, [7], type="multipolygon", shop="mall"))
    found = read_objects(path, KEYS)
    assert [item.name for item in found] == ["n9", "w8", "r5"]
    assert found[0] == MapObject("n", 9, {"shop": "面包"}, 1.5, 2.5, None)
    for item in found[1:]:
        _assert_at(item, 0.001, 10.001)


def test_read_objects__gives_only_what_has_a_key(tmp_path: Path) -> None:
    assert read_objects(_write(tmp_path, SQUARE + _way(8, RING, highway="service")), KEYS) == []


def test_read_objects__puts_a_bent_area_inside_itself(tmp_path: Path) -> None:
    corner = _nodes((1, 0, 0), (2, 0, 0.01), (3, 0.001, 0.01), (4, 0.001, 0.001), (5, 0.01, 0.001), (6, 0.01, 0))
    item = _only(_write(tmp_path, corner + _way(8, [1, 2, 3, 4, 5, 6, 1], shop="yes")))
    assert item.lat is not None
    assert item.lng is not None
    assert item.lat <= 0.001 or item.lng <= 0.001


def test_read_objects__puts_an_open_way_at_its_middle(tmp_path: Path) -> None:
    item = _only(_write(tmp_path, SQUARE + _way(8, [1, 2, 3], amenity="bicycle_parking")))
    _assert_at(item, 0.0, 10.002)


EAST, WEST = 179.999, -179.998
ACROSS = _nodes((1, 0.0, EAST), (2, 0.0, WEST), (3, 0.002, WEST), (4, 0.002, EAST))
SPLIT = _nodes((5, 0.0, 180), (6, 0.002, 180), (7, 0.0, -180), (8, 0.002, -180))
FAR = "".join(
    _nodes(*((4 * i + j, lat, lng + east) for j, (lat, east) in enumerate([(0, 0), (0, 2), (1, 2), (1, 0)])))
    for i, lng in enumerate((-101, -1, 99), 5)
)


@pytest.mark.parametrize(
    ("body", "lat", "lng"),
    [
        pytest.param(ACROSS + _way(8, RING, shop="yes"), 0.001, -179.9995, id="closed way"),
        pytest.param(ACROSS + _way(8, [2, 1], shop="yes"), 0.0, -179.9995, id="open way"),
        pytest.param(
            ACROSS + _way(7, RING) + _relation(8, [7], type="multipolygon", shop="yes"), 0.001, -179.9995, id="relation"
        ),
        pytest.param(
            ACROSS + SPLIT + _way(6, [1, 5, 6, 4, 1]) + _way(7, [7, 2, 3, 8, 7])
            + _relation(8, [6, 7], type="multipolygon", shop="yes"), 0.001, -179.9995, id="relation that is split there",
        ),
        pytest.param(
            FAR + "".join(_way(i, [4 * i + j for j in (0, 1, 2, 3, 0)]) for i in (5, 6, 7))
            + _relation(8, [5, 6, 7], type="multipolygon", shop="yes"), 0.5, 0.0, id="parts all over the earth",
        ),
    ],
)  # fmt: skip
def test_read_objects__puts_what_is_across_180_degrees_there(tmp_path: Path, body: str, lat: float, lng: float) -> None:
    _assert_at(_only(_write(tmp_path, body)), lat, lng)


@pytest.mark.parametrize(
    ("body", "gap"),
    [
        pytest.param(SQUARE + _way(8, [1, 2, 3, 99, 1], shop="yes"), "nodes_missing", id="way cut by the edge"),
        pytest.param(_way(8, [], shop="yes"), "nodes_missing", id="way without nodes"),
        pytest.param(_relation(8, [7], type="multipolygon", shop="yes"), "parts_missing", id="members missing"),
        pytest.param(SQUARE + _way(7, RING) + _relation(8, [7], type="site", shop="yes"), "not_an_area", id="site"),
        pytest.param('<node id="8" version="1"><tag k="shop" v="yes"/></node>', "location_invalid", id="no place"),
    ],
)
def test_read_objects__reports_what_has_no_place(tmp_path: Path, body: str, gap: str) -> None:
    item = _only(_write(tmp_path, body))
    assert (item.id, item.lat, item.lng, item.gap) == (8, None, None, gap)


def test_read_objects__reads_gzip_as_plain(tmp_path: Path) -> None:
    path = _write(tmp_path, SQUARE + _way(8, RING, shop="yes"))
    packed = tmp_path / "map.osm.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert read_objects(packed, KEYS) == read_objects(path, KEYS)


HELSINKI = helsinki_path().read_bytes()


@pytest.mark.parametrize(("suffix", "pack"), [(".OSM", bytes), (".Osm.GZ", gzip.compress), (".OSM.BZ2", bz2.compress)])
def test_read_objects__reads_xml_in_any_letters(tmp_path: Path, suffix: str, pack: Callable[[bytes], bytes]) -> None:
    path = _write(tmp_path, SQUARE + _way(8, RING, shop="yes"))
    (tmp_path / f"same{suffix}").write_bytes(pack(path.read_bytes()))
    assert read_objects(tmp_path / f"same{suffix}", KEYS) == read_objects(path, KEYS)


@pytest.mark.parametrize("suffix", [".OSM.PBF", ".Pbf"])
def test_every_reader__reads_pbf_in_any_letters(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"helsinki{suffix}"
    path.write_bytes(HELSINKI)
    assert read_objects(path, KEYS) == read_objects(helsinki_path(), KEYS)
    assert read_streets(path).highway == read_streets(helsinki_path()).highway
    assert read_buildings(path).osm_id == read_buildings(helsinki_path()).osm_id


def _broken(folder: Path, name: str, content: bytes | None) -> Path:
    path = folder / name
    if content is not None:
        path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        pytest.param("absent.osm.pbf", None, "no such file", id="missing"),
        pytest.param("text.osm.pbf", b"hello", "cannot be read", id="no PBF"),
        pytest.param("empty.osm.pbf", b"", "cannot be read", id="empty"),
        pytest.param("cut.osm.pbf", HELSINKI[:300_000], "broken off", id="truncated PBF"),
        pytest.param("cut.osm", b'<osm version="0.6"><node id="1"', "broken off", id="truncated XML"),
        pytest.param("cut.osm.gz", gzip.compress(HELSINKI)[:50_000], "cannot be read", id="truncated gzip"),
        pytest.param("page.osm", b"<html></html>", "cannot be read", id="other XML"),
        pytest.param("map.txt", b"", "must end in", id="suffix"),
    ],
)
def test_read_objects__names_a_file_it_cannot_read(
    tmp_path: Path, name: str, content: bytes | None, reason: str
) -> None:
    path = _broken(tmp_path, name, content)
    for read in (lambda: read_objects(path, KEYS), lambda: read_streets(path), lambda: read_buildings(path)):
        with pytest.raises(MapFileError, match=reason) as caught:
            read()
        assert caught.value.argument == str(path)


def test_every_reader__names_a_file_with_a_text_that_is_no_utf_8(tmp_path: Path) -> None:
    path = tmp_path / "map.osm.pbf"
    tags = dict.fromkeys(("shop", "highway", "building"), "Straxe")
    with osmium.SimpleWriter(osmium.io.File(str(path), "pbf,pbf_compression=none")) as writer:
        for number, place in enumerate([(10.0, 0.0), (10.002, 0.0), (10.002, 0.002)], 1):
            writer.add_node(osmium.osm.mutable.Node(id=number, location=place, version=1))
        writer.add_way(osmium.osm.mutable.Way(id=8, nodes=[1, 2, 3, 1], version=1, tags=tags))
    path.write_bytes(path.read_bytes().replace(b"Straxe", b"Stra\xdfe"))
    for read in (lambda: read_objects(path, KEYS), lambda: read_streets(path), lambda: read_buildings(path)):
        with pytest.raises(MapFileError, match="must be in UTF-8") as caught:
            read()
        assert caught.value.argument == str(path)


def test_read_objects__refuses_a_history_file_and_a_folder(tmp_path: Path) -> None:
    path = tmp_path / "map.osm"
    path.write_text('<osmChange version="0.6"></osmChange>', encoding="utf-8")
    with pytest.raises(MapFileError, match="history"):
        read_objects(path, KEYS)
    (tmp_path / "folder.osm").mkdir()
    with pytest.raises(MapFileError, match="is a folder"):
        read_objects(tmp_path / "folder.osm", KEYS)


def test_read_objects__says_that_a_file_must_be_sorted(tmp_path: Path) -> None:
    path = _write(tmp_path, SQUARE + _way(9, RING, shop="yes") + _way(8, RING, shop="yes"))
    with pytest.raises(MapFileError, match="must be sorted"):
        read_objects(path, KEYS)


def test_read_streets__cuts_a_way_where_nodes_are_missing(tmp_path: Path) -> None:
    body = SQUARE + _way(8, [1, 2, 99, 3, 4, 98, 1], highway="residential", name="Gata") + _way(9, [4, 97], highway="x")
    streets = read_streets(_write(tmp_path, body))
    assert streets.way_id.tolist() == [8, 8]
    assert (streets.highway, streets.name) == (["residential"] * 2, ["Gata"] * 2)
    assert streets.offsets.tolist() == [0, 2, 4]
    np.testing.assert_allclose(streets.lat, [0.0, 0.0, 0.002, 0.002])
    np.testing.assert_allclose(streets.lng, [10.0, 10.002, 10.002, 10.0])


def test_read_streets__leaves_out_areas_and_other_ways(tmp_path: Path) -> None:
    body = SQUARE + _way(8, RING, highway="pedestrian", area="yes") + _way(9, RING, building="yes")
    streets = read_streets(_write(tmp_path, body))
    assert streets.offsets.tolist() == [0]
    assert streets.lat.shape == streets.lng.shape == (0,)


def test_read_buildings__measures_footprints_on_the_ellipsoid(tmp_path: Path) -> None:
    body = SQUARE + _way(8, RING, building="apartments", building__levels="5") + _way(9, [1, 2, 99, 1], building="yes")
    buildings = read_buildings(_write(tmp_path, body))
    assert (buildings.osm_id, buildings.kind, buildings.n_without_area) == (["w8"], ["apartments"], 1)
    # 0.002 degrees of the equator by as many of the meridian there: 222.639 m by 221.149 m
    assert buildings.area_m2[0] == pytest.approx(222.639 * 221.149, rel=1e-5)
    assert buildings.levels.tolist() == [5.0]
    assert 0.0 < buildings.lat[0] < 0.002
    assert 10.0 < buildings.lng[0] < 10.002


def test_read_buildings__measures_footprints_across_180_degrees(tmp_path: Path) -> None:
    body = ACROSS + _way(8, RING, building="yes")
    buildings = read_buildings(_write(tmp_path, body))
    # 0.003 degrees of the equator by 0.002 of the meridian there
    assert buildings.area_m2[0] == pytest.approx(1.5 * 222.639 * 221.149, rel=1e-5)
    assert abs(buildings.lng[0]) > 179.9
    assert abs(buildings.lng[0]) <= 180.0


@pytest.mark.parametrize("levels", ["", "four", "-1", "0", "1e999", "nan"])
def test_read_buildings__takes_no_levels_from_what_is_no_number(tmp_path: Path, levels: str) -> None:
    body = SQUARE + _way(8, RING, building="yes", building__levels=levels)
    assert np.isnan(read_buildings(_write(tmp_path, body)).levels).all()


def test_read_buildings__leaves_out_what_is_said_to_be_none(tmp_path: Path) -> None:
    buildings = read_buildings(_write(tmp_path, SQUARE + _way(8, RING, building="no")))
    assert (buildings.osm_id, buildings.n_without_area) == ([], 0)
    assert buildings.area_m2.shape == (0,)

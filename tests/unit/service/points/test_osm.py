from __future__ import annotations

from pathlib import Path

import pytest

from fixtures.extract import helsinki_path
from service.points.osm import OsmPoints, points_from_osm
from service.points.tags import load_tag_table


def _node(number: int, **tags: str) -> str:
    told = "".join(f'<tag k="{key.replace("__", ":")}" v="{value}"/>' for key, value in tags.items())
    return f'<node id="{number}" lat="60.17" lon="24.94" version="1">{told}</node>'


def _read(folder: Path, *nodes: str, known: tuple[str, ...] = (), refused: tuple[str, ...] = ()) -> OsmPoints:
    path = folder / "map.osm"
    path.write_text(f'<osm version="0.6">{"".join(nodes)}</osm>', encoding="utf-8")
    return points_from_osm(path, load_tag_table(), known=known, refused=refused)


def _column(points: OsmPoints, name: str) -> list[object]:
    return points.raw.columns[name].to_pylist()


def test_points__have_a_row_for_each_offer_in_order(tmp_path: Path) -> None:
    points = _read(tmp_path, _node(2, amenity="restaurant"), _node(5, shop="kiosk"))
    assert list(zip(_column(points, "point_id"), _column(points, "offer"), strict=True)) == [
        ("osm:n2", "food_service/delivery"),
        ("osm:n2", "food_service/pickup"),
        ("osm:n5", "retail/pickup"),
    ]
    assert points.object_of == ["osm:n2", "osm:n2", "osm:n5"]
    assert set(_column(points, "synthetic")) == {False}


def test_points__have_names_in_four_tongues(tmp_path: Path) -> None:
    node = _node(1, shop="kiosk", name="Kioski", name__zh="小店", name__ko="가게", name__en="Kiosk")
    points = _read(tmp_path, node, _node(2, shop="kiosk", brand="R", name__zh_Hans="x"))
    names = {name: _column(points, name) for name in ("name", "name_zh", "name_ko", "name_en")}
    assert names == {
        "name": ["Kioski", "R"],
        "name_zh": ["小店", None],
        "name_ko": ["가게", None],
        "name_en": ["Kiosk", None],
    }


@pytest.mark.parametrize(
    ("tags", "address"),
    [
        ({"street": "Aleksanterinkatu", "housenumber": "5", "city": "Helsinki", "postcode": "00100"},
         "Aleksanterinkatu 5, 00100 Helsinki"),
        ({"street": "中关村大街", "housenumber": "1号", "city": "北京", "district": "海淀区"}, "北京海淀区中关村大街1号"),
        ({"street": "세종대로", "housenumber": "110", "city": "서울"}, "서울 세종대로 110"),
        ({"full": "Hall 3"}, "Hall 3"),
        ({"place": "Katajanokka"}, "Katajanokka"),
        ({"city": "Helsinki"}, None),
    ],
)  # fmt: skip
def test_points__have_an_address_in_one_line(tmp_path: Path, tags: dict[str, str], address: str | None) -> None:
    node = _node(1, shop="kiosk", **{f"addr__{key}": value for key, value in tags.items()})
    assert _column(_read(tmp_path, node), "address") == [address]


def test_points__tell_known_unknown_malformed_and_worded_hours_apart(tmp_path: Path) -> None:
    hours = ("Mo-Fr 09:00-18:00", None, "9 to 5", "&quot;by appointment&quot;", "24/7")
    nodes = [
        _node(number, shop="kiosk", **({} if text is None else {"opening_hours": text}))
        for number, text in enumerate(hours, 1)
    ]
    points = _read(tmp_path, *nodes)
    assert _column(points, "hours") == ["Mo-Fr 09:00-18:00", None, None, None, "24/7"]
    assert dict(points.hours) == {"known": 2, "unknown": 1, "malformed": 1, "in_words": 1}
    assert [(fault.object, fault.hours) for fault in points.malformed] == [("osm:n3", "9 to 5")]
    assert [fault.object for fault in points.in_words] == ["osm:n4"]


def test_points__account_for_every_object_by_reason_and_key(tmp_path: Path) -> None:
    nodes = [
        _node(1, shop="kiosk", amenity="atm"),
        _node(2, amenity="bench"),
        _node(3, amenity="bench", opening_hours="24/7"),
        _node(4, tourism="museum"),
        _node(5, tourism="hotel"),
        _node(6, tourism="museum", office="company"),
    ]
    points = _read(tmp_path, *nodes)
    assert list(points.taken) == ["osm:n1", "osm:n4", "osm:n6"]
    assert points.besides == {"osm:n4"}
    assert points.left == {"street_furniture": 2}
    assert points.left_tags == {"street_furniture": {"amenity=bench": 2}}
    assert points.left_with_hours == 1
    assert points.keys == {
        "amenity": {"taken": 1, "left": 2},
        "shop": {"taken": 1},
        "craft": {},
        "office": {"taken": 1},
    }


def test_points__leave_what_an_earlier_source_has_and_what_was_refused(tmp_path: Path) -> None:
    nodes = [_node(number, shop="kiosk") for number in (1, 2, 3)]
    points = _read(tmp_path, *nodes, known=("osm:n1",), refused=("osm:n2",))
    assert list(points.taken) == ["osm:n3"]
    assert points.left == {"seen_before": 1, "unusable": 1}


def test_points__leave_what_has_no_place_only_if_it_would_be_one(tmp_path: Path) -> None:
    ways = '<way id="1" version="1"><nd ref="9"/><tag k="shop" v="kiosk"/></way>'
    ways += '<way id="2" version="1"><nd ref="9"/><tag k="amenity" v="school"/></way>'
    points = _read(tmp_path, ways)
    assert points.left == {"nodes_missing": 1, "public_service": 1}


def test_points__drop_texts_that_cannot_be_shown_in_one_line(tmp_path: Path) -> None:
    nodes = [_node(1, shop="kiosk", name="a&#x202E;b", brand="c&#10;d"), _node(2, shop="kiosk", name="x" * 1_001)]
    points = _read(tmp_path, *nodes)
    assert _column(points, "name") == [None, None]
    assert _column(points, "features") == ["brand:c d", None]
    assert points.unusable_texts == ["osm:n1 name", "osm:n2 name"]


def test_points__are_the_same_each_time() -> None:
    first, second = (points_from_osm(helsinki_path(), load_tag_table()) for _ in range(2))
    assert first.raw.columns == second.raw.columns
    assert first.left == second.left

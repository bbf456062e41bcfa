"""Service areas: every bad one is told why, every good one comes back in one form."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from geo.areas import (
    AreaLimits,
    area_from_geojson,
    area_from_wkb,
    area_from_wkt,
    area_to_geojson,
    areas_from_wkb,
    check_area,
    check_areas,
)
from geo.errors import (
    AntimeridianError,
    EmptyGeometryError,
    GeoError,
    GeometryTooLargeError,
    InvalidGeometryError,
    InvalidLatLngError,
    UnsupportedGeometryError,
)

NAN, INF = math.nan, math.inf
Ring = list[list[float]]
UNIT: Ring = [[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]]


def polygon(*rings: Any) -> dict[str, Any]:
    return {"type": "Polygon", "coordinates": list(rings)}


def multipolygon(*parts: Any) -> dict[str, Any]:
    return {"type": "MultiPolygon", "coordinates": list(parts)}


def box(west: float, south: float, east: float, north: float) -> Ring:
    return [[west, south], [east, south], [east, north], [west, north], [west, south]]


def circle(n: int, radius: float = 0.01, lng: float = 121.5, lat: float = 31.2) -> Ring:
    turns = np.linspace(0.0, 2.0 * np.pi, n, endpoint=False)
    ring = np.column_stack([lng + radius * np.cos(turns), lat + radius * np.sin(turns)]).tolist()
    return [*ring, ring[0]]


def star(n: int) -> Ring:
    """A ring of n vertices that crosses itself about n times."""
    ring = circle(n)[:-1]
    step = n // 2 - 1 + n % 2
    drawn = [ring[i * step % n] for i in range(n)]
    return [*drawn, drawn[0]]


def holes(n: int) -> list[Ring]:
    return [box(0.01 * i + 0.001, 0.4, 0.01 * i + 0.005, 0.5) for i in range(n)]


def split(lng: float = 180.0) -> dict[str, Any]:
    return multipolygon([box(179, 0, lng, 1)], [box(-lng, 0, -179, 1)])


# One row a bad input, by the numbers of the table of bad inputs: (row, GeoJSON, error, what its text names).
BAD: list[tuple[int, Any, type[GeoError], str]] = [
    (33, polygon(UNIT[:-1]), InvalidGeometryError, "closed rings"),  # open ring
    (33, polygon(UNIT, box(0.2, 0.2, 0.4, 0.4)[:-1]), InvalidGeometryError, "closed rings"),  # open hole
    (33, polygon([[0, 0], [1, 0], [0, 0]]), InvalidGeometryError, "at least 4 positions.*got 3"),
    (33, polygon(), InvalidGeometryError, "an empty one"),  # no ring
    (33, polygon([]), InvalidGeometryError, "an empty one"),  # a ring without a position
    (33, multipolygon(), InvalidGeometryError, "an empty one"),
    (33, multipolygon([UNIT], []), InvalidGeometryError, "an empty one"),  # a part without a ring
    (33, {"type": "Polygon"}, InvalidGeometryError, "'coordinates'"),
    (33, {"type": "Polygon", "coordinates": UNIT}, InvalidGeometryError, "nested lists"),  # one level too few
    (33, {"type": "MultiPolygon", "coordinates": [UNIT]}, InvalidGeometryError, "nested lists"),
    (34, polygon([[0, 0], [1, 1], [1, 0], [0, 1], [0, 0]]), InvalidGeometryError, "lng 0.5, lat 0.5"),  # bow-tie
    (34, polygon([[0, 0], [1, 1], [2, 0], [2, 2], [1, 1], [0, 2], [0, 0]]), InvalidGeometryError, "lng 1, lat 1"),
    (34, polygon([[0, 0], [1, 0], [1, 1], [1, 2], [1, 1], [0, 1], [0, 0]]), InvalidGeometryError, "lng 1, lat 1"),
    (35, polygon([[0, 0], [1, 0], [0.5, 0], [0, 0]]), EmptyGeometryError, "at least 1 m2, got 0"),  # a line
    (35, polygon([[1, 1], [1, 1], [1, 1], [1, 1]]), EmptyGeometryError, "at least 1 m2, got 0"),  # a point
    (35, polygon(box(0, 0, 8e-6, 8e-6)), EmptyGeometryError, "at least 1 m2, got 0.79"),
    (35, polygon(box(0, 80, 4e-5, 80 + 1e-5)), EmptyGeometryError, "at least 1 m2, got 0.8588"),  # 5 at the equator
    (36, polygon(circle(2_001)), GeometryTooLargeError, "at most 2000 vertices, got 2001"),
    (36, polygon(star(20_000)), GeometryTooLargeError, "at most 2000 vertices, got 20000"),
    (36, multipolygon([circle(1_500)], [circle(501, lng=10)]), GeometryTooLargeError, "got 2001"),
    (37, polygon([[0, 0], [1, 0], [1, NAN], [0, 0]]), InvalidLatLngError, "lat nan.*vertex 2"),
    (37, polygon([[NAN, 0], [1, 0], [1, 1], [NAN, 0]]), InvalidLatLngError, "lng nan at vertex 0"),
    (37, polygon([[0, 0], [INF, 0], [1, 1], [0, 0]]), InvalidLatLngError, "lng inf at vertex 1"),
    (37, polygon([[0, 0], [10**400, 0], [1, 1], [0, 0]]), InvalidLatLngError, "lng inf at vertex 1"),
    (37, polygon([[0, 0], [1, 0], [1, 95], [0, 0]]), InvalidLatLngError, "lat 95.0.*swapped"),
    (37, polygon([[0, 0], [1, 0], [1, 200], [0, 0]]), InvalidLatLngError, "lat 200.0, lng 1.0 at vertex 2$"),
    (37, polygon([[0, 0], [1000, 0], [1000, 1], [0, 0]]), InvalidLatLngError, "lng 1000.0 at vertex 1"),
    (38, polygon([[179, 0], [-179, 0], [-179, 1], [179, 1], [179, 0]]), AntimeridianError, "RFC 7946, section 3.1.9"),
    (38, polygon(box(179, 0, 181, 1)), AntimeridianError, "RFC 7946, section 3.1.9"),  # the same, beyond 180
    (38, polygon(box(-181, 0, -179, 1)), AntimeridianError, "RFC 7946, section 3.1.9"),
    (38, multipolygon([UNIT], [[[179, 0], [-179, 0], [-179, 1], [179, 0]]]), AntimeridianError, "179.0"),
    (38, split(180.5), AntimeridianError, "lng 179.0 to 180.5"),  # split beside the meridian
    (39, polygon(box(-179.5, 0, 179.5, 10)), AntimeridianError, "lng -179.5 to 179.5"),
    (39, polygon(box(-100, 0, 100, 10)), AntimeridianError, "lng -100.0 to 100.0"),
    (39, polygon(box(-180, -60, 180, 60)), AntimeridianError, "several"),
    (40, polygon([[0, 80], [120, 80], [-120, 80], [0, 80]]), UnsupportedGeometryError, "round a pole"),
    (40, polygon([[0, -80], [-120, -80], [120, -80], [0, -80]]), UnsupportedGeometryError, "round a pole"),
    (40, polygon([[x, 85] for x in (-180, -90, 0, 90, 180, -180)]), UnsupportedGeometryError, "round a pole"),
    (40, polygon([[x, 85] for x in (0, 90, 180, 270, 360, 0)]), UnsupportedGeometryError, "round a pole"),
    (40, polygon(box(-180, 80, 180, 90)), UnsupportedGeometryError, "round a pole"),  # a cap
    (40, multipolygon([box(0, 80, 180, 90)], [box(-180, 80, 0, 90)]), UnsupportedGeometryError, "round a pole"),
    (
        40,  # the same, in parts that meet at the pole alone
        multipolygon(
            [[[0, 90], [10, 80], [170, 80], [180, 90], [0, 90]]],
            [[[0, 90], [-180, 90], [-170, 80], [-10, 80], [0, 90]]],
        ),
        UnsupportedGeometryError,
        "round a pole",
    ),
    (42, polygon(UNIT, box(2, 2, 3, 3)), InvalidGeometryError, "outside shell at lng 2"),
    (42, polygon(UNIT, UNIT), InvalidGeometryError, "holes outside its shell or on it"),  # equal to the shell
    (42, polygon(UNIT, box(0.5, 0.5, 2, 0.7)), InvalidGeometryError, "lng 1"),  # partly outside
    (42, polygon(UNIT, box(0.1, 0.1, 0.6, 0.6), box(0.5, 0.5, 0.9, 0.9)), InvalidGeometryError, "lng 0."),
    (42, polygon(UNIT, *holes(51)), GeometryTooLargeError, "at most 50 holes, got 51"),
    (42, multipolygon([box(0, 0, 2, 2)], [box(1, 1, 3, 3)]), InvalidGeometryError, "parts that overlap"),
    (42, multipolygon([UNIT], [UNIT]), InvalidGeometryError, "parts that overlap"),
    (43, {"type": "GeometryCollection", "geometries": [polygon(UNIT)]}, UnsupportedGeometryError, "GeometryColl"),
    (
        43,
        {"type": "GeometryCollection", "geometries": [{"type": "GeometryCollection", "geometries": []}]},
        UnsupportedGeometryError,
        "type Polygon or MultiPolygon",
    ),
    (43, {**polygon(UNIT), "crs": {"type": "name"}}, UnsupportedGeometryError, "'crs' member"),
    (43, polygon([[*place, 0, 0] for place in UNIT]), UnsupportedGeometryError, "2 or 3 numbers, got 4"),
    (43, {"type": "polygon", "coordinates": [UNIT]}, UnsupportedGeometryError, "got type 'polygon'"),
    (43, {"type": "Point", "coordinates": [0, 0]}, UnsupportedGeometryError, "got type 'Point'"),
    (43, {"type": "Feature", "geometry": polygon(UNIT)}, UnsupportedGeometryError, "got type 'Feature'"),
    (43, {"type": ["Polygon"], "coordinates": [UNIT]}, UnsupportedGeometryError, "got type"),
    (43, {}, UnsupportedGeometryError, "got type None"),
    (43, [UNIT], UnsupportedGeometryError, "a GeoJSON object, got list"),
    (43, None, UnsupportedGeometryError, "a GeoJSON object, got NoneType"),
    (43, "POLYGON ((0 0, 1 0, 1 1, 0 0))", InvalidGeometryError, "no JSON"),
    (43, "[" * 100_000, InvalidGeometryError, "no JSON"),
    (43, "9" * 5_000, InvalidGeometryError, "no JSON"),
    (43, polygon([["0", "0"], ["1", "0"], ["1", "1"], ["0", "0"]]), InvalidGeometryError, "positions of two numbers"),
    (43, polygon([[True, 0], [1, 0], [1, 1], [True, 0]]), InvalidGeometryError, "positions of two numbers"),
    (43, polygon([[0], [1], [2], [0]]), InvalidGeometryError, "positions of two numbers"),
    (43, polygon([0, 1, 2, 0]), InvalidGeometryError, "nested lists"),
    (43, polygon([[0, 0], None, None, [0, 0]]), InvalidGeometryError, "positions of two numbers"),
]


def wkb_head(kind: int, *counts: int, order: str = "<") -> bytes:
    return struct.pack(f"{order}BI{len(counts)}I", order == "<", kind, *counts)


MANY, COLLECTION = wkb_head(6, 1), wkb_head(7, 1)
DEEP = 14_000  # levels that end the stack of a reader that goes down them, and fit into the bytes allowed

# Bad inputs that only a shape, a text or bytes can be.
BAD_FORMS: list[tuple[int, Callable[..., Any], Any, type[GeoError], str]] = [
    (33, check_area, shapely.Polygon(), InvalidGeometryError, "an empty one"),
    (33, check_area, shapely.MultiPolygon(), InvalidGeometryError, "an empty one"),
    (
        33,
        check_area,
        shapely.from_wkt("MULTIPOLYGON (((0 0, 1 0, 1 1, 0 0)), EMPTY)"),
        InvalidGeometryError,
        "an empty",
    ),
    (33, check_area, shapely.from_wkt("POLYGON ((0 0, 1 0, 0 0))"), InvalidGeometryError, "at least 4 positions"),
    (33, area_from_wkt, "POLYGON ((0 0, 1 0, 1 1))", InvalidGeometryError, "closed"),
    (33, area_from_wkt, "POLYGON EMPTY", InvalidGeometryError, "an empty one"),
    (33, area_from_wkt, "", InvalidGeometryError, "WKT of"),
    (33, area_from_wkt, "POLYGON ((0 0, 1 0, 1 1, 0 0)", InvalidGeometryError, "WKT of"),
    (33, area_from_wkb, b"", InvalidGeometryError, "WKB of"),
    (33, area_from_wkb, shapely.to_wkb(shapely.box(0, 0, 1, 1))[:-1], InvalidGeometryError, "WKB of"),
    (33, area_from_wkb, b"\x01\x03\x00\x00\x00\xff\xff\xff\xff", InvalidGeometryError, "WKB of"),
    (36, check_area, shapely.Polygon(star(20_000)), GeometryTooLargeError, "got 20000"),
    (36, area_from_wkt, shapely.Polygon(circle(2_001)).wkt, GeometryTooLargeError, "at most 2000 vertices"),
    (36, area_from_wkt, "POLYGON ((" + "0 0," * 9_000, GeometryTooLargeError, "got more"),  # not even parsed
    (36, area_from_wkb, shapely.Polygon(circle(2_001)).wkb, GeometryTooLargeError, "at most 2000 vertices"),
    (36, area_from_wkb, b"\x01" * 200_000, GeometryTooLargeError, "got more"),
    (37, area_from_wkt, "POLYGON ((0 0, nan 0, 1 1, 0 0))", InvalidLatLngError, "lng nan at vertex 1"),
    (37, area_from_wkt, "POLYGON ((0 0, 1 0, 1 inf, 0 0))", InvalidLatLngError, "lat inf"),
    (
        37,
        area_from_geojson,
        '{"type":"Polygon","coordinates":[[[0,0],[1,NaN],[1,1],[0,0]]]}',
        InvalidLatLngError,
        "nan",
    ),
    (
        37,
        area_from_geojson,
        '{"type":"Polygon","coordinates":[[[0,0],[1,1e999],[1,1],[0,0]]]}',
        InvalidLatLngError,
        "inf",
    ),
    (43, check_area, shapely.Point(0, 0), UnsupportedGeometryError, "got Point"),
    (43, check_area, shapely.GeometryCollection([shapely.box(0, 0, 1, 1)]), UnsupportedGeometryError, "GeometryColl"),
    (43, check_area, shapely.LinearRing([(0, 0), (1, 0), (1, 1)]), UnsupportedGeometryError, "got LinearRing"),
    (43, check_area, None, UnsupportedGeometryError, "got NoneType"),
    (43, check_area, 500.0, UnsupportedGeometryError, "got float"),
    (43, check_area, polygon(UNIT), UnsupportedGeometryError, "got dict"),
    (43, check_area, shapely.set_srid(shapely.box(0, 0, 1, 1), 3857), UnsupportedGeometryError, "SRID 3857"),
    (
        43,
        check_area,
        shapely.from_wkt("POLYGON M ((0 0 1, 1 0 1, 1 1 1, 0 0 1))"),
        UnsupportedGeometryError,
        "measures",
    ),
    (43, area_from_wkt, "POLYGON ZM ((0 0 1 1, 1 0 1 1, 1 1 1 1, 0 0 1 1))", UnsupportedGeometryError, "measures"),
    (43, area_from_wkt, "CURVEPOLYGON ((0 0, 1 0, 1 1, 0 0))", UnsupportedGeometryError, "straight edges"),
    (43, area_from_wkt, b"POLYGON", InvalidGeometryError, "WKT text, got bytes"),
    (43, area_from_wkb, "0103", InvalidGeometryError, "WKB bytes, got str"),
    (
        43,
        area_from_wkb,
        shapely.to_wkb(shapely.set_srid(shapely.box(0, 0, 1, 1), 3857), include_srid=True),
        UnsupportedGeometryError,
        "SRID 3857",
    ),
    (43, area_from_wkb, COLLECTION * DEEP, UnsupportedGeometryError, "got GeometryCollection"),
    (43, area_from_wkb, MANY * DEEP, UnsupportedGeometryError, "parts that are Polygons, got MultiPolygon"),
    (43, area_from_wkb, MANY + COLLECTION * DEEP, UnsupportedGeometryError, "parts that .* got GeometryCollection"),
    (43, area_from_wkb, wkb_head(1007, 1, order=">") * DEEP, UnsupportedGeometryError, "got GeometryCollection"),
    (43, area_from_wkb, wkb_head(0xE0000007, 4326, 1) * 9_000, UnsupportedGeometryError, "got GeometryCollection"),
    (
        43,
        area_from_wkb,
        wkb_head(6, 2) + shapely.box(0, 0, 1, 1).wkb + COLLECTION * DEEP,
        UnsupportedGeometryError,
        "p",
    ),
    (43, area_from_wkb, wkb_head(10, 1), UnsupportedGeometryError, "straight edges, got CurvePolygon"),
    (33, area_from_wkb, (COLLECTION * DEEP).hex().encode()[:120_000], InvalidGeometryError, "WKB of"),  # read by GEOS
    (33, area_from_wkb, wkb_head(99, 1), InvalidGeometryError, "WKB of"),
    (33, area_from_wkb, MANY, InvalidGeometryError, "WKB of"),
    (33, area_from_wkb, MANY + wkb_head(3, 2**32 - 1, 2**32 - 1), InvalidGeometryError, "WKB of"),
    (43, area_from_wkt, "GEOMETRYCOLLECTION(" * 200_000, UnsupportedGeometryError, "got GeometryCollection"),
    (43, area_from_wkt, " \n pointZM (1 2 3 4)", UnsupportedGeometryError, "got Point"),
    (33, area_from_wkt, "MULTIPOLYGON (" + "GEOMETRYCOLLECTION (" * 200_000, InvalidGeometryError, "WKT of"),
    (33, area_from_wkt, "SRID=4326;" + "GEOMETRYCOLLECTION (" * 200_000, InvalidGeometryError, "WKT of"),
    (33, area_from_wkt, "hello", InvalidGeometryError, "WKT of .* got 'hello'"),
]


@pytest.mark.parametrize(
    ("read", "value", "error", "names"),
    [
        *(pytest.param(area_from_geojson, *case, id=f"row {row}, {i}") for i, (row, *case) in enumerate(BAD)),
        *(pytest.param(*case, id=f"row {row}, form {i}") for i, (row, *case) in enumerate(BAD_FORMS)),
    ],
)
def test_area__names_what_is_wrong_and_where(
    read: Callable[..., Any], value: Any, error: type[GeoError], names: str
) -> None:
    with pytest.raises(error, match=rf"^zones\[7\] must .*{names}") as caught:
        read(value, argument="zones", position=7)
    assert type(caught.value) is error
    assert (caught.value.argument, caught.value.position) == ("zones", 7)


def drawn(value: Any) -> Any:
    """The shape of a bad GeoJSON as shapely makes it, None where shapely cannot."""
    try:
        with np.errstate(invalid="ignore"):
            return shapely.geometry.shape(value)
    except (TypeError, ValueError, AttributeError, OverflowError, IndexError, shapely.errors.ShapelyError):
        return None


# All bad inputs that can be a shape, save for what closes a ring or leaves out a fourth number on the way.
SHAPES = [
    *(value for _, read, value, *_ in BAD_FORMS if read is check_area),
    *(shape for row, value, *_ in BAD if row in range(34, 43) and (shape := drawn(value)) is not None),
]


@pytest.mark.parametrize("bad", SHAPES, ids=range(len(SHAPES)))
def test_check_areas__finds_the_bad_one_among_many(bad: object) -> None:
    many = [shapely.box(i, 0, i + 0.5, 1) for i in range(9)]
    with pytest.raises(GeoError) as one:
        check_area(bad, argument="zones", position=5)
    with pytest.raises(type(one.value)) as caught:
        check_areas([*many[:5], bad, *many[5:], bad], argument="zones")
    assert str(caught.value) == str(one.value)


def test_check_areas__names_the_first_bad_one_by_the_callers_position() -> None:
    bow_tie = shapely.Polygon([(0, 0), (1, 1), (1, 0), (0, 1)])
    shapes = [shapely.box(0, 0, 1, 1), bow_tie, shapely.Point(0, 0), shapely.Polygon(circle(3_000))]
    with pytest.raises(InvalidGeometryError, match=r"^areas\[40\]"):
        check_areas(shapes, positions=[10, 40, 41, 42])


@pytest.mark.parametrize("empty", [shapely.Polygon(), shapely.MultiPolygon()])
def test_check_areas__refuses_empty_shapes_where_any_area_will_do(empty: shapely.Geometry) -> None:
    with pytest.raises(InvalidGeometryError, match="an empty one"):
        check_areas([empty], limits=AreaLimits(min_area_m2=0.0))


def test_check_areas__equals_check_area_of_each() -> None:
    shapes = [shapely.Polygon(circle(n, lng=n), [circle(5, 0.001, lng=n)]) for n in range(10, 60)]
    shapes[3] = shapely.box(1, 80, 9, 90)  # looked at twice, since it touches the pole
    assert list(check_areas(shapes)) == [check_area(shape) for shape in shapes]
    assert check_areas([]).shape == (0,)


@given(
    st.lists(
        st.tuples(
            st.sampled_from([-180.0, -179.0, -91.0, 0.0, 0.5, 1.0, 89.0, 90.0, 179.0, 180.0, 181.0]),
            st.sampled_from([-90.0, -89.0, 0.0, 0.5, 1.0, 1.0 + 1e-9, 89.0, 90.0, 91.0]),
        ),
        min_size=3,
        max_size=6,
    )
)
def test_check_areas__refuses_exactly_what_check_area_refuses(ring: list[tuple[float, float]]) -> None:
    shape = shapely.Polygon(ring)
    one, many = outcome(lambda: check_area(shape, position=0)), outcome(lambda: check_areas([shape])[0])
    assert one == many
    assert isinstance(one, tuple) or shapely.is_valid(one)


def outcome(run: Callable[[], Any]) -> Any:
    try:
        return run()
    except GeoError as error:
        return type(error), str(error)


@pytest.mark.parametrize(
    "value",
    [
        split(),  # row 38: split as RFC 7946 says
        polygon(box(0, 0, 180, 10)),  # row 39: no wider than 180 degrees
        polygon(UNIT[::-1]),  # row 44: clockwise
        polygon(UNIT, *holes(50)),  # row 42: as many holes as allowed
        polygon(circle(2_000)),  # row 36: as many vertices as allowed
        polygon(box(0, 80, 10, 90)),  # row 40: touches the pole, and does not go round it
        polygon([[0, 80], [10, 80], [5, 90], [0, 80]]),
        multipolygon([box(0, 80, 180, 89.9)], [box(-180, 80, -1, 89.9)]),
        polygon([[*place, 12.5] for place in UNIT]),  # row 43: an altitude is allowed
        polygon(box(0, 0, 1e-5, 1e-5)),  # row 35: 1.2 m2
        polygon([[0, 0], [1, 0], [1, 0], [1, 1], [0, 0]]),  # a position said twice
    ],
)
def test_area_from_geojson__takes_what_is_allowed(value: dict[str, Any]) -> None:
    area = area_from_geojson(value)
    assert shapely.is_valid(area)
    assert not shapely.has_z(area)
    assert area == area_from_geojson(json.dumps(value))
    assert shapely.equals(area, shapely.force_2d(shapely.from_geojson(json.dumps(value))))


def test_check_area__gives_one_form_to_both_turns_of_the_rings() -> None:
    hole = box(0.2, 0.2, 0.4, 0.4)
    forms = [polygon(UNIT, hole), polygon(UNIT[::-1], hole), polygon(UNIT[::-1], hole[::-1]), polygon(UNIT, hole[::-1])]
    areas = [area_from_geojson(form) for form in forms]
    assert all(area.wkb == areas[0].wkb for area in areas)


def test_area_from_geojson__reads_longitude_first() -> None:
    assert area_from_geojson(polygon(box(121.4, 31.2, 121.5, 31.3))).bounds == (121.4, 31.2, 121.5, 31.3)


def test_area_from_geojson__takes_tuples_as_lists() -> None:
    drawn = {"type": "Polygon", "coordinates": (tuple(map(tuple, UNIT)),)}
    assert area_from_geojson(drawn) == area_from_geojson(polygon(UNIT))


@pytest.mark.parametrize("value", [polygon(UNIT, box(0.2, 0.2, 0.4, 0.4)), split()])
def test_area_forms__return_the_same_area(value: dict[str, Any]) -> None:
    area = area_from_geojson(value)
    assert area_from_geojson(area_to_geojson(area)) == area
    assert area_from_wkt(area.wkt) == area
    assert area_from_wkb(area.wkb) == area
    assert area_from_wkb(bytearray(shapely.to_wkb(shapely.set_srid(area, 4326), include_srid=True))) == area
    assert area_from_wkb(shapely.to_wkb(shapely.force_3d(area, 7.0))) == area


@pytest.mark.parametrize("order", [0, 1])
@pytest.mark.parametrize("flavor", ["iso", "extended"])
@pytest.mark.parametrize("dimension", [2, 3])
def test_areas_from_wkb__takes_every_form_of_multipolygons(order: int, flavor: Any, dimension: Any) -> None:
    first = shapely.Polygon(UNIT, [box(0.2, 0.2, 0.4, 0.4), box(0.6, 0.6, 0.7, 0.7)])
    shapes = [first, shapely.MultiPolygon([first, shapely.box(2, 2, 3, 3)])]
    written: Any = shapely.force_3d(shapes, 7.0) if dimension == 3 else shapes
    told = shapely.to_wkb(written, byte_order=order, flavor=flavor, output_dimension=dimension)
    assert areas_from_wkb(told.tolist()).tolist() == check_areas(shapes).tolist()
    if flavor == "extended":
        told = shapely.to_wkb(shapely.set_srid(written, 4326), byte_order=order, include_srid=True)
        assert areas_from_wkb(told.tolist()).tolist() == check_areas(shapes).tolist()


BAD_WKB = [(value, error, names) for _, read, value, error, names in BAD_FORMS if read is area_from_wkb]


@pytest.mark.parametrize(("value", "error", "names"), BAD_WKB, ids=range(len(BAD_WKB)))
def test_areas_from_wkb__names_what_is_wrong(value: Any, error: type[GeoError], names: str) -> None:
    with pytest.raises(error, match=names):
        areas_from_wkb([shapely.box(0, 0, 1, 1).wkb, value])


def test_areas_from_wkb__of_none_is_empty() -> None:
    assert areas_from_wkb([]).shape == (0,)


def test_area_to_geojson__turns_outer_rings_counter_clockwise() -> None:
    drawn = area_to_geojson(area_from_geojson(polygon(UNIT[::-1], box(0.2, 0.2, 0.4, 0.4))))
    shell, hole = (shapely.LinearRing(ring) for ring in drawn["coordinates"])
    assert drawn["type"] == "Polygon"
    assert shell.is_ccw
    assert not hole.is_ccw
    assert area_to_geojson(area_from_geojson(split()))["type"] == "MultiPolygon"


def test_area_to_geojson__refuses_other_shapes() -> None:
    with pytest.raises(UnsupportedGeometryError, match=r"^area must be a Polygon or MultiPolygon, got Point"):
        area_to_geojson(shapely.Point(0, 0))  # type: ignore[arg-type]


def test_check_area__keeps_to_the_limits_it_is_given() -> None:
    limits = AreaLimits(max_vertices=10, max_holes=1, min_area_m2=1e6)
    with pytest.raises(GeometryTooLargeError, match="at most 10 vertices, got 12"):
        check_area(shapely.Polygon(circle(12)), limits=limits)
    with pytest.raises(GeometryTooLargeError, match="at most 0 holes, got 1"):
        area_from_geojson(polygon(UNIT, holes(1)[0]), limits=AreaLimits(max_holes=0))
    with pytest.raises(EmptyGeometryError, match=r"at least 1e\+06 m2"):
        check_area(shapely.box(0, 0, 0.008, 0.008), limits=limits)
    assert check_area(shapely.box(0, 0, 0.01, 0.01), limits=limits).area > 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_vertices": 2},
        {"max_vertices": 100.0},
        {"max_vertices": True},
        {"max_holes": -1},
        {"max_cells": 0},
        {"min_area_m2": -1.0},
        {"min_area_m2": NAN},
        {"min_area_m2": INF},
    ],
)
def test_area_limits__refuse_values_out_of_range(wrong: dict[str, Any]) -> None:
    with pytest.raises(GeoError, match=f"^{next(iter(wrong))} must be"):
        AreaLimits(**wrong)

"""Bad points, by their rows in the reliability table, and what each must get; nothing of them is stored."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tests.contract.service.shops import Shops, open_shops, point, square
from tests.contract.service.talking import problem
from tests.serving import Serving

JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def shops(service: Serving) -> Iterator[Shops]:
    """Give clients of two merchants."""
    with open_shops(service, "inputs") as found:
        yield found


def text(**changes: Any) -> str:
    return json.dumps(point(**changes))


def drawn(coordinates: Any, kind: str = "Polygon", **more: Any) -> dict[str, Any]:
    return area({"type": kind, "coordinates": coordinates, **more})


def area(value: Any) -> dict[str, Any]:
    return point(offers=[{"offer": "retail/delivery", "area": value}])


def ring(*corners: tuple[float, float]) -> list[list[float]]:
    return [list(corner) for corner in (*corners, corners[0])]


def circle(n: int, lng: float = 121.4, lat: float = 31.2, radius: float = 0.05) -> list[list[float]]:
    turn = np.linspace(0.0, 2.0 * np.pi, n, endpoint=False)
    return ring(*zip((lng + radius * np.cos(turn)).tolist(), (lat + radius * np.sin(turn)).tolist(), strict=True))


def star(n: int) -> list[list[float]]:
    turn, far = np.linspace(0.0, 2.0 * np.pi, n, endpoint=False), np.where(np.arange(n) % 2, 0.01, 0.05)
    return ring(*zip((121.4 + far * np.cos(turn)).tolist(), (31.2 + far * np.sin(turn)).tolist(), strict=True))


def holes(n: int) -> list[list[list[float]]]:
    shell = square(121.0, 31.0, 1.0)["coordinates"][0]
    return [shell, *(square(121.01 + 0.015 * number, 31.5, 0.01)["coordinates"][0] for number in range(n))]


BOX = square()["coordinates"]
BODIES = [
    (1, text().replace("31.2304", "NaN"), 400, "invalid-json"),
    (1, text().replace("31.2304", "-Infinity"), 400, "invalid-json"),
    (2, text().replace("31.2304", "1e999"), 422, "coordinate-out-of-range"),
    (4, text().replace("Shop", "\\ud800"), 422, "text-invalid"),
    (5, text(name="a\0b"), 422, "text-invalid"),
    (5, text(name="a\r\nb"), 422, "text-invalid"),
    (5, text(address="a\u202eb"), 422, "text-invalid"),
    (5, text(features=["lift\u202e"]), 422, "text-invalid"),
    (5, text(offers=[{"offer": "retail/pickup", "hours": "24/7\0"}]), 422, "text-invalid"),
    (5, text(name="x" * 201), 422, "validation"),
    (6, text().replace('"kind"', '"name": "x", "kind"'), 400, "invalid-json"),
    (7, text().replace('"Shop"', "[" * 33 + "]" * 33), 400, "invalid-json"),
    (7, "[" * 100_000, 400, "invalid-json"),
    (8, text().replace("31.2304", "1" * 5_000), 400, "invalid-json"),
    (8, text().replace("31.2304", "1." + "0" * 100_000), 400, "invalid-json"),
    (9, text(lat=True), 422, "validation"),
    (9, text(lat="31.2"), 422, "validation"),
    (9, text(offers=[{"offer": "retail/pickup", "capacity": 1.0}]), 422, "validation"),
    (9, text(offers=[{"offer": "retail/pickup", "capacity": "1"}]), 422, "validation"),
    (10, text(offers=[{"offer": "retail/pickup", "capacity": -1}]), 422, "validation"),
    (10, text(offers=[{"offer": "retail/pickup", "capacity": 10**23}]), 422, "validation"),
    (10, text(offers=[{"offer": "retail/pickup", "lead_s": -1}]), 422, "validation"),
    (11, text(status="verified"), 422, "validation"),
    (11, text(merchant_id="other"), 422, "validation"),
    (11, text(revision=3), 422, "validation"),
    (11, text(synthetic=True), 422, "validation"),
    (11, text(point_id="inputs:x"), 422, "validation"),
    (11, text(offers=[{"offer": "retail/pickup", "price": 1}]), 422, "validation"),
    (12, text().encode() + b"\xff", 400, "invalid-json"),
    (12, b"\xef\xbb\xbf" + text().encode(), 400, "invalid-json"),
    (12, text() + "x", 400, "invalid-json"),
    (13, "", 422, "validation"),
    (13, "null", 422, "validation"),
    (13, "[]", 422, "validation"),
    (16, text(address="x" * 262_144), 413, "payload-too-large"),
    (21, text(lat=91), 422, "coordinate-out-of-range"),
    (21, text(lat=-90.0001), 422, "coordinate-out-of-range"),
    (21, text(lat=1e300), 422, "coordinate-out-of-range"),
    (22, text(lng=180.0001), 422, "coordinate-out-of-range"),
    (22, text(lng=1000), 422, "coordinate-out-of-range"),
    (23, text(lat=121.47, lng=31.23), 422, "coordinate-out-of-range"),
    (31, json.dumps(area({"radius_m": -5})), 422, "validation"),
    (31, json.dumps(area({"radius_m": 1e9})), 422, "validation"),
    (33, json.dumps(drawn([[[121.4, 31.2], [121.5, 31.2], [121.5, 31.3], [121.4, 31.3]]])), 422, "geometry-invalid"),
    (33, json.dumps(drawn([[[121.4, 31.2], [121.5, 31.2], [121.4, 31.2]]])), 422, "geometry-invalid"),
    (33, json.dumps(drawn([])), 422, "geometry-invalid"),
    (33, json.dumps(drawn([[]])), 422, "geometry-invalid"),
    (34, json.dumps(drawn([ring((121, 31), (122, 32), (122, 31), (121, 32))])), 422, "geometry-invalid"),
    (34, json.dumps(drawn([ring((121, 31), (122, 31), (122, 32), (122, 33), (122, 32), (121, 32))])), 422,
     "geometry-invalid"),
    (35, json.dumps(drawn([ring((121, 31), (122, 31), (121.5, 31))])), 422, "geometry-empty"),
    (35, json.dumps(drawn([ring((121, 31), (121.000001, 31), (121, 31.000001))])), 422, "geometry-empty"),
    (36, json.dumps(drawn([circle(2_001)])), 413, "geometry-too-large"),
    (36, json.dumps(drawn([star(6_000)])), 413, "geometry-too-large"),
    (37, json.dumps(drawn(BOX)).replace("31.2]", "NaN]", 1), 400, "invalid-json"),
    (37, json.dumps(drawn([ring((121, 31), (122, 31), (122, 95))])), 422, "coordinate-out-of-range"),
    (38, json.dumps(drawn([ring((170, 10), (-170, 10), (-170, 20), (170, 20))])), 422, "antimeridian"),
    (39, json.dumps(drawn([ring((-179.5, 10), (179.5, 10), (179.5, 20), (-179.5, 20))])), 422, "antimeridian"),
    (39, json.dumps(drawn([ring((0, 10), (180.5, 10), (180.5, 20), (0, 20))])), 422, "antimeridian"),
    (40, json.dumps(drawn([ring((0, 80), (90, 80), (180, 80), (-90, 80))])), 422, "geometry-unsupported"),
    (42, json.dumps(drawn([*BOX, *square(122.0)["coordinates"]])), 422, "geometry-invalid"),
    (42, json.dumps(drawn([*BOX, *BOX])), 422, "geometry-invalid"),
    (42, json.dumps(drawn(holes(51))), 413, "geometry-too-large"),
    (42, json.dumps(drawn([BOX, square(121.45)["coordinates"]], "MultiPolygon")), 422, "geometry-invalid"),
    (43, json.dumps(area({"type": "GeometryCollection", "geometries": []})), 422, "geometry-unsupported"),
    (43, json.dumps(drawn(BOX, crs={"type": "name"})), 422, "geometry-unsupported"),
    (43, json.dumps(drawn([[[*corner, 0, 0] for corner in BOX[0]]])), 422, "geometry-unsupported"),
    (43, json.dumps(drawn([121.4, 31.2], "Point")), 422, "geometry-unsupported"),
    (0, json.dumps(area({})), 422, "validation"),
    (0, json.dumps(area({"everywhere": False})), 422, "validation"),
    (0, json.dumps(area({**square(), "radius_m": 5})), 422, "validation"),
    (0, json.dumps(area("everywhere")), 422, "validation"),
    (0, text(datum="wgs85"), 422, "validation"),
    (0, text(timezone="Asia/Nowhere"), 422, "validation"),
    (0, text(country="China"), 422, "validation"),
    (0, text(kind="shop"), 422, "validation"),
    (0, text(offers=[]), 422, "validation"),
    (0, text(offers=[{"offer": "retail/pickup"}] * 2), 422, "validation"),
    (0, text(offers=[{"offer": "retail/nonsense"}]), 422, "validation"),
    (0, text(offers=[{"offer": "retail/pickup", "hours": "sometimes"}]), 422, "validation"),
    (0, text(lat=0.0, lng=-150.0, offers=[{"offer": "retail/pickup", "hours": "24/7"}]), 422, "validation"),
    (0, text(features=["merchant:inputs"]), 422, "validation"),
    (0, text(features=["Lift"]), 422, "validation"),
    (0, text(features=["brand:a;b"]), 422, "validation"),
    (0, text(features=["brand:a,b"]), 422, "validation"),
    (0, text(features=["brand:a  b"]), 422, "validation"),
    (0, text(features=["brand:" + "a" * 81]), 422, "validation"),
    (58, text(special_days=[{"date": "2027-02-29", "hours": "off"}]), 422, "validation"),
    (58, text(special_days=[{"date": "9999-01-01", "hours": "off"}]), 422, "validation"),
    (0, text(special_days=[{"date": "2027-01-01", "hours": "off; 24/7"}]), 422, "validation"),
    (0, text(special_days=[{"date": "2027-01-01", "hours": "off"}] * 2), 422, "validation"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("row", "body", "status", "slug"), BODIES, ids=[f"{i}-row{b[0]}" for i, b in enumerate(BODIES)]
)
def test_put__refuses_what_cannot_be_a_point(shops: Shops, row: int, body: str | bytes, status: int, slug: str) -> None:
    answer = shops.own.put("/v1/points/inputs:bad", content=body, headers=JSON)
    assert problem(answer) == (status, slug), (row, answer.text[:300])
    hints = {23: "swapped", 34: "at lng", 38: "3.1.9"}
    assert hints.get(row, "") in answer.text
    assert shops.get("bad").status_code == 404


def test_put__takes_json_alone_uncompressed(shops: Shops) -> None:
    path, body = "/v1/points/inputs:bad", text().encode()
    for kind in ("text/plain", "application/xml"):  # row 14
        answer = shops.own.put(path, content=body, headers={"Content-Type": kind})
        assert problem(answer) == (415, "unsupported-media-type")
    for coding, packed in {"gzip": gzip.compress(body), "zstd": b"x", "gzip, gzip": b"x"}.items():  # row 15
        answer = shops.own.put(path, content=packed, headers={**JSON, "Content-Encoding": coding})
        assert problem(answer) == (415, "unsupported-encoding")

    def chunks() -> Iterator[bytes]:  # row 16, without a length
        for _ in range(300):
            yield b" " * 1024

    assert problem(shops.own.put(path, content=chunks(), headers=JSON)) == (413, "payload-too-large")
    assert shops.get("bad").status_code == 404


GOOD = [
    (16, text().ljust(262_144)),
    (24, text(lat=90, lng=0)),
    (24, text(lat=0, lng=180)),
    (24, text(lat=0, lng=-180)),
    (35, json.dumps(drawn([circle(8, radius=0.0005)]))),
    (36, json.dumps(drawn([circle(2_000)]))),
    (38, json.dumps(drawn([square(179.0, 10, 1.0)["coordinates"], square(-180.0, 10, 1.0)["coordinates"]],
                          "MultiPolygon"))),
    (41, json.dumps(drawn(square(121.0, 31.0, 1.0)["coordinates"]))),
    (42, json.dumps(drawn(holes(50)))),
    (44, json.dumps(drawn([BOX[0][::-1]]))),
    (0, text(offers=[{"offer": "retail/pickup", "area": None, "capacity": 2**53 - 1}])),
    (0, text(features=["brand:Burger King", "lift"])),
    (0, text(features=["brand:" + "a " * 39 + "ab"])),
]  # fmt: skip


@pytest.mark.parametrize(("number", "row", "body"), [(i, *case) for i, case in enumerate(GOOD)])
def test_put__takes_what_is_at_the_limit(shops: Shops, number: int, row: int, body: str) -> None:
    answer = shops.own.put(f"/v1/points/inputs:good-{number}", content=body, headers=JSON)
    assert answer.status_code == 201, (row, answer.text)


def test_put__keeps_one_area_whichever_way_it_turns(shops: Shops) -> None:
    shops.put("turn-1", drawn(BOX))
    shops.put("turn-2", drawn([BOX[0][::-1]]))
    assert shops.get("turn-1").json()["offers"] == shops.get("turn-2").json()["offers"]

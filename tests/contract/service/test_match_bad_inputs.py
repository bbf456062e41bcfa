"""The rows of "Bad inputs" that the matching routes can meet: each gets its status and its slug, and never a match."""

from __future__ import annotations

import datetime as dt
import json
import urllib.parse
from collections.abc import Iterator
from typing import Any, NamedTuple

import httpx
import pytest

from service.http.problems import PROBLEMS
from tests.registry import NOW, Offer, Point, Registry, opened

BATCH = "/v1/match:batch"
PICKUP = "retail/pickup"
PLACE = f"lat=31.2&lng=121.5&offer={PICKUP}"
DEEP = b"[" * 33 + b"]" * 33


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with opened(tmp_path_factory.mktemp("city")) as registry:
        registry.add_merchants(shop="verified")
        registry.put(Point("shop:1", 31.2, 121.5, [Offer(PICKUP)]), Point("shop:2", 90.0, 0.0, [Offer(PICKUP)]))
        yield registry


class Case(NamedTuple):
    """A row of the table, what is sent, and what it must get."""

    row: int
    sent: str | bytes
    slug: str


def _at(lat: str = "31.2", lng: str = "121.5", more: str = "") -> str:
    return f"lat={lat}&lng={lng}&offer={PICKUP}{more}"


def _json(field: str = "", **instead: str) -> bytes:
    """A batch of one question, its values as JSON text."""
    values = {"lat": "31.2", "lng": "121.5", "offer": f'"{PICKUP}"'} | instead
    inner = ",".join([*(f'"{name}":{value}' for name, value in values.items()), *([field] if field else [])])
    return f'{{"asks":[{{{inner}}}]}}'.encode()


OUT, BAD, NO_JSON, NO_TEXT = "coordinate-out-of-range", "validation", "invalid-json", "text-invalid"
WHEN = "&at={}".format

QUERIES = (
    Case(2, _at("1e999"), OUT),
    Case(3, _at(lng="nan"), OUT),
    Case(3, _at(lng="inf"), OUT),
    Case(3, _at(lat="-Infinity"), OUT),
    Case(4, _at(more="&brand=%ED%A0%80"), NO_TEXT),
    Case(5, _at(more="&brand=a%00b"), NO_TEXT),
    Case(5, _at(more="&brand=a%E2%80%AEb"), NO_TEXT),
    Case(6, _at(more="&k=1&k=2"), BAD),
    Case(9, _at(more="&quantity=1.0"), BAD),
    Case(9, _at(more="&quantity=1e2"), BAD),
    Case(9, _at(lat="true"), BAD),
    Case(9, _at(lat="%2231.2%22"), BAD),
    Case(10, _at(more="&quantity=0"), BAD),
    Case(10, _at(more="&quantity=-1"), BAD),
    Case(10, _at(more="&quantity=100000000000000000000000"), BAD),
    Case(10, _at(more="&quantity=1000001"), BAD),
    Case(11, _at(more="&price=1"), BAD),
    Case(11, _at(more="&merchant_id=shop"), BAD),
    Case(11, _at(more="&max_distance=5"), BAD),
    Case(21, _at("91"), OUT),
    Case(21, _at("-90.0001"), OUT),
    Case(21, _at("1e300"), OUT),
    Case(22, _at(lng="180.0001"), OUT),
    Case(22, _at(lng="1000"), OUT),
    Case(25, _at("1_0"), BAD),
    Case(25, _at("%2031.2"), BAD),
    Case(25, _at("%D9%A3%D9%A1"), BAD),
    Case(25, _at("+31.2"), BAD),
    Case(25, _at(more="&lat=31.2"), BAD),
    Case(31, _at(more="&k=500"), BAD),
    Case(31, _at(more="&k=51"), BAD),
    Case(31, _at(more="&k=0"), BAD),
    Case(31, _at(more="&k=-1"), BAD),
    Case(31, _at(more="&max_distance_m=-5"), BAD),
    Case(31, _at(more="&max_distance_m=1e9"), BAD),
    Case(31, _at(more="&max_distance_m=NaN"), BAD),
    Case(31, _at(more="&max_distance_m=Infinity"), BAD),
    Case(55, _at(more="&api_key=secret"), "unauthenticated"),
    Case(55, _at(more="&token=secret"), "unauthenticated"),
    Case(58, _at(more=WHEN("2026-11-26T10:00:00")), BAD),
    Case(58, _at(more=WHEN("2026-11-26T10:00:00+08:00")), BAD),  # a + is a space
    Case(58, _at(more=WHEN("9999-12-31T00:00:00Z")), BAD),
    Case(58, _at(more=WHEN("2027-02-29T00:00:00Z")), BAD),
    Case(58, _at(more=WHEN("2026-11-26T10:00:60Z")), BAD),
    Case(58, _at(more=WHEN("2026-11-26T10:60:00Z")), BAD),
    Case(58, _at(more=WHEN((NOW - dt.timedelta(seconds=61)).strftime("%Y-%m-%dT%H:%M:%SZ"))), BAD),
    Case(58, _at(more=WHEN((NOW + dt.timedelta(days=401)).strftime("%Y-%m-%dT%H:%M:%SZ"))), BAD),
    Case(58, _at(more=WHEN("1795000000")), BAD),
    Case(0, "lat=31.2&lng=121.5", BAD),
    Case(0, f"lat=31.2&offer={PICKUP}", BAD),
    Case(0, "", BAD),
    Case(0, _at(more="&datum=wgs72"), BAD),
    Case(0, _at(more="&unknown_hours=maybe"), BAD),
    Case(0, _at(more="&features="), BAD),
    Case(0, _at(more="&features=lift,,"), BAD),
    Case(0, _at(more="&features=Lift"), BAD),
    Case(0, _at(more="&features=" + ",".join(f"f{i}" for i in range(21))), BAD),
    Case(0, "lat=31.2&lng=121.5&offer=retail/picking", BAD),
    Case(0, "lat=31.2&lng=121.5&offer=", BAD),
)
BODIES = (
    Case(1, _json(lat="NaN"), NO_JSON),
    Case(1, _json(lat="-Infinity"), NO_JSON),
    Case(2, _json(lat="1e999"), OUT),
    Case(4, _json(offer='"\\ud800"'), NO_TEXT),
    Case(5, _json('"features":["brand:a\\u0000b\\n"]'), BAD),
    Case(6, _json('"lat":31.2'), NO_JSON),
    Case(7, DEEP, NO_JSON),
    Case(8, _json(lat="9" * 5_000), NO_JSON),
    Case(9, _json(lat="true"), BAD),
    Case(9, _json(lat='"31.2"'), BAD),
    Case(9, _json('"quantity":1.0'), BAD),
    Case(9, _json('"quantity":"1"'), BAD),
    Case(9, _json('"quantity":1e2'), BAD),
    Case(10, _json('"quantity":0'), BAD),
    Case(10, _json('"quantity":-1'), BAD),
    Case(10, _json('"quantity":100000000000000000000000'), BAD),
    Case(11, _json('"status":"paid"'), BAD),
    Case(11, _json('"price":1'), BAD),
    Case(11, _json('"asked_at":"2026-11-25T00:00:00Z"'), BAD),
    Case(12, b'{"asks":[{"offer":"\xff"}]}', NO_JSON),
    Case(12, b"\xef\xbb\xbf" + _json(), NO_JSON),
    Case(12, _json() + b"{}", NO_JSON),
    Case(13, b"", BAD),
    Case(13, b"null", BAD),
    Case(13, b"[]", BAD),
    Case(13, b'{"asks":[]}', BAD),
    Case(13, b'{"asks":null}', BAD),
    Case(20, json.dumps({"asks": [{}] * 101}).encode(), "batch-too-large"),
    Case(21, _json(lat="91"), OUT),
    Case(21, _json(lat="1e300"), OUT),
    Case(22, _json(lng="-180.0001"), OUT),
    Case(31, _json('"k":51'), BAD),
    Case(31, _json('"k":0'), BAD),
    Case(31, _json('"max_distance_m":-5'), BAD),
    Case(31, _json('"max_distance_m":1e9'), BAD),
    Case(31, _json('"max_distance_m":1e999'), BAD),
    Case(58, _json('"at":"2026-11-26T10:00:00"'), BAD),
    Case(58, _json('"at":"9999-12-31T00:00:00Z"'), BAD),
    Case(58, _json('"at":"2027-02-29T00:00:00Z"'), BAD),
    Case(58, _json('"at":"2026-11-24T10:00:00Z"'), BAD),
    Case(58, _json('"at":1795000000'), BAD),
    Case(0, _json('"features":"lift"'), BAD),
    Case(0, _json('"unknown_hours":"maybe"'), BAD),
    Case(0, _json(offer='"retail/picking"'), BAD),
)


def _check(response: httpx.Response, case: Case) -> dict[str, Any]:
    assert response.status_code == PROBLEMS[case.slug].status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = response.json()
    assert problem["type"].rpartition("/")[2] == case.slug
    assert set(problem) <= {"type", "title", "status", "detail", "errors"}
    return problem


@pytest.mark.parametrize("case", QUERIES, ids=[f"row{case.row}-{case.sent!s:.60}" for case in QUERIES])
@pytest.mark.parametrize("path", ["/v1/match", "/v1/match:explain"])
def test_query__is_refused(registry: Registry, path: str, case: Case) -> None:
    _check(registry.send("GET", f"{path}?{case.sent!s}"), case)


def _sent(registry: Registry, body: bytes, **more: Any) -> httpx.Response:
    return registry.send("POST", BATCH, content=body, headers={"Content-Type": "application/json"} | more)


@pytest.mark.parametrize("case", BODIES, ids=[f"row{case.row}-{case.sent!r:.60}" for case in BODIES])
def test_body__is_refused(registry: Registry, case: Case) -> None:
    assert isinstance(case.sent, bytes)
    _check(_sent(registry, case.sent), case)


@pytest.mark.parametrize("path", ["/v1/match?", "/v1/match:explain?"])
def test_swapped_coordinates__are_told_with_a_hint(registry: Registry, path: str) -> None:
    """Row 23."""
    problem = _check(registry.send("GET", path + _at("121.47", "31.23")), Case(23, "", OUT))
    assert "swapped" in problem["detail"]
    told = _check(_sent(registry, _json(lat="121.47", lng="31.23")), Case(23, "", OUT))
    assert "swapped" in told["errors"][0]["reason"]
    assert told["errors"][0]["where"] == "/asks/0/lat"


def test_ends_of_the_earth__are_places(registry: Registry) -> None:
    """Row 24: the antimeridian is one meridian, a pole one place."""
    both = [registry.match(lat=31.2, lng=lng, offer=PICKUP).json()["matches"][0]["distance_m"] for lng in (180, -180)]
    assert both[0] == both[1]
    poles = [registry.match(lat=90, lng=lng, offer=PICKUP).json()["matches"][0] for lng in (0, 77.5, 180)]
    assert [(one["point_id"], one["distance_m"]) for one in poles] == [("shop:2", 0.0)] * 3


def test_limits__are_taken_at_the_limit(registry: Registry) -> None:
    """Rows 10, 20 and 31, each one step inside."""
    query = _at(more=f"&k=50&quantity=1000000&max_distance_m=20100000&features={','.join(f'f{i}' for i in range(20))}")
    assert registry.send("GET", f"/v1/match?{query}").status_code == 200
    assert registry.match(lat=31.2, lng=121.5, offer=PICKUP, max_distance_m=0).json()["matches"][0]["distance_m"] == 0
    asks = [{"lat": 31.2, "lng": 121.5, "offer": PICKUP, "k": 50, "quantity": 1_000_000}] * 100
    assert len(registry.send("POST", BATCH, json={"asks": asks}).json()["answers"]) == 100
    for at in (NOW - dt.timedelta(seconds=60), NOW + dt.timedelta(days=400)):
        assert registry.match(lat=31.2, lng=121.5, offer=PICKUP, at=at).status_code == 200


def test_bad_element__is_named_by_its_pointer(registry: Registry) -> None:
    good = {"lat": 31.2, "lng": 121.5, "offer": PICKUP}
    for bad, where in (
        ({"lat": 91}, "/asks/2/lat"),
        ({"offer": "retail/picking"}, "/asks/2/offer"),
        ({"at": "2026-11-24T10:00:00Z"}, "/asks/2/at"),
        ({"features": ["A"]}, "/asks/2/features"),
        ({"k": 51}, "/asks/2/k"),
        ({"price": 1}, "/asks/2/price"),
    ):
        problem = registry.send("POST", BATCH, json={"asks": [good, good, good | bad, good]}).json()
        assert problem["errors"][0]["where"] == where, problem


@pytest.mark.parametrize("kind", ["text/plain", "application/xml", "", "application/jsonx"])
def test_batch__takes_no_other_kind_of_body(registry: Registry, kind: str) -> None:
    """Row 14."""
    _check(
        registry.send("POST", BATCH, content=_json(), headers={"Content-Type": kind}),
        Case(14, "", "unsupported-media-type"),
    )


def test_batch__takes_no_encoded_body(registry: Registry) -> None:
    """Row 15."""
    for encoding in ("gzip", "zstd", "gzip, gzip"):
        _check(_sent(registry, _json(), **{"Content-Encoding": encoding}), Case(15, "", "unsupported-encoding"))


@pytest.mark.parametrize("option", ["max_distance_m=5", "datum=gcj02", "unknown_hours=allow"])
def test_batch__takes_no_option_of_a_stream_beside_json(registry: Registry, option: str) -> None:
    """Left out of account it would widen the search in silence."""
    told = _check(registry.send("POST", f"{BATCH}?{option}", json=json.loads(_json())), Case(11, "", BAD))
    assert told["errors"][0]["where"] == option.partition("=")[0]
    assert told["errors"][0]["reason"].endswith("of questions as JSON it stands in the body")


def test_query__of_a_route_that_takes_none_says_so(registry: Registry) -> None:
    told = _check(registry.send("GET", "/v1/merchants/none?datum=gcj02", key="admin"), Case(11, "", BAD))
    assert told["errors"][0]["reason"] == "is not known here, where the query must be empty"


def test_key_in_the_address__opens_nothing(registry: Registry) -> None:
    """Row 55."""
    key = registry.keys["app"]
    for path in (
        f"/v1/match?{PLACE}&key={key}",
        f"/v1/match?{PLACE}&brand={key}",
        f"/v1/match:explain?{PLACE}&q={key}",
    ):
        for sender in (None, "app"):
            response = registry.send("GET", path, key=sender)
            _check(response, Case(55, "", "unauthenticated"))
            assert key not in response.text


@pytest.mark.parametrize("path", ["/v1/match", "/v1/match:explain"])
def test_other_methods__are_not_known(registry: Registry, path: str) -> None:
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        response = registry.send(method, f"{path}?{urllib.parse.urlencode({'lat': 31.2})}")
        _check(response, Case(0, "", "method-not-allowed"))
        assert response.headers["allow"] == "GET"

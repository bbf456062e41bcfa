"""The rows of "Bad inputs" that crews, services and engagements can meet: each gets its status and slug, and changes nothing."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from service.http.problems import PROBLEMS
from tests.contract.service.desk import LNG, Desk
from tests.contract.service.shops import square
from tests.contract.service.talking import problem
from tests.contract.service.visiting import CLEAN, CREW, Visits
from tests.registry import NOW

BAD, NO_JSON, NO_TEXT, OUT = "validation", "invalid-json", "text-invalid", "coordinate-out-of-range"
SHAPE, CONFLICT = "geometry-invalid", (409, "state-conflict")
BUSY = {"starts_at": "2026-11-26T12:00:00+08:00", "ends_at": "2026-11-26T14:00:00+08:00"}
BOW_TIE = [[[121.4, 31.2], [121.5, 31.3], [121.5, 31.2], [121.4, 31.3], [121.4, 31.2]]]


def _rest(**changes: Any) -> str:
    return json.dumps([{"earliest": "12:00", "latest": "13:00", "minutes": 45} | changes])


def _area(**told: Any) -> str:
    return json.dumps(told)


PLACES = (
    *(("start", f'{{"lat":{lat},"lng":121.4}}', OUT) for lat in ("91", "-90.0001", "1e999")),
    *(("end", f'{{"lat":31.2,"lng":{lng}}}', OUT) for lng in ("180.0001", "1000")),
    *(("start", told, BAD) for told in ('{"lat":31.2}', "[31.2,121.4]", "1", '{"lat":"31.2","lng":121.4}')),
    ("start", '{"lat":true,"lng":121.4}', BAD),
    ("start", '{"lat":31.2,"lng":121.4,"address":"x"}', BAD),
    ("start", '{"lat":NaN,"lng":121.4}', NO_JSON),
)
CREWS: tuple[tuple[str, str, str], ...] = (
    *(("name", told, BAD) for told in ('""', f'"{"x" * 201}"', "1", "null", "[]")),
    *(("name", f'"a{told}b"', NO_TEXT) for told in ("\\u0000", "\\r\\n", "\\u202e", "\\ud800")),
    *(("hours", told, BAD) for told in ('""', '"Mo-Su 25:00-26:00"', '"whenever"', '"Mo 08:00-"', "1", "null")),
    ("hours", f'"{"Mo 08:00-09:00;" * 1000}"', BAD),
    ("hours", '"24/7\\u0000"', NO_TEXT),
    *(("skills", told, BAD) for told in ('["Cleaning"]', '["a b"]', '[""]', '["a;b"]', "[1]", '"cleaning"', "null")),
    ("skills", '["cleaning","cleaning"]', BAD),
    ("skills", f'["{"x" * 162}"]', BAD),
    ("skills", json.dumps([f"skill{n}" for n in range(33)]), BAD),
    ("skills", '["a\\u0000"]', NO_TEXT),
    *(("people", n, BAD) for n in ("0", "-1", "21", "1.0", '"1"', "true", "1" + "0" * 23, "null")),
    *(("max_jobs", n, BAD) for n in ("0", "-1", "101", "1.0", '"1"', "true")),
    *(("breaks", _rest(earliest=at), BAD) for at in ("24:00", "12:60", "9:00", "12:00:00", "noon", "", 720, None)),
    *(("breaks", _rest(minutes=n), BAD) for n in (0, -1, 481, 1.5, "45", True, None)),
    *(("breaks", told, BAD) for told in ('[{"earliest":"12:00"}]', "[1]", '"12:00"', "null", _rest(paid=True))),
    ("breaks", json.dumps(7 * json.loads(_rest())), BAD),
    *PLACES,
    *(("area", _area(radius_m=n), BAD) for n in (-5, 1e9, "1", True, None)),
    *(("area", told, BAD) for told in ('"everywhere"', "1", "[]", '{"everywhere":false}', '{"radius_m":1,"x":1}')),
    ("area", '{"radius_m":NaN}', NO_JSON),
    ("area", _area(type="Polygon", coordinates=BOW_TIE), SHAPE),
    ("area", _area(type="Polygon", coordinates=[BOW_TIE[0][:3]]), SHAPE),
    ("area", _area(type="Polygon", coordinates=[]), SHAPE),
    ("area", _area(type="Polygon", coordinates=[[[121.4, 31.2]] * 4]), "geometry-empty"),
    ("area", _area(type="Polygon", coordinates=[[[121.4, 95.0], *BOW_TIE[0][1:3], [121.4, 95.0]]]), OUT),
    ("area", _area(type="Polygon", coordinates=[[[179, 1], [-179, 1], [-179, 2], [179, 1]]]), "antimeridian"),
    ("area", _area(type="Point", coordinates=[121.4, 31.2]), "geometry-unsupported"),
    ("area", _area(**square(), crs={}), "geometry-unsupported"),
    ("datum", '"wgs72"', BAD),
    *(("paused", told, BAD) for told in ("1", '"yes"', "null")),
    *((name, '"x"', BAD) for name in ("crew_id", "revision", "point_id", "merchant_id", "is_deleted")),
)
SERVICES: tuple[tuple[str, str, str], ...] = (
    *(("name", told, BAD) for told in ('""', f'"{"x" * 201}"', "1", "null")),
    ("name", '"a\\u202eb"', NO_TEXT),
    *(("offer", f'"{told}"', BAD) for told in ("retail/pickup", "nothing/onsite", "", "housekeeping", "a/b/c")),
    *(("minutes", n, BAD) for n in ("0", "4", "-1", "1441", "60.0", '"60"', "true", "null")),
    *(("price_minor", n, BAD) for n in ("-1", "19.99", "20000.0", '"1"', "1e3", "true", "null", "1" + "0" * 23)),
    *(("currency", told, BAD) for told in ('"XXX"', '"cny"', '"CN"', '""', "1", "null")),
    *(("skills", told, BAD) for told in ('["Cleaning"]', '["cleaning","cleaning"]', "[1]")),
    *(("people", n, BAD) for n in ("0", "21", "1.0", "true")),
    *(("hours", told, BAD) for told in ('"whenever"', '""', "1")),
    *(("lead_minutes", n, BAD) for n in ("-1", "44641", "1.0", '"1"', "true")),
    *(("most_days", n, BAD) for n in ("0", "61", "-1", "1.0", "null")),
    *(("window_minutes", n, BAD) for n in ("-1", "1441", "1.0", "true")),
    *(("step_minutes", n, BAD) for n in ("0", "4", "1441", "1.0", "true")),
    *(("paused", told, BAD) for told in ("1", "null")),
    *((name, '"x"', BAD) for name in ("service_id", "revision", "datum", "price")),
)
WHEN = (
    "2026-11-26T12:00:00",
    "9999-12-31T00:00:00Z",
    "2027-02-29T00:00:00Z",
    "2026-11-26T10:00:60Z",
    "x",
    "1795000000",
)
BUSY_TIMES: tuple[tuple[str, str, str], ...] = (
    *((name, json.dumps(when), BAD) for name in BUSY for when in WHEN),
    *((name, told, BAD) for name in BUSY for told in ("1795000000", "null", "true")),
    ("ends_at", '"2026-11-26T12:00:00+08:00"', BAD),  # it ends as it begins
    ("ends_at", '"2026-11-26T11:00:00+08:00"', BAD),
    ("ends_at", '"2028-11-26T12:00:00+08:00"', BAD),  # longer than a year
    *(("place", told, slug) for name, told, slug in PLACES),
    ("note", '"x"', BAD),
)
ILL_TIMES: tuple[tuple[str, str, str], ...] = (
    *(("until", json.dumps(when), BAD) for when in WHEN),
    ("until", '"2026-11-25T11:59:59+08:00"', BAD),  # it is over
    ("until", '"2028-11-26T12:00:00+08:00"', BAD),
    ("until", "null", BAD),
    ("starts_at", '"2026-11-27T12:00:00+08:00"', BAD),
    ("reason", '"flu"', BAD),
)


@pytest.fixture
def visits(desk: Desk) -> Visits:
    desk.registry.clock.at = NOW
    return Visits(desk)


@pytest.fixture
def provider(visits: Visits) -> str:
    """A provider whose crew has promised a visit."""
    point_id = visits.provider("anna")
    visits.brought(visits.book(point_id, visits.tomorrow(10)), "confirm")
    return point_id


def _send(visits: Visits, method: str, path: str, content: bytes, key: str = "corner") -> httpx.Response:
    return visits.desk.send(method, path, key, content=content, headers={"Content-Type": "application/json"})


KINDS: dict[str, tuple[str, str, dict[str, Any], tuple[tuple[str, str, str], ...]]] = {
    "crews": ("PUT", "/crews/anna", CREW, CREWS),
    "services": ("PUT", "/services/clean", CLEAN, SERVICES),
    "engagements": ("PUT", "/crews/anna/busy/leave", BUSY, BUSY_TIMES),
    "illness": ("POST", "/crews/anna:ill", {"until": "2026-11-26T23:00:00+08:00"}, ILL_TIMES),
}


@pytest.mark.parametrize("kind", KINDS)
def test_bad_body__gets_its_status_and_slug_and_changes_nothing(visits: Visits, provider: str, kind: str) -> None:
    method, path, body, cases = KINDS[kind]
    before = visits.kept(provider)
    for name, told, slug in cases:
        members = [f'"{one}":{json.dumps(value)}' for one, value in body.items() if one != name]
        content = ",".join([*members, f'"{name}":{told}'])
        answer = _send(visits, method, f"/v1/points/{provider}{path}", f"{{{content}}}".encode())
        assert problem(answer) == (PROBLEMS[slug].status, slug), (name, told[:60], answer.text)
    for name in body.keys() - {"skills"}:  # all others are needed
        rest = {one: value for one, value in body.items() if one != name}
        answer = _send(visits, method, f"/v1/points/{provider}{path}", json.dumps(rest).encode())
        assert problem(answer) == (422, BAD), name
    assert visits.kept(provider) == before


@pytest.mark.parametrize("body", [b"[]", b"null", b'"x"', b"1", b""])
def test_body_that_is_no_object__is_refused(visits: Visits, provider: str, body: bytes) -> None:
    """Row 13."""
    before = visits.kept(provider)
    for method, path, _, _ in KINDS.values():
        assert problem(_send(visits, method, f"/v1/points/{provider}{path}", body)) == (422, BAD), path
    assert visits.kept(provider) == before


@pytest.mark.parametrize("name", ["A", "x", "Anna", "a_b", "-a", "x" * 41, "..%2f", "%F0%9F%8F%A0", "a%20b"])
def test_bad_name__makes_nothing(visits: Visits, provider: str, name: str) -> None:
    before, point = visits.kept(provider), f"/v1/points/{provider}"
    for path, body in ((f"crews/{name}", CREW), (f"services/{name}", CLEAN), (f"crews/anna/busy/{name}", BUSY)):
        answer = visits.desk.send("PUT", f"{point}/{path}", "corner", json=body)
        assert problem(answer) in {(422, BAD), (404, "not-found")}, path
        assert problem(visits.desk.send("GET", f"{point}/crews/{name}", "corner")) == (404, "not-found")
    assert visits.kept(provider) == before


def test_crew_that_is_not_there__has_no_day_and_nothing_else(visits: Visits) -> None:
    shop = visits.desk.shop()
    path = f"/v1/points/{shop}/crews/nobody"
    answers = [
        visits.desk.send("PUT", f"{path}/busy/leave", "corner", json=BUSY),
        visits.desk.send("DELETE", f"{path}/busy/leave", "corner"),
        visits.desk.send("POST", f"{path}:ill", "corner", json={"until": BUSY["ends_at"]}),
        *(visits.desk.send("GET", f"{path}{below}", "corner") for below in ("", "/busy", "/day")),
    ]
    assert {problem(answer) for answer in answers} == {(404, "not-found")}
    assert len({answer.content for answer in answers}) == 1


def test_what_is_anothers__is_what_nobody_knows(visits: Visits, provider: str) -> None:
    """Row 52: of another merchant, of no merchant, and of a point that is not there, all with one body."""
    before, sent = visits.kept(provider), []
    for point_id, key in (
        (provider, "rival"),
        ("corner:nowhere", "corner"),
        ("nobody:1", "corner"),
        ("..%2f", "admin"),
    ):
        point = f"/v1/points/{point_id}"
        sent += [
            visits.desk.send("PUT", f"{point}/crews/anna", key, json=CREW),
            visits.desk.send("PUT", f"{point}/services/clean", key, json=CLEAN),
            visits.desk.send("PUT", f"{point}/crews/anna/busy/leave", key, json=BUSY),
            visits.desk.send("POST", f"{point}/crews/anna:ill", key, json={"until": BUSY["ends_at"]}),
            *(visits.desk.send("GET", f"{point}{below}", key) for below in ("/crews", "/crews/anna", "/services")),
            *(visits.desk.send("GET", f"{point}/crews/anna/{below}", key) for below in ("busy", "day")),
            *(
                visits.desk.send("DELETE", f"{point}/{below}", key, headers={"If-Match": "*"})
                for below in ("crews/anna", "services/clean", "crews/anna/busy/leave")
            ),
        ]
    assert {problem(answer) for answer in sent} == {(404, "not-found")}
    assert len({answer.content for answer in sent}) == 1
    assert visits.kept(provider) == before


def test_conditions__are_held_and_demanded_where_something_goes(visits: Visits, provider: str) -> None:
    """Row 51."""
    before, point = visits.kept(provider), f"/v1/points/{provider}"
    for path, body in ((f"{point}/crews/anna", CREW), (f"{point}/services/clean", CLEAN)):
        assert visits.desk.send("GET", path, "corner").headers["etag"] == '"1"'
        for tag in ('"99"', 'W/"1"', '"1'):
            for method in ("PUT", "DELETE"):
                given = {"json": body} if method == "PUT" else {}
                answer = visits.desk.send(method, path, "corner", headers={"If-Match": tag}, **given)
                assert problem(answer) == (412, "precondition-failed"), (method, tag)
        there = visits.desk.send("PUT", path, "corner", json=body, headers={"If-None-Match": "*"})
        assert problem(there) == (412, "precondition-failed")
        assert problem(visits.desk.send("DELETE", path, "corner")) == (428, "precondition-required")
    assert visits.kept(provider) == before


def test_change_that_breaks_a_promise__is_refused_without_a_second_word(visits: Visits, provider: str) -> None:
    before, point = visits.kept(provider), f"/v1/points/{provider}/crews/anna"
    day_off = {"starts_at": "2026-11-26T00:00:00+08:00", "ends_at": "2026-11-27T00:00:00+08:00"}
    refused = [
        visits.desk.send("PUT", point, "corner", json={**CREW, "hours": "Mo-Su 08:00-09:00"}),
        visits.desk.send("PUT", f"{point}/busy/leave", "corner", json=day_off),
        visits.desk.send("DELETE", point, "corner", headers={"If-Match": "*"}),
    ]
    for answer in refused:
        assert problem(answer) == CONFLICT
        assert (answer.json()["n_bookings"], len(answer.json()["bookings"])) == (1, 1)
    word = visits.desk.send("PUT", point, "corner", json=CREW, params={"open_bookings": "maybe"})
    assert problem(word) == (422, BAD)
    assert visits.kept(provider) == before


def test_more_than_a_point_or_a_crew_may_have__is_refused(visits: Visits, provider: str) -> None:
    """S5: 200 services of a point, 500 engagements of a crew; those that illness makes are counted with them."""
    point, busy = f"/v1/points/{provider}", {"until": "2027-01-02T00:00:00+08:00"}
    for number in range(199):
        visits.put(f"{point}/services/more-{number}", CLEAN)
    for number in range(500):
        visits.put(f"{point}/crews/anna/busy/away-{number}", {**BUSY, "starts_at": "2026-11-26T13:00:00+08:00"})
    before = visits.kept(provider)
    refused = [
        visits.desk.send("PUT", f"{point}/services/one-more", "corner", json=CLEAN),
        visits.desk.send("PUT", f"{point}/crews/anna/busy/one-more", "corner", json=BUSY),
        visits.desk.send("POST", f"{point}/crews/anna:ill", "corner", json=busy),
    ]
    assert {problem(answer) for answer in refused} == {CONFLICT}
    assert visits.kept(provider) == before


def test_consumers_key__opens_nothing_of_a_merchant(visits: Visits, provider: str) -> None:
    """Rows 53 and 54."""
    visits.add_crew_key(provider, "anna")
    before, point = visits.kept(provider), f"/v1/points/{provider}"
    for key, wanted in (("app", (403, "forbidden")), ("anna", (403, "forbidden")), (None, (401, "unauthenticated"))):

        def sent(method: str, path: str, body: Any = None, key: str | None = key) -> httpx.Response:
            given = {} if body is None else {"json": body}
            headers = {"If-Match": "*"} if method == "DELETE" else {}
            return visits.desk.registry.send(method, f"{point}/{path}", key=key, headers=headers, **given)

        answers = [sent(method, path[1:], body) for method, path, body, _ in KINDS.values()]
        answers += [sent("GET", path) for path in ("crews", "crews/anna", "crews/anna/busy")]
        answers += [sent("DELETE", path) for path in ("crews/anna", "services/clean", "crews/anna/busy/leave")]
        answers += [] if key == "anna" else [sent("GET", "crews/anna/day")]
        assert {problem(answer) for answer in answers} == {wanted}
    assert visits.kept(provider) == before


@pytest.mark.parametrize(
    "date", ["2027-02-29", "9999-12-31", "0001-01-01", "2026-1-1", "today", "", "2026-11-26T00:00:00Z"]
)
def test_day_that_is_none__has_no_sheet(visits: Visits, provider: str, date: str) -> None:
    """Row 58."""
    answer = visits.desk.send("GET", f"/v1/points/{provider}/crews/anna/day", "corner", params={"date": date})
    assert problem(answer) == (422, BAD)


def test_crew_that_works_elsewhere__is_not_sold(visits: Visits, provider: str) -> None:
    """A good area, a good break and a place of its own are kept, and hold."""
    lat = visits.desk.lat
    area = square(LNG - 0.01, lat - 0.01, 0.02)
    made = visits.crew(provider, "anna", area=area, breaks=json.loads(_rest()), start={"lat": lat, "lng": LNG})
    assert made["area"] == area
    far = visits.ask(visits.body(provider, visits.tomorrow(14), lat=lat + 0.02))
    assert (problem(far), far.json()["reason"]) == ((409, "sold-out"), "no_crew")

"""Crews and services of a point: made, read, replaced, deleted, and by file, on both databases."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest

from tests.contract.service.desk import LNG, Desk
from tests.contract.service.shops import NDJSON, square
from tests.contract.service.talking import dump, problem
from tests.contract.service.visiting import CLEAN, CREW, Visits
from tests.feed_store import wait_until
from tests.registry import WAIT_S
from tests.serving import Place


@pytest.fixture
def visits(desk: Desk) -> Visits:
    return Visits(desk)


def _import(visits: Visits, point_id: str, kind: str, *bodies: dict[str, Any] | str) -> dict[str, Any]:
    lines = "".join(f"{body if isinstance(body, str) else json.dumps(body)}\n" for body in bodies)
    headers = NDJSON | {"Idempotency-Key": uuid.uuid4().hex}
    path = f"/v1/points/{point_id}/{kind}:import"
    answer = visits.desk.send("POST", path, "corner", content=lines.encode(), headers=headers)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def _keys_of(visits: Visits, point_id: str) -> list[dict[str, Any]]:
    found = visits.desk.send("GET", "/v1/keys", "corner", params={"page_size": 200}).json()["items"]
    return [one for one in found if str(one["crew"]).startswith(f"{point_id}/")]


def test_crew__is_told_as_it_was_written_and_replaced_whole(visits: Visits) -> None:
    point_id = visits.provider()
    told = visits.crew(
        point_id,
        "anna",
        people=2,
        start={"lat": visits.desk.lat, "lng": LNG},
        breaks=[{"earliest": "12:00", "latest": "13:30", "minutes": 30}],
        area=square(),
        max_jobs=5,
    )
    read = visits.desk.send("GET", f"/v1/points/{point_id}/crews/anna", "corner")
    assert read.json() | {"unkept": [], "moved": []} == told
    assert read.headers["etag"] == '"1"'
    assert (told["people"], told["max_jobs"], told["area"]["type"]) == (2, 5, "Polygon")
    assert told["start"] == {"lat": pytest.approx(visits.desk.lat), "lng": LNG}
    again = visits.crew(point_id, "anna")
    assert (again["people"], again["area"], again["breaks"], again["revision"]) == (1, None, [], 2)


def test_crew__in_the_datum_of_a_map_stands_where_it_is(visits: Visits) -> None:
    point_id = visits.provider()
    told = visits.crew(point_id, "anna", start={"lat": visits.desk.lat, "lng": LNG}, datum="gcj02")
    assert told["datum"] == "wgs84"
    assert 1e-4 < abs(told["start"]["lng"] - LNG) < 1e-2


def test_service__tells_the_norms_values_for_what_was_left_out(visits: Visits) -> None:
    point_id = visits.provider()
    told = visits.desk.send("GET", f"/v1/points/{point_id}/services/clean", "app").json()
    assert (told["lead_minutes"], told["window_minutes"], told["step_minutes"]) == (120, 120, 30)
    visits.service(point_id, lead_minutes=0, window_minutes=15)
    told = visits.desk.send("GET", f"/v1/points/{point_id}/services/clean", "app").json()
    assert (told["lead_minutes"], told["window_minutes"], told["step_minutes"]) == (0, 15, 30)


def test_lists__go_by_id_in_pages(visits: Visits) -> None:
    point_id = visits.provider("c-1", "c-2", "c-3")
    path = f"/v1/points/{point_id}/crews"
    first = visits.desk.send("GET", path, "corner", params={"page_size": "2"}).json()
    rest = visits.desk.send("GET", path, "corner", params={"page_size": "2", "cursor": first["next_cursor"]}).json()
    assert [one["crew_id"] for one in first["items"] + rest["items"]] == ["c-1", "c-2", "c-3"]
    assert rest["next_cursor"] is None
    services = visits.desk.send("GET", f"/v1/points/{point_id}/services", "app").json()
    assert [one["service_id"] for one in services["items"]] == ["clean"]


def test_deleted__crew_and_service_cannot_be_booked_any_more(visits: Visits) -> None:
    point_id = visits.provider("anna")
    path = f"/v1/points/{point_id}"
    assert visits.desk.send("DELETE", f"{path}/crews/anna", "corner", headers={"If-Match": '"1"'}).status_code == 204
    assert visits.starts(point_id) == []
    visits.crew(point_id, "anna")
    assert visits.starts(point_id)
    assert visits.desk.send("DELETE", f"{path}/services/clean", "corner", headers={"If-Match": "*"}).status_code == 204
    assert problem(visits.ask_slots(point_id)) == (404, "not-found")


@pytest.mark.parametrize("gone", ["crew", "point"])
def test_deleted__crew_leaves_no_key_to_who_has_its_name_next(visits: Visits, gone: str) -> None:
    point_id, send = visits.provider("anna", "bert"), visits.desk.send
    path = f"/v1/points/{point_id}"
    for crew_id in ("anna", "bert"):
        visits.add_crew_key(point_id, crew_id)
        assert send("GET", f"{path}/crews/{crew_id}/day", crew_id).status_code == 200
    deleted = path if gone == "point" else f"{path}/crews/anna"
    assert send("DELETE", deleted, "corner", headers={"If-Match": "*"}).status_code == 204
    visits.desk.registry.follow()
    assert problem(send("GET", f"{path}/crews/anna/day", "anna")) == (401, "unauthenticated")
    expected = {"point": 401, "crew": 200}[gone]
    assert send("GET", f"{path}/crews/bert/day", "bert").status_code == expected
    revoked = [one for one in _keys_of(visits, point_id) if one["revoked_at"] is not None]
    assert len(revoked) == {"point": 2, "crew": 1}[gone]
    trail = send("GET", "/v1/audit", "corner", params={"subject": revoked[0]["key_id"]}).json()["items"]
    assert trail[0]["action"] == "key.revoke"


@pytest.mark.parametrize("gone", ["crew", "point"])
def test_deleted__crew_leaves_its_name_in_no_file(visits: Visits, place: Place, gone: str) -> None:
    point_id, name = visits.provider(), f"canary{uuid.uuid4().hex}"
    path = f"/v1/points/{point_id}"
    visits.crew(point_id, "anna", name=name)
    deleted = path if gone == "point" else f"{path}/crews/anna"
    assert name.encode() in dump(place)
    assert visits.desk.send("DELETE", deleted, "corner", headers={"If-Match": "*"}).status_code == 204
    store = visits.desk.registry.services.store

    def is_gone() -> bool:
        store.write_now(lambda connection: None)  # as the housekeeping does: the log is emptied behind a write
        return name.encode() not in dump(place)

    wait_until(is_gone, WAIT_S, "the name of a deleted crew is gone")


def test_paused__crew_and_service_take_nothing_new(visits: Visits) -> None:
    point_id = visits.provider("anna")
    booking = visits.book(point_id, visits.tomorrow(10))
    visits.crew(point_id, "anna", paused=True)
    assert visits.starts(point_id) == []
    assert visits.brought(booking, "confirm")["state"] == "confirmed"
    visits.crew(point_id, "anna")
    visits.service(point_id, paused=True)
    refused = visits.ask_slots(point_id)
    assert problem(refused) == (409, "not-feasible")
    assert refused.json()["reason"] == "paused"


def test_import__takes_good_lines_and_names_the_others(visits: Visits) -> None:
    point_id = visits.provider("anna", service={"window_minutes": 0})
    visits.brought(visits.book(point_id, visits.tomorrow(16)), "confirm")
    done = _import(
        visits,
        point_id,
        "crews",
        {**CREW, "crew_id": "bert"},
        {**CREW, "crew_id": "carl", "hours": "never on Sundays"},
        {**CREW, "crew_id": "anna", "hours": "Mo-Su 08:00-12:00"},  # it has promised more
        "{",
        {**CREW, "crew_id": "dora", "area": {"type": "Polygon", "coordinates": []}},
    )
    assert (done["upserted"], done["rejected"]) == (1, 4)
    told = {error["line"]: error["type"].rpartition("/")[2] for error in done["errors"]}
    assert told == {2: "validation", 3: "state-conflict", 4: "invalid-json", 5: "geometry-invalid"}
    crews = visits.desk.send("GET", f"/v1/points/{point_id}/crews", "corner").json()["items"]
    assert [(one["crew_id"], one["hours"]) for one in crews] == [
        ("anna", "Mo-Su 08:00-18:00"),
        ("bert", "Mo-Su 08:00-18:00"),
    ]
    done = _import(
        visits, point_id, "services", {**CLEAN, "service_id": "deep"}, {**CLEAN, "service_id": "x", "minutes": 1}
    )
    assert (done["upserted"], done["rejected"]) == (1, 1)


def test_point__with_promised_visits_is_not_deleted(visits: Visits) -> None:
    point_id = visits.provider("anna")
    booking = visits.book(point_id)
    path, headers = f"/v1/points/{point_id}", {"If-Match": "*"}
    refused = visits.desk.send("DELETE", path, "corner", headers=headers)
    assert problem(refused) == (409, "state-conflict")
    assert refused.json()["bookings"] == [booking["booking_id"]]
    visits.done(booking, "cancel", "app", {})
    assert visits.desk.send("DELETE", path, "corner", headers=headers).status_code == 204


def test_import__takes_so_many_crews_in_one_write_that_others_can_write_in_between(visits: Visits) -> None:
    point_id = visits.provider("anna")
    told = _import(visits, point_id, "crews", *({**CREW, "crew_id": f"c{number}"} for number in range(120)))
    assert (told["upserted"], told["rejected"]) == (120, 0)
    items = visits.desk.send("GET", "/v1/audit", "corner", params={"action": "crew.import"}).json()["items"]
    assert [one["detail"]["lines"] for one in reversed(items) if one["detail"]["point_id"] == point_id] == [
        *("1-50", "51-100", "101-120")
    ]

"""What becomes of promised visits where a crew falls ill, works less, is deleted, or takes longer: on both databases."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from service.bookings.asking import asked_of
from service.bookings.days import day_of
from service.bookings.finding import candidate_for
from service.bookings.planning import Window, place_visit
from service.clock import to_us
from service.errors import DeadlineExceededError, OverloadedError, StorageUnavailableError
from service.store.visit_tables import shifts
from tests.contract.service.desk import LNG, Desk
from tests.contract.service.talking import problem
from tests.contract.service.visiting import CREW, OFFER, Visits
from tests.crew_walk import late_stops

EXACT = {"window_minutes": 0, "lead_minutes": 0}
STARTED = ("confirm", "depart", "start")


@pytest.fixture
def visits(desk: Desk) -> Visits:
    return Visits(desk)


def _crew(point_id: str, crew_id: str = "anna") -> str:
    return f"/v1/points/{point_id}/crews/{crew_id}"


def _confirmed(visits: Visits, point_id: str, *hours: int) -> list[dict[str, Any]]:
    """Book a visit each tomorrow at some hours: of two at one time anna makes the first, bert the second."""
    return [visits.brought(visits.book(point_id, visits.tomorrow(hour)), "confirm") for hour in hours]


def _ill(visits: Visits, point_id: str, until: str | None = None, **more: Any) -> dict[str, Any]:
    until = until or (visits.desk.now + dt.timedelta(days=3)).isoformat()
    answer = visits.desk.send("POST", f"{_crew(point_id)}:ill", "corner", json={"until": until, **more})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def _ids(bookings: Iterable[dict[str, Any]]) -> list[str]:
    return [booking["booking_id"] for booking in bookings]


def _all_can_be_kept(visits: Visits, point_id: str) -> None:
    """Fail where a day that is stored cannot be kept, or a visit that is promised does not stand in exactly one."""
    rows = visits.desk.rows(select(shifts).where(shifts.c.point_id == point_id))
    bookings = visits.desk.registry.services.bookings
    travel = visits.desk.registry.services.store.read_now(lambda one: bookings.rosters.travel(one, point_id))
    assert [late_stops(day_of(row), travel) for row in rows] == [[]] * len(rows)
    stops = [(row.crew_id, stop.stop_id) for row in rows for stop in day_of(row).stops if stop.place is not None]
    listed = visits.desk.send("GET", "/v1/bookings", "corner", params={"point": point_id}).json()["items"]
    promised = {"held", "confirmed", "en_route", "started", "finished", "paid", "customer_absent"}
    assert sorted(stops) == sorted((one["crew_id"], one["booking_id"]) for one in listed if one["state"] in promised)


def test_crew_that_is_ill__is_stood_in_for_where_windows_can_be_kept_and_who_cannot_be_kept_is_told_first(
    visits: Visits,
) -> None:
    point_id = visits.provider("anna", "bert", service=EXACT)
    ten, one, other, four = _confirmed(visits, point_id, 10, 13, 13, 16)
    assert [visits.read(booking, "corner")["crew_id"] for booking in (ten, one, other, four)] == [
        *("anna", "anna", "bert", "anna")
    ]
    held = visits.book(point_id, visits.tomorrow(8))
    told = _ill(visits, point_id)
    assert list(told) == ["unkept", "moved"]
    assert _ids(told["unkept"]) == _ids([one])
    assert sorted(_ids(told["moved"])) == sorted(_ids([ten, four, held]))
    assert {booking["crew_id"] for booking in told["moved"]} == {"bert"}
    _all_can_be_kept(visits, point_id)
    (unkept,) = told["unkept"]
    assert (unkept["state"], unkept["crew_id"], visits.read(one)["next"]) == (
        *("unplaced", None),
        ["reschedule", "cancel", "absent"],
    )
    for booking, state in ((ten, "confirmed"), (four, "confirmed"), (held, "held")):
        now = visits.read(booking)
        assert (now["state"], now["starts_at"]) == (state, booking["starts_at"])
    assert visits.events(ten)[-1] == ("move", "confirmed")
    assert visits.events(one)[-1] == ("lose", "unplaced")
    starts = {dt.datetime.fromisoformat(slot["starts_at"]) for slot in unkept["slots"]}
    assert starts <= {dt.datetime.fromisoformat(at) for at in visits.starts(point_id)}
    moved = visits.done(one, "reschedule", "app", {"starts_at": unkept["slots"][0]["starts_at"]})
    assert (moved["state"], moved["fee_minor"]) == ("confirmed", 0)
    assert visits.read(one, "corner")["crew_id"] == "bert"
    _all_can_be_kept(visits, point_id)


def test_visit_that_was_only_held__expires_where_nobody_else_can_come(visits: Visits) -> None:
    point_id = visits.provider("anna", service=EXACT)
    held = visits.book(point_id, visits.tomorrow(10))
    told = _ill(visits, point_id)
    assert [(one["booking_id"], one["state"]) for one in told["unkept"]] == [(held["booking_id"], "expired")]
    assert visits.events(held)[-1] == ("lose", "expired")
    assert problem(visits.act(held, "confirm", "app")) == (409, "state-conflict")


def test_crew_that_is_ill__goes_on_with_what_it_has_begun_and_does_nothing_behind_it(visits: Visits) -> None:
    point_id = visits.provider("anna", service=EXACT)
    begun, later, day_after = (
        *_confirmed(visits, point_id, 10, 14),
        visits.brought(visits.book(point_id, _days_on(visits.tomorrow(10), 2)), "confirm"),
    )
    visits.brought(begun, "depart", "start")
    visits.desk.pass_(1800)
    told = _ill(visits, point_id, visits.tomorrow(0))
    assert (_ids(told["unkept"]), told["moved"]) == (_ids([later]), [])
    assert visits.brought(begun, "finish")["state"] == "finished"
    assert visits.read(day_after)["state"] == "confirmed"
    _all_can_be_kept(visits, point_id)


@pytest.mark.parametrize(("hour", "minute"), [(10, 30), (11, 5)])
@pytest.mark.parametrize("is_free", [True, False])
def test_visit_that_has_not_begun_though_it_was_planned__is_stood_in_for_while_its_window_is_open(
    visits: Visits, hour: int, minute: int, is_free: bool
) -> None:
    point_id = visits.provider("anna", service={"window_minutes": 240, "lead_minutes": 0, "minutes": 60})
    (ten,) = _confirmed(visits, point_id, 10)
    if is_free:
        visits.crew(point_id, "bert")
    visits.desk.pass_until(visits.tomorrow(hour, minute))
    told = _ill(visits, point_id)
    assert (_ids(told["moved"]), _ids(told["unkept"])) == ((_ids([ten]), []) if is_free else ([], _ids([ten])))
    now = visits.read(ten)
    assert (now["state"], now["starts_at"]) == ("confirmed" if is_free else "unplaced", ten["starts_at"])
    assert visits.read(ten, "corner")["crew_id"] == ("bert" if is_free else None)
    _all_can_be_kept(visits, point_id)


def test_visit_that_has_not_begun__stays_as_it_was_promised_where_its_crew_has_time_before_it_goes_home(
    visits: Visits,
) -> None:
    point_id = visits.provider("anna", service={"window_minutes": 240, "lead_minutes": 0, "minutes": 60})
    (ten,) = _confirmed(visits, point_id, 10)
    visits.desk.pass_until(visits.tomorrow(11, 30))
    visits.crew(point_id, "anna", hours="Mo-Su 08:00-13:00")
    (row,) = visits.desk.rows(select(shifts).where(shifts.c.point_id == point_id))
    (stop,) = day_of(row).stops
    promised = (dt.datetime.fromisoformat(ten[name]).timestamp() for name in ("starts_at", "ends_at"))
    assert (stop.earliest_s, stop.latest_s) == tuple(promised)
    shorter = {**CREW, "hours": "Mo-Su 08:00-12:00"}
    assert problem(visits.desk.send("PUT", _crew(point_id), "corner", json=shorter)) == (409, "state-conflict")


def test_crew_that_is_ill_during_a_visit__is_well_again_when_it_said_and_no_later(visits: Visits) -> None:
    point_id = visits.provider("anna", service=EXACT)
    one, ten, fifteen = (_told(visits.tomorrow(13)), *_confirmed(visits, point_id, 10, 15))
    until = visits.tomorrow(13)
    visits.brought(ten, "depart", "start")
    visits.desk.pass_(1800)
    assert _ill(visits, point_id, until) == {"unkept": [], "moved": []}
    sheet = visits.desk.send("GET", f"{_crew(point_id)}/day", "corner", params={"date": until[:10]}).json()
    stops = {stop["kind"]: stop for stop in sheet["shifts"][0]["stops"] if stop["booking_id"] != fifteen["booking_id"]}
    assert stops["busy"]["starts_at"] == stops["visit"]["ends_at"]
    assert dt.datetime.fromisoformat(stops["busy"]["ends_at"]) == dt.datetime.fromisoformat(until)
    assert one in visits.starts(point_id)
    _all_can_be_kept(visits, point_id)


def _days_on(at: str, days: int) -> str:
    return (dt.datetime.fromisoformat(at) + dt.timedelta(days)).isoformat()


def test_engagement_that_is_deleted__frees_the_crew_and_what_others_make_stays_theirs(visits: Visits) -> None:
    point_id = visits.provider("anna", "bert", service=EXACT)
    free = visits.starts(point_id)
    (booking,) = _confirmed(visits, point_id, 10)
    _ill(visits, point_id, starts_at=visits.tomorrow(0), until=visits.tomorrow(23))
    tomorrow = [at for at in visits.starts(point_id) if at in free and at not in visits.starts(point_id, days=1)]
    assert _told(visits.tomorrow(10)) not in tomorrow
    (busy,) = visits.desk.send("GET", f"{_crew(point_id)}/busy", "corner").json()["items"]
    assert busy["engagement_id"].startswith("ill-")
    path = f"{_crew(point_id)}/busy/{busy['engagement_id']}"
    assert visits.desk.send("DELETE", path, "corner").status_code == 204
    assert problem(visits.desk.send("DELETE", path, "corner")) == (404, "not-found")
    assert visits.read(booking, "corner")["crew_id"] == "bert"
    assert visits.starts(point_id) == free  # by anna alone where bert is taken
    (second,) = _confirmed(visits, point_id, 10)
    assert visits.read(second, "corner")["crew_id"] == "anna"
    _all_can_be_kept(visits, point_id)


def test_engagement_that_is_deleted__does_not_bring_a_break_back_over_a_promised_visit_without_a_second_word(
    visits: Visits,
) -> None:
    noon = {"breaks": [{"earliest": "12:00", "latest": "12:30", "minutes": 60}]}
    point_id = visits.provider("anna", service={**EXACT, "minutes": 60}, crew=noon)
    path = f"{_crew(point_id)}/busy/call"
    visits.put(path, {"starts_at": visits.tomorrow(12, 30), "ends_at": visits.tomorrow(13)})
    half_past_eleven = visits.brought(visits.book(point_id, visits.tomorrow(11, 30)), "confirm")
    (one,) = _confirmed(visits, point_id, 13)
    refused = visits.desk.send("DELETE", path, "corner")
    assert problem(refused) == (409, "state-conflict")
    assert (refused.json()["bookings"], visits.read(one)["state"]) == (_ids([one]), "confirmed")
    assert len(visits.desk.send("GET", f"{_crew(point_id)}/busy", "corner").json()["items"]) == 1
    told = visits.desk.send("DELETE", path, "corner", params={"open_bookings": "replan"})
    assert (told.status_code, _ids(told.json()["unkept"]), told.json()["moved"]) == (200, _ids([one]), [])
    assert (visits.read(one)["state"], visits.read(half_past_eleven)["state"]) == ("unplaced", "confirmed")
    _all_can_be_kept(visits, point_id)


def _told(at: str) -> str:
    return dt.datetime.fromisoformat(at).astimezone(dt.UTC).isoformat().replace("+00:00", "Z")


def _change(visits: Visits, point_id: str, how: str, **query: str) -> httpx.Response:
    path, desk = _crew(point_id), visits.desk
    if how == "shorter hours":
        return desk.send("PUT", path, "corner", json={**CREW, "hours": "Mo-Su 08:00-11:00"}, params=query)
    if how == "engagement":
        body = {"starts_at": visits.tomorrow(11), "ends_at": visits.tomorrow(17)}
        return desk.send("PUT", f"{path}/busy/dentist", "corner", json=body, params=query)
    headers = {"If-Match": desk.send("GET", path, "corner").headers["ETag"]}
    return desk.send("DELETE", path, "corner", headers=headers, params=query)


@pytest.mark.parametrize("how", ["shorter hours", "engagement", "deleted"])
def test_change_of_a_crew__that_leaves_visits_behind_is_refused_without_a_second_word(visits: Visits, how: str) -> None:
    point_id = visits.provider("anna", "bert", service=EXACT)
    eight, one, other, four = _confirmed(visits, point_id, 8, 13, 13, 16)
    gone = [eight, one, four] if how == "deleted" else [one, four]
    kept = [] if how == "deleted" else [eight]

    def now() -> Any:
        paths = (_crew(point_id), f"{_crew(point_id)}/busy")
        told = [visits.desk.send("GET", path, "corner").json() for path in paths]
        return told, [visits.row(booking) for booking in (eight, one, other, four)], visits.planned(point_id)

    before = now()
    refused = _change(visits, point_id, how)
    assert problem(refused) == (409, "state-conflict")
    assert sorted(refused.json()["bookings"]) == sorted(_ids(gone))
    assert refused.json()["n_bookings"] == len(gone)
    assert now() == before
    told = _change(visits, point_id, how, open_bookings="replan")
    assert told.is_success
    (unkept,) = told.json()["unkept"]
    assert (unkept["booking_id"], unkept["state"]) == (one["booking_id"], "unplaced")
    starts = {dt.datetime.fromisoformat(slot["starts_at"]) for slot in unkept["slots"]}
    assert starts
    assert starts <= {dt.datetime.fromisoformat(at) for at in visits.starts(point_id)}
    assert sorted(_ids(told.json()["moved"])) == sorted(_ids([booking for booking in gone if booking is not one]))
    assert [visits.read(booking, "corner")["crew_id"] for booking in kept] == ["anna"] * len(kept)
    assert [(visits.read(one)["state"], visits.read(one, "corner")["crew_id"])] == [("unplaced", None)]
    for booking in (booking for booking in gone if booking is not one):
        assert visits.read(booking, "corner")["crew_id"] == "bert"
    _all_can_be_kept(visits, point_id)


def _move(visits: Visits, point_id: str, **query: str) -> httpx.Response:
    """Let a provider be elsewhere, some twenty minutes away."""
    path = f"/v1/points/{point_id}"
    found = visits.desk.send("GET", path, "corner")
    names = ("kind", "name", "lng", "timezone", "country")
    offer = {"offer": OFFER, "hours": "24/7", "area": {"radius_m": 20_000}, "lead_s": 0}
    body = {name: found.json()[name] for name in names} | {"lat": visits.desk.lat + 0.06, "offers": [offer]}
    headers = {"If-Match": found.headers["ETag"]}
    return visits.desk.send("PUT", path, "corner", json=body, headers=headers, params=query)


def test_point_that_moves__takes_along_where_its_crews_start(visits: Visits) -> None:
    point_id, old = visits.provider("anna", service=EXACT), (visits.desk.lat, LNG)
    visits.crew(point_id, "bert", start={"lat": old[0], "lng": old[1]})
    visits_of_both = _confirmed(visits, point_id, 12, 12)
    assert _move(visits, point_id).status_code == 200
    rows = visits.desk.rows(select(shifts).where(shifts.c.point_id == point_id))
    new = (visits.desk.lat + 0.06, LNG)
    assert {day.crew_id: (day.start, day.end) for day in map(day_of, rows)} == {"anna": (new, new), "bert": (old, old)}
    assert [visits.read(one)["state"] for one in visits_of_both] == ["confirmed"] * 2
    _all_can_be_kept(visits, point_id)


@pytest.mark.parametrize("is_free", [True, False])
def test_point_that_moves__leaves_no_visit_behind_without_a_second_word(visits: Visits, is_free: bool) -> None:
    point_id = visits.provider("anna", service=EXACT)
    visits.crew(point_id, "bert", start={"lat": visits.desk.lat, "lng": LNG})
    first, *_ = _confirmed(visits, point_id, *((8,) if is_free else (8, 8)))
    before = visits.kept(point_id)
    refused = _move(visits, point_id)
    assert (problem(refused), refused.json()["bookings"]) == ((409, "state-conflict"), _ids([first]))
    assert visits.kept(point_id) == before
    told = _move(visits, point_id, open_bookings="replan")
    assert told.status_code == 200
    assert _ids(told.json()["moved" if is_free else "unkept"]) == _ids([first])
    now = visits.read(first, "corner")
    assert (now["state"], now["crew_id"]) == (("confirmed", "bert") if is_free else ("unplaced", None))
    _all_can_be_kept(visits, point_id)


def test_point_that_moves_by_file__stays_while_visits_are_promised_there(visits: Visits) -> None:
    point_id = visits.provider("anna", service=EXACT)
    (booking,) = _confirmed(visits, point_id, 12)
    path = f"/v1/points/{point_id}"
    before = visits.desk.send("GET", path, "corner").json()
    names = ("point_id", "kind", "name", "lng", "timezone", "country")
    line = {name: before[name] for name in names} | {"offers": [{"offer": OFFER, "hours": "24/7"}]}
    lines = [
        line | {"lat": visits.desk.lat, "name": "Here"},
        line | {"lat": visits.desk.lat + 0.06, "name": "Elsewhere"},
    ]
    body = b"".join(json.dumps(one).encode() + b"\n" for one in lines)
    headers = {"Content-Type": "application/x-ndjson", "Idempotency-Key": point_id}
    told = visits.desk.send("POST", "/v1/points:import", "corner", content=body, headers=headers).json()
    assert (told["rejected"], told["upserted"]) == (1, 1)
    errors = visits.desk.send("GET", f"/v1/imports/{told['import_id']}/errors", "corner").json()["items"]
    assert [(one["line"], one["type"]) for one in errors] == [(2, "state-conflict")]
    after = visits.desk.send("GET", path, "corner").json()
    assert (after["lat"], after["name"]) == (before["lat"], "Here")
    visits.done(booking, "cancel", "app", {})
    headers["Idempotency-Key"] += "-again"
    told = visits.desk.send("POST", "/v1/points:import", "corner", content=body, headers=headers).json()
    assert told["rejected"] == 0
    assert visits.desk.send("GET", path, "corner").json()["name"] == "Elsewhere"


def test_point__keeps_the_offer_under_which_visits_are_promised(visits: Visits) -> None:
    point_id = visits.provider("anna", service=EXACT)
    (booking,) = _confirmed(visits, point_id, 12)
    path, other = f"/v1/points/{point_id}", {"offer": "retail/pickup", "hours": "24/7"}
    found = visits.desk.send("GET", path, "corner")
    names = ("kind", "name", "lat", "lng", "timezone", "country")
    body = {name: found.json()[name] for name in names}
    headers = {"If-Match": found.headers["ETag"]}

    def put(offers: list[dict[str, str]]) -> httpx.Response:
        answer = visits.desk.send("PUT", path, "corner", json=body | {"offers": offers}, headers=headers)
        headers["If-Match"] = answer.headers.get("ETag", headers["If-Match"])
        return answer

    refused = put([other])
    assert (problem(refused), refused.json()["bookings"]) == ((409, "state-conflict"), _ids([booking]))
    line = json.dumps({"point_id": point_id, **body, "offers": [other]}).encode()
    upload = {"Content-Type": "application/x-ndjson", "Idempotency-Key": point_id}
    told = visits.desk.send("POST", "/v1/points:import", "corner", content=line, headers=upload).json()
    assert (told["rejected"], told["upserted"]) == (1, 0)
    assert visits.desk.send("GET", path, "corner").json() == found.json()
    assert put([other, {"offer": OFFER, "hours": "24/7"}]).status_code == 200
    visits.done(booking, "cancel", "app", {})
    assert put([other]).status_code == 200


@pytest.mark.parametrize("how", ["shorter hours", "engagement", "deleted"])
def test_change_of_a_crew__that_concerns_no_promised_visit_needs_no_second_word(visits: Visits, how: str) -> None:
    point_id = visits.provider("anna", service=EXACT)
    (booking,) = _confirmed(visits, point_id, 9)
    if how == "deleted":
        visits.done(booking, "cancel", "app", {})
    told = _change(visits, point_id, how)
    if how == "deleted":
        assert (told.status_code, told.content) == (204, b"")
    else:
        assert (told.json()["unkept"], told.json()["moved"]) == ([], [])
    assert visits.read(booking)["state"] == ("cancelled" if how == "deleted" else "confirmed")
    _all_can_be_kept(visits, point_id)


def _become(visits: Visits, point_id: str, less: dict[str, Any], **query: str) -> httpx.Response:
    return visits.desk.send("PUT", _crew(point_id), "corner", json={**CREW, **less}, params=query)


@pytest.mark.parametrize("less", ["skills", "people", "area", "max_jobs"])
@pytest.mark.parametrize("is_free", [True, False])
def test_crew_that_can_do_less__keeps_only_what_it_can_still_do_and_needs_a_second_word(
    visits: Visits, less: str, *, is_free: bool
) -> None:
    point_id = visits.provider("anna", "bert", service={**EXACT, "people": 2}, crew={"people": 2})
    ten, one = _confirmed(visits, point_id, 10, 13)
    other = None if is_free else _confirmed(visits, point_id, 13)[0]
    changes: dict[str, dict[str, Any]] = {
        "skills": {"skills": ["windows"], "people": 2},
        "people": {"people": 1},
        "area": {"people": 2, "start": {"lat": visits.desk.lat + 0.01, "lng": LNG}, "area": {"radius_m": 500}},
        "max_jobs": {"people": 2, "max_jobs": 1},
    }
    changed = changes[less]
    gone = [one] if less == "max_jobs" else [ten, one]
    refused = _become(visits, point_id, changed)
    assert problem(refused) == (409, "state-conflict")
    assert sorted(refused.json()["bookings"]) == sorted(_ids(gone))
    assert visits.desk.send("GET", _crew(point_id), "corner").json()["skills"] == ["cleaning"]
    told = _become(visits, point_id, changed, open_bookings="replan")
    assert (told.status_code, _ids(told.json()["unkept"])) == (200, [] if is_free else _ids([one]))
    assert sorted(_ids(told.json()["moved"])) == sorted(_ids(gone if is_free else gone[:-1]))
    assert visits.read(ten, "corner")["crew_id"] == ("anna" if less == "max_jobs" else "bert")
    assert visits.read(one, "corner")["crew_id"] == ("bert" if is_free else None)
    assert other is None or visits.read(other, "corner")["crew_id"] == "bert"
    _all_can_be_kept(visits, point_id)


def test_crew_that_can_do_less__goes_on_with_what_it_has_begun_and_keeps_all_where_it_is_only_paused(
    visits: Visits,
) -> None:
    point_id = visits.provider("anna", "bert", service=EXACT)
    begun, later = _confirmed(visits, point_id, 10, 14)
    paused = _become(visits, point_id, {"paused": True})
    assert (paused.status_code, paused.json()["moved"], paused.json()["unkept"]) == (200, [], [])
    visits.brought(begun, "depart", "start")
    told = _become(visits, point_id, {"skills": []}, open_bookings="replan")
    assert (told.status_code, _ids(told.json()["moved"]), told.json()["unkept"]) == (200, _ids([later]), [])
    assert visits.read(begun, "corner")["crew_id"] == "anna"
    assert visits.brought(begun, "finish")["state"] == "finished"
    _all_can_be_kept(visits, point_id)


@pytest.mark.parametrize("until", ["start", "finish"])
def test_crew_that_is_deleted__leaves_what_it_has_begun_or_done_and_nothing_else(visits: Visits, until: str) -> None:
    point_id = visits.provider("anna", "bert", service=EXACT)
    begun, later = _confirmed(visits, point_id, 10, 14)
    visits.brought(begun, "depart", "start", *(("finish",) if until == "finish" else ()))
    refused = _change(visits, point_id, "deleted")
    assert refused.status_code == 409, refused.text
    assert (problem(refused), refused.json()["bookings"]) == ((409, "state-conflict"), _ids([later]))
    told = _change(visits, point_id, "deleted", open_bookings="replan")
    assert (told.status_code, _ids(told.json()["moved"]), told.json()["unkept"]) == (200, _ids([later]), [])
    assert visits.read(later, "corner")["crew_id"] == "bert"
    if until == "start":
        visits.brought(begun, "finish")
    assert visits.brought(begun, "pay")["state"] == "paid"
    _all_can_be_kept(visits, point_id)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("08:00-12:00,13:00-18:00", "08:00-18:00"),
        ("08:00-18:00", "08:00-12:00,13:00-18:00"),
        ("08:00-18:00", "07:00-18:00"),
        ("08:00-12:00,13:00-18:00", "07:00-18:00"),
        ("08:00-12:00,13:00-18:00", "08:30-12:00,12:30-19:00"),
    ],
)
def test_shifts__that_are_cut_otherwise_keep_what_is_promised(visits: Visits, before: str, after: str) -> None:
    point_id = visits.provider("anna", service=EXACT, crew={"hours": f"Mo-Su {before}"})
    booked = _confirmed(visits, point_id, 9, 13, 15)
    answer = visits.desk.send("PUT", _crew(point_id), "corner", json={**CREW, "hours": f"Mo-Su {after}"})
    assert answer.status_code == 200, answer.text
    assert [visits.read(booking, "corner")["crew_id"] for booking in booked] == ["anna"] * 3
    _all_can_be_kept(visits, point_id)
    assert _told(visits.tomorrow(13)) not in visits.starts(point_id)
    for booking in booked:
        visits.done(booking, "cancel", "app", {})
    _all_can_be_kept(visits, point_id)


@pytest.mark.parametrize("is_free", [True, False])
def test_visit_that_takes_longer__hands_later_ones_on(visits: Visits, is_free: bool) -> None:
    point_id = visits.provider("anna", "bert", service=EXACT)
    ten, noon, three = _confirmed(visits, point_id, 10, 12, 15)
    other = None if is_free else _confirmed(visits, point_id, 12)[0]
    visits.brought(ten, "depart", "start")
    visits.desk.pass_until(ten["starts_at"], 110 * 60)
    assert visits.done(ten, "overrun", "corner", {"minutes": 10}) == {"unkept": [], "moved": []}
    told = visits.done(ten, "overrun", "corner", {"minutes": 11})
    assert _ids(told["moved" if is_free else "unkept"]) == _ids([noon])
    assert visits.read(noon)["state"] == ("confirmed" if is_free else "unplaced")
    assert visits.read(three, "corner")["crew_id"] == "anna"
    assert visits.events(ten)[-1] == ("overrun", "started")
    _all_can_be_kept(visits, point_id)
    assert other is None or visits.read(other, "corner")["crew_id"] == "bert"
    assert visits.brought(ten, "finish")["state"] == "finished"


def test_visit_that_nobody_comes_to__is_no_longer_told_to_its_crew_and_told_by_the_clock(visits: Visits) -> None:
    point_id = visits.provider("anna", service=EXACT)
    (booking,) = _confirmed(visits, point_id, 10)
    _ill(visits, point_id)
    visits.desk.pass_until(booking["expires_at"])
    assert visits.events(booking)[-2:] == [("lose", "unplaced"), ("crew_absent", "crew_absent")]


@pytest.mark.parametrize("error", [DeadlineExceededError, OverloadedError, StorageUnavailableError])
def test_illness__tells_who_cannot_be_kept_though_the_store_tells_no_other_windows(
    visits: Visits, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    point_id = visits.provider("anna", service=EXACT)
    (booking,) = _confirmed(visits, point_id, 10)

    def submit_read(*_: Any) -> Any:
        raise error("it has too much to do")

    with monkeypatch.context() as patch:
        patch.setattr(visits.desk.registry.services.store, "submit_read", submit_read)
        told = _ill(visits, point_id)
    assert [(one["booking_id"], one["state"], one["slots"]) for one in told["unkept"]] == [
        (booking["booking_id"], "unplaced", [])
    ]


def test_window__found_before_a_crew_fell_ill_is_not_given_to_it_afterwards(visits: Visits) -> None:
    point_id = visits.provider("anna", service=EXACT)
    services = visits.desk.registry.services
    at_s = int(dt.datetime.fromisoformat(visits.tomorrow(10)).timestamp())
    wanted = (point_id, "clean", visits.desk.lat, LNG)
    store, terms = services.store, services.bookings
    asked = store.read_now(lambda one: asked_of(one, terms.orders, *wanted))
    candidate = store.read_now(lambda one: candidate_for(one, terms, asked, at_s, to_us(visits.desk.now)))
    assert candidate is not None
    _ill(visits, point_id)
    with pytest.raises(Exception, match="no_crew"):
        store.write_now(
            lambda one: place_visit(
                one, terms.rosters, asked.facts, asked.visit, Window(at_s, 0), "vis_late", candidate
            )
        )
    assert visits.planned(point_id) == {}


def test_shift_that_was_cut_short_and_is_over__can_be_made_longer_again(visits: Visits) -> None:
    point_id = visits.provider("anna", service=EXACT)
    (booking,) = _confirmed(visits, point_id, 8)
    visits.brought(booking, "depart", "start", "finish")
    assert _change(visits, point_id, "shorter hours").is_success
    visits.desk.pass_until(booking["starts_at"], 4 * 3600)
    visits.crew(point_id, "anna")
    at = _told(_days_on(visits.tomorrow(15), -1))
    assert at in visits.starts(point_id)
    visits.book(point_id, at)
    _all_can_be_kept(visits, point_id)


def test_crew_of_a_point_that_offers_no_visits_any_more__can_be_ill_all_the_same(visits: Visits) -> None:
    point_id = visits.provider("anna", service=EXACT)
    (booking,) = _confirmed(visits, point_id, 10)
    visits.withdraw_offer(point_id)
    told = _ill(visits, point_id)
    assert [(one["booking_id"], one["slots"]) for one in told["unkept"]] == [(booking["booking_id"], [])]

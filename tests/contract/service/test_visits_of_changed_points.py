"""What becomes of promised visits where their point is changed, and how its crews travel with it: on both databases."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from service.bookings.days import day_of
from service.store.visit_tables import shifts
from tests.contract.service.desk import LNG, Desk
from tests.contract.service.talking import problem
from tests.contract.service.visiting import OFFER, Visits
from tests.crew_walk import late_stops

EXACT = {"window_minutes": 0, "lead_minutes": 0, "step_minutes": 15}
NORTH = 0.06  # degrees: 28 minutes at the 20 km/h of housekeeping, 38 at the 15 of the property manager
ITS: dict[str, Any] = {"offer": OFFER, "hours": "24/7", "area": {"radius_m": 8000}, "lead_s": 0}
SLOWER = ITS | {"offer": "community/onsite"}
FASTER = ITS | {"offer": "appliance_repair/onsite"}


@pytest.fixture
def visits(desk: Desk) -> Visits:
    return Visits(desk)


def _at_half_past_twelve(visits: Visits) -> str:
    return (dt.datetime.fromisoformat(visits.tomorrow(12)) + dt.timedelta(minutes=30)).isoformat()


def _two_that_fit(visits: Visits, point_id: str) -> list[dict[str, Any]]:
    """Book a visit until noon, and one half an hour later as far away as a crew comes by then."""
    near = visits.book(point_id, visits.tomorrow(10))
    far = visits.book(point_id, _at_half_past_twelve(visits), lat=visits.desk.lat + NORTH)
    return [visits.brought(one, "confirm") for one in (near, far)]


def _body(visits: Visits, point_id: str, **changes: Any) -> tuple[dict[str, Any], str]:
    """Return a point as it is, but for changes, and its ETag."""
    found = visits.desk.send("GET", f"/v1/points/{point_id}", "corner")
    names = ("kind", "name", "lat", "lng", "timezone", "country")
    return {name: found.json()[name] for name in names} | {"offers": [ITS]} | changes, found.headers["ETag"]


def _put(visits: Visits, point_id: str, word: str | None = None, **changes: Any) -> httpx.Response:
    body, tag = _body(visits, point_id, **changes)
    params = {} if word is None else {"open_bookings": word}
    path = f"/v1/points/{point_id}"
    return visits.desk.send("PUT", path, "corner", json=body, headers={"If-Match": tag}, params=params)


def _import(visits: Visits, point_id: str, **changes: Any) -> tuple[int, list[str]]:
    """Send a point as a file of one line; return how many changed, and what was wrong with others."""
    line = json.dumps({"point_id": point_id, **_body(visits, point_id, **changes)[0]}).encode()
    headers = {"Content-Type": "application/x-ndjson", "Idempotency-Key": uuid.uuid4().hex}
    told = visits.desk.send("POST", "/v1/points:import", "corner", content=line, headers=headers).json()
    errors = visits.desk.send("GET", f"/v1/imports/{told['import_id']}/errors", "corner").json()["items"]
    return told["upserted"], [one["type"] for one in errors]


def _all_can_be_kept(visits: Visits, point_id: str) -> None:
    """Fail where a day that is stored cannot be kept as crews travel now."""
    rows = visits.desk.rows(select(shifts).where(shifts.c.point_id == point_id))
    services = visits.desk.registry.services
    travel = services.store.read_now(lambda one: services.bookings.rosters.travel(one, point_id))
    assert [late_stops(day_of(row), travel) for row in rows] == [[]] * len(rows)


@pytest.mark.parametrize("is_free", [True, False])
def test_slower_offer__lets_no_visit_be_late_without_a_second_word(visits: Visits, is_free: bool) -> None:
    point_id = visits.provider("anna", service=EXACT)
    near, far = _two_that_fit(visits, point_id)
    if is_free:
        visits.crew(point_id, "bert")
    before = visits.kept(point_id)
    refused = _put(visits, point_id, offers=[ITS, SLOWER])
    assert problem(refused) == (409, "state-conflict")
    assert refused.json()["n_bookings"] == 1
    assert visits.kept(point_id) == before
    told = _put(visits, point_id, "replan", offers=[ITS, SLOWER])
    assert told.status_code == 200
    (changed,) = told.json()["moved" if is_free else "unkept"]
    assert [changed["booking_id"]] == refused.json()["bookings"]
    states = {visits.read(one)["state"] for one in (near, far)}
    assert states == ({"confirmed"} if is_free else {"confirmed", "unplaced"})
    _all_can_be_kept(visits, point_id)


def test_offer_that_is_no_slower__leaves_visits_as_they_are(visits: Visits) -> None:
    point_id = visits.provider("anna", service=EXACT)
    _two_that_fit(visits, point_id)
    before = visits.planned(point_id)
    assert _put(visits, point_id, offers=[ITS, FASTER]).status_code == 200
    assert _import(visits, point_id, offers=[ITS, FASTER], name="Corner by file") == (1, [])
    assert visits.planned(point_id) == before


def test_slower_offer__comes_by_file_where_no_visits_are_promised(visits: Visits) -> None:
    point_id = visits.provider("anna", service=EXACT)
    booked = _two_that_fit(visits, point_id)
    assert _import(visits, point_id, offers=[ITS, SLOWER]) == (0, ["state-conflict"])
    for one in booked:
        visits.done(one, "cancel", "app", {})
    assert _import(visits, point_id, offers=[ITS, SLOWER]) == (1, [])
    visits.book(point_id, visits.tomorrow(10))
    far = visits.ask(visits.body(point_id, _at_half_past_twelve(visits), lat=visits.desk.lat + NORTH))
    assert problem(far) == (409, "sold-out")


@pytest.mark.parametrize("how", [_put, _import])
def test_point_that_moves__takes_along_shifts_of_which_all_visits_are_cancelled(visits: Visits, how: Any) -> None:
    point_id = visits.provider("anna", service=EXACT)
    visits.crew(point_id, "bert", start={"lat": visits.desk.lat, "lng": LNG})
    for one in [visits.book(point_id, visits.tomorrow(12)) for _ in range(2)]:
        visits.done(one, "cancel", "app", {})
    how(visits, point_id, lat=visits.desk.lat + NORTH)
    rows = visits.desk.rows(select(shifts).where(shifts.c.point_id == point_id))
    places = {day.crew_id: day.start for day in map(day_of, rows)}
    assert places.get("anna") in {None, (visits.desk.lat + NORTH, LNG)}
    assert places["bert"] == (visits.desk.lat, LNG)
    visits.desk.registry.follow()
    early = visits.tomorrow(8)  # bert is there, anna is not
    visits.book(point_id, early)
    assert problem(visits.ask(visits.body(point_id, early))) == (409, "sold-out")
    _all_can_be_kept(visits, point_id)

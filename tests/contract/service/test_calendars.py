"""The days of a crew as an iCalendar feed: read back as a phone reads them, under a link that can be revoked."""

from __future__ import annotations

import datetime as dt
import uuid
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest
from icalendar import Calendar, Event

from service.feed.housekeeping import Housekeeping
from tests.contract.service.desk import LNG, Desk
from tests.contract.service.operations import LAT
from tests.contract.service.operations import LNG as SERVED_LNG
from tests.contract.service.talking import dump, make_key, make_merchant, problem
from tests.contract.service.telltales import telltales
from tests.contract.service.visiting import CLEAN, CREW, OFFER, Visits
from tests.serving import Place, fresh_database, running_service

HELSINKI: dict[str, Any] = {"timezone": "Europe/Helsinki", "country": "FI"}
BEFORE_SUMMER_TIME = dt.datetime(2027, 3, 27, 6, tzinfo=dt.UTC)  # the clocks go on in the night that follows
LONG = "Räntäkatu 7, stair C; ring twice, please 🙂 — door code 12\\34, 五层, and leave the shoes in the hall"


@pytest.fixture
def visits(desk: Desk) -> Visits:
    return Visits(desk)


def _link(point_id: str, crew_id: str = "anna") -> str:
    return f"/v1/points/{point_id}/crews/{crew_id}/calendar"


def _path(visits: Visits, point_id: str, crew_id: str = "anna") -> str:
    """Make the link of a crew, and return its path."""
    return str(visits.desk.send("PUT", _link(point_id, crew_id), "corner").json()["path"])


def _feed(visits: Visits, path: str) -> httpx.Response:
    return visits.desk.registry.send("GET", path, key=None)


def _events(visits: Visits, path: str) -> list[Event]:
    """Return the events of a feed, as a reader of iCalendar finds them."""
    answer = _feed(visits, path)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/calendar; charset=utf-8"
    calendar = Calendar.from_ical(answer.content)
    assert isinstance(calendar, Calendar)
    assert calendar.errors == []
    calendar.validate()
    events = list(calendar.events)
    assert all(event.errors == [] for event in events)
    assert not [uid for uid, n in Counter(str(event["uid"]) for event in events).items() if n > 1]
    return events


def _visits_of(events: list[Event]) -> dict[str, Event]:
    return {str(event["uid"]).partition("@")[0]: event for event in events if str(event["uid"]).startswith("vis_")}


def _shifts_of(events: list[Event]) -> list[tuple[dt.datetime, dt.datetime]]:
    return [_span(event) for event in events if str(event["uid"]).startswith("shift-")]


def _span(event: Event) -> tuple[dt.datetime, dt.datetime]:
    start, end = event.start, event.end
    assert isinstance(start, dt.datetime)
    assert isinstance(end, dt.datetime)
    return start, end


def _sheet(visits: Visits, point_id: str, date: str, crew_id: str = "anna") -> list[dict[str, Any]]:
    """Return the shifts of a crew on a day, as its sheet tells them."""
    path = f"/v1/points/{point_id}/crews/{crew_id}/day"
    return list(visits.desk.send("GET", path, "corner", params={"date": date}).json()["shifts"])


def _told(stop: Mapping[str, Any]) -> tuple[dt.datetime, dt.datetime]:
    return dt.datetime.fromisoformat(stop["starts_at"]), dt.datetime.fromisoformat(stop["ends_at"])


def test_calendar__read_again_is_the_day_sheet(visits: Visits) -> None:
    rest = {"earliest": "12:00", "latest": "13:00", "minutes": 30}
    point_id = visits.provider("anna", crew={"breaks": [rest]})
    busy = {"starts_at": visits.tomorrow(16), "ends_at": visits.tomorrow(17)}
    visits.put(f"/v1/points/{point_id}/crews/anna/busy/dentist", busy)
    first = visits.brought(visits.book(point_id, visits.tomorrow(9)), "confirm")
    held = visits.book(point_id, visits.tomorrow(13))
    events = _events(visits, _path(visits, point_id))
    (shift,) = _sheet(visits, point_id, visits.tomorrow(0)[:10])
    assert [stop["kind"] for stop in shift["stops"]] == ["visit", "break", "visit", "busy"]
    own = [event for event in events if _told(shift)[0] <= event.start < _told(shift)[1]]
    assert [_span(event) for event in own] == [_told(told) for told in (shift, *shift["stops"])]
    assert [str(event["summary"]) for event in own] == ["Anna: shift", "Cleaning", "Break", "Cleaning", "Busy"]
    assert [event.get("transp") for event in own] == ["TRANSPARENT", None, None, None, None], "a shift blocks no time"
    found = _visits_of(own)
    assert {name: str(event["status"]) for name, event in found.items()} == {
        first["booking_id"]: "CONFIRMED",
        held["booking_id"]: "TENTATIVE",
    }
    event = found[first["booking_id"]]
    assert event.keys() & {"LOCATION", "GEO"} == set(), "where it is is told from 12 hours before the shift"
    visits.desk.pass_until(visits.tomorrow(8), -12 * 3600)
    event = _visits_of(_events(visits, _path(visits, point_id)))[first["booking_id"]]
    assert str(event["location"]) == "Lane 7, door 3"
    assert event["geo"].to_ical() == f"{visits.desk.lat};{LNG}"
    assert visits.desk.now.replace(microsecond=0) == event.DTSTAMP, "what a reader keeps of it is older"
    zone = ZoneInfo("Asia/Shanghai")
    window = [
        dt.datetime.fromisoformat(first[name]).astimezone(zone).strftime("%H:%M") for name in ("starts_at", "ends_at")
    ]
    assert str(event["description"]).split("\n") == [f"Begins between {window[0]} and {window[1]}", "State: confirmed"]


def test_calendar__goes_from_yesterday_to_30_days_ahead_and_is_the_same_at_the_same_time(visits: Visits) -> None:
    point_id = visits.provider("anna")
    path = _path(visits, point_id)
    zone = ZoneInfo("Asia/Shanghai")
    days = [start.astimezone(zone).date() for start, _ in _shifts_of(_events(visits, path))]
    today = visits.desk.now.astimezone(zone).date()
    assert days == [today + dt.timedelta(n) for n in range(-1, 31)]
    assert _feed(visits, path).content == _feed(visits, path).content


def test_calendar__of_a_crew_that_never_works_is_one(visits: Visits) -> None:
    point_id = visits.provider("anna", crew={"hours": "off"})
    assert _events(visits, _path(visits, point_id)) == []


def test_calendar__tells_yesterdays_visits_as_long_as_it_tells_yesterday(visits: Visits) -> None:
    point_id = visits.provider("anna")
    path = _path(visits, point_id)
    booking = visits.brought(visits.book(point_id, visits.tomorrow(10)), "confirm", "depart", "start", "finish", "pay")
    visits.desk.pass_until(visits.tomorrow(23))  # of the day behind it
    services = visits.desk.registry.services
    clock: Any = services.clock  # of the desk: the machine's is not asked for what is old
    Housekeeping(services.store, clock, keep_changes_s=1e6).prune()
    assert list(_visits_of(_events(visits, path))) == [booking["booking_id"]]


def test_calendar__tells_a_visit_under_one_name_through_its_life(visits: Visits) -> None:
    point_id = visits.provider("anna")
    path = _path(visits, point_id)
    booking = visits.book(point_id, visits.tomorrow(10))
    states = []
    for event in ("confirm", "depart", "start", "finish", "pay"):
        visits.brought(booking, event)
        found = _visits_of(_events(visits, path))
        assert list(found) == [booking["booking_id"]]
        states.append(str(found[booking["booking_id"]]["description"]).rpartition("State: ")[2])
    assert states == ["confirmed", "en_route", "started", "finished", "paid"]
    assert str(found[booking["booking_id"]]["location"]) == "Lane 7, door 3"
    other = visits.book(point_id, visits.tomorrow(10))
    visits.done(other, "cancel", "app", {})
    assert list(_visits_of(_events(visits, path))) == [booking["booking_id"]], (
        "a visit that is cancelled leaves the day"
    )


def test_calendar__tells_a_missed_customer_as_a_moment_that_is_off(visits: Visits) -> None:
    point_id = visits.provider("anna")
    booking = visits.brought(visits.book(point_id, visits.tomorrow(10)), "confirm", "depart")
    visits.desk.pass_until(booking["starts_at"], 20 * 60)
    visits.done(booking, "absent", "corner", {"who": "customer"})
    (event,) = _visits_of(_events(visits, _path(visits, point_id))).values()
    assert (str(event["status"]), "DTEND" in event, event.start) == ("CANCELLED", False, visits.desk.now)


def test_calendar__keeps_the_clock_on_the_wall_over_a_change_of_summer_time(visits: Visits) -> None:
    visits.desk.registry.clock.at = max(visits.desk.now, BEFORE_SUMMER_TIME)
    hours = "Mo-Su 08:00-18:00, Sa 22:00-06:00"
    point_id = visits.provider("anna", crew={"hours": hours}, **HELSINKI)
    path, zone = _path(visits, point_id), ZoneInfo("Europe/Helsinki")
    starts = ["2027-03-27T14:00:00+02:00", "2027-03-28T14:00:00+03:00"]
    booked = [visits.brought(visits.book(point_id, at), "confirm") for at in starts]
    events = _events(visits, path)
    by_night = (dt.datetime(2027, 3, 27, 20, tzinfo=dt.UTC), dt.datetime(2027, 3, 28, 3, tzinfo=dt.UTC))
    spans = _shifts_of(events)
    assert by_night in spans, "seven hours, of which the clock on the wall shows eight"
    local = {(start.astimezone(zone).hour, end.astimezone(zone).hour) for start, end in spans}
    assert local == {(8, 18), (22, 6)}
    found = _visits_of(events)
    for booking, date in zip(booked, ("2027-03-27", "2027-03-28"), strict=True):
        event = found[booking["booking_id"]]
        (stop,) = [stop for shift in _sheet(visits, point_id, date) for stop in shift["stops"]]
        assert _span(event) == _told(stop)
        assert str(event["description"]).startswith("Begins between 14:00 and ")
        assert 14 <= _span(event)[0].astimezone(zone).hour < 17
    assert _span(found[booked[1]["booking_id"]])[0].astimezone(zone).utcoffset() == dt.timedelta(hours=3)


@pytest.mark.parametrize("text", [LONG, "a,b;c\\n\\,\\;", "BEGIN:VEVENT", "x" * 200, "邻里" * 60, '"quoted": 1;2'])
def test_calendar__keeps_any_text_as_it_is_and_folds_its_lines(visits: Visits, text: str) -> None:
    point_id = visits.provider("anna", service={"name": text}, crew={"name": text})
    booking = visits.brought(visits.book(point_id, visits.tomorrow(10), address=text), "confirm")
    path = _path(visits, point_id)
    visits.desk.pass_until(visits.tomorrow(8), -12 * 3600)
    found = _visits_of(_events(visits, path))
    event = found[booking["booking_id"]]
    assert (str(event["summary"]), str(event["location"])) == (text, text)
    content = _feed(visits, path).content
    assert content.endswith(b"END:VCALENDAR\r\n")
    assert b"\n" not in content.replace(b"\r\n", b"")
    assert max(map(len, content.split(b"\r\n"))) <= 75
    assert all(line.decode() for line in content.split(b"\r\n")[:-1]), "no character is cut in two"
    escaped = text.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,")
    lines = content.decode().replace("\r\n ", "").split("\r\n")
    for name in ("NAME", "X-WR-CALNAME", "SUMMARY", "LOCATION"):
        assert f"{name}:{escaped}" in lines


def test_calendar__tells_what_was_complained_about_in_all_its_lines(visits: Visits) -> None:
    point_id = visits.provider("anna", crew={"hours": "24/7"})
    done = visits.brought(visits.book(point_id), "confirm", "depart", "start", "finish")
    note = "Not clean:\nkitchen, bath; the \\ floor"
    back = visits.done(done, "complain", "app", {"starts_at": visits.starts(point_id)[0], "note": note})
    event = _visits_of(_events(visits, _path(visits, point_id)))[back["booking_id"]]
    assert str(event["description"]).endswith(f"State: confirmed\n{note}")


def test_calendar__is_told_where_the_point_offers_no_visits_any_more(visits: Visits) -> None:
    point_id = visits.provider("anna")
    booking = visits.brought(visits.book(point_id, visits.tomorrow(10)), "confirm")
    path = _path(visits, point_id)
    before = _feed(visits, path).content
    visits.withdraw_offer(point_id)
    assert _feed(visits, path).content == before
    (shift,) = _sheet(visits, point_id, visits.tomorrow(0)[:10])
    assert [stop["booking_id"] for stop in shift["stops"]] == [booking["booking_id"]]


def test_link__is_told_once_and_a_new_one_revokes_the_old(visits: Visits) -> None:
    point_id, desk = visits.provider("anna"), visits.desk
    assert problem(desk.send("GET", _link(point_id), "corner")) == (404, "not-found")
    made = desk.send("PUT", _link(point_id), "corner")
    assert made.status_code == 201
    assert made.headers["cache-control"] == "no-store"
    first = made.json()["path"]
    secret = first.removeprefix("/v1/calendars/").removesuffix(".ics")
    assert len(set(secret)) > 8
    assert len(secret) >= 32, "192 bits"
    told = desk.send("GET", _link(point_id), "corner").json()
    assert told == {"path": None, "created_at": made.json()["created_at"]}
    again = desk.send("PUT", _link(point_id), "corner")
    assert again.status_code == 200
    assert again.json()["path"] != first
    assert problem(_feed(visits, first)) == (404, "not-found")
    assert _feed(visits, again.json()["path"]).status_code == 200


def test_link__that_is_wrong_or_revoked_is_told_like_anything_unknown(visits: Visits) -> None:
    point_id, desk = visits.provider("anna"), visits.desk
    path = _path(visits, point_id)
    assert desk.send("DELETE", _link(point_id), "corner").status_code == 204
    unknown = desk.send("GET", "/v1/points/corner:nowhere", "app")
    for wrong in (path, path[:-6] + ("aa.ics" if path[-6:-4] != "aa" else "bb.ics"), "/v1/calendars/x.ics"):
        answer = _feed(visits, wrong)
        assert problem(answer) == (404, "not-found")
        assert answer.content == unknown.content
    for method, key in (("DELETE", "corner"), ("GET", "corner"), ("GET", "admin")):
        assert problem(desk.send(method, _link(point_id), key)) == (404, "not-found")
    assert problem(desk.send("GET", "/v1/calendars/none", "app")) == (404, "not-found")
    assert problem(desk.registry.send("GET", "/v1/calendars/none", key=None)) == (401, "unauthenticated")
    assert problem(desk.registry.send("POST", path, key=None)) == (405, "method-not-allowed")


def test_link__is_its_crews_alone_and_made_by_its_merchant_alone(visits: Visits) -> None:
    point_id, desk = visits.provider("anna", "bert", crew={"max_jobs": 1}), visits.desk
    booked = [visits.book(point_id, visits.tomorrow(10)) for _ in range(2)]
    crews = {visits.read(booking, "corner")["crew_id"]: booking["booking_id"] for booking in booked}
    assert crews.keys() == {"anna", "bert"}
    paths = {crew_id: _path(visits, point_id, crew_id) for crew_id in crews}
    for crew_id, path in paths.items():
        assert list(_visits_of(_events(visits, path))) == [crews[crew_id]]
    for method in ("PUT", "GET", "DELETE"):
        assert problem(desk.send(method, _link(point_id), "rival")) == (404, "not-found")
        assert problem(desk.send(method, _link(point_id), "app")) == (403, "forbidden")
        assert problem(desk.send(method, _link(point_id, "nobody"), "corner")) == (404, "not-found")
        assert problem(desk.send(method, _link("corner:nowhere"), "corner")) == (404, "not-found")
    assert all(_feed(visits, path).status_code == 200 for path in paths.values())
    desk.send("DELETE", _link(point_id, "anna"), "corner")
    assert [_feed(visits, paths[crew_id]).status_code for crew_id in ("anna", "bert")] == [404, 200]


def test_link__ends_with_its_crew_and_does_not_come_back_with_it(visits: Visits) -> None:
    point_id, desk = visits.provider("anna"), visits.desk
    path = _path(visits, point_id)
    deleted = desk.send("DELETE", f"/v1/points/{point_id}/crews/anna", "corner", headers={"If-Match": "*"})
    assert deleted.status_code == 204
    assert problem(_feed(visits, path)) == (404, "not-found")
    visits.crew(point_id, "anna")
    assert problem(_feed(visits, path)) == (404, "not-found")
    assert problem(desk.send("GET", _link(point_id), "corner")) == (404, "not-found")


def test_link__ends_with_its_point_and_does_not_come_back_with_it(visits: Visits) -> None:
    point_id, desk = visits.provider("anna", name=f"p{uuid.uuid4().hex[:8]}"), visits.desk
    path = _path(visits, point_id)
    body = desk.send("GET", f"/v1/points/{point_id}", "corner").json()
    assert desk.send("DELETE", f"/v1/points/{point_id}", "corner", headers={"If-Match": "*"}).status_code == 204
    assert problem(_feed(visits, path)) == (404, "not-found")
    again = {name: body[name] for name in ("kind", "lat", "lng", "timezone", "country")}
    offer = {"offer": OFFER, "hours": "24/7", "area": {"radius_m": 8000}}
    visits.put(f"/v1/points/{point_id}", {"name": "Shop", "offers": [offer], **again})
    visits.crew(point_id, "anna")
    assert problem(_feed(visits, path)) == (404, "not-found")


def test_link__leaves_its_traces_in_the_trail_without_its_secret(visits: Visits) -> None:
    point_id, desk = visits.provider("anna"), visits.desk
    path = _path(visits, point_id)
    desk.send("DELETE", _link(point_id), "corner")
    items = desk.send("GET", "/v1/audit", "corner", params={"subject": point_id}).json()["items"]
    assert [(one["action"], one["detail"]) for one in items[:2]] == [
        ("crew.unlink", {"crew_id": "anna"}),
        ("crew.link", {"crew_id": "anna"}),
    ]
    assert path.removeprefix("/v1/calendars/")[:16] not in str(items)


@pytest.fixture
def new_place(request: pytest.FixtureRequest, place: Place, tmp_path: Path) -> Place:
    """Give an empty place of the same kind as the desk's."""
    database = None if place.database is None else fresh_database(request.getfixturevalue("postgres_url"))
    return Place(tmp_path / "data", database)


def test_link__stands_in_no_log_and_in_no_table(new_place: Place) -> None:
    with running_service(new_place, log_level="debug") as service, service.client() as admin:
        make_merchant(admin, "shop")
        admin.post("/v1/merchants/shop:verify", headers={"If-Match": "*"}).raise_for_status()
        offer = {"offer": OFFER, "hours": "24/7", "area": {"radius_m": 8000}}
        point = {
            "kind": "store",
            "name": "A shop",
            "lat": LAT,
            "lng": SERVED_LNG,
            "timezone": "Asia/Shanghai",
            "country": "CN",
        }
        admin.put("/v1/points/shop:1", json={**point, "offers": [offer]}).raise_for_status()
        admin.put("/v1/points/shop:1/crews/anna", json=CREW).raise_for_status()
        admin.put("/v1/points/shop:1/services/clean", json=CLEAN).raise_for_status()
        merchant_key = make_key(admin, "merchant", merchant_id="shop")["secret"]
        secrets, statuses = [], Counter[int]()
        for _ in range(3):
            with service.client(merchant_key) as merchant, service.client("") as phone:
                path = merchant.put(_link("shop:1")).raise_for_status().json()["path"]
                secrets.append(path.removeprefix("/v1/calendars/").removesuffix(".ics"))
                for method, url in (
                    ("GET", path), ("HEAD", path), ("POST", path), ("GET", f"{path}?x=1"), ("GET", f"{path}/"),
                    ("GET", path.removesuffix(".ics")), ("GET", f"{path}%0a"), ("GET", path.replace(".ics", "a.ics")),
                ):  # fmt: skip
                    statuses[phone.request(method, url, headers={"Referer": service.base_url + url}).status_code] += 1
                statuses[merchant.get(path, headers={"X-Request-Id": path}).status_code] += 1
        assert statuses == {200: 6, 401: 9, 404: 3, 405: 6, 422: 3}
        held = dump(new_place)
        assert b"shop:1" in held
        assert telltales(held, [*secrets, merchant_key], [], is_log=False) == []
        log = service.log.read_bytes()
    assert b"/v1/calendars/{token}.ics" in log
    assert telltales(log, [*secrets, merchant_key], [LAT, SERVED_LNG]) == []

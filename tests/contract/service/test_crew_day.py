"""The day sheet: a crew sees its own stops of its own day, the merchant all of them, and where they are is told there alone."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.contract.service.desk import Desk
from tests.contract.service.operations import CREW
from tests.contract.service.talking import problem
from tests.contract.service.tenants import tenants
from tests.contract.service.visiting import CLEAN, Visits
from tests.registry import NOW
from tests.serving import running_service
from tests.unguarded import without

NO, FORBIDDEN = (404, "not-found"), (403, "forbidden")
HOUR, DAY = dt.timedelta(hours=1), dt.timedelta(1)
TODAY = (NOW + 8 * HOUR).date()


@dataclass
class Team:
    """A provider whose crews ``anna`` and ``bert`` can each do what the other cannot, with a visit of hers today."""

    visits: Visits
    point_id: str
    today: dict[str, Any]
    tomorrow: dict[str, Any]
    others: dict[str, Any]

    def day(self, crew_id: str, key: str, date: dt.date | None = None) -> httpx.Response:
        """Ask for the day of a crew."""
        query = {} if date is None else {"date": date.isoformat()}
        return self.visits.desk.send("GET", f"/v1/points/{self.point_id}/crews/{crew_id}/day", key, params=query)

    def seen(self, crew_id: str, key: str, date: dt.date | None = None) -> list[str]:
        """Return the bookings in the day of a crew."""
        answer = self.day(crew_id, key, date)
        assert answer.status_code == 200, answer.text
        stops = [stop for shift in answer.json()["shifts"] for stop in shift["stops"]]
        return [stop["booking_id"] for stop in stops if stop["kind"] == "visit"]

    def reads(self, booking: dict[str, Any], key: str) -> set[tuple[int, str]]:
        """Return how a key is answered that reads a booking, what happened to it, and sets out to it."""
        path = f"/v1/bookings/{booking['booking_id']}"
        answers = [self.visits.desk.send("GET", f"{path}{below}", key) for below in ("", "/events")]
        answers.append(self.visits.desk.send("POST", f"{path}:depart", key, headers={"If-Match": '"99"'}))
        absent = self.visits.desk.send("GET", f"/v1/bookings/vis_{'0' * 26}", key)
        told = {problem(answer) for answer in answers if answer.is_error}
        assert NO not in told or {answer.content for answer in answers} == {absent.content}
        return told


@pytest.fixture
def team(desk: Desk) -> Team:
    desk.registry.clock.at = NOW
    visits = Visits(desk)
    point_id = visits.provider("anna", service={"minutes": 60})
    visits.crew(point_id, "bert", skills=["windows"])
    visits.put(f"/v1/points/{point_id}/services/panes", {**CLEAN, "minutes": 60, "skills": ["windows"]})
    for name in ("anna", "bert"):
        visits.add_crew_key(point_id, name)
    today, tomorrow, others = (
        visits.brought(visits.book(point_id, at, **more), "confirm")
        for at, more in (
            ((NOW + 3 * HOUR).isoformat(), {}),
            (visits.tomorrow(10), {}),
            ((NOW + 3 * HOUR).isoformat(), {"service_id": "panes"}),
        )
    )
    return Team(visits, point_id, today, tomorrow, others)


STALE = {(412, "precondition-failed")}  # of one that sees it


def test_crew__sees_its_own_stops_of_its_own_day_alone(team: Team) -> None:
    assert team.seen("anna", "anna") == [team.today["booking_id"]]
    assert team.seen("bert", "bert") == [team.others["booking_id"]]
    assert [team.day("anna", "anna", TODAY + days * DAY).json()["shifts"] for days in (-1, 1, 2)] == [[], [], []]
    assert team.reads(team.today, "anna") == team.reads(team.others, "bert") == STALE
    for booking, key in ((team.tomorrow, "anna"), (team.others, "anna"), (team.today, "bert"), (team.tomorrow, "bert")):
        assert team.reads(booking, key) == {NO}
    assert problem(team.visits.desk.send("GET", "/v1/bookings", "anna")) == FORBIDDEN


def test_crew__reads_no_day_of_another_and_cannot_tell_it_from_one_that_is_not_there(team: Team) -> None:
    elsewhere = team.visits.provider("anna")  # a crew of the same name
    for date in (None, TODAY, TODAY + DAY):
        answers = [team.day(name, "anna", date) for name in ("bert", "nobody", "..%2f", "Anna", "anna%20")]
        points = (f"/v1/points/{point_id}" for point_id in (elsewhere, "corner:nowhere", "rival:1"))
        answers += [team.visits.desk.send("GET", f"{point}/crews/anna/day", "anna") for point in points]
        assert {problem(answer) for answer in answers} == {NO}
        assert len({answer.content for answer in answers}) == 1


def test_crews_day__begins_twelve_hours_before_its_shift_and_ends_as_long_after_it(team: Team) -> None:
    clock, shift = team.visits.desk.registry.clock, dt.datetime.combine(TODAY + DAY, dt.time(8), dt.timezone(8 * HOUR))
    for at, sees_today, sees_tomorrow in (
        (shift - 12 * HOUR - dt.timedelta(seconds=1), True, False),
        (shift - 12 * HOUR + dt.timedelta(seconds=1), True, True),
        (shift - 2 * HOUR - dt.timedelta(seconds=1), True, True),
        (shift - 2 * HOUR + dt.timedelta(seconds=1), False, True),
        (shift + 22 * HOUR - dt.timedelta(seconds=1), False, True),
        (shift + 22 * HOUR + dt.timedelta(seconds=1), False, False),
    ):
        clock.at = at.astimezone(dt.UTC)
        for booking, date, sees in ((team.today, TODAY, sees_today), (team.tomorrow, TODAY + DAY, sees_tomorrow)):
            assert team.seen("anna", "anna", date) == ([booking["booking_id"]] if sees else []), at
            assert team.reads(booking, "anna") == (STALE if sees else {NO}), at
        assert team.seen("anna", "corner", TODAY) == [team.today["booking_id"]]


def test_merchant__sees_all_days_of_all_its_crews_and_nobody_else_does(team: Team) -> None:
    for key in ("corner", "admin"):
        assert team.seen("anna", key) == [team.today["booking_id"]]
        assert team.seen("anna", key, TODAY + DAY) == [team.tomorrow["booking_id"]]
        assert team.seen("bert", key) == [team.others["booking_id"]]
        assert [len(team.day("bert", key, TODAY + days * DAY).json()["shifts"]) for days in (-1, 1, 30)] == [1, 1, 1]
        for booking in (team.today, team.tomorrow, team.others):
            assert team.reads(booking, key) == STALE
    assert problem(team.day("anna", "rival")) == NO
    assert team.reads(team.today, "rival") == {NO}
    assert {problem(team.day("anna", key)) for key in ("app", "other-app", "station")} == {FORBIDDEN}


def test_visit_that_goes_to_another_crew__goes_out_of_sight_with_it(team: Team) -> None:
    visits = team.visits
    visits.crew(team.point_id, "bert", skills=["windows", "cleaning"])
    path, until = f"/v1/points/{team.point_id}/crews/anna:ill", (NOW + 8 * HOUR).isoformat()
    answer = visits.desk.send("POST", path, "corner", json={"until": until})
    assert [one["booking_id"] for one in answer.json()["moved"]] == [team.today["booking_id"]], answer.text
    assert team.seen("anna", "anna") == []
    assert team.reads(team.today, "anna") == {NO}
    assert set(team.seen("bert", "bert")) == {team.today["booking_id"], team.others["booking_id"]}
    assert team.reads(team.today, "bert") == STALE


def test_crew__sees_nothing_of_a_visit_that_is_given_up_and_no_booking_that_is_paid(team: Team) -> None:
    visits = team.visits
    visits.done(team.today, "cancel", "app", {})
    assert (team.seen("anna", "anna"), team.reads(team.today, "anna")) == ([], {NO})
    visits.brought(team.others, "depart", "start", "finish")
    assert team.reads(team.others, "bert") == STALE
    visits.brought(team.others, "pay")
    assert team.reads(team.others, "bert") == {NO}


def test_crews_key_of_no_crew__sees_no_day(team: Team) -> None:
    team.visits.add_key("lost", "crew", merchant_id="corner")
    assert problem(team.day("anna", "lost")) == NO
    assert team.reads(team.today, "lost") == {NO}


def test_sheet__tells_where_who_and_when(team: Team) -> None:
    """In the order in which the crew goes, with what it can do next, its breaks, and what it is taken by."""
    visits = team.visits
    visits.crew(team.point_id, "anna", breaks=[{"earliest": "12:00", "latest": "13:30", "minutes": 30}])
    busy = {"starts_at": (NOW + 5 * HOUR).isoformat(), "ends_at": (NOW + 6 * HOUR).isoformat()}
    visits.put(f"/v1/points/{team.point_id}/crews/anna/busy/dentist", busy)
    told = team.day("anna", "anna").json()
    assert (told["point_id"], told["crew_id"], told["date"]) == (team.point_id, "anna", TODAY.isoformat())
    (shift,) = told["shifts"]
    assert [stop["kind"] for stop in shift["stops"]] == ["break", "visit", "busy"]
    visit = next(stop for stop in shift["stops"] if stop["kind"] == "visit")
    assert visit["place"] == {"lat": visits.desk.lat, "lng": visits.body("", "")["lng"]}
    assert (visit["address"], visit["service"], visit["state"]) == ("Lane 7, door 3", "Cleaning", "confirmed")
    assert (visit["window_starts_at"], visit["window_ends_at"]) == (team.today["starts_at"], team.today["ends_at"])
    assert visit["next"] == ["depart", "cancel"]
    starts = [stop["starts_at"] for stop in shift["stops"]]
    assert starts == sorted(starts)


def test_sheet__tells_what_has_not_begun_from_now_on_up_to_its_windows_end(team: Team) -> None:
    clock, window = team.visits.desk.registry.clock, team.today
    starts, ends = (dt.datetime.fromisoformat(window[name]) for name in ("starts_at", "ends_at"))
    late = starts + (ends - starts) / 2

    def told(at: dt.datetime) -> list[dt.datetime]:
        clock.at = at
        shifts = team.day("anna", "corner", TODAY).json()["shifts"]
        return [dt.datetime.fromisoformat(stop["starts_at"]) for stop in shifts[0]["stops"] if stop["booking_id"]]

    assert [told(at) for at in (starts, late, ends + HOUR / 2)] == [[starts], [late], [ends]]
    clock.at = late
    team.visits.done(window, "depart", "corner", None)
    team.visits.done(window, "start", "corner", {"code": window["start_code"]})
    assert told(late + HOUR) == [late]


def test_crew_that_is_not_asked_for__would_be_seen(tmp_path: Path) -> None:
    """The control: without the guard, the key of one crew reads the day of another."""
    found = []
    for name, program in (("guarded", None), ("careless", without("crew"))):
        with running_service(tmp_path / name, program=program) as service, tenants(service) as all_:
            crews = f"/v1/points/{all_.own['provider_id']}/crews"
            all_.admin.put(f"{crews}/bert", json=CREW).raise_for_status()
            found.append([all_.clients["crew"].get(f"{crews}/{crew}/day").status_code for crew in ("anna", "bert")])
    assert found == [[200, 404], [200, 200]]

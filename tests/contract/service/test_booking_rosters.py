"""What a crew has promised stands where the hours of its shifts are read anew, in memory and in the store."""

from __future__ import annotations

import datetime as dt
import itertools
import time
from collections import defaultdict
from functools import partial
from typing import Any

import pytest
from sqlalchemy import select

from engine.crew_days import CrewDay, Stop
from engine.norms import load_norms
from service.bookings import finding
from service.bookings.asking import Asked, asked_of
from service.bookings.days import day_of, is_visit, write_shift
from service.bookings.finding import candidate_for, find_windows, known_candidate, told_witness
from service.bookings.holding import BookingTerms
from service.bookings.planning import Window, place_visit
from service.bookings.point_rosters import Nobody, PointRoster, Spot
from service.bookings.rosters import Rosters
from service.clock import to_us
from service.crews.store import list_engagements
from service.errors import NotFeasibleError
from service.store.connections import ReadConnection, WriteConnection
from service.store.visit_tables import shifts
from tests.contract.service.desk import LNG, Desk
from tests.contract.service.talking import problem
from tests.contract.service.visiting import Visits

EXACT = {"window_minutes": 0, "lead_minutes": 0}


@pytest.fixture
def visits(desk: Desk) -> Visits:
    return Visits(desk)


def _days(visits: Visits, point_id: str) -> list[CrewDay]:
    query = select(shifts).where(shifts.c.point_id == point_id).order_by(shifts.c.crew_id, shifts.c.starts_at)
    return [day_of(row) for row in visits.desk.rows(query)]


def _nothing_overlaps(visits: Visits, point_id: str) -> None:
    """Fail where two shifts of a crew overlap that hold visits, or two visits of it; windows are exact."""
    spans = defaultdict(list)
    for day in _days(visits, point_id):
        held = [stop for stop in day.stops if is_visit(stop)]
        if held:
            spans[day.crew_id, "shift"].append((day.starts_s, day.ends_s))
        spans[day.crew_id, "visit"] += [(stop.earliest_s, stop.latest_s + stop.duration_s) for stop in held]
    for name, its in spans.items():
        for (_, ends_s), (starts_s, _) in itertools.pairwise(sorted(its)):
            assert ends_s <= starts_s, name


def _seconds(at: str) -> int:
    return int(dt.datetime.fromisoformat(at).timestamp())


def _asked(visits: Visits, point_id: str) -> Asked:
    services = visits.desk.registry.services
    wanted = (point_id, "clean", visits.desk.lat, LNG)
    return services.store.read_now(lambda one: asked_of(one, services.bookings.orders, *wanted))


def _place(visits: Visits, point_id: str, at_s: int, name: str, terms: BookingTerms, *, is_known: bool) -> None:
    """Place a visit as memory has it, or as the store has it; raises as that does."""
    store, asked = visits.desk.registry.services.store, _asked(visits, point_id)
    found = None
    if is_known:
        found = store.read_now(lambda one: candidate_for(one, terms, asked, at_s, to_us(visits.desk.now)))
    store.write_now(lambda one: place_visit(one, terms.rosters, asked.facts, asked.visit, Window(at_s, 0), name, found))


def _memory(visits: Visits, point_id: str, day: dt.date) -> BookingTerms:
    """Return terms with a memory of a point's rosters that learns of nothing any more."""
    services = visits.desk.registry.services
    rosters, asked = Rosters(load_norms()), _asked(visits, point_id)
    services.store.read_now(lambda one: rosters.roster(one, asked.facts, day, 3, time.monotonic()))
    assert rosters.known(point_id, _seconds(visits.tomorrow(10))) is not None
    return services.bookings._replace(rosters=rosters)


ZONES = ("Asia/Tokyo", "Asia/Bangkok", "Europe/Berlin", "Pacific/Auckland", "America/New_York")


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("memory", ["fresh", "stale", "none"])
def test_visits__stand_where_the_time_zone_of_their_point_becomes_another(
    visits: Visits, zone: str, memory: str
) -> None:
    point_id = visits.provider("anna", service=EXACT, crew={"hours": "Mo-Su 06:00-20:00"})
    ten = visits.brought(visits.book(point_id, visits.tomorrow(10)), "confirm")
    gone = visits.book(point_id, visits.tomorrow(15))
    visits.done(gone, "cancel", "app", {})
    emptied = visits.book(point_id, (dt.datetime.fromisoformat(visits.tomorrow(10)) + dt.timedelta(1)).isoformat())
    visits.done(emptied, "cancel", "app", {})
    stale = _memory(visits, point_id, dt.datetime.fromisoformat(visits.tomorrow(10)).date())
    visits.change_point(point_id, timezone=zone)
    if memory == "fresh":
        visits.desk.registry.follow()
    assert problem(visits.ask(visits.body(point_id, ten["starts_at"]))) == (409, "sold-out")
    assert len([day for day in _days(visits, point_id) if any(map(is_visit, day.stops))]) == 1
    terms = stale if memory == "stale" else visits.desk.registry.services.bookings
    first, n_placed = _seconds(visits.tomorrow(0)) - 8 * 3600, 0
    for number in range(60):
        try:
            at_s = first + number * 3600
            _place(visits, point_id, at_s, f"vis_{number}", terms, is_known=memory != "none")
            n_placed += 1
        except NotFeasibleError:
            continue
    assert n_placed > 5
    _nothing_overlaps(visits, point_id)
    assert [ten["booking_id"]] == [
        stop.stop_id
        for day in _days(visits, point_id)
        for stop in day.stops
        if is_visit(stop) and stop.earliest_s == _seconds(ten["starts_at"])
    ]


def test_shift_that_hours_have_no_more__is_told_no_more_once_it_is_empty(visits: Visits) -> None:
    point_id, date = visits.provider("anna", service=EXACT), visits.tomorrow(10)[:10]
    booking = visits.book(point_id, visits.tomorrow(10))
    path = f"/v1/points/{point_id}/crews/anna/day"

    def told() -> list[tuple[str, int]]:
        shifts_of = visits.desk.send("GET", path, "corner", params={"date": date}).json()["shifts"]
        return [(shift["starts_at"], len(shift["stops"])) for shift in shifts_of]

    visits.change_point(point_id, timezone="Asia/Bangkok")  # an hour behind
    assert [n_stops for _, n_stops in told()] == [1]
    visits.done(booking, "cancel", "app", {})
    assert told() == [(f"{date}T01:00:00Z", 0)]


def test_shift__is_not_begun_where_another_one_of_its_crew_is_known_by_then(visits: Visits) -> None:
    point_id = visits.provider("anna", service=EXACT)
    at_s = _seconds(visits.tomorrow(10))
    store = visits.desk.registry.services.store
    terms = _memory(visits, point_id, dt.datetime.fromisoformat(visits.tomorrow(10)).date())
    place = (visits.desk.lat, LNG)
    visit = Stop("vis_other", place, 7200, at_s, at_s)
    other = CrewDay("anna", place, place, at_s - 3600, at_s + 9 * 3600, (visit,))  # as another table of holidays has it
    of = _asked(visits, point_id).facts
    store.write_now(lambda one: write_shift(one, of, other, 0))
    with pytest.raises(NotFeasibleError):
        _place(visits, point_id, at_s, "vis_late", terms, is_known=True)
    _place(visits, point_id, at_s + 3 * 3600, "vis_after", terms, is_known=True)
    assert visits.planned(point_id) == {"anna": ["vis_other", "vis_after"]}


def test_crew_that_works_no_more_today__gets_no_visit_back_because_it_has_begun_one(visits: Visits) -> None:
    point_id = visits.provider("anna", service=EXACT)
    begun, later = (visits.brought(visits.book(point_id, visits.tomorrow(hour)), "confirm") for hour in (10, 14))
    visits.brought(begun, "depart", "start")
    path = f"/v1/points/{point_id}/crews/anna"
    body = {"name": "Anna", "hours": "Mo-Su 08:00-18:00; 2026 off", "skills": ["cleaning"]}
    told = visits.desk.send("PUT", path, "corner", json=body, params={"open_bookings": "replan"})
    assert told.is_success, told.text
    assert visits.read(later)["state"] == "unplaced"
    assert visits.starts(point_id) == []
    assert visits.brought(begun, "finish")["state"] == "finished"


def test_engagements__are_read_no_further_than_they_are_asked_for(visits: Visits) -> None:
    point_id = visits.provider("anna")
    for number in (1, 2, 30):
        starts = dt.datetime.fromisoformat(visits.tomorrow(10)) + dt.timedelta(number)
        told = {"starts_at": starts.isoformat(), "ends_at": (starts + dt.timedelta(hours=1)).isoformat()}
        visits.put(f"/v1/points/{point_id}/crews/anna/busy/away-{number}", told)
    until_us = to_us(dt.datetime.fromisoformat(visits.tomorrow(10)) + dt.timedelta(2))
    store, now_us = visits.desk.registry.services.store, visits.desk.now_us
    before, after = (
        store.read_now(partial(list_engagements, point_id=point_id, after_us=now_us, until_us=until_us + more))
        for more in (0, 1)
    )
    assert [row.engagement_id for row in before] == ["away-1"]
    assert [row.engagement_id for row in after] == ["away-1", "away-2"]


@pytest.mark.parametrize(
    ("spans", "free"),
    [
        ([("06:00", "09:00")], ("10:00", "17:00")),  # the way to it lies before the shift
        ([("08:00", "09:00")], ("10:00", "17:00")),
        ([("08:05", "09:00")], ("10:00", "17:00")),  # half of the way to it does
        ([("16:00", "20:00")], ("08:00", "14:00")),
        ([("16:00", "18:00")], ("08:00", "14:00")),
        ([("16:00", "17:55")], ("08:00", "14:00")),  # half of the way home lies behind the shift
        ([("06:00", "09:00"), ("09:00", "10:00")], ("11:00", "17:00")),
        ([("11:00", "12:00"), ("12:00", "13:00")], ("14:00", "17:00")),  # and a way between the two
    ],
)
def test_engagement__leaves_the_rest_of_its_day_free_however_long_its_ways_last(
    visits: Visits, spans: list[tuple[str, str]], free: tuple[str, str]
) -> None:
    point_id, date = visits.provider("anna", service=EXACT | {"minutes": 60}), visits.tomorrow(0)[:10]
    for number, span in enumerate(spans):
        place = {"lat": visits.desk.lat + 0.03 * (-1) ** number, "lng": LNG}
        starts_at, ends_at = (f"{date}T{at}:00+08:00" for at in span)
        told = {"starts_at": starts_at, "ends_at": ends_at, "place": place}
        visits.put(f"/v1/points/{point_id}/crews/anna/busy/away-{number}", told)
    offered = [_seconds(at) for at in visits.starts(point_id, from_day=date, days=1)]
    first_s, last_s = (_seconds(f"{date}T{at}:00+08:00") for at in free)
    assert set(range(first_s, last_s + 1, 1800)) <= set(offered)
    taken = [tuple(_seconds(f"{date}T{at}:00+08:00") for at in span) for span in spans]
    assert not [at for at in offered for begins_s, ends_s in taken if begins_s < at + 3600 and at < ends_s]
    for at_s in offered:  # what is offered can be booked, and goes with nothing else
        at = dt.datetime.fromtimestamp(at_s, dt.UTC).isoformat()
        visits.done(visits.book(point_id, at), "cancel", "app", {})
        assert visits.planned(point_id)["anna"] == [f"busy away-{number}" for number in range(len(spans))]


def test_engagement_over_midnight__leaves_both_days_free_around_it(visits: Visits) -> None:
    point_id, date = visits.provider("anna", service=EXACT, crew={"hours": "24/7"}), visits.tomorrow(0)[:10]
    place = {"lat": visits.desk.lat + 0.03, "lng": LNG}
    midnight = dt.datetime.fromisoformat(visits.tomorrow(0)) + dt.timedelta(1)
    starts_at, ends_at = ((midnight + dt.timedelta(hours=hours)).isoformat() for hours in (-1, 1))
    told = {"starts_at": starts_at, "ends_at": ends_at, "place": place}
    visits.put(f"/v1/points/{point_id}/crews/anna/busy/away", told)
    offered = {_seconds(at) for at in visits.starts(point_id, from_day=date, days=2)}
    evening, morning = midnight - dt.timedelta(hours=4), midnight + dt.timedelta(hours=2)
    assert {int(at.timestamp()) for at in (evening, morning)} <= offered
    for at in (evening, morning):
        visits.book(point_id, at.isoformat())
    _nothing_overlaps(visits, point_id)


def test_day_that_was_left_out__comes_back_when_it_can_be_kept_again(visits: Visits) -> None:
    point_id = visits.provider("anna", service=EXACT)
    eight_s, place = _seconds(visits.tomorrow(8)), (visits.desk.lat, LNG)
    day = CrewDay("anna", place, place, eight_s, eight_s + 10 * 3600)
    far = Stop("vis_far", (place[0] - 1, LNG), 3600, eight_s, eight_s)
    store = visits.desk.registry.services.store
    free = visits.starts(point_id, days=2)
    tomorrow = [at for at in free if _seconds(at) >= eight_s]
    assert tomorrow
    of = _asked(visits, point_id).facts
    store.write_now(lambda one: write_shift(one, of, day.with_stop(far, 0), 0))
    assert visits.starts(point_id, days=2) == [at for at in free if at not in tomorrow]
    store.write_now(lambda one: write_shift(one, of, day, 1))
    assert visits.starts(point_id, days=2) == free


def test_witness__is_of_the_day_in_which_the_window_was_found(visits: Visits) -> None:
    point_id = visits.provider("anna", service=EXACT)
    services, asked, eight_s = visits.desk.registry.services, _asked(visits, point_id), _seconds(visits.tomorrow(8))
    today = dt.datetime.fromisoformat(visits.tomorrow(8)).date() - dt.timedelta(1)
    ask = partial(find_windows, terms=services.bookings, asked=asked, first_day=today, n_days=2)
    found = services.store.read_now(lambda one: ask(one, now_us=visits.desk.now_us))
    slots = [slot for day in found.answer.slots.values() for slot in day]
    before = [told_witness(found, slot) for slot in slots]
    place = (visits.desk.lat, LNG)
    other = CrewDay("anna", place, place, eight_s, eight_s + 10 * 3600)
    for number in range(5):
        at_s = eight_s + 2 * 3600 * number
        other = other.with_stop(Stop(f"vis_{number}", place, 7200, at_s, at_s), number)
    assert found.known.take(
        found.known.roster.table.alone(other), 1
    )  # as the follower does it, between the question and its answer
    assert [told_witness(found, slot) for slot in slots] == before


def _spied(monkeypatch: pytest.MonkeyPatch, rosters: Rosters) -> list[bool]:
    """Return a list that grows by one for each roster that is made: whether within a transaction that writes."""
    made, seen = rosters.made, []

    def spy(connection: ReadConnection, point: Any, first_day: dt.date, n_days: int) -> PointRoster:
        seen.append(isinstance(connection, WriteConnection))
        return made(connection, point, first_day, n_days)

    monkeypatch.setattr(rosters, "made", spy)
    return seen


def test_slots__look_ahead_only_where_anybody_can_come_and_for_no_longer_than_they_may(
    visits: Visits, monkeypatch: pytest.MonkeyPatch
) -> None:
    point_id = visits.provider("anna", crew={"hours": "2027 Mar Mo-Su 08:00-18:00"}, service={"most_days": 60})
    march: dict[str, Any] = {"from_day": "2027-01-10", "days": 1}
    monkeypatch.setattr(visits.desk.registry.clock, "at", dt.datetime(2027, 1, 10, tzinfo=dt.UTC))
    assert visits.slots(point_id, **march)["first_day"] == "2027-03-01"
    seen = _spied(monkeypatch, visits.desk.registry.services.bookings.rosters)
    with monkeypatch.context() as patch:
        patch.setattr(finding, "_LOOKS_AHEAD_S", 0.0)
        visits.crew(point_id, "anna", hours="2027 Mar Mo-Su 08:00-17:00")
        assert visits.slots(point_id, **march)["first_day"] is None
    assert len(seen) == 1
    visits.service(point_id, most_days=60, skills=["nothing"])
    assert visits.slots(point_id, **march)["first_day"] is None
    assert len(seen) == 2


def test_window_that_is_sold_out__is_refused_without_a_roster_made_while_others_wait(
    visits: Visits, monkeypatch: pytest.MonkeyPatch
) -> None:
    point_id = visits.provider("anna", service=EXACT)
    booking = visits.book(point_id, visits.tomorrow(10))
    visits.desk.registry.follow()
    seen = _spied(monkeypatch, visits.desk.registry.services.bookings.rosters)
    refused = visits.ask(visits.body(point_id, visits.tomorrow(10)))
    assert (problem(refused), refused.json()["reason"]) == ((409, "sold-out"), "no_crew")
    assert seen
    assert True not in seen
    moved = visits.brought(booking, "confirm")
    visits.done(moved, "reschedule", "app", {"starts_at": visits.tomorrow(10, 30)})  # its own time is free to it
    assert seen[-1]
    done = visits.brought(visits.book(point_id, visits.tomorrow(14)), "confirm", "depart", "start", "finish")
    visits.desk.registry.follow()
    seen.clear()
    refused = visits.act(done, "complain", "app", {"starts_at": visits.tomorrow(20), "note": "the bath"})
    assert problem(refused) == (409, "sold-out")
    assert seen
    assert True not in seen


def test_window_that_became_free_a_moment_ago__is_found_where_memory_does_not_know(visits: Visits) -> None:
    point_id = visits.provider("anna", service=EXACT)
    at_s = _seconds(visits.tomorrow(10))
    booking = visits.book(point_id, visits.tomorrow(10))
    terms = _memory(visits, point_id, dt.datetime.fromisoformat(visits.tomorrow(10)).date())
    store, asked, now_us = visits.desk.registry.services.store, _asked(visits, point_id), visits.desk.now_us
    look = partial(candidate_for, terms=terms, asked=asked, starts_s=at_s, now_us=now_us)
    assert store.read_now(look) is None
    assert store.read_now(partial(look, is_new=True)) == Nobody()
    visits.done(booking, "cancel", "app", {})
    assert store.read_now(look) is None
    spot = store.read_now(partial(look, is_new=True))
    assert isinstance(spot, Spot)
    place = partial(place_visit, rosters=terms.rosters, point=asked.facts, visit=asked.visit, window=Window(at_s, 0))
    with pytest.raises(NotFeasibleError, match="no_crew"):
        store.write_now(lambda one: place(one, booking_id="vis_new", candidate=Nobody()))
    store.write_now(lambda one: place(one, booking_id="vis_new", candidate=spot))
    assert visits.planned(point_id) == {"anna": ["vis_new"]}


def test_window_found_before_its_crew_was_late__is_not_given_to_it_afterwards(visits: Visits) -> None:
    point_id = visits.provider("anna", crew={"hours": "Mo-Su 08:00-12:00,13:00-18:00"})
    wide = {"window_minutes": 120, "lead_minutes": 0}
    visits.service(point_id, **wide)
    visits.brought(
        visits.book(point_id, visits.tomorrow(10)), "confirm"
    )  # two hours of work, until twelve if all goes well
    visits.service(point_id, **EXACT)
    times = [visits.tomorrow(11, 30), *(visits.tomorrow(hour) for hour in (13, 14))]
    until, early_s, late_s = times[0], *map(_seconds, times[1:])
    services, asked = visits.desk.registry.services, _asked(visits, point_id)
    visits.desk.registry.follow()
    spots = [
        services.store.read_now(
            partial(candidate_for, terms=services.bookings, asked=asked, starts_s=at_s, now_us=visits.desk.now_us)
        )
        for at_s in (early_s, late_s)
    ]
    assert all(isinstance(spot, Spot) for spot in spots)
    visits.desk.pass_until(until)  # she is back at half past one
    place = partial(place_visit, rosters=services.bookings.rosters, point=asked.facts, visit=asked.visit)
    early, late = (
        partial(place, window=Window(at_s, 0), booking_id=f"vis_{at_s}", candidate=spot)
        for at_s, spot in zip((early_s, late_s), spots, strict=True)
    )
    with pytest.raises(NotFeasibleError, match="no_crew"):
        services.store.write_now(early)
    services.store.write_now(late)
    assert visits.planned(point_id)["anna"][-1] == f"vis_{late_s}"


def _remembered(visits: Visits, point_id: str, starts_at: str) -> CrewDay:
    """Return the day in which memory, which knows a visit of before, would put another one."""
    visits.book(point_id, visits.starts(point_id)[0])
    visits.desk.registry.follow()
    wanted, services = (point_id, "clean", visits.desk.lat, LNG), visits.desk.registry.services
    found = known_candidate(services.bookings, wanted, _seconds(starts_at), visits.desk.now_us)
    assert isinstance(found, Spot)
    return found.day


def test_service_that_needs_more_since_a_moment_ago__is_given_to_who_can_do_it(visits: Visits) -> None:
    point_id, two = visits.provider("anna", service=EXACT), visits.tomorrow(14)
    away = {"lat": visits.desk.lat + 0.01, "lng": LNG}
    visits.crew(point_id, "berta", skills=["cleaning", "windows"], start=away)
    assert _remembered(visits, point_id, two).crew_id == "anna"
    visits.service(point_id, **EXACT, skills=["windows"])
    booking = visits.book(point_id, two)
    assert visits.planned(point_id)["berta"] == [booking["booking_id"]]


def test_promise_of_before__is_not_what_memory_takes_the_service_for(visits: Visits) -> None:
    point_id, three = visits.provider("anna", service=EXACT), visits.tomorrow(15)
    booking = visits.brought(visits.book(point_id, visits.tomorrow(10)), "confirm")
    visits.service(point_id, **EXACT, minutes=60)
    visits.desk.registry.follow()
    asked = {"point": point_id, "service": "clean", "lat": visits.desk.lat, "lng": LNG}
    assert visits.desk.send("GET", "/v1/slots", "app", params=asked).is_success
    visits.book(point_id, visits.tomorrow(13))
    visits.done(booking, "reschedule", "app", {"starts_at": three})
    known = visits.desk.registry.services.bookings.rosters.known(point_id, _seconds(three))
    assert known is not None
    visit, _ = known.asked["clean"]
    assert visit.job.duration_s == 3_600


def test_service_whose_windows_are_narrower_since_a_moment_ago__is_promised_for_such_a_one(visits: Visits) -> None:
    point_id, half_past = visits.provider("anna", service={**EXACT, "window_minutes": 60}), visits.tomorrow(15, 30)
    visits.book(point_id, visits.tomorrow(14))  # two hours of work
    assert _remembered(visits, point_id, half_past).crew_id == "anna"  # at four
    visits.service(point_id, **EXACT)
    assert problem(visits.ask(visits.body(point_id, half_past))) == (409, "sold-out")
    visits.book(point_id, visits.tomorrow(16))


def test_memory_that_another_asks__is_not_waited_for(visits: Visits) -> None:
    point_id = visits.provider("anna", service=EXACT)
    visits.book(point_id, visits.starts(point_id)[0])
    services, at_s = visits.desk.registry.services, _seconds(visits.tomorrow(14))
    look = partial(known_candidate, services.bookings, (point_id, "clean", visits.desk.lat, LNG), at_s)
    known = services.bookings.rosters.known(point_id, at_s)
    assert known is not None
    with known.lock:
        assert look(visits.desk.now_us) is None
    assert isinstance(look(visits.desk.now_us), Spot)


def test_rosters_without_crews__are_let_go_of_like_any_other(visits: Visits, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.bookings.rosters._MOST_DAYS", 3)
    point_id, ten_s = visits.provider(service=EXACT), _seconds(visits.tomorrow(10))
    rosters, asked = Rosters(load_norms()), _asked(visits, point_id)
    tomorrow = dt.datetime.fromisoformat(visits.tomorrow(10)).date()
    for number in range(5):
        ask = partial(rosters.roster, point=asked.facts, first_day=tomorrow + dt.timedelta(number), n_days=1)
        visits.desk.registry.services.store.read_now(partial(ask, begun_at=time.monotonic()))
    kept = [rosters.known(point_id, ten_s + number * 86_400) is not None for number in range(5)]
    assert kept == [False, False, True, True, True]


def test_days_farther_ahead_than_anything_can_be_booked__are_not_read_and_not_kept(
    visits: Visits, monkeypatch: pytest.MonkeyPatch
) -> None:
    point_id = visits.provider("anna", service={**EXACT, "most_days": 3})
    rosters = visits.desk.registry.services.bookings.rosters
    far = (dt.datetime.fromisoformat(visits.tomorrow(10)) + dt.timedelta(2)).isoformat()
    visits.desk.registry.follow()
    seen = _spied(monkeypatch, rosters)
    told = visits.slots(point_id, from_day=far[:10])
    assert ({day["why_not"] for day in told["days"]}, told["first_day"]) == ({"not_bookable"}, None)
    assert visits.slots(point_id, from_day="2099-12-31")["travel"] == told["travel"] != ""
    assert problem(visits.ask(visits.body(point_id, far))) == (422, "validation")
    assert (seen, rosters.known(point_id, _seconds(far))) == ([], None)
    assert visits.slots(point_id, from_day=visits.tomorrow(10)[:10], days=2)["days"][1]["slots"]
    assert seen == [False]

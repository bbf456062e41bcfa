"""Visits on days on which the clock skips an hour or repeats one, on a leap day, and while it is put back: on both databases."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import insert, select

from service.bookings.days import day_of
from service.bookings.holding import BookingTerms, VisitWish, hold_visit
from service.bookings.rosters import Rosters
from service.clock import to_us
from service.crews.facts import CrewFacts, ServiceFacts
from service.crews.store import CREWS, SERVICES, put_kept
from service.orders.sweeping import JumpGuard
from service.store.connections import WriteConnection
from service.store.tables import offers
from service.store.visit_tables import bookings, shifts
from tests.contract.service.desk import LNG, Desk
from tests.contract.service.talking import problem
from tests.contract.service.visiting import OFFER, Visits
from tests.crew_walk import late_stops
from tests.faults.ordering import LAT, POINT, enter_shop, terms_of
from tests.faults.sweeping import sweeper_of
from tests.faults.test_orders_clock import MovedClock, opened_with
from tests.serving import fresh_database

UTC = dt.UTC
EXACT = {"window_minutes": 0, "lead_minutes": 0, "most_days": 3}
ALWAYS = {"hours": "24/7"}
BERLIN, NEW_YORK = "Europe/Berlin", "America/New_York"
# The night on which the clock is put forward and back: the first instant behind the change, and what the clock showed.
SPRING = {BERLIN: dt.datetime(2027, 3, 28, 1, tzinfo=UTC), NEW_YORK: dt.datetime(2027, 3, 14, 7, tzinfo=UTC)}
AUTUMN = {BERLIN: dt.datetime(2027, 10, 31, 1, tzinfo=UTC), NEW_YORK: dt.datetime(2027, 11, 7, 6, tzinfo=UTC)}
COUNTRY = {BERLIN: "DE", NEW_YORK: "US"}


@pytest.fixture
def visits(desk: Desk) -> Iterator[Visits]:
    """Give a desk whose clock is as before when the test is over, so that no other's bookings are due."""
    before = desk.now
    yield Visits(desk)
    desk.registry.clock.at = before


def _provider(visits: Visits, zone: str, at: dt.datetime, **more: Any) -> str:
    visits.desk.registry.clock.at = at
    place = {"timezone": zone, "country": COUNTRY.get(zone, "CN")}
    return visits.provider("anna", service={**EXACT, "minutes": 30, **more}, crew=ALWAYS, **place)


def _walls(visits: Visits, point_id: str, zone: str, day: dt.date) -> list[tuple[str, dt.datetime]]:
    """Return what the clock on the wall shows when windows of a day begin, with their instants."""
    (found,) = visits.slots(point_id, from_day=day.isoformat(), days=1)["days"]
    instants = sorted(dt.datetime.fromisoformat(slot["starts_at"]) for slot in found["slots"])
    return [(at.astimezone(ZoneInfo(zone)).strftime("%H:%M"), at) for at in instants]


def _kept(visits: Visits, point_id: str) -> list[str]:
    """Return the visits of all days, each of which can be kept."""
    services = visits.desk.registry.services
    rows = visits.desk.rows(select(shifts).where(shifts.c.point_id == point_id))
    travel = services.store.read_now(lambda one: services.bookings.rosters.travel(one, point_id))
    assert [late_stops(day_of(row), travel) for row in rows] == [[]] * len(rows)
    return [stop.stop_id for row in rows for stop in day_of(row).stops]


@pytest.mark.parametrize("zone", [BERLIN, NEW_YORK])
def test_hour_that_the_clock_skips__is_not_offered_and_cannot_be_booked(visits: Visits, zone: str) -> None:
    change = SPRING[zone]
    point_id = _provider(visits, zone, change - dt.timedelta(hours=20))
    day = change.astimezone(ZoneInfo(zone)).date()
    walls = _walls(visits, point_id, zone, day)
    shown = [wall for wall, _ in walls]
    assert len(walls) == len(set(shown)) == 46
    skipped = {"02:00", "02:30"}
    assert skipped.isdisjoint(shown)
    assert {"01:30", "03:00"} <= set(shown)
    by_wall = dict(walls)
    assert (by_wall["01:30"], by_wall["03:00"]) == (change - dt.timedelta(minutes=30), change)
    made = [visits.book(point_id, by_wall[wall].isoformat()) for wall in ("01:30", "03:00")]
    assert _kept(visits, point_id) == [one["booking_id"] for one in made]
    taken = {wall for wall, _ in walls} - {wall for wall, _ in _walls(visits, point_id, zone, day)}
    assert taken == {"01:30", "03:00"}


@pytest.mark.parametrize("zone", [BERLIN, NEW_YORK])
def test_hour_that_the_clock_repeats__is_offered_as_two_instants_each_of_which_can_be_booked_once(
    visits: Visits, zone: str
) -> None:
    change = AUTUMN[zone]
    point_id = _provider(visits, zone, change - dt.timedelta(hours=20))
    day = change.astimezone(ZoneInfo(zone)).date()
    walls = _walls(visits, point_id, zone, day)
    hour = change.astimezone(ZoneInfo(zone)).strftime("%H")
    repeated = {f"{hour}:00", f"{hour}:30"}
    assert len(walls) == len({at for _, at in walls}) == 50
    assert sorted(wall for wall, _ in walls if wall in repeated) == sorted([*repeated, *repeated])
    local = dt.datetime.combine(day, dt.time(int(hour), 30), ZoneInfo(zone))
    passes = [local.replace(fold=fold) for fold in (0, 1)]
    assert [at for wall, at in walls if wall == f"{hour}:30"] == [at.astimezone(UTC) for at in passes]
    assert passes[1].astimezone(UTC) - passes[0].astimezone(UTC) == dt.timedelta(hours=1)
    made = [visits.book(point_id, at.isoformat()) for at in passes]
    assert [dt.datetime.fromisoformat(one["starts_at"]) for one in made] == [at.astimezone(UTC) for at in passes]
    for at in passes:
        assert problem(visits.ask(visits.body(point_id, at.isoformat()))) == (409, "sold-out")
    assert _kept(visits, point_id) == [one["booking_id"] for one in made]
    left = _walls(visits, point_id, zone, day)
    assert [wall for wall, _ in left if wall in repeated] == [f"{hour}:00", f"{hour}:00"]


@pytest.mark.parametrize("zone", [BERLIN, NEW_YORK])
@pytest.mark.parametrize(("changes", "hours"), [(SPRING, 23), (AUTUMN, 25)])
def test_day_on_which_the_clock_changes__is_as_long_as_it_is_and_no_visit_lies_over_its_end(
    visits: Visits, zone: str, changes: dict[str, dt.datetime], hours: int
) -> None:
    change = changes[zone]
    point_id = _provider(visits, zone, change - dt.timedelta(hours=20), minutes=60, step_minutes=60)
    day = change.astimezone(ZoneInfo(zone)).date()
    free = [at for _, at in _walls(visits, point_id, zone, day)]
    assert len(free) == hours
    made = [visits.brought(visits.book(point_id, at.isoformat()), "confirm")["booking_id"] for at in free]
    assert _walls(visits, point_id, zone, day) == []
    assert _kept(visits, point_id) == made
    (shift,) = {row.shift_at for row in map(visits.row, ({"booking_id": name} for name in made))}
    assert shift == to_us(dt.datetime.combine(day, dt.time(), ZoneInfo(zone)))


@pytest.mark.parametrize("zone", [BERLIN, NEW_YORK])
@pytest.mark.parametrize("changes", [SPRING, AUTUMN])
def test_cancelling__is_free_until_a_day_of_24_hours_before_over_a_change_of_the_clock(
    visits: Visits, zone: str, changes: dict[str, dt.datetime]
) -> None:
    change = changes[zone]
    point_id = _provider(visits, zone, change - dt.timedelta(hours=40))
    starts_at = change + dt.timedelta(hours=12)
    booking = visits.brought(visits.book(point_id, starts_at.isoformat()), "confirm")
    free_until = starts_at - dt.timedelta(hours=24)
    assert dt.datetime.fromisoformat(booking["cancel_free_until"]) == free_until
    visits.desk.registry.clock.at = free_until
    assert visits.done(booking, "cancel", "app", {})["fee_minor"] == 0


@pytest.mark.parametrize("zone", [BERLIN, NEW_YORK, "Asia/Shanghai"])
def test_leap_day__is_a_day_like_others(visits: Visits, zone: str) -> None:
    point_id = _provider(visits, zone, dt.datetime(2028, 2, 28, 12, tzinfo=UTC))
    day = dt.date(2028, 2, 29)
    walls = _walls(visits, point_id, zone, day)
    assert len(walls) == len({wall for wall, _ in walls}) == 48
    at = dt.datetime.combine(day, dt.time(10), ZoneInfo(zone))
    booking = visits.brought(visits.book(point_id, at.isoformat()), "confirm", "depart", "start", "finish")
    assert dt.datetime.fromisoformat(booking["starts_at"]) == at
    until = dt.datetime.fromisoformat(booking["complain_until"])
    assert until.astimezone(ZoneInfo(zone)).date() == dt.date(2028, 3, 2)
    assert _kept(visits, point_id) == [booking["booking_id"]]


@pytest.mark.parametrize("by", [dt.timedelta(minutes=20), dt.timedelta(hours=1), dt.timedelta(days=1)])
def test_clock_that_is_put_back__neither_ends_a_hold_nor_makes_it_longer(visits: Visits, by: dt.timedelta) -> None:
    point_id = visits.provider("anna", service={"window_minutes": 0, "lead_minutes": 0})
    at = (dt.datetime.fromisoformat(visits.tomorrow(10)) + dt.timedelta(2)).isoformat()
    booking = visits.book(point_id, at)
    visits.desk.pass_(10 * 60)
    visits.desk.registry.clock.at -= by
    visits.desk.sweep()
    now = visits.read(booking)
    assert (now["state"], now["expires_at"]) == ("held", booking["expires_at"])
    assert problem(visits.ask(visits.body(point_id, at))) == (409, "sold-out")
    visits.desk.registry.clock.at += by
    visits.desk.pass_(20 * 60 - 1)
    assert visits.read(booking)["state"] == "held"
    visits.desk.pass_(1)
    assert visits.read(booking)["state"] == "expired"
    assert _kept(visits, point_id) == []


@pytest.fixture(params=["sqlite", "postgres"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path) if request.param == "sqlite" else fresh_database(request.getfixturevalue("postgres_url"))


def _entered(connection: WriteConnection) -> None:
    """Enter a provider with a crew."""
    enter_shop(connection, {})
    flags = {"hours": "24/7", "lead_s": 0, "is_paused": False, "in_work": 0, "radius_m": 3000.0}
    connection.run(insert(offers), {"point_id": POINT, "offer": OFFER, **flags})
    put_kept(connection, CREWS, POINT, "anna", CrewFacts("Anna", "24/7").as_json())
    put_kept(connection, SERVICES, POINT, "clean", ServiceFacts("Cleaning", OFFER, 7200, 20_000, "CNY").as_json())


@pytest.mark.parametrize("by", [dt.timedelta(hours=1), dt.timedelta(days=1)])
def test_clock_of_production_that_runs_back_within_a_hold__stands_still_for_it(
    empty: str, tmp_path: Path, by: dt.timedelta
) -> None:
    clock = MovedClock()
    with opened_with(empty, clock) as store:
        store.write_now(_entered)
        terms = BookingTerms(terms_of(store), Rosters(terms_of(store).norms))
        guard = JumpGuard(jump_s=float("inf"))
        sweeper = sweeper_of(store, terms.orders, tmp_path, lease_s=1e6, guard=guard)
        midnight_s = clock.now_us() // 1_000_000 // 86_400 * 86_400

        def held(hours: int) -> str:
            buyer = uuid.uuid4().hex
            wish = VisitWish(
                owner="app", buyer=buyer, device=buyer, point_id=POINT, service_id="clean", lat=LAT, lng=LNG,
                cell="88309959b9fffff", address="door 3", starts_s=midnight_s + 3_600 * hours, total_minor=None,
                actor="app",
            )  # fmt: skip
            return str(store.write_now(lambda connection: hold_visit(connection, terms, wish, None)).booking_id)

        def states() -> dict[str, tuple[str, int]]:
            rows = store.read_now(lambda connection: connection.rows(select(bookings)))
            return {row.booking_id: (row.state, row.booked_at) for row in rows}

        before = held(60)
        clock.moved = -by
        after = held(64)
        assert states()[after][1] >= states()[before][1]
        assert after[:14] >= before[:14]
        assert sweeper.step() == 0
        clock.moved = dt.timedelta(minutes=29)
        assert sweeper.step() == 0
        clock.moved = dt.timedelta(minutes=31)
        assert sweeper.step() == 2
        assert {state for state, _ in states().values()} == {"expired"}

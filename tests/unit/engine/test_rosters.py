"""What can be booked of a roster, and why nothing can."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.crew_days import CrewDays, Stop
from engine.crews import Crew, crew_days
from engine.errors import InvalidQueryError, InvalidTimezoneError, UnkeptDayError
from engine.norms import load_norms
from engine.openings import OpeningTimes
from engine.rosters import BookingRules, Roster, VisitAsk
from engine.slots import Job, find_slots, witness
from engine.travel import GreatCircleTravel, norm_travel

ZONE = "Europe/Berlin"
BERLIN = ZoneInfo(ZONE)
OPENINGS, TRAVEL = OpeningTimes(), GreatCircleTravel()
HOME, NEAR, FAR = (52.52, 13.4), (52.53, 13.41), (52.6, 13.4)
FRIDAY = dt.date(2026, 11, 27)
NOW = dt.datetime(2026, 11, 26, 9, tzinfo=BERLIN)
CLEAN = frozenset({"clean"})
HOURLY = BookingRules(ZONE, hours="Mo-Sa 08:00-18:00; PH off", country="DE", step_s=3600, width_s=3600)


def crew(name: str, hours: str = "Mo-Fr 08:00-12:00", *, max_jobs: int | None = None) -> Crew:
    return Crew(name, HOME, HOME, hours, ZONE, skills=CLEAN, people=2, area=5000.0, max_jobs=max_jobs)


def roster(*crews: Crew, n_days: int = 7) -> Roster:
    days = [day for one in crews for day in crew_days(one, OPENINGS, FRIDAY, n_days)]
    return Roster(crews, days, TRAVEL, OPENINGS)


def ask(place: tuple[float, float] = NEAR, hours: float = 1, skills: frozenset[str] = CLEAN, n: int = 1) -> VisitAsk:
    return VisitAsk(Job(*place, int(hours * 3600)), skills, n)


def walls(found: Roster, asked: VisitAsk, day: dt.date = FRIDAY, rules: BookingRules = HOURLY) -> list[str]:
    """Return when a day's windows begin, in order of time."""
    slots = found.slots(asked, rules, NOW, day, 1).slots.get(day, [])
    return sorted(f"{dt.datetime.fromtimestamp(slot.starts_s, BERLIN):%H:%M}" for slot in slots)


def why(found: Roster, asked: VisitAsk, day: dt.date = FRIDAY, rules: BookingRules = HOURLY) -> str:
    return found.slots(asked, rules, NOW, day, 1).why_not[day]


def test_slots__lie_within_the_shift_and_the_rules_ways_included() -> None:
    # the way takes some minutes: a job of an hour is begun by 10:55, and not before 08:05
    assert walls(roster(crew("a")), ask()) == ["08:00", "09:00", "10:00"]
    assert walls(roster(crew("a")), ask(hours=2)) == ["08:00", "09:00"]
    assert walls(roster(crew("a", "Mo-Fr 06:00-12:00")), ask()) == ["08:00", "09:00", "10:00"]


def test_slots__of_several_days_are_told_by_day_with_reasons_for_the_others() -> None:
    found = roster(crew("a")).slots(ask(), HOURLY, NOW, FRIDAY, 4)
    assert {day.day: len(slots) for day, slots in found.slots.items()} == {27: 3, 30: 3}
    assert {day.day: reason for day, reason in found.why_not.items()} == {28: "no_crew", 29: "not_bookable"}


REASONS = (  # what is asked for, of whom, on which day, and what it is told
    ("not_bookable", ask(), dt.date(2026, 12, 25)),  # a holiday
    ("not_bookable", ask(), NOW.date() + dt.timedelta(30)),  # too far ahead
    ("not_bookable", ask(), NOW.date() - dt.timedelta(1)),  # over
    ("no_crew", ask(skills=frozenset({"roof"})), FRIDAY),
    ("no_crew", ask(n=3), FRIDAY),
    ("no_crew", ask(), dt.date(2026, 11, 28)),
    ("outside_area", ask(FAR), FRIDAY),
    ("no_time", ask(hours=4), FRIDAY),
)


@pytest.mark.parametrize(("reason", "asked", "day"), REASONS)
def test_why_not__is_told(reason: str, asked: VisitAsk, day: dt.date) -> None:
    assert why(roster(crew("a")), asked, day) == reason


def test_why_not__tells_what_comes_too_soon() -> None:
    rules = BookingRules(ZONE, hours="Mo-Sa 08:00-18:00", lead_s=3 * 86_400, step_s=3600)
    assert why(roster(crew("a")), ask(), rules=rules) == "too_soon"
    to_the_second = BookingRules(ZONE, lead_s=25 * 3600, step_s=3600)  # from ten o'clock on
    assert walls(roster(crew("a")), ask(), rules=to_the_second) == ["10:00"]
    a_second_more = BookingRules(ZONE, lead_s=25 * 3600 + 1, step_s=3600)
    assert why(roster(crew("a")), ask(), rules=a_second_more) == "no_time"


def test_full_crew__is_asked_no_more_until_it_has_one_job_less() -> None:
    one = roster(crew("a", max_jobs=1), n_days=1)
    (slot, *_) = one.slots(ask(), HOURLY, NOW, FRIDAY, 1).slots[FRIDAY]
    before = one.table.days[0]
    one.replace(0, witness(one.table, ask().job, slot, "visit"), 1)
    assert why(one, ask()) == "full"
    one.replace(0, before, 0)
    assert len(walls(one, ask())) == 3


def test_booked_window__takes_its_time_from_the_others() -> None:
    one = roster(crew("a", "Mo-Fr 08:00-11:30"), n_days=1)
    assert walls(one, ask(hours=1.75)) == ["08:00", "09:00"]
    nine = next(
        slot for slot in one.slots(ask(), HOURLY, NOW, FRIDAY, 1).slots[FRIDAY] if slot.starts_s % 86_400 == 8 * 3600
    )
    one.replace(0, witness(one.table, ask().job, nine, "visit"), 1)
    assert walls(one, ask(hours=1.75)) == ["08:00"]  # before it: it may begin by ten
    assert walls(one, ask()) == ["08:00", "09:00", "10:00"]


def test_slots__are_ranked_by_what_they_cost_then_by_time() -> None:
    one = roster(crew("a", "Mo-Fr 08:00-16:00"), n_days=1)
    there = Stop("visit", NEAR, 3600, *(int(dt.datetime(2026, 11, 27, 13, tzinfo=BERLIN).timestamp()),) * 2)
    one.replace(0, one.table.days[0].with_stop(there, 0), 1)
    slots = one.slots(ask(), HOURLY, NOW, FRIDAY, 1).slots[FRIDAY]
    assert [(slot.detour_s, slot.starts_s) for slot in slots] == sorted(
        (slot.detour_s, slot.starts_s) for slot in slots
    )
    assert slots[0].detour_s == 0  # the crew is next door


@pytest.mark.parametrize("asked", [ask(), ask(n=2), ask(n=3), ask(FAR), ask(skills=frozenset({"x"})), ask(hours=2)])
@pytest.mark.parametrize("width_s", [0, 3600, 7 * 3600])
def test_slot__is_what_is_found_where_every_crew_that_can_come_is_asked(asked: VisitAsk, width_s: int) -> None:
    hours = ("Mo-Fr 08:00-12:00", "Mo-Fr 11:00-15:00", "Mo-Su 22:00-03:00", "Sa 06:00-20:00")
    one = roster(*(crew(name, its, max_jobs=1) for name, its in zip("abcd", hours, strict=True)), n_days=2)
    there, first_s = Stop("visit", NEAR, 600, *(one.table.days[1].starts_s + 3600,) * 2), one.table.days[0].starts_s
    one.replace(1, one.table.days[1].with_stop(there, 0), 1)
    starts = range(first_s - 8 * 3600, first_s + 48 * 3600, 1800)
    can_come, now_s = one.can_come(asked), first_s - 3600
    for starts_s in starts:
        every = find_slots(one.table, asked.job, [starts_s], width_s, is_asked=can_come, not_before_s=now_s)
        assert one.slot(asked, starts_s, width_s, now_s) == next(iter(every), None)


def test_replace__of_a_day_that_cannot_be_kept_leaves_all_as_it_was() -> None:
    one = roster(crew("a"), n_days=1)
    bad = one.table.days[0].with_stop(Stop("late", FAR, 5 * 3600, 0, 1), 0)
    with pytest.raises(UnkeptDayError):
        one.replace(0, bad, 1)
    assert len(walls(one, ask())) == 3


def test_windows__stand_on_the_wall_when_the_clock_is_changed() -> None:
    rules = BookingRules(ZONE, step_s=1800)
    spring, autumn, plain = (
        len(rules.windows_s(day, OPENINGS)) for day in (dt.date(2026, 3, 29), dt.date(2026, 10, 25), FRIDAY)
    )
    assert (spring, autumn, plain) == (46, 50, 48)
    assert len(set(rules.windows_s(dt.date(2026, 10, 25), OPENINGS))) == 50  # a repeated hour stands for two
    assert BookingRules(ZONE, hours="00:00-24:00", step_s=43_200).windows_s(dt.date(2028, 2, 29), OPENINGS)


@pytest.mark.parametrize("zone", [ZONE, "Australia/Lord_Howe", "Asia/Shanghai"])
@pytest.mark.parametrize("hours", [None, "Mo-Su 01:00-04:30,22:00-26:00"])
@pytest.mark.parametrize(
    "day", [dt.date(2026, 3, 29), dt.date(2026, 4, 5), dt.date(2026, 10, 4), dt.date(2026, 10, 25)]
)
@pytest.mark.parametrize("step_s", [900, 1740])
def test_begins__tells_the_instants_of_windows(day: dt.date, hours: str | None, step_s: int, zone: str) -> None:
    rules = BookingRules(zone, hours=hours, step_s=step_s)
    start = int(dt.datetime.combine(day, dt.time(), ZoneInfo(zone)).timestamp())
    end = int(dt.datetime.combine(day + dt.timedelta(1), dt.time(), ZoneInfo(zone)).timestamp())
    found = [at for at in range(start, end, 60) if rules.begins(at, OPENINGS)]
    assert found == rules.windows_s(day, OPENINGS)
    assert found


def test_slots__of_today_count_the_way_from_now() -> None:
    one = Roster([crew("a")], crew_days(crew("a"), OPENINGS, FRIDAY, 1), TRAVEL, OPENINGS)
    at_once = BookingRules(ZONE, step_s=1800, width_s=0)
    now = dt.datetime(2026, 11, 27, 10, tzinfo=BERLIN)
    slots = one.slots(ask(), at_once, now, FRIDAY, 1).slots[FRIDAY]
    assert min(slot.planned_s for slot in slots) == int(now.timestamp()) + 1800
    with pytest.raises(InvalidQueryError):
        one.slots(ask(), at_once, now.replace(tzinfo=None), FRIDAY, 1)


@pytest.mark.parametrize(
    ("first_day", "n_days"),
    [
        (dt.date(9999, 12, 30), 5),  # days that no calendar has
        (dt.date(9998, 12, 31), 2),  # days whose hours are never told
        (FRIDAY, 10_000_000),
        (FRIDAY, 1 << 40),
    ],
)
def test_slots__of_days_beyond_the_calendar_are_refused(first_day: dt.date, n_days: int) -> None:
    with pytest.raises(InvalidQueryError, match="must be days of years up to 9998") as caught:
        roster(crew("a"), n_days=1).slots(ask(), HOURLY, NOW, first_day, n_days)
    assert caught.value.argument == "first_day"


@pytest.mark.parametrize("first_day", [dt.date.min, dt.date(9998, 12, 31)])
def test_slots__of_days_long_gone_or_far_off_are_not_bookable(first_day: dt.date) -> None:
    assert roster(crew("a"), n_days=1).slots(ask(), HOURLY, NOW, first_day, 1).why_not == {first_day: "not_bookable"}


def test_roster__leaves_out_a_day_that_cannot_be_kept_and_answers_with_the_others() -> None:
    far_home = Crew("far", HOME, FAR, "Fr 02:00-02:10,08:00-12:00", ZONE, skills=CLEAN)
    days = crew_days(far_home, OPENINGS, FRIDAY, 1)
    one = Roster([far_home], days, TRAVEL, OPENINGS, n_jobs=[5, 0])
    assert (one.left_out, one.table.days) == ([days[0]], [days[1]])
    assert walls(one, ask()) == ["08:00", "09:00", "10:00"]


class CountedTravel:
    """Great circles, and how many days were asked for."""

    told = TRAVEL.told
    n_asked = 0

    def minutes_many(
        self, origins: NDArray[np.float64], destinations: NDArray[np.float64], at: dt.datetime | None
    ) -> NDArray[np.float64]:
        self.n_asked += 1
        return TRAVEL.minutes_many(origins, destinations, at)


def test_roster__leaves_out_all_days_that_cannot_be_kept_at_once() -> None:
    far_home = Crew("far", HOME, FAR, "Mo-Fr 02:00-02:10,08:00-12:00,23:00-23:10", ZONE, skills=CLEAN)
    days = crew_days(far_home, OPENINGS, FRIDAY, 28)
    short = [day for day in days if day.ends_s - day.starts_s == 600]
    with pytest.raises(UnkeptDayError, match="'end' would start") as caught:
        CrewDays(days, TRAVEL)
    assert caught.value.position == 0
    assert [days[number] for number in caught.value.positions] == short
    travel = CountedTravel()
    one = Roster([far_home], days, travel, OPENINGS, n_jobs=range(len(days)))
    assert (one.left_out, len(one.table.days)) == (short, 20)
    assert travel.n_asked == len(days) + 20  # each day once, and once more without the others
    assert walls(one, ask()) == ["08:00", "09:00", "10:00"]


def test_why_not__says_that_nobody_works_where_a_shift_ends_at_midnight() -> None:
    one = crew("a", "Fr 20:00-24:00")
    found = Roster([one], crew_days(one, OPENINGS, FRIDAY, 1), TRAVEL, OPENINGS)
    assert why(found, ask(), FRIDAY + dt.timedelta(1), BookingRules(ZONE)) == "no_crew"


BAD = (
    {"lead_s": -1},
    {"most_days": 0},
    {"step_s": 59},
    {"step_s": 86_401},
    {"width_s": -1},
)


@pytest.mark.parametrize("wrong", BAD, ids=str)
def test_bad_rules__are_named(wrong: dict[str, int]) -> None:
    with pytest.raises(InvalidQueryError, match=next(iter(wrong))):
        BookingRules(ZONE, **wrong)  # type: ignore[arg-type]


def test_rules_and_travel__come_from_the_norm_or_are_the_usual_ones() -> None:
    norms = load_norms()
    cleaning, parcel = norms.offer("housekeeping/onsite"), norms.offer("community/parcel")
    rules = BookingRules.of_norm(cleaning, "Asia/Shanghai", "CN", "Mo-Su 08:00-20:00")
    assert (rules.lead_s, rules.width_s, rules.step_s, rules.hours) == (7200, 7200, 1800, "Mo-Su 08:00-20:00")
    assert norm_travel(cleaning).told == "great circle x 1.4 at 20 km/h"
    assert norm_travel(norms.offer("appliance_repair/onsite")).speed_kmh == 25
    assert norm_travel(parcel) == GreatCircleTravel()
    assert BookingRules.of_norm(parcel, ZONE).width_s == BookingRules(ZONE).width_s


def test_time_zone_that_is_none__is_named() -> None:
    with pytest.raises(InvalidTimezoneError, match="Europe/Nowhere"):
        BookingRules("Europe/Nowhere")

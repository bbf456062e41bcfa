"""Slots equal what a clock that ticks finds out: minute by minute, a crew drives, waits, or begins what is next."""

from __future__ import annotations

import datetime as dt
import functools
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from engine.crew_days import CrewDay, CrewDays, Stop
from engine.errors import InvalidColumnError, InvalidQueryError, UnkeptDayError
from engine.slots import Job, Slot, check_slots, find_slots, witness
from engine.travel import GreatCircleTravel, travel_seconds
from tests.crew_walk import late_stops

MINUTE_S = 60
N_PLACES = 5
LAST = 30


@dataclass(frozen=True)
class TableTravel:
    """Whole minutes between places that are numbers; a lat says which."""

    minutes: tuple[tuple[float, ...], ...]
    told = "a table"

    def minutes_many(
        self, origins: NDArray[np.float64], destinations: NDArray[np.float64], at: dt.datetime | None
    ) -> NDArray[np.float64]:
        assert at is None
        rows, columns = origins[:, 0].astype(int), destinations[:, 0].astype(int)
        return np.array(self.minutes)[rows][:, columns]


def kept_day(travel: TableTravel, day: CrewDay) -> bool:
    """Tell whether all stops can be begun in time, by trying everything, minute by minute."""
    nodes = [*day.stops, Stop("end", day.end, 0, day.starts_s, day.ends_s)]

    def way(k: int) -> float:
        """Return the minutes to the next place from where the crew is before node k."""
        here = [day.start, *(stop.place for stop in nodes[:k] if stop.place is not None)][-1]
        there = next(stop.place for stop in nodes[k:] if stop.place is not None)
        return travel.minutes[int(here[0])][int(there[0])]

    @functools.cache
    def can_end(now: int, k: int, left: float) -> bool:
        if k == len(nodes):
            return True
        if now > LAST + 5:
            return False
        stop = nodes[k]
        if stop.earliest_s <= now * MINUTE_S <= stop.latest_s and (stop.place is None or left == 0):
            then = now + stop.duration_s // MINUTE_S
            last = k + 1 == len(nodes)
            if can_end(then, k + 1, 0 if last else left if stop.place is None else way(k + 1)):
                return True
        return can_end(now + 1, k, max(left - 1, 0)) or can_end(now + 1, k, left)

    return can_end(day.starts_s // MINUTE_S, 0, way(0))


def brute_windows(
    travel: TableTravel, days: Sequence[CrewDay], job: Job, windows_s: Sequence[int], width_s: int
) -> set[int]:
    """Return when the windows begin in which some crew can begin."""
    found = set()
    for window in windows_s:
        stop = Stop("job", (job.lat, job.lng), job.duration_s, window, window + width_s)
        if any(kept_day(travel, day.with_stop(stop, after)) for day in days for after in open_places(day)):
            found.add(window)
    return found


def open_places(day: CrewDay) -> range:
    """Return behind how many stops a job may be inserted: not before one that its crew has set out to."""
    return range(
        max((number for number, stop in enumerate(day.stops, 1) if stop.is_set_out), default=0), len(day.stops) + 1
    )


def seconds(least: int, most: int) -> st.SearchStrategy[int]:
    return st.integers(least, most).map(lambda minutes: minutes * MINUTE_S)


PLACES = st.integers(0, N_PLACES - 1).map(lambda number: (float(number), 0.0))
TABLES = st.lists(
    st.lists(
        st.sampled_from([0.0, 1.0, 1.0, 2.0, 2.0, 3.0, 4.0, 6.0, float("inf")]), min_size=N_PLACES, max_size=N_PLACES
    ).map(tuple),
    min_size=N_PLACES,
    max_size=N_PLACES,
).map(lambda rows: TableTravel(tuple(rows)))


@st.composite
def stops(draw: st.DrawFn) -> Stop:
    earliest, width = draw(st.integers(0, LAST)), draw(st.sampled_from([0, 1, 2, 5, 12, 20]))
    place = draw(st.one_of(st.none(), PLACES))
    window = (earliest * MINUTE_S, (earliest + width) * MINUTE_S)
    return Stop(draw(st.uuids()).hex, place, draw(seconds(0, 3)), *window, draw(st.sampled_from([False] * 5 + [True])))


@st.composite
def crew_days(draw: st.DrawFn) -> CrewDay:
    found = draw(st.lists(stops(), max_size=4))
    found.sort(key=lambda stop: stop.latest_s)
    begin = draw(st.integers(0, 4))
    end = draw(st.one_of(st.integers(begin, LAST), st.just(LAST)))
    return CrewDay("crew", draw(PLACES), draw(PLACES), begin * MINUTE_S, end * MINUTE_S, tuple(found))


@given(TABLES, crew_days())
def test_crew_days__are_kept_where_a_clock_that_ticks_says_so(travel: TableTravel, day: CrewDay) -> None:
    if not kept_day(travel, day):
        with pytest.raises(UnkeptDayError):
            CrewDays([day], travel)
        return
    starts = CrewDays([day], travel).starts_s(0)
    told = [stop._replace(earliest_s=start, latest_s=start) for stop, start in zip(day.stops, starts, strict=True)]
    assert kept_day(travel, day._replace(stops=tuple(told)))


@given(TABLES, st.lists(crew_days(), max_size=3), PLACES, seconds(0, 5), seconds(0, 4))
def test_find_slots__finds_what_a_clock_that_ticks_finds(
    travel: TableTravel, drawn: list[CrewDay], place: tuple[float, float], duration_s: int, width_s: int
) -> None:
    days = [day for day in drawn if kept_day(travel, day)]
    job, windows = Job(*place, duration_s), range(0, LAST * MINUTE_S, 5 * MINUTE_S)
    table = CrewDays(days, travel)
    slots = find_slots(table, job, windows, width_s)
    assert {slot.starts_s for slot in slots} == brute_windows(travel, days, job, windows, width_s)
    assert check_slots(table, job, slots) == [slot.planned_s for slot in slots]
    for slot in slots:
        assert kept_day(travel, witness(table, job, slot, "job"))
        planned = witness(table, job, slot._replace(starts_s=slot.planned_s, ends_s=slot.planned_s), "job")
        assert kept_day(travel, planned)
        assert slot.starts_s <= slot.planned_s <= slot.ends_s
        assert slot.detour_s == way_s(travel, witness(table, job, slot, "job")) - way_s(travel, days[slot.day])


@given(TABLES, crew_days(), crew_days(), PLACES, seconds(0, 5), seconds(0, 4))
def test_check_slots__tells_whether_they_can_still_be_kept_on_another_day(
    travel: TableTravel, day: CrewDay, other: CrewDay, place: tuple[float, float], duration_s: int, width_s: int
) -> None:
    if not (kept_day(travel, day) and kept_day(travel, other)):
        return
    job, now = Job(*place, duration_s), CrewDays([other], travel)
    slots = find_slots(CrewDays([day], travel), job, range(0, LAST * MINUTE_S, 5 * MINUTE_S), width_s)
    for slot, start in zip(slots, check_slots(now, job, slots), strict=True):
        fits = slot.after in open_places(other) and kept_day(travel, witness(now, job, slot, "job"))
        assert (start is not None) == fits
        if start is not None:
            assert kept_day(travel, witness(now, job, slot._replace(starts_s=start, ends_s=start), "job"))
    assert check_slots(CrewDays([], travel), job, slots) == [None] * len(slots)


def way_s(travel: TableTravel, day: CrewDay) -> float:
    """Return how long a crew drives on a day."""
    places = [day.start, *(stop.place for stop in day.stops if stop.place is not None), day.end]
    minutes = (travel.minutes[int(a[0])][int(b[0])] for a, b in itertools.pairwise(places))
    return sum(minutes) * MINUTE_S


@given(TABLES, st.lists(crew_days(), min_size=1, max_size=3), crew_days())
def test_replace__gives_what_a_new_table_has(travel: TableTravel, drawn: list[CrewDay], other: CrewDay) -> None:
    days = [day for day in drawn if kept_day(travel, day)]
    if not days:
        return
    table = CrewDays(days, travel)
    if kept_day(travel, other):
        table.replace(0, other)
        days[0] = other
    else:
        with pytest.raises(UnkeptDayError):
            table.replace(0, other)
    fresh = CrewDays(days, travel)
    assert table.days == days
    assert table.arrays.n_nodes.tolist() == fresh.arrays.n_nodes.tolist()
    for number, day in enumerate(days):
        n, only, alone = len(day.stops) + 2, table.only(number), table.alone(day)
        for mine, its in zip(table.arrays[1:], fresh.arrays[1:], strict=True):
            assert mine[number, :n].tolist() == its[number, :n].tolist()
        assert (only.days, only.places.tolist()) == (alone.days, alone.places.tolist())
        assert [part.tolist() for part in only.arrays] == [part.tolist() for part in alone.arrays]


@given(TABLES, st.lists(st.tuples(crew_days(), st.booleans()), max_size=4), PLACES, seconds(0, 5), seconds(0, 4))
def test_find_slots__of_some_days_finds_what_it_finds_where_there_are_no_others(
    travel: TableTravel,
    drawn: list[tuple[CrewDay, bool]],
    place: tuple[float, float],
    duration_s: int,
    width_s: int,
) -> None:
    kept = [one for one in drawn if kept_day(travel, one[0])]
    job, windows = Job(*place, duration_s), range(0, LAST * MINUTE_S, 5 * MINUTE_S)
    is_asked = np.array([is_asked for _, is_asked in kept], np.bool_)
    found = find_slots(CrewDays([day for day, _ in kept], travel), job, windows, width_s, is_asked=is_asked)
    some = CrewDays([day for day, is_asked in kept if is_asked], travel)
    numbers = np.flatnonzero(is_asked).tolist()
    assert found == [slot._replace(day=numbers[slot.day]) for slot in find_slots(some, job, windows, width_s)]


def test_two_jobs_40_minutes_apart__are_never_offered_in_a_gap_of_30() -> None:
    far = TableTravel(((0.0, 40.0), (40.0, 0.0)))
    here, there = (0.0, 0.0), (1.0, 0.0)
    job = Stop("first", here, 60 * MINUTE_S, 0, 0)
    days = CrewDays([CrewDay("crew", here, here, 0, 6 * 3600, (job,))], far)
    starts = [slot.starts_s for slot in find_slots(days, Job(*there, 1800), range(0, 4 * 3600, 600), 0)]
    assert starts == list(range(100 * MINUTE_S, 4 * 3600, 600))  # 60 minutes of work and 40 of way


def test_break__lets_the_crew_drive_before_it_and_work_on_either_side() -> None:
    near = TableTravel(((0.0, 4.0), (4.0, 0.0)))
    here, there = (0.0, 0.0), (1.0, 0.0)
    lunch = Stop("lunch", None, 20 * MINUTE_S, 10 * MINUTE_S, 10 * MINUTE_S)
    days = CrewDays([CrewDay("crew", here, here, 0, 60 * MINUTE_S, (lunch,))], near)
    slots = find_slots(days, Job(*there, 5 * MINUTE_S), range(0, 60 * MINUTE_S, MINUTE_S), 0)
    found = [(slot.starts_s // MINUTE_S, slot.after) for slot in slots]
    assert found == [(4, 0), (5, 0), *((minute, 1) for minute in range(30, 52))]


@given(TABLES, crew_days(), PLACES, seconds(0, 5), seconds(0, LAST))
def test_find_slots__lets_nobody_set_out_in_the_past(
    travel: TableTravel, day: CrewDay, place: tuple[float, float], duration_s: int, now_s: int
) -> None:
    """The same as if the crew stood, from its last stop on, where it is until now."""
    if not kept_day(travel, day):
        return
    table, job, windows = CrewDays([day], travel), Job(*place, duration_s), range(0, LAST * MINUTE_S, MINUTE_S)
    slots = find_slots(table, job, windows, 0, not_before_s=now_s)
    assert check_slots(table, job, slots, not_before_s=now_s) == [slot.planned_s for slot in slots]
    earlier = {slot.starts_s for slot in find_slots(table, job, windows, 0)}
    assert {slot.starts_s for slot in slots} <= earlier
    for slot in slots:
        here = [day.start, *(stop.place for stop in day.stops[: slot.after] if stop.place is not None)][-1]
        assert slot.starts_s >= now_s + travel.minutes[int(here[0])][int(place[0])] * MINUTE_S or any(
            stop.place is None and stop.earliest_s >= now_s for stop in day.stops
        )


@given(TABLES, crew_days(), PLACES, seconds(0, 5), seconds(0, 4), seconds(0, LAST))
def test_find_slots__takes_no_stop_to_have_begun_that_can_begin_later(
    travel: TableTravel, day: CrewDay, place: tuple[float, float], duration_s: int, width_s: int, now_s: int
) -> None:
    """The same as if each stop began as late as it does by now; what is late by that is before the visit, never behind it."""
    if not kept_day(travel, day):
        return
    job, windows = Job(*place, duration_s), range(0, LAST * MINUTE_S, MINUTE_S)
    table = CrewDays([day], travel)
    slots = find_slots(table, job, windows, width_s, not_before_s=now_s)
    assert check_slots(table, job, slots, not_before_s=now_s) == [slot.planned_s for slot in slots]
    begins = begun_by_now(travel, day, now_s)
    if kept_day(travel, begins):
        starts_s = zip(begins.stops, starts_by_s(table, now_s), strict=True)
        assert all(stop.earliest_s == start for stop, start in starts_s if stop.place is not None)
        assert slots == find_slots(CrewDays([begins], travel), job, windows, width_s, not_before_s=now_s)
    for slot in slots:
        before = tuple(stop._replace(latest_s=(LAST + 5) * MINUTE_S) for stop in begins.stops[: slot.after])
        planned = Stop("job", place, duration_s, slot.planned_s, slot.planned_s)
        assert kept_day(travel, day._replace(stops=(*before, planned, *day.stops[slot.after :])))


def begun_by_now(travel: TableTravel, day: CrewDay, now_s: int) -> CrewDay:
    """
    Return a day in which no stop with a place begins before its crew can be there, minute by minute, if it still can then.

    Before now it does not drive to what it has not set out to; what it has set out to it begins now at the earliest.
    """
    found: list[Stop] = []
    here, free, breaks = day.start, day.starts_s // MINUTE_S, []
    for stop in day.stops:
        if stop.place is None:
            breaks.append(stop)
            found.append(stop)
            continue
        way = travel.minutes[int(here[0])][int(stop.place[0])]
        planned = arrival(free, way, breaks, 0)
        by_now = now_s // MINUTE_S if stop.is_set_out else arrival(free, way, breaks, now_s // MINUTE_S)
        start = max(planned, stop.earliest_s // MINUTE_S, min(by_now, stop.latest_s // MINUTE_S))
        found.append(stop._replace(earliest_s=min(start * MINUTE_S, stop.latest_s)))
        here, free, breaks = stop.place, start + stop.duration_s // MINUTE_S, []
    return day._replace(stops=tuple(found))


def starts_by_s(table: CrewDays, now_s: int) -> list[int]:
    """Return when each stop of a table's only day starts by now."""
    return [int(start) for start in table.starts_by_s(np.zeros(1, np.int64), now_s)[0, 1:-1]]


def arrival(free: int, way: float, breaks: Sequence[Stop], since: int) -> int:
    """Return when a crew that is free at a minute is at the end of a way that it drives from another on, breaks in between."""
    now, left = free, way
    for stop in breaks:
        while now < stop.earliest_s // MINUTE_S:
            left -= min(left, int(now >= since))
            now += 1
        now += stop.duration_s // MINUTE_S
    while left > 0 or now < since:
        left -= min(left, int(now >= since))
        now += 1
    return now


def test_find_slots__counts_the_way_from_now() -> None:
    near = TableTravel(((0.0, 10.0), (10.0, 0.0)))
    here, there = (0.0, 0.0), (1.0, 0.0)
    days = CrewDays([CrewDay("crew", here, here, 0, 6 * 3600)], near)
    windows = range(0, 3 * 3600, 300)
    slots = find_slots(days, Job(*there, 600), windows, 0, not_before_s=3600)
    assert slots[0].starts_s == 3600 + 600
    stale = find_slots(days, Job(*there, 600), windows, 0)[:3]
    assert check_slots(days, Job(*there, 600), stale, not_before_s=3600) == [None] * 3


@pytest.mark.parametrize(
    ("width_s", "now_s", "since_s"),
    [
        (7200, 0, 0),  # as planned
        (7200, 6900, 6900),  # it begins now at the earliest
        (7200, 7500, 7200),  # it is late: nobody says by how much
        (0, 6900, 0),  # it has begun when it was to
    ],
)
def test_find_slots__counts_what_has_not_begun_from_now(width_s: int, now_s: int, since_s: int) -> None:
    near, here = TableTravel(((0.0,),)), (0.0, 0.0)
    first = Stop("first", here, 4 * 3600, 0, width_s)
    second, job = Stop("second", here, 1200, 4 * 3600, 4 * 3600 + 600), Job(*here, 600)
    for stops_, starts_s in (((first,), since_s), ((first, second), since_s + 1200)):  # late behind it, or not
        days = CrewDays([CrewDay("crew", here, here, 0, 10 * 3600, stops_)], near)
        slots = find_slots(days, job, range(0, 9 * 3600, 60), 0, not_before_s=now_s)
        expected = [(at, len(stops_)) for at in range(starts_s + 4 * 3600, 9 * 3600, 60)]
        assert [(slot.starts_s, slot.after) for slot in slots if slot.after == len(stops_)] == expected
        assert check_slots(days, job, slots, not_before_s=now_s) == [slot.planned_s for slot in slots]


def test_find_slots__counts_the_way_to_what_nobody_has_set_out_to_from_now() -> None:
    travel, here, there = TableTravel(((0.0, 20.0), (20.0, 0.0))), (0.0, 0.0), (1.0, 0.0)
    first, job = Stop("first", there, 3600, 9 * 3600, 11 * 3600), Job(*there, 600)
    for stop, now_s, starts_s in (
        (first, 8 * 3600, 9 * 3600),
        (first, 9 * 3600 - 600, 9 * 3600 + 600),  # booked so late that its crew is there behind its window's beginning
        (first, 9 * 3600 + 2400, 10 * 3600),
        (first._replace(is_set_out=True), 9 * 3600 + 2400, 9 * 3600 + 2400),
        (first, 11 * 3600 - 600, 11 * 3600),  # it is late: nobody says by how much
    ):
        days = CrewDays([CrewDay("crew", here, here, 7 * 3600, 16 * 3600, (stop,))], travel)
        behind = [Slot(at, at, 0, 1, at, 0) for at in (starts_s + 3600 - 60, starts_s + 3600)]
        assert check_slots(days, job, behind, not_before_s=now_s) == [None, starts_s + 3600]
        assert starts_by_s(days, now_s) == [starts_s]


def test_find_slots__puts_nothing_before_what_its_crew_has_set_out_to() -> None:
    near, here, job = TableTravel(((0.0,),)), (0.0, 0.0), Job(0.0, 0.0, 600)
    first, last = Stop("first", here, 600, 3600, 7200), Stop("last", here, 600, 3600, 7200)
    for stops_, first_s in (((first, last), 0), ((first._replace(is_set_out=True), last), 3600 + 600)):
        days = CrewDays([CrewDay("crew", here, here, 0, 9 * 3600, stops_)], near)
        assert find_slots(days, job, range(0, 9 * 3600, 600), 0)[0].starts_s == first_s
    assert check_slots(days, job, [Slot(0, 0, 0, 0, 0, 0)]) == [None]


def test_crew_days__take_the_way_to_what_has_begun_as_driven() -> None:
    hour, here, there = TableTravel(((0.0, 60.0), (60.0, 0.0))), (0.0, 0.0), (1.0, 0.0)
    begun = Stop("begun", there, 1800, 600, 600, is_set_out=True, has_begun=True)
    day = CrewDay("crew", here, here, 3600, 9 * 3600, (begun,))
    days = CrewDays([day], hour)
    assert days.starts_s(0) == [600]
    assert late_stops(day, hour) == []
    slots = find_slots(days, Job(*there, 600), range(0, 9 * 3600, 600), 0)
    assert [(slot.starts_s, slot.after) for slot in slots[:1]] == [(3600, 1)]  # not before the day begins
    assert check_slots(days, Job(*there, 600), slots) == [slot.planned_s for slot in slots]
    with pytest.raises(UnkeptDayError):
        CrewDays([day._replace(stops=(begun._replace(has_begun=False),))], hour)


def test_find_slots__gives_no_slot_where_a_crew_cannot_get_on() -> None:
    inf = float("inf")
    travel = TableTravel(((0.0, inf), (inf, 0.0)))
    lost = CrewDay("lost", (0.0, 0.0), (1.0, 0.0), 0, 1 << 41)
    table = CrewDays([lost, CrewDay("near", (0.0, 0.0), (0.0, 0.0), 0, 3600)], travel)
    assert [slot.day for slot in find_slots(table, Job(0.0, 0.0, 60), [0], 60)] == [1]


def test_least_detour__is_chosen_and_the_first_of_equal_ones() -> None:
    travel = GreatCircleTravel()
    near, far = (31.2, 121.4), (31.3, 121.5)
    table = CrewDays(
        [CrewDay(name, place, place, 0, 36_000) for name, place in zip("abc", (far, near, near), strict=True)], travel
    )
    assert [(slot.day, slot.after) for slot in find_slots(table, Job(*near, 600), [3_000], 0)] == [(1, 0)]
    only = np.array([True, False, True])
    assert [slot.day for slot in find_slots(table, Job(*near, 600), [3_000], 0, is_asked=only)] == [2]


BAD = (  # what is wrong, and the error that names it
    (lambda: CrewDays([CrewDay("c", (0, 0), (0, 0), 5, 4)], GreatCircleTravel()), InvalidColumnError, r"stops\[0\]"),
    (
        lambda: CrewDays([CrewDay("c", (0, 0), (0, 0), 0, 9, (Stop("a", None, -1, 0, 0),))], GreatCircleTravel()),
        InvalidColumnError,
        "at least 0 s",
    ),
    (
        lambda: CrewDays([CrewDay("c", (0, 0), (1, 0), 0, 60)], GreatCircleTravel()),
        UnkeptDayError,
        r"day\[0\] of crew 'c' cannot be kept: 'end' would start \d+ s late",
    ),
    (lambda: find_slots(_empty(), Job(0, 0, 1), [5, 4], 0), InvalidQueryError, "ascending"),
    (lambda: find_slots(_empty(), Job(0, 0, 1), [5], -1), InvalidQueryError, "width_s"),
    (lambda: find_slots(_empty(), Job(0, 0, -1), [5], 1), InvalidQueryError, "duration_s"),
    (lambda: find_slots(_empty(), Job(0, 0, 1), [5], 1, is_asked=np.ones(1, bool)), InvalidQueryError, "is_asked"),
    (lambda: CrewDays([_twice()], GreatCircleTravel()), InvalidColumnError, r"stops\[0\]"),
    (
        lambda: CrewDays([CrewDay("c", (0, 0), (0, 0), 0, 9)], TableTravel(((float("nan"),),))),
        InvalidQueryError,
        "travel",
    ),
    (lambda: GreatCircleTravel(detour_factor=0.9), InvalidQueryError, "detour_factor"),
    (lambda: GreatCircleTravel(speed_kmh=float("nan")), InvalidQueryError, "speed_kmh"),
)


@pytest.mark.parametrize(("wrong", "error", "told"), BAD)
def test_bad_input__is_named(wrong, error: type[Exception], told: str) -> None:
    with pytest.raises(error, match=told):
        wrong()


def test_nothing__is_found_where_there_is_no_crew_or_no_window() -> None:
    assert find_slots(_empty(), Job(0, 0, 1), [5], 1) == []
    day = CrewDay("c", (0.0, 0.0), (0.0, 0.0), 0, 60)
    assert find_slots(CrewDays([day], GreatCircleTravel()), Job(0, 0, 1), [], 1) == []


def test_slot__is_a_plain_tuple() -> None:
    assert Slot(0, 1, 2, 3, 4, 5).detour_s == 5


def test_great_circle__counts_the_detour_and_rounds_up() -> None:
    travel = GreatCircleTravel(detour_factor=2.0, speed_kmh=60.0)
    places = np.array([[0.0, 0.0], [0.0, 1.0]])
    minutes = travel.minutes_many(places, places, None)
    assert minutes[0, 1] == pytest.approx(2 * 111.319, rel=1e-4)
    assert travel_seconds(travel, places, places, None).tolist() == [[0, 13359], [13359, 0]]
    assert travel.told == "great circle x 2 at 60 km/h"


def _empty() -> CrewDays:
    return CrewDays([], GreatCircleTravel())


def _twice() -> CrewDay:
    stop = Stop("twice", None, 0, 0, 9)
    return CrewDay("c", (0, 0), (0, 0), 0, 9, (stop, stop))

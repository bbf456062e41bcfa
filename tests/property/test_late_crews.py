"""Days that begin later because their crews are not back: those alone that do, and what is booked in them can be kept."""

from __future__ import annotations

import itertools

import numpy as np

from engine.crew_days import CrewDay, CrewDays, Place, Stop
from engine.replanning import however_late
from engine.slots import Job, check_slots, find_slots, witness
from engine.travel import GreatCircleTravel
from service.bookings.days import behind, engagements_in
from service.bookings.late_crews import days_now, late_days
from tests.scale import scaled

N_ROSTERS = scaled(300)
N_CREWS, N_JOBS, HOUR_S = 40, 6, 3600
SHIFTS_H = ((0, 4), (5, 10), (10, 14))
TRAVEL = GreatCircleTravel()


def _place(rng: np.random.Generator) -> Place:
    lat, lng = rng.uniform((31.0, 121.0), (31.2, 121.2))
    return float(lat), float(lng)


def _day(rng: np.random.Generator, crew_id: str, hours: tuple[int, int]) -> CrewDay:
    """Return a shift with a few stops, whether they can be kept or not."""
    starts_s, ends_s = (hour * HOUR_S for hour in hours)
    stops = []
    for number, at_s in enumerate(sorted(rng.integers(starts_s, ends_s - 1800, rng.integers(0, 4)).tolist())):
        kind = rng.choice(["vis_", "vis_", "busy ", "busy ", "break "])
        width_s = 0 if kind == "busy " else int(rng.choice([0, 3600, 7200]))
        is_placed = kind == "vis_" or (kind == "busy " and rng.random() < 0.7)
        place = _place(rng) if is_placed else None
        stops.append(Stop(f"{kind}{number}", place, int(rng.integers(1, 5)) * 600, at_s, at_s + width_s))
    home = _place(rng)
    return CrewDay(crew_id, home, home, starts_s, ends_s, tuple(stops))


def _days(rng: np.random.Generator, crew_id: str) -> list[CrewDay]:
    """Return the shifts of a crew, all kept: each lasts longer than its hours where it must, and the next one waits."""
    found: list[CrewDay] = []
    for hours in SHIFTS_H:
        day = behind(_day(rng, crew_id, hours), found)
        found.append(however_late(CrewDays([], TRAVEL), day, engagements=engagements_in(day)))
    return found


def test_late_days__are_those_alone_that_begin_later_and_what_is_booked_in_them_can_be_kept() -> None:
    rng = np.random.default_rng(14)
    n_late = n_booked = 0
    for _ in range(N_ROSTERS):
        crews = [_days(rng, f"c{crew}") for crew in range(N_CREWS)]
        table = CrewDays([day for days in crews for day in days], TRAVEL)
        now_s = int(rng.integers(0, 14 * HOUR_S))
        expected = [day for days in crews for day in days_now(table, days, now_s)]
        late = late_days(table, now_s)
        assert [late.get(number, day) for number, day in enumerate(table.days)] == expected
        n_late += len(late)
        now = table.copy()
        for number, day in late.items():
            assert [stop.stop_id for stop in day.stops] == [stop.stop_id for stop in table.days[number].stops]
            assert table.days[number].starts_s < day.starts_s
            now.replace(number, day)
        jobs = [Job(*_place(rng), 600) for _ in range(N_JOBS)]
        for number, job, width_s in itertools.product(late, jobs, (0, 1800)):
            is_asked = np.arange(len(table.days)) == number
            slots = find_slots(now, job, range(0, 14 * HOUR_S, 600), width_s, is_asked=is_asked, not_before_s=now_s)
            assert None not in check_slots(table, job, slots, not_before_s=now_s)
            assert all(slot.ends_s >= late[slot.day].starts_s for slot in slots)
            for slot in slots[:20]:
                table.alone(witness(table, job, slot, "vis_new"))
            n_booked += len(slots)
    assert min(n_late, n_booked) > N_ROSTERS

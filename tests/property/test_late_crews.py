"""Days that begin later because their crews are not back: those alone that do, and what is booked in them can be kept."""

from __future__ import annotations

import numpy as np

from engine.crew_days import CrewDay, CrewDays, Place, Stop
from engine.replanning import however_late
from engine.slots import Job, check_slots, find_slots
from engine.travel import GreatCircleTravel
from service.bookings.days import behind, engagements_in
from service.bookings.late_crews import days_now, late_days
from tests.scale import scaled

N_ROSTERS = scaled(60)
N_CREWS, HOUR_S = 40, 3600
SHIFTS_H = ((0, 4), (5, 10), (10, 14))
TRAVEL = GreatCircleTravel()


def _place(rng: np.random.Generator) -> Place:
    lat, lng = rng.uniform((31.0, 121.0), (31.2, 121.2))
    return float(lat), float(lng)


def _day(rng: np.random.Generator, crew_id: str, hours: tuple[int, int]) -> CrewDay:
    """Return a shift with a few stops, whether they can be kept or not."""
    starts_s, ends_s = (hour * HOUR_S for hour in hours)
    stops = []
    for number, at_s in enumerate(sorted(rng.integers(starts_s, ends_s - 1800, rng.integers(0, 3)).tolist())):
        kind = rng.choice(["vis_", "vis_", "vis_", "busy ", "break "])
        width_s = 0 if kind == "busy " else int(rng.choice([0, 3600, 7200]))
        place = None if kind == "break " else _place(rng)
        stops.append(Stop(f"{kind}{number}", place, int(rng.integers(1, 5)) * 900, at_s, at_s + width_s))
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
        is_late = np.isin(np.arange(len(table.days)), list(late))
        job = Job(*_place(rng), 600)
        slots = find_slots(now, job, range(0, 14 * HOUR_S, 300), 0, is_asked=is_late, not_before_s=now_s)
        assert None not in check_slots(table, job, slots, not_before_s=now_s)
        assert all(slot.starts_s >= late[slot.day].starts_s for slot in slots)
        n_booked += len(slots)
    assert min(n_late, n_booked) > N_ROSTERS

"""Days of thirty crews: visits are booked, cancelled, run over, crews fall ill; whoever was promised a window gets it or is told."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

from engine.crew_days import CrewDay, CrewDays, Place, Stop
from engine.errors import UnkeptDayError
from engine.replanning import kept_part, replan
from engine.slots import Job, find_slots, witness
from engine.travel import GreatCircleTravel
from tests.crew_walk import late_stops
from tests.scale import scaled

N_DAYS = scaled(200)
N_CREWS, N_ASKED = 30, 120
HOUR_S = 3600
END_S = 10 * HOUR_S
TRAVEL = GreatCircleTravel()


@dataclass
class City:
    """Thirty crews on one day, and what was promised."""

    rng: np.random.Generator
    table: CrewDays
    promised: dict[str, tuple[int, int]] = field(default_factory=dict)
    told: set[str] = field(default_factory=set)

    def ask(self, name: str) -> None:
        """Ask for slots, and book one that is chosen by chance."""
        job = Job(*place(self.rng), int(self.rng.integers(2, 7)) * 1200)
        slots = find_slots(self.table, job, range(0, END_S, 1800), 3600)
        if slots:
            slot = slots[self.rng.integers(len(slots))]
            self.table.replace(slot.day, witness(self.table, job, slot, name))
            self.promised[name] = (slot.starts_s, slot.ends_s)

    def cancel(self, name: str) -> None:
        """Take a visit out of its day."""
        for number, day in enumerate(self.table.days):
            if any(stop.stop_id == name for stop in day.stops):
                self.table.replace(number, day.without_stop(name))
        del self.promised[name]

    def fall_ill(self, number: int) -> None:
        """Let others make the visits of a crew."""
        day = self.table.days[number]
        asked = np.arange(N_CREWS) != number
        self._replan({number: day._replace(stops=())}, list(day.stops), asked)

    def run_over(self, number: int) -> None:
        """Let a visit take an hour and a half longer, and others make what its crew cannot any more."""
        day = self.table.days[number]
        visits = [stop for stop in day.stops if stop.place is not None]
        if not visits:
            return
        slow = visits[self.rng.integers(len(visits))]
        begun = [stop.stop_id for stop in day.stops[: day.stops.index(slow) + 1]]
        stops = tuple(stop._replace(duration_s=stop.duration_s + 5400) if stop is slow else stop for stop in day.stops)
        kept, late = kept_part(self.table, day._replace(stops=stops), begun)
        self._replan({number: kept}, late, np.arange(N_CREWS) != number)

    def _replan(self, changed: dict[int, CrewDay], loose: list[Stop], asked: np.ndarray) -> None:
        before = list(self.table.days)
        found = replan(self.table, changed, loose, is_asked=lambda _stop, _days: asked)
        assert self.table.days == before
        for number, day in found.days.items():
            self.table.replace(number, day)
        self.told |= {stop.stop_id for stop in found.unkept}

    def check(self) -> None:
        """See that each promise is kept in its window or was told to be broken, and that nobody is late."""
        planned = {stop.stop_id: stop for day in self.table.days for stop in day.stops if stop.place is not None}
        assert set(planned) == set(self.promised) - self.told
        for name, stop in planned.items():
            assert (stop.earliest_s, stop.latest_s) == self.promised[name]
        assert [late for day in self.table.days for late in late_stops(day, TRAVEL)] == []


def place(rng: np.random.Generator) -> Place:
    lat, lng = rng.uniform(-0.06, 0.06, 2)
    return (31.2 + float(lat), 121.4 + float(lng))


def city(rng: np.random.Generator) -> City:
    lunch = Stop("lunch", None, 1800, 4 * HOUR_S, 5 * HOUR_S)
    homes = [place(rng) for _ in range(N_CREWS)]
    return City(
        rng, CrewDays([CrewDay(f"c{n}", home, home, 0, END_S, (lunch,)) for n, home in enumerate(homes)], TRAVEL)
    )


def test_windows__are_all_kept_when_nobody_is_late_or_it_is_told() -> None:
    rng = np.random.default_rng(11)
    n_promised = n_told = n_moved = 0
    for _ in range(N_DAYS):
        one = city(rng)
        for number in range(N_ASKED):
            one.ask(f"v{number}")
        for name in rng.choice(sorted(one.promised), 10, replace=False):
            one.cancel(str(name))
        one.check()
        ill = int(rng.integers(N_CREWS))
        before = len(one.table.days[ill].stops)
        one.fall_ill(ill)
        one.check()
        n_moved += before - 1 - len(one.told)
        for number in rng.choice(N_CREWS, 3, replace=False):
            one.run_over(int(number))
        for number in range(N_ASKED, N_ASKED + 10):
            one.ask(f"v{number}")
        n_promised, n_told = n_promised + len(one.promised), n_told + len(one.told)
        one.check()
    assert n_promised > 60 * N_DAYS
    assert n_moved > N_DAYS > 0
    assert 0 < n_told < 0.05 * n_promised


def test_check__sees_a_visit_that_is_late_or_lost() -> None:
    one = city(np.random.default_rng(12))
    for number in range(60):
        one.ask(f"v{number}")
    one.check()
    busy = max(range(N_CREWS), key=lambda number: len(one.table.days[number].stops))
    day = one.table.days[busy]
    slow = next(stop for stop in day.stops if stop.place is not None)
    stops = tuple(stop._replace(duration_s=END_S) if stop is slow else stop for stop in day.stops)
    assert late_stops(day._replace(stops=stops), TRAVEL) != []
    with pytest.raises(UnkeptDayError):
        one.table.replace(busy, day._replace(stops=stops))
    one.table.replace(busy, day.without_stop(slow.stop_id))
    with pytest.raises(AssertionError):
        one.check()

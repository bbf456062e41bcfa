"""
Start windows for a visit among the days of many crews, and whether they can still be kept.

Each question looks at every gap of every day; the days are full of visits, each promised for a window of two hours. What
is found is checked against a plain loop that goes through every day anew. The limits are those that were asked for.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.frame import Exactness, Report, Row, say
from engine import warm_up
from engine.crew_days import CrewDay, CrewDays, Place, Stop
from engine.slots import Job, Slot, check_slots, find_slots
from engine.travel import GreatCircleTravel
from tests.crew_walk import late_stops, way_s

__all__ = ["PACKAGES", "add_options", "run"]

PACKAGES = ("numpy", "numba")
DAY_S, SHIFT_S, STEP_S, WIDTH_S = 86_400, 12 * 3600, 1800, 3600
JOB_S, LUNCH_S = 1200, 1800
N_WITNESSES, LIMIT_MS = 1_000, 20.0
TRAVEL = GreatCircleTravel()


class Asked(NamedTuple):
    """A question: the job, and when windows begin."""

    job: Job
    windows_s: NDArray[np.int64]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare what can be scaled."""
    parser.add_argument("--days", type=int, default=7, help="of each crew (default: %(default)s)")
    parser.add_argument("--crews", type=int, default=200, help="how many (default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=20, help="of each day (default: %(default)s)")
    parser.add_argument("--asks", type=int, default=200, help="timed questions (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of crews and questions (default: %(default)s)")


def run(options: argparse.Namespace) -> Report:
    """Check a sample against the plain loop, then time questions and witnesses."""
    warm_up()
    rng = np.random.default_rng(options.seed)
    say(f"slots: {options.days} days of {options.crews} crews with {options.jobs} jobs each")
    days = [busy_day(rng, day, options.jobs) for day in range(options.days) for _ in range(options.crews)]
    table = CrewDays(days, TRAVEL)
    asked = [ask(rng, options.days) for _ in range(options.asks)]
    report = Report("slots", _check(days, asked[:5]))
    say(f"  exact: {report.exact.checked} windows checked, {report.exact.wrong} wrong")
    found = [find_slots(table, *one, WIDTH_S) for one in asked]
    n_slots = sum(map(len, found)) / len(found)
    spent_ms = [_spent_ms(partial(find_slots, table, *one, WIDTH_S)) for one in asked]
    case = f"{options.days} days of {options.crews} crews with {options.jobs} jobs ({n_slots:.0f} windows can be kept)"
    for name, at in (("median", 50), ("p99", 99)):
        spent = float(np.percentile(spent_ms, at))
        reach = 1.0 if name == "median" else None
        report.rows.append(Row.of_costs(f"{name}, {case}", "limit", "as asked", "ms", spent, LIMIT_MS, reach=reach))
    report.rows.append(_witnesses(table, asked, found))
    return report


def busy_day(rng: np.random.Generator, day: int, n_jobs: int) -> CrewDay:
    """Return a day whose visits follow one another, each planned in the middle of its window, with a rest at noon."""
    home = here = _place(rng, (31.2, 121.4), 0.1)
    now, stops = day * DAY_S, []
    for number in range(n_jobs):
        there = _place(rng, here, 0.01)
        now += way_s(TRAVEL, here, there) + int(rng.integers(0, 2 * SHIFT_S // n_jobs - 2 * JOB_S + 1)) // 2
        stops.append(Stop(f"visit {number}", there, JOB_S, now - WIDTH_S, now + WIDTH_S))
        now, here = now + JOB_S, there
    noon = day * DAY_S + SHIFT_S // 2
    stops.insert(n_jobs // 2, Stop("rest", None, LUNCH_S, noon - 2 * WIDTH_S, noon + 2 * WIDTH_S))
    return CrewDay("crew", home, home, day * DAY_S, now + 3 * 3600, tuple(stops))


def ask(rng: np.random.Generator, n_days: int) -> Asked:
    """Return a question for every half hour of some days."""
    windows_s = np.concatenate([np.arange(0, SHIFT_S, STEP_S) + day * DAY_S for day in range(n_days)])
    return Asked(Job(*_place(rng, (31.2, 121.4), 0.1), 1800), windows_s)


def brute_cost(day: CrewDay, job: Job, start_s: int) -> int | None:
    """Return the least seconds of way that a job in one window adds to a day, None if it fits nowhere."""
    place = (job.lat, job.lng)
    stop = Stop("job", place, job.duration_s, int(start_s), int(start_s) + WIDTH_S)
    costs = []
    for after in range(len(day.stops) + 1):
        if not late_stops(day.with_stop(stop, after), TRAVEL):
            before = [day.start, *(one.place for one in day.stops[:after] if one.place is not None)][-1]
            behind = [*(one.place for one in day.stops[after:] if one.place is not None), day.end][0]
            costs.append(way_s(TRAVEL, before, place) + way_s(TRAVEL, place, behind) - way_s(TRAVEL, before, behind))
    return min(costs, default=None)


def _check(days: list[CrewDay], asked: list[Asked]) -> Exactness:
    """Compare what is found on some days with the plain loop: which windows, and at what cost."""
    checked = wrong = 0
    for number, one in enumerate(asked):
        day = days[number * len(days) // len(asked)]
        windows = one.windows_s[np.abs(one.windows_s - day.starts_s) < DAY_S]
        found = {
            slot.starts_s: slot.detour_s for slot in find_slots(CrewDays([day], TRAVEL), one.job, windows, WIDTH_S)
        }
        for start in windows.tolist():
            checked, wrong = checked + 1, wrong + (found.get(start) != brute_cost(day, one.job, start))
    return Exactness(checked, wrong)


def _witnesses(table: CrewDays, asked: list[Asked], found: list[list[Slot]]) -> Row:
    """Time the check of so many slots of one question."""
    slots = (found[0] * (N_WITNESSES // max(1, len(found[0])) + 1))[:N_WITNESSES]
    if check_slots(table, asked[0].job, slots) != [slot.planned_s for slot in slots]:
        message = "a slot that was just found cannot be kept"
        raise AssertionError(message)
    spent = float(np.median([_spent_ms(partial(check_slots, table, asked[0].job, slots)) for _ in range(50)]))
    return Row.of_costs(
        f"{len(slots):,} witnesses checked, median", "limit", "as asked", "ms", spent, LIMIT_MS, reach=1.0
    )


def _spent_ms(call: Callable[[], object]) -> float:
    begun = time.perf_counter()
    call()
    return 1e3 * (time.perf_counter() - begun)


def _place(rng: np.random.Generator, around: Place, wide: float) -> Place:
    lat, lng = rng.uniform(-wide, wide, 2)
    return (around[0] + float(lat), around[1] + float(lng))

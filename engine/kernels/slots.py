"""Start windows that a crew can keep: a job is inserted into the sequence of its day, travel before and after included."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.kernels.days import NEVER_S, DayArrays, break_after, break_before
from geo.jit import kernel

__all__ = ["check_insertions", "find_windows", "write_starts"]


@kernel
def _start(now: int, left: int, undriven: int, earliest: int, latest: int, not_before: int, is_set_out: bool) -> int:
    """
    Return when a stop with a place starts at the earliest, given when the crew has time for what is left of the way to it.

    What has not begun does not before an instant, and where nobody has set out to it either the crew has all that is
    ``undriven`` by then before it still: as far as its window goes, since nobody says by how much it is late. What has begun
    starts at one instant alone.
    """
    by_then = not_before if is_set_out else max(now, not_before) + undriven
    return max(now + left, earliest, min(by_then, latest))


# Axes: D days, M nodes, w windows.
@kernel
def find_windows(
    days: DayArrays,
    is_asked: NDArray[np.bool_],
    to_job: NDArray[np.int64],
    from_job: NDArray[np.int64],
    duration: int,
    not_before: int,
    starts: NDArray[np.int64],
    width: int,
    out: NDArray[np.int64],
) -> None:
    """
    Write for each window the insertion that costs the least: of a job that starts within it.

    Parameters
    ----------
    days
        Days that can be kept, bounded by `bound_days`.
    is_asked
        Shape (D,), whose crews can do the job.
    to_job, from_job
        Shape (D, M), seconds from each placed node to the job and back, `NEVER_S` where there is no way.
    duration
        Seconds that the job takes.
    not_before
        Seconds since 1970: no crew sets out before, to the job or to a stop that it has not set out to, and no stop with a
        place has begun by then that could begin later. A break is taken when it was planned: whether it is over nobody says.
    starts, width
        Shape (w,), ascending, seconds since 1970, and how long each window is; its last instant is in it.
    out
        Shape (w, 4): seconds of way that come on top, the day, the node after which it is done, when it starts; the
        first of these `NEVER_S` where no crew can come. Of equal ones the first day and node count.

    Notes
    -----
    O(nodes + windows met), no allocation. Brute-force twin: `brute_windows`.
    Where stops come late because of ``not_before`` alone, a job is inserted behind them, and never makes them later.
    """
    out[:, 0] = NEVER_S
    for d in range(days.n_nodes.shape[0]):
        if not is_asked[d]:
            continue
        before, at, least = 0, days.first[d, 0], _last_set_out(days, d)
        is_under_way = not_before > at
        while before < days.n_nodes[d] - 1:
            behind = before + 1
            while not days.placed[d, behind]:
                behind += 1
            if to_job[d, before] < NEVER_S and from_job[d, behind] < NEVER_S and days.way[d, before] < NEVER_S:
                for after in range(max(before, least), behind):
                    _insert(
                        days, d, at, before, after, behind, to_job, from_job, duration, not_before, starts, width, out
                    )
            at = _start_of_next(days, d, at, before, behind, not_before) if is_under_way else days.first[d, behind]
            before = behind


@kernel
def _last_set_out(days: DayArrays, d: int) -> int:
    """Return the last node before which nothing is inserted, 0 where there is none."""
    found = 0
    for k in range(days.n_nodes[d]):
        found = k if days.is_set_out[d, k] else found
    return found


@kernel
def _start_of_next(days: DayArrays, d: int, at: int, before: int, behind: int, not_before: int) -> int:
    """Return when a placed node starts at the earliest, given when the one before it does."""
    now, left = at + days.duration[d, before], days.way[d, before]
    undriven = left
    for k in range(before + 1, behind):
        _at, undriven = break_after(now, undriven, days.earliest[d, k], not_before)
        now, left = break_after(now, left, days.earliest[d, k], now)
        now += days.duration[d, k]
    earliest, latest = days.earliest[d, behind], days.latest[d, behind]
    return _start(now, left, undriven, earliest, latest, not_before, days.is_set_out[d, behind])


# Axes: n of the D days, M nodes.
@kernel
def write_starts(days: DayArrays, numbers: NDArray[np.int64], not_before: int, out: NDArray[np.int64]) -> None:
    """
    Write when each placed node of some days starts by what `find_windows` says of ``not_before``, to ``out``, shape (n, M).

    The last one, where a day ends, as early as it can behind the stops.
    """
    for i in range(numbers.shape[0]):
        d = numbers[i]
        before, end = 0, days.n_nodes[d] - 1
        out[i, 0] = days.first[d, 0]
        while before < end:
            behind = before + 1
            while not days.placed[d, behind]:
                behind += 1
            out[i, behind] = _start_of_next(days, d, out[i, before], before, behind, not_before if behind < end else 0)
            before = behind


@kernel
def _insert(
    days: DayArrays,
    d: int,
    at: int,
    before: int,
    after: int,
    behind: int,
    to_job: NDArray[np.int64],
    from_job: NDArray[np.int64],
    duration: int,
    not_before: int,
    starts: NDArray[np.int64],
    width: int,
    out: NDArray[np.int64],
) -> None:
    """
    Insert a job behind node ``after``, between two placed nodes, the first of which starts then, where all is kept.

    The breaks between them are kept in any case: they never wait for a way, it waits for them.
    """
    now, left = at + days.duration[d, before], to_job[d, before]
    for k in range(before + 1, after + 1):
        now, left = break_after(now, left, days.earliest[d, k], not_before)
        now += days.duration[d, k]
    least = max(now, not_before) + left
    now, left = days.last[d, behind], from_job[d, behind]
    for k in range(behind - 1, after, -1):
        now, left = break_before(now, left, days.latest[d, k] + days.duration[d, k])
        now -= days.duration[d, k]
    most = now - left - duration
    if least > most:
        return
    cost = to_job[d, before] + from_job[d, behind] - days.way[d, before]
    i = np.searchsorted(starts, least - width)
    while i < starts.shape[0] and starts[i] <= most:
        if cost < out[i, 0]:
            out[i, 0], out[i, 1], out[i, 2], out[i, 3] = cost, d, after, max(least, starts[i])
        i += 1


# Axes: D days, M nodes, w insertions.
@kernel
def check_insertions(
    days: DayArrays,
    to_job: NDArray[np.int64],
    from_job: NDArray[np.int64],
    duration: int,
    not_before: int,
    insertions: NDArray[np.int64],
    out: NDArray[np.int64],
) -> None:
    """
    Write when a job would start if it were inserted, every stop of its day gone through anew.

    Parameters
    ----------
    days
        As described there; what `bound_days` found is not believed.
    to_job, from_job, duration, not_before
        As of `find_windows`.
    insertions
        Shape (w, 4): the day, the node after which it is done, between which instants it starts, inclusive.
    out
        Shape (w,), -1 where it, or a stop behind it, would be late, or its crew has set out to that; what comes late
        before it does so without it, too.

    Notes
    -----
    O(w nodes), no allocation. Checked by `kept_day` of the tests.
    """
    for i in range(insertions.shape[0]):
        d, after = insertions[i, 0], insertions[i, 1]
        out[i] = -1
        planned = -1
        if after < _last_set_out(days, d):
            continue
        now, left, undriven = int(days.earliest[d, 0]), 0, 0
        behind = 0
        for k in range(days.n_nodes[d]):
            if days.placed[d, k]:
                earliest, latest, is_set_out = days.earliest[d, k], days.latest[d, k], days.is_set_out[d, k]
                start = _start(now, left, undriven, earliest, latest, not_before if k > 0 else 0, is_set_out)
                behind = k + 1
                while behind < days.n_nodes[d] and not days.placed[d, behind]:
                    behind += 1
                left = to_job[d, k] if k <= after < behind else days.way[d, k]
                undriven = left
            else:
                _at, undriven = break_after(now, undriven, days.earliest[d, k], not_before)
                start, left = break_after(now, left, days.earliest[d, k], not_before if k <= after < behind else now)
            if start > days.latest[d, k] and k > after:
                planned = -1
                break
            now = start + days.duration[d, k]
            if k == after:
                planned = max(max(now, not_before) + left, insertions[i, 2])
                now, left = planned + duration, from_job[d, behind]
                undriven = left
                if planned > insertions[i, 3]:
                    planned = -1
                    break
        out[i] = planned

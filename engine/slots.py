"""Start windows of a visit that some crew can truly keep, each with the day that shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from engine.crew_days import CrewDay, CrewDays, Stop
from engine.errors import InvalidQueryError
from engine.kernels import slots as kernels
from engine.kernels.days import NEVER_S

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["Job", "Slot", "check_slots", "find_slots", "witness"]


class Job(NamedTuple):
    """What is to be done: where, in lat and lng, WGS 84, and for how many seconds."""

    lat: float
    lng: float
    duration_s: int


class Slot(NamedTuple):
    """
    A start window that can be kept.

    Attributes
    ----------
    starts_s, ends_s
        Between which instants the visit starts, inclusive, in seconds since 1970.
    day
        The number of the crew's day among those asked.
    after
        Behind how many of its stops.
    planned_s
        When it would start.
    detour_s
        How many seconds of way come on top.
    """

    starts_s: int
    ends_s: int
    day: int
    after: int
    planned_s: int
    detour_s: int


def find_slots(
    days: CrewDays,
    job: Job,
    windows_s: Sequence[int] | NDArray[np.int64],
    width_s: int,
    *,
    is_asked: NDArray[np.bool_] | None = None,
    not_before_s: int = 0,
) -> list[Slot]:
    """
    Return the windows in which a visit can be begun, all that is planned kept, each with the insertion that costs least.

    Parameters
    ----------
    days
        Of the crews.
    job
        What is to be done.
    windows_s
        When windows begin, ascending, in seconds since 1970.
    width_s
        How long each is.
    is_asked
        One bool for each day: whether its crew can do the job, and may be given one more; None for all.
    not_before_s
        When it is, in seconds since 1970: nobody sets out to it before.

    Returns
    -------
    list of Slot
        In the order of the windows; those that nobody can keep are left out.

    Raises
    ------
    InvalidQueryError
        For windows out of order, a negative width or duration, as many bools as there are not days.
    """
    starts = np.ascontiguousarray(windows_s, np.int64)
    if (np.diff(starts) < 0).any():
        raise InvalidQueryError("windows_s", "must be ascending", value=None)
    for name, value in (("width_s", width_s), ("duration_s", job.duration_s)):
        if not 0 <= value < NEVER_S:
            raise InvalidQueryError(name, f"must be at least 0, got {value!r}", value=value)
    asked = np.ones(len(days.days), np.bool_) if is_asked is None else np.ascontiguousarray(is_asked, np.bool_)
    if asked.shape != (len(days.days),):
        raise InvalidQueryError("is_asked", f"must have {len(days.days)} elements, got {asked.shape}", value=None)
    out = np.empty((starts.size, 4), np.int64)
    to_job, from_job = days.ways_s((job.lat, job.lng), asked)
    kernels.find_windows(days.arrays, asked, to_job, from_job, job.duration_s, not_before_s, starts, width_s, out)
    found = np.flatnonzero(out[:, 0] < NEVER_S)
    return [
        Slot(start, start + width_s, day, after, planned, detour)
        for start, (detour, day, after, planned) in zip(starts[found].tolist(), out[found].tolist(), strict=True)
    ]


def check_slots(days: CrewDays, job: Job, slots: Sequence[Slot], *, not_before_s: int = 0) -> list[int | None]:
    """
    Return when each slot's visit would start on the days as they are now; None where it cannot be kept any more.

    Every stop of a slot's day is gone through anew: that takes time linear in them.

    Parameters
    ----------
    days
        Of the crews, others perhaps than those in which the slots were found.
    job
        What is to be done.
    slots
        As `find_slots` returns them.
    not_before_s
        As of `find_slots`.
    """
    nodes = days.arrays.n_nodes
    known = [slot.day < len(days.days) and slot.after < nodes[slot.day] - 1 for slot in slots]
    asked = [
        (slot.day, slot.after, slot.starts_s, slot.ends_s)
        for slot, is_known in zip(slots, known, strict=True)
        if is_known
    ]
    out = np.empty(len(asked), np.int64)
    to_job, from_job = days.ways_s((job.lat, job.lng))
    insertions = np.array(asked, np.int64).reshape(-1, 4)
    kernels.check_insertions(days.arrays, to_job, from_job, job.duration_s, not_before_s, insertions, out)
    found = iter(out.tolist())
    starts = (next(found) if is_known else -1 for is_known in known)
    return [None if start < 0 else start for start in starts]


def witness(days: CrewDays, job: Job, slot: Slot, stop_id: str) -> CrewDay:
    """Return the day that shows that a slot can be kept: with the visit in it, promised for the slot's window."""
    stop = Stop(stop_id, (job.lat, job.lng), job.duration_s, slot.starts_s, slot.ends_s)
    return days.days[slot.day].with_stop(stop, slot.after)

"""Promised visits that their crew cannot make are given to others, each in the window that was promised."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from engine.errors import UnkeptDayError
from engine.slots import Job, find_slots, witness

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from numpy.typing import NDArray

    from engine.crew_days import CrewDay, CrewDays, Stop

__all__ = ["Replan", "however_late", "kept_part", "replan", "starts_however_late_s"]

_LATEST_S = 366 * 86_400
"""Whoever is later than that never comes: there is no way."""


class Replan(NamedTuple):
    """
    What becomes of visits that need another crew.

    Attributes
    ----------
    days
        The days that change, by their numbers.
    moved
        The number of the day to which each visit goes, by the stop's name.
    unkept
        Visits that nobody can make in their windows, those first that begin first: whoever waits for one is told.
    """

    days: dict[int, CrewDay]
    moved: dict[str, int]
    unkept: list[Stop]


def kept_part(
    table: CrewDays,
    day: CrewDay,
    fixed: Collection[str] = (),
    *,
    engagements: Collection[str] = (),
    goes_anyway: bool = False,
) -> tuple[CrewDay, list[Stop]]:
    """
    Return what a crew can still keep of its day, and the visits that another one has to make.

    Of the visits before what is late, and of that itself, the last one is given away without which the day is less late;
    where there is none, as where a visit that is begun lasts too long, what is late comes late: a break, the way home.

    Parameters
    ----------
    table
        Any days: how long ways take is asked of it.
    day
        With what is known by now: a visit that ran over takes longer.
    fixed
        Names of stops that are not given away: what is begun or done, and private engagements.
    engagements
        Names of those that end when they end, however late they begin; nobody goes to one that would be over by then.
    goes_anyway
        Whether the crew goes there all the same: what can be kept behind it then can be kept where it is in time, too.

    Raises
    ------
    UnkeptDayError
        If there is no way from one stop to the next.
    """
    late: list[Stop] = []
    while True:
        try:
            table.alone(day)
        except UnkeptDayError as error:
            ours = (
                stop for stop in day.stops[: error.node][::-1] if stop.place is not None and stop.stop_id not in fixed
            )
            helpful = next((stop for stop in ours if _helps(table, day, stop, error)), None)
            if helpful is not None:
                late.append(helpful)
                day = day.without_stop(helpful.stop_id)
            elif error.late_s >= _LATEST_S:
                raise
            else:
                day = _later(day, error.node, error.late_s, engagements, goes_anyway=goes_anyway)
        else:
            return day, late


def _helps(table: CrewDays, day: CrewDay, stop: Stop, error: UnkeptDayError) -> bool:
    """Tell whether a day that cannot be kept is late further behind, or less, without a stop."""
    without = day.without_stop(stop.stop_id)
    try:
        table.alone(without)
    except UnkeptDayError as other:
        was_before = stop in day.stops[: other.node]  # each node behind it has another number then
        node = other.node + was_before
        return (node, -other.late_s) > (error.node, -error.late_s)
    return True


def however_late(
    table: CrewDays, day: CrewDay, *, engagements: Collection[str] = (), goes_anyway: bool = False
) -> CrewDay:
    """Return a day of which all is kept, however late; arguments and errors as of `kept_part`."""
    fixed = [stop.stop_id for stop in day.stops]
    return kept_part(table, day, fixed, engagements=engagements, goes_anyway=goes_anyway)[0]


def starts_however_late_s(table: CrewDays, day: CrewDay, *, engagements: Collection[str] = ()) -> list[int]:
    """
    Return when each stop of a day starts, also where it is too late by that, in seconds since 1970.

    Arguments and errors as of `kept_part`.
    """
    return table.alone(however_late(table, day, engagements=engagements)).starts_s(0)


def _later(day: CrewDay, node: int, late_s: int, engagements: Collection[str], *, goes_anyway: bool) -> CrewDay:
    if node > len(day.stops):
        return day._replace(ends_s=day.ends_s + late_s)
    stop = day.stops[node - 1]
    later = stop._replace(latest_s=stop.latest_s + late_s)
    if stop.stop_id in engagements and stop.place is not None and late_s >= stop.duration_s and not goes_anyway:
        later = stop._replace(place=None)  # it would be over: nobody goes there any more
    elif stop.stop_id in engagements:
        later = later._replace(duration_s=max(0, stop.duration_s - late_s))
    return day._replace(stops=(*day.stops[: node - 1], later, *day.stops[node:]))


def replan(
    table: CrewDays,
    changed: dict[int, CrewDay],
    loose: Iterable[Stop],
    *,
    is_asked: Callable[[Stop, CrewDays], NDArray[np.bool_]] | None = None,
    not_before_s: int = 0,
) -> Replan:
    """
    Insert visits into other days than those that change, where they cost least, those first whose windows end first.

    Parameters
    ----------
    table
        The days as they are; it is left as it is.
    changed
        Days that become others, by their numbers.
    loose
        Visits that have no crew.
    is_asked
        Tells for a visit which days, as they have become by then, are of crews that can make it; None for all.
    not_before_s
        When it is, in seconds since 1970: nobody sets out before.

    Raises
    ------
    UnkeptDayError
        If a changed day cannot be kept.
    """
    now, days = table.copy(), dict(changed)
    for number, day in changed.items():
        now.replace(number, day)
    moved: dict[str, int] = {}
    unkept: list[Stop] = []
    for stop in sorted(loose, key=lambda stop: (stop.latest_s, stop.stop_id)):
        if stop.place is None:
            continue
        job = Job(*stop.place, stop.duration_s)
        asked = np.ones(len(now.days), np.bool_) if is_asked is None else is_asked(stop, now).copy()
        asked[list(changed)] = False
        width_s = stop.latest_s - stop.earliest_s
        slots = find_slots(now, job, [stop.earliest_s], width_s, is_asked=asked, not_before_s=not_before_s)
        if not slots:
            unkept.append(stop)
            continue
        (slot,) = slots
        day = witness(now, job, slot, stop.stop_id)
        now.replace(slot.day, day)
        days[slot.day] = day
        moved[stop.stop_id] = slot.day
    return Replan(days, moved, sorted(unkept, key=lambda stop: (stop.earliest_s, stop.stop_id)))

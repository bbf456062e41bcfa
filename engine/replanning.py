"""Promised visits that their crew cannot make are given to others, each in the window that was promised."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from engine.crew_days import CrewDays
from engine.errors import UnkeptDayError
from engine.slots import Job, find_slots, witness

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    import numpy as np
    from numpy.typing import NDArray

    from engine.crew_days import CrewDay, Stop
    from engine.travel import Travel

__all__ = ["Replan", "kept_part", "replan"]


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


def kept_part(day: CrewDay, travel: Travel, begun: Collection[str] = ()) -> tuple[CrewDay, list[Stop]]:
    """
    Return what a crew can still keep of its day, and the visits that another one has to make.

    A break that is late is taken late, and a crew that is late comes home late, where no visit can be given away.

    Parameters
    ----------
    day
        With what is known by now: a visit that ran over takes longer.
    travel
        How long ways take.
    begun
        Names of stops that are begun or done: they are not given away.
    """
    late: list[Stop] = []
    while True:
        try:
            CrewDays([day], travel)
        except UnkeptDayError as error:
            until = day.stops[: error.node]
            ours = [stop for stop in until if stop.place is not None and stop.stop_id not in begun]
            if ours:
                late.append(ours[-1])
                day = day.without_stop(ours[-1].stop_id)
            else:
                day = _later(day, error.node, error.late_s)
        else:
            return day, late


def _later(day: CrewDay, node: int, late_s: int) -> CrewDay:
    if node > len(day.stops):
        return day._replace(ends_s=day.ends_s + late_s)
    stop = day.stops[node - 1]
    later = stop._replace(latest_s=stop.latest_s + late_s)
    return day._replace(stops=(*day.stops[: node - 1], later, *day.stops[node:]))


def replan(
    table: CrewDays,
    changed: dict[int, CrewDay],
    loose: Iterable[Stop],
    *,
    is_asked: Callable[[Stop], NDArray[np.bool_]] | None = None,
) -> Replan:
    """
    Insert visits into other days, each where it costs least, those first whose windows end first.

    Parameters
    ----------
    table
        The days as they are; it is left as it is.
    changed
        Days that become others, by their numbers.
    loose
        Visits that have no crew.
    is_asked
        Tells for a visit which days are of crews that can make it; None for all.

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
        asked = None if is_asked is None else is_asked(stop)
        slots = find_slots(now, job, [stop.earliest_s], stop.latest_s - stop.earliest_s, is_asked=asked)
        if not slots:
            unkept.append(stop)
            continue
        (slot,) = slots
        day = witness(now, job, slot, stop.stop_id)
        now.replace(slot.day, day)
        days[slot.day] = day
        moved[stop.stop_id] = slot.day
    return Replan(days, moved, sorted(unkept, key=lambda stop: (stop.earliest_s, stop.stop_id)))

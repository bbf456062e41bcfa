"""The visits of a crew's shifts spread anew over those that follow from its hours and engagements now."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from engine.crew_days import CrewDay, CrewDays
from engine.replanning import however_late, kept_part, starts_however_late_s
from service.bookings.days import (
    BUSY,
    NOT_BACK,
    behind,
    day_of,
    drop_shift,
    engagements_in,
    is_visit,
    waiting,
    write_shift,
)
from service.bookings.rules import State
from service.bookings.store import change_shift_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from engine.crew_days import Stop
    from service.bookings.rosters import Rosters
    from service.store.connections import AnyRow, WriteConnection

__all__ = [
    "Home",
    "as_begun",
    "as_promised",
    "as_usual",
    "fixed_stops",
    "present",
    "promised",
    "spread",
    "ways",
    "write_anew",
]

_SECOND_US = 1_000_000
_LOOSE = {State.HELD, State.CONFIRMED, State.EN_ROUTE}


class Home(NamedTuple):
    """
    A shift of a crew as it is now, and the visits of its shifts before that go into it.

    Attributes
    ----------
    visits
        In no order.
    planned
        When each stop was planned, by its name.
    fixed
        The names of those that are not given away.
    """

    day: CrewDay
    visits: list[Stop]
    planned: dict[str, int]
    fixed: set[str]


def spread(
    table: CrewDays,
    old: CrewDay,
    bases: Sequence[CrewDay],
    booked: dict[str, AnyRow],
    homes: dict[int, Home],
    *,
    keeps_all: bool,
    stays: bool,
    now: CrewDay,
) -> list[Stop]:
    """
    Put the visits of a shift into the shifts that follow from its crew's hours now; return those for which there is none.

    What is begun or done stays in its shift, as that was where there is no other. Where all is kept nothing is given
    away; where it ``stays``, or the shift is still what follows, each visit stays in its shift, if there is that. When
    each is planned, and judged to be, is what the shift is like ``now``.
    """
    visits = [stop for stop in old.stops if is_visit(stop)]
    its = old._replace(stops=tuple(stop for stop in old.stops if not is_visit(stop) and stop.stop_id != NOT_BACK))
    same = next((day for day in bases if day.starts_s == old.starts_s), its if stays else None)
    stays = stays or (same is not None and _is_rebuilt(table, _as_then(same, old), old, visits, booked))
    fixed = {stop.stop_id for stop in visits} if keeps_all else fixed_stops(old, booked)
    if same is not None:
        homes.setdefault(old.starts_s, Home(same, [], {}, set()))
    loose: list[Stop] = []
    starts_s = starts_however_late_s(table, now, engagements=engagements_in(now))
    for stop, planned_s in zip(now.stops, starts_s, strict=True):
        if not is_visit(stop):
            if same is not None and stop in same.stops:  # it is taken when it was
                homes[old.starts_s].planned[stop.stop_id] = planned_s
            continue
        is_here = same is not None and (stays or not _is_loose(stop.stop_id, booked))
        base = same if is_here else _base_for(bases, stop, planned_s, has_begun=not _is_loose(stop.stop_id, booked))
        if base is None and stop.stop_id not in fixed:
            loose.append(stop)
            continue
        home = base or same or old._replace(stops=(), ends_s=old.starts_s)  # no shift by hours: no longer than it must
        there = homes.setdefault(home.starts_s, Home(home, [], {}, set()))
        there.visits.append(stop)
        there.planned[stop.stop_id] = planned_s
        there.fixed.update(fixed & {stop.stop_id})
    return loose


def _as_then(base: CrewDay, old: CrewDay) -> CrewDay:
    """Return a shift as it is by hours, with what kept its crew from it before."""
    back_s = max((stop.earliest_s + stop.duration_s for stop in old.stops if stop.stop_id == NOT_BACK), default=0)
    return waiting(base, back_s)


def _is_rebuilt(
    table: CrewDays, base: CrewDay, old: CrewDay, visits: Sequence[Stop], booked: dict[str, AnyRow]
) -> bool:
    """Tell whether a shift is what follows from its hours and engagements and these visits, and no later than it must be."""
    usual = {stop.stop_id: stop for stop in (*base.stops, *(as_promised(stop, booked) for stop in visits))}
    if usual.keys() != {stop.stop_id for stop in old.stops}:
        return False
    if old.ends_s != base.ends_s and not any(_is_late(base, stop, booked) for stop in old.stops):
        return False  # its hours are others
    day = base._replace(stops=_behind_begun([usual[stop.stop_id] for stop in old.stops], booked))
    return however_late(table, day, engagements=engagements_in(day)) == old


def _is_late(base: CrewDay, stop: Stop, booked: dict[str, AnyRow]) -> bool:
    """Tell whether a visit comes later than it was promised, or has begun and lasts longer than the shift."""
    if _is_loose(stop.stop_id, booked):
        return bool(stop.latest_s > booked[stop.stop_id].ends_at // _SECOND_US)
    return is_visit(stop) and stop.earliest_s + stop.duration_s > base.ends_s


def promised(day: CrewDay, booked: dict[str, AnyRow]) -> CrewDay:
    """Return a day with the windows that were promised: what came late once need not any more, and is told where it does."""
    return day._replace(stops=tuple(as_promised(stop, booked) for stop in day.stops))


def as_usual(day: CrewDay, base: CrewDay | None) -> CrewDay:
    """Return a shift whose breaks and engagements are what they are by hours: what came late once need not any more."""
    usual = {} if base is None else {stop.stop_id: stop for stop in _as_then(base, day).stops}
    return day._replace(stops=tuple(usual.get(stop.stop_id, stop) for stop in day.stops))


def as_begun(day: CrewDay, booked: dict[str, AnyRow]) -> CrewDay:
    """
    Return a shift in which each visit that has begun did so when it did: all that was not over by then stands behind it.

    An engagement that goes on then is the first behind it.
    """
    stops: list[Stop] = []
    left: list[Stop] = []
    free_s = day.starts_s
    for stop in day.stops:
        if not is_visit(stop) or _is_loose(stop.stop_id, booked):
            left.append(stop)
            continue
        over, left = _over_by(stop.earliest_s, free_s, left)
        stops += [*over, stop._replace(is_set_out=True, has_begun=True)]
        free_s = max(free_s, stop.earliest_s) + stop.duration_s
    return day._replace(stops=_behind_begun((*stops, *left), booked))


def _behind_begun(stops: Sequence[Stop], booked: dict[str, AnyRow]) -> tuple[Stop, ...]:
    """Return stops of which nothing has begun behind the last visit that has: its crew has the way there from that."""
    begun = (k for k, stop in enumerate(stops) if is_visit(stop) and not _is_loose(stop.stop_id, booked))
    last = max(begun, default=len(stops))
    return tuple(stop._replace(has_begun=False) if k > last else stop for k, stop in enumerate(stops))


def _over_by(at_s: int, free_s: int, stops: Sequence[Stop]) -> tuple[list[Stop], list[Stop]]:
    """Return what of stops is over by an instant where a crew has time from another on, and what is not, in its order."""
    over: list[Stop] = []
    for stop in stops:
        ends_s, behind_s = stop.latest_s + stop.duration_s, max(free_s, stop.earliest_s) + stop.duration_s
        done_s = max(free_s, ends_s) if stop.stop_id.startswith(BUSY) else behind_s
        if stop.stop_id == NOT_BACK or (not is_visit(stop) and done_s <= at_s):
            over.append(stop)
            free_s = done_s
    left = [stop for stop in stops if stop not in over]
    return over, sorted(left, key=lambda stop: not (stop.stop_id.startswith(BUSY) and stop.earliest_s <= at_s))


def _no_later(table: CrewDays, day: CrewDay, booked: dict[str, AnyRow]) -> CrewDay:
    """Return a shift that can be kept, its visits promised again as they were but for as late as they come."""
    starts_s = table.alone(day).starts_s(0)
    stops = (as_promised(stop, booked) for stop in day.stops)
    late = (stop._replace(latest_s=max(stop.latest_s, at_s)) for stop, at_s in zip(stops, starts_s, strict=True))
    return day._replace(stops=tuple(late))


def present(day: CrewDay, visits: Iterable[Stop], booked: dict[str, AnyRow]) -> CrewDay:
    """Return a shift in which a crew is taken to be back once it has begun one of its visits."""
    begun = [stop.earliest_s for stop in visits if is_visit(stop) and not _is_loose(stop.stop_id, booked)]
    most_s = max(0, min(begun, default=day.ends_s) - day.starts_s)
    stops = [
        stop._replace(duration_s=min(stop.duration_s, most_s)) if stop.stop_id == NOT_BACK else stop
        for stop in day.stops
    ]
    return day._replace(stops=tuple(stop for stop in stops if stop.stop_id != NOT_BACK or stop.duration_s))


def as_promised(stop: Stop, booked: dict[str, AnyRow]) -> Stop:
    """Return a visit that is still to come in the window that was promised, anything else as it is."""
    if not _is_loose(stop.stop_id, booked):
        return stop
    row = booked[stop.stop_id]
    return stop._replace(earliest_s=row.starts_at // _SECOND_US, latest_s=row.ends_at // _SECOND_US)


def _base_for(bases: Sequence[CrewDay], stop: Stop, planned_s: int, *, has_begun: bool) -> CrewDay | None:
    """Return the shift in which most of a visit lies when it is planned, or could lie in its window: not behind its start."""
    bases = [day for day in bases if day.starts_s <= planned_s or not has_begun]
    lasts_s = max(stop.duration_s, 1)  # a crew that missed its customer was there for a moment
    spans = ((planned_s, planned_s + lasts_s), (stop.earliest_s, stop.latest_s + lasts_s))
    for starts_s, ends_s in spans:
        shared = [(min(day.ends_s, ends_s) - max(day.starts_s, starts_s), -day.starts_s, day) for day in bases]
        most = max(shared, default=None, key=lambda one: one[:2])
        if most is not None and most[0] > 0:
            return most[2]
    return None


def write_anew(
    connection: WriteConnection,
    table: CrewDays,
    point: AnyRow,
    rows: Sequence[AnyRow],
    homes: dict[int, Home],
    booked: dict[str, AnyRow],
    before: Sequence[CrewDay] = (),
    *,
    hands_on: bool = False,
) -> list[Stop]:
    """
    Write the shifts of a crew anew, in place of those that were; return the visits that it cannot keep.

    ``before`` are shifts that began before all of them, and may keep the crew from them. What is late in one that has not
    become another stays there, unless it ``hands_on`` all that is late.
    """
    known = {row.starts_at // _SECOND_US: row for row in rows}
    for row in rows:
        if row.starts_at // _SECOND_US not in homes:
            drop_shift(connection, row)
    loose: list[Stop] = []
    days = list(before)
    for starts_s, home in sorted(homes.items()):
        was = known.get(starts_s)
        base = present(behind(home.day, days), home.visits, booked)
        day, late = _anew(table, home, base, booked, None if was is None or hands_on else day_of(was))
        loose += late
        days.append(day)
        if was is None or day != day_of(was):
            write_shift(connection, point, day, 0 if was is None else was.revision)
        stay = [stop.stop_id for stop in day.stops if is_visit(stop)]
        moved = [name for name in stay if booked[name].shift_at != starts_s * _SECOND_US]
        change_shift_of(connection, moved, starts_s * _SECOND_US)
    return loose


def _anew(
    table: CrewDays, home: Home, base: CrewDay, booked: dict[str, AnyRow], old: CrewDay | None
) -> tuple[CrewDay, list[Stop]]:
    """Return a shift with its visits, and those that it has no time for; as ``old`` where nothing is different from it."""
    if old is not None and _is_rebuilt(table, base, old, home.visits, booked):
        return old, []
    begun = [stop for stop in home.visits if not _is_loose(stop.stop_id, booked)]
    engaged = [stop for stop in base.stops if stop.stop_id.startswith(BUSY) and stop.stop_id != NOT_BACK]

    def place(stop: Stop) -> tuple[int, bool]:
        """Return when a stop is planned: engagements go on behind begun visits, a break that can wait for them behind them."""
        at_s = home.planned.get(stop.stop_id, stop.earliest_s)
        others = begun if stop in engaged else engaged if not is_visit(stop) else []
        within = [one for one in others if at_s < one.earliest_s < at_s + stop.duration_s]
        waits = stop in engaged or all(one.earliest_s + one.duration_s <= stop.latest_s for one in within)
        return max((one.earliest_s for one in within if waits), default=at_s), bool(within) and waits

    planned = as_begun(base._replace(stops=tuple(sorted([*base.stops, *home.visits], key=place))), booked)
    fixed = fixed_stops(base, booked) | home.fixed
    day, loose = kept_part(table, planned, fixed, engagements=engagements_in(planned))
    return _no_later(table, day, booked), loose


def ways(connection: WriteConnection, rosters: Rosters, point: AnyRow) -> CrewDays:
    """Return what knows how long the ways of a point's crews take, without any days."""
    return CrewDays([], rosters.travel(connection, point.point_id))


def fixed_stops(day: CrewDay, booked: dict[str, AnyRow]) -> set[str]:
    """Return the names of stops that are not given away: what is begun or done, and engagements."""
    return {stop.stop_id for stop in day.stops if not _is_loose(stop.stop_id, booked)}


def _is_loose(name: str, booked: dict[str, AnyRow]) -> bool:
    return name in booked and booked[name].state in _LOOSE

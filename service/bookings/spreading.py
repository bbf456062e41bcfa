"""The visits of a crew's shifts spread anew over those that follow from its hours and engagements now."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from engine.crew_days import CrewDay, CrewDays
from engine.replanning import kept_part, starts_however_late_s
from service.bookings.days import day_of, drop_shift, engagements_in, is_visit, write_shift
from service.bookings.rules import State
from service.bookings.store import change_shift_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.crew_days import Stop
    from service.bookings.holding import BookingTerms
    from service.store.connections import AnyRow, WriteConnection

__all__ = ["Home", "fixed_stops", "spread", "ways", "write_anew"]

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
    row: AnyRow,
    bases: Sequence[CrewDay],
    booked: dict[str, AnyRow],
    homes: dict[int, Home],
    *,
    keeps_all: bool,
) -> list[Stop]:
    """
    Put the visits of a shift into the shifts that follow from its crew's hours now; return those for which there is none.

    What is begun or done stays in its shift, as that was where there is no other. Where all is kept nothing is given away.
    """
    old = day_of(row)
    visits = [stop for stop in old.stops if is_visit(stop)]
    fixed = {stop.stop_id for stop in visits} if keeps_all else fixed_stops(old, booked)
    starts_s = starts_however_late_s(table, old, engagements=engagements_in(old))
    of_start = {day.starts_s: day for day in bases}
    same = of_start.get(old.starts_s)
    if same is not None:
        homes.setdefault(old.starts_s, Home(same, [], {}, set()))
    loose: list[Stop] = []
    for stop, planned_s in zip(old.stops, starts_s, strict=True):
        if not is_visit(stop):
            if same is not None and stop in same.stops:  # it is taken when it was
                homes[old.starts_s].planned[stop.stop_id] = planned_s
            continue
        stays = same is not None and not _is_loose(stop.stop_id, booked)
        base = same if stays else _base_for(bases, stop, planned_s)
        if base is None and stop.stop_id not in fixed:
            loose.append(stop)
            continue
        home = base or same or old._replace(stops=())
        its = homes.setdefault(home.starts_s, Home(home, [], {}, set()))
        its.visits.append(stop)
        its.planned[stop.stop_id] = planned_s
        its.fixed.update(fixed & {stop.stop_id})
    return loose


def _base_for(bases: Sequence[CrewDay], stop: Stop, planned_s: int) -> CrewDay | None:
    """Return the shift in which most of a visit lies when it is planned, or could lie in its window."""
    spans = ((planned_s, planned_s + stop.duration_s), (stop.earliest_s, stop.latest_s + stop.duration_s))
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
) -> list[Stop]:
    """Write the shifts of a crew anew, in place of those that were; return the visits that it cannot keep."""
    before = {row.starts_at // _SECOND_US: row for row in rows}
    for row in rows:
        if row.starts_at // _SECOND_US not in homes:
            drop_shift(connection, row)
    loose: list[Stop] = []
    for starts_s, home in homes.items():
        known = before.get(starts_s)
        stops = [*home.day.stops, *home.visits]
        if known is not None and _is_as_it_was(day_of(known), home.day, stops):
            continue
        stops.sort(key=lambda stop: home.planned.get(stop.stop_id, stop.earliest_s))
        fixed = fixed_stops(home.day, booked) | home.fixed
        planned = home.day._replace(stops=tuple(stops))
        day, late = kept_part(table, planned, fixed, engagements=engagements_in(planned))
        loose += late
        write_shift(connection, point, day, 0 if known is None else known.revision)
        stay = [stop.stop_id for stop in day.stops if is_visit(stop)]
        moved = [name for name in stay if booked[name].shift_at != starts_s * _SECOND_US]
        change_shift_of(connection, moved, starts_s * _SECOND_US)
    return loose


def _is_as_it_was(old: CrewDay, base: CrewDay, stops: Sequence[Stop]) -> bool:
    """Tell whether a day has the ends that it had, and the stops, in whatever order."""
    return old._replace(stops=()) == base._replace(stops=()) and set(old.stops) == set(stops)


def ways(connection: WriteConnection, terms: BookingTerms, point: AnyRow) -> CrewDays:
    """Return what knows how long the ways of a point's crews take, without any days."""
    return CrewDays([], terms.rosters.travel(connection, point.point_id))


def fixed_stops(day: CrewDay, booked: dict[str, AnyRow]) -> set[str]:
    """Return the names of stops that are not given away: what is begun or done, and engagements."""
    return {stop.stop_id for stop in day.stops if not _is_loose(stop.stop_id, booked)}


def _is_loose(name: str, booked: dict[str, AnyRow]) -> bool:
    return name in booked and booked[name].state in _LOOSE

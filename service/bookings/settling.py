"""A crew's days after something of them changed: what it can still keep, who comes instead, and who cannot be kept."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from engine.crew_days import CrewDays
from engine.replanning import kept_part, replan
from engine.rosters import VisitAsk
from engine.slots import Job
from service.bookings.acting import act_on
from service.bookings.days import (
    base_days,
    day_of,
    drop_shift,
    find_shift,
    is_visit,
    list_shifts,
    n_visits,
    write_shift,
)
from service.bookings.planning import local_day
from service.bookings.rules import Act, Event, Party, State
from service.bookings.store import bookings_of_ids, change_shift_of
from service.crews.facts import CrewFacts
from service.crews.store import CREWS, find_kept, list_engagements
from service.errors import StateConflictError
from service.feed.columns import split_features

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from engine.crew_days import CrewDay, Stop
    from service.bookings.holding import BookingTerms
    from service.bookings.rosters import PointRoster
    from service.store.connections import AnyRow, WriteConnection

__all__ = ["Settled", "resettle_crew", "settle_overrun"]

_SECOND_US = 1_000_000
_ONE_DAY = dt.timedelta(1)
_LOOSE = {State.HELD, State.CONFIRMED, State.EN_ROUTE}


class Settled(NamedTuple):
    """
    What became of visits that their crew cannot make any more.

    Attributes
    ----------
    unkept
        Those that nobody can make in their windows, as they are now, those first that begin first.
    moved
        Those to which another crew comes, or the same one at another place of its day.
    """

    unkept: list[AnyRow]
    moved: list[AnyRow]


def resettle_crew(connection: WriteConnection, terms: BookingTerms, point: AnyRow, crew_id: str, actor: str) -> Settled:
    """
    Bring the days of a crew in line with its hours and engagements as they are now stored.

    Parameters
    ----------
    point
        The row of its point, whose roster is locked.
    """
    rows = list_shifts(connection, point.point_id, connection.now_us, 2**62, crew_id)
    if not rows:
        return Settled([], [])
    kept = find_kept(connection, CREWS, point.point_id, crew_id)
    crew = None if kept is None else CrewFacts.of_json(kept.facts).crew(crew_id, point)
    taken = list_engagements(connection, point.point_id, connection.now_us, crew_id)
    booked = bookings_of_ids(connection, [stop.stop_id for row in rows for stop in day_of(row).stops if is_visit(stop)])
    loose: list[Stop] = []
    for row in rows:
        first = local_day(point.timezone, row.starts_at // _SECOND_US) - _ONE_DAY
        bases = [] if crew is None else base_days(crew, terms.rosters.openings, taken, first, 3)
        loose += _resettled(connection, terms, point, row, bases, booked)
    return _hand_on(connection, terms, point, loose, booked, actor)


def settle_overrun(
    connection: WriteConnection, terms: BookingTerms, point: AnyRow, booking: AnyRow, minutes: int, actor: str
) -> Settled:
    """
    Let a visit that has begun take some minutes more from now on, and hand on what its crew cannot keep then.

    Raises
    ------
    StateConflictError
        If the crew's shift is not known any more.
    """
    row = find_shift(connection, point.point_id, booking.crew_id, booking.shift_at // _SECOND_US)
    if row is None:
        raise StateConflictError("the crew's shift was over long ago")
    day = day_of(row)
    begun_s = booking.begun_at // _SECOND_US
    lasts_s = -(-connection.now_us // _SECOND_US) - begun_s + 60 * minutes
    stops = tuple(
        stop._replace(duration_s=lasts_s, earliest_s=begun_s, latest_s=begun_s)
        if stop.stop_id == booking.booking_id
        else stop
        for stop in day.stops
    )
    booked = bookings_of_ids(connection, [stop.stop_id for stop in day.stops if is_visit(stop)])
    after, loose = kept_part(_ways(connection, terms, point), day._replace(stops=stops), _fixed(day, booked))
    write_shift(connection, point.merchant_id, point.point_id, after, row.revision)
    return _hand_on(connection, terms, point, loose, booked, actor)


def _resettled(
    connection: WriteConnection,
    terms: BookingTerms,
    point: AnyRow,
    row: AnyRow,
    bases: Sequence[CrewDay],
    booked: dict[str, AnyRow],
) -> list[Stop]:
    """Write a shift anew upon the day that follows from its crew's hours now; return the visits that it cannot keep."""
    old = day_of(row)
    base = max(bases, key=lambda day: min(day.ends_s, old.ends_s) - max(day.starts_s, old.starts_s), default=None)
    visits = [stop for stop in old.stops if is_visit(stop)]
    fixed = _fixed(old, booked)
    if base is None or base.ends_s <= old.starts_s or old.ends_s <= base.starts_s:
        if not fixed:
            drop_shift(connection, row)
            return visits
        base = old._replace(stops=())
    planned = dict(zip((stop.stop_id for stop in old.stops), _starts(connection, terms, point, old), strict=True))
    stops = sorted((*base.stops, *visits), key=lambda stop: planned.get(stop.stop_id, stop.earliest_s))
    day, loose = kept_part(
        _ways(connection, terms, point), base._replace(stops=tuple(stops)), _fixed(base, booked) | fixed
    )
    if day.starts_s == old.starts_s:
        write_shift(connection, point.merchant_id, point.point_id, day, row.revision)
        return loose
    drop_shift(connection, row)
    write_shift(connection, point.merchant_id, point.point_id, day, 0)
    stay = [stop.stop_id for stop in day.stops if is_visit(stop)]
    change_shift_of(connection, stay, day.starts_s * _SECOND_US)
    return loose


def _starts(connection: WriteConnection, terms: BookingTerms, point: AnyRow, day: CrewDay) -> list[int]:
    """Return when each stop of a day starts, as far as it can be kept."""
    kept, late = kept_part(_ways(connection, terms, point), day, [stop.stop_id for stop in day.stops])
    del late
    return CrewDays([kept], terms.rosters.travel(connection, point.point_id)).starts_s(0)


def _ways(connection: WriteConnection, terms: BookingTerms, point: AnyRow) -> CrewDays:
    return CrewDays([], terms.rosters.travel(connection, point.point_id))


def _fixed(day: CrewDay, booked: dict[str, AnyRow]) -> set[str]:
    """Return the names of stops that are not given away: what is begun or done, and engagements."""
    names = {stop.stop_id for stop in day.stops}
    return {name for name in names if name not in booked or booked[name].state not in _LOOSE}


def _hand_on(
    connection: WriteConnection,
    terms: BookingTerms,
    point: AnyRow,
    loose: Sequence[Stop],
    booked: dict[str, AnyRow],
    actor: str,
) -> Settled:
    if not loose:
        return Settled([], [])
    first = min(local_day(point.timezone, stop.earliest_s) for stop in loose)
    last = max(local_day(point.timezone, stop.latest_s) for stop in loose)
    known = terms.rosters.made(connection, point, first, (last - first).days + 1)
    found = replan(
        known.roster.table,
        {},
        loose,
        is_asked=lambda stop, table: _can_come(known, booked[stop.stop_id], table),
        not_before_s=-(-connection.now_us // _SECOND_US),
    )
    for number, day in found.days.items():
        revision = known.revisions.get(number, 0)
        write_shift(connection, point.merchant_id, point.point_id, day, revision)
    moved = []
    for name, number in found.moved.items():
        day = known.roster.table.days[number]
        act = Act(Event.MOVE, Party.MERCHANT, actor)
        place: dict[str, Any] = {"crew_id": day.crew_id, "shift_at": day.starts_s * _SECOND_US}
        moved.append(act_on(connection, terms, booked[name], act, **place))
    lost = Act(Event.LOSE, Party.MERCHANT, actor, "no_crew")
    unkept = [act_on(connection, terms, booked[stop.stop_id], lost) for stop in found.unkept]
    return Settled(unkept, moved)


def _can_come(known: PointRoster, booking: AnyRow, table: CrewDays) -> NDArray[np.bool_]:
    """Return which days are of crews that can make a visit, and may have one more as they have become by then."""
    job = Job(booking.lat, booking.lng, booking.duration_s)
    visit = VisitAsk(job, frozenset(split_features(booking.skills)), booking.people)
    most = [known.crews[day.crew_id].facts.max_jobs for day in table.days]
    has_room = [limit is None or n_visits(day) < limit for limit, day in zip(most, table.days, strict=True)]
    return known.roster.can_come(visit) & np.array(has_room, np.bool_)

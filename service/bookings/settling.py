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
    find_shift,
    is_visit,
    list_shifts,
    n_visits,
)
from service.bookings.planning import local_day
from service.bookings.rules import Act, Event, Party
from service.bookings.spreading import Home, fixed_stops, rewrite, spread, ways, write_anew
from service.bookings.store import bookings_of_ids
from service.crews.facts import CrewFacts
from service.crews.store import CREWS, find_kept, list_engagements
from service.errors import StateConflictError
from service.feed.columns import split_features
from service.points.store import find_point

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from engine.crew_days import CrewDay, Stop
    from service.bookings.holding import BookingTerms
    from service.bookings.point_rosters import PointRoster
    from service.store.connections import AnyRow, WriteConnection

__all__ = ["Settled", "begin_visit", "resettle_crew", "settle_overrun"]

_SECOND_US = 1_000_000
_DAY_US = 86_400 * _SECOND_US
_ONE_DAY = dt.timedelta(1)


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
    since_us = connection.now_us - _DAY_US  # of a shift that is over a longer one may be made
    rows = list_shifts(connection, point.point_id, since_us, 2**62, crew_id)
    if not rows or point.timezone is None:
        return Settled([], [])
    kept = find_kept(connection, CREWS, point.point_id, crew_id)
    crew = None if kept is None else CrewFacts.of_json(kept.facts).crew(crew_id, point)
    taken = list_engagements(connection, point.point_id, since_us, crew_id)
    booked = bookings_of_ids(connection, [stop.stop_id for row in rows for stop in day_of(row).stops if is_visit(stop)])
    table, homes = ways(connection, terms, point), dict[int, Home]()
    loose: list[Stop] = []
    for row in rows:
        first = local_day(point.timezone, row.starts_at // _SECOND_US) - _ONE_DAY
        bases = [] if crew is None else base_days(crew, terms.rosters.openings, taken, first, 3)
        loose += spread(table, connection.now_us, row, bases, booked, homes)
    loose += write_anew(connection, table, point, rows, homes, booked)
    return _hand_on(connection, terms, point, loose, booked, actor)


def begin_visit(connection: WriteConnection, terms: BookingTerms, row: AnyRow, act: Act) -> AnyRow:
    """
    Let a booking's visit begin, and its crew's day go on from then; return the booking, which is locked.

    What comes late by that stays with the crew, only later: to hand it on is for those to say who see the crew.
    """
    begun = act_on(connection, terms, row, act)
    point, shift = find_point(connection, row.point_id), _shift_of(connection, row)
    if point is not None and shift is not None:
        day = _pinned(connection, day_of(shift), begun, begun.duration_s)
        after, _ = kept_part(ways(connection, terms, point.row), day, [stop.stop_id for stop in day.stops])
        rewrite(connection, point.row, after, shift.revision)
    return begun


def _shift_of(connection: WriteConnection, booking: AnyRow) -> AnyRow | None:
    return find_shift(connection, booking.point_id, booking.crew_id, booking.shift_at // _SECOND_US)


def _pinned(connection: WriteConnection, day: CrewDay, booking: AnyRow, more_s: int) -> CrewDay:
    """Return a day with a visit at the time at which it really began, and so many seconds more from now on."""
    begun_s = booking.begun_at // _SECOND_US
    lasts_s = -(-connection.now_us // _SECOND_US) - begun_s + more_s
    pinned = {"duration_s": lasts_s, "earliest_s": begun_s, "latest_s": begun_s}
    its = booking.booking_id
    return day._replace(stops=tuple(one._replace(**pinned) if one.stop_id == its else one for one in day.stops))


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
    row = _shift_of(connection, booking)
    if row is None:
        raise StateConflictError("the crew's shift was over long ago")
    day = day_of(row)
    booked = bookings_of_ids(connection, [stop.stop_id for stop in day.stops if is_visit(stop)])
    after, loose = kept_part(
        ways(connection, terms, point), _pinned(connection, day, booking, 60 * minutes), fixed_stops(day, booked)
    )
    rewrite(connection, point, after, row.revision)
    return _hand_on(connection, terms, point, loose, booked, actor)


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
        rewrite(connection, point, day, known.revisions.get(number, 0))
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

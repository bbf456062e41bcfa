"""A crew's days after something of them changed: what it can still keep, who comes instead, and who cannot be kept."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from engine.crew_days import CrewDays
from engine.replanning import replan
from engine.rosters import VisitAsk
from engine.slots import Job
from service.bookings.acting import act_on
from service.bookings.days import base_days, day_of, is_visit, list_shifts, n_visits, write_shift
from service.bookings.planning import local_day
from service.bookings.rules import Act, Event, Party
from service.bookings.spreading import Home, spread, ways, write_anew
from service.bookings.store import bookings_of_ids
from service.crews.facts import CrewFacts
from service.crews.store import CREWS, find_kept, list_engagements
from service.feed.columns import split_features

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from engine.crew_days import Stop
    from service.bookings.holding import BookingTerms
    from service.bookings.point_rosters import PointRoster
    from service.store.connections import AnyRow, WriteConnection

__all__ = ["Settled", "hand_on", "resettle_crew"]

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


def resettle_crew(
    connection: WriteConnection,
    terms: BookingTerms,
    point: AnyRow,
    crew_id: str,
    actor: str,
    *,
    keeps_all: bool = False,
) -> Settled:
    """
    Bring the days of a crew in line with its hours and engagements as they are now stored.

    Parameters
    ----------
    point
        The row of its point, whose roster is locked.
    keeps_all
        What comes late stays with the crew. Nothing of a shift that is over is given away in any case.
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
        is_kept = keeps_all or row.ends_at <= connection.now_us
        loose += spread(table, row, bases, booked, homes, keeps_all=is_kept)
    loose += write_anew(connection, table, point, rows, homes, booked)
    return hand_on(connection, terms, point, loose, booked, actor)


def hand_on(
    connection: WriteConnection,
    terms: BookingTerms,
    point: AnyRow,
    loose: Sequence[Stop],
    booked: dict[str, AnyRow],
    actor: str,
) -> Settled:
    """Give visits of a crew to others where their windows can still be kept, and let go of the rest."""
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
        write_shift(connection, point, day, known.revisions.get(number, 0))
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

"""A crew's days after something of them changed: what it can still keep, who comes instead, and who cannot be kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from engine.crew_days import CrewDays
from engine.replanning import replan
from engine.rosters import VisitAsk
from engine.slots import Job
from service.bookings.acting import act_on
from service.bookings.days import day_of, list_shifts, local_day, n_visits, write_shift
from service.bookings.lasting import bookings_in, from_now, shifts_by_hours
from service.bookings.rules import Act, Event, Party
from service.bookings.spreading import Home, as_promised, spread, ways, write_anew
from service.crews.facts import CrewFacts
from service.crews.store import CREWS, find_kept
from service.feed.columns import split_features

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from engine.crew_days import Stop
    from engine.crews import Crew
    from service.bookings.holding import BookingTerms
    from service.bookings.point_rosters import PointRoster
    from service.bookings.rosters import Rosters
    from service.store.connections import AnyRow, WriteConnection

__all__ = ["Settled", "bring_in_line", "hand_on", "resettle_crews"]

_SECOND_US = 1_000_000
_DAY_US = 86_400 * _SECOND_US


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


def resettle_crews(
    connection: WriteConnection, terms: BookingTerms, point: AnyRow, crew_ids: Iterable[str], actor: str
) -> Settled:
    """
    Bring the days of crews in line with what they are and their engagements, as they are now stored.

    What one has not begun goes to others where it lacks the skills or the people by now, does not work there any more, or
    has more in a shift than it may: those that are planned last. That it is paused is no reason. All days are in line
    before anything is given to others.

    Parameters
    ----------
    point
        The row of their point, whose roster is locked.
    """
    loose, booked = bring_in_line(connection, terms.rosters, point, crew_ids)
    return hand_on(connection, terms, point, loose, booked, actor)


def bring_in_line(
    connection: WriteConnection, rosters: Rosters, point: AnyRow, crew_ids: Iterable[str]
) -> tuple[list[Stop], dict[str, AnyRow]]:
    """Do as `resettle_crews`, but hand on nothing: return what the crews cannot make any more, and what was looked at."""
    loose: list[Stop] = []
    booked: dict[str, AnyRow] = {}
    for crew_id in crew_ids if point.timezone is not None else ():
        loose += _in_line(connection, rosters, point, crew_id, booked)
    return loose, booked


def _in_line(
    connection: WriteConnection, rosters: Rosters, point: AnyRow, crew_id: str, booked: dict[str, AnyRow]
) -> list[Stop]:
    """Bring the days of a crew in line; return what it cannot make any more, and add what was looked at to ``booked``."""
    since_us = connection.now_us - _DAY_US  # of a shift that is over a longer one may be made
    rows = list_shifts(connection, point.point_id, since_us, 2**62, crew_id)
    if not rows:
        return []
    booked |= bookings_in(connection, map(day_of, rows))
    table, homes = ways(connection, rosters, point), dict[int, Home]()
    by_hours = shifts_by_hours(connection, rosters, point, crew_id, rows[0].starts_at // _SECOND_US)
    loose: list[Stop] = []
    for row in rows:
        is_over = row.ends_at <= connection.now_us  # of such a shift nothing is given away
        day = day_of(row)
        now = day if is_over else from_now(day, booked, -(-connection.now_us // _SECOND_US))
        loose += spread(table, day, by_hours(day), booked, homes, keeps_all=is_over, stays=False, now=now)
    kept = find_kept(connection, CREWS, point.point_id, crew_id)
    if kept is not None:
        loose += _let_go(homes.values(), booked, CrewFacts.of_json(kept.facts).crew(crew_id, point))
    return loose + write_anew(connection, table, point, rows, homes, booked)


def _let_go(homes: Iterable[Home], booked: dict[str, AnyRow], crew: Crew) -> list[Stop]:
    """Take out of shifts what their crew may not do as it is now, and return it; what is not given away stays."""
    loose: list[Stop] = []
    for home in homes:
        ours = [stop for stop in home.visits if stop.stop_id not in home.fixed]
        able = [stop for stop in ours if _can_do(crew, booked[stop.stop_id])]
        if crew.max_jobs is not None:
            able.sort(key=lambda stop: home.planned[stop.stop_id])
            del able[max(0, crew.max_jobs - (len(home.visits) - len(ours))) :]
        gone = [stop for stop in ours if stop not in able]
        for stop in gone:
            home.visits.remove(stop)
        loose += gone
    return loose


def _can_do(crew: Crew, booking: AnyRow) -> bool:
    able = crew.can_do(frozenset(split_features(booking.skills)), booking.people)
    return able and crew.works_at((booking.lat, booking.lng))


def hand_on(
    connection: WriteConnection,
    terms: BookingTerms,
    point: AnyRow,
    loose: Sequence[Stop],
    booked: dict[str, AnyRow],
    actor: str,
) -> Settled:
    """Give visits of a crew to others where their windows can still be kept, and let go of the rest."""
    lost = Act(Event.LOSE, Party.MERCHANT, actor, "no_crew")
    if not loose or point.timezone is None:  # without a clock nobody works there
        return Settled([act_on(connection, terms, booked[stop.stop_id], lost) for stop in loose], [])
    loose = [as_promised(stop, booked) for stop in loose]
    first = min(local_day(point.timezone, stop.earliest_s) for stop in loose)
    last = max(local_day(point.timezone, stop.latest_s) for stop in loose)
    known = terms.rosters.made(connection, point, first, (last - first).days + 1)
    now_s = -(-connection.now_us // _SECOND_US)
    planned = known.roster.table.days
    found = replan(
        known.as_of(now_s).table,
        {},
        loose,
        is_asked=lambda stop, table: _can_come(known, booked[stop.stop_id], table),
        not_before_s=now_s,
    )
    for number, day in found.days.items():
        its = {stop.stop_id: stop for stop in planned[number].stops}
        stops = tuple(its.get(stop.stop_id, stop) for stop in day.stops)
        write_shift(connection, point, planned[number]._replace(stops=stops), known.revisions.get(number, 0))
    moved = []
    for name, number in found.moved.items():
        day = planned[number]
        act = Act(Event.MOVE, Party.MERCHANT, actor)
        place: dict[str, Any] = {"crew_id": day.crew_id, "shift_at": day.starts_s * _SECOND_US}
        moved.append(act_on(connection, terms, booked[name], act, **place))
    unkept = [act_on(connection, terms, booked[stop.stop_id], lost) for stop in found.unkept]
    return Settled(unkept, moved)


def _can_come(known: PointRoster, booking: AnyRow, table: CrewDays) -> NDArray[np.bool_]:
    """Return which days are of crews that can make a visit, and may have one more as they have become by then."""
    job = Job(booking.lat, booking.lng, booking.duration_s)
    visit = VisitAsk(job, frozenset(split_features(booking.skills)), booking.people)
    most = [known.crews[day.crew_id].facts.max_jobs for day in table.days]
    has_room = [limit is None or n_visits(day) < limit for limit, day in zip(most, table.days, strict=True)]
    return known.roster.can_come(visit) & np.array(has_room, np.bool_)

"""The rosters of points in memory: built when first asked, followed shift by shift, forgotten where more changes."""

from __future__ import annotations

import datetime as dt
import logging
import threading
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, TypeAlias
from zoneinfo import ZoneInfo

from sqlalchemy import bindparam, select

from engine.errors import EngineError
from engine.openings import OpeningTimes
from engine.rosters import Roster
from engine.travel import GreatCircleTravel, norm_travel
from service.bookings.bases import base_days, shifts_of
from service.bookings.days import day_of, find_shift, list_shifts, local_day, n_visits
from service.bookings.point_rosters import KeptCrew, PointRoster
from service.clock import to_us
from service.crews.facts import CrewFacts, ServiceFacts
from service.crews.rules import ONSITE
from service.crews.store import CREWS, SERVICES, list_engagements, list_kept
from service.store.plain import Plain
from service.store.tables import offers

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from engine.crew_days import CrewDay, CrewDays
    from engine.holidays import HolidayFile
    from engine.norms import Norms
    from engine.travel import Travel
    from service.feed.outbox import Change, Position
    from service.store.connections import AnyRow, ReadConnection

__all__ = ["Rosters"]

_Key: TypeAlias = tuple[str, dt.date, int]  # of a point, from a local day on, for so many

_LOG = logging.getLogger(__name__)
_MOST_DAYS = 20_000  # of crews, in all rosters that are kept: some 10 kB each when they are full
_ONE_DAY = dt.timedelta(1)
_SECOND_US = 1_000_000
_OFFERS = Plain(select(offers.c.offer).where(offers.c.point_id == bindparam("of_point")))


class Rosters:
    """
    Follows the feed; asked from any thread.

    Parameters
    ----------
    norms
        How crews travel.
    extra_days
        Holidays that the operator adds.
    """

    def __init__(self, norms: Norms, extra_days: HolidayFile | None = None) -> None:
        self._norms = norms
        self.openings = OpeningTimes(extra_days)
        self._kept: OrderedDict[_Key, PointRoster] = OrderedDict()  # what was asked last is last
        self._of_point: dict[str, dict[_Key, PointRoster]] = {}  # the same
        self._n_days = 0  # in all of them
        self._followed_at: dict[str, float] = {}  # when a change of a point was last followed, by the monotonic clock
        self._services: dict[tuple[str, str], tuple[str, ...]] = {}
        self._offers: frozenset[str] = frozenset()
        self._lock = threading.Lock()
        self._left_out: set[tuple[str, str]] = set()  # services that cannot be read, by point and name

    @property
    def n_left_out(self) -> int:
        """How many services it cannot read."""
        return len(self._left_out)

    def travel(self, connection: ReadConnection, point_id: str) -> Travel:
        """Return how long ways take the crews of a point as its offers are now: see `travel_of`."""
        return self.travel_of(row[0] for row in connection.rows(_OFFERS, {"of_point": point_id}))

    def travel_of(self, offered: Iterable[str]) -> GreatCircleTravel:
        """
        Return how long ways take crews: as the slowest of these offers has it, since they may do all of them.

        Where none is of visits any more, what the crews have promised is judged as is usual.
        """
        ways = [norm_travel(self._norms.by_offer[offer]) for offer in offered if offer.endswith(ONSITE)]
        return max(ways, key=_slowness, default=GreatCircleTravel())

    def slows(self, before: Iterable[str], after: Iterable[str]) -> bool:
        """Tell whether ways take longer with some offers than they did with others."""
        return _slowness(self.travel_of(after)) > _slowness(self.travel_of(before))

    def has_services(self, offer: str) -> bool:
        """Tell whether a service of an offer may be registered at any point."""
        return offer in self._offers or (bool(self._left_out) and offer.endswith(ONSITE))

    def services_of(self, point_id: str, offer: str) -> tuple[str, ...] | None:
        """Return the names of the services of an offer that can be booked at a point; None where it has registered none."""
        found = self._services.get((point_id, offer))
        if found is None and offer.endswith(ONSITE) and any(point_id == of_point for of_point, _ in self._left_out):
            return ()  # one that cannot be read may be of this offer
        return found

    def known(self, point_id: str, at_s: int) -> PointRoster | None:
        """Return what is kept of a point that covers the local day of an instant."""
        with self._lock:
            kept = self._of_point.get(point_id)
            if kept is not None:
                day = local_day(next(iter(kept.values())).point.timezone, at_s)
                for key, one in kept.items():
                    if one.covers(day):
                        self._kept.move_to_end(key)
                        return one
        return None

    def roster_at(self, connection: ReadConnection, point: Any, at_s: int, begun_at: float) -> PointRoster:
        """Return what `known` does, or what `roster` does for the local day of an instant."""
        kept = self.known(point.point_id, at_s)
        return kept or self.roster(connection, point, local_day(point.timezone, at_s), 1, begun_at)

    def roster(
        self, connection: ReadConnection, point: Any, first_day: dt.date, n_days: int, begun_at: float
    ) -> PointRoster:
        """
        Return the roster of a point, given its row, for local days; read from the store where it is not kept.

        ``begun_at`` is an instant of the monotonic clock before the connection read anything: what is read is kept only
        if no change of the point was followed since, which it might not hold.
        """
        key = (point.point_id, first_day, n_days)
        with self._lock:
            known = self._kept.get(key)
            if known is not None and known.point.point_revision == point.point_revision:
                self._kept.move_to_end(key)
                return known
        made = self.made(connection, point, first_day, n_days)
        with self._lock:
            if self._followed_at.get(point.point_id, 0.0) < begun_at:
                self._keep(key, made)
        return made

    def _keep(self, key: _Key, made: PointRoster) -> None:
        """Keep a roster, and let go of those that were asked longest ago where that is too much; the lock is held."""
        self._drop(key)
        self._kept[key] = self._of_point.setdefault(key[0], {})[key] = made
        self._n_days += made.n_crew_days
        while self._n_days > _MOST_DAYS and len(self._kept) > 1:
            self._drop(next(iter(self._kept)))

    def _drop(self, key: _Key) -> None:
        """Forget a roster if it is kept; the lock is held."""
        gone = self._kept.pop(key, None)
        if gone is not None:
            self._n_days -= gone.n_crew_days
            mine = self._of_point[key[0]]
            del mine[key]
            if not mine:
                del self._of_point[key[0]]

    def without_days(self, connection: ReadConnection, point: Any, first_day: dt.date) -> PointRoster:
        """Return what stands for the roster of a point where nothing can be booked: it has no crews, and is not kept."""
        roster = Roster([], [], self.travel(connection, point.point_id), self.openings)
        return PointRoster(point, first_day, 0, {}, roster, {})

    def made(self, connection: ReadConnection, point: Any, first_day: dt.date, n_days: int) -> PointRoster:
        """Return the roster of a point as this connection reads it."""
        rows = list_kept(connection, CREWS, point.point_id)
        kept = {row.crew_id: KeptCrew(CrewFacts.of_json(row.facts), row.revision) for row in rows}
        crews = [one.facts.crew(crew_id, point) for crew_id, one in kept.items() if not one.facts.is_paused]
        zone = ZoneInfo(point.timezone)
        first = first_day - _ONE_DAY
        # shifts that begin on the last day may last one more
        low_us, high_us = (
            to_us(dt.datetime.combine(day, dt.time(), zone)) for day in (first, first_day + (n_days + 3) * _ONE_DAY)
        )
        planned = _by_crew(list_shifts(connection, point.point_id, low_us, high_us))
        taken = _by_crew(list_engagements(connection, point.point_id, low_us, until_us=high_us))
        travel = self.travel(connection, point.point_id)
        days: list[CrewDay] = []
        read: dict[tuple[str, int], int] = {}
        for crew in crews:
            # a day more before: what began then is known as a shift, however long it lasts
            bases = base_days(crew, self.openings, taken.get(crew.crew_id, ()), first - _ONE_DAY, n_days + 3, travel)
            stored = {day_of(row): row.revision for row in planned.get(crew.crew_id, ())}
            days += [day for day in shifts_of(bases, stored, travel) if day.ends_s * _SECOND_US > low_us]
            read |= {(day.crew_id, day.starts_s): revision for day, revision in stored.items()}
        roster = Roster(crews, days, travel, self.openings, n_jobs=[n_visits(day) for day in days])
        numbered = ((n, read.get((day.crew_id, day.starts_s))) for n, day in enumerate(roster.table.days))
        revisions = {number: revision for number, revision in numbered if revision is not None}
        return PointRoster(point, first_day, n_days, kept, roster, revisions)

    def reload(self, connection: ReadConnection, _position: Position) -> None:
        """Forget all, and read which services there are."""
        self._services, self._left_out = _read_services(connection, None, self._left_out)
        self._offers = frozenset(offer for _, offer in self._services)
        with self._lock:
            self._followed_at = dict.fromkeys((point_id for point_id, _ in self._services), time.monotonic())
            self._kept.clear()
            self._of_point.clear()
            self._n_days = 0

    def follow(self, connection: ReadConnection, changes: Sequence[Change]) -> None:
        """Take single shifts anew, and forget what is kept of points of which more changed, or where one cannot be taken."""
        whole = {change.subject for change in changes if change.kind in {"roster", "point"}}
        shifts = {change.subject for change in changes if change.kind == "shift"}
        parts = list(_parts_of(sorted(shifts)))
        rosters = {change.subject for change in changes if change.kind == "roster"}
        if rosters:
            found, left_out = _read_services(connection, sorted(rosters), self._left_out)
            others = {key: names for key, names in self._services.items() if key[0] not in rosters}
            self._services = others | found
            self._left_out = {key for key in self._left_out if key[0] not in rosters} | left_out
            self._offers = frozenset(offer for _, offer in self._services)
        with self._lock:
            booked = {point_id for point_id, _ in self._services}
            touched = (whole | {point_id for point_id, _, _ in parts}) & booked
            self._followed_at |= dict.fromkeys(touched, time.monotonic())
            for key in [key for point_id in whole for key in self._of_point.get(point_id, ())]:
                self._drop(key)
            kept = {point_id: list(self._of_point.get(point_id, {}).items()) for point_id, _, _ in parts}
        for point_id, crew_id, starts_s in parts:
            mine = [(key, one) for key, one in kept[point_id] if one.concerns(crew_id, starts_s)]
            row = find_shift(connection, point_id, crew_id, starts_s) if mine else None
            alone = None if row is None else _alone(mine[0][1], day_of(row))
            for key, one in mine:
                if row is None or alone is None or not one.take(alone, row.revision):
                    with self._lock:
                        self._drop(key)

    def verify(self, _connection: ReadConnection) -> bool:
        """Tell that nothing is kept beyond a change."""
        return True


def _slowness(way: GreatCircleTravel) -> float:
    return way.detour_factor / way.speed_kmh


def _alone(known: PointRoster, day: CrewDay) -> CrewDays | None:
    """Return a day as a table of its own, made once for all rosters of its point; None where it cannot be kept."""
    try:
        return known.roster.table.alone(day)
    except EngineError:
        return None


def _by_crew(rows: Sequence[AnyRow]) -> dict[str, list[AnyRow]]:
    found: dict[str, list[AnyRow]] = {}
    for row in rows:
        found.setdefault(row.crew_id, []).append(row)
    return found


def _parts_of(shifts: Sequence[str]) -> Iterator[tuple[str, str, int]]:
    """Give point, crew and start of shifts by the subjects of their changes."""
    for name in shifts:
        try:
            point_id, crew_id, starts_s = name.split(" ")
            yield point_id, crew_id, int(starts_s)
        except ValueError:
            _LOG.critical("a change of the shift %.200r is passed over: it names none", name)


def _read_services(
    connection: ReadConnection, point_ids: Sequence[str] | None, told: Collection[tuple[str, str]]
) -> tuple[dict[tuple[str, str], tuple[str, ...]], set[tuple[str, str]]]:
    """
    Return the names of services that can be booked, none where all are paused, by point and offer; of some points, or of all.

    And those that cannot be read, by point and name, which are left out; ``told`` are known as such.
    """
    query = select(SERVICES).where(SERVICES.c.is_deleted.is_(False)).order_by(SERVICES.c.service_id)
    found: dict[tuple[str, str], tuple[str, ...]] = {}
    left_out: set[tuple[str, str]] = set()
    for row in connection.rows(query if point_ids is None else query.where(SERVICES.c.point_id.in_(point_ids))):
        try:
            facts = ServiceFacts.of_json(row.facts)
        except Exception as error:  # noqa: BLE001 - whatever is broken of one service is its own alone
            left_out.add((row.point_id, row.service_id))
            if (row.point_id, row.service_id) not in told:
                _LOG.critical(
                    "service %s of %s cannot be read and is left out: %r", row.service_id, row.point_id, error
                )
            continue
        key = (row.point_id, facts.offer)
        found[key] = (*found.get(key, ()), *(() if facts.is_paused else (row.service_id,)))
    return found, left_out

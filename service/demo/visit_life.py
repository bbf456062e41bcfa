"""One visit of the demonstration through its whole life: booked, handed to another crew, done and paid."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from service.bookings.acting import END_CODE, START_CODE, act_on, check_code, check_proof, locked_booking
from service.bookings.asking import asked_of
from service.bookings.days import local_day
from service.bookings.finding import find_windows
from service.bookings.holding import BookingTerms, VisitWish, hold_visit
from service.bookings.rosters import Rosters
from service.bookings.rules import Act, Event, Party
from service.bookings.sheet import shifts_between
from service.bookings.under_way import begin_visit, finish_visit, set_out
from service.clock import from_us, to_us
from service.crews.changing import locked_point, put_crew, put_service, settled
from service.crews.facts import CrewFacts, ServiceFacts
from service.crews.store import put_engagement
from service.demo.thrown_away import APP, MERCHANT, SECRET, ThrownAway, order_terms, thrown_away, utc_of
from service.demo.visit_steps import CrewPlan, Stay, VisitLife, VisitStep
from service.http.problems import ProblemError
from service.orders.codes import code_of
from service.places import coarse_cell
from service.points.store import find_point

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa

    from engine import Engine
    from service.demo.day import Day
    from service.points.store import PointRecord
    from service.store.connections import AnyRow, ReadConnection, WriteConnection

__all__ = ["OFFER", "live_visit"]

OFFER = "housekeeping/onsite"

_CREWS = {"aino": "Aino", "eino": "Eino"}
_SERVICE_ID, _SERVICE = "cleaning", ServiceFacts("Cleaning", OFFER, 5_400, 6_900, "EUR", ("cleaning",))
_CONTRACT = "A-17"
_CREW_KEY, _KEY = "the crew's phone", "the office"
_MADE_UP = "synthetic/"  # on the map it is who makes keys that comes to one's home
_FROM_HOUR = 7  # in UTC
_LEAST_AHEAD, _MOST_AHEAD = dt.timedelta(hours=3), dt.timedelta(hours=6)
_MINUTE = dt.timedelta(minutes=1)
_CONFIRMED, _ILL_BEFORE, _ILL_FOR, _DEPARTS_BEFORE, _SOONER = (
    dt.timedelta(minutes=minutes) for minutes in (2, 95, 480, 15, 8)
)
_SECOND_US = 1_000_000


def live_visit(points: pa.Table, engine: Engine, day: Day) -> VisitLife:
    """
    Take the first order of a day for which somebody comes to the customer from its windows to its payment.

    Parameters
    ----------
    points
        Those that the engine was made of.
    """
    i = _chosen(engine, day)
    point_id = str(engine.point_ids(day.row[[i]])[0])
    wanted_at = utc_of(day, i, "at")
    with thrown_away(points, point_id, utc_of(day, i, "asked_at")) as place:
        life = _Life(place, (float(day.lat[i]), float(day.lng[i])), wanted_at)
        life.open()
        life.live()
    row = life.row
    return VisitLife(
        order=i,
        point_id=point_id,
        name=place.name,
        distance_m=float(day.distance_m[i]),
        wanted_at=wanted_at,
        service=_SERVICE.name,
        minutes=row.duration_s // 60,
        n_windows=life.n_windows,
        window=(from_us(row.starts_at), from_us(row.ends_at)),
        total_minor=row.total_minor,
        currency=row.currency,
        paid_by=row.paid_by,
        start_code=life.code(START_CODE),
        end_code=life.code(END_CODE),
        contract=_CONTRACT,
        steps=tuple(life.steps),
    )


def _chosen(engine: Engine, day: Day) -> int:
    """Return the first order that is served, asked in the morning for later that day, of one that can be said to clean."""
    asked = (i for i in range(len(day.offer)) if day.offer[i] == OFFER and day.served[i] and _is_for_later(day, i))
    return next(i for i in asked if str(engine.point_ids(day.row[[i]])[0]).startswith(_MADE_UP))


def _is_for_later(day: Day, i: int) -> bool:
    asked_at = utc_of(day, i, "asked_at")
    return asked_at.hour >= _FROM_HOUR and _LEAST_AHEAD <= utc_of(day, i, "at") - asked_at <= _MOST_AHEAD


@dataclass
class _Life:
    """The visit as it goes on, each step a transaction of its own."""

    place: ThrownAway
    home: tuple[float, float]
    wanted_at: dt.datetime
    terms: BookingTerms = field(init=False)
    steps: list[VisitStep] = field(default_factory=list)
    n_windows: int = 0

    def __post_init__(self) -> None:
        orders = order_terms()
        self.terms = BookingTerms(orders, Rosters(orders.norms))

    def open(self) -> None:
        """Give the point two crews that work while it is open, and a service."""
        rows = self.place.rows.to_pylist()
        hours = next(row["hours"] for row in rows if row["offer"] == OFFER)

        def write(connection: WriteConnection) -> None:
            point = self._locked(connection)
            for crew_id, name in _CREWS.items():
                facts = CrewFacts(name, hours, _SERVICE.skills)
                put_crew(connection, self.terms, point, crew_id, facts, _KEY, None)
            put_service(connection, point, _SERVICE_ID, _SERVICE)

        self.place.store.write_now(write)

    def live(self) -> None:
        """Let all happen, one step after the other."""
        asked_at, starts_s = self.place.clock.at, self._window_s()
        self._note("slots")
        self._write(Event.HOLD, lambda connection: hold_visit(connection, self.terms, self._wish(starts_s), None))
        self.place.clock.at = asked_at + _CONFIRMED
        self._act(Act(Event.CONFIRM, Party.CUSTOMER, APP))
        begins = from_us(self.row.starts_at)
        self.place.clock.at = begins - _ILL_BEFORE
        self._write(Event.MOVE, self._fallen_ill)
        self.place.clock.at = begins - _DEPARTS_BEFORE
        self._act(Act(Event.DEPART, Party.MERCHANT, _CREW_KEY))
        self.place.clock.at = begins + _MINUTE
        self._act(Act(Event.START, Party.MERCHANT, _CREW_KEY), START_CODE)
        self.place.clock.at += dt.timedelta(seconds=self.row.duration_s) - _SOONER
        proof = {"end_code": self.code(END_CODE), "written_contract": _CONTRACT}
        kept = check_proof(self.terms, self.row, proof, now_us=self.place.clock.now_us(), is_office=False)
        self._act(Act(Event.FINISH, Party.MERCHANT, _CREW_KEY), END_CODE, proof=kept)
        self.place.clock.at += _MINUTE
        self._act(Act(Event.PAY, Party.MERCHANT, _CREW_KEY), paid_by="card")

    def code(self, number: int) -> str:
        """Return a code as the customer is told it."""
        return code_of(SECRET, self.row.booking_id, number)

    def _locked(self, connection: WriteConnection) -> PointRecord:
        return locked_point(connection, MERCHANT, self.place.point_id)

    def _window_s(self) -> int:
        """Return when the window begins that lies next to what is wanted, and count all of that day."""
        now_us = self.place.clock.now_us()

        def read(connection: ReadConnection) -> list[int]:
            point_id = self.place.point_id
            asked = asked_of(connection, self.terms.orders, point_id, _SERVICE_ID, *self.home)
            day = local_day(asked.rules.timezone, to_us(self.wanted_at) // _SECOND_US)
            found = find_windows(connection, self.terms, asked, day, 1, now_us, is_fresh=True)
            return [slot.starts_s for slot in found.answer.slots[day]]

        starts = self.place.store.read_now(read)
        self.n_windows = len(starts)
        wanted_s = to_us(self.wanted_at) // _SECOND_US
        return min(starts, key=lambda at_s: (abs(at_s - wanted_s), at_s))

    def _wish(self, starts_s: int) -> VisitWish:
        return VisitWish(
            owner=APP,
            buyer="a customer",
            device="a phone",
            point_id=self.place.point_id,
            service_id=_SERVICE_ID,
            lat=self.home[0],
            lng=self.home[1],
            cell=coarse_cell(*self.home),
            address="Stair B, third floor",
            starts_s=starts_s,
            total_minor=_SERVICE.price_minor,
            actor=APP,
        )

    def _act(self, what: Act, code: int | None = None, **values: str) -> None:
        under_way: dict[Event, Any] = {Event.DEPART: set_out, Event.START: begin_visit, Event.FINISH: finish_visit}
        does = under_way.get(what.event, act_on)

        def write(connection: WriteConnection) -> AnyRow | ProblemError:
            row = locked_booking(connection, self.row.booking_id)
            assert row is not None  # noqa: S101 - it is this demonstration's own
            wrong = None if code is None else check_code(connection, self.terms, row, code, self.code(code))
            return wrong or does(connection, self.terms, row, what, **values)

        self._write(what.event, write)

    def _fallen_ill(self, connection: WriteConnection) -> AnyRow:
        """Let the crew that was to come fall ill, and return the booking as it is handed on."""
        point, crew_id, now_us = self._locked(connection), self.row.crew_id, connection.now_us
        ends_us = now_us + _ILL_FOR // _MINUTE * 60 * _SECOND_US
        its = {"point_id": self.place.point_id, "crew_id": crew_id, "engagement_id": "ill"}
        put_engagement(connection, its | {"starts_at": now_us, "ends_at": ends_us, "lat": None, "lng": None})
        (moved,) = settled(connection, self.terms, point, crew_id, _KEY, "replan").moved
        return moved

    def _write(self, name: str, fn: Callable[[WriteConnection], AnyRow | ProblemError]) -> None:
        found = self.place.store.write_now(fn)
        if isinstance(found, ProblemError):
            raise found
        self.row = found
        self._note(str(name), found)

    def _note(self, name: str, row: AnyRow | None = None) -> None:
        until = from_us(row.expires_at) if row is not None and name == Event.HOLD else None
        state, crew = (None, None) if row is None else (str(row.state), _CREWS[row.crew_id])
        self.steps.append(VisitStep(name, self.place.clock.at, state, until, crew, self._plans()))

    def _plans(self) -> tuple[CrewPlan, ...]:
        def read(connection: ReadConnection) -> tuple[CrewPlan, ...]:
            found = find_point(connection, self.place.point_id)
            assert found is not None  # noqa: S101 - it was just loaded
            day = local_day(found.row.timezone, to_us(self.wanted_at) // _SECOND_US)
            rosters, point = self.terms.rosters, found.row
            sheets = {crew_id: shifts_between(connection, rosters, point, crew_id, day, 1) for crew_id in _CREWS}
            return tuple(
                CrewPlan(
                    _CREWS[crew_id],
                    tuple(Stay(stop.kind, stop.starts_at, stop.ends_at) for shift in shifts for stop in shift.stops),
                )
                for crew_id, shifts in sheets.items()
            )

        return self.place.store.read_now(read)

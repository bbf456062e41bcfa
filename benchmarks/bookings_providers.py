"""Providers with crews in a store of their own, and the visits that are booked there."""

from __future__ import annotations

import datetime as dt
import functools
import itertools
import uuid
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import select

from benchmarks.frame import Exactness
from benchmarks.trade import Trade
from benchmarks.trade_points import LAT, LNG, enter_points, posted
from engine import load_norms
from engine.travel import norm_travel
from service.bookings.asking import asked_of
from service.bookings.days import day_of, is_visit
from service.bookings.finding import candidate_for, known_candidate
from service.bookings.holding import BookingTerms, VisitWish, hold_visit
from service.bookings.rosters import Rosters
from service.bookings.rules import Party
from service.bookings.views import booking_answer
from service.clock import from_us
from service.crews.facts import CrewFacts, ServiceFacts
from service.crews.store import CREWS, SERVICES, put_kept
from service.http.idempotency import Created, once
from service.http.revisions import etag
from service.orders.checks import Checker
from service.orders.codes import digest_of
from service.orders.ordering import OrderTerms
from service.places import coarse_cell
from service.store.visit_tables import bookings, shifts
from tests.crew_walk import late_stops

if TYPE_CHECKING:
    from benchmarks.trade import Read
    from engine.crew_days import CrewDay
    from service.bookings.point_rosters import Candidate
    from service.store.connections import ReadConnection, WriteConnection

__all__ = ["PROVIDERS"]

MERCHANT, OFFER, SERVICE = "providers", "housekeeping/onsite", "clean"
N_PROVIDERS, N_CREWS, N_DAYS = 50, 10, 7
FIRST_HOUR, N_WINDOWS = 7, 14
WIDE_DEG = 0.01
_ZONE = ZoneInfo("Asia/Shanghai")
_ROUTE, _ADDRESS = "POST /v1/bookings", "Lane 7, door 3"
_SECOND_US = 1_000_000


class _Found(NamedTuple):
    """What a customer wants, and where memory would put it."""

    wish: VisitWish
    candidate: Candidate | None


def _fill(connection: WriteConnection) -> str:
    ids = [f"{MERCHANT}:{number}" for number in range(N_PROVIDERS)]
    key = enter_points(connection, MERCHANT, ids, {"offer": OFFER, "radius_m": 8000.0}, kind="provider")
    crew = CrewFacts("A crew", "Mo-Su 06:00-22:00", ("cleaning",)).as_json()
    service = ServiceFacts(
        "Cleaning", OFFER, 20 * 60, 20_000, "CNY", ("cleaning",), lead_s=0, most_days=30, width_s=3600
    ).as_json()
    for point_id in ids:
        put_kept(connection, SERVICES, point_id, SERVICE, service)
        for number in range(N_CREWS):
            put_kept(connection, CREWS, point_id, f"crew-{number}", crew)
    return key


class _Bell:
    """Books visits, from memory that follows the feed."""

    def __init__(self) -> None:
        self._norms = load_norms()
        rosters = Rosters(self._norms)
        self._terms = BookingTerms(OrderTerms(bytes(32), self._norms, Checker(None)), rosters)
        self.handlers = (rosters,)

    def find(self, read: Read, number: int) -> _Found:
        """Return what a customer wants, and where memory would put it."""
        wish = _wish(number)
        now_us = int(dt.datetime.now(dt.UTC).timestamp() * _SECOND_US)
        wanted = (wish.point_id, wish.service_id, wish.lat, wish.lng)
        known = known_candidate(self._terms, wanted, wish.starts_s, now_us)
        if known is not None:
            return _Found(wish, known)

        def look(connection: ReadConnection) -> Candidate | None:
            asked = asked_of(connection, self._terms.orders, *wanted)
            return candidate_for(connection, self._terms, asked, wish.starts_s, now_us)

        return _Found(wish, read(look))

    def make(self, connection: WriteConnection, found: _Found) -> None:
        """Make a booking with its answer and its idempotency record, as the route does."""

        def create(connection: WriteConnection) -> Created:
            row = hold_visit(connection, self._terms, *found)
            answer = booking_answer(row, self._norms, party=Party.CUSTOMER, payment=None)
            headers = {"ETag": etag(row.revision), "Location": f"/v1/bookings/{row.booking_id}"}
            return Created(answer.model_dump_json().encode(), headers=headers)

        once(connection, ("benchmark", _ROUTE, uuid.uuid4().hex), "0" * 64, create)


def _wish(number: int) -> VisitWish:
    """Return what a customer wants: each in turn of another provider, then on another day, then at another hour."""
    buyer = digest_of(bytes(32), "buyer", uuid.uuid4().hex)
    day, hour = number // N_PROVIDERS % N_DAYS, number // (N_PROVIDERS * N_DAYS) % N_WINDOWS
    lat, lng = (at + WIDE_DEG * (number * step % 2.0 - 1.0) for at, step in ((LAT, 0.618034), (LNG, 1.324718)))
    return VisitWish(
        owner="benchmark",
        buyer=buyer,
        device=buyer,
        point_id=f"{MERCHANT}:{number % N_PROVIDERS}",
        service_id=SERVICE,
        lat=lat,
        lng=lng,
        cell=coarse_cell(lat, lng),
        address=_ADDRESS,
        starts_s=_first_s() + day * 86_400 + hour * 3_600,
        total_minor=None,
        actor="benchmark",
    )


@functools.cache
def _first_s() -> int:
    """Return when the first window begins: not tomorrow, which midnight could make today."""
    day = dt.datetime.now(_ZONE).date() + dt.timedelta(2)
    return int(dt.datetime.combine(day, dt.time(FIRST_HOUR), _ZONE).timestamp())


def _request(number: int, key: str) -> bytes:
    """Return the same as a request."""
    wish = _wish(number)
    body = {name: getattr(wish, name) for name in ("point_id", "service_id", "lat", "lng", "address", "buyer")}
    return posted("/v1/bookings", key, body | {"starts_at": from_us(wish.starts_s * _SECOND_US).isoformat()})


def _check(connection: ReadConnection, n_made: range) -> Exactness:
    """
    Tell whether there are as many bookings as there may be, and no minute of a crew is promised twice, from rows alone.

    Each booking must stand in one shift, its own, for its own window; no shift of a crew may overlap another; and walked
    through stop by stop, one after the other, none may have a stop that is late.
    """
    travel = norm_travel(load_norms().by_offer[OFFER])
    booked = connection.rows(select(bookings))
    days = [(row.point_id, day_of(row)) for row in connection.rows(select(shifts))]
    kept = [not late_stops(day, travel) for _, day in days]
    stand = Counter(found for point_id, day in days for found in _visits(point_id, day))
    wanted = Counter(_wanted(row) for row in booked)
    one_day = [_are_apart(of_crew) for of_crew in _by_crew(days)]
    right = [len(booked) in n_made, stand == wanted, *kept, *one_day]
    return Exactness(len(booked) + len(right), right.count(False))


def _visits(point_id: str, day: CrewDay) -> list[tuple[Any, ...]]:
    shift = (point_id, day.crew_id, day.starts_s)
    stops = filter(is_visit, day.stops)
    return [(*shift, stop.stop_id, stop.place, stop.duration_s, stop.earliest_s, stop.latest_s) for stop in stops]


def _wanted(row: Any) -> tuple[Any, ...]:
    shift = (row.point_id, row.crew_id, row.shift_at // _SECOND_US)
    window = (row.starts_at // _SECOND_US, row.ends_at // _SECOND_US)
    return (*shift, row.booking_id, (row.lat, row.lng), row.duration_s, *window)


def _by_crew(days: Sequence[tuple[str, CrewDay]]) -> list[list[CrewDay]]:
    found: dict[tuple[str, str], list[CrewDay]] = {}
    for point_id, day in days:
        found.setdefault((point_id, day.crew_id), []).append(day)
    return list(found.values())


def _are_apart(days: Sequence[CrewDay]) -> bool:
    in_order = sorted(days, key=lambda day: day.starts_s)
    return all(one.ends_s <= other.starts_s for one, other in itertools.pairwise(in_order))


PROVIDERS = Trade(
    name="bookings",
    path="/v1/bookings",
    routes="service.bookings.routes",
    tables=("bookings", "booking_events", "shifts", "points", "idempotency", "changes"),
    n_first=N_PROVIDERS * N_DAYS,  # each day of each provider is asked for once, as a service that runs has done
    fill=_fill,
    desk=_Bell,
    request=_request,
    check=_check,
    skipped=("find_candidate",),
)

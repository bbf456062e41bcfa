"""A provider of visits over HTTP; and what the store must say of its crews' days then, found out without the service."""

from __future__ import annotations

import datetime as dt
import json
import sqlite3
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import psycopg
from psycopg.rows import namedtuple_row

from engine.crew_days import CrewDay, Stop
from engine.norms import load_norms
from engine.travel import norm_travel
from tests.contract.service.shops import Shops, open_shops, point
from tests.contract.service.talking import ask
from tests.crew_walk import late_stops, way_s
from tests.faults.buying import Answer, Caller, key_of
from tests.serving import Place, Serving

__all__ = [
    "LAT",
    "LNG",
    "OFFER",
    "TRAVEL",
    "ZONE",
    "Provider",
    "book",
    "open_provider",
    "starts",
    "states_of",
    "unsound_visits",
    "wrong_visits",
]

LAT, LNG = 31.2304, 121.4737
OFFER = "housekeeping/onsite"
ZONE = ZoneInfo("Asia/Shanghai")
_SECOND_US = 1_000_000
TRAVEL = norm_travel(load_norms().by_offer[OFFER])
_TO_COME = {"held", "confirmed", "en_route"}
_STANDS = _TO_COME | {"started"}
_DONE = {"finished", "paid", "customer_absent"}
_BOOKINGS = "SELECT * FROM bookings ORDER BY booking_id"
_SHIFTS = "SELECT * FROM shifts ORDER BY point_id, crew_id, starts_at"
_UNSOUND = {
    "events missing": "SELECT b.booking_id FROM bookings b WHERE b.revision <>"
    " (SELECT count(*) FROM booking_events e WHERE e.booking_id = b.booking_id)",
    "state not the last event's": "SELECT b.booking_id FROM bookings b JOIN booking_events e"
    " ON e.booking_id = b.booking_id AND e.revision = b.revision WHERE e.state <> b.state",
    "event not in the outbox": "SELECT e.booking_id FROM booking_events e WHERE NOT EXISTS (SELECT 1 FROM changes c"
    " WHERE c.kind = 'booking' AND c.subject = e.booking_id AND c.revision = e.revision)",
    "outbox of no event": "SELECT c.subject FROM changes c WHERE c.kind = 'booking' AND NOT EXISTS"
    " (SELECT 1 FROM booking_events e WHERE e.booking_id = c.subject AND e.revision = c.revision)",
    "shift not in the outbox": "SELECT s.crew_id FROM shifts s WHERE NOT EXISTS (SELECT 1 FROM changes c WHERE"
    " c.kind = 'shift' AND c.revision = s.revision AND c.subject LIKE s.point_id || ' ' || s.crew_id || ' %')",
}


@dataclass
class Provider:
    """A point with crews, an app whose customers book there, and keys for all."""

    serving: Serving
    shops: Shops
    point_id: str
    app_key: str
    own_key: str

    def app(self) -> Caller:
        """Return a caller with the app's key."""
        return Caller(self.serving.base_url, self.app_key)

    def own(self) -> Caller:
        """Return a caller with the merchant's key."""
        return Caller(self.serving.base_url, self.own_key)

    def put_crew(self, crew_id: str, **changes: Any) -> None:
        """Make a crew or replace it: it works from half past seven to half past one."""
        body = {"name": crew_id, "hours": "Mo-Su 07:30-13:30", **changes}
        self._put(f"crews/{crew_id}", body)

    def put_service(self, **changes: Any) -> None:
        """Make the service or replace it: fifty minutes from each full hour, from eight to noon: five visits of a crew."""
        told = {"hours": "Mo-Su 08:00-12:30", "lead_minutes": 0, "most_days": 60, "window_minutes": 0}
        what = {"name": "Cleaning", "offer": OFFER, "minutes": 50, "price_minor": 9_000, "currency": "CNY"}
        self._put("services/clean", {**what, **told, "step_minutes": 60, **changes})

    def body(self, starts_at: str, **more: Any) -> dict[str, Any]:
        """Return the body of a booking by a customer of its own, some hundred metres away."""
        drawn = uuid.uuid4().int % 1_000 / 1_000
        place = {"lat": LAT + 0.006 * drawn, "lng": LNG - 0.004 * drawn, "address": "Lane 7"}
        its = {"point_id": self.point_id, "service_id": "clean", "starts_at": starts_at, "buyer": uuid.uuid4().hex}
        return {**its, **place, **more}

    def _put(self, path: str, body: dict[str, Any]) -> None:
        answer = self.shops.own.put(f"/v1/points/{self.point_id}/{path}", json=body)
        assert answer.is_success, answer.text


@contextmanager
def open_provider(serving: Serving, merchant_id: str, crews: Sequence[str]) -> Iterator[Provider]:
    """Give a provider with crews."""
    with open_shops(serving, merchant_id) as shops:
        offer = {"offer": OFFER, "hours": "24/7", "area": {"radius_m": 8000}, "lead_s": 0, "capacity": None}
        place = {"lat": LAT, "lng": LNG, "timezone": ZONE.key, "country": "CN"}
        answer = shops.put("provider", point(offers=[offer], **place))
        assert answer.is_success, answer.text
        provider = Provider(serving, shops, f"{merchant_id}:provider", key_of(shops.app), shops.own_key)
        provider.put_service()
        for crew_id in crews:
            provider.put_crew(crew_id)
        yield provider


def book(app: Caller, body: Any, key: str | None = None) -> Answer:
    """Send a booking."""
    return app.call("POST", "/v1/bookings", body, key or uuid.uuid4().hex)


def starts(first_in: int, n_days: int, hours: Sequence[float] = range(8, 13)) -> list[str]:
    """Return when windows begin, on days from so many days ahead on, at hours by the provider's clock."""
    first = dt.datetime.now(ZONE).date() + dt.timedelta(first_in)
    days = (dt.datetime.combine(first + dt.timedelta(number), dt.time(), ZONE) for number in range(n_days))
    return [(day + dt.timedelta(hours=hour)).isoformat() for day in days for hour in hours]


class _Seen(NamedTuple):
    bookings: Sequence[Any]
    shifts: Sequence[Any]


def _seen(place: Place) -> _Seen:
    """Read bookings and shifts in one view."""
    if place.database is not None:
        with psycopg.connect(place.database, row_factory=namedtuple_row) as connection:
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            return _Seen(connection.execute(_BOOKINGS).fetchall(), connection.execute(_SHIFTS).fetchall())
    with closing(sqlite3.connect(place.folder / "linli.db", timeout=30, isolation_level=None)) as file:
        file.row_factory = _named
        file.execute("BEGIN")
        return _Seen(file.execute(_BOOKINGS).fetchall(), file.execute(_SHIFTS).fetchall())


def _named(cursor: sqlite3.Cursor, row: tuple[Any, ...]) -> Any:
    return _Row(dict(zip((column[0] for column in cursor.description), row, strict=True)))


class _Row:
    def __init__(self, values: dict[str, Any]) -> None:
        self.__dict__.update(values)


def wrong_visits(place: Place) -> list[str]:
    """
    Return what is wrong with the crews' time.

    No day is late with any stop, as a walk through it finds; each visit to come stands once, where and when its booking
    says; nothing else stands there; and no two bookings have a crew at one time, the way between them included.
    """
    seen = _seen(place)
    booked = {row.booking_id: row for row in seen.bookings}
    wrong, stands = [], defaultdict[str, list[tuple[Any, Stop]]](list)
    for row in seen.shifts:
        day = _day(row)
        wrong += [f"late: {name} of {row.crew_id}" for name in late_stops(day, TRAVEL)]
        for stop in day.stops:
            if stop.stop_id.startswith("vis_"):
                stands[stop.stop_id].append((row, stop))
    for booking_id, row in booked.items():
        if row.state in _STANDS and len(stands[booking_id]) != 1:
            wrong.append(f"stands {len(stands[booking_id])} times: {booking_id}, {row.state}")
    for booking_id, places in stands.items():
        if places and (booking_id not in booked or booked[booking_id].state not in _STANDS | _DONE):
            wrong.append(f"nobody wants it: {booking_id}")
        elif places and booked[booking_id].state in _STANDS:
            wrong += [
                f"elsewhere: {booking_id}" for shift, stop in places if not _agree(booked[booking_id], shift, stop)
            ]
    return wrong + _twice([row for row in seen.bookings if row.state in _TO_COME])


def _day(row: Any) -> CrewDay:
    told = json.loads(row.day)
    stops = [Stop(name, None if place is None else tuple(place), *times) for name, place, *times in told["stops"]]
    start, end = tuple(told["start"]), tuple(told["end"])
    return CrewDay(row.crew_id, start, end, row.starts_at // _SECOND_US, row.ends_at // _SECOND_US, tuple(stops))


def _agree(row: Any, shift: Any, stop: Stop) -> bool:
    where = (shift.point_id, shift.crew_id, shift.starts_at) == (row.point_id, row.crew_id, row.shift_at)
    window = (stop.earliest_s * _SECOND_US, stop.latest_s * _SECOND_US, stop.duration_s, stop.place)
    return where and (
        row.state == "started" or window == (row.starts_at, row.ends_at, row.duration_s, (row.lat, row.lng))
    )


def _twice(rows: Sequence[Any]) -> list[str]:
    """Return which visits that begin at an instant have their crew at the same time, as the bookings alone say."""
    by_crew = defaultdict[tuple[str, str], list[Any]](list)
    for row in rows:
        if row.starts_at == row.ends_at:
            by_crew[row.point_id, row.crew_id].append(row)
    wrong = []
    for (_point_id, crew_id), visits in by_crew.items():
        visits.sort(key=lambda row: row.starts_at)
        for one, following in pairwise(visits):
            way = way_s(TRAVEL, (one.lat, one.lng), (following.lat, following.lng))
            if one.starts_at + (one.duration_s + way) * _SECOND_US > following.starts_at:
                wrong.append(f"booked twice: {crew_id} for {one.booking_id} and {following.booking_id}")
    return wrong


def unsound_visits(place: Place) -> list[str]:
    """Return which bookings are not whole: each has its events, their outbox rows, and each shift has its own."""
    return [f"{what}: {row[0]}" for what, query in _UNSOUND.items() for row in ask(place, query)]


def states_of(place: Place) -> Counter[str]:
    """Return how many bookings are in each state."""
    return Counter(row.state for row in _seen(place).bookings)

"""A booking desk: a provider with crews and services, and visits that are booked there, on a desk of orders."""

from __future__ import annotations

import asyncio
import datetime as dt
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
from sqlalchemy import select, update

from service.bookings.days import day_of
from service.store.tables import offers
from service.store.visit_tables import METADATA, booking_events, bookings, crews, engagements, services, shifts
from tests.contract.service.desk import LNG, Desk
from tests.registry import NOW, WAIT_S

__all__ = ["BAD_TIMES", "CLEAN", "CREW", "OFFER", "OFFERED", "At", "Visits"]

OFFER = "housekeeping/onsite"
At = Callable[..., str]
"""Gives an instant, with a zone, of hours and minutes."""
CREW: dict[str, Any] = {"name": "Anna", "hours": "Mo-Su 08:00-18:00", "skills": ["cleaning"]}
CLEAN: dict[str, Any] = {
    "name": "Cleaning",
    "offer": OFFER,
    "minutes": 120,
    "price_minor": 20_000,
    "currency": "CNY",
    "skills": ["cleaning"],
}
OFFERED: dict[str, Any] = {"offer": OFFER, "hours": "24/7", "area": {"radius_m": 8000}, "lead_s": 0}
BAD_TIMES = (
    "2026-11-26T10:00:00",  # without a zone
    "2026-11-26 10:00:00+08:00",
    "2026-11-26",
    "9999-12-31T00:00:00Z",
    "2027-02-29T00:00:00Z",
    "2026-11-26T10:00:60+08:00",
    "2026-11-26T24:00:00Z",
    "2026-13-01T00:00:00Z",
    "1795000000",
    "2026-11-26T10:00:00.5+08:00",  # half a second
    "2026-11-26T10:00:01+08:00",  # no window begins then
    "2026-11-26T10:07:00+08:00",
    (NOW - dt.timedelta(seconds=30)).isoformat(),  # it is over, by less than a clock may be late
    "2026-11-25T10:00:00+08:00",
    "2026-12-25T10:00:00+08:00",  # in more than 30 days
    "2028-11-25T10:00:00+08:00",
)
"""No window of `CLEAN` begins then, where it is `NOW`."""


@dataclass
class Visits:
    """What is done at the desk about visits; apps ``app`` and ``other-app``, merchants ``corner`` and ``rival``."""

    desk: Desk

    def provider(
        self, *crews: str, service: Mapping[str, Any] = {}, crew: Mapping[str, Any] = {}, **changes: Any
    ) -> str:
        """Make a provider with crews and the service ``clean``; return its id."""
        point_id = self.desk.shop(offer=OFFERED, **changes)
        self.service(point_id, **service)
        for crew_id in crews:
            self.crew(point_id, crew_id, **crew)
        return point_id

    def change_point(self, point_id: str, **changes: Any) -> None:
        """Replace a provider by what it is, but for these facts."""
        path = f"/v1/points/{point_id}"
        found = self.desk.send("GET", path, "corner")
        names = ("kind", "name", "lat", "lng", "timezone", "country")
        body = {name: found.json()[name] for name in names} | {"offers": [OFFERED]} | changes
        answer = self.desk.send("PUT", path, "corner", json=body, headers={"If-Match": found.headers["ETag"]})
        assert answer.is_success, answer.text

    def withdraw_offer(self, point_id: str) -> None:
        """Let a provider offer something else, though visits are promised there: as an earlier linli let merchants do."""
        its = update(offers).where(offers.c.point_id == point_id).values(offer="retail/pickup")
        self.desk.registry.services.store.write_now(lambda connection: connection.run(its))

    def crew(self, point_id: str, crew_id: str, **changes: Any) -> dict[str, Any]:
        """Make a crew or replace it."""
        return self.put(f"/v1/points/{point_id}/crews/{crew_id}", {**CREW, **changes})

    def service(self, point_id: str, **changes: Any) -> dict[str, Any]:
        """Make the service or replace it."""
        return self.put(f"/v1/points/{point_id}/services/clean", {**CLEAN, **changes})

    def put(self, path: str, body: Any, **query: str) -> dict[str, Any]:
        """Put something, as the merchant."""
        answer = self.desk.send("PUT", path, "corner", json=body, params=query)
        assert answer.is_success, answer.text
        return dict(answer.json())

    def ask_slots(self, point_id: str, key: str = "app", **query: Any) -> httpx.Response:
        """Ask what can be booked, whatever comes of it."""
        asked = {"point": point_id, "service": "clean", "lat": self.desk.lat, "lng": LNG} | query
        self.desk.registry.follow()
        return self.desk.send("GET", "/v1/slots", key, params=asked)

    def slots(self, point_id: str, key: str = "app", **query: Any) -> dict[str, Any]:
        """Ask what can be booked."""
        answer = self.ask_slots(point_id, key, **query)
        assert answer.status_code == httpx.codes.OK, answer.text
        return dict(answer.json())

    def starts(self, point_id: str, **query: Any) -> list[str]:
        """Return when the windows begin that can be booked, in order of time."""
        return sorted(slot["starts_at"] for day in self.slots(point_id, **query)["days"] for slot in day["slots"])

    def body(self, point_id: str, starts_at: str, **more: Any) -> dict[str, Any]:
        """Return the body of a booking, of a customer of its own unless one is named."""
        place = {"lat": self.desk.lat, "lng": LNG, "address": "Lane 7, door 3"}
        return {
            "point_id": point_id,
            "service_id": "clean",
            **place,
            "starts_at": starts_at,
            "buyer": uuid.uuid4().hex,
            **more,
        }

    def ask(self, body: Mapping[str, Any], key: str = "app", once: str | None = None) -> httpx.Response:
        """Book, whatever comes of it."""
        return self.desk.send(
            "POST", "/v1/bookings", key, json=body, headers={"Idempotency-Key": once or uuid.uuid4().hex}
        )

    def book(self, point_id: str, starts_at: str | None = None, **more: Any) -> dict[str, Any]:
        """Book the first window that there is, or another one, and return the booking."""
        answer = self.ask(self.body(point_id, starts_at or self.starts(point_id)[0], **more))
        assert answer.status_code == httpx.codes.CREATED, answer.text
        return dict(answer.json())

    def act(self, booking: Mapping[str, Any], event: str, key: str, body: Any = None) -> httpx.Response:
        """Let something happen to a booking, whatever comes of it."""
        given = {} if body is None else {"json": body}
        headers = {"Idempotency-Key": uuid.uuid4().hex} if event == "complain" else {}
        return self.desk.send("POST", f"/v1/bookings/{booking['booking_id']}:{event}", key, headers=headers, **given)

    def done(self, booking: Mapping[str, Any], event: str, key: str, body: Any = None) -> dict[str, Any]:
        """Let something happen to a booking, and return what is answered."""
        answer = self.act(booking, event, key, body)
        assert answer.is_success, answer.text
        return dict(answer.json())

    def read(self, booking: Mapping[str, Any], key: str = "app") -> dict[str, Any]:
        """Read a booking."""
        answer = self.desk.send("GET", f"/v1/bookings/{booking['booking_id']}", key)
        assert answer.status_code == httpx.codes.OK, answer.text
        return dict(answer.json())

    def brought(self, booking: Mapping[str, Any], *events: str) -> dict[str, Any]:
        """Let customer and merchant do what they do where all goes well; return the booking as the app reads it."""
        for event in events:
            now = self.read(booking)
            if event == "depart":
                earliest = dt.datetime.fromisoformat(now["starts_at"]) - dt.timedelta(days=1)
                self.desk.pass_until(max(earliest, self.desk.now).isoformat())
            if event == "start":
                self.desk.pass_until(now["starts_at"])
                self.done(booking, event, "corner", {"code": now["start_code"]})
            elif event == "finish":
                proof = {"end_code": now["end_code"], "written_contract": "A-7"}
                self.done(booking, event, "corner", {"proof": proof})
            else:
                key, body = {"confirm": ("app", None), "pay": ("corner", {"means": "cash"})}.get(
                    event, ("corner", None)
                )
                self.done(booking, event, key, body)
        return self.read(booking)

    def events(self, booking: Mapping[str, Any]) -> list[tuple[str, str]]:
        """Return what happened to a booking: event, and the state after it."""
        answer = self.desk.send("GET", f"/v1/bookings/{booking['booking_id']}/events", "app")
        return [(one["event"], one["state"]) for one in answer.json()["items"]]

    def planned(self, point_id: str) -> dict[str, list[str]]:
        """Return the names of the stops in each shift in which something was planned, by crew."""
        found: dict[str, list[str]] = {}
        for row in self.desk.rows(select(shifts).where(shifts.c.point_id == point_id).order_by(shifts.c.starts_at)):
            found.setdefault(row.crew_id, []).extend(stop.stop_id for stop in day_of(row).stops)
        return found

    def row(self, booking: Mapping[str, Any]) -> Any:
        """Return the row of a booking."""
        (row,) = self.desk.rows(select(bookings).where(bookings.c.booking_id == booking["booking_id"]))
        return row

    def kept(self, point_id: str) -> dict[str, list[Any]]:
        """Return all rows about the visits of a point, its crews and its services."""
        of_point = {
            table.name: table.c.point_id == point_id for table in (bookings, shifts, crews, services, engagements)
        }
        its = select(bookings.c.booking_id).where(bookings.c.point_id == point_id)
        of_point[booking_events.name] = booking_events.c.booking_id.in_(its)
        tables = METADATA.tables
        return {
            name: self.desk.rows(select(tables[name]).where(condition).order_by(*tables[name].primary_key))
            for name, condition in of_point.items()
        }

    def asked_at_once(self, bodies: Sequence[Any], keys: Sequence[str]) -> list[httpx.Response]:
        """Book several visits at once, each with an Idempotency-Key; return the answers."""
        registry = self.desk.registry

        async def ask() -> list[httpx.Response]:
            app = f"Bearer {registry.keys['app']}"
            return await asyncio.gather(
                *(
                    registry.client.post(
                        "/v1/bookings", json=body, headers={"Authorization": app, "Idempotency-Key": key}
                    )
                    for body, key in zip(bodies, keys, strict=True)
                )
            )

        return registry.runner.run(ask())

    def add_key(self, name: str, scope: str, **more: str) -> None:
        """Make a key, known as ``name`` from here on, and wait until it opens."""
        body = {"scope": scope, "label": name, "rate": 1_000_000, **more}
        answer = self.desk.send("POST", "/v1/keys", "admin", json=body, headers={"Idempotency-Key": uuid.uuid4().hex})
        assert answer.status_code == httpx.codes.CREATED, answer.text
        self.desk.registry.keys[name] = answer.json()["secret"]
        until = time.monotonic() + WAIT_S
        while self.desk.send("GET", "/v1/bookings/none", name).status_code == httpx.codes.UNAUTHORIZED:
            assert time.monotonic() < until, f"the key {name} does not open"
            self.desk.registry.follow()

    def add_crew_key(self, point_id: str, crew_id: str) -> None:
        """Make a key of a crew, known by the crew's name from here on."""
        self.add_key(crew_id, "crew", merchant_id="corner", crew=f"{point_id}/{crew_id}")

    def left(self, booking: Mapping[str, Any], until: str, seconds: float = 0.0) -> dt.timedelta:
        """Return how long it is until so many seconds after an instant that a booking told."""
        return dt.datetime.fromisoformat(booking[until]) - self.desk.now + dt.timedelta(seconds=seconds)

    def times(self) -> At:
        """Return what gives the times of the day that is tomorrow now, and of those that follow, by hours and minutes."""
        midnight = dt.datetime.fromisoformat(self.tomorrow(0))
        return lambda hour, minute=0: (midnight + dt.timedelta(hours=hour, minutes=minute)).isoformat()

    def tomorrow(self, hour: int, minute: int = 0) -> str:
        """Return a time of tomorrow, by the provider's clock."""
        zone = dt.timezone(dt.timedelta(hours=8))
        day = self.desk.now.astimezone(zone).date() + dt.timedelta(1)
        return dt.datetime.combine(day, dt.time(hour, minute), zone).isoformat()

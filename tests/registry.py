"""A registry in this process: rows put into its tables, and requests sent to the application over them, without sockets."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx
import shapely
from sqlalchemy import insert, update

from service.clock import SettableClock
from service.feed.columns import joined_features
from service.http.app import create_app
from service.keys.store import create_key
from service.services import Services, open_services
from service.settings import load_settings
from service.store.connections import WriteConnection
from service.store.tables import merchants, offers, points
from tests.described import Description

__all__ = ["NOW", "Offer", "Point", "Registry", "opened"]

NOW = dt.datetime(2026, 11, 25, 4, 0, tzinfo=dt.UTC)  # a Wednesday, noon in Shanghai
WAIT_S = 10.0


@dataclass(frozen=True)
class Offer:
    """An offer as it is stored; ``area`` is shapely's."""

    offer: str
    radius_m: float | None = None
    area: Any = None
    hours: str | None = "24/7"
    capacity: int | None = None
    lead_s: int = 0
    is_paused: bool = False


@dataclass(frozen=True)
class Point:
    """A point as it is stored; its id begins with its merchant's."""

    point_id: str
    lat: float
    lng: float
    offers: Sequence[Offer]
    features: Sequence[str] = ()
    visibility: str = "public"
    is_paused: bool = False
    timezone: str = "Asia/Shanghai"
    country: str = "CN"

    @property
    def merchant_id(self) -> str:
        return self.point_id.partition(":")[0]


@dataclass
class Registry:
    """Services over a store of their own, and callers of each scope."""

    services: Services
    clock: SettableClock
    client: httpx.AsyncClient
    runner: asyncio.Runner
    keys: dict[str, str] = field(default_factory=dict)

    @cached_property
    def description(self) -> Description:
        """What the API says of itself: every answer is held against it."""
        return Description(self.runner.run(self.client.get("/openapi.json")).json())

    def add_key(
        self,
        name: str,
        scope: str,
        merchant_id: str | None = None,
        crew: str | None = None,
        expires_us: int | None = None,
    ) -> None:
        """Make a key, known as ``name`` from here on; of a crew as ``corner:main/anna``."""

        def made(connection: WriteConnection) -> str:
            given: dict[str, Any] = {
                "merchant_id": merchant_id,
                "crew": crew,
                "rate": 1_000_000,
                "expires_us": expires_us,
            }
            return create_key(connection, scope=scope, label=name, **given).secret

        self.keys[name] = self.services.store.write_now(made)
        self.follow()

    def add_merchants(self, **status: str) -> None:
        """Enter merchants by name (with _ for -) and status."""
        rows = [
            {"merchant_id": name.replace("_", "-"), "name": name, "status": one, "revision": 1, **_stamps(self.clock)}
            for name, one in status.items()
        ]
        self.services.store.write_now(lambda connection: connection.run(insert(merchants), rows))

    def put(self, *given: Point, follow: bool = True, silently: bool = False) -> None:
        """Enter new points, with a change record each unless ``silently``."""
        rows = [_point_row(point, self.clock) for point in given]
        of_offers = [_offer_row(point, offer) for point in given for offer in point.offers]

        def write(connection: WriteConnection) -> None:
            connection.run(insert(points), rows)
            if of_offers:
                connection.run(insert(offers), of_offers)
            for point in () if silently else given:
                connection.record_change("point", point.point_id, 1, point.merchant_id)

        self.services.store.write_now(write)
        if follow:
            self.follow()

    def pause(self, point_id: str, revision: int) -> None:
        """Pause a point."""
        values = {"is_paused": True, "revision": revision}

        def write(connection: WriteConnection) -> None:
            connection.run(update(points).where(points.c.point_id == point_id).values(values))
            connection.record_change("point", point_id, revision, point_id.partition(":")[0])

        self.services.store.write_now(write)
        self.follow()

    def follow(self) -> None:
        """Wait until the follower has read what is committed."""
        follower, asked = self.services.follower, time.monotonic()
        follower.wake()
        while not follower.has_come_to(asked):
            assert time.monotonic() < asked + WAIT_S, "the follower does not follow"
            time.sleep(0.001)

    def send(self, method: str, url: str, *, key: str | None = "app", **more: Any) -> httpx.Response:
        """Return the answer to a request."""
        headers = {} if key is None else {"Authorization": f"Bearer {self.keys[key]}"}
        headers |= more.pop("headers", {})
        response = self.runner.run(self.client.request(method, url, headers=headers, **more))
        self.description.check(response)
        return response

    def match(self, *, key: str = "app", **asked: Any) -> httpx.Response:
        """Ask GET /v1/match."""
        return self.send("GET", "/v1/match", key=key, params=told(asked))

    def explain(self, *, key: str = "app", **asked: Any) -> httpx.Response:
        """Ask GET /v1/match:explain."""
        return self.send("GET", "/v1/match:explain", key=key, params=told(asked))


def told(asked: dict[str, Any]) -> dict[str, str]:
    """Return parameters as a query has them."""
    return {name: value.isoformat() if isinstance(value, dt.datetime) else str(value) for name, value in asked.items()}


@contextlib.contextmanager
def opened(folder: Path, at: dt.datetime = NOW, database: str | None = None) -> Iterator[Registry]:
    """Open a registry of its own, with the keys admin and app; over SQLite unless a database is named."""
    clock = SettableClock(at)
    settings = load_settings({}, data=folder, database=database, poll_s=30.0, inflight=10_000, deadline_s=60.0)
    with open_services(settings, clock) as services, asyncio.Runner() as runner:
        transport = httpx.ASGITransport(app=create_app(services), raise_app_exceptions=False)
        client = httpx.AsyncClient(transport=transport, base_url="http://linli")
        registry = Registry(services, clock, client, runner)
        registry.add_key("admin", "admin")
        registry.add_key("app", "app")
        yield registry
        runner.run(client.aclose())


def _stamps(clock: SettableClock) -> dict[str, int]:
    return {"created_at": clock.now_us(), "updated_at": clock.now_us()}


def _point_row(point: Point, clock: SettableClock) -> dict[str, Any]:
    return {
        "point_id": point.point_id,
        "merchant_id": point.merchant_id,
        "kind": "store",
        "name": point.point_id,
        "address": None,
        "lat": point.lat,
        "lng": point.lng,
        "timezone": point.timezone,
        "country": point.country,
        "visibility": point.visibility,
        "features": joined_features(point.features),
        "special_days": None,
        "is_paused": point.is_paused,
        "is_synthetic": True,
        "is_deleted": False,
        "revision": 1,
        **_stamps(clock),
    }


def _offer_row(point: Point, offer: Offer) -> dict[str, Any]:
    return {
        "point_id": point.point_id,
        "offer": offer.offer,
        "radius_m": offer.radius_m,
        "area": None if offer.area is None else shapely.to_wkb(offer.area),
        "hours": offer.hours,
        "capacity": offer.capacity,
        "lead_s": offer.lead_s,
        "is_paused": offer.is_paused,
    }

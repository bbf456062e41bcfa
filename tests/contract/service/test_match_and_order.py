"""What a match offered a moment ago can be held: at the very edge of `order_by`, and not a moment later."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

import h3
import pytest

from service.clock import to_us
from service.errors import NotFeasibleError
from service.http.problems import ProblemError
from service.matching.asks import Ask
from service.matching.replies import reply_to
from service.orders.ordering import Wish, hold
from service.store.connections import WriteConnection
from tests.registry import NOW, opened
from tests.scale import scaled
from tests.serving import Place
from tests.unit.service.matching.cities import LAT, LNG, STATUS, city, dice

OFFER = "retail/pickup"
EDGES = {dt.timedelta(seconds=seconds): seconds <= 0 for seconds in (-1, 0, 1)}
EDGES |= {dt.timedelta(microseconds=1): False}

LATE = {"too_soon", "validation /at"}  # the latter where it needs no time: what is wanted lies in the past then


class _TakenBackError(Exception):
    pass


@pytest.fixture(params=[1, 2])
def seed(request: pytest.FixtureRequest) -> int:
    return int(request.param)


def test_match__offers_what_can_be_held_until_order_by_and_not_later(place: Place, seed: int) -> None:
    told: dict[bool, int] = {True: 0, False: 0}
    with opened(place.folder / f"city{seed}", database=place.database) as registry:
        if not registry.services.index.n_points:
            registry.add_merchants(**STATUS)
            registry.put(*city(seed))
        rng = dice(seed)

        def ask_and_order(connection: WriteConnection) -> None:
            for _ in range(scaled(10_000) // 4):
                registry.clock.at = NOW
                ask = _ask(rng)
                for match in reply_to(registry.services, ask)["matches"]:
                    for delay, is_taken in EDGES.items():
                        connection.now_us = to_us(match["promise"]["order_by"] + delay)
                        came = _ordered(connection, registry.services, ask, match)
                        assert came in ({"taken"} if is_taken else LATE), (ask, match, delay)
                        told[is_taken] += 1

        registry.services.store.write_now(ask_and_order, 600.0)
    assert min(told.values()) >= scaled(10_000) // 2 // 4


def _ask(rng: Any) -> Ask:
    lat, lng = LAT + rng.gauss(0, 0.03), LNG + rng.gauss(0, 0.03)
    at = NOW + dt.timedelta(seconds=rng.uniform(7_300, 400_000))
    features = tuple(name for name in ("lift", "brand:corner") if rng.random() < 0.2)
    return Ask(lat, lng, OFFER, at, NOW, features=features, unknown_hours=rng.choice(["refuse", "allow"]), k=2)


def _ordered(connection: WriteConnection, services: Any, ask: Ask, match: dict[str, Any]) -> str:
    """Return what comes of an order of a match; all that it wrote is taken back."""
    wish = Wish(
        owner="app",
        buyer=uuid.uuid4().hex,
        device=uuid.uuid4().hex,
        collector=None,
        point_id=match["point_id"],
        offer=ask.offer,
        lat=ask.lat,
        lng=ask.lng,
        cell=h3.latlng_to_cell(ask.lat, ask.lng, 8),
        at=ask.at,
        features=ask.features,
        unknown_hours=ask.unknown_hours,
        units={},
        total_minor=None,
        is_placed=False,
        actor="test",
    )
    try:
        with connection.attempt():
            hold(connection, services.orders, wish)
            raise _TakenBackError
    except _TakenBackError:
        return "taken"
    except NotFeasibleError as error:
        return error.reason
    except ProblemError as error:
        return f"{error.slug} {error.troubles[0].where}"

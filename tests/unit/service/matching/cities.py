"""A city of every kind of point, as stored and as the twins read it; questions about it; what its hours say."""

from __future__ import annotations

import datetime as dt
import random
import zoneinfo
from typing import Any

import numpy as np

from tests.property.twins import random_star
from tests.registry import NOW, Offer, Point

__all__ = ["OFFERS", "STATUS", "city", "dice", "question", "rows_of_city", "state"]

SHANGHAI = zoneinfo.ZoneInfo("Asia/Shanghai")
OFFERS = ("retail/pickup", "retail/delivery", "laundry/onsite")
STATUS = {"alpha": "verified", "beta": "verified", "gamma": "suspended", "delta": "unverified"}
HOURS = ("24/7", "Mo-Fr 08:00-18:00", "Mo-Su 22:00-02:00", None)
LAT, LNG = 31.2, 121.5


def dice(seed: int) -> random.Random:
    """Return what cases are drawn with."""
    return random.Random(seed)  # noqa: S311 - nothing here is a secret


def state(row: dict[str, Any], at: dt.datetime) -> str:
    """Tell open, closed or unknown, by the clock on the wall."""
    local = at.astimezone(SHANGHAI)
    opens = {
        HOURS[0]: True,
        HOURS[1]: local.weekday() < 5 and 8 <= local.hour < 18,
        HOURS[2]: local.hour >= 22 or local.hour < 2,
        None: None,
    }[row["hours"]]
    return "unknown" if opens is None else "open" if opens else "closed"


def city(seed: int, n: int = 250) -> list[Point]:
    """Return points of all merchants with one to three offers each."""
    rng, numbers = dice(seed), np.random.default_rng(seed)
    return [_point(rng, numbers, i) for i in range(n)]


def _point(rng: random.Random, numbers: np.random.Generator, i: int) -> Point:
    lat, lng = LAT + rng.gauss(0, 0.03), LNG + rng.gauss(0, 0.03)
    merchant = rng.choices(list(STATUS), (5, 5, 1, 1))[0]
    offers = [_offer(rng, numbers, offer, lat, lng) for offer in rng.sample(OFFERS, rng.randint(1, 3))]
    features = [name for name in ("lift", "cold_locker", "brand:corner", "brand:7-11") if rng.random() < 0.4]
    return Point(
        f"{merchant}:{i}",
        lat,
        lng,
        offers,
        features,
        visibility=rng.choices(["public", "unlisted", "internal"], (10, 1, 1))[0],
        is_paused=rng.random() < 0.08,
    )


def _offer(rng: random.Random, numbers: np.random.Generator, offer: str, lat: float, lng: float) -> Offer:
    kind = rng.choice(["radius", "radius", "area", "everywhere"])
    return Offer(
        offer,
        radius_m=rng.uniform(200, 4000) if kind == "radius" else None,
        area=random_star(numbers, lat, lng, 0.03) if kind == "area" else None,
        hours=rng.choice(HOURS),
        capacity=rng.choice([None, None, 0, 1, 3, 10]),
        lead_s=rng.choice([0, 0, 900, 7200]),
        is_paused=rng.random() < 0.05,
    )


def rows_of_city(points: list[Point]) -> list[dict[str, Any]]:
    """Return the same as the rows that the twins read."""
    return [
        {
            "point_ids": point.point_id,
            "offers": offer.offer,
            "lat": point.lat,
            "lng": point.lng,
            "areas": offer.area if offer.area is not None else offer.radius_m,
            "hours": offer.hours,
            "capacity": offer.capacity,
            "lead_s": offer.lead_s,
            "features": {*point.features, f"merchant:{point.merchant_id}"},
            "paused": point.is_paused or offer.is_paused,
            "suspended": STATUS[point.merchant_id] != "verified",
            "visibility": point.visibility,
        }
        for point in points
        for offer in point.offers
    ]


def question(rng: random.Random) -> dict[str, Any]:
    """Return parameters of GET /v1/match."""
    asked: dict[str, Any] = {
        "lat": LAT + rng.gauss(0, 0.04),
        "lng": LNG + rng.gauss(0, 0.04),
        "offer": rng.choice(OFFERS),
    }
    maybe = {
        "at": NOW + dt.timedelta(seconds=rng.choice([-50, 0, 600, 899, 900, 901, 7200, rng.randint(0, 30 * 86_400)])),
        "quantity": rng.choice([1, 2, 5, 11]),
        "k": rng.choice([1, 2, 5, 50]),
        "max_distance_m": rng.choice([0, 300, 1500.5, 4000]),
        "unknown_hours": rng.choice(["refuse", "allow"]),
        "features": rng.choice(["lift", "lift,cold_locker", "brand:corner", "helipad"]),
        "brand": rng.choice(["corner", "7-11", "nobody"]),
        "merchant": rng.choice([*STATUS, "nobody"]),
    }
    chance = {"features": 0.25, "brand": 0.2, "merchant": 0.2}
    return asked | {name: value for name, value in maybe.items() if rng.random() < chance.get(name, 0.5)}

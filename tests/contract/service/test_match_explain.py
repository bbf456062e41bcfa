"""Who learns what from an explanation: an app codes, a merchant all about own points, nobody more."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pytest
import shapely
from sqlalchemy import update

from service.store.tables import offers, points
from tests.registry import NOW, Offer, Point, Registry, opened

PICKUP, DELIVERY = "retail/pickup", "retail/delivery"
ALONE = "fresh_food/pickup"
"""An offer that nobody has but merchants that are not verified."""
ASK = {"lat": 31.2, "lng": 121.5, "offer": PICKUP, "features": "lift"}
ANSWER = {"match", "nearer", "n_more", "point", "at", "asked_at", "index"}
CODED = {"point_id", "distance_m", "reason"}
OWN = {
    "point_id",
    "distance_m",
    "reason",
    "sku",
    "is_indexed",
    "has_offer",
    "visibility",
    "merchant_status",
    "is_paused",
    "features",
    "hours",
    "capacity",
    "lead_s",
    "radius_m",
    "has_area",
    "checks",
}
FINE = dict.fromkeys(
    ("visibility", "paused", "merchant", "features", "hours", "lead", "area", "capacity", "stock", "room", "distance"),
    "ok",
)
AREA = shapely.box(121.6, 31.1, 121.7, 31.3)
LIFT = ("lift",)
# A point of `mine`, its first reason, and the checks that are not ok.
POINTS: tuple[tuple[Point, str, dict[str, str]], ...] = (
    (Point("mine:good", 31.21, 121.5, [Offer(PICKUP)], LIFT), "matched", {}),
    (Point("mine:paused", 31.2, 121.5, [Offer(PICKUP)], LIFT, is_paused=True), "paused", {"paused": "paused"}),
    (Point("mine:rests", 31.2, 121.5, [Offer(PICKUP, is_paused=True)], LIFT), "paused", {"paused": "paused"}),
    (Point("mine:stairs", 31.2, 121.5, [Offer(PICKUP)]), "feature_missing", {"features": "feature_missing"}),
    (Point("mine:shut", 31.2, 121.5, [Offer(PICKUP, hours="Mo-Su 08:00-09:00")], LIFT), "closed", {"hours": "closed"}),
    (Point("mine:vague", 31.2, 121.5, [Offer(PICKUP, hours=None)], LIFT), "hours_unknown", {"hours": "hours_unknown"}),
    (Point("mine:slow", 31.2, 121.5, [Offer(PICKUP, lead_s=60)], LIFT), "too_soon", {"lead": "too_soon"}),
    (Point("mine:drawn", 31.2, 121.5, [Offer(PICKUP, area=AREA)], LIFT), "outside_area", {"area": "outside_area"}),
    (Point("mine:small", 31.21, 121.5, [Offer(PICKUP, radius_m=9)], LIFT), "outside_area", {"area": "outside_area"}),
    (Point("mine:sold", 31.2, 121.5, [Offer(PICKUP, capacity=0)], LIFT), "full", {"capacity": "full"}),
    (Point("mine:far", 32.2, 121.5, [Offer(PICKUP)], LIFT), "too_far", {"distance": "too_far"}),
    (
        Point("mine:secret", 31.2, 121.5, [Offer(PICKUP)], LIFT, visibility="internal"),
        "no_offer",
        {"visibility": "internal"},
    ),
    (
        Point("mine:quiet", 31.2, 121.5, [Offer(PICKUP)], LIFT, visibility="unlisted"),
        "no_offer",
        {"visibility": "unlisted"},
    ),
    (
        Point("mine:worst", 31.2, 121.5, [Offer(PICKUP, hours=None, lead_s=60, area=AREA, capacity=0)], is_paused=True),
        "paused",
        {
            "paused": "paused",
            "features": "feature_missing",
            "hours": "hours_unknown",
            "lead": "too_soon",
            "area": "outside_area",
            "capacity": "full",
        },
    ),
)
OTHERS = (
    Point("their:near", 31.2, 121.501, [Offer(PICKUP, capacity=1234567, radius_m=4321.5)]),
    Point("their:dark", 31.2, 121.5, [Offer(PICKUP)], LIFT, visibility="internal"),
    Point("their:drawn", 31.2, 121.5, [Offer(PICKUP, capacity=7654321, area=AREA)], LIFT),
)
UNSEEN = tuple(
    Point(f"{merchant}:{name}", 31.2, 121.5, [Offer(PICKUP), Offer(ALONE)], LIFT, is_paused=name == "rests")
    for merchant in ("banned", "new")
    for name in ("a", "rests")
)
"""Of merchants that are not verified: for everybody else they are not there."""


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with opened(tmp_path_factory.mktemp("city")) as registry:
        registry.add_merchants(mine="verified", their="verified", banned="suspended", new="unverified")
        for scope in ("planner", "station", "crew"):
            registry.add_key(scope, scope)
        for merchant in ("mine", "their", "banned", "new"):
            registry.add_key(merchant, "merchant", merchant)
        registry.put(*(point for point, _, _ in POINTS), *OTHERS, Point("mine:other", 31.2, 121.5, [Offer(DELIVERY)]))
        registry.put(Point("mine:bare", 31.2, 121.5, []), *UNSEEN)
        yield registry


@pytest.mark.parametrize(("point", "reason", "faults"), POINTS, ids=[point.point_id for point, _, _ in POINTS])
@pytest.mark.parametrize("key", ["mine", "admin"])
def test_own_point__is_told_check_by_check(
    registry: Registry, key: str, point: Point, reason: str, faults: dict[str, str]
) -> None:
    told = registry.explain(key=key, point=point.point_id, max_distance_m=5000, **ASK).json()
    about, offer = told["point"], point.offers[0]
    assert set(told) == ANSWER
    assert set(about) == OWN
    assert about["checks"] == FINE | faults
    assert (about["reason"], about["is_indexed"], about["has_offer"]) == (reason, True, True)
    stored = (offer.hours, offer.capacity, offer.lead_s, offer.radius_m, offer.area is not None, point.visibility)
    names = ("hours", "capacity", "lead_s", "radius_m", "has_area", "visibility")
    assert tuple(about[name] for name in names) == stored


@pytest.mark.parametrize("key", ["own", "admin"])
def test_own_point__of_a_suspended_merchant_says_so(registry: Registry, key: str) -> None:
    for point, status in zip(UNSEEN, ("suspended", "suspended", "unverified", "unverified"), strict=True):
        told = registry.explain(key=key if key == "admin" else point.merchant_id, point=point.point_id, **ASK)
        about, paused = told.json()["point"], {"paused": "paused"} if point.is_paused else {}
        assert (about["reason"], about["merchant_status"]) == ("paused" if paused else "suspended", status)
        assert (about["is_indexed"], about["has_offer"], about["distance_m"]) == (True, True, 0.0)
        assert about["checks"] == FINE | {"merchant": "suspended"} | paused
        other = registry.explain(key="admin", point=point.point_id, **ASK | {"offer": DELIVERY}).json()["point"]
        assert (other["reason"], other["is_indexed"], other["has_offer"]) == ("no_offer", False, False)


@pytest.mark.parametrize("key", ["app", "their", "crew", "banned", "admin"])
@pytest.mark.parametrize(
    "asked", [{}, {"features": "helipad"}, {"offer": ALONE}, {"offer": ALONE, "max_distance_m": 5}]
)
def test_points_of_merchants_that_are_not_verified__are_told_to_nobody(
    registry: Registry, key: str, asked: dict[str, Any]
) -> None:
    ask = ASK | asked
    one = ask | {"features": [ask["features"]]}
    for response in (
        registry.match(key=key, **ask),
        registry.explain(key=key, **ask),
        registry.send("POST", "/v1/match:batch", key=key, json={"asks": [one]}),
    ):
        assert response.status_code == 200
        assert not any(name in response.text for name in ("banned:", "new:", "suspended")), response.text
    if asked.get("offer") == ALONE:
        nobody = registry.match(key=key, **ask).json()
        assert (nobody["reason"], nobody["refused"], nobody["next_open_at"]) == ("no_offer", [], None)


def test_points_of_merchants_that_are_not_verified__have_no_status_in_a_stream(registry: Registry) -> None:
    places = pa.table({"lat": [31.2, 31.2], "lng": [121.5, 121.5], "offer": [ALONE, PICKUP]})
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, places.schema) as writer:
        writer.write_table(places)
    arrow = {"Content-Type": "application/vnd.apache.arrow.stream"}
    path = "/v1/match:batch?max_distance_m=0"
    answer = registry.send("POST", path, content=sink.getvalue(), headers=arrow)
    told = pa.ipc.open_stream(answer.content).read_all().to_pylist()
    json_told = registry.match(lat=31.2, lng=121.5, offer=PICKUP, max_distance_m=0).json()
    assert [one["status"] for one in told] == ["no_offer", json_told.get("reason", "matched")]
    assert "suspended" not in {one["status"] for one in told}


def test_points_of_merchants_that_are_not_verified__take_no_orders(registry: Registry) -> None:
    wish = {"offer": PICKUP, "lat": 31.2, "lng": 121.5, "items": [], "buyer": "b"}
    absent = registry.send("POST", "/v1/orders:quote", json=wish | {"point_id": "banned:absent"})
    assert absent.status_code == 404
    for point in UNSEEN:
        told = registry.send("POST", "/v1/orders:quote", json=wish | {"point_id": point.point_id})
        assert (told.status_code, told.content) == (404, absent.content), point.point_id


def test_own_point__without_the_offer_says_so(registry: Registry) -> None:
    for point_id, distance_m in (("mine:other", 0.0), ("mine:bare", None)):
        about = registry.explain(key="mine", point=point_id, **ASK).json()["point"]
        assert (about["reason"], about["has_offer"], about["is_indexed"]) == ("no_offer", False, False)
        assert (about["checks"], about["distance_m"]) == (None, distance_m)


def test_own_point__that_the_index_has_not_seen_is_judged_by_what_is_stored(registry: Registry) -> None:
    """The row is there and its change record is not: no follower can know it."""
    point = Point("mine:fresh", 31.2, 121.5, [Offer(PICKUP, hours="Mo-Su 08:00-09:00")], LIFT)
    registry.put(point, follow=False, silently=True)
    about = registry.explain(key="mine", point="mine:fresh", **ASK).json()["point"]
    assert (about["reason"], about["is_indexed"], about["has_offer"]) == ("no_offer", False, True)
    assert about["checks"] == FINE | {"hours": "closed"}
    assert about["distance_m"] == 0.0


@pytest.mark.parametrize("key", ["app", "planner", "station", "crew", "mine", "their"])
def test_points_of_others__are_not_told_from_absent_ones(registry: Registry, key: str) -> None:
    own = "mine" if key == "their" else "their"
    other = {"mine": "mine:good", "their": "their:near"}[own]
    absent = registry.explain(key=key, point=f"{own}:absent", **ASK)
    assert absent.status_code == 404
    for point_id in (other, f"{own}:dark", "no such point", "", "../mine:good", "mine:good' OR 1=1 --"):
        told = registry.explain(key=key, point=point_id, **ASK)
        assert (told.status_code, told.content) == (404, absent.content), point_id


@pytest.mark.parametrize("key", ["app", "planner", "mine", "their", "admin"])
def test_explanation__tells_codes_alone(registry: Registry, key: str) -> None:
    response = registry.explain(key=key, **ASK)
    told = response.json()
    assert set(told) == ANSWER
    assert set(told["match"]) == CODED
    assert all(set(one) == CODED for one in told["nearer"])
    assert told["point"] is None
    for secret in (
        "1234567",
        "7654321",
        "4321.5",
        "121.6",
        "capacity",
        "area",
        "their:dark",
        "mine:secret",
        "mine:quiet",
    ):
        assert secret not in response.text.replace("outside_area", ""), secret


MATCHED = {"matches", "at", "asked_at", "datum", "index"}
NOBODY = MATCHED | {"reason", "refused", "next_open_at", "would_help"}
FOUND = {"point_id", "offer", "distance_m", "lat", "lng", "promise"}


@pytest.mark.parametrize("key", ["app", "planner", "station", "crew", "mine", "their", "admin"])
def test_match__tells_everyone_the_same_fields(registry: Registry, key: str) -> None:
    found: dict[str, Any] = registry.match(key=key, k=50, **ASK).json()
    assert set(found) == MATCHED
    assert all(set(one) == FOUND for one in found["matches"])
    assert set(found["matches"][0]["promise"]) == {"order_by", "ready_at", "hold_until", "cancel_free_until"}
    nobody = registry.match(key=key, **ASK | {"features": "helipad"}).json()
    assert set(nobody) == NOBODY
    assert all(set(one) == CODED | {"next_open_at"} for one in nobody["refused"])
    assert set(nobody["would_help"]) == {"later", "farther", "other_modes"}
    everyone = str(found) + str(nobody)
    assert not any(secret in everyone for secret in ("dark", "secret", "quiet", "1234567", "7654321", "4321.5"))


def test_explanation__follows_a_change_of_stock(registry: Registry) -> None:
    """What is stored counts for the checks, what the index knows for the reason."""

    def sell(connection: Any) -> None:
        mine = offers.c.point_id == "mine:good"
        connection.run(update(offers).where(mine).values(capacity=0))
        connection.run(update(points).where(points.c.point_id == "mine:good").values(stock_revision=1))
        connection.record_change("stock", "mine:good", 1, "mine")

    registry.services.store.write_now(sell)
    registry.follow()
    about = registry.explain(key="mine", point="mine:good", at=NOW, **ASK).json()["point"]
    assert (about["reason"], about["capacity"], about["checks"]["capacity"]) == ("full", 0, "full")

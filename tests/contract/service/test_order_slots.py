"""Preparation slots: so many orders in so many minutes; what is full is neither offered by a match nor taken by an order."""

from __future__ import annotations

import datetime as dt
import io
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pyarrow as pa
import pytest

from tests.contract.service.shops import open_shops, square
from tests.contract.service.stocked import LAT, LNG, PICKUP, Counter, open_counter
from tests.contract.service.talking import problem
from tests.serving import Serving

SLOT = {"slot": {"orders": 2, "minutes": 30}, "area": square()}
ARROW = "application/vnd.apache.arrow.stream"


@pytest.fixture(scope="module")
def counter(service: Serving) -> Iterator[Counter]:
    with open_shops(service, "slots") as shops:
        yield open_counter(shops, service)


def _at(hours: int, minutes: int = 0) -> str:
    start = dt.datetime.now(dt.UTC).replace(minute=0, second=0, microsecond=0)
    return (start + dt.timedelta(hours=hours, minutes=minutes)).isoformat()


def _match(counter: Counter, at: str, **more: Any) -> dict[str, Any]:
    query = {"lat": LAT, "lng": LNG, "offer": PICKUP, "at": at, "features": "merchant:slots", **more}
    return counter.shops.app.get("/v1/match", params=query).json()


def _by_arrow(counter: Counter, at: str) -> dict[str, Any]:
    columns: dict[str, list[Any]] = {
        "lat": [LAT],
        "lng": [LNG],
        "offer": [PICKUP],
        "at": [at],
        "features": ["merchant:slots"],
    }
    sink = io.BytesIO()
    table = pa.table(columns)
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    answer = counter.shops.app.post("/v1/match:batch", content=sink.getvalue(), headers={"Content-Type": ARROW})
    assert answer.status_code == httpx.codes.OK, answer.text
    with pa.ipc.open_stream(answer.content) as stream:
        return stream.read_all().to_pylist()[0]


def _points(counter: Counter, at: str, **more: Any) -> list[str]:
    return [one["point_id"] for one in _match(counter, at, **more)["matches"]]


def _wait_for(counter: Counter, at: str, expected: list[str], **more: Any) -> None:
    until = time.monotonic() + 5
    while _points(counter, at, **more) != expected and time.monotonic() < until:
        time.sleep(0.02)
    assert _points(counter, at, **more) == expected


def test_slot__that_is_full_is_neither_offered_nor_taken(counter: Counter) -> None:
    shop = counter.shop("first", offer=SLOT)
    other = counter.shop("second", offer=SLOT, lat=LAT + 0.001)
    late, next_slot = _at(3, 29), _at(3, 30)
    _wait_for(counter, late, [shop, other], k=2)
    first, _ = (counter.order(shop, {}, at=_at(3, 5 * number)) for number in range(2))
    _wait_for(counter, late, [other], k=1)
    assert _points(counter, late, k=2) == [other]
    assert _points(counter, next_slot, k=2) == [shop, other]
    assert _by_arrow(counter, late)["point_id"] == other
    refused = counter.send(counter.body(shop, {}, at=late))
    assert problem(refused) == (409, "sold-out")
    assert (refused.json()["reason"], refused.json()["next"]["point_id"]) == ("full", other)
    assert refused.json()["detail"] == "the point has as many orders as it can take in that preparation slot"
    query: dict[str, Any] = {
        "lat": LAT,
        "lng": LNG,
        "offer": PICKUP,
        "at": late,
        "features": "merchant:slots",
        "point": shop,
    }
    told = counter.shops.own.get("/v1/match:explain", params=query).json()
    assert (told["match"]["point_id"], told["nearer"]) == (other, [told["nearer"][0]])
    assert (told["nearer"][0]["point_id"], told["nearer"][0]["reason"]) == (shop, "full")
    assert told["point"]["reason"] == "full"
    for number in range(2):
        counter.order(other, {}, at=_at(3, 10 * number))
    _wait_for(counter, late, [])
    nobody = _match(counter, late)
    assert (nobody["reason"], nobody["refused"][0]["point_id"]) == ("full", shop)
    assert nobody["would_help"]["later"]["at"] == next_slot.replace("+00:00", "Z")
    assert _by_arrow(counter, late)["status"] == "full"
    counter.act(first, "cancel")
    _wait_for(counter, late, [shop])
    assert counter.order(shop, {}, at=late)["state"] == "held"

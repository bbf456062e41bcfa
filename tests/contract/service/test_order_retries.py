"""A request that creates an order does so once, however often it is sent: R6's core, on both databases."""

from __future__ import annotations

import asyncio
import datetime as dt
import uuid
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from service.store.order_tables import orders
from tests.contract.service.desk import Desk
from tests.contract.service.talking import problem
from tests.scale import scaled

N_ORDERS, N_SENT = 100, 5


def test_order_sent_five_times_at_once__is_made_once_and_answered_with_the_same_bytes(desk: Desk) -> None:
    shop, n_waited = desk.shop(stock={"milk": 1_000}), 0
    for number in range(scaled(N_ORDERS)):
        body, key = desk.body(shop, {"milk": 1}), uuid.uuid4().hex
        sent = desk.registry.runner.run(_sent_together(desk, body, key))
        answers = [answer for answer, _ in sent]
        n_waited += sum(n for _, n in sent)
        assert {answer.status_code for answer in answers} == {201}
        assert len({answer.content for answer in answers}) == 1
        assert len({(answer.headers["etag"], answer.headers["location"]) for answer in answers}) == 1
        assert sum("idempotency-replayed" in answer.headers for answer in answers) == N_SENT - 1
        assert (_count(desk, shop), desk.stock(shop, "milk")) == (number + 1, (1_000, number + 1))
    assert n_waited > 0  # they did meet


async def _sent_together(desk: Desk, body: dict[str, Any], key: str) -> list[tuple[httpx.Response, int]]:
    return await asyncio.gather(*(_sent_until_answered(desk, body, key) for _ in range(N_SENT)))


async def _sent_until_answered(desk: Desk, body: dict[str, Any], key: str) -> tuple[httpx.Response, int]:
    """Send an order again for as long as the first one that was sent is still running; tell how often, too."""
    headers = {"Idempotency-Key": key, "Authorization": f"Bearer {desk.registry.keys['app']}"}
    n_waited = 0
    while True:
        answer = await desk.registry.client.post("/v1/orders", json=body, headers=headers)
        if answer.status_code != 409 or problem(answer)[1] != "idempotency-in-progress":
            return answer, n_waited
        assert answer.headers["retry-after"] == "1"
        n_waited += 1
        await asyncio.sleep(0.001)


def _count(desk: Desk, shop: str) -> int:
    query = select(func.count().label("n")).where(orders.c.point_id == shop)
    return int(desk.rows(query)[0].n)


def test_retry__is_answered_as_the_first_time_whatever_has_changed_since(desk: Desk) -> None:
    shop = desk.shop(stock={"milk": 5})
    body, key = desk.body(shop, {"milk": 2}, total_minor=2000), uuid.uuid4().hex
    first = desk.ask(body, once=key)
    desk.count(shop, "milk", 5, price_minor=1200)
    desk.done(first.json(), "cancel", "app")
    desk.registry.clock.at += dt.timedelta(hours=20)
    again = desk.ask(body, once=key)
    assert (again.status_code, again.content, again.headers["etag"]) == (201, first.content, first.headers["etag"])
    assert (again.headers["idempotency-replayed"], _count(desk, shop)) == ("true", 1)
    answer = desk.ask(body)
    assert (problem(answer), answer.json()["total_minor"]) == ((409, "price-changed"), 2400)


@pytest.mark.parametrize("changed", [{"items": [{"sku": "milk", "quantity": 3}]}, {"lat": 31.0}, {"buyer": "another"}])
def test_same_key__with_another_body_is_refused(desk: Desk, changed: dict[str, Any]) -> None:
    shop = desk.shop(stock={"milk": 5})
    body, key = desk.body(shop, {"milk": 1}), uuid.uuid4().hex
    assert desk.ask(body, once=key).status_code == 201
    assert problem(desk.ask(body | changed, once=key)) == (422, "idempotency-key-reused")
    assert desk.ask(body, "other-app", once=key).status_code == 201  # another caller's is another
    assert (_count(desk, shop), desk.stock(shop, "milk")) == (2, (5, 2))


@pytest.mark.parametrize(
    ("wanted", "refusal"),
    [
        ({"items": [{"sku": "milk", "quantity": 6}]}, (409, "sold-out")),
        ({"items": [{"sku": "caviar", "quantity": 1}]}, (409, "sold-out")),
        ({"total_minor": 1}, (409, "price-changed")),
        ({"features": ["lift"]}, (409, "not-feasible")),
        ({"point_id": "corner:later"}, (404, "not-found")),
    ],
)
def test_refusal__is_answered_again_with_the_same_bytes_after_its_reason_has_gone(
    desk: Desk, wanted: dict[str, Any], refusal: tuple[int, str]
) -> None:
    shop = desk.shop(stock={"milk": 5})
    body, key = desk.body(shop, {"milk": 1}) | wanted, uuid.uuid4().hex
    first = desk.ask(body, once=key)
    assert problem(first) == refusal
    desk.count(shop, "milk", 9, price_minor=1)
    desk.count(shop, "caviar", 9)
    if refusal[1] == "not-found":
        desk.shop("later", stock={"milk": 5})
    again = desk.ask(body, once=key)
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert again.headers["content-type"] == "application/problem+json"
    assert again.headers["idempotency-replayed"] == "true"
    assert _count(desk, shop) == 0
    if refusal[1] in {"sold-out", "not-found"}:
        assert desk.ask(body).status_code == 201


def test_refusal_to_one_who_is_to_wait__is_not_kept(desk: Desk) -> None:
    shop = desk.shop(stock={"milk": 5})
    for _ in range(10):
        desk.done(desk.order(shop, {"milk": 1}, device="d"), "cancel", "app")
    body, key = desk.body(shop, {"milk": 1}, device="d"), uuid.uuid4().hex
    assert problem(desk.ask(body, once=key)) == (429, "rate-limited")
    desk.registry.clock.at += dt.timedelta(hours=1)
    assert desk.ask(body, once=key).status_code == 201

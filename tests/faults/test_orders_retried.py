"""A retry creates one order: sent five times at once, cut and killed on the way, its commit's reply lost (R6, F8)."""

from __future__ import annotations

import json
import secrets
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.contract.service.talking import ask
from tests.cut_wire import wire_to
from tests.faults.buying import Answer, Caller, Market, body_of, open_market, unbalanced, unsound
from tests.faults.retrying import Losing, Sent, send_and_kill, settled
from tests.scale import FULL
from tests.serving import Place, fresh_database, running_service

N_ORDERS = 2_000 if FULL else 60
N_LIVES = 10 if FULL else 1
PATH = "/v1/orders"
N_LOST = 500 if FULL else 20
SEED = secrets.randbelow(2**32)


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    url = fresh_database(request.getfixturevalue("postgres_url")) if request.param == "postgres" else None
    return Place(tmp_path / "data", url)


def _prepared(market: Market) -> list[Sent]:
    """Return the orders to send: of every tenth there is none in stock."""
    market.put_stock("milk", N_ORDERS)
    market.put_stock("none", 0)
    found = []
    for number in range(N_ORDERS):
        body = body_of(market.point_id, "none" if number % 10 == 9 else "milk")
        found.append(Sent(f"key-{number}", json.dumps(body).encode()))
    return found


def _settle(app: Caller, own: Caller, point_id: str, orders: list[Sent]) -> Answer:
    """Send all orders until they are answered, some again after prices and stock have changed; return a wrong sending."""
    for sent in orders:
        sent.answers.append(settled(app, PATH, sent))
    for sku in ("milk", "none"):
        entry = {"name": sku, "price_minor": 1200, "currency": "CNY", "counted": N_ORDERS}
        assert own.call("PUT", f"/v1/points/{point_id}/stock/{sku}", entry).status == 200
    for sent in orders[:: max(1, N_ORDERS // 100)]:
        sent.answers.append(settled(app, PATH, sent))
    return settled(app, PATH, Sent(orders[0].key, orders[1].body))


def test_orders__sent_five_times_under_cuts_and_kills_are_made_once(
    place: Place, record_property: Callable[[str, object], None]
) -> None:
    workers = [] if place.database is None else ["--workers=2"]
    unexpected: list[Answer] = []
    with running_service(place, *workers) as serving, open_market(serving) as market:
        orders, admin_key, step = _prepared(market), serving.admin_key, N_ORDERS // N_LIVES
        unexpected += send_and_kill(serving, market.app_key, PATH, orders[:step], SEED)
    for first in range(step, N_ORDERS, step):
        with running_service(place, *workers, admin_key=admin_key) as serving:
            unexpected += send_and_kill(serving, market.app_key, PATH, orders[first : first + step], SEED)
    assert unexpected == [], f"seed {SEED}"
    n_answered = sum(bool(sent.answers) for sent in orders)
    with running_service(place, *workers, admin_key=admin_key) as serving:
        app, own = Caller(serving.base_url, market.app_key), Caller(serving.base_url, market.own_key)
        other = _settle(app, own, market.point_id, orders)
        app.close()
        own.close()
    assert (other.status, other.slug) == (422, "idempotency-key-reused")
    assert [sent.key for sent in orders if len({(one.status, one.body) for one in sent.answers}) != 1] == []
    told = Counter(sent.answers[0].status for sent in orders)
    record_property("retried", f"{told}, {n_answered} answered before the last start")
    assert told == {201: N_ORDERS - N_ORDERS // 10, 409: N_ORDERS // 10}
    assert ask(place, "SELECT count(*) FROM orders")[0][0] == told[201]
    assert len({json.loads(sent.answers[0].body).get("order_id", sent.key) for sent in orders}) == N_ORDERS
    assert unsound(place) == unbalanced(place, {"milk": N_ORDERS}) == []


@pytest.fixture(scope="module")
def losing(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Losing, Market]]:
    database, folder = fresh_database(postgres_url), tmp_path_factory.mktemp("lost")
    with (
        wire_to(database) as (wire, address),
        running_service(Place(folder, address)) as serving,
        open_market(serving) as market,
    ):
        market.put_stock("milk", 10 * N_LOST)
        place = Place(folder, database)
        yield Losing(wire, place, serving.base_url, market.app_key, PATH, "orders"), market


def _bodies(market: Market) -> list[bytes]:
    return [json.dumps(body_of(market.point_id, "milk")).encode() for _ in range(N_LOST)]


def test_orders__whose_commit_was_not_heard_of_are_made_once_by_a_retry(
    losing: tuple[Losing, Market], record_property: Callable[[str, object], None]
) -> None:
    lost, market = losing
    first, n_made = lost.send_all(_bodies(market), "once", "once")
    record_property("lost", str(dict(first)))
    assert first == {503: N_LOST}
    assert n_made == N_LOST
    assert unsound(lost.place) == unbalanced(lost.place, {"milk": 10 * N_LOST}) == []


def test_orders__whose_commit_was_not_heard_of_are_made_twice_without_their_key(losing: tuple[Losing, Market]) -> None:
    lost, market = losing
    _first, n_made = lost.send_all(_bodies(market), "twice", "other")
    assert n_made == 2 * N_LOST

"""A customer who is erased has left nothing behind: in no file, no table, no log, not in Redis; the sums stand (S13)."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from service.clock import SystemClock
from service.feed.housekeeping import Housekeeping
from service.feed.outbox import START, read_changes
from service.orders.rules import Event
from service.store.sqlite_engines import WAL_BYTES
from tests.contract.service.stocked import LAT, LNG
from tests.contract.service.talking import ask
from tests.faults.buying import Caller, Market, body_of, change, open_market, unbalanced, unsound
from tests.faults.leavings import MOST_S, kept_by, stored_at
from tests.faults.ordering import enter_shop, happen, order, order_once, terms_of, wish
from tests.faults.writing import opened
from tests.feed_store import opened_store, wait_until
from tests.servers import ValkeyServer, running_valkey
from tests.serving import Place, fresh_database, running_service

N_ORDERS = 5
NAMES = ("buyer", "device", "collector")
_KEPT = (*NAMES, "cell")


@dataclass
class Held:
    """A market, and everywhere that something of a customer could be kept."""

    market: Market
    redis: ValkeyServer | None

    def found(self, traces: Sequence[str]) -> dict[str, set[str]]:
        """Return which traces are found, by where."""
        kept = kept_by(self.market.serving, self.redis)
        by_place = {where: {trace for trace in traces if trace.encode() in data} for where, data in kept.items()}
        return {where: found for where, found in by_place.items() if found}

    def plant(self, text: str) -> set[str]:
        """Leave a text in a file, in the database and in Redis; return where."""
        file, place = self.market.serving.place.folder / "planted", self.market.serving.place
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
        change(place, f"INSERT INTO marks (name, value) VALUES ('planted', '{text}')")  # noqa: S608
        if self.redis is None:
            return {str(file), "database"}
        with self.redis.client() as client:
            client.set("planted", text)
        return {str(file), "database", "redis"}


@pytest.fixture(params=["sqlite", "postgres"])
def held(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Held]:
    with ExitStack() as stack:
        redis, url, flags = None, None, list[str]()
        if request.param == "postgres":
            redis = stack.enter_context(running_valkey())
            url, flags = fresh_database(request.getfixturevalue("postgres_url")), [f"--redis={redis.url}"]
        serving = stack.enter_context(running_service(Place(tmp_path / "data", url), *flags, log_level="debug"))
        yield Held(stack.enter_context(open_market(serving)), redis)


def _live(market: Market, app: Caller, own: Caller, canary: dict[str, Any]) -> None:
    """Let a customer order, be refused, cancel, and collect some."""
    for number in range(N_ORDERS):
        made = app.order(body_of(market.point_id, "milk") | canary)
        assert made.status == 201, made
        if number % 2:
            assert market.finish(app, own, made.told["order_id"]).status == 200
        else:
            assert app.act(made.told["order_id"], "cancel").status == 200
    assert app.order(body_of(market.point_id, "none") | canary).status == 409
    assert app.order(body_of(market.point_id, "milk", quantity=-1) | canary).status == 422
    wrong = own.call("POST", f"/v1/points/{market.point_id}:collect", {"code": "000000", **_of(canary, "collector")})
    assert wrong.status == 422, wrong
    assert app.call("GET", f"/v1/orders?state={canary['buyer']}").status == 422


def _of(canary: dict[str, Any], name: str) -> dict[str, Any]:
    return {name: canary[name]}


def _kept_of(place: Place) -> tuple[str, ...]:
    """Return what is kept of the one customer who named a collector: digests of all names, and the cell."""
    (kept,) = set(ask(place, "SELECT buyer, device, collector, cell FROM orders WHERE collector IS NOT NULL"))
    assert len(kept) == len(_KEPT)
    return tuple(map(str, kept))


def test_erased_customer__has_left_nothing_behind(held: Held, record_property: Callable[[str, object], None]) -> None:
    """The names are kept nowhere at any time; their digests, and the cell, go."""
    market, place = held.market, held.market.serving.place
    app, own = market.app(), market.own()
    market.put_stock("milk", 100)
    market.put_stock("none", 0)
    names = {name: f"canary{name}{secrets.token_hex(12)}" for name in NAMES}
    assert app.order(body_of(market.point_id, "milk")).status == 201
    _live(market, app, own, {**names, "lat": LAT, "lng": LNG + 0.015})  # another cell than the other's
    traces = _kept_of(place)
    assert set().union(*held.found(traces).values()) == set(traces)
    assert held.found(list(names.values())) == {}
    begun = time.monotonic()
    erased = app.call("POST", "/v1/buyers:erase", _of(names, "buyer"))
    assert (erased.status, erased.told) == (200, {"orders": N_ORDERS, "bookings": 0, "open_bookings": 0})
    wait_until(lambda: held.found(traces) == {}, MOST_S, "forgotten")
    record_property("seconds", round(time.monotonic() - begun, 2))
    app.close()
    own.close()
    assert held.found(list(names.values())) == {}
    rows = ask(place, f"SELECT {', '.join(_KEPT)} FROM orders")  # noqa: S608
    assert sum(row == (None,) * 4 for row in rows) == N_ORDERS
    assert len(rows) == N_ORDERS + 1
    assert unbalanced(place, {"milk": 100}) == unsound(place) == []
    planted, found = held.plant(".".join(traces)), held.found(traces)
    assert {where for where in planted if found.get(where) == set(traces)} == planted


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_orders__are_forgotten_by_themselves_once_they_are_over_for_long(
    database: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """An order that ended, and one that is held: time is turned by what is kept, since it cannot be waited for."""
    url = fresh_database(request.getfixturevalue("postgres_url")) if database == "postgres" else None
    place, over, held = Place(tmp_path / "data", url), wish("milk"), wish("milk")
    with opened_store(place) as store:
        store.write_now(lambda connection: enter_shop(connection, {"milk": 10}))
        terms = terms_of(store)
        order_id = order(store, terms, over).row.order_id
        order(store, terms, held)
        store.write_now(partial(happen, terms=terms, order_id=order_id, event=Event.CANCEL))
        keeping = Housekeeping(store, SystemClock(), keep_changes_s=3600.0, keep_buyers_s=-3600.0)

        def kept() -> list[str]:
            stored = stored_at(place).values()
            return [one.buyer for one in (over, held) if any(one.buyer.encode() in data for data in stored)]

        assert kept() == [over.buyer, held.buyer]

        def is_over_forgotten() -> bool:
            keeping.prune()  # as in each turn: the log is emptied behind a write
            return kept() == [held.buyer]

        wait_until(is_over_forgotten, MOST_S, "forgotten")


def test_log__of_sqlite_shrinks_again_after_a_long_reader_while_orders_are_made(tmp_path: Path) -> None:
    log = tmp_path / "linli.db-wal"
    with opened(str(tmp_path)) as store:
        store.write_now(lambda connection: enter_shop(connection, {"milk": 10_000}))
        terms, number = terms_of(store), 0
        with store.reading() as reader:
            read_changes(reader, START, limit=1)
            while not log.exists() or log.stat().st_size <= WAL_BYTES:
                store.write_now(partial(order_once, terms=terms, key=f"key-{number}", wanted=wish("milk")))
                number += 1
        for _ in range(3):
            store.write_now(partial(order_once, terms=terms, key=f"key-{number}", wanted=wish("milk")))
            number += 1
        assert log.stat().st_size <= WAL_BYTES
    place = Place(tmp_path)
    assert ask(place, "SELECT count(*) FROM orders")[0][0] == number
    assert unsound(place) == unbalanced(place, {"milk": 10_000}) == []

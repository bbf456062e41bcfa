"""Events of orders reach a consumer that is killed between sending and marking: none is lost, each order's in order (R7, F9)."""

from __future__ import annotations

import json
import random
import secrets
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from service.errors import ServiceError
from service.orders.ordering import OrderTerms
from service.orders.rules import Event
from service.store.database import Store
from tests.faults.buying import at_once
from tests.faults.event_consumer import DONE, MARK_FIRST
from tests.faults.ordering import enter_shop, happen, order, terms_of, wish
from tests.faults.test_event_consumers import Sent, Written, judged
from tests.feed_store import opened_store, put_merchant, put_point
from tests.scale import FULL
from tests.serving import Place, fresh_database, running_service

N_ORDERS = 2_000 if FULL else 100
N_KILLS = 200 if FULL else 8
N_WRITERS = 4
FOLLOWS: list[tuple[Event, ...]] = [
    (Event.ACCEPT, Event.READY, Event.COLLECT),
    (Event.CANCEL,),
    (Event.ACCEPT, Event.CANCEL),
]


@pytest.fixture(scope="module", params=["sqlite", "postgres"] if FULL else ["postgres"])
def written(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Written]:
    url = fresh_database(request.getfixturevalue("postgres_url")) if request.param == "postgres" else None
    place = Place(tmp_path_factory.mktemp("written"), url)
    with running_service(place) as serving, opened_store(place) as store:
        store.write_now(lambda connection: enter_shop(connection, {"milk": 2 * N_ORDERS}))
        store.write_now(lambda connection: put_merchant(connection, "m1"))
        yield Written(serving, store)


def _order_all(store: Store, terms: OrderTerms, n: int, seed: int) -> None:
    """Make orders, and let two at a time act on each: their transactions begin in one order and commit in another."""
    made = [order(store, terms, wish("milk", is_placed=True)).row.order_id for _ in range(n)]

    def act(number: int) -> None:
        drawn = random.Random(f"{seed} {number}")  # noqa: S311
        for order_id in made[number // 2 :: N_WRITERS // 2]:
            for event in drawn.choice(FOLLOWS):
                with suppress(ServiceError):  # the other was quicker
                    store.write_now(partial(happen, terms=terms, order_id=order_id, event=event))

    at_once(N_WRITERS, act)
    store.write_now(lambda connection: put_point(connection, f"m1:{DONE}"))


def _of_orders(sent: Sent) -> Sent:
    return [(event_id, data) for event_id, data in sent if json.loads(data)["kind"] == "order"]


def _committed_of_orders(written: Written, sent: Sent) -> set[str]:
    """Return the ids of all events of orders: those of all, but of what was sent and is of another kind."""
    others = {event_id for event_id, data in sent if json.loads(data)["kind"] != "order"}
    return written.committed() - others


def test_consumer__killed_between_sending_and_marking_gets_every_event_of_each_order_in_order(
    written: Written, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    seed = secrets.randbits(32)
    sent: Sent = []
    terms = terms_of(written.store)

    def work(number: int) -> None:
        if number == 0:
            _order_all(written.store, terms, N_ORDERS, seed)
        else:
            drawn = random.Random(f"{seed} consumer")  # noqa: S311
            longest = max(2, 8 * N_ORDERS // N_KILLS)
            sent.extend(written.consume(tmp_path, N_KILLS, drawn, longest=longest))

    at_once(2, work)
    verdict = judged(_committed_of_orders(written, sent), _of_orders(sent))
    record_property("verdict", f"seed {seed}, {len(_of_orders(sent))} events of orders, {verdict}")
    assert verdict.is_good, verdict
    assert len(_of_orders(sent)) > 3 * N_ORDERS
    assert verdict.n_duplicates <= N_KILLS


def test_consumer__that_marks_before_it_sends_is_found_to_lose_events(written: Written, tmp_path: Path) -> None:
    _order_all(written.store, terms_of(written.store), 20, 1)
    sent = written.consume(tmp_path, 6, random.Random(2), MARK_FIRST, longest=60)  # noqa: S311
    assert judged(_committed_of_orders(written, sent), _of_orders(sent)).n_lost > 0

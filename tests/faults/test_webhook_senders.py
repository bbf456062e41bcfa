"""Every committed event reaches every webhook, in order per order, however often senders die (R7, F9)."""

from __future__ import annotations

import contextlib
import os
import random
import secrets
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Self

import pytest
from sqlalchemy import func, select

from service.audit.store import COMMAND
from service.store.database import Store
from service.store.order_tables import webhook_deliveries
from service.webhooks.store import Whose, create_webhook
from service.webhooks.worker import PLACES
from tests.contract.service.hooked import data_of
from tests.faults.webhook_sender import MARK_FIRST
from tests.feed_store import opened_store
from tests.nursery import Forked, nursery
from tests.order_rows import put_event, put_shop
from tests.receivers import Receiver, receiver
from tests.scale import scaled
from tests.serving import Place, environment_of, fresh_database

N_KILLS = scaled(50)  # on each database
N_DEATHS = scaled(50)  # between sending and marking, and never at another moment
EVENTS_A_KILL = 50
KILL_EVERY_S = 2.0
N_SENDERS, N_ORDERS = 2, 20
HOOKS = (Whose(merchant_id="shop"), Whose(app="phone app"), Whose())
END_S = 60.0


@dataclass(frozen=True)
class Verdict:
    """What became of the events that were committed, over all receivers."""

    n_lost: int
    n_disordered: int
    n_duplicates: int
    n_unstable: int


def judged(committed: set[tuple[str, int]], receivers: list[Receiver]) -> Verdict:
    """Judge what came: in which order, how often, and with which ids."""
    n_lost = n_disordered = n_duplicates = n_unstable = 0
    for one in receivers:
        latest: Counter[str] = Counter()
        ids: dict[tuple[str, int], set[str]] = {}
        for got in one.got:
            data = data_of(got.body)
            event = data["order_id"], data["revision"]
            if event not in ids:
                n_disordered += data["revision"] <= latest[data["order_id"]]
                latest[data["order_id"]] = max(latest[data["order_id"]], data["revision"])
            ids.setdefault(event, set()).add(got.event_id)
        n_lost += len(committed - ids.keys())
        n_duplicates += len(one.got) - len(ids)
        n_unstable += sum(len(known) > 1 for known in ids.values()) + len(ids.keys() - committed)
    return Verdict(n_lost, n_disordered, n_duplicates, n_unstable)


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    url = fresh_database(request.getfixturevalue("postgres_url")) if request.param == "postgres" else None
    return Place(tmp_path / "data", url)


class Senders:
    """Senders that are started again whenever they died, to die after as many tries as is drawn; ``how`` are words for them."""

    def __init__(self, place: Place, *how: str, dies_at: Callable[[], int] = lambda: sys.maxsize) -> None:
        self._place, self._how, self.dies_at = place, how, dies_at
        self._ended = threading.Event()
        self._running: dict[int, Forked] = {}
        self._keepers = [threading.Thread(target=self._keep, args=(number,)) for number in range(N_SENDERS)]
        self.n_deaths = 0

    def __enter__(self) -> Self:
        for keeper in self._keepers:
            keeper.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._ended.set()
        for number in range(N_SENDERS):
            self.kill(number)
        for keeper in self._keepers:
            keeper.join()

    def kill(self, number: int) -> None:
        """Kill a sender, whatever it does."""
        one = self._running.get(number)
        if one is not None:
            one.kill()

    def _keep(self, number: int) -> None:
        while not self._ended.is_set():
            words = [str(self._place.folder), self._place.database or "-", str(self.dies_at()), *self._how]
            nowhere = Path(os.devnull)
            one = nursery().fork(words, environment_of(), nowhere, nowhere, "tests.faults.webhook_sender")
            self._running[number] = one
            while one.poll() is None:
                if self._ended.wait(0.02):
                    one.kill()
            assert one.returncode == -signal.SIGKILL
            self.n_deaths += not self._ended.is_set()


@dataclass(frozen=True)
class Shop:
    """A store with webhooks, and their receivers."""

    store: Store
    receivers: list[Receiver]
    committed: set[tuple[str, int]]

    def happen(self, drawn: random.Random, n: int, pause_s: float = 0.0) -> None:
        """Let events happen, one after the other, to orders that are drawn."""
        for _ in range(n):
            order_id = f"shop.{drawn.randrange(N_ORDERS)}-{len(self.committed) // 500}"
            revision = self.store.write_now(partial(put_event, order_id=order_id, event="happened"))
            self.committed.add((order_id, revision))
            time.sleep(pause_s)

    def wait_until_sent(self) -> None:
        """Wait until every delivery is marked."""
        query = select(func.count()).select_from(webhook_deliveries).where(webhook_deliveries.c.state == "delivered")
        until, n = time.monotonic() + END_S, len(self.committed) * len(HOOKS)
        while self.store.read_now(lambda connection: connection.value(query)) < n:
            assert time.monotonic() < until
            time.sleep(0.05)
        time.sleep(0.2)


@pytest.fixture
def shop(place: Place) -> Iterator[Shop]:
    with contextlib.ExitStack() as stack:
        store = stack.enter_context(opened_store(place))
        receivers = [stack.enter_context(receiver()) for _ in HOOKS]
        store.write_now(lambda connection: put_shop(connection, "shop"))
        for whose, one in zip(HOOKS, receivers, strict=True):
            store.write_now(partial(create_webhook, actor=COMMAND, whose=whose, url=one.url))
        yield Shop(store, receivers, set())


@pytest.fixture
def drawn(record_property: Callable[[str, object], None]) -> random.Random:
    seed = secrets.randbits(32)
    record_property("seed", seed)
    return random.Random(seed)  # noqa: S311


def test_senders__killed_at_any_time_lose_nothing_and_send_little_twice(
    shop: Shop, place: Place, drawn: random.Random, record_property: Callable[[str, object], None]
) -> None:
    with Senders(place) as senders:
        shop.happen(drawn, EVENTS_A_KILL)
        shop.wait_until_sent()
        for number in range(N_KILLS):  # one after the other: each time it is the one that sends
            shop.happen(drawn, EVENTS_A_KILL, KILL_EVERY_S / EVENTS_A_KILL * drawn.uniform(0.5, 1.5))
            senders.kill(number % N_SENDERS)
        shop.wait_until_sent()
    verdict = judged(shop.committed, shop.receivers)
    record_property("verdict", str(verdict))
    assert senders.n_deaths >= N_KILLS
    assert (verdict.n_lost, verdict.n_disordered, verdict.n_unstable) == (0, 0, 0)
    assert verdict.n_duplicates <= senders.n_deaths * len(HOOKS) * PLACES[False], verdict  # what was on its way
    record_property("repeated", verdict.n_duplicates / (len(shop.committed) * len(HOOKS)))


def test_senders__killed_between_sending_and_marking_send_again_no_more_than_was_on_its_way(
    shop: Shop, place: Place, drawn: random.Random
) -> None:
    with Senders(place, dies_at=lambda: drawn.randint(1, 60)) as senders:
        while senders.n_deaths < N_DEATHS:
            shop.happen(drawn, 5, 0.02)
        senders.dies_at = lambda: sys.maxsize
        shop.happen(drawn, 100)  # of which those that live die
        shop.wait_until_sent()
    verdict = judged(shop.committed, shop.receivers)
    assert (verdict.n_lost, verdict.n_disordered, verdict.n_unstable) == (0, 0, 0)
    assert senders.n_deaths <= verdict.n_duplicates <= senders.n_deaths * len(HOOKS) * PLACES[False], verdict


def test_judge__sees_what_is_lost_by_who_marks_first(shop: Shop, place: Place, drawn: random.Random) -> None:
    with Senders(place, MARK_FIRST, dies_at=lambda: 10) as senders:
        shop.happen(drawn, 20)
        while senders.n_deaths < 1:
            time.sleep(0.01)
        senders.dies_at = lambda: sys.maxsize
        shop.wait_until_sent()
    assert judged(shop.committed, shop.receivers).n_lost > 0

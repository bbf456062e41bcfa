"""Nothing is sold twice: two hundred buyers at the last ten units, with cancels and holds that expire (R1)."""

from __future__ import annotations

import logging
import random
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest

from tests.contract.service.talking import ask
from tests.faults.buying import Caller, Market, at_once, body_of, change, open_market, unbalanced, unsound
from tests.scale import FULL
from tests.serving import LINLI, Place, fresh_database, running_service
from tests.unguarded import without

N_ROUNDS = 50 if FULL else 3
N_BUYERS = 200
N_UNITS = 10
N_AT_ONCE = 50
SEED = secrets.randbelow(2**32)
_LOG = logging.getLogger(__name__)
_EXPIRE = "UPDATE orders SET expires_at = order_at, due_at = order_at WHERE order_id = '{}'"
_CHECKS = ("stock_held", "stock_counted")
_WRITING = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'linli' AND backend_xid IS NOT NULL
"""


@dataclass
class Fair:
    """What many buyers did at a market, and what was seen meanwhile."""

    market: Market
    initial: dict[str, int] = field(default_factory=dict)
    sold: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    n_reads: int = 0
    most_overlapping: int = 0
    ended: threading.Event = field(default_factory=threading.Event)

    def round(self, number: int) -> None:
        """Let all buyers come for the last units of an SKU."""
        sku = f"r{number}"
        self.market.put_stock(sku, N_UNITS)
        self.initial[sku] = N_UNITS

        def buy(thread: int) -> None:
            drawn = random.Random(f"{SEED} {number} {thread}")  # noqa: S311
            app, own = self.market.app(), self.market.own()
            for _ in range(N_BUYERS // N_AT_ONCE):
                self.buyer(app, own, sku, drawn.choices(("buys", "cancels", "leaves"), (65, 20, 15))[0])
            app.close()
            own.close()

        at_once(N_AT_ONCE, buy)

    def buyer(self, app: Caller, own: Caller, sku: str, does: str) -> bool:
        """Let one buyer come; tell whether he got it."""
        answer = app.order(body_of(self.market.point_id, sku))
        if answer.status != 201:
            if (answer.status, answer.slug) != (409, "sold-out"):
                self.wrong.append(f"refused: {answer}")
            return False
        order_id = answer.told["order_id"]
        if does == "leaves":
            change(self.market.serving.place, _EXPIRE.format(order_id))
            return True
        done = app.act(order_id, "cancel") if does == "cancels" else self.market.finish(app, own, order_id)
        if done.status != 200:
            self.wrong.append(f"{does}: {done}")
        elif does == "buys":
            self.sold.append(sku)
        return True

    def sell_the_rest(self, seconds: float) -> None:
        """Let buyers come until nothing is left, as holds expire."""
        app, own, until = self.market.app(), self.market.own(), time.monotonic() + seconds
        while len(self.sold) < sum(self.initial.values()) and time.monotonic() < until:
            for sku in [sku for sku, n in self.initial.items() if self.sold.count(sku) < n]:
                self.buyer(app, own, sku, "buys")
            time.sleep(0.1)
        app.close()
        own.close()

    def watch(self) -> None:
        """Read the stock over and over, and how many transactions overlap."""
        place = self.market.serving.place
        while not self.ended.wait(0.02):
            self.wrong += unbalanced(place, dict(self.initial))
            self.n_reads += 1

    def count_overlapping(self) -> None:
        """Count the transactions that have begun to write, over and over."""
        database = self.market.serving.place.database
        if database is None:
            return
        with psycopg.connect(database, autocommit=True) as connection:
            while not self.ended.wait(0.003):
                row = connection.execute(_WRITING).fetchone()
                self.most_overlapping = max(self.most_overlapping, 0 if row is None else row[0])


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    url = fresh_database(request.getfixturevalue("postgres_url")) if request.param == "postgres" else None
    return Place(tmp_path / "data", url)


@pytest.fixture
def open_fair(place: Place) -> Iterator[Callable[..., Fair]]:
    with ExitStack() as stack:

        def opened(guard: str | None = None) -> Fair:
            program = LINLI if guard is None else without(guard)
            flags = (
                [] if place.database is None or guard is not None else ["--workers=2"]
            )  # they are of the whole linli
            serving = stack.enter_context(running_service(place, *flags, program=program))
            return Fair(stack.enter_context(open_market(serving)))

        yield opened


def test_last_units__are_sold_once(
    open_fair: Callable[..., Fair], place: Place, record_property: Callable[[str, object], None]
) -> None:
    fair = open_fair()
    watching = [threading.Thread(target=fair.watch), threading.Thread(target=fair.count_overlapping)]
    for thread in watching:
        thread.start()
    begun = time.monotonic()
    try:
        for number in range(N_ROUNDS):
            fair.round(number)
        fair.sell_the_rest(30.0)
    finally:
        fair.ended.set()
        for thread in watching:
            thread.join()
    seconds = time.monotonic() - begun
    ended = dict(ask(place, "SELECT state, count(*) FROM orders GROUP BY state"))
    told = {"orders": ended, "reads": fair.n_reads, "overlapping": fair.most_overlapping, "seconds": round(seconds, 1)}
    record_property("fair", str(told))
    _LOG.info("%s", told)
    assert fair.wrong == [], f"seed {SEED}"
    assert len(fair.sold) == N_ROUNDS * N_UNITS
    assert ended["collected"] == N_ROUNDS * N_UNITS
    assert {"cancelled", "expired"} <= ended.keys() <= {"collected", "cancelled", "expired"}
    assert unbalanced(place, fair.initial) == unsound(place) == []
    assert fair.n_reads > 10
    assert place.database is None or fair.most_overlapping > 1


@pytest.mark.parametrize("place", ["sqlite", "postgres"] if FULL else ["sqlite"], indirect=True)
def test_last_units__are_oversold_without_the_guard(open_fair: Callable[..., Fair], place: Place) -> None:
    fair = open_fair("stock")
    if place.database is not None:
        for check in _CHECKS:
            change(place, f"ALTER TABLE stock DROP CONSTRAINT {check}")
    fair.market.put_stock("milk", N_UNITS)
    taken = []

    def buy(_thread: int) -> None:
        app = fair.market.app()
        taken.append(app.order(body_of(fair.market.point_id, "milk")).status)
        app.close()

    at_once(N_AT_ONCE, buy)
    assert taken.count(201) > N_UNITS
    assert unbalanced(place, {"milk": N_UNITS}) != []

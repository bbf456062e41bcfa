"""Orders on one stock key behave as if one after the other; all that were acknowledged are there; sums balance (R5)."""

from __future__ import annotations

import itertools
import random
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Literal

import pytest
from sqlalchemy import select, text

from service.errors import DeadlineExceededError, NotFeasibleError, StorageUnavailableError
from service.orders.ordering import OrderTerms, hold
from service.orders.rules import Event
from service.stock.store import find_entry
from service.store.connections import ReadConnection
from service.store.database import Store
from service.store.order_tables import orders
from tests.faults.buying import EQUATION, at_once
from tests.faults.linear import Op, Outcome, bank_faults, is_linearizable, set_faults
from tests.faults.ordering import POINT, enter_shop, happen, order, terms_of, wish
from tests.faults.writing import opened
from tests.scale import FULL
from tests.serving import fresh_database

N_KEYS = 200 if FULL else 3
N_CLIENTS, N_OPS = 5, 60
N_UNITS = 4
N_ORDERS = 20_000 if FULL else 400
N_BUYERS = 8
MAYBE_SHARE, MAYBE_SECONDS = 0.02, 0.002
SEED = secrets.randbelow(2**32)
What = Literal["take", "give", "read"]


@pytest.fixture(params=["sqlite", "postgres"])
def stores(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[list[Store]]:
    """Give stores on one database: one on SQLite, on PostgreSQL two, as of two processes."""
    is_sqlite = request.param == "sqlite"
    place = str(tmp_path) if is_sqlite else fresh_database(request.getfixturevalue("postgres_url"))
    found = [opened(place) for _ in range(1 if is_sqlite else 2)]
    yield found
    for store in found:
        store.close()


@dataclass
class Client:
    """One who takes, gives back and reads one SKU, and notes what he was told."""

    store: Store
    terms: OrderTerms
    sku: str
    drawn: random.Random
    history: list[Op] = field(default_factory=list)
    own: list[tuple[str, int]] = field(default_factory=list)

    def run(self) -> None:
        """Do all operations."""
        for _ in range(N_OPS):
            what: What = self.drawn.choices(("take", "give", "read"), (5, 4, 3))[0]
            if what == "give" and not self.own:
                what = "take"
            self._note(what, self.drawn.uniform(0.0, MAYBE_SECONDS) if self.drawn.random() < MAYBE_SHARE else 30.0)

    def _note(self, what: What, seconds: float) -> None:
        units, called_at = 0, time.monotonic()
        outcome: Outcome = "ok"
        try:
            if what == "take":
                units = self.drawn.randint(1, 2)
                wanted = wish(self.sku, units)
                made = self.store.write_now(lambda c: hold(c, self.terms, wanted), seconds)
                self.own.append((made.row.order_id, units))
            elif what == "give":
                order_id, units = self.own.pop(self.drawn.randrange(len(self.own)))
                self.store.write_now(lambda c: happen(c, self.terms, order_id, Event.CANCEL), seconds)
            else:
                units = self.store.read_now(lambda c: _free(c, self.sku), seconds)
        except NotFeasibleError:
            outcome = "refused"
        except (DeadlineExceededError, StorageUnavailableError):
            outcome = "maybe"
        self.history.append(Op(what, units, outcome, called_at, time.monotonic()))


def _free(connection: ReadConnection, sku: str) -> int:
    entry = find_entry(connection, POINT, sku)
    assert entry is not None
    return int(entry.counted - entry.held)


def history_of(stores: list[Store], terms: OrderTerms, number: int) -> list[Op]:
    """Let clients work on a key at the same time; return what they were told."""
    drawn = random.Random(f"{SEED} {number}")  # noqa: S311
    clients = [
        Client(stores[i % len(stores)], terms, f"k{number}", random.Random(drawn.random()))  # noqa: S311
        for i in range(N_CLIENTS)
    ]
    at_once(N_CLIENTS, lambda i: clients[i].run())
    return [op for client in clients for op in client.history]


def _overlapping(history: list[Op]) -> int:
    ordered = sorted(history, key=lambda op: op.called_at)
    return sum(later.called_at < one.returned_at for one, later in itertools.pairwise(ordered))


def test_orders__on_one_stock_key_are_linearizable(
    stores: list[Store], record_property: Callable[[str, object], None]
) -> None:
    stores[0].write_now(lambda connection: enter_shop(connection, {f"k{i}": N_UNITS for i in range(N_KEYS)}))
    terms, begun, n_maybe, n_overlapping = terms_of(stores[0]), time.monotonic(), 0, 0
    for number in range(N_KEYS):
        history = history_of(stores, terms, number)
        assert is_linearizable(history, N_UNITS), f"key {number}, seed {SEED}"
        n_maybe += sum(op.outcome == "maybe" for op in history)
        n_overlapping += _overlapping(history)
        assert {op.outcome for op in history} >= {"ok", "refused"}
    seconds = time.monotonic() - begun
    record_property("linear", f"{N_KEYS} keys, {n_maybe} maybe, {n_overlapping} overlapping, {seconds:.1f} s")
    assert n_overlapping > N_KEYS * N_OPS
    assert n_maybe > 0


def _one(what: What, units: int, at: float, outcome: Outcome = "ok", lasts: float = 1.0) -> Op:
    return Op(what, units, outcome, at, at + lasts)


GOOD = [
    _one("take", 2, 0),
    _one("read", 2, 2),
    _one("take", 2, 4, lasts=3),
    _one("read", 2, 5, lasts=0.5),
    _one("take", 1, 8, "refused"),
    _one("give", 2, 10),
    _one("take", 1, 11.5, "maybe"),
    _one("read", 2, 12),
    _one("read", 1, 14),
    _one("take", 1, 16),
    _one("read", 0, 18),
]


@pytest.mark.parametrize(
    "history",
    [
        [*GOOD, _one("take", 1, 20)],  # oversold
        [*GOOD[:4], _one("take", 1, 4.5, "refused", 0.1), _one("take", 1, 7.2, "ok", 0.1)],  # one of both is a lie
        [GOOD[0], _one("read", 4, 2)],  # stale: it does not see what was acknowledged
        [GOOD[0], _one("take", 2, 2, "refused")],  # refused though there was enough
        [*GOOD[:6], _one("read", 0, 12)],  # what was given back is lost
        [*GOOD[:6], _one("read", 4, 12)],  # given back twice
        [_one("read", 2, 0), _one("take", 2, 2)],  # read before it was there
        [*GOOD[:8], _one("read", 1, 14), _one("read", 2, 16)],  # a maybe that took effect, then not
    ],
)
def test_checker__finds_planted_anomalies(history: list[Op]) -> None:
    assert not is_linearizable(history, 4)


def test_checker__takes_what_a_counter_could_do() -> None:
    assert is_linearizable(GOOD, 4)
    assert is_linearizable([*GOOD[:6], replace(GOOD[6], called_at=0.0)], 4)


def test_checker__finds_an_anomaly_planted_in_a_real_history(tmp_path: Path) -> None:
    with opened(str(tmp_path)) as store:
        store.write_now(lambda connection: enter_shop(connection, {"k0": N_UNITS}))
        history = history_of([store], terms_of(store), 0)
    assert is_linearizable(history, N_UNITS)
    last = max(op.returned_at for op in history) + 1
    left = max(n for n in range(N_UNITS + 1) if is_linearizable([*history, _one("read", n, last)], N_UNITS))
    assert not is_linearizable([*history, _one("take", left + 1, last)], N_UNITS)
    reads = [i for i, op in enumerate(history) if op.what == "read" and op.outcome == "ok"]
    wrong = replace(history[reads[0]], units=N_UNITS + 1)
    assert not is_linearizable([wrong if i == reads[0] else op for i, op in enumerate(history)], N_UNITS)


def _parts(connection: ReadConnection, initial: dict[str, int]) -> dict[str, tuple[int, int, int]]:
    """Read by SKU what was sold, what open orders hold, and what is free."""
    return {
        row[1]: (int(row[5]), int(row[4]), int(row[2] - row[3]))
        for row in connection.rows(text(EQUATION))
        if row[1] in initial
    }


def test_orders__that_were_acknowledged_are_there_once_and_sums_balance_at_every_read(
    stores: list[Store], record_property: Callable[[str, object], None]
) -> None:
    initial = {f"s{i}": N_ORDERS // 10 for i in range(5)}
    stores[0].write_now(lambda connection: enter_shop(connection, initial))
    terms, acked, maybe, ended = terms_of(stores[0]), list[str](), list[str](), threading.Event()
    reads = list[dict[str, tuple[int, int, int]]]()

    def buy(number: int) -> None:
        drawn = random.Random(f"{SEED} {number}")  # noqa: S311
        store = stores[number % len(stores)]
        for i in range(N_ORDERS // N_BUYERS):
            try:
                made = order(store, terms, wish(f"s{i % 5}", is_placed=True)).row.order_id
            except NotFeasibleError:
                continue
            acked.append(made)
            follow = ((), (Event.CANCEL,), (Event.ACCEPT, Event.READY, Event.COLLECT))[drawn.randrange(3)]
            for event in follow:
                store.write_now(partial(happen, terms=terms, order_id=made, event=event))

    def look() -> None:
        while not ended.wait(0.05):
            reads.append(stores[-1].read_now(lambda connection: _parts(connection, initial)))

    looking = threading.Thread(target=look)
    looking.start()
    at_once(N_BUYERS, buy)
    ended.set()
    looking.join()
    found = [row[0] for row in stores[0].read_now(lambda c: c.rows(select(orders.c.order_id)))]
    assert set_faults(acked, maybe, found) == []
    assert bank_faults(reads, initial) == []
    record_property("set", f"{len(found)} orders, {len(reads)} reads")
    assert len(found) > N_ORDERS // 4
    assert len(reads) > 5


@pytest.mark.parametrize(
    ("found", "told"), [(["a"], "lost b"), (["a", "b", "b"], "twice b"), (["a", "b", "x"], "never sent x")]
)
def test_set_faults__finds_planted_faults(found: list[str], told: str) -> None:
    assert set_faults(["a", "b"], ["m"], ["a", "b", "m"]) == set_faults(["a", "b"], ["m"], ["b", "a"]) == []
    assert set_faults(["a", "b"], ["m"], found) == [told]


def test_bank_faults__finds_planted_faults() -> None:
    assert bank_faults([{"s": (1, 2, 3)}], {"s": 6}) == []
    assert len(bank_faults([{"s": (1, 2, 2)}, {"s": (1, 6, -1)}], {"s": 6})) == 2

"""The clock jumps, runs back, repeats an hour: holds expire by the latest instant known, and never all at once (F12)."""

from __future__ import annotations

import datetime as dt
import logging
import time
import zoneinfo
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import func, select

from service.clock import Clock, SettableClock, SystemClock, to_us
from service.errors import NotFeasibleError
from service.feed.housekeeping import Housekeeping
from service.orders.ordering import OrderTerms
from service.orders.store import new_order_id
from service.orders.sweeping import JumpGuard, Sweeper
from service.settings import load_settings
from service.store.database import Store
from service.store.opening import open_store
from service.store.order_tables import orders
from service.store.tables import points
from tests.faults.ordering import enter_shop, order, terms_of, wish
from tests.faults.sweeping import sweeper_of
from tests.serving import fresh_database

RESERVE = dt.timedelta(minutes=10)
HOUR, DAY = dt.timedelta(hours=1), dt.timedelta(days=1)
PAUSE_S = 600.0
ZONE = "America/New_York"  # its clocks went back at 06:00 UTC that day: half past one came twice
FIRST_PASS = dt.datetime(2026, 11, 1, 5, 30, tzinfo=dt.UTC)
SECOND_PASS = FIRST_PASS + HOUR


class MovedClock(SystemClock):
    """The clock of production on a machine, or a database, whose own clock is moved."""

    moved = dt.timedelta()

    def now_us(self, database_us: int | None = None) -> int:
        """Return now as the moved clock has it."""
        found = time.time_ns() // 1000 if database_us is None else database_us
        return super().now_us(found + self.moved // dt.timedelta(microseconds=1))


def opened_with(place: str, clock: Clock) -> Store:
    """Open a store whose clock is given."""
    named = {"database": place} if place.startswith("postgres") else {"data": Path(place)}
    return open_store(load_settings({}, **named), clock)


@dataclass
class Shop:
    """A shop over a clock that can be moved, and what sweeps its orders."""

    store: Store
    clock: MovedClock
    terms: OrderTerms
    sweeper: Sweeper
    passed_s: float = 0.0

    def states(self) -> dict[str, int]:
        """Return how many orders are in which state."""
        query = select(orders.c.state, func.count()).group_by(orders.c.state)
        return {row[0]: row[1] for row in self.store.read_now(lambda connection: connection.rows(query))}

    def move(self, by: dt.timedelta) -> None:
        """Move the clock alone."""
        self.clock.moved += by

    def pass_time(self, by: dt.timedelta) -> None:
        """Let time pass: the clock goes on as it does."""
        self.clock.moved += by
        self.passed_s += by.total_seconds()


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path) if request.param == "sqlite" else fresh_database(request.getfixturevalue("postgres_url"))


@pytest.fixture
def shop(place: str, tmp_path: Path) -> Iterator[Shop]:
    clock = MovedClock()
    with opened_with(place, clock) as store:
        store.write_now(lambda connection: enter_shop(connection, {"milk": 100}))
        terms = terms_of(store)
        guard = JumpGuard(pause_s=PAUSE_S, monotonic=lambda: time.monotonic() + found.passed_s)
        found = Shop(store, clock, terms, sweeper_of(store, terms, tmp_path, guard=guard))
        for _ in range(3):
            order(store, terms, wish("milk"))
        found.sweeper.step()
        yield found


def test_hold__expires_when_its_time_has_passed(shop: Shop) -> None:
    shop.pass_time(RESERVE - dt.timedelta(seconds=30))
    shop.sweeper.step()
    assert shop.states() == {"held": 3}
    shop.pass_time(dt.timedelta(seconds=31))
    shop.sweeper.step()
    assert shop.states() == {"expired": 3}


@pytest.mark.parametrize("by", [HOUR, DAY])
def test_clock__that_jumps_ahead_lets_nothing_expire_at_once(
    shop: Shop, by: dt.timedelta, caplog: pytest.LogCaptureFixture
) -> None:
    shop.move(by)
    with caplog.at_level(logging.CRITICAL):
        assert shop.sweeper.step() == 0
    assert [record.levelname for record in caplog.records] == ["CRITICAL"]
    assert f"jumped {by.total_seconds():.0f} s ahead" in caplog.text
    shop.pass_time(dt.timedelta(seconds=PAUSE_S - 30))
    assert shop.sweeper.step() == 0
    assert shop.states() == {"held": 3}
    shop.pass_time(dt.timedelta(seconds=31))
    assert shop.sweeper.step() == 3
    assert shop.states() == {"expired": 3}


def test_clock__that_jumps_ahead_lets_nothing_expire_by_one_who_takes_the_lease_over_then(
    shop: Shop, tmp_path: Path
) -> None:
    sweepers = [
        sweeper_of(shop.store, shop.terms, tmp_path, lease_s=0.05, guard=JumpGuard(pause_s=PAUSE_S)) for _ in range(2)
    ]
    shop.pass_time(dt.timedelta(seconds=20))  # the lease of the first sweeper is over
    for _ in range(2):
        for sweeper in sweepers:
            assert sweeper.step() == 0
    shop.move(HOUR)
    for _ in range(5):
        time.sleep(0.02)
        assert [sweeper.step() for sweeper in reversed(sweepers)] == [0, 0]
    assert shop.states() == {"held": 3}
    assert [sweeper.guard.n_jumps for sweeper in sweepers] == [1, 1]


def test_checker__sees_all_expire_at_once_without_the_guard(shop: Shop) -> None:
    shop.sweeper.guard = JumpGuard(jump_s=float("inf"))
    shop.move(HOUR)
    assert shop.sweeper.step() == 3


@pytest.mark.parametrize("by", [HOUR, DAY])
def test_clock__that_runs_back_within_a_hold_neither_ends_it_nor_reorders_anything(
    shop: Shop, by: dt.timedelta
) -> None:
    before = order(shop.store, shop.terms, wish("milk")).row
    shop.move(-by)
    after = order(shop.store, shop.terms, wish("milk")).row
    assert after.order_at >= before.order_at
    assert after.order_id[:14] >= before.order_id[:14]
    assert after.expires_at - after.order_at == RESERVE // dt.timedelta(microseconds=1)
    assert shop.sweeper.step() == 0
    shop.move(by)
    assert shop.sweeper.step() == 0
    assert shop.states() == {"held": 5}
    shop.pass_time(RESERVE)
    assert shop.sweeper.step() == 5


def test_clock__that_ran_back_while_linli_was_away_goes_on_from_the_latest_instant_kept(
    place: str, tmp_path: Path
) -> None:
    clock = MovedClock()
    with opened_with(place, clock) as store:
        store.write_now(lambda connection: enter_shop(connection, {"milk": 100}))
        keeping = Housekeeping(store, clock, keep_changes_s=1e6)
        keeping.start()
        before = order(store, terms_of(store), wish("milk")).row
        keeping.close()
    clock = MovedClock()
    clock.moved = -DAY
    with opened_with(place, clock) as store:
        keeping = Housekeeping(store, clock, keep_changes_s=1e6)
        keeping.start()
        terms = terms_of(store)
        after = order(store, terms, wish("milk")).row
        assert after.order_at >= before.order_at
        assert sweeper_of(store, terms, tmp_path).step() == 0
        keeping.close()


def test_order_ids__are_unique_while_time_stands_still() -> None:
    assert len({new_order_id(1_700_000_000_000_000) for _ in range(20_000)}) == 20_000


def test_handover__at_both_passes_of_a_repeated_hour_takes_a_slot_each(place: str) -> None:
    clock = SettableClock(FIRST_PASS - dt.timedelta(hours=12))
    with opened_with(place, clock) as store:
        store.write_now(lambda connection: enter_shop(connection, {"milk": 100}, slot_orders=1, slot_s=900))
        store.write_now(lambda connection: connection.run(points.update().values(timezone=ZONE)))
        terms = terms_of(store)
        local = FIRST_PASS.astimezone(zoneinfo.ZoneInfo(ZONE))
        assert local.replace(fold=1).astimezone(dt.UTC) == SECOND_PASS
        made = [order(store, terms, wish("milk", at=local.replace(fold=fold))).row for fold in (0, 1)]
        assert [row.handover_at for row in made] == [to_us(FIRST_PASS), to_us(SECOND_PASS)]
        assert made[1].slot_at - made[0].slot_at == 3_600_000_000
        for fold in (0, 1):
            with pytest.raises(NotFeasibleError, match="full"):
                order(store, terms, wish("milk", at=local.replace(fold=fold)))


def test_handover__on_a_leap_day_is_a_day_like_others(place: str) -> None:
    clock = SettableClock(dt.datetime(2028, 2, 28, 12, tzinfo=dt.UTC))
    with opened_with(place, clock) as store:
        store.write_now(lambda connection: enter_shop(connection, {"milk": 100}))
        at = dt.datetime(2028, 2, 29, 12, tzinfo=dt.UTC)
        made = order(store, terms_of(store), wish("milk", at=at)).row
        assert (made.handover_at, made.order_at) == (to_us(at), to_us(at - DAY))

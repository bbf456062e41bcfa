"""The clock of production: the database's for transactions, the machine's for questions, and neither runs back."""

from __future__ import annotations

import time

from service.clock import SystemClock

HOUR_US = 3_600_000_000


def _machine_us() -> int:
    return time.time_ns() // 1000


def test_clock__of_a_machine_that_is_ahead_carries_no_transaction_along() -> None:
    clock = SystemClock()
    database_us = _machine_us() - HOUR_US
    assert clock.now_us() >= database_us + HOUR_US
    assert clock.now_us(database_us) == database_us
    assert clock.latest_us == database_us, "what is kept for the next start"
    assert clock.now_us() >= database_us + HOUR_US


def test_clock__of_a_machine_that_is_behind_asks_nothing_before_what_was_done() -> None:
    clock = SystemClock()
    database_us = _machine_us() + HOUR_US
    assert clock.now_us(database_us) == database_us
    assert clock.now_us() == database_us
    assert clock.now_us(database_us - 1) == database_us, "it does not run back"


def test_clock__goes_on_from_what_the_store_has_seen() -> None:
    clock, seen_us = SystemClock(), _machine_us() + HOUR_US
    clock.keep_after(seen_us)
    assert clock.now_us() == clock.latest_us == seen_us
    assert clock.now_us(seen_us - 1) == seen_us

"""What one process grants by itself, whatever its clock does."""

from __future__ import annotations

import pytest

from service.http.rates import LocalRates


class HandClock:
    """A wall clock that somebody sets."""

    def __init__(self, at: float) -> None:
        self.at = at

    def __call__(self) -> float:
        """Return what was set."""
        return self.at


def _n_admitted(rates: LocalRates, tries: int, rate: int, caller: str = "key_a") -> int:
    return sum(rates.admit_now(caller, rate).admitted for _ in range(tries))


def test_local__grants_the_rate_in_each_second_and_counts_down() -> None:
    clock = HandClock(1000.2)
    rates = LocalRates(now=clock)
    told = [rates.admit_now("key_a", 3) for _ in range(4)]
    assert [(allowance.admitted, allowance.remaining) for allowance in told] == [
        (True, 2),
        (True, 1),
        (True, 0),
        (False, 0),
    ]
    clock.at = 1001.0
    assert _n_admitted(rates, 9, 3) == 3


def test_local__counts_callers_apart() -> None:
    rates = LocalRates(now=HandClock(5.0))
    assert [_n_admitted(rates, 9, 3, caller) for caller in ("key_a", "key_b", "ip 192.0.2.1")] == [3, 3, 3]


@pytest.mark.parametrize("back_s", [0.4, 1.0, 3600.0, 10 * 365 * 86_400.0])
def test_local__opens_one_more_second_when_the_clock_is_set_back(back_s: float) -> None:
    clock = HandClock(1_795_642_595.5)
    rates = LocalRates(now=clock)
    assert _n_admitted(rates, 99, 10) == 10
    clock.at -= back_s
    is_another = back_s >= 1.0
    assert _n_admitted(rates, 99, 10) == (10 if is_another else 0), "neither more than one second, nor locked out"
    assert _n_admitted(rates, 99, 10) == 0
    clock.at += 1.0
    assert _n_admitted(rates, 99, 10) == 10, "the next second is an ordinary one"


@pytest.mark.parametrize(("workers", "share", "most"), [(1, 1.0, 100), (2, 1.0, 200), (4, 0.5, 200), (8, 0.25, 200)])
def test_local__grants_at_most_twice_the_rate_over_all_workers(workers: int, share: float, most: int) -> None:
    clock = HandClock(7.0)
    alone = [LocalRates(share, clock) for _ in range(workers)]
    assert sum(_n_admitted(rates, 300, 100) for rates in alone) == most


def test_local__grants_one_where_the_share_is_less() -> None:
    assert _n_admitted(LocalRates(0.25, HandClock(7.0)), 9, 2) == 1


@pytest.mark.parametrize(("workers", "rate"), [(4, 1), (8, 3), (64, 1), (64, 10)])
def test_local__grants_small_rates_at_most_twice_over_all_workers_in_the_long_run(workers: int, rate: int) -> None:
    clock, seconds = HandClock(7.0), 320
    alone, n = [LocalRates(2.0 / workers, clock) for _ in range(workers)], 0
    for clock.at in range(7, 7 + seconds):
        n += sum(_n_admitted(rates, 2 * rate + 2, rate) for rates in alone)
    assert rate * seconds <= n <= 2 * rate * seconds


def test_local__tells_when_one_may_come_again_where_the_share_is_less_than_one_a_second() -> None:
    clock = HandClock(7.0)
    rates, told = LocalRates(2.0 / 64, clock), []
    for clock.at in (7.0, 7.9, 8.0, 38.9, 39.0, 20.0):
        told.append(tuple(rates.admit_now("key_a", 1)))
    assert told == [(True, 0, 32), (False, 0, 32), (False, 0, 31), (False, 0, 1), (True, 0, 32), (True, 0, 32)]
    assert rates.admit_now("key_b", 1).admitted

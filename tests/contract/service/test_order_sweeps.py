"""What is due is not held up: not by how much it is, and not by a payment provider that takes its time."""

from __future__ import annotations

import datetime as dt
import threading
from typing import Any

import pytest

from service.payments.ports import ProviderUnknownError
from service.payments.settling import Settler
from tests.contract.service.desk import Desk


class _Provider:
    """Knows of nothing; notes what it is asked, and how an order stood then."""

    def __init__(self, desk: Desk, order: dict[str, Any]) -> None:
        self._desk, self._order = desk, order
        self.told: list[str] = []

    def find(self, _: str) -> Any:
        self.told.append(self._desk.row(self._order).state)
        raise ProviderUnknownError("slow")

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(name)


class _Waits(threading.Event):
    """Notes how long is waited, which it does not do; it is set once the given waits are over."""

    def __init__(self, n_waits: int) -> None:
        super().__init__()
        self._n_waits = n_waits
        self.told: list[float | None] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.told.append(timeout)
        return len(self.told) > self._n_waits


def test_hold__expires_before_a_provider_is_asked_of_which_a_step_asks_no_more_than_it_has_time_for(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.sweep()
    shop = desk.shop(stock={"milk": 9})
    for _ in range(3):
        desk.done(desk.order(shop, {"milk": 1}), "place", "app", {"payment": "online", "means": "timeout-lost"})
    held = desk.order(desk.shop())
    provider = _Provider(desk, held)
    services = desk.registry.services
    asks_one: Any = Settler(services.store, services.bookings, provider, ask_s=0.0)
    monkeypatch.setattr(desk.sweeper, "_settler", asks_one)
    desk.registry.clock.at += dt.timedelta(minutes=11)
    assert desk.sweeper.step() == 4  # three that are being paid are put off
    assert provider.told == ["expired"]
    desk.sweeper.step()
    assert len(provider.told) == 2


def test_sweeper__does_not_wait_while_more_is_due_than_it_takes_on_at_a_time(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.sweep()
    held = desk.order(desk.shop())
    desk.add_copies(held, [{} for _ in range(249)])
    desk.registry.clock.at += dt.timedelta(minutes=11)
    waits = _Waits(4)
    with monkeypatch.context() as patched:
        patched.setattr(desk.sweeper, "_ended", waits)
        desk.sweeper._run()
    assert waits.told == [1.0, 0.0, 0.0, 1.0, 1.0]
    assert desk.row(held).state == "expired"

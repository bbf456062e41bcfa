"""Orders have no hidden path: over a real store they do, step by step, what a model of them does."""

from __future__ import annotations

import contextlib
import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from service.orders import acting, moving, ordering, substituting, sweeping, taking
from tests.property.order_machine import PATHS, Orders
from tests.property.order_model import EVENTS, STATES
from tests.registry import Registry, opened
from tests.scale import scaled
from tests.serving import fresh_database

STEPS = 50


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with _opened(tmp_path_factory.mktemp("shops")) as registry:
        yield registry


@contextlib.contextmanager
def _opened(folder: Path, database: str | None = None) -> Iterator[Registry]:
    with opened(folder, database=database) as registry:
        registry.add_merchants(shop="verified")
        registry.services.follower.close()  # no order is decided by the index
        yield registry


def _machine(registry: Registry) -> type[Orders]:
    return type("Machine", (Orders,), {"registry": registry, "hits": Counter()})


@pytest.mark.parametrize(("database", "n_runs"), [("sqlite", 500), ("postgres", 50)], ids=["sqlite", "postgres"])
def test_orders__do_step_by_step_what_the_model_does(
    database: str, n_runs: int, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = fresh_database(request.getfixturevalue("postgres_url")) if database == "postgres" else None
    with _opened(tmp_path, url) as registry:
        machine = _machine(registry)
        run_state_machine_as_test(machine, settings=settings(max_examples=scaled(n_runs), stateful_step_count=STEPS))
        print(f"\n{machine.hits.total()} events in {len(machine.hits)} pairs of state and event")  # noqa: T201
        _walk_every_way(machine)
    assert {(state, event) for state in STATES for event in EVENTS} - machine.hits.keys() == set()


def _walk_every_way(machine: type[Orders]) -> None:
    """Let an order go each way once where another point can take it over, and once where none can."""
    for before, path in itertools.product([(), (("reject",),)], PATHS):
        one = machine()
        one.start()
        for point, other in itertools.product((1, 2), before):
            one.live(point, other)
        one.live(0, path)
        one.is_as_the_model_says()
    one = machine()
    one.start()
    assert one.divided()


def _forgetful(*_args: Any, **_kwargs: Any) -> None:
    """Do nothing."""


def _no_count(connection: Any, place: Any, units: Any, revision: int) -> None:
    taking.give_back(connection, place._replace(slot_us=None), units, revision)


def _looked_at(connection: Any, place: Any, units: Any, **_more: Any) -> Any:
    """Tell what there is, and take nothing of it."""
    return taking.stock_rows(connection, place.point_id, list(units))


def _late(_connection: Any, _order: Any) -> None:
    """Take what comes too late."""


FAULTS: dict[str, tuple[Any, str, Callable[..., Any]]] = {
    "what ends gives nothing back": (acting, "give_back", _forgetful),
    "what is collected stays on the shelf": (acting, "sell", _no_count),
    "what is moved stays taken at the old point": (moving, "give_back", _forgetful),
    "what is not taken stays held": (substituting, "give_stock", _forgetful),
    "what is offered is not held": (substituting, "take_stock", _forgetful),
    "what is parted stays wanted": (moving, "change_line", _forgetful),
    "a slot is not given back": (acting, "give_back", _no_count),
    "nothing costs anything": (acting, "fee_minor", lambda *_, **__: 0),
    "a hold can be placed for ever": ("tests.property.order_machine", "check_in_time", _late),
    "what holds are worth is not taken": (ordering, "take", _looked_at),
    "the clock takes for the customer": (sweeping, "answer_offer", _forgetful),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_machine__sees_a_planted_fault(registry: Registry, monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    """The control of the test above."""
    module, name, instead = FAULTS[fault]
    if isinstance(module, str):
        monkeypatch.setattr(f"{module}.{name}", instead)
    else:
        monkeypatch.setattr(module, name, instead)
    with pytest.raises((AssertionError, ValueError)):
        _walk_every_way(_machine(registry))

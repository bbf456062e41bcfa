"""Booked visits have no hidden path: over a real store they do, step by step, what a model of them does."""

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

from service.bookings import acting, asking, planning, rescheduling, rules, settling, spreading, under_way
from service.store.leases import Tenure
from tests.property.booking_machine import CREWS, PATHS, Bookings
from tests.property.booking_model import EVENTS, NEXT, STATES
from tests.registry import opened
from tests.scale import scaled
from tests.serving import fresh_database

STEPS = 50
FOR_EVER_S = 1e8


@pytest.fixture(scope="module")
def over_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[type[Bookings]]:
    with _opened(tmp_path_factory.mktemp("providers")) as over:
        yield over


@contextlib.contextmanager
def _opened(folder: Path, database: str | None = None) -> Iterator[type[Bookings]]:
    """Open a registry of its own, and give the machine over it."""
    with opened(folder, database=database) as registry:
        registry.add_merchants(shop="verified")
        registry.add_key("shop", "merchant", "shop")
        registry.services.follower.close()  # what is kept in memory is never brought up to date
        lease = Tenure(registry.services.store, "orders", FOR_EVER_S).held()
        yield type("Over", (Bookings,), {"registry": registry, "lease": lease})


def _machine(over: type[Bookings]) -> type[Bookings]:
    return type("Machine", (over,), {"hits": Counter()})


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_bookings__do_step_by_step_what_the_model_does(
    database: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = fresh_database(request.getfixturevalue("postgres_url")) if database == "postgres" else None
    with _opened(tmp_path, url) as over:
        machine = _machine(over)
        run_state_machine_as_test(machine, settings=settings(max_examples=scaled(500), stateful_step_count=STEPS))
        print(f"\n{machine.hits.total()} events in {len(machine.hits)} pairs of state and event")  # noqa: T201
        _walk_every_way(machine)
    assert set(itertools.product(STATES, EVENTS)) - machine.hits.keys() == set()


def test_model__knows_the_transitions_that_there_are() -> None:
    known = {(state, event): to.state for (state, event), to in rules.TRANSITIONS.items() if state is not None}
    assert known == NEXT
    assert set(STATES) == set(rules.State)


def _walk_every_way(machine: type[Bookings]) -> None:
    """Let a visit go each way once where another crew can take it over, and once where none can, and three ways more."""
    for way in (machine.done_sooner, machine.still_at_it, machine.ill_unawares):
        one = machine()
        one.start()
        way(one)
        one.is_as_the_model_says()
    for n_others, path in itertools.product(range(len(CREWS)), PATHS):
        one = machine()
        one.start()
        for _ in range(n_others):
            one.live(0, 10, ("confirm",))
        one.live(0, 10, path)
        one.is_as_the_model_says()


def _forgetful(*_args: Any, **_kwargs: Any) -> None:
    """Do nothing."""


def _as_kept(_connection: Any, _rosters: Any, _point: Any, _facts: Any, day: Any) -> Any:
    """Believe what memory says of a day in which nothing was planned."""
    return day


FAULTS: dict[str, tuple[Any, str, Callable[..., Any]]] = {
    "what ends stays in its crew's day": (acting, "take_visit_out", _forgetful),
    "what is moved stays in its old window, too": (rescheduling, "take_visit_out", _forgetful),
    "what is done sooner takes its whole time": (under_way, "_shorten", _forgetful),
    "what lasts keeps nobody from the next shift": (spreading, "behind", lambda day, _others: day),
    "nothing costs anything": (acting, "fee_minor", lambda *_: 0),
    "one complaint leads to many visits": (rescheduling, "is_made_good", lambda *_: False),
    "a complaint is lost with its visit": (rescheduling, "fell_through", lambda *_: {}),
    "what is moved is free to cancel until it was": (
        rescheduling,
        "_free_until",
        lambda _, row, __: row.cancel_free_until,
    ),
    "what was promised is what is booked by now": (asking, "_as_promised", lambda service, _: service),
    "memory is believed": (planning, "_unplanned", _as_kept),
    "nobody stands in for the ill": (settling, "hand_on", lambda *_: settling.Settled([], [])),
    "who makes a visit is not written": (settling, "write_shift", _forgetful),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_machine__sees_a_planted_fault(
    over_sqlite: type[Bookings], monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    """The control of the test above."""
    module, name, instead = FAULTS[fault]
    monkeypatch.setattr(module, name, instead)
    with pytest.raises(AssertionError):
        _walk_every_way(_machine(over_sqlite))

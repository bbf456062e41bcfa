"""The lifecycle of a merchant, pair by pair."""

from __future__ import annotations

import pytest

from service.errors import StateConflictError
from service.merchants.rules import STATES, EventName, State, first_state, next_state

EVENTS: tuple[EventName, ...] = ("verify", "suspend", "reinstate")
ALLOWED: dict[tuple[State, EventName], State] = {
    ("unverified", "verify"): "verified",
    ("unverified", "suspend"): "suspended",
    ("verified", "suspend"): "suspended",
    ("suspended", "reinstate"): "verified",
}


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("event", EVENTS)
def test_next_state__allows_what_the_table_says_and_nothing_else(state: State, event: EventName) -> None:
    if (state, event) in ALLOWED:
        assert next_state(state, event) == ALLOWED[state, event]
    else:
        with pytest.raises(StateConflictError, match=f"a merchant that is {state} cannot {event}, only "):
            next_state(state, event)


def test_first_state__is_unverified_unless_an_operator_runs_linli_for_himself() -> None:
    assert first_state(verify_at_once=False) == "unverified"
    assert first_state(verify_at_once=True) == "verified"

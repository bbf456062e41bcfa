"""The lifecycle of a merchant, without any store."""

from __future__ import annotations

from typing import Literal, TypeAlias

from service.errors import StateConflictError

__all__ = ["STATES", "EventName", "State", "first_state", "next_state"]

State: TypeAlias = Literal["unverified", "verified", "suspended"]
EventName: TypeAlias = Literal["verify", "suspend", "reinstate"]

STATES: tuple[State, ...] = ("unverified", "verified", "suspended")
_NEXT: dict[tuple[State, EventName], State] = {
    ("unverified", "verify"): "verified",
    ("unverified", "suspend"): "suspended",
    ("verified", "suspend"): "suspended",
    ("suspended", "reinstate"): "verified",
}


def first_state(*, verify_at_once: bool) -> State:
    """Return the state of a new merchant."""
    return "verified" if verify_at_once else "unverified"


def next_state(state: State, event: EventName) -> State:
    """
    Return the state that an event leads to.

    Raises
    ------
    StateConflictError
        Where it is not allowed.
    """
    found = _NEXT.get((state, event))
    if found is None:
        allowed = [known for at, known in _NEXT if at == state]
        text = f"a merchant that is {state} cannot {event}, only {' or '.join(allowed)}"
        raise StateConflictError(text)
    return found

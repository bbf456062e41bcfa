"""
The life of an order as one table: in which state which event may come, by whom, what it leads to and what it moves.

Nothing here asks a store or a clock. How long each state may last and what leaving it costs is the norm's.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

    from engine.norms import OfferNorm

__all__ = [
    "ENDED",
    "FEES",
    "MOST_MINOR",
    "OPEN",
    "TRANSITIONS",
    "Effect",
    "Event",
    "Party",
    "State",
    "StateName",
    "Transition",
    "fee_minor",
    "is_ready_late",
    "next_actions",
    "share_minor",
]


MOST_MINOR = 2**53 - 1
"""No price or sum is more, in the smallest unit of its currency: every reader of JSON can hold it."""


class State(StrEnum):
    """Where an order is."""

    HELD = "held"
    PLACED = "placed"
    ACCEPTED = "accepted"
    READY = "ready"
    COLLECTED = "collected"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    EXPIRED = "expired"
    NOT_COLLECTED = "not_collected"


StateName: TypeAlias = Literal[
    "held", "placed", "accepted", "ready", "collected", "cancelled", "rejected", "expired", "not_collected"
]
"""Any of them, as a request names it."""


class Event(StrEnum):
    """What happens to it."""

    HOLD = "hold"
    PLACE = "place"
    ACCEPT = "accept"
    READY = "ready"
    COLLECT = "collect"
    CANCEL = "cancel"
    REJECT = "reject"
    MOVE = "move"  # the point rejects it, and another takes it over
    SPLIT = "split"  # parted from one that no point alone takes over
    EXPIRE = "expire"
    RELEASE = "release"  # nobody came for it
    REMIND = "remind"
    OFFER = "offer"  # something else in the place of a line
    TAKE = "take"  # the customer takes what was offered
    DECLINE = "decline"
    CAPTURE_DECLINED = "capture_declined"  # its payment can never be taken; it has ended, and stays as it is


class Party(StrEnum):
    """Who may let an event happen."""

    CUSTOMER = "customer"  # by the app
    MERCHANT = "merchant"
    CLOCK = "clock"


class Effect(StrEnum):
    """What of the point an event moves."""

    TAKE = "take"  # stock, slot and a place in work
    GIVE_BACK = "give_back"
    SELL = "sell"  # what was held is gone from the shelf
    MOVE = "move"  # given back at one point, taken at another
    NONE = "none"


@dataclass(frozen=True)
class Transition:
    """What an event leads to."""

    state: State
    parties: frozenset[Party]
    effect: Effect = Effect.NONE


def _by(state: State, *parties: Party, effect: Effect = Effect.NONE) -> Transition:
    return Transition(state, frozenset(parties), effect)


_CUSTOMER, _MERCHANT, _CLOCK = Party.CUSTOMER, Party.MERCHANT, Party.CLOCK
_CANCEL = _by(State.CANCELLED, _CUSTOMER, effect=Effect.GIVE_BACK)
_REJECT = _by(State.REJECTED, _MERCHANT, _CLOCK, effect=Effect.GIVE_BACK)
_MOVE = _by(State.PLACED, _MERCHANT, _CLOCK, effect=Effect.MOVE)

TRANSITIONS: Mapping[tuple[State | None, Event], Transition] = MappingProxyType(
    {
        (None, Event.HOLD): _by(State.HELD, _CUSTOMER, effect=Effect.TAKE),
        (None, Event.SPLIT): _by(State.PLACED, _MERCHANT, _CLOCK, effect=Effect.TAKE),
        (State.HELD, Event.PLACE): _by(State.PLACED, _CUSTOMER),
        (State.HELD, Event.CANCEL): _CANCEL,
        (State.HELD, Event.REJECT): _REJECT,
        (State.HELD, Event.EXPIRE): _by(State.EXPIRED, _CLOCK, effect=Effect.GIVE_BACK),
        (State.PLACED, Event.ACCEPT): _by(State.ACCEPTED, _MERCHANT),
        (State.PLACED, Event.CANCEL): _CANCEL,
        (State.PLACED, Event.REJECT): _REJECT,
        (State.PLACED, Event.MOVE): _MOVE,
        (State.PLACED, Event.OFFER): _by(State.PLACED, _MERCHANT),
        (State.PLACED, Event.TAKE): _by(State.PLACED, _CUSTOMER),
        (State.PLACED, Event.DECLINE): _by(State.PLACED, _CUSTOMER, _CLOCK),
        (State.ACCEPTED, Event.READY): _by(State.READY, _MERCHANT),
        (State.ACCEPTED, Event.CANCEL): _CANCEL,
        (State.ACCEPTED, Event.REJECT): _REJECT,
        (State.ACCEPTED, Event.MOVE): _MOVE,
        (State.ACCEPTED, Event.OFFER): _by(State.ACCEPTED, _MERCHANT),
        (State.ACCEPTED, Event.TAKE): _by(State.ACCEPTED, _CUSTOMER),
        (State.ACCEPTED, Event.DECLINE): _by(State.ACCEPTED, _CUSTOMER, _CLOCK),
        (State.READY, Event.COLLECT): _by(State.COLLECTED, _MERCHANT, effect=Effect.SELL),
        (State.READY, Event.CANCEL): _CANCEL,
        (State.READY, Event.REJECT): _REJECT,
        (State.READY, Event.MOVE): _MOVE,
        (State.READY, Event.REMIND): _by(State.READY, _CLOCK),
        (State.READY, Event.RELEASE): _by(State.NOT_COLLECTED, _CLOCK, effect=Effect.GIVE_BACK),
    }
)
"""Every other pair of state and event is refused."""

_ANSWERS = (Event.TAKE, Event.DECLINE)

OPEN = frozenset(state for state, _ in TRANSITIONS if state is not None)
ENDED = frozenset(State) - OPEN

FEES: Mapping[tuple[State, Event], str] = MappingProxyType(
    {
        (State.PLACED, Event.CANCEL): "cancel_fee_placed",
        (State.ACCEPTED, Event.CANCEL): "cancel_fee_accepted",
        (State.READY, Event.CANCEL): "cancel_fee_ready",
        (State.READY, Event.RELEASE): "not_collected_fee",
    }
)
"""Which share of the total is owed for leaving a state so, by its key in the norm; in all other cases none."""


def fee_minor(
    norm: OfferNorm,
    state: State,
    event: Event,
    total_minor: int,
    now_us: int,
    free_until_us: int | None,
    handover_us: int,
    *,
    was_late: bool,
) -> int:
    """
    Return what is owed where an order is left in a state, in whole minor units, rounded down.

    Nothing is where it is not ready by the time to hand it over, or ``was_late``, nor for cancelling while that was said
    to be free.
    """
    key = FEES.get((state, event))
    is_late = was_late if state is State.READY else now_us > handover_us
    is_free = event is Event.CANCEL and free_until_us is not None and now_us <= free_until_us
    if key is None or is_late or is_free:
        return 0
    return share_minor(norm, key, total_minor)


def is_ready_late(order_us: int, handover_us: int, ready_us: int) -> bool:
    """Tell whether an order is ready only behind the time to hand it over: what was wanted at once never is."""
    return ready_us > handover_us > order_us


def share_minor(norm: OfferNorm, key: str, total_minor: int) -> int:
    """Return the share of a total that a norm names by a key, in whole minor units, rounded down."""
    return int(total_minor * round(norm.fee(key) * 10_000)) // 10_000


def next_actions(state: State, party: Party, *, is_offered: bool) -> list[str]:
    """
    Return what a party can do about an order next, each by the last word of its route.

    What a point rejects is moved without another word. Only while something is offered in the place of a line
    (``is_offered``) can a customer answer, and until then the order does not become ready.
    """
    passed_by = {Event.MOVE, Event.READY} if is_offered else {Event.MOVE, *_ANSWERS}
    known = ((event, to) for (of, event), to in TRANSITIONS.items() if of is state and event not in passed_by)
    names = ["answer" if event in _ANSWERS else event.value for event, to in known if party in to.parties]
    return list(dict.fromkeys(names))

"""
The life of a booked visit as one table: in which state which event may come, by whom, and what it leads to.

Nothing here asks a store or a clock. How long each state may last and what leaving it costs is the norm's.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from service.orders.rules import Party, share_minor

if TYPE_CHECKING:
    from collections.abc import Mapping

    from engine.norms import OfferNorm

__all__ = [
    "ENDED",
    "FEES",
    "OPEN",
    "PLANNED",
    "TRANSITIONS",
    "Act",
    "Event",
    "Party",
    "State",
    "StateName",
    "Transition",
    "fee_minor",
    "next_actions",
]


class State(StrEnum):
    """Where a booking is."""

    HELD = "held"
    CONFIRMED = "confirmed"
    UNPLACED = "unplaced"  # it was promised, and nobody can come: the customer chooses anew
    EN_ROUTE = "en_route"
    STARTED = "started"
    FINISHED = "finished"
    PAID = "paid"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    CUSTOMER_ABSENT = "customer_absent"
    CREW_ABSENT = "crew_absent"


StateName: TypeAlias = Literal[
    "held",
    "confirmed",
    "unplaced",
    "en_route",
    "started",
    "finished",
    "paid",
    "cancelled",
    "expired",
    "customer_absent",
    "crew_absent",
]
"""Any of them, as a request names it."""


class Event(StrEnum):
    """What happens to it."""

    HOLD = "hold"
    RETURN = "return"  # booked to make another visit good
    CONFIRM = "confirm"
    RESCHEDULE = "reschedule"
    MOVE = "move"  # another crew comes, in the same window
    LOSE = "lose"  # no crew can come
    DEPART = "depart"
    START = "start"
    OVERRUN = "overrun"  # it takes longer
    FINISH = "finish"
    PAY = "pay"
    CANCEL = "cancel"
    EXPIRE = "expire"
    CUSTOMER_ABSENT = "customer_absent"
    CREW_ABSENT = "crew_absent"
    COMPLAIN = "complain"
    CAPTURE_DECLINED = "capture_declined"  # its payment can never be taken; it has ended, and stays as it is


class Act(NamedTuple):
    """
    Who lets which event happen.

    Attributes
    ----------
    actor
        The id of a key, or ``clock``.
    reason
        A code for it.
    """

    event: Event
    party: Party
    actor: str
    reason: str | None = None


@dataclass(frozen=True)
class Transition:
    """What an event leads to."""

    state: State
    parties: frozenset[Party]


def _by(state: State, *parties: Party) -> Transition:
    return Transition(state, frozenset(parties))


_CUSTOMER, _MERCHANT, _CLOCK = Party.CUSTOMER, Party.MERCHANT, Party.CLOCK
_CANCEL = _by(State.CANCELLED, _CUSTOMER, _MERCHANT)
_NOBODY_CAME = _by(State.CREW_ABSENT, _CUSTOMER, _CLOCK)

TRANSITIONS: Mapping[tuple[State | None, Event], Transition] = MappingProxyType(
    {
        (None, Event.HOLD): _by(State.HELD, _CUSTOMER),
        (None, Event.RETURN): _by(State.CONFIRMED, _CUSTOMER),
        (State.HELD, Event.CONFIRM): _by(State.CONFIRMED, _CUSTOMER),
        (State.HELD, Event.MOVE): _by(State.HELD, _MERCHANT),
        (State.HELD, Event.LOSE): _by(State.EXPIRED, _MERCHANT),
        (State.HELD, Event.CANCEL): _CANCEL,
        (State.HELD, Event.EXPIRE): _by(State.EXPIRED, _CLOCK),
        (State.CONFIRMED, Event.RESCHEDULE): _by(State.CONFIRMED, _CUSTOMER),
        (State.CONFIRMED, Event.MOVE): _by(State.CONFIRMED, _MERCHANT),
        (State.CONFIRMED, Event.LOSE): _by(State.UNPLACED, _MERCHANT),
        (State.CONFIRMED, Event.DEPART): _by(State.EN_ROUTE, _MERCHANT),
        (State.CONFIRMED, Event.CANCEL): _CANCEL,
        (State.CONFIRMED, Event.CREW_ABSENT): _NOBODY_CAME,
        (State.UNPLACED, Event.RESCHEDULE): _by(State.CONFIRMED, _CUSTOMER),
        (State.UNPLACED, Event.CANCEL): _CANCEL,
        (State.UNPLACED, Event.CREW_ABSENT): _NOBODY_CAME,
        (State.EN_ROUTE, Event.START): _by(State.STARTED, _MERCHANT),
        (State.EN_ROUTE, Event.MOVE): _by(State.CONFIRMED, _MERCHANT),
        (State.EN_ROUTE, Event.LOSE): _by(State.UNPLACED, _MERCHANT),
        (State.EN_ROUTE, Event.CANCEL): _CANCEL,
        (State.EN_ROUTE, Event.CUSTOMER_ABSENT): _by(State.CUSTOMER_ABSENT, _MERCHANT),
        (State.EN_ROUTE, Event.CREW_ABSENT): _NOBODY_CAME,
        (State.STARTED, Event.OVERRUN): _by(State.STARTED, _MERCHANT),
        (State.STARTED, Event.FINISH): _by(State.FINISHED, _MERCHANT),
        (State.FINISHED, Event.PAY): _by(State.PAID, _MERCHANT),
        (State.FINISHED, Event.COMPLAIN): _by(State.FINISHED, _CUSTOMER),
        (State.PAID, Event.COMPLAIN): _by(State.PAID, _CUSTOMER),
    }
)
"""Every other pair of state and event is refused."""

_ABSENT = (Event.CUSTOMER_ABSENT, Event.CREW_ABSENT)

OPEN = frozenset({State.HELD, State.CONFIRMED, State.UNPLACED, State.EN_ROUTE, State.STARTED, State.FINISHED})
ENDED = frozenset(State) - OPEN

PLANNED = frozenset({State.HELD, State.CONFIRMED, State.EN_ROUTE, State.STARTED})
"""In which a visit stands in its crew's day as one that is still to come, or goes on."""

FEES: Mapping[tuple[State, Event], str] = MappingProxyType(
    {
        (State.CONFIRMED, Event.CANCEL): "cancel_fee_confirmed",
        (State.EN_ROUTE, Event.CANCEL): "cancel_fee_en_route",
        (State.CONFIRMED, Event.RESCHEDULE): "reschedule_fee",
        (State.EN_ROUTE, Event.CUSTOMER_ABSENT): "customer_absent_fee",
    }
)
"""Which share of the price is owed where a customer leaves a state so, by its key in the norm; in all other cases none."""


def fee_minor(
    norm: OfferNorm, state: State, event: Event, total_minor: int, at_us: int, free_until_us: int | None, ends_us: int
) -> int:
    """
    Return what is owed where a customer leaves a state, in whole minor units, rounded down.

    Leaving costs nothing until it was said to, whoever is on the way by then, nor once the window is past and nobody has
    begun; not to be there does, where its crew set out, at ``at_us``, before it was.
    """
    key = FEES.get((state, event))
    is_free = event is not Event.CUSTOMER_ABSENT and free_until_us is not None and at_us <= free_until_us
    if key is None or is_free or at_us > ends_us:
        return 0
    return share_minor(norm, key, total_minor)


def given_up_us(norm: OfferNorm, ends_us: int, duration_s: int) -> int:
    """Return when a visit that nobody came to is noticed by the clock: it is late beyond doubt, its window long over."""
    return ends_us + ((norm.wait_s or 0) + duration_s) * 1_000_000


def next_actions(state: State, party: Party) -> list[str]:
    """
    Return what a party can do about a booking next, each by the last word of its route.

    What follows from a change of a crew's day is none.
    """
    follows = {Event.MOVE, Event.LOSE}
    known = ((event, to) for (of, event), to in TRANSITIONS.items() if of is state and event not in follows)
    return ["absent" if event in _ABSENT else event.value for event, to in known if party in to.parties]

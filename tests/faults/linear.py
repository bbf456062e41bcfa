"""
Checkers of histories: one stock key is linearizable, a set of orders is complete, the sums of a stock balance.

The first searches for an order of the operations that a single counter could have done them in (Wing and Gong 1993;
Lowe 2017, with its just-in-time linearization): each takes effect once between its call and its return.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

__all__ = ["Op", "Outcome", "SearchTooLargeError", "bank_faults", "is_linearizable", "set_faults"]

Outcome = Literal["ok", "refused", "maybe"]
MOST_CONFIGURATIONS = 200_000


class SearchTooLargeError(Exception):
    """The history leaves too much open."""


@dataclass(frozen=True)
class Op:
    """
    One operation on a counter of units.

    Attributes
    ----------
    what
        ``take`` units, ``give`` them back, ``read`` how many there are.
    units
        How many; of a read, what it told.
    outcome
        ``maybe`` where no answer came: it may take effect at any time after its call, or never.
    called_at, returned_at
        On one clock; nothing after the call of a ``maybe`` is known of its return.
    """

    what: Literal["take", "give", "read"]
    units: int
    outcome: Outcome
    called_at: float
    returned_at: float


def _after(op: Op, value: int) -> int | None:
    """Return what a counter holds after an operation, None if it could not have done it so."""
    if op.what == "read":
        return value if op.units == value else None
    if op.what == "give":
        return value + op.units
    if op.outcome == "refused":
        return value if value < op.units else None
    return value - op.units if value >= op.units else None


def is_linearizable(history: Sequence[Op], initial: int) -> bool:
    """
    Tell whether a counter that held so much could have done what a history tells.

    Raises
    ------
    SearchTooLargeError
        If more has to be kept in mind than can be.
    """
    known = [op for op in history if not (op.outcome == "maybe" and op.what == "read")]
    configurations: set[tuple[frozenset[int], int]] = {(frozenset(), initial)}
    open_ops: set[int] = set()
    for number, is_return in _events(known):
        if not is_return:
            open_ops.add(number)
            continue
        configurations = _returned(configurations, known, open_ops, number)
        open_ops.discard(number)
        if not configurations:
            return False
        if len(configurations) > MOST_CONFIGURATIONS:
            raise SearchTooLargeError
    return True


def _events(history: Sequence[Op]) -> Iterator[tuple[int, bool]]:
    """Give calls and returns in order, a call before a return of the same instant; a maybe does not return."""
    events = []
    for number, op in enumerate(history):
        events.append((op.called_at, False, number))
        if op.outcome != "maybe":
            events.append((op.returned_at, True, number))
    for _at, is_return, number in sorted(events):
        yield number, is_return


def _returned(
    configurations: Iterable[tuple[frozenset[int], int]], history: Sequence[Op], open_ops: set[int], number: int
) -> set[tuple[frozenset[int], int]]:
    """Return which configurations are possible once an operation has returned."""
    seen, kept = set(configurations), set()
    waiting = list(seen)
    while waiting:
        done, value = waiting.pop()
        if number in done:
            kept.add((done - {number}, value))
            continue
        for other in open_ops - done:
            after = _after(history[other], value)
            if after is None:
                continue
            reached = (done | {other}, after)
            if reached not in seen:
                seen.add(reached)
                waiting.append(reached)
    return kept


def set_faults(acked: Iterable[str], maybe: Iterable[str], found: Iterable[str]) -> list[str]:
    """Return what is wrong with a set: elements acknowledged and gone, there twice, or never sent."""
    counted, known = Counter(found), set(acked)
    lost = [f"lost {one}" for one in known if one not in counted]
    twice = [f"twice {one}" for one, n in counted.items() if n > 1]
    return lost + twice + [f"never sent {one}" for one in counted.keys() - known - set(maybe)]


def bank_faults(reads: Iterable[Mapping[str, tuple[int, int, int]]], initial: Mapping[str, int]) -> list[str]:
    """Return what is wrong with reads of what is sold, held and free by key: each sum is the initial, none is below 0."""
    return [
        f"{key}: {parts} of {initial[key]}"
        for read in reads
        for key, parts in read.items()
        if sum(parts) != initial[key] or min(parts) < 0
    ]

"""How long somebody has to decide: a customer to place what is held for him, a point to say whether it takes an order on."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.norms import OfferNorm
    from service.orders.checks import Checker
    from service.store.connections import AnyRow

__all__ = ["AT_LEAST_S", "answer_by_us", "place_by_us"]

_SECOND_US = 1_000_000
AT_LEAST_S = 300
"""To place, to answer, however soon it is to be collected."""


def place_by_us(norm: OfferNorm, now_us: int, at_us: int | None) -> int:
    """Return until when an order is held; ``at_us`` is when it is wanted, None for as soon as can be."""
    reserve_s = norm.reserve_s or 0
    return now_us + reserve_s * _SECOND_US if at_us is None else _until_us(now_us, at_us, now_us, reserve_s)


def answer_by_us(checker: Checker, facts: AnyRow, norm: OfferNorm, now_us: int, at_us: int) -> int:
    """
    Return until when a point must say whether it takes an order on: counted from when it is open.

    Where it closes before that is over, it is counted anew from when it opens again.
    """
    within_s = norm.accept_within_s or 0
    until_us = _until_us(now_us, at_us, checker.opens_us(facts, now_us), within_s)
    if until_us >= at_us:
        return until_us
    last_us = until_us - _SECOND_US
    again_us = checker.opens_us(facts, last_us)
    return until_us if again_us == last_us else _until_us(now_us, at_us, again_us, within_s)


def _until_us(now_us: int, at_us: int, since_us: int, within_s: int) -> int:
    """Return when a time to decide, counted since an instant, is over: with the order's own, but never before there was any."""
    begins_us = max(now_us, min(since_us, at_us))
    at_least_us = begins_us + min(within_s, AT_LEAST_S) * _SECOND_US
    return max(at_least_us, min(at_us, since_us + within_s * _SECOND_US))

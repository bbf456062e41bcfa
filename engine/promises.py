"""What a match promises beside the distance: until when to order, when it is ready, how long it is held."""

from __future__ import annotations

import datetime as dt
import functools
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.instants import NAT
from engine.openings import DAY_S, HORIZON_S, NEVER_S, WINDOW_DAYS, WINDOW_S, instant_of, microseconds_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.hours import ScheduleKey
    from engine.norms import OfferNorm
    from engine.openings import OpeningTimes, OpenSpans

__all__ = ["Promise", "Promises", "promise", "promises_many"]

_SECOND_US = 1_000_000
_HOLD_ON_US = 10 * DAY_S * _SECOND_US
_FEW_PAIRS = 1 << 20


class Promise(NamedTuple):
    """
    The instants of one match, in UTC.

    Attributes
    ----------
    order_by
        The last instant to order, inclusive: the time wanted less the lead time.
    ready_at
        When it is ready: the first open instant once the lead time is over, never after the time wanted.
    hold_until
        Until when it is held; None where the norm knows no hold. A hold that would end behind a closed door goes on
        to the end of the next open span, at most ten days.
    cancel_free_until
        Until when cancelling costs nothing; None where the norm does not say.
    """

    order_by: dt.datetime
    ready_at: dt.datetime
    hold_until: dt.datetime | None
    cancel_free_until: dt.datetime | None


class Promises(NamedTuple):
    """The same of n matches: int64[n] microseconds since 1970, the least integer (NaT) where there is none."""

    order_by: NDArray[np.int64]
    ready_at: NDArray[np.int64]
    hold_until: NDArray[np.int64]
    cancel_free_until: NDArray[np.int64]


def promise(
    norm: OfferNorm | None,
    lead_s: int,
    at: dt.datetime,
    asked_at: dt.datetime | None,
    schedule: ScheduleKey | None,
    openings: OpeningTimes,
) -> Promise:
    """
    Return what a match promises.

    Parameters
    ----------
    norm
        Of the offer; None where it has none.
    lead_s
        The row's lead time in seconds.
    at, asked_at
        When it is wanted and when it was asked; without the latter it is ready at the former.
    schedule
        The row's hours, None where they are unknown: every door counts as open then.
    openings
        When schedules are open.

    Raises
    ------
    InvalidQueryError
        For a time without a zone.
    """
    at_us = microseconds_of(at)
    in_utc = at if at.tzinfo is dt.UTC else instant_of(at_us)
    ready_at, hold_until, cancel_free_until = in_utc, None, None
    if asked_at is not None:
        earliest_us = microseconds_of(asked_at) + lead_s * _SECOND_US
        if earliest_us < at_us:
            found = earliest_us if schedule is None else openings.next_open_us(schedule, earliest_us)
            if found is not None and found < at_us:
                ready_at = instant_of(found)
    if norm is not None and norm.hold_s is not None:
        hold_until = in_utc + _span(norm.hold_s)
        if schedule is not None:
            end_us = at_us + norm.hold_s * _SECOND_US
            held_us = _held_us(schedule, end_us, openings)
            if held_us != end_us:
                hold_until = instant_of(held_us)
    if norm is not None and norm.cancel_free_s is not None:
        cancel_free_until = in_utc - _span(norm.cancel_free_s)
    return Promise(in_utc - _span(lead_s), ready_at, hold_until, cancel_free_until)


@functools.lru_cache(maxsize=1024)
def _span(seconds: int) -> dt.timedelta:
    return dt.timedelta(seconds=seconds)


def _held_us(schedule: ScheduleKey, end_us: int, openings: OpeningTimes) -> int:
    # A hold that ends with the opening hours ends at an open door.
    end_s = -(-end_us // _SECOND_US)
    spans = openings.window(schedule, end_s // WINDOW_S)
    place = spans.place_from(end_s)
    if not end_us < spans.starts[place] * _SECOND_US <= end_us + _HOLD_ON_US:
        return end_us
    return min(spans.ends[place] * _SECOND_US, end_us + _HOLD_ON_US)


def promises_many(
    norm: OfferNorm | None,
    lead_s: NDArray[np.int64],
    at_us: NDArray[np.int64],
    asked_us: NDArray[np.int64] | None,
    schedule: NDArray[np.int32],
    schedules: Sequence[ScheduleKey],
    openings: OpeningTimes,
) -> Promises:
    """
    Return what n matches of one offer promise, as `promise` does for each.

    Parameters
    ----------
    norm
        Of the offer.
    lead_s
        Shape (n,), seconds.
    at_us, asked_us
        Shape (n,), microseconds since 1970, the least integer (NaT) where there is none: without a time wanted
        nothing is promised. None where nobody says when it was asked.
    schedule
        Shape (n,), numbers of ``schedules``, -1 where hours are unknown.
    schedules, openings
        As of `engine.facts.RowFacts`.
    """
    timed = at_us != NAT
    lead_us = lead_s * _SECOND_US
    ready_us = at_us if asked_us is None else _ready_us(lead_us, at_us, asked_us, schedule, schedules, openings)
    nothing = np.full(at_us.size, NAT)
    hold_us = cancel_free_us = nothing
    if norm is not None and norm.hold_s is not None:
        end_us = at_us + norm.hold_s * _SECOND_US
        hold_us = _held_many(end_us, np.where(timed, schedule, -1), schedules, openings)
    if norm is not None and norm.cancel_free_s is not None:
        cancel_free_us = at_us - norm.cancel_free_s * _SECOND_US
    if timed.all():
        return Promises(at_us - lead_us, ready_us, hold_us, cancel_free_us)
    return Promises(*(np.where(timed, us, NAT) for us in (at_us - lead_us, ready_us, hold_us, cancel_free_us)))


def _ready_us(
    lead_us: NDArray[np.int64],
    at_us: NDArray[np.int64],
    asked_us: NDArray[np.int64],
    schedule: NDArray[np.int32],
    schedules: Sequence[ScheduleKey],
    openings: OpeningTimes,
) -> NDArray[np.int64]:
    earliest_us = np.where(asked_us == NAT, at_us, asked_us + lead_us)
    waits = (earliest_us < at_us) & (schedule >= 0)
    start_us, _ = _spans_from(earliest_us // _SECOND_US + 1, np.where(waits, schedule, -1), schedules, openings)
    opens_us = np.maximum(start_us, earliest_us)
    opens_us = np.where(start_us <= earliest_us + HORIZON_S * _SECOND_US, opens_us, at_us)
    return np.minimum(at_us, np.where(waits, opens_us, earliest_us))


def _held_many(
    end_us: NDArray[np.int64], schedule: NDArray[np.int32], schedules: Sequence[ScheduleKey], openings: OpeningTimes
) -> NDArray[np.int64]:
    start_us, close_us = _spans_from(-(-end_us // _SECOND_US), schedule, schedules, openings)
    last_us = end_us + _HOLD_ON_US
    moves = (start_us > end_us) & (start_us <= last_us)
    return np.where(moves, np.minimum(close_us, last_us), end_us)


def _spans_from(
    at_s: NDArray[np.int64], schedule: NDArray[np.int32], schedules: Sequence[ScheduleKey], openings: OpeningTimes
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the first open spans that end at an instant or after it, in microseconds, `NEVER_S` where none is near."""
    out = np.full((at_s.size, 2), NEVER_S)
    known = np.flatnonzero(schedule >= 0)
    if known.size:
        at_s = at_s[known]
        window = at_s // WINDOW_S
        first = int(window.min())
        n_windows = int(window.max()) - first + 1
        pairs, number = _numbered(schedule[known] * np.int64(n_windows) + window - first, len(schedules) * n_windows)
        asked = zip(*(numbers.tolist() for numbers in divmod(pairs, n_windows)), strict=True)
        found = [openings.window(schedules[one], first + window) for one, window in asked]
        out[known] = _first_spans(found, number, at_s)
    out *= _SECOND_US
    return out[:, 0], out[:, 1]


def _numbered(code: NDArray[np.int64], n_codes: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the distinct codes, ascending, and the place of each code among them."""
    if n_codes > _FEW_PAIRS:
        distinct, number = np.unique(code, return_inverse=True)
        return distinct, number
    seen = np.zeros(n_codes, np.bool_)
    seen[code] = True
    return np.flatnonzero(seen), (np.cumsum(seen) - 1)[code]


def _first_spans(found: list[OpenSpans], number: NDArray[np.int64], at_s: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return for each instant the first span of its window (a number of those found) that ends at it or later."""
    spans_s = np.concatenate([one.spans_s for one in found])
    ends_s = np.ascontiguousarray(spans_s[:, 1])
    behind = np.cumsum([len(one.ends) for one in found])
    first_of_day = np.concatenate([one.first_of_day for one in found])
    place = first_of_day[number * WINDOW_DAYS + at_s // DAY_S % WINDOW_DAYS]
    place += np.append(0, behind)[number]
    late = np.flatnonzero(ends_s[place] < at_s)
    while late.size:  # as many times as doors open on a day
        place[late] += 1
        late = late[ends_s[place[late]] < at_s[late]]
    return spans_s[place]

"""Whether a crew of a point can come to a place at a time, as matching asks it."""

from __future__ import annotations

import datetime as dt
import time
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, TypeVar

from engine.errors import EngineError
from service.bookings.asking import asked_of, is_too_far, judged_at
from service.bookings.days import local_day
from service.clock import to_us
from service.deadlines import Deadline
from service.errors import DeadlineExceededError, NotFeasibleError
from service.http.problems import ProblemError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from service.bookings.asking import Asked
    from service.bookings.holding import BookingTerms
    from service.matching.asks import Ask
    from service.store.connections import ReadConnection
    from service.store.database import Store

__all__ = ["Coming"]

T = TypeVar("T")

_SECOND_US = 1_000_000
_READ_S = 3.0  # where nobody says when it must be answered
_DAYS_LOOKED_AT = 7


class Coming:
    """
    Asked from any thread.

    Points that have registered no service of an offer are not booked here: their door being open is all that is known of them.

    Parameters
    ----------
    store, terms
        Where the rosters are read that memory has not got, and what visits are judged by.
    before
        Keeps what was read of services, by point and offer, where they are not to be read again.
    """

    def __init__(
        self, store: Store, terms: BookingTerms, before: dict[tuple[str, str], list[Asked]] | None = None
    ) -> None:
        self._store = store
        self._terms = terms
        self._before = before

    def for_batch(self) -> Coming:
        """Return one that reads the services of a point once, for one batch in one thread."""
        return Coming(self._store, self._terms, {})

    def concerns(self, offer: str) -> bool:
        """Tell whether visits of an offer are booked at any point."""
        return self._terms.rosters.has_services(offer)

    def is_booked_at(self, point_id: str, offer: str) -> bool:
        """Tell whether visits of an offer are booked at a point, if only once a service is offered again."""
        return self._terms.rosters.services_of(point_id, offer) is not None

    def can_come(self, point_id: str, ask: Ask) -> bool:
        """Tell whether a crew can begin some service of an offer in the window that begins when it is asked for."""
        names = self._terms.rosters.services_of(point_id, ask.offer)
        if not names:
            return names is None
        known = None if self._before is None else self._before.get((point_id, ask.offer))
        comes = None if known is None else self._comes(None, [_at_its_place(one, ask) for one in known], ask)
        if comes is None:
            return bool(self._read(lambda connection: self._comes_anew(connection, point_id, names, ask), ask))
        return comes

    def is_too_soon(self, point_id: str, ask: Ask) -> bool:
        """Tell whether all that can be booked of an offer at a point is booked longer before."""
        names = self._terms.rosters.services_of(point_id, ask.offer)
        if not names:
            return False
        known = None if self._before is None else self._before.get((point_id, ask.offer))
        if known is None:
            known = self._read(lambda connection: list(self._asked(connection, point_id, names, ask)), ask)
        return bool(known) and all(_is_too_soon(one, ask) for one in known)

    def next_coming(self, point_id: str, ask: Ask) -> dt.datetime | None:
        """Return when the first window behind an instant begins in which a crew can come, within a week."""
        names = self._terms.rosters.services_of(point_id, ask.offer)
        return self._read(lambda connection: self._next(connection, point_id, names or (), ask), ask)

    def _read(self, fn: Callable[[ReadConnection], T], ask: Ask) -> T:
        """Read within the time that is left for an answer: nobody holds a thread for longer, whatever the store does."""
        deadline = ask.deadline or Deadline.after(_READ_S)
        future = self._store.submit_read(fn, deadline)
        try:
            return future.result(deadline.left_s())
        except (TimeoutError, CancelledError) as error:
            future.cancel()
            raise DeadlineExceededError("the store did not answer in time") from error

    def _comes_anew(self, connection: ReadConnection, point_id: str, names: tuple[str, ...], ask: Ask) -> bool | None:
        services: Iterable[Asked] = self._asked(connection, point_id, names, ask)
        if self._before is not None:
            services = self._before[point_id, ask.offer] = list(services)
        return self._comes(connection, services, ask)

    def _comes(self, connection: ReadConnection | None, services: Iterable[Asked], ask: Ask) -> bool | None:
        """Tell whether a crew can come; None where a roster has to be read for that, without a connection."""
        starts_s, now_us = -(-to_us(ask.at) // _SECOND_US), to_us(ask.asked_at)  # now is not over: rounded up
        for asked in services:
            rules, rosters = asked.rules, self._terms.rosters
            if _is_too_soon(asked, ask):
                continue
            day = local_day(rules.timezone, starts_s)
            if is_too_far(asked, day, now_us) or not rules.holds(starts_s, rosters.openings):
                continue
            if connection is None:
                known = rosters.known(asked.facts.point_id, starts_s)
            else:
                known = rosters.roster_at(connection, asked.facts, starts_s, asked.begun_at)
            if known is None:
                return None
            if known.candidate(asked.visit, starts_s, rules.width_s, -(-now_us // _SECOND_US)) is not None:
                return True
        return False

    def _next(self, connection: ReadConnection, point_id: str, names: tuple[str, ...], ask: Ask) -> dt.datetime | None:
        found: list[int] = []
        after_s = to_us(ask.at) // _SECOND_US
        for asked in self._asked(connection, point_id, names, ask):
            first = local_day(asked.rules.timezone, after_s)
            if is_too_far(asked, first, to_us(ask.asked_at)):
                continue
            known = self._terms.rosters.roster(connection, asked.facts, first, _DAYS_LOOKED_AT, asked.begun_at)
            with known.lock:
                roster = known.as_of(-(-to_us(ask.asked_at) // _SECOND_US))
                answer = roster.slots(asked.visit, asked.rules, ask.asked_at, first, _DAYS_LOOKED_AT)
            starts = sorted(slot.starts_s for slots in answer.slots.values() for slot in slots)
            checker = self._terms.orders.checker
            found += [at for at in starts if at > after_s and judged_at(checker, asked, at) == "matched"][:1]
        return None if not found else dt.datetime.fromtimestamp(min(found), dt.UTC)

    def _asked(self, connection: ReadConnection, point_id: str, names: tuple[str, ...], ask: Ask) -> Iterator[Asked]:
        begun_at = time.monotonic()
        for name in names:
            try:
                found = asked_of(connection, self._terms.orders, point_id, name, ask.lat, ask.lng)
                yield found._replace(begun_at=begun_at)
            except (NotFeasibleError, ProblemError, EngineError):  # it is offered no more, or never was to this one
                continue


def _is_too_soon(asked: Asked, ask: Ask) -> bool:
    starts_s = -(-to_us(ask.at) // _SECOND_US)
    return starts_s * _SECOND_US < to_us(ask.asked_at) + asked.rules.lead_s * _SECOND_US


def _at_its_place(asked: Asked, ask: Ask) -> Asked:
    """Return what was asked of a service at another place, as it is asked at this one."""
    job = asked.visit.job._replace(lat=ask.lat, lng=ask.lng)
    return asked._replace(visit=asked.visit._replace(job=job))

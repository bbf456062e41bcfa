"""What is asked of a point's roster: a service at a place, judged on the rows of one transaction."""

from __future__ import annotations

import dataclasses
import datetime as dt
import time
from typing import TYPE_CHECKING, NamedTuple
from zoneinfo import ZoneInfo

from engine.rosters import VisitAsk
from engine.slots import Job
from service.bookings.days import local_day
from service.clock import from_us
from service.crews.facts import ServiceFacts
from service.crews.store import SERVICES, find_kept
from service.errors import NotFeasibleError
from service.feed.columns import split_features
from service.http.access import not_found
from service.http.problems import invalid
from service.orders.checks import Wanted, is_hidden
from service.orders.store import find_facts

if TYPE_CHECKING:
    from engine.norms import OfferNorm
    from engine.openings import OpeningTimes
    from engine.rosters import BookingRules
    from service.orders.checks import Checker
    from service.orders.ordering import OrderTerms
    from service.store.connections import AnyRow, ReadConnection

__all__ = ["Asked", "asked_of", "check_window", "is_outside", "is_too_far", "judged_at"]

_SECOND_US = 1_000_000


class Asked(NamedTuple):
    """
    A service of a point, wanted at a place.

    Attributes
    ----------
    facts
        The row of the point with the service's offer.
    visit
        What the roster is asked.
    begun_at
        An instant of the monotonic clock before anything of it was read.
    is_promised
        It is what a booking was promised, not what the service is by now.
    """

    facts: AnyRow
    service_id: str
    service: ServiceFacts
    norm: OfferNorm
    rules: BookingRules
    visit: VisitAsk
    begun_at: float
    is_promised: bool = False


def asked_of(
    connection: ReadConnection,
    terms: OrderTerms,
    point_id: str,
    service_id: str,
    lat: float,
    lng: float,
    *,
    promised: AnyRow | None = None,
) -> Asked:
    """
    Return what is asked for, as this transaction reads it, which has read nothing yet where a roster is to be kept.

    Parameters
    ----------
    promised
        The row of a booking whose visit is to be made at another time, or once more: of the service as it is by now only
        its windows count, and when it may be booked, not that it is paused. Where it is deleted, windows are as wide as
        the one that was promised, and all else of them is the norm's.

    Raises
    ------
    ProblemError
        not-found for a point or a service that nobody may see.
    NotFeasibleError
        If the point does not offer it, or nothing of it can be booked now.
    """
    begun_at = time.monotonic()
    row = find_kept(connection, SERVICES, point_id, service_id)
    kept = None if row is None else ServiceFacts.of_json(row.facts)
    service = kept if promised is None else _as_promised(kept, promised)
    if service is None:
        raise not_found()
    facts = find_facts(connection, point_id, service.offer)
    if facts is None or is_hidden(facts):
        raise not_found()
    if facts.offer is None or facts.timezone is None:
        raise NotFeasibleError("no_offer")
    if service.is_paused:
        raise NotFeasibleError("paused")
    norm = terms.norms.by_offer[service.offer]
    job = Job(lat, lng, service.duration_s)
    visit = VisitAsk(job, frozenset(service.skills), service.people)
    rules = service.rules(norm, facts, facts.lead_s)
    return Asked(facts, service_id, service, norm, rules, visit, begun_at, promised is not None)


def _as_promised(service: ServiceFacts | None, booking: AnyRow) -> ServiceFacts:
    """Return a service, None if it is deleted, with what was promised of it."""
    width_s = (booking.ends_at - booking.starts_at) // _SECOND_US
    usual = ServiceFacts(booking.service_id, booking.offer, booking.duration_s, 0, booking.currency, width_s=width_s)
    return dataclasses.replace(
        service or usual,
        offer=booking.offer,
        duration_s=booking.duration_s,
        currency=booking.currency,
        skills=tuple(split_features(booking.skills)),
        people=booking.people,
        is_paused=False,
    )


def judged_at(checker: Checker, asked: Asked, starts_s: int) -> str:
    """Return whether the offer serves the place when a window begins: ``matched``, or why not, of `engine.REASONS`."""
    job = asked.visit.job
    wanted = Wanted(job.lat, job.lng, from_us(starts_s * _SECOND_US), None, (), "allow")
    return checker.judge(asked.facts, wanted, asked.norm).reason


def is_outside(checker: Checker, asked: Asked) -> bool:
    """Tell whether the place lies outside the area of the offer, whenever the visit would be."""
    return checker.is_outside(asked.facts, asked.visit.job.lat, asked.visit.job.lng)


def is_too_far(asked: Asked, day: dt.date, now_us: int) -> bool:
    """Tell whether a local day lies farther ahead than anything of a service can be booked."""
    return (day - local_day(asked.rules.timezone, now_us // _SECOND_US)).days >= asked.rules.most_days


def check_window(asked: Asked, openings: OpeningTimes, starts_s: int, now_us: int) -> None:
    """
    Refuse what is no window of a service, or too soon, or too far ahead.

    Raises
    ------
    ProblemError
        validation.
    """
    rules = asked.rules
    zone = ZoneInfo(rules.timezone)
    now = from_us(now_us)
    start = from_us(starts_s * _SECOND_US)
    day = start.astimezone(zone).date()
    if start < now:
        raise invalid("/starts_at", f"must not lie in the past, got {start.isoformat()}; it is {now.isoformat()}")
    if is_too_far(asked, day, now_us):
        raise invalid("/starts_at", f"must lie within {rules.most_days} days, today among them")
    if not rules.begins(starts_s, openings):
        text = f"must be when a window of the service begins, as GET /v1/slots tells them, got {start.isoformat()}"
        raise invalid("/starts_at", text)
    earliest = now + dt.timedelta(seconds=rules.lead_s)
    if start < earliest:
        raise NotFeasibleError("too_soon")

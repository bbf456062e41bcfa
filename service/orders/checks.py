"""Whether a point can serve an order, judged on its row as the order's transaction reads it, by the engine's own rules."""

from __future__ import annotations

import datetime as dt
import threading
from collections import OrderedDict
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from engine import Engine, promise
from engine.day_tables import KeptDays
from engine.errors import EngineError
from engine.openings import HORIZON_S
from geo.errors import GeoError
from service.clock import from_us
from service.feed.columns import columns_of

if TYPE_CHECKING:
    from engine.holidays import HolidayFile
    from engine.norms import OfferNorm
    from engine.openings import OpeningTimes
    from engine.promises import Promise
    from service.store.connections import AnyRow

__all__ = ["Checker", "Judged", "Wanted", "is_hidden", "is_judged_alike"]

_MOST_KEPT = 4_096
_MOST_DAYS_KEPT = 4_096  # of all of them together: anybody who may ask chooses the day
_JUDGED = attrgetter(
    "point_id",
    "offer",
    "merchant_id",
    "lat",
    "lng",
    "timezone",
    "country",
    "features",
    "special_days",
    "is_paused",
    "is_offer_paused",
    "status",
    "radius_m",
    "area",
    "hours",
    "lead_s",
)
"""
All of a row that an index of it alone is made of. Its revision would not do: one that is taken back, as where a change is
refused, is given again to another change.
"""
_SECOND_US = 1_000_000


class Wanted(NamedTuple):
    """Where and when something is wanted, and when it was asked: None leaves the lead time out. Degrees, WGS 84."""

    lat: float
    lng: float
    at: dt.datetime
    asked_at: dt.datetime | None
    features: tuple[str, ...] = ()
    unknown_hours: str = "refuse"


class Judged(NamedTuple):
    """
    What the rules say.

    Attributes
    ----------
    reason
        Of `engine.REASONS`: ``matched`` where it can serve.
    promise
        What it then promises.
    """

    reason: str
    promise: Promise | None


def is_judged_alike(row: AnyRow, other: AnyRow) -> bool:
    """Tell whether two rows say the same of whom they can serve, and when."""
    return _JUDGED(row) == _JUDGED(other) and _is_internal(row) == _is_internal(other)


def is_hidden(row: AnyRow) -> bool:
    """Tell whether a point is told to nobody but its merchant: it is internal, or he is not verified."""
    return _is_internal(row) or row.status != "verified"


def _is_internal(row: AnyRow) -> bool:
    return bool(row.visibility == "internal")


class Checker:
    """
    Judges rows that hold `service.feed.columns.COLUMNS`; safe to share between threads.

    Parameters
    ----------
    extra_days
        Holidays that the operator adds.

    Notes
    -----
    Each row gets an index of its own, so that an order is judged by the very code that made the match. One takes
    some milliseconds to build and is kept for rows that say the same; asked, it answers in 10 µs, and in 1 ms where the
    hours of the day are not kept. All that are kept weigh some 0.6 GB.
    Capacity and stock are not judged here: orders move them.
    """

    def __init__(self, extra_days: HolidayFile | None) -> None:
        self._extra_days = extra_days
        self._kept: OrderedDict[tuple[Any, ...], Engine | None] = OrderedDict()
        self._kept_days = KeptDays(_MOST_DAYS_KEPT)
        self._lock = threading.Lock()

    def judge(self, row: AnyRow, wanted: Wanted, norm: OfferNorm) -> Judged:
        """Return whether the offer of a row can serve, and its promise."""
        alone = self._alone(row)
        if alone is None or _is_internal(row):
            return Judged("no_offer", None)
        terms = _terms_of(wanted)
        found = alone.found(wanted.lat, wanted.lng, row.offer, 1, **terms)
        if not found.rows:
            told = alone.explain(wanted.lat, wanted.lng, row.offer, point=row.point_id, **terms).point
            return Judged("no_offer" if told is None else told.reason, None)
        fact = found.facts.row(found.rows[0])
        schedule = None if fact.schedule < 0 else found.facts.schedules[fact.schedule]
        return Judged("matched", promise(norm, row.lead_s, wanted.at, wanted.asked_at, schedule, found.facts.openings))

    def serves(self, row: AnyRow, wanted: Wanted) -> bool:
        """Tell whether the offer of a row can serve: `judge` without a reason, which takes most of its time, or a promise."""
        if row.is_paused or row.is_offer_paused or _is_internal(row):
            return False
        alone = self._alone(row)
        return alone is not None and bool(alone.found(wanted.lat, wanted.lng, row.offer, 1, **_terms_of(wanted)).rows)

    def is_outside(self, row: AnyRow, lat: float, lng: float) -> bool:
        """Tell whether a place lies outside the area of a row's offer, which could serve elsewhere, whatever its hours."""
        alone = self._alone(row)
        if alone is None or alone.found(lat, lng, row.offer, 1).rows:
            return False
        told = alone.explain(lat, lng, row.offer, point=row.point_id).point
        return told is not None and told.reason == "outside_area"

    def opens_us(self, row: AnyRow, at_us: int) -> int:
        """
        Return the first instant from one on at which the offer is open; the instant itself where nobody knows.

        Where it stays closed for longer than openings are looked for, it is the end of that.
        """
        alone = self._alone(row)
        if alone is None or alone.facts.row(0).schedule < 0:
            return at_us
        if alone.found(row.lat, row.lng, row.offer, 1, at=from_us(at_us), unknown_hours="allow").rows:
            return at_us
        facts = alone.facts
        openings: OpeningTimes = facts.openings
        found = openings.next_open_us(facts.schedules[facts.row(0).schedule], at_us)
        return at_us + HORIZON_S * _SECOND_US if found is None else found

    def hold_until(self, row: AnyRow, norm: OfferNorm, at: dt.datetime) -> dt.datetime | None:
        """Return until when what is ready at an instant is held; None where the norm does not say."""
        alone = self._alone(row)
        if alone is None:
            return None
        facts = alone.facts
        schedule = None if facts.row(0).schedule < 0 else facts.schedules[facts.row(0).schedule]
        return promise(norm, row.lead_s, at, None, schedule, facts.openings).hold_until

    def _alone(self, row: AnyRow) -> Engine | None:
        key = _JUDGED(row)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        made = self._made(row)
        with self._lock:
            self._kept[key] = made
            while len(self._kept) > _MOST_KEPT:
                self._kept.popitem(last=False)
        return made

    def _made(self, row: AnyRow) -> Engine | None:
        seen = {"visibility": ["public"], "capacity": [None]}
        try:
            return Engine.from_columns(
                **columns_of([row]) | seen, extra_days=self._extra_days, kept_days=self._kept_days
            )
        except (EngineError, GeoError):  # one that no index takes
            return None


def _terms_of(wanted: Wanted) -> dict[str, Any]:
    names = ("at", "asked_at", "features", "unknown_hours")
    return {name: getattr(wanted, name) for name in names}

"""Check what is asked and turn it into arrays for the kernels."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine.baskets import parse_items
from engine.errors import InvalidQueryError
from engine.inputs import as_degrees, as_offers, as_whole
from engine.instants import NAT, as_instants_us
from engine.kernels.hours import N_BITS, open_schedules
from engine.kernels.state import NO_LEAD, Asks, Hours, Terms
from engine.lean import is_repeated, repeated
from engine.local_time import check_instants, told_apart
from geo.metric import ecef
from geo.numbers import as_float, is_number
from geo.places import check_latlng

if TYPE_CHECKING:
    from collections.abc import Iterable

    from engine.hours import ScheduleBook
    from engine.vocabulary import Vocabulary

__all__ = [
    "CHECKS",
    "Question",
    "hours_at",
    "offer_codes",
    "open_schedules_at",
    "parse_asks",
    "question_of",
    "terms_of",
]

CHECKS = ("open", "serves", "capacity")
_ALL_SCHEDULES = np.uint64(0xFFFF_FFFF_FFFF_FFFF)
_MOST_SCHEDULES = 1024  # each instant looks at all of them


@dataclass(frozen=True, kw_only=True)
class Question:
    """
    What may be asked beside place and offer: the keyword arguments of `Engine.nearest_many`.

    Attributes
    ----------
    at
        When it is wanted; None leaves hours and lead times out.
    asked_at
        When it is asked, for lead times and the age of counts; None leaves both out.
    trusted_at
        When counts must be fit to be trusted, where that is not ``asked_at``: lead times may be left out without it.
    quantity
        Units needed, at least 1.
    max_distance_m
        The farthest told distance, inclusive; None for no limit.
    unknown_hours
        ``"refuse"`` or ``"allow"`` points whose hours are unknown at the time.
    features
        What a point must have, all of it.
    require
        Which of ``open``, ``serves`` and ``capacity`` count.
    items
        The basket, all of which a point must have, whatever ``require`` says: a mapping from SKU to quantity, for many
        also q of these (or None), or `engine.Baskets`; None asks for nothing. An SKU that nobody keeps matches nothing.
    """

    at: Any = None
    asked_at: Any = None
    quantity: Any = 1
    max_distance_m: float | None = None
    unknown_hours: Any = "refuse"
    features: Iterable[str] = ()
    require: Any = CHECKS
    items: Any = None
    trusted_at: Any = None

    def __post_init__(self) -> None:
        if not isinstance(self.unknown_hours, str) or self.unknown_hours not in {"refuse", "allow"}:
            expected = f'must be "refuse" or "allow", got {self.unknown_hours!r:.40}'
            raise InvalidQueryError("unknown_hours", expected, value=self.unknown_hours)
        is_list = isinstance(self.require, list | tuple | set | frozenset)
        if not is_list or not all(isinstance(check, str) and check in CHECKS for check in self.require):
            expected = f"must be some of {', '.join(CHECKS)}, got {self.require!r:.60}"
            raise InvalidQueryError("require", expected, value=self.require)
        object.__setattr__(self, "require", frozenset(self.require))
        _check_limit(self.max_distance_m)


def _check_limit(limit: object) -> None:
    if limit is None:
        return
    if not is_number(limit) or not 0.0 <= as_float(limit) < np.inf:
        expected = f"must be a finite distance of at least 0 m, or None, got {limit!r:.40}"
        raise InvalidQueryError("max_distance_m", expected, value=limit)


def question_of(ask: dict[str, Any]) -> Question:
    """Return the question of keyword arguments."""
    unknown = sorted(set(ask) - set(Question.__dataclass_fields__))
    if unknown:
        expected = (
            f"got an unexpected argument {unknown[0]!r}; expected some of {', '.join(Question.__dataclass_fields__)}"
        )
        raise TypeError(expected)
    return Question(**ask)


def parse_asks(
    vocabulary: Vocabulary, lat: ArrayLike, lng: ArrayLike, offer: Any, question: Question, *, placed: bool = True
) -> tuple[Asks, Terms, Hours]:
    """
    Return q questions as arrays, what they have in common, and the hours that they need.

    Their positions are left for the caller to fill where they are not to be ``placed``.

    Raises
    ------
    EngineError, GeoError
        For the first bad element, with argument and position.
    """
    lats, lngs = check_latlng(as_degrees(lat), as_degrees(lng))
    q = lats.size
    at_us = as_instants_us(question.at, "at", q)
    asked_us = as_instants_us(question.asked_at, "asked_at", q)
    trusted_us = asked_us if question.trusted_at is None else as_instants_us(question.trusted_at, "trusted_at", q)
    wait_us = repeated(np.int64(NO_LEAD), q)
    lines = parse_items(vocabulary, question.items, q)
    if question.asked_at is not None:
        lonely = (asked_us != NAT) & (at_us == NAT)
        if question.items is None and lonely.any():
            position = None if _is_one(question.asked_at) else int(np.argmax(lonely))
            raise InvalidQueryError("asked_at", "needs at, the time for which it is asked, or items", position=position)
        wait_us = np.where((at_us == NAT) | (asked_us == NAT), NO_LEAD, at_us - asked_us)
    instant, hours = _hours(vocabulary, at_us, wanted="open" in question.require)
    asks = Asks(
        lat=lats,
        lng=lngs,
        xyz=ecef(lats, lngs) if placed else np.empty((q, 3)),
        offer=_offers_asked(vocabulary, offer, q),
        instant=instant,
        wait_us=wait_us,
        quantity=_quantities(question.quantity, q),
        enough_features=vocabulary.enough_features(question.features),
        open_schedules=_open_schedules(hours, instant, allow_unknown=question.unknown_hours == "allow"),
        first_line=lines.first_line,
        end_line=lines.end_line,
        asked_us=trusted_us,
        line_sku=lines.line_sku,
        line_quantity=lines.line_quantity,
    )
    ask_features = not asks.enough_features.all()
    terms = terms_of(question, ask_features=ask_features, n_schedules=hours.tz_of_schedule.size)
    return asks, terms._replace(ask_items=asks.line_sku.size > 0), hours


def terms_of(question: Question, *, ask_features: bool, n_schedules: int) -> Terms:
    """Return what counts in all questions of a call, where so many schedules are known."""
    limit = question.max_distance_m
    ask_open = "open" in question.require
    return Terms(
        limit_m=np.inf if limit is None else float(limit),
        allow_unknown=question.unknown_hours == "allow",
        ask_open=ask_open,
        ask_area="serves" in question.require,
        ask_units="capacity" in question.require,
        ask_features=ask_features,
        ask_items=False,
        bits_decide=not ask_open or n_schedules <= N_BITS,
    )


def _is_one(value: Any) -> bool:
    return value is None or isinstance(value, dt.datetime | np.datetime64) or np.ndim(value) == 0


def _offers_asked(vocabulary: Vocabulary, offer: Any, q: int) -> NDArray[np.int64]:
    return (
        repeated(offer_codes(vocabulary, offer, 1)[0], q)
        if isinstance(offer, str)
        else offer_codes(vocabulary, offer, q)
    )


def offer_codes(vocabulary: Vocabulary, offer: Any, q: int) -> NDArray[np.int64]:
    """Return the code of each query's offer (one for all, or q), -1 where nobody has it."""
    codes, offers = as_offers(
        [offer] if isinstance(offer, str) else offer, "offer", None if isinstance(offer, str) else q
    )
    known = np.array([vocabulary.find_offer(name) for name in offers], np.int64)
    return np.full(q, known[0], np.int64) if isinstance(offer, str) else known[codes] if q else codes


def _quantities(quantity: Any, q: int) -> NDArray[np.int64]:
    one = np.ndim(quantity) == 0
    items = as_whole(
        [quantity.item() if isinstance(quantity, np.ndarray) else quantity] if one else quantity,
        "quantity",
        1 if one else q,
        missing=None,
        minimum=1,
        error=InvalidQueryError,
    )
    return repeated(items[0], q) if one else items


def _hours(vocabulary: Vocabulary, at_us: NDArray[np.int64], *, wanted: bool) -> tuple[NDArray[np.int64], Hours]:
    if not wanted or (is_repeated(at_us) and at_us[0] == NAT):
        return repeated(np.int64(-1), at_us.size), hours_at(vocabulary.book, np.empty(0, np.int64))
    timed = at_us != NAT
    instant = np.full(at_us.size, -1, np.int64)
    seconds = at_us // 1_000_000
    check_instants(np.where(timed, seconds, 0))
    distinct, instant[timed] = told_apart(seconds[timed], vocabulary.book.zones())
    return instant, hours_at(vocabulary.book, distinct)


def hours_at(book: ScheduleBook, seconds: NDArray[np.int64]) -> Hours:
    """Return the hours of all schedules at instants, in UTC seconds since 1970."""
    table = book.table_at(seconds)
    return Hours(
        tz_of_schedule=_read_only(table.tz_of_schedule),
        day_slot=_read_only(table.day_slot),
        minute=_read_only(table.minute),
        bitmap_of=_read_only(table.bitmap_of),
        open_bits=_read_only(table.open_bits),
        unknown_bits=_read_only(table.unknown_bits),
    )


def open_schedules_at(hours: Hours, *, allow_unknown: bool) -> NDArray[np.uint64]:
    """Return which schedules may be open at each instant of a table, as bits: all where that is not worth finding."""
    out = np.full(hours.minute.shape[1], _ALL_SCHEDULES, np.uint64)
    if hours.tz_of_schedule.size <= _MOST_SCHEDULES:
        serving = hours.open_bits | hours.unknown_bits if allow_unknown else hours.open_bits & ~hours.unknown_bits
        open_schedules(allow_unknown, hours.tz_of_schedule, hours.day_slot, hours.minute, hours.bitmap_of, serving, out)
    return out


def _open_schedules(hours: Hours, instant: NDArray[np.int64], *, allow_unknown: bool) -> NDArray[np.uint64]:
    if is_repeated(instant):
        return repeated(_ALL_SCHEDULES, instant.size)
    out = np.full(instant.size, _ALL_SCHEDULES, np.uint64)
    timed = instant >= 0
    if timed.any():
        out[timed] = open_schedules_at(hours, allow_unknown=allow_unknown)[instant[timed]]
    return out


def _read_only(array: NDArray[Any]) -> NDArray[Any]:
    # The book shares some of its arrays and makes others: one layout, or kernels compile again.
    view = np.ascontiguousarray(array).view()
    view.flags.writeable = False
    return view

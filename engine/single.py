"""One plain question asked from Python: what `engine.queries` does for many, without arrays made on the way."""

from __future__ import annotations

import datetime as dt
import functools
import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.answers import Answer, Match
from engine.asks import CHECKS, Question, question_of, terms_of
from engine.feature_sets import EnoughSets
from engine.instants import EPOCH, MICROSECOND
from engine.kernels import matching as kernels
from engine.kernels.hours import N_BITS
from engine.kernels.packing import NUMBERS_AN_ARRAY
from engine.kernels.state import NO_LEAD, Asks, Hours, Terms
from engine.packing import pack
from engine.queries import nearest_many, room, room_for_best
from engine.subsets import narrowed_to
from geo.kernels.metric import tell_distances_m

if TYPE_CHECKING:
    from engine.day_tables import DayTable
    from engine.kernels.packing import Packed
    from engine.kernels.state import Best
    from engine.snapshots import Snapshot
    from engine.vocabulary import Vocabulary

__all__ = ["find", "nearest", "put_plainly"]

_MOST = 64  # neighbours of a plain question
_ALL_SCHEDULES = -1
_ARGUMENTS = frozenset(Question.__dataclass_fields__)


def _no_hours() -> Hours:
    nothing = np.empty((0, 0), np.int32)
    return Hours(
        np.empty(0, np.int32), nothing, nothing, nothing, np.empty((0, 0), np.uint64), np.empty((0, 0), np.uint64)
    )


class _Desk:
    """What one thread's questions and answers are written to, again and again."""

    def __init__(self) -> None:
        self.features = EnoughSets(np.ones(1, np.bool_), are_all=True)
        self.asks = Asks(
            lat=np.empty(1),
            lng=np.empty(1),
            xyz=np.empty((1, 3)),
            offer=np.empty(1, np.int64),
            instant=np.empty(1, np.int64),
            wait_us=np.empty(1, np.int64),
            quantity=np.empty(1, np.int64),
            enough_features=self.features.enough,
            open_schedules=np.empty(1, np.uint64),
            first_line=np.zeros(1, np.int64),
            end_line=np.zeros(1, np.int64),
            asked_us=np.zeros(1, np.int64),
            line_sku=np.empty(0, np.int32),
            line_quantity=np.empty(0, np.int64),
        )
        self.packed_asks = pack(self.asks)
        self._room = room()
        self.packed_room = pack(self._room)
        self.no_hours = _no_hours()
        self.packed_no_hours = pack(self.no_hours)
        self._best: dict[int, tuple[Best, Packed, Any]] = {}

    def take_features(self, features: EnoughSets) -> None:
        """Let the ask on the desk say which sets of features are enough."""
        if self.features is not features:
            self.features = features  # kept alive: kernels read at its address
            at = NUMBERS_AN_ARRAY * Asks._fields.index("enough_features")
            self.packed_asks[at : at + 2] = features.address, features.enough.size

    def best(self, k: int) -> tuple[Best, Packed, Any]:
        """Return room for k rows, the same as one argument, and room for their told distances."""
        if k not in self._best:
            best = room_for_best(1, k)
            self._best[k] = (best, pack(best), np.empty(k))
        return self._best[k]


_of_thread = threading.local()


def _desk() -> _Desk:
    try:
        desk: _Desk = _of_thread.desk
    except AttributeError:
        desk = _of_thread.desk = _Desk()
    return desk


@functools.lru_cache(maxsize=256)
def _terms(
    limit: float | None, unknown_hours: str, require: tuple[str, ...], are_features_asked: bool, n_schedules: int
) -> Terms:
    question = Question(max_distance_m=limit, unknown_hours=unknown_hours, require=require)
    return terms_of(question, ask_features=are_features_asked, n_schedules=n_schedules)


def nearest(
    vocabulary: Vocabulary, snapshot: Snapshot, lat: Any, lng: Any, offer: Any, k: Any, ask: dict[str, Any]
) -> Answer:
    """Return the k nearest that can serve one place; bad arguments raise as in `engine.queries.nearest_many`."""
    rows, metres = find(vocabulary, snapshot, lat, lng, offer, k, ask)
    names = snapshot.names_of(rows)
    return Answer([Match(name, offer, far) for name, far in zip(names, metres, strict=True)], snapshot.number)


def find(
    vocabulary: Vocabulary, snapshot: Snapshot, lat: Any, lng: Any, offer: Any, k: Any, ask: dict[str, Any]
) -> tuple[list[int], list[float]]:
    """Return the rows of `nearest` and how far they are."""
    plain = put_plainly(vocabulary, lat, lng, offer, k, ask)
    if plain is None:
        most = min(k, max(1, snapshot.n_rows)) if type(k) is int else k  # no room for more than there are
        question = question_of(ask)
        found = nearest_many(vocabulary, snapshot, [lat], [lng], [offer], k=most, threads=1, question=question)
        rows, metres = found.row[0].tolist(), found.distance_m[0].tolist()
    else:
        desk, _, hours, terms, may_refuse = plain
        best, packed_best, told = desk.best(k)
        checked = may_refuse or snapshot.can_refuse
        asked = (hours, desk.packed_asks, terms, checked, snapshot.has_dead, 0, 1, packed_best, desk.packed_room)
        if terms.ask_features:
            searched, _keeps_alive = narrowed_to(snapshot, desk.features)
        else:
            searched = snapshot.packed
        kernels.nearest(searched, *asked)
        tell_distances_m(best.chord_sq[0], told)
        rows, metres = best.row[0].tolist(), told.tolist()
    if rows[-1] < 0:
        n_found = rows.index(-1)
        return rows[:n_found], metres[:n_found]
    return rows, metres


def put_plainly(
    vocabulary: Vocabulary, lat: Any, lng: Any, offer: Any, k: Any, ask: dict[str, Any]
) -> tuple[_Desk, DayTable | None, Packed, Terms, bool] | None:
    """
    Put a plain question on this thread's desk, None for one that is not plain.

    Plain are Python's own numbers and times, up to 64 neighbours, an offer that some point has, and no items.

    Returns
    -------
    tuple
        The desk; the hours asked for, to be held while kernels read them, and the same as one argument; the terms;
        whether what is asked may refuse a row, whatever the version.
    """
    if not (isinstance(lat, float) and isinstance(lng, float) and type(k) is int and -90.0 <= lat <= 90.0):
        return None
    code = vocabulary.find_offer(offer) if type(offer) is str else -1
    if not (
        code >= 0
        and -180.0 <= lng <= 180.0
        and 1 <= k <= _MOST
        and ask.keys() <= _ARGUMENTS
        and ask.get("items") is None
        and ask.get("trusted_at") is None
    ):
        return None
    quantity, require, limit = ask.get("quantity", 1), ask.get("require", CHECKS), ask.get("max_distance_m")
    unknown_hours = ask.get("unknown_hours", "refuse")
    good = type(quantity) is int and 1 <= quantity < 1 << 62
    good = good and (require is CHECKS or (type(require) is tuple and all(type(check) is str for check in require)))
    features = vocabulary.find_enough(ask.get("features", ()))
    if features is None or not (good and (limit is None or isinstance(limit, float)) and type(unknown_hours) is str):
        return None
    times = _times(ask.get("at"), ask.get("asked_at"))
    if times is None:
        return None
    at_us, wait_us = times
    desk = _desk()
    table, n_schedules, instant, hours, bits = None, 0, -1, desk.packed_no_hours, _ALL_SCHEDULES
    if at_us is not None and "open" in require:
        found = vocabulary.days.at(at_us)
        if found is None:
            return None
        table, instant = found
        n_schedules, hours, bits = (
            table.n_schedules,
            table.packed,
            table.open_schedules[unknown_hours == "allow"][instant],
        )
    terms = _terms(limit, unknown_hours, require, not features.are_all, min(n_schedules, N_BITS + 1))
    desk.take_features(features)
    kernels.put_ask(desk.packed_asks, lat, lng, code, instant, wait_us, quantity, bits)
    may_refuse = instant >= 0 or wait_us != NO_LEAD or limit is not None or terms.ask_features
    return desk, table, hours, terms, may_refuse


def _times(at: Any, asked_at: Any) -> tuple[int | None, int] | None:
    """Return when it is wanted, in microseconds, and how long that is after it is asked; None if not plainly told."""
    if at is None:
        return (None, NO_LEAD) if asked_at is None else None
    if type(at) is not dt.datetime or (asked_at is not None and type(asked_at) is not dt.datetime):
        return None
    try:
        at_us = (at - EPOCH) // MICROSECOND
        # Each from 1970: the difference of two times of one zone is that of its clocks, not what passes between.
        return at_us, NO_LEAD if asked_at is None else at_us - (asked_at - EPOCH) // MICROSECOND
    except TypeError:  # a time without a zone
        return None

"""One plain question asked from Python: what `engine.queries` does for many, without arrays made on the way."""

from __future__ import annotations

import datetime as dt
import functools
import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.answers import Answer, Match
from engine.asks import CHECKS, EPOCH, MICROSECOND, Question, question_of, terms_of
from engine.kernels import matching as kernels
from engine.kernels.hours import N_BITS
from engine.kernels.state import NO_LEAD, Asks, Hours, Terms
from engine.packing import pack
from engine.queries import nearest_many, room, room_for_best
from geo.kernels.metric import tell_distances_m

if TYPE_CHECKING:
    from engine.kernels.packing import Packed
    from engine.kernels.state import Best
    from engine.snapshots import Snapshot
    from engine.vocabulary import Vocabulary

__all__ = ["nearest"]

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
        self.asks = Asks(
            lat=np.empty(1),
            lng=np.empty(1),
            xyz=np.empty((1, 3)),
            offer=np.empty(1, np.int64),
            instant=np.empty(1, np.int64),
            wait_us=np.empty(1, np.int64),
            quantity=np.empty(1, np.int64),
            enough_features=np.ones(1, np.bool_),
            open_schedules=np.empty(1, np.uint64),
        )
        self.packed_asks = pack(self.asks)
        self._room = room()
        self.packed_room = pack(self._room)
        self.no_hours = _no_hours()
        self.packed_no_hours = pack(self.no_hours)
        self._best: dict[int, tuple[Best, Packed, Any]] = {}

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
def _terms(limit: float | None, unknown_hours: str, require: tuple[str, ...], n_schedules: int) -> Terms:
    question = Question(max_distance_m=limit, unknown_hours=unknown_hours, require=require)
    return terms_of(question, ask_features=False, n_schedules=n_schedules)


def nearest(
    vocabulary: Vocabulary, snapshot: Snapshot, lat: Any, lng: Any, offer: Any, k: Any, ask: dict[str, Any]
) -> Answer:
    """Return the k nearest that can serve one place; bad arguments raise as in `engine.queries.nearest_many`."""
    answer = _plain_answer(vocabulary, snapshot, lat, lng, offer, k, ask)
    if answer is not None:
        return answer
    most = min(k, max(1, snapshot.n_rows)) if type(k) is int else k  # no room for more than there are
    question = question_of(ask)
    found = nearest_many(vocabulary, snapshot, [lat], [lng], [offer], k=most, threads=1, question=question)
    pairs = zip(found.point_ids()[0], found.distance_m[0].tolist(), strict=True)
    return Answer([Match(name, offer, metres) for name, metres in pairs if name is not None], found.version)


def _plain_answer(
    vocabulary: Vocabulary, snapshot: Snapshot, lat: Any, lng: Any, offer: Any, k: Any, ask: dict[str, Any]
) -> Answer | None:
    """
    Return the answer to a plain question, None for one that is not.

    Plain are Python's own numbers and times, up to 64 neighbours, an offer that some point has, and no features.
    """
    if not (isinstance(lat, float) and isinstance(lng, float) and type(k) is int and -90.0 <= lat <= 90.0):
        return None
    code = vocabulary.find_offer(offer) if type(offer) is str else -1
    if not (code >= 0 and -180.0 <= lng <= 180.0 and 1 <= k <= _MOST and ask.keys() <= _ARGUMENTS):
        return None
    quantity, require, limit = ask.get("quantity", 1), ask.get("require", CHECKS), ask.get("max_distance_m")
    unknown_hours = ask.get("unknown_hours", "refuse")
    good = type(quantity) is int and 1 <= quantity < 1 << 62 and type(require) is tuple and not ask.get("features")
    if not (good and (limit is None or isinstance(limit, float)) and type(unknown_hours) is str):
        return None
    times = _times(ask.get("at"), ask.get("asked_at"))
    if times is None:
        return None
    at_us, wait_us = times
    desk = _desk()
    n_schedules, instant, hours, bits = 0, -1, desk.packed_no_hours, _ALL_SCHEDULES
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
    terms = _terms(limit, unknown_hours, require, min(n_schedules, N_BITS + 1))
    checked = instant >= 0 or wait_us != NO_LEAD or limit is not None or snapshot.can_refuse
    best, packed_best, told = desk.best(k)
    kernels.put_ask(desk.packed_asks, lat, lng, code, instant, wait_us, quantity, bits)
    kernels.nearest(
        snapshot.packed, hours, desk.packed_asks, terms, checked, snapshot.has_dead, 0, 1, packed_best, desk.packed_room
    )
    tell_distances_m(best.chord_sq[0], told)
    rows = best.row[0].tolist()
    if rows[-1] < 0:
        rows = rows[: rows.index(-1)]
    names = snapshot.names_of(rows)
    return Answer([Match(name, offer, far) for name, far in zip(names, told.tolist(), strict=False)], snapshot.number)


def _times(at: Any, asked_at: Any) -> tuple[int | None, int] | None:
    """Return when it is wanted, in microseconds, and how long that is after it is asked; None if not plainly told."""
    if at is None:
        return (None, NO_LEAD) if asked_at is None else None
    if type(at) is not dt.datetime or (asked_at is not None and type(asked_at) is not dt.datetime):
        return None
    try:
        return (at - EPOCH) // MICROSECOND, NO_LEAD if asked_at is None else (at - asked_at) // MICROSECOND
    except TypeError:  # a time without a zone
        return None

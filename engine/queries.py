"""Ask a snapshot: nearest rows, refusals, service areas."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine.answers import Matches, Pairs, Refusals
from engine.asks import Question, offer_codes, parse_asks
from engine.errors import InvalidQueryError
from engine.inputs import as_degrees
from engine.kernels import matching as kernels
from engine.kernels.state import Asks, Best, Hours, Part, Version
from engine.serving import serving_rows
from geo.cells import FINEST_RESOLUTION, latlng_to_cell_many
from geo.metric import ecef, told_distances_m
from geo.places import check_latlng

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.snapshots import Snapshot
    from engine.vocabulary import Vocabulary

__all__ = ["in_turn", "nearest_many", "nearest_of_any", "refusals_many", "serving_many"]

_QUERIES_A_CHUNK = 2048
_NO_OFFER = "any/any"  # what is asked where the kernel asks for no offer


def empty_best(q: int, k: int) -> Best:
    """Return k empty places for each of q queries."""
    chord_sq = np.full((q, k), np.inf)
    rank = np.full((q, k), np.iinfo(np.int64).max)
    return Best(chord_sq, rank, np.full((q, k), -1, np.int64), np.full((q, k), -1, np.int64))


def _in_threads(run: Callable[[int, int], object], q: int, threads: int | None) -> None:
    """Call ``run(start, stop)`` for chunks of q queries on a pool of threads: kernels hold no GIL."""
    chunks = [(start, min(start + _QUERIES_A_CHUNK, q)) for start in range(0, q, _QUERIES_A_CHUNK)]
    n_threads = min(_thread_count(threads), len(chunks))
    if n_threads <= 1:
        run(0, q)
        return
    with ThreadPoolExecutor(n_threads) as pool:
        list(pool.map(lambda chunk: run(*chunk), chunks))


def _thread_count(threads: Any) -> int:
    if threads is None:
        return os.cpu_count() or 1
    if isinstance(threads, bool) or not isinstance(threads, int | np.integer) or threads < 1:
        raise InvalidQueryError("threads", f"must be a whole number of at least 1, got {threads!r:.40}", value=threads)
    return int(threads)


def _matches(snapshot: Snapshot, best: Best, k: int) -> Matches:
    row, distance_m = best.row, told_distances_m(best.chord_sq)
    if k > row.shape[1]:
        wider = ((0, 0), (0, k - row.shape[1]))
        row = np.pad(row, wider, constant_values=-1)
        distance_m = np.pad(distance_m, wider, constant_values=np.inf)
    return Matches(row, distance_m, snapshot.number, snapshot.point_ids)


def nearest_many(
    vocabulary: Vocabulary,
    snapshot: Snapshot,
    lat: ArrayLike,
    lng: ArrayLike,
    offer: Any,
    *,
    k: Any,
    threads: int | None,
    question: Question,
) -> Matches:
    """Return the k nearest rows that can serve each query."""
    if isinstance(k, bool) or not isinstance(k, int | np.integer) or k < 1:
        raise InvalidQueryError("k", f"must be a whole number of at least 1, got {k!r:.40}", value=k)
    asks, hours = parse_asks(vocabulary, lat, lng, offer, question)
    q = asks.offer.size
    best = empty_best(q, max(1, min(int(k), snapshot.n_rows)))
    searched = snapshot.searched
    for part in (searched.delta, searched.base):
        if part.row.size:
            _in_threads(partial(_nearest, part, searched, hours, asks, best), q, threads)
    return _matches(snapshot, best, int(k))


def _nearest(part: Part, searched: Version, hours: Hours, asks: Asks, best: Best, start: int, stop: int) -> None:
    kernels.nearest(part, searched, hours, asks, start, stop, best)


def refusals_many(
    vocabulary: Vocabulary,
    snapshot: Snapshot,
    lat: ArrayLike,
    lng: ArrayLike,
    offer: Any,
    *,
    units: NDArray[np.int64] | None,
    threads: int | None,
    question: Question,
) -> Refusals:
    """Return the nearest row with the offer for each query, and why it cannot serve."""
    asks, hours = parse_asks(vocabulary, lat, lng, offer, question)
    q = asks.offer.size
    best, code = empty_best(q, 1), np.zeros(q, np.uint8)
    searched = snapshot.searched if units is None else snapshot.searched._replace(units=_own_units(snapshot, units))
    _in_threads(lambda start, stop: kernels.nearest_refused(searched, hours, asks, start, stop, best, code), q, threads)
    return Refusals(best.row[:, 0], code, told_distances_m(best.chord_sq[:, 0]), snapshot.number)


def in_turn(
    vocabulary: Vocabulary,
    snapshot: Snapshot,
    lat: ArrayLike,
    lng: ArrayLike,
    offer: Any,
    *,
    units: NDArray[np.int64],
    question: Question,
) -> Matches:
    """Serve queries one after the other from ``units``, which is changed."""
    asks, hours = parse_asks(vocabulary, lat, lng, offer, question)
    q = asks.offer.size
    best, code = empty_best(q, 1), np.zeros(q, np.uint8)
    searched = snapshot.searched._replace(units=_own_units(snapshot, units))
    kernels.in_turn(searched, hours, asks, best, empty_best(q, 1), code)
    return replace(_matches(snapshot, best, 1), code=code)


def _own_units(snapshot: Snapshot, units: Any) -> NDArray[np.int64]:
    good = (
        isinstance(units, np.ndarray) and units.dtype == np.int64 and units.flags.c_contiguous and units.flags.writeable
    )
    if not good or units.shape != (snapshot.n_rows,):
        expected = f"must be a contiguous int64 array of {snapshot.n_rows} units, as Engine.units() gives"
        raise InvalidQueryError("units", expected)
    return units


def nearest_of_any(
    vocabulary: Vocabulary, snapshot: Snapshot, lat: ArrayLike, lng: ArrayLike, *, threads: int | None
) -> Matches:
    """Return the nearest public row of any offer for each query, nothing else asked."""
    asks, hours = parse_asks(vocabulary, lat, lng, _NO_OFFER, Question())
    best = empty_best(asks.offer.size, 1)
    searched = snapshot.searched
    names = vocabulary.offers()
    offers = np.array(sorted(range(len(names)), key=lambda code: names[code].encode()), np.int64)
    for part in (searched.delta, searched.base):
        run = partial(_nearest_of_any, part, searched, hours, asks, offers, best)
        _in_threads(run, asks.offer.size, threads)
    return _matches(snapshot, best, 1)


def _nearest_of_any(
    part: Part,
    searched: Version,
    hours: Hours,
    asks: Asks,
    offers: NDArray[np.int64],
    best: Best,
    start: int,
    stop: int,
) -> None:
    kernels.nearest_of_any(part, searched, hours, asks, start, stop, offers, best)


def serving_many(vocabulary: Vocabulary, snapshot: Snapshot, lat: ArrayLike, lng: ArrayLike, offer: Any) -> Pairs:
    """Return all pairs of a query and a row whose area contains its place."""
    lats, lngs = check_latlng(as_degrees(lat), as_degrees(lng))
    asked = (lats, lngs, ecef(lats, lngs), latlng_to_cell_many(lats, lngs, FINEST_RESOLUTION))
    offers = offer_codes(vocabulary, offer, lats.size)
    found = [
        serving_rows(part.part, part.serving, snapshot.dead, *asked, offers) for part in (snapshot.base, snapshot.delta)
    ]
    row = np.concatenate([rows for rows, _ in found])
    query = np.concatenate([np.repeat(np.arange(lats.size), counts) for _, counts in found])
    if found[1][0].size:  # a delta's rows have higher numbers than the base's
        order = np.argsort(query, kind="stable")
        query, row = query[order], row[order]
    return Pairs(query, row, snapshot.number)

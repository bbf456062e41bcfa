"""Ask a snapshot: nearest rows, refusals, service areas."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine.answers import Matches, Pairs, Refusals
from engine.asks import Question, offer_codes, parse_asks
from engine.errors import InvalidQueryError
from engine.facts import RowFacts
from engine.inputs import MAX_WHOLE, as_degrees, as_whole
from engine.kernels import matching as kernels
from engine.kernels import visits
from engine.kernels.packing import Packed
from engine.kernels.serving import Asked
from engine.kernels.state import CHUNK, NO_LEAD, STACK, Asks, Best, Room, Terms
from engine.kernels.stock import SIGNATURE_WORDS
from engine.lean import is_repeated
from engine.packing import pack
from engine.serving import serving_pairs
from engine.subsets import narrowed
from engine.threads import in_chunks, n_processors
from engine.units import flat_units, paged_units
from engine.visits import in_visiting_order
from geo.cells import FINEST_RESOLUTION, latlng_to_cell_many
from geo.kernels import metric
from geo.metric import ecef, told_distances_m
from geo.places import check_latlng

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.snapshots import Snapshot
    from engine.vocabulary import Vocabulary

__all__ = ["check_k", "in_turn", "nearest_many", "nearest_of_any", "refusals_many", "row_numbers", "serving_many"]

_MOST_NEIGHBOURS = 2**31 - 1

_QUERIES_A_CHUNK = 2048
_CHUNKS_A_THREAD = 8  # of a large batch: enough for threads to end together
_NO_OFFER = "any/any"  # what is asked where the kernel asks for no offer


def room_for_best(q: int, k: int) -> Best:
    """Return room for k rows for each of q queries; kernels fill all of it."""
    places = np.empty((3, q, k), np.int64)
    return Best(np.empty((q, k)), places[0], places[1], places[2])


def room() -> Room:
    """Return what a search writes to on its way."""
    return Room(
        stack=np.empty(STACK, np.int64),
        least=np.empty(STACK),
        plane=np.empty((CHUNK, 3)),
        place=np.empty(CHUNK, np.int32),
        pending=np.empty(CHUNK, np.int32),
        leaf=np.empty(CHUNK, np.int32),
        off_m=np.empty(CHUNK),
        settled=np.empty(CHUNK, np.bool_),
        low=np.empty(STACK, np.int64),
        high=np.empty(STACK, np.int64),
        signature=np.empty((CHUNK, SIGNATURE_WORDS), np.uint64),
    )


def _in_threads(run: Callable[[int, int, Packed], object], q: int, threads: int | None) -> None:
    """Call ``run(start, stop, room)`` for chunks of q queries on a pool of threads: kernels hold no GIL."""
    n_threads = _thread_count(threads)

    def run_in_room(start: int, stop: int) -> None:
        own = room()
        run(start, stop, pack(own))

    size = max(_QUERIES_A_CHUNK, -(-q // (_CHUNKS_A_THREAD * n_threads)))
    in_chunks(run_in_room, q, size=size, threads=n_threads)


def _thread_count(threads: Any) -> int:
    if threads is None:
        return n_processors()
    if isinstance(threads, bool) or not isinstance(threads, int | np.integer) or threads < 1:
        raise InvalidQueryError("threads", f"must be a whole number of at least 1, got {threads!r:.40}", value=threads)
    return int(threads)


def check_k(k: Any) -> int:
    """Return how many neighbours are wanted; `InvalidQueryError` unless that is a whole number from 1 to 2**31 - 1."""
    if isinstance(k, bool) or not isinstance(k, int | np.integer) or not 1 <= k <= _MOST_NEIGHBOURS:
        expected = f"must be a whole number from 1 to {_MOST_NEIGHBOURS}, got {k!r:.40}"
        raise InvalidQueryError("k", expected, value=k)
    return int(k)


def row_numbers(rows: Any) -> NDArray[np.int64]:
    """Return numbers of rows of any shape as int64[n]; `InvalidColumnError` at the first that is no whole number."""
    flat = np.asarray(rows).ravel()
    return as_whole(flat, "rows", flat.size, missing=None, minimum=-MAX_WHOLE)


def _matches(facts: RowFacts, row: NDArray[np.int64], k: int, distance_m: NDArray[np.float64]) -> Matches:
    if k > row.shape[1]:
        wider = ((0, 0), (0, k - row.shape[1]))
        row = np.pad(row, wider, constant_values=-1)
        distance_m = np.pad(distance_m, wider, constant_values=np.inf)
    return Matches(row, distance_m, facts.version, facts)


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
    wanted = check_k(k)
    asks, terms, hours = parse_asks(vocabulary, lat, lng, offer, question, placed=False)
    q = asks.offer.size
    best = room_for_best(q, max(1, min(wanted, snapshot.n_rows)))
    row, distance_m = np.empty_like(best.row), np.empty_like(best.chord_sq)
    asks, order = in_visiting_order(asks)
    searched, _keeps_alive = (snapshot.packed, None) if terms.ask_items else narrowed(snapshot, asks)
    packed, packed_best = (searched, pack(hours), pack(asks), terms), pack(best)
    is_checked = _is_checked(snapshot, asks, terms)

    def search(start: int, stop: int, own: Packed) -> None:
        its = slice(start, stop)
        metric.ecef(asks.lat[its], asks.lng[its], asks.xyz[its])
        if terms.ask_items:
            kernels.nearest_with_items(*packed, snapshot.has_dead, start, stop, packed_best, own)
        else:
            kernels.nearest(*packed, is_checked, snapshot.has_dead, start, stop, packed_best, own)
        visits.tell(best, order, start, stop, row, distance_m)

    _in_threads(search, q, threads)
    return _matches(RowFacts(vocabulary, snapshot), row, wanted, distance_m)


def _is_checked(snapshot: Snapshot, asks: Asks, terms: Terms) -> bool:
    """Tell whether a row with the offer may be refused for anything."""
    if snapshot.can_refuse or terms.limit_m < np.inf or terms.ask_features:
        return True
    is_timed = not is_repeated(asks.instant) or not is_repeated(asks.wait_us)
    return is_timed and bool((asks.instant >= 0).any() or (asks.wait_us != NO_LEAD).any())


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
    asks, terms, hours = parse_asks(vocabulary, lat, lng, offer, question)
    q = asks.offer.size
    best, code = room_for_best(q, 1), np.zeros(q, np.uint8)
    packed_version = snapshot.packed
    if units is not None:
        version = snapshot.searched._replace(units=paged_units(_own_units(snapshot, units)))
        packed_version = pack(version)
    packed = (packed_version, pack(hours), pack(asks), terms)
    packed_best = pack(best)
    _in_threads(
        lambda start, stop, own: kernels.nearest_refused(*packed, start, stop, packed_best, own, code), q, threads
    )
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
    if question.items is not None:
        raise InvalidQueryError("items", "must be None: queries in turn use up units, and no stock")
    asks, terms, hours = parse_asks(vocabulary, lat, lng, offer, question)
    q = asks.offer.size
    best, refused, code = room_for_best(q, 1), room_for_best(q, 1), np.zeros(q, np.uint8)
    paged = paged_units(_own_units(snapshot, units))
    version = snapshot.searched._replace(units=paged)
    own = room()
    kernels.in_turn(pack(version), pack(hours), pack(asks), terms, pack(best), pack(refused), pack(own), code)
    units[:] = flat_units(paged, units.size)
    found = _matches(RowFacts(vocabulary, snapshot), best.row, 1, told_distances_m(best.chord_sq))
    return replace(found, code=code)


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
    asks, terms, hours = parse_asks(vocabulary, lat, lng, _NO_OFFER, Question())
    q = asks.offer.size
    best = room_for_best(q, 1)
    names = vocabulary.offers()
    offers = np.array(sorted(range(len(names)), key=lambda code: names[code].encode()), np.int64)
    packed, packed_best = (snapshot.packed, pack(hours), pack(asks), terms), pack(best)
    _in_threads(
        lambda start, stop, own: kernels.nearest_of_any(*packed, start, stop, offers, packed_best, own), q, threads
    )
    return _matches(RowFacts(vocabulary, snapshot), best.row, 1, told_distances_m(best.chord_sq))


def serving_many(vocabulary: Vocabulary, snapshot: Snapshot, lat: ArrayLike, lng: ArrayLike, offer: Any) -> Pairs:
    """Return all pairs of a query and a row whose area contains its place."""
    lats, lngs = check_latlng(as_degrees(lat), as_degrees(lng))
    finest = latlng_to_cell_many(lats, lngs, FINEST_RESOLUTION)
    offers = offer_codes(vocabulary, offer, lats.size)
    order = np.lexsort((finest, offers))
    asked = Asked(lats, lngs, ecef(lats, lngs), finest, offers, order)
    servings = [part.serving for part in snapshot.parts]
    query, row = serving_pairs(servings, snapshot.searched.dead, asked, threads=_thread_count(None))
    return Pairs(query, row, snapshot.number)

"""Say why nearer points were passed over, and answer "why not me?"."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from engine.answers import REASONS, Explanation, Match, Refusal, Refused
from engine.asks import Question, parse_asks, question_of
from engine.columns import VISIBILITIES
from engine.errors import InvalidQueryError, UnknownPointError
from engine.inputs import as_text
from engine.instants import as_instants_us
from engine.kernels import matching as kernels
from engine.kernels.packing import Packed
from engine.kernels.state import Asks, Terms
from engine.packing import pack
from engine.queries import check_k, room, room_for_best
from engine.shelves import NEVER_US
from engine.single import put_plainly
from geo.metric import ecef, told_distances_m

if TYPE_CHECKING:
    from engine.parts import IndexPart
    from engine.snapshots import Snapshot
    from engine.vocabulary import Vocabulary

__all__ = ["explain", "refused"]

MAX_NEARER = 20


def explain(
    vocabulary: Vocabulary,
    snapshot: Snapshot,
    lat: float,
    lng: float,
    offer: str,
    *,
    point: str | None,
    row: int | None,
    question: Question,
) -> Explanation:
    """Return the match of one place, ``row`` where it is given, and the reasons of the public points before it."""
    question = replace(question, items=one_basket(question.items))
    asks, terms, hours = parse_asks(vocabulary, [lat], [lng], offer, question)
    asked = (pack(hours), pack(asks), terms)
    if not isinstance(offer, str):
        raise InvalidQueryError("offer", f"must be one offer, got {offer!r:.40}", value=offer)
    if row is None:
        row, chord_sq, rank = _nearest(snapshot, asked)
    else:
        chord_sq, rank = (math.inf, 0) if row < 0 else _place(snapshot, row, asks)
    match = None
    if row >= 0:
        match = Match(snapshot.names_of([row])[0], offer, float(told_distances_m(np.array([chord_sq]))[0]))
    before = _rows_before(snapshot, asks, chord_sq, rank)
    nearer, n_more = _first_points(snapshot, before, row)
    told = [_refusal(vocabulary, snapshot, name, offer, asks, asked, question) for name in nearer]
    about = None if point is None else _refusal(vocabulary, snapshot, point, offer, asks, asked, question)
    return Explanation(match, told, n_more, about, snapshot.number)


def refused(
    vocabulary: Vocabulary, snapshot: Snapshot, lat: Any, lng: Any, offer: Any, k: Any, ask: dict[str, Any]
) -> list[Refused]:
    """Return the k nearest public rows that have the offer, nearest first, each with its first reason."""
    most = min(check_k(k), max(1, snapshot.n_rows))
    plain = put_plainly(vocabulary, lat, lng, offer, most, ask)
    question = Question()
    if plain is None:
        question = question_of(ask | {"items": one_basket(ask.get("items"))})
        asks, terms, hours = parse_asks(vocabulary, [lat], [lng], [offer], question)
        own, best = room(), room_for_best(1, most)
        asked, packed_room, packed_best = (pack(hours), pack(asks), terms), pack(own), pack(best)
    else:
        desk, _, packed_hours, terms, _ = plain
        best, packed_best, _ = desk.best(most)
        asked, packed_room = (packed_hours, desk.packed_asks, terms), desk.packed_room
    kernels.nearest(snapshot.packed, *asked, False, snapshot.has_dead, 0, 1, packed_best, packed_room)
    found = best.row[0] >= 0
    rows, places = best.row[0][found], best.place[0][found]
    codes = np.empty(rows.size, np.uint8)
    for number, part in enumerate(snapshot.parts):
        is_own = (rows >= part.first_row) & (rows < part.first_row + part.columns.n_rows)
        if is_own.any():
            out = np.empty(np.count_nonzero(is_own), np.uint8)
            kernels.refusals(snapshot.packed, number, places[is_own], *asked, out)
            codes[is_own] = out
    metres = told_distances_m(best.chord_sq[0][found]).tolist()
    told = zip(rows.tolist(), snapshot.names_of(rows.tolist()), metres, codes.tolist(), strict=True)
    return [
        Refused(row, name, far, REASONS[code], _missing(vocabulary, snapshot, row, code, question))
        for row, name, far, code in told
    ]


def _nearest(snapshot: Snapshot, asked: tuple[Packed, Packed, Terms]) -> tuple[int, float, int]:
    """Return the nearest row that can serve, -1 if there is none, its squared chord and its rank."""
    best, own = room_for_best(1, 1), room()
    if asked[2].ask_items:
        kernels.nearest_with_items(snapshot.packed, *asked, snapshot.has_dead, 0, 1, pack(best), pack(own))
    else:
        kernels.nearest(snapshot.packed, *asked, True, snapshot.has_dead, 0, 1, pack(best), pack(own))
    return int(best.row[0, 0]), float(best.chord_sq[0, 0]), int(best.rank[0, 0])


def _place(snapshot: Snapshot, row: int, asks: Asks) -> tuple[float, int]:
    """Return the squared chord of a row and its rank."""
    index_part = snapshot.part_of(row)
    place = index_part.place_of_row[[row - index_part.first_row]]
    return float(_squares(index_part.part.xyz[place], asks)[0]), int(index_part.part.rank[place][0])


def _squares(xyz: NDArray[np.float64], asks: Asks) -> NDArray[np.float64]:
    off = xyz - asks.xyz[0]
    squares: NDArray[np.float64] = off[:, 0] * off[:, 0] + off[:, 1] * off[:, 1] + off[:, 2] * off[:, 2]
    return squares


def _rows_before(snapshot: Snapshot, asks: Asks, chord_sq: float, rank: int) -> NDArray[np.int64]:
    """Return the living public rows up to a match, or all, nearest first: a few plain passes over the positions."""
    found = []
    for part in (index_part.part for index_part in snapshot.parts):
        squares = _squares(part.xyz, asks)
        before = (squares < chord_sq) | ((squares == chord_sq) & (part.rank <= rank))
        places = np.flatnonzero(before & ~snapshot.dead[part.row])
        found.append((squares[places], part.rank[places], part.row[places].astype(np.int64)))
    squares, ranks, rows = (np.concatenate(column) for column in zip(*found, strict=True))
    return rows[np.lexsort((ranks, squares))]


def _first_points(snapshot: Snapshot, rows: NDArray[np.int64], match_row: int) -> tuple[list[str], int]:
    # Points, not rows: each once, where its first row stands; the matched point is not among them.
    point = snapshot.points()
    first = rows[np.sort(np.unique(point[rows], return_index=True)[1])]
    if match_row >= 0:
        first = first[point[first] != point[match_row]]
    names: list[Any] = snapshot.point_ids(first[:MAX_NEARER]).to_pylist()
    return names, first.size - len(names)


def _refusal(
    vocabulary: Vocabulary,
    snapshot: Snapshot,
    name: str,
    offer: str,
    asks: Asks,
    asked: tuple[Packed, Packed, Terms],
    question: Question,
) -> Refusal:
    names = as_text([name], "point")
    rows = snapshot.rows_of(names, "point")
    offered = int(snapshot.row_of_offers(names, np.array([vocabulary.find_offer(offer)]))[0])
    part = snapshot.part_of(int(rows[0]))
    distance_m = _distance_m(part, int(rows[0]), asks)
    if offered < 0:
        seen = min((_visibility(snapshot.part_of(row), row) for row in rows.tolist()), key=VISIBILITIES.index)
        return Refusal(name, offer, distance_m, "no_offer", seen)
    visibility = _visibility(part, offered)
    if visibility != "public":
        return Refusal(name, offer, distance_m, "no_offer", visibility)
    out = np.empty(1, np.uint8)
    places = part.place_of_row[[offered - part.first_row]].astype(np.int64)
    kernels.refusals(snapshot.packed, snapshot.parts.index(part), places, *asked, out)
    missing = _missing(vocabulary, snapshot, offered, int(out[0]), question)
    return Refusal(name, offer, distance_m, REASONS[int(out[0])], visibility, missing)


def one_basket(items: Any) -> Mapping[str, int] | None:
    """Return the items of one question; `InvalidQueryError` unless they are a mapping or None."""
    if items is not None and not isinstance(items, Mapping):
        raise InvalidQueryError("items", f"must be a mapping from SKU to quantity, got {items!r:.60}", value=items)
    return items


def _missing(vocabulary: Vocabulary, snapshot: Snapshot, row: int, code: int, question: Question) -> str | None:
    """Return the first SKU of a basket that a row has not got, None unless that is its reason."""
    if REASONS[code] != "out_of_stock":
        return None
    trusted_at = question.asked_at if question.trusted_at is None else question.trusted_at
    trusted_us = int(as_instants_us(trusted_at, "trusted_at", 1)[0])
    had = snapshot.shelves.had(row)
    for sku, quantity in sorted(question.items.items()):
        units, until_us = had.get(vocabulary.find_sku(sku), (0, NEVER_US))
        if 0 <= units < quantity or trusted_us >= until_us:
            return sku
    return None


def _visibility(part: IndexPart, row: int) -> str:
    return VISIBILITIES[int(part.columns.visibility[row - part.first_row])]


def _distance_m(part: IndexPart, row: int, asks: Asks) -> float:
    at = row - part.first_row
    return float(told_distances_m(_squares(ecef(part.columns.lat[[at]], part.columns.lng[[at]]), asks))[0])


def check_point(point: Any) -> None:
    """Refuse a point that is no text."""
    if point is not None and not isinstance(point, str):
        raise UnknownPointError("point", f"must be a point id, got {point!r:.40}", value=point)

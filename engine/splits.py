"""Divide a basket that nobody has whole between the fewest points."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine.asks import Question, parse_asks, question_of
from engine.covers import Keepers, TooManyStepsError, best_cover
from engine.errors import InvalidQueryError
from engine.explaining import one_basket
from engine.inputs import as_text
from engine.kernels import baskets
from engine.kernels import matching as kernels
from engine.kernels.feasibility import MATCHED
from engine.packing import pack
from engine.single import find
from geo.metric import told_distances_m

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from engine.kernels.packing import Packed
    from engine.kernels.state import Asks, Part, Terms
    from engine.snapshots import Snapshot
    from engine.vocabulary import Vocabulary

__all__ = ["MAX_LINES", "MAX_POINTS", "Split", "SplitPart", "split"]

MAX_LINES = 62
MAX_POINTS = 8


class SplitPart(NamedTuple):
    """A point of a split, how far it is in metres, and the lines that it is to give: quantities by SKU."""

    point_id: str
    offer: str
    distance_m: float
    items: dict[str, int]


@dataclass(frozen=True)
class Split:
    """
    A basket divided between points.

    Attributes
    ----------
    parts
        Nearest first, then by id; none where no split was found.
    distance_m
        The sum of their distances, inf where there are none.
    version
        The version of the index.
    is_unknown
        Whether none was found only because the search was given up after `engine.covers.MAX_STEPS`.
    """

    parts: list[SplitPart]
    distance_m: float
    version: int
    is_unknown: bool = False


def split(
    vocabulary: Vocabulary,
    snapshot: Snapshot,
    lat: Any,
    lng: Any,
    offer: Any,
    items: Mapping[str, int],
    *,
    max_points: Any,
    without: Collection[str],
    ask: dict[str, Any],
) -> Split:
    """
    Divide a basket between the fewest points that have all of it together, for one place.

    Of splits into as many points the one with the least sum of told distances, exactly summed, then with the smallest
    ids, nearest first. One point that has all is the whole answer. A line is given by one point, the nearest of the
    split that has its quantity: quantities are not divided. The ask's ``quantity`` is asked of each point.

    Parameters
    ----------
    items
        From 1 to 62 lines.
    max_points
        The most points, from 1 to 8. The answer is the best of all splits into as many or fewer; where there is none,
        it has no parts. Every row within ``max_distance_m`` that keeps any of the SKUs is looked at: of 10 000 that
        keep all kinds of them, milliseconds for two points, up to a second for three; the search is given up after
        some seconds.
    without
        Ids of points that are left out, known or not.
    ask
        As of `Engine.nearest_many`.

    Raises
    ------
    EngineError, GeoError
        For a bad argument.
    """
    items = dict(one_basket(items) or {})
    question = question_of(ask | {"items": items})
    if not 1 <= len(items) <= MAX_LINES:
        raise InvalidQueryError("items", f"must have from 1 to {MAX_LINES} lines, got {len(items)}", value=items)
    if isinstance(max_points, bool) or not isinstance(max_points, int) or not 1 <= max_points <= MAX_POINTS:
        expected = f"must be a whole number from 1 to {MAX_POINTS}, got {max_points!r:.40}"
        raise InvalidQueryError("max_points", expected, value=max_points)
    omitted = as_text(list(without) if isinstance(without, set | frozenset) else without, "without")
    rows, metres = ([], []) if len(omitted) else find(vocabulary, snapshot, lat, lng, offer, 1, ask | {"items": items})
    if rows:
        whole = SplitPart(snapshot.names_of(rows)[0], offer, metres[0], dict(sorted(items.items())))
        return Split([whole], metres[0], snapshot.number)
    gone = snapshot.known_rows(omitted.cast(pa.string()))
    keepers = _keepers(vocabulary, snapshot, (lat, lng, offer), question, gone)
    try:
        best = best_cover(keepers, len(items), max_points)
    except TooManyStepsError:
        return Split([], float("inf"), snapshot.number, is_unknown=True)
    if not best.row.size:
        return Split([], float("inf"), snapshot.number)
    return Split(_parts(snapshot, best, offer, items), sum(best.metres.tolist()), snapshot.number)


def _parts(snapshot: Snapshot, best: Keepers, offer: str, items: Mapping[str, int]) -> list[SplitPart]:
    """Return who gives what: each line the nearest that has it."""
    parts, given = [], 0
    names = snapshot.names_of(best.row.tolist())
    for name, held, distance_m in zip(names, best.lines.tolist(), best.metres.tolist(), strict=True):
        own = held & ~given
        given |= own
        lines = {sku: n for bit, (sku, n) in enumerate(sorted(items.items())) if own >> bit & 1}
        parts.append(SplitPart(name, offer, distance_m, lines))
    return parts


def _keepers(
    vocabulary: Vocabulary,
    snapshot: Snapshot,
    asked_for: tuple[Any, Any, Any],
    question: Question,
    gone: NDArray[np.int64],
) -> Keepers:
    """Return for each set of lines that rows have the nearest row, then by id, that can serve but for the basket."""
    lat, lng, offer = asked_for
    asks, terms, hours = parse_asks(vocabulary, [lat], [lng], [offer], question)
    bare = terms._replace(ask_items=False)
    asked = (pack(hours), pack(asks), bare)
    none = Keepers(np.empty(0, np.int64), np.empty(0), np.empty(0, np.int64), np.empty(0, np.int64))
    found = [
        _of_part(snapshot, number, asks, asked, gone)
        for number, part in enumerate(snapshot.parts)
        if part.part.row.size
    ]
    keepers = Keepers(*(np.concatenate(column) for column in zip(none, *found, strict=True)))
    order = np.lexsort((keepers.rank, keepers.metres))
    return keepers.at(order[np.unique(keepers.lines[order], return_index=True)[1]])


def _of_part(
    snapshot: Snapshot, number: int, asks: Asks, asked: tuple[Packed, Packed, Terms], gone: NDArray[np.int64]
) -> Keepers:
    """Return the rows of a part that have any line and can serve."""
    part = snapshot.parts[number].part
    places = _with_any_line(part, asks)
    off = part.xyz[places] - asks.xyz[0]
    metres = told_distances_m(off[:, 0] * off[:, 0] + off[:, 1] * off[:, 1] + off[:, 2] * off[:, 2])
    is_near = (metres <= asked[2].limit_m) & ~snapshot.dead[part.row[places]] & ~np.isin(part.row[places], gone)
    places, metres = places[is_near], metres[is_near]
    lines, code = np.empty(places.size, np.int64), np.empty(places.size, np.uint8)
    baskets.lines_had(snapshot.packed, number, places, asked[1], lines)
    kernels.refusals(snapshot.packed, number, places, *asked, code)
    can_serve = (lines != 0) & (code == MATCHED)
    places = places[can_serve]
    return Keepers(lines[can_serve], metres[can_serve], part.rank[places], part.row[places].astype(np.int64))


def _with_any_line(part: Part, asks: Asks) -> NDArray[np.int64]:
    """Return the places of the rows with the offer whose points keep any SKU of a basket."""
    offer = int(asks.offer[0])
    root = int(part.root_of_offer[offer]) if 0 <= offer < part.root_of_offer.size else -1
    found = [np.empty(0, np.int32)]
    for sku in asks.line_sku.tolist() if root >= 0 else ():
        at = int(np.searchsorted(part.postings.sku, sku))
        if at < part.postings.sku.size and part.postings.sku[at] == sku:
            own = part.postings.place[part.postings.start[at] : part.postings.start[at + 1]]
            low, high = np.searchsorted(own, [part.forest.start[root], part.forest.stop[root]])
            found.append(own[low:high])
    return np.unique(np.concatenate(found)).astype(np.int64)

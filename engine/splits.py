"""Divide a basket that nobody has whole between the fewest points."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine.asks import Question, parse_asks, question_of
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
    """

    parts: list[SplitPart]
    distance_m: float
    version: int


@dataclass(frozen=True)
class _Keeper:
    """A row that has some lines, a bit each: the nearest of those that have the same ones."""

    bits: int
    distance_m: float
    name: bytes

    @property
    def key(self) -> tuple[float, bytes]:
        return self.distance_m, self.name


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
        it has no parts. Every row within ``max_distance_m`` that keeps any of the SKUs is looked at: some milliseconds
        for 10 000 of them.
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
    keepers = _undominated(_keepers(vocabulary, snapshot, (lat, lng, offer), question, gone))
    best = next((found for n in range(1, max_points + 1) if (found := _cover(keepers, len(items), n))), None)
    if best is None:
        return Split([], float("inf"), snapshot.number)
    return Split(_parts(best, offer, items), sum(keeper.distance_m for keeper in best), snapshot.number)


def _parts(chosen: tuple[_Keeper, ...], offer: str, items: Mapping[str, int]) -> list[SplitPart]:
    """Return who gives what: each line the nearest that has it."""
    parts, given = [], 0
    for keeper in chosen:
        own = keeper.bits & ~given
        given |= own
        lines = {sku: n for bit, (sku, n) in enumerate(sorted(items.items())) if own >> bit & 1}
        parts.append(SplitPart(keeper.name.decode(), offer, keeper.distance_m, lines))
    return parts


def _keepers(
    vocabulary: Vocabulary,
    snapshot: Snapshot,
    asked_for: tuple[Any, Any, Any],
    question: Question,
    gone: NDArray[np.int64],
) -> list[_Keeper]:
    """Return for each set of lines that rows have the nearest row, then by id, that can serve but for the basket."""
    lat, lng, offer = asked_for
    asks, terms, hours = parse_asks(vocabulary, [lat], [lng], [offer], question)
    bare = terms._replace(ask_items=False)
    asked = (pack(hours), pack(asks), bare)
    columns = [
        _of_part(snapshot, number, asks, asked, gone)
        for number, part in enumerate(snapshot.parts)
        if part.part.row.size
    ]
    if not columns:
        return []
    bits, metres, rank, row = (np.concatenate(column) for column in zip(*columns, strict=True))
    order = np.lexsort((rank, metres))
    first = order[np.unique(bits[order], return_index=True)[1]]
    names = snapshot.names_of(row[first].tolist())
    told = zip(bits[first].tolist(), metres[first].tolist(), names, strict=True)
    return [_Keeper(held, far, name.encode()) for held, far, name in told]


def _of_part(
    snapshot: Snapshot, number: int, asks: Asks, asked: tuple[Packed, Packed, Terms], gone: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """Return the lines, distances, ranks and numbers of the rows of a part that have any line and can serve."""
    part = snapshot.parts[number].part
    places = _with_any_line(part, asks)
    off = part.xyz[places] - asks.xyz[0]
    metres = told_distances_m(off[:, 0] * off[:, 0] + off[:, 1] * off[:, 1] + off[:, 2] * off[:, 2])
    is_near = (metres <= asked[2].limit_m) & ~snapshot.dead[part.row[places]] & ~np.isin(part.row[places], gone)
    places, metres = places[is_near], metres[is_near]
    bits, code = np.empty(places.size, np.int64), np.empty(places.size, np.uint8)
    baskets.lines_had(snapshot.packed, number, places, asked[1], bits)
    kernels.refusals(snapshot.packed, number, places, *asked, code)
    can_serve = (bits != 0) & (code == MATCHED)
    places = places[can_serve]
    return bits[can_serve], metres[can_serve], part.rank[places], part.row[places].astype(np.int64)


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


def _undominated(keepers: list[_Keeper]) -> list[_Keeper]:
    """Return those that no other has all the lines of and is to be preferred to, nearest first: no best split has others."""
    kept: list[_Keeper] = []
    for keeper in sorted(keepers, key=lambda keeper: keeper.key):
        if all(keeper.bits & ~other.bits for other in kept):
            kept.append(keeper)
    return kept


def _cover(keepers: list[_Keeper], n_lines: int, n_points: int) -> tuple[_Keeper, ...] | None:
    """Return the best cover by so many points, nearest first; None where fewer would do, or there is none."""
    best: tuple[_Keeper, ...] | None = None
    bound = float("inf")

    def extend(lines: int, n_left: int, chosen: tuple[_Keeper, ...], total_m: float) -> None:
        # Each in turn that has the line which the fewest have; of the last point only the nearest can be best.
        nonlocal best, bound
        if not lines:
            found = tuple(sorted(chosen, key=lambda keeper: keeper.key))
            if best is None or _order(found) < _order(best):
                best, bound = found, total_m * (1.0 + 1e-12)
            return
        for keeper in _having(keepers, lines, is_last=n_left == 1):
            if total_m + keeper.distance_m > bound:
                break
            rest = lines & ~keeper.bits
            if n_left > 1 or not rest:
                extend(rest, n_left - 1, (*chosen, keeper), total_m + keeper.distance_m)

    extend((1 << n_lines) - 1, n_points, (), 0.0)
    return best


def _having(keepers: list[_Keeper], lines: int, *, is_last: bool) -> list[_Keeper]:
    """Return those that have the line which the fewest have, nearest first; for the last point, the first that has all."""
    if is_last:
        found = next((keeper for keeper in keepers if not lines & ~keeper.bits), None)
        return [] if found is None else [found]
    bits = [1 << bit for bit in range(lines.bit_length()) if lines >> bit & 1]
    return min(([keeper for keeper in keepers if keeper.bits & bit] for bit in bits), key=len)


def _order(chosen: tuple[_Keeper, ...]) -> tuple[Fraction, tuple[bytes, ...]]:
    metres = sum((Fraction(keeper.distance_m) for keeper in chosen), Fraction())
    return metres, tuple(keeper.name for keeper in chosen)

"""The basket of a question: which SKUs, and how many of each."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from pydantic import Field

from service.http.fields import Body
from service.http.problems import invalid
from service.http.query_text import whole
from service.matching.parameters import MAX_ITEMS, MAX_LINE_UNITS
from service.skus import Sku, why_no_sku

if TYPE_CHECKING:
    from collections.abc import Iterable

    from engine import Engine, Split
    from service.matching.asks import Ask
    from service.matching.rooms import Rooms

__all__ = ["ItemAsk", "Items", "items_of", "items_of_text", "split_of"]

Items = tuple[tuple[str, int], ...]

_MOST_WHOLE = 256
_MOST_SEARCHES, _LONGEST_S = 16, 3.0
_UNKNOWN: dict[str, Any] = {"split": None, "is_split_unknown": True}


class ItemAsk(Body):
    """A line of a basket."""

    sku: Sku
    quantity: int = Field(1, ge=1, le=MAX_LINE_UNITS)


def items_of_text(text: str) -> Items:
    """Return the items of a query's text: ``milk-1l*2,bread``."""
    lines = []
    for part in text.split(","):
        sku, star, quantity = part.partition("*")
        lines.append((sku, whole(quantity, "items", 1, MAX_LINE_UNITS) if star else 1))
    return items_of(lines, "items")


def items_of(lines: Iterable[tuple[str, int]], where: str) -> Items:
    """Return items by SKU; raises `ProblemError` for too many, an SKU that is there twice, or what is none."""
    items = dict[str, int]()
    for sku, quantity in lines:
        reason = why_no_sku(sku)
        if reason is not None:
            raise invalid(where, reason)
        if sku in items:
            raise invalid(where, f"must name an SKU once, got {sku} again")
        items[sku] = quantity
    if len(items) > MAX_ITEMS:
        raise invalid(where, f"must be at most {MAX_ITEMS}, got {len(items)}")
    return tuple(sorted(items.items()))


def split_of(engine: Engine, rooms: Rooms, ask: Ask) -> dict[str, Any]:
    """
    Return ``split`` where no point is a match: the basket divided between the fewest that have room, then the nearest.

    It is None where that cannot be. Those that turn out to have no room are left out of the next search; after
    `_MOST_SEARCHES`, or `_LONGEST_S`, it is told that nobody knows, as where a search was given up.
    """
    terms = ask.terms()
    whole = engine.found(ask.lat, ask.lng, ask.offer, _MOST_WHOLE, **terms)
    full = {whole.facts.row(row).point_id for row in whole.rows}  # with room, one would be the match
    items = terms.pop("items")
    begun = time.monotonic()
    for _ in range(_MOST_SEARCHES):
        found = engine.split(ask.lat, ask.lng, ask.offer, items, max_points=ask.split, without=full, **terms)
        more = {part.point_id for part in found.parts if not rooms.is_free(part.point_id, ask)}
        if not more:
            return _told(found)
        full |= more
        if time.monotonic() - begun > _LONGEST_S:
            break
    return _UNKNOWN


def _told(found: Split) -> dict[str, Any]:
    if not found.parts:
        return _UNKNOWN if found.is_unknown else {"split": None}
    parts = [
        {
            "point_id": part.point_id,
            "offer": part.offer,
            "distance_m": part.distance_m,
            "items": [{"sku": sku, "quantity": quantity} for sku, quantity in part.items.items()],
        }
        for part in found.parts
    ]
    return {"split": {"parts": parts, "distance_m": found.distance_m}}

"""Matches whose preparation slot is not full: of the engine's, those that the slots leave."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.answers import Found

if TYPE_CHECKING:
    from engine import Engine
    from service.feed.full_slots import FullSlots
    from service.matching.asks import Ask

__all__ = ["found_free", "is_free"]


def found_free(engine: Engine, full: FullSlots, ask: Ask) -> Found:
    """Return the nearest that can serve, as `Engine.found` does, without those whose slot is full then."""
    k = ask.k
    while True:
        found = engine.found(ask.lat, ask.lng, ask.offer, k, **ask.terms())
        if full.is_empty:
            return found
        kept = [i for i, row in enumerate(found.rows) if is_free(full, found.facts.row(row).point_id, ask)]
        if len(kept) >= ask.k or len(found.rows) < k:
            kept = kept[: ask.k]
            return Found([found.rows[i] for i in kept], [found.distance_m[i] for i in kept], found.facts)
        k = 2 * k + 8


def is_free(full: FullSlots, point_id: str, ask: Ask) -> bool:
    """Tell whether a point has a place in the slot that a question asks for."""
    return not full.has(point_id, ask.offer, ask.at)

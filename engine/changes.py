"""Check changes and make the next version of them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from engine.columns import parse_columns
from engine.errors import InvalidColumnError
from engine.inputs import as_list, as_offers, as_text, as_whole
from engine.snapshots import first_snapshot, on_shelves, unknown_point, with_rows
from engine.stock_changes import with_stock

if TYPE_CHECKING:
    from collections.abc import Mapping

    from engine.drafts import Draft
    from engine.snapshots import Snapshot
    from engine.vocabulary import Vocabulary

__all__ = ["apply_changes", "columns_of_point", "first_version"]

CHANGES = ("upsert", "remove", "capacity", "stock")


def first_version(vocabulary: Vocabulary, given: dict[str, Any]) -> Snapshot:
    """Return the first version, of the columns of `Engine.from_columns`."""
    draft = vocabulary.draft()
    first = first_snapshot(*parse_columns(draft, given))
    vocabulary.enter(draft)
    return first


def apply_changes(vocabulary: Vocabulary, snapshot: Snapshot, changes: dict[str, Any]) -> Snapshot:
    """
    Return the next version: points removed, then upserted, then capacities and stock set.

    Raises
    ------
    EngineError, GeoError
        For the first bad element; ``vocabulary`` and ``snapshot`` stay as they were.
    """
    unknown = sorted(set(changes) - set(CHANGES))
    if unknown:
        raise InvalidColumnError(
            "changes", f"must be some of {', '.join(CHANGES)}, got {unknown[0]!r:.40}", value=unknown[0]
        )
    draft, after = vocabulary.draft(), replace(snapshot, number=snapshot.number + 1)
    if changes.get("remove") is not None:
        names = as_text(changes["remove"], "remove")
        after = with_rows(after, after.rows_of(names, "remove"), None)
    if changes.get("upsert") is not None:
        columns, stock = parse_columns(draft, _columns_of(changes["upsert"]))
        columns, shelves = on_shelves(columns, stock, after.shelves)
        after = replace(after, shelves=shelves)
        after = with_rows(after, after.known_rows(columns.ids.strings()), columns)
    if changes.get("capacity") is not None:
        after = _with_capacity(draft, after, *_capacity_of(changes["capacity"]))
    if changes.get("stock") is not None:
        after = with_stock(draft, after, changes["stock"])
    vocabulary.enter(draft)
    return after


def columns_of_point(point: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Return the columns of one point: ``offers`` is a list, each other value one for all of them or a list."""
    offers = point.get("offers")
    if not isinstance(offers, list) or not offers:
        raise InvalidColumnError("offers", "must be a list of the point's offers, not empty", value=offers)
    return {name: value if isinstance(value, list) else [value] * len(offers) for name, value in point.items()}


def _columns_of(given: Any) -> dict[str, Any]:
    names = given.column_names if isinstance(given, pa.Table) else given
    try:
        return {name: given[name] for name in names}
    except (TypeError, KeyError, IndexError) as error:
        raise InvalidColumnError("upsert", "must be columns by name, as of Engine.from_columns") from error


def _capacity_of(given: Any) -> tuple[Any, Any, Any]:
    if not isinstance(given, tuple | list) or len(given) != 3:
        raise InvalidColumnError("capacity", "must be (point ids, offers, units)")
    point_ids, offers, units = given
    return point_ids, offers, units


def _with_capacity(draft: Draft, snapshot: Snapshot, point_ids: Any, offers: Any, units: Any) -> Snapshot:
    names = as_text(point_ids, "capacity.point_ids")
    codes, texts = as_offers(offers, "capacity.offers", len(names))
    left = as_whole(units, "capacity.units", len(names), missing=-1, minimum=0)
    known = np.array([draft.find_offer(text) for text in texts], np.int64)
    rows = snapshot.row_of_offers(names, known[codes] if codes.size else codes)
    if (rows < 0).any():
        position = int(np.argmax(rows < 0))
        raise unknown_point(
            "capacity.point_ids", names, position, f"a point with {as_list(offers, 'capacity.offers')[position]}"
        )
    return replace(snapshot, units=snapshot.units.with_units(rows, left))

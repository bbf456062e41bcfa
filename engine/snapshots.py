"""Immutable versions of the index: a large base, a small delta on top, what is dead and what is left."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine.columns import Columns, parse_columns
from engine.errors import InvalidColumnError, UnknownPointError
from engine.inputs import as_list, as_offers, as_text, as_whole
from engine.kernels.state import Version
from engine.parts import IndexPart, build_part
from engine.vocabulary import Vocabulary

__all__ = ["Snapshot", "apply_changes", "first_snapshot", "merged"]

MIN_DELTA_ROWS = 4096
BASE_SHARE = 8
"""A delta of more rows than both is merged into the base: more than 4 096, and an eighth of the base."""

CHANGES = ("upsert", "remove", "capacity")


@dataclass(frozen=True)
class Snapshot:
    """
    One version.

    Attributes
    ----------
    base, delta
        The parts; rows are numbered through both.
    dead
        bool[n]: rows that are gone.
    units
        int64[n]: units left, `UNLIMITED` where there is no limit.
    number
        The version's number.
    """

    base: IndexPart
    delta: IndexPart
    dead: NDArray[np.bool_]
    units: NDArray[np.int64]
    number: int

    @cached_property
    def searched(self) -> Version:
        """What the kernels search."""
        return Version(self.base.part, self.delta.part, self.dead, self.units)

    @property
    def n_rows(self) -> int:
        """How many rows are numbered, dead ones too."""
        return self.dead.size

    def column(self, name: str) -> NDArray[Any]:
        """Return a column of `Columns` over the rows of both parts."""
        return np.concatenate([getattr(self.base.columns, name), getattr(self.delta.columns, name)])

    def point_ids(self, rows: NDArray[np.int64]) -> pa.Array[Any]:
        """Return the point ids of rows as an Arrow array, null where a row is negative."""
        n_base = self.base.columns.n_rows
        if not self.delta.columns.n_rows:
            return _ids_of(self.base.columns, rows)
        base = _ids_of(self.base.columns, np.where(rows < n_base, rows, -1))
        delta = _ids_of(self.delta.columns, np.where(rows >= n_base, rows - n_base, -1))
        return pa.compute.coalesce(base, delta)

    def rows_of(self, point_ids: pa.Array[Any], argument: str) -> NDArray[np.int64]:
        """Return the living rows of points; `UnknownPointError` names the first that has none."""
        rows = []
        found = np.zeros(len(point_ids), np.bool_)
        for part in (self.base, self.delta):
            numbers = part.columns.ids.find(point_ids)
            number_is_living = np.zeros(part.columns.ids.size + 1, np.bool_)
            its = part.rows_of(np.unique(numbers[numbers >= 0]))
            its = its[~self.dead[its]]
            number_is_living[part.columns.point[its - part.first_row]] = True
            found |= number_is_living[numbers]  # -1 is the last, never true
            rows.append(its)
        if not found.all():
            raise _unknown(argument, point_ids, int(np.argmin(found)), "a point")
        return np.concatenate(rows)

    def row_of_offers(self, point_ids: pa.Array[Any], offers: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the living row of each point's offer (a code), -1 where there is none."""
        out = np.full(len(point_ids), -1, np.int64)
        for part in (self.base, self.delta):
            row = part.row_of_offer(part.columns.ids.find(point_ids), offers)
            living = row >= 0
            living[living] = ~self.dead[row[living]]
            out[living] = row[living]
        return out


def _ids_of(columns: Columns, rows: NDArray[np.int64]) -> pa.Array[Any]:
    numbers = np.full(rows.size, -1, np.int64)
    numbers[rows >= 0] = columns.point[rows[rows >= 0]]
    return columns.ids.take(numbers)


def _unknown(argument: str, values: pa.Array[Any], position: int, what: str) -> UnknownPointError:
    value = values[position].as_py()
    return UnknownPointError(
        argument, f"must be {what} of this index, got {value!r:.60}", position=position, value=value
    )


def first_snapshot(columns: Columns, number: int = 1) -> Snapshot:
    """Return a version with these rows."""
    base = build_part(columns)
    delta = build_part(columns.take(np.empty(0, np.int64)), first_row=columns.n_rows, base=base)
    return Snapshot(base, delta, np.zeros(columns.n_rows, np.bool_), columns.units.copy(), number)


def _living(snapshot: Snapshot, part: IndexPart) -> Columns:
    rows = np.arange(part.first_row, part.first_row + part.columns.n_rows)
    columns = part.columns.with_units(snapshot.units[rows])
    return columns.take(np.flatnonzero(~snapshot.dead[rows]))


def merged(snapshot: Snapshot) -> Snapshot:
    """Return the same version with all living rows in the base, numbered anew."""
    return first_snapshot(
        _living(snapshot, snapshot.base).followed_by(_living(snapshot, snapshot.delta)), snapshot.number
    )


def apply_changes(vocabulary: Vocabulary, snapshot: Snapshot, changes: dict[str, Any]) -> Snapshot:
    """
    Return the next version: points removed, then upserted, then capacities set.

    Raises
    ------
    EngineError, GeoError
        For the first bad element; ``snapshot`` stays as it was.
    """
    unknown = sorted(set(changes) - set(CHANGES))
    if unknown:
        raise InvalidColumnError(
            "changes", f"must be some of {', '.join(CHANGES)}, got {unknown[0]!r:.40}", value=unknown[0]
        )
    after = replace(snapshot, number=snapshot.number + 1)
    if changes.get("remove") is not None:
        names = as_text(changes["remove"], "remove")
        after = _with_rows(after, after.rows_of(names, "remove"), None)
    if changes.get("upsert") is not None:
        columns = parse_columns(vocabulary, _columns_of(changes["upsert"]))
        replaced = [part.rows_of(_known(part, columns)) for part in (after.base, after.delta)]
        after = _with_rows(after, np.concatenate(replaced), columns)
    if changes.get("capacity") is not None:
        after = _with_capacity(vocabulary, after, *_capacity_of(changes["capacity"]))
    return after


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


def _known(part: IndexPart, columns: Columns) -> NDArray[np.int64]:
    numbers = part.columns.ids.find(columns.ids.strings())
    return numbers[numbers >= 0]


def _with_rows(snapshot: Snapshot, gone: NDArray[np.int64], new: Columns | None) -> Snapshot:
    dead = snapshot.dead.copy()
    dead[gone] = True
    without = replace(snapshot, dead=dead)
    delta = _living(without, snapshot.delta)
    if new is not None:
        delta = delta.followed_by(new)
    n_base = snapshot.base.columns.n_rows
    grown = Snapshot(
        base=snapshot.base,
        delta=build_part(delta, first_row=n_base, base=snapshot.base),
        dead=np.concatenate([dead[:n_base], np.zeros(delta.n_rows, np.bool_)]),
        units=np.concatenate([snapshot.units[:n_base], delta.units]),
        number=snapshot.number,
    )
    return merged(grown) if delta.n_rows > max(MIN_DELTA_ROWS, n_base // BASE_SHARE) else grown


def _with_capacity(vocabulary: Vocabulary, snapshot: Snapshot, point_ids: Any, offers: Any, units: Any) -> Snapshot:
    names = as_text(point_ids, "capacity.point_ids")
    codes, texts = as_offers(offers, "capacity.offers", len(names))
    left = as_whole(units, "capacity.units", len(names), missing=-1, minimum=0)
    known = np.array([vocabulary.find_offer(text) for text in texts], np.int64)
    rows = snapshot.row_of_offers(names, known[codes] if codes.size else codes)
    if (rows < 0).any():
        position = int(np.argmax(rows < 0))
        raise _unknown("capacity.point_ids", names, position, f"a point with {as_list(offers)[position]}")
    changed = snapshot.units.copy()
    changed[rows] = left
    return replace(snapshot, units=changed)

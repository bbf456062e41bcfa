"""Immutable versions of the index: a large base, a middle and a small delta on top, what is dead, what is left."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from engine.columns import Columns, joined_columns
from engine.errors import UnknownPointError
from engine.kernels.state import Version
from engine.packing import pack
from engine.parts import IndexPart, build_part, empty_part
from engine.ranks import BASE, DELTA, MAX_ROWS, MIDDLE, gaps, gaps_at
from engine.shelves import Shelves
from engine.units import UnitPages
from engine.views import read_only

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.feature_sets import EnoughSets
    from engine.stock import PointStock
    from engine.subsets import Narrowing

__all__ = ["Snapshot", "first_snapshot", "merged", "on_shelves", "unknown_point", "with_base", "with_rows"]

DELTA_ROWS = 1024
MIN_MIDDLE_ROWS = 4096
BASE_SHARE = 8
"""
A delta of more than `DELTA_ROWS` rows is merged into the middle; a middle of more than `MIN_MIDDLE_ROWS` and an
eighth of the base into the base. So one small change builds at most 1 024 rows anew, and a long series of
batches of b rows on a base of n builds about sqrt(2 b n) rows a batch: the eighth is the best share for b = n / 128.
"""
DEAD_SHARE = 4
"""A base with more dead rows than a quarter is built anew."""


@dataclass(frozen=True, eq=False)
class Snapshot:
    """
    One version.

    Attributes
    ----------
    base, middle, delta
        The parts; rows are numbered through all of them. All living rows of a point are in one.
    dead
        bool[n]: rows that are gone.
    units
        Units left, `UNLIMITED` where there is no limit; those in the parts' columns do not count.
    shelves
        What is kept in stock.
    number
        The version's number.
    """

    base: IndexPart
    middle: IndexPart
    delta: IndexPart
    dead: NDArray[np.bool_]
    units: UnitPages
    shelves: Shelves
    number: int

    @cached_property
    def searched(self) -> Version:
        """What the kernels search."""
        parts = (self.base.part, self.middle.part, self.delta.part)
        return read_only(Version(*parts, self.dead, self.units.searched, self.shelves.searched))

    @cached_property
    def packed(self) -> NDArray[np.int64]:
        """What the kernels search, as one argument."""
        facts = (self.dead, self.units.searched, self.shelves.searched)
        return np.concatenate([*(part.packed for part in self.parts), pack(facts)])

    @cached_property
    def narrowings(self) -> dict[EnoughSets, Narrowing]:
        """What `engine.subsets.narrowed_to` made of this version."""
        return {}

    @cached_property
    def can_refuse(self) -> bool:
        """Whether a row may be refused whatever is asked: for units, a pause, an area."""
        return any(part.can_refuse for part in self.parts) or self.units.has_limit

    @cached_property
    def has_dead(self) -> bool:
        """Whether any row is gone."""
        return bool(self.dead.any())

    @property
    def parts(self) -> tuple[IndexPart, IndexPart, IndexPart]:
        """Base, middle and delta."""
        return self.base, self.middle, self.delta

    @property
    def n_rows(self) -> int:
        """How many rows are numbered, dead ones too."""
        return self.dead.size

    def part_of(self, row: int) -> IndexPart:
        """Return the part that holds a row."""
        return next(part for part in reversed(self.parts) if row >= part.first_row)

    def column(self, name: str) -> NDArray[Any]:
        """Return a column of `Columns` over the rows of all parts."""
        return np.concatenate([getattr(part.columns, name) for part in self.parts])

    def points(self) -> NDArray[np.int64]:
        """Return a number for each row's point, the same for all rows that a point has in one part."""
        shifts = np.cumsum([0, *(part.columns.ids.size for part in self.parts[:-1])])
        return np.concatenate([part.columns.point + shift for part, shift in zip(self.parts, shifts, strict=True)])

    def flat_units(self) -> NDArray[np.int64]:
        """Return a copy of the units left by row."""
        return self.units.flat()

    def point_ids(self, rows: NDArray[np.int64]) -> pa.Array[Any]:
        """Return the point ids of rows as an Arrow array, null where a row is negative."""
        of_parts = []
        for part in self.parts:
            if part.columns.n_rows or part is self.base:
                own = rows - part.first_row
                is_own = (own >= 0) & (own < part.columns.n_rows)
                numbers = np.full(rows.size, -1, np.int64)
                numbers[is_own] = part.columns.point[own[is_own]]
                of_parts.append(part.columns.ids.take(numbers))
        return pc.coalesce(*of_parts)

    def values_of(self, name: str, rows: NDArray[np.int64], missing: float) -> NDArray[Any]:
        """Return a column of `Columns` at some rows, ``missing`` where a row is negative."""
        column = getattr(self.base.columns, name)
        out = np.full(np.shape(rows), missing, column.dtype)
        for part in self.parts:
            own = rows - part.first_row
            is_own = (own >= 0) & (own < part.columns.n_rows)
            out[is_own] = getattr(part.columns, name)[own[is_own]]
        return out

    def names_of(self, rows: Sequence[int]) -> list[str]:
        """Return the point ids of a few rows."""
        if max(rows, default=-1) < self.middle.first_row:
            return [self.base.name_of(row) for row in rows]
        return [self.part_of(row).name_of(row) for row in rows]

    def rows_of(self, point_ids: pa.Array[Any], argument: str) -> NDArray[np.int64]:
        """Return the living rows of points; `UnknownPointError` names the first that has none."""
        rows, owner = self.owned_rows(point_ids)
        found = np.zeros(len(point_ids), np.bool_)
        found[owner] = True
        if not found.all():
            raise unknown_point(argument, point_ids, int(np.argmin(found)), "a point")
        return rows

    def owned_rows(self, point_ids: pa.Array[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the living rows of points, ascending by part, and which of the points each is of."""
        living, owners = [], []
        for part in self.parts:
            rows, sizes = part.rows_of(part.columns.ids.find(point_ids))
            is_living = ~self.dead[rows]
            owners.append(np.repeat(np.arange(len(point_ids)), sizes)[is_living])
            living.append(rows[is_living])
        return np.concatenate(living), np.concatenate(owners)

    def known_rows(self, point_ids: pa.Array[Any]) -> NDArray[np.int64]:
        """Return the rows, dead ones too, of those points that are known."""
        return np.concatenate([part.rows_of(part.columns.ids.find(point_ids))[0] for part in self.parts])

    def row_of_offers(self, point_ids: pa.Array[Any], offers: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the living row of each point's offer (a code), -1 where there is none."""
        out = np.full(len(point_ids), -1, np.int64)
        for part in self.parts:
            row = part.row_of_offer(part.columns.ids.find(point_ids), offers)
            living = row >= 0
            living[living] = ~self.dead[row[living]]
            out[living] = row[living]
        return out


def unknown_point(argument: str, point_ids: pa.Array[Any], position: int, what: str) -> UnknownPointError:
    """Return the error about a point that is not in the index."""
    value = point_ids[position].as_py()
    expected = f"must be {what} of this index, got {value!r:.60}"
    return UnknownPointError(argument, expected, position=position, value=value)


def first_snapshot(columns: Columns, stock: PointStock | None) -> Snapshot:
    """Return a first version with these rows."""
    columns, shelves = on_shelves(columns, stock, Shelves.none(0))
    return _of_base(columns, shelves, 1)


def on_shelves(columns: Columns, stock: PointStock | None, shelves: Shelves) -> tuple[Columns, Shelves]:
    """Return columns with what their points keep on new shelves, and the stock with these."""
    if stock is None or not stock.entries.sku.size:
        return columns, shelves
    shelves, words = shelves.with_entries(*stock)
    return columns.with_shelf(words[columns.point]), shelves


def _of_base(columns: Columns, shelves: Shelves, number: int) -> Snapshot:
    shelves = shelves.renumbered(columns.shelf)
    base = build_part(columns.with_shelf(shelves.rows.flat()), shelves)
    return with_base(base, UnitPages.of(columns.units), shelves, number)


def with_base(base: IndexPart, units: UnitPages, shelves: Shelves, number: int) -> Snapshot:
    """Return a version with all rows in the base."""
    empty = empty_part(base)
    return Snapshot(base, empty, empty, np.zeros(base.columns.n_rows, np.bool_), units, shelves, number)


def merged(snapshot: Snapshot, schedules: NDArray[np.int32], feature_sets: NDArray[np.int32]) -> Snapshot:
    """Return the same version with all living rows in the base, numbered anew, as what they refer to is by these numbers."""
    columns = joined_columns(_living(snapshot, snapshot.parts))
    columns = replace(columns, schedule=schedules[columns.schedule], feature_set=feature_sets[columns.feature_set])
    return _of_base(columns, snapshot.shelves, snapshot.number)


def with_rows(snapshot: Snapshot, gone: NDArray[np.int64], new: Columns | None) -> Snapshot:
    """Return the version without some rows and with new ones, whose points have no living rows besides."""
    dead = snapshot.dead.copy()
    dead[gone] = True
    after = replace(snapshot, dead=dead)
    n_base = snapshot.base.columns.n_rows
    if np.count_nonzero(dead[:n_base]) > max(MIN_MIDDLE_ROWS, n_base // DEAD_SHARE):
        return _rebuilt(after, BASE, new)
    if new is None:
        return after
    n_delta = _n_living(after, snapshot.delta) + new.n_rows
    if n_delta <= min(DELTA_ROWS, MAX_ROWS[DELTA]):
        return _rebuilt(after, DELTA, new)
    n_middle = _n_living(after, snapshot.middle) + n_delta
    has_room = n_middle <= min(max(MIN_MIDDLE_ROWS, n_base // BASE_SHARE), MAX_ROWS[MIDDLE])
    return _rebuilt(after, MIDDLE if has_room else BASE, new)


def _rebuilt(snapshot: Snapshot, level: int, new: Columns | None) -> Snapshot:
    """Return the version with its parts from a level on made one, new rows among them."""
    kept, loose = snapshot.parts[:level], snapshot.parts[level:]
    pieces = _living(snapshot, loose)
    if new is not None:
        pieces.append((new, np.ones(new.n_rows, np.bool_)))
    columns = joined_columns(pieces)
    if level == BASE:
        return _of_base(columns, snapshot.shelves, snapshot.number)
    start = loose[0].first_row
    gap = np.concatenate([gaps_at(part.gap, level)[lives] for part, (_, lives) in zip(loose, pieces, strict=False)])
    if new is not None:
        gap = np.concatenate([gap, gaps(new, [part.columns.ids for part in kept])])
    part = build_part(columns, snapshot.shelves, first_row=start, level=level, gap=gap)
    after = replace(
        snapshot,
        dead=np.concatenate([snapshot.dead[:start], np.zeros(columns.n_rows, np.bool_)]),
        units=snapshot.units.with_tail(start, columns.units),
        shelves=snapshot.shelves.with_tail(start, columns.shelf),
    )
    if level == DELTA:
        return replace(after, delta=part)
    return replace(after, middle=part, delta=replace(empty_part(after.base), first_row=start + columns.n_rows))


def _living(snapshot: Snapshot, parts: Sequence[IndexPart]) -> list[tuple[Columns, NDArray[np.bool_]]]:
    """Return the columns of parts, their units as they are now, and which rows live."""
    living = []
    for part in parts:
        rows = np.arange(part.first_row, part.first_row + part.columns.n_rows)
        columns = part.columns.with_units(snapshot.units.of_rows(rows))
        living.append((columns.with_shelf(snapshot.shelves.rows.of_rows(rows)), ~snapshot.dead[rows]))
    return living


def _n_living(snapshot: Snapshot, part: IndexPart) -> int:
    dead = snapshot.dead[part.first_row : part.first_row + part.columns.n_rows]
    return dead.size - int(np.count_nonzero(dead))

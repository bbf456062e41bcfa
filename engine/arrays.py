"""A version of the index as plain arrays and back: what a snapshot file holds."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.array_checks import SHAPES, check_arrays, check_ids, check_part
from engine.columns import UNLIMITED, Columns
from engine.errors import InvalidColumnError
from engine.holidays import HolidayFile
from engine.hours import ScheduleBook
from engine.kernels.state import PAGE_ROWS, Part
from engine.kernels.stock import NO_SHELF
from engine.named_arrays import named_arrays, rebuilt
from engine.parts import IndexPart
from engine.point_rows import PointRows
from engine.shelves import stocked_arrays, stocked_shelves
from engine.snapshots import Snapshot, merged, with_base
from engine.units import UnitPages, paged_units
from engine.views import read_only
from engine.vocabulary import Vocabulary

__all__ = ["from_arrays", "to_arrays"]

FORMAT = 5


def to_arrays(vocabulary: Vocabulary, snapshot: Snapshot) -> dict[str, NDArray[Any]]:
    """
    Return a version as named arrays, copies; living rows are numbered anew where some are dead.

    They are the columns, the trees and look-ups as they stand in memory, the lists of rows near cells where there
    are any (made anew where rows are numbered anew), and ``words``, JSON in UTF-8. Where rows are numbered anew, so are
    the schedules and sets of features that they have; others are left out, or each would be known for ever.
    """
    schedules, feature_sets = vocabulary.book.expressions(), vocabulary.feature_sets()
    if snapshot.n_rows > snapshot.base.columns.n_rows or snapshot.dead.any():
        used = _used(snapshot, "schedule")
        number = _numbers(used, len(schedules) + 1)  # the last is that of unknown hours
        used_sets = np.union1d(0, _used(snapshot, "feature_set"))  # the first is the empty one
        number_of_set = _numbers(used_sets, len(feature_sets))
        schedules = [schedules[schedule] for schedule in used]
        feature_sets = [feature_sets[one] for one in used_sets]
        is_listed, snapshot = snapshot.base.is_listed, merged(snapshot, number, number_of_set)
        base = snapshot.base.listed() if is_listed else snapshot.base
    else:
        base = snapshot.base
    words = {
        "format": FORMAT,
        "version": snapshot.number,
        "offers": vocabulary.offers(),
        "skus": vocabulary.skus(),
        "feature_sets": [sorted(features) for features in feature_sets],
        "schedules": schedules,
        "extra_days": _days_to_words(vocabulary.book.extra_days),
    }
    named = dict(named_arrays(base.columns))
    named |= dict(named_arrays(base.part, "part.")) | dict(named_arrays(base.point_rows, "point_rows."))
    named |= dict(stocked_arrays(snapshot.shelves))
    arrays = {name: named[name].copy() for name in SHAPES if name != "units"}
    arrays["units"] = paged_units(snapshot.flat_units()).left
    arrays["words"] = np.frombuffer(json.dumps(words).encode(), np.uint8).copy()
    return arrays


def from_arrays(arrays: Mapping[str, NDArray[Any]]) -> tuple[Vocabulary, Snapshot]:
    """
    Return what `to_arrays` was given.

    Arrays that are read-only or mapped from files are used as they are, and must not change any more; of
    others a copy is taken. Nothing is built anew.

    Raises
    ------
    InvalidColumnError
        If an array is missing, of another dtype or shape, or refers to what is not there.
    """
    try:
        words = _words(arrays)
        vocabulary = _vocabulary(words)
        given = {name: _kept(arrays, name) for name in SHAPES}
        base = _base(given)
        n_words = {name: len(words[name]) for name in ("offers", "schedules", "skus")}
        check_arrays(given, n_words | {"feature_sets": len(vocabulary.feature_sets())})
        check_ids(base.columns.ids)
        check_part(base.part)
        n_rows = base.columns.n_rows
        units, shelves = UnitPages.around(given["units"], n_rows), stocked_shelves(given, n_rows)
        return vocabulary, with_base(base, units, shelves, int(words["version"]))
    except (KeyError, ValueError, TypeError) as error:
        if isinstance(error, InvalidColumnError):
            raise
        raise InvalidColumnError("arrays", f"must be what Engine.to_arrays gave: {error}") from error


def _used(snapshot: Snapshot, name: str) -> NDArray[np.int32]:
    """Return what living rows refer to in a column, ascending."""
    number = snapshot.column(name)
    return np.unique(number[~snapshot.dead & (number >= 0)])


def _numbers(used: NDArray[np.int32], n: int) -> NDArray[np.int32]:
    """Return a new number for each of n that is used, -1 for others."""
    numbers = np.full(n, -1, np.int32)
    numbers[used] = np.arange(used.size)
    return numbers


def _words(arrays: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    words = json.loads(bytes(arrays["words"]))
    if not isinstance(words, dict) or words["format"] != FORMAT:
        came = words.get("format") if isinstance(words, dict) else None
        raise InvalidColumnError("arrays", f"must have format {FORMAT}, as this release writes it, got {came!r:.40}")
    return words


def _kept(arrays: Mapping[str, NDArray[Any]], name: str) -> NDArray[Any]:
    """Return an array as it is if nobody else writes to it, else a copy."""
    if name not in arrays:
        reason = f"{name} is missing"
        raise ValueError(reason)
    array: Any = arrays[name]
    if not isinstance(array, np.ndarray) or array.dtype.hasobject:
        reason = f"{name} must be an array of numbers"
        raise ValueError(reason)
    is_still = isinstance(array, np.memmap) or not array.flags.writeable
    if is_still and array.flags.c_contiguous and array.flags.aligned:
        return read_only(array)
    return read_only(np.array(array, order="C"))


def _base(given: dict[str, NDArray[Any]]) -> IndexPart:
    n_rows = given["point"].size
    for name in ("units", "shelf"):
        if given[name].dtype != np.int64 or given[name].ndim != 2:
            reason = f"{name} must be int64 in pages of {PAGE_ROWS}"
            raise ValueError(reason)
    nothing, nowhere = np.broadcast_to(np.int64(UNLIMITED), n_rows), np.broadcast_to(np.int64(NO_SHELF), n_rows)
    columns = rebuilt(Columns, {**given, "units": nothing, "shelf": nowhere})
    areas = {f"part.polygons.{name}": value for name, value in columns.areas.polygons._asdict().items()}
    part = rebuilt(Part, {**given, **areas}, "part.")
    rows = rebuilt(PointRows, given, "point_rows.")
    return IndexPart(columns, 0, part, rows, np.broadcast_to(np.int64(0), n_rows))


def _days_to_words(extra_days: HolidayFile | None) -> dict[str, dict[str, str]] | None:
    if extra_days is None:
        return None
    return {country: {day.isoformat(): kind for day, kind in days.items()} for country, days in extra_days.days.items()}


def _days_from_words(words: dict[str, dict[str, str]] | None) -> HolidayFile | None:
    if words is None:
        return None
    return HolidayFile(
        {c: {dt.date.fromisoformat(day): kind for day, kind in days.items()} for c, days in words.items()}
    )


def _vocabulary(words: dict[str, Any]) -> Vocabulary:
    book = ScheduleBook(extra_days=_days_from_words(words["extra_days"]))
    if words["schedules"]:
        book.intern_many(*(list(column) for column in zip(*words["schedules"], strict=True)))
    vocabulary = Vocabulary(book)
    draft = vocabulary.draft()
    draft.offer_codes(words["offers"])
    draft.sku_codes(words["skus"])
    draft.feature_codes(words["feature_sets"], len(words["feature_sets"]))
    vocabulary.enter(draft)
    return vocabulary

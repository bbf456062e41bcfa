"""A version of the index as plain arrays and back: what a snapshot file holds."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.areas import AreaColumns
from engine.columns import Columns
from engine.errors import InvalidColumnError
from engine.holidays import HolidayFile
from engine.hours import ScheduleBook
from engine.ids import IdTable
from engine.snapshots import Snapshot, first_snapshot, merged
from engine.vocabulary import Vocabulary
from geo.polygons import PolygonTable

__all__ = ["from_arrays", "to_arrays"]

FORMAT = 1
_NESTED = {"ids", "areas"}


def to_arrays(vocabulary: Vocabulary, snapshot: Snapshot) -> dict[str, NDArray[Any]]:
    """Return a version as named arrays; living rows are numbered anew where some are dead."""
    if snapshot.delta.columns.n_rows or snapshot.dead.any():
        snapshot = merged(snapshot)
    columns = snapshot.base.columns
    words = {
        "format": FORMAT,
        "version": snapshot.number,
        "offers": vocabulary.offers(),
        "feature_sets": [sorted(features) for features in vocabulary.feature_sets()],
        "schedules": vocabulary.book.expressions(),
        "extra_days": _days_to_words(vocabulary.book.extra_days),
    }
    arrays = {f.name: getattr(columns, f.name) for f in fields(columns) if f.name not in _NESTED}
    arrays |= {"units": snapshot.units, "ids_arena": columns.ids.arena, "ids_offsets": columns.ids.offsets}
    arrays |= {"ids_order": columns.ids.order}
    areas = columns.areas
    arrays |= {"area_kind": areas.kind, "area_radius_m": areas.radius_m, "area_polygon": areas.polygon}
    arrays |= {f"polygon_{name}": value for name, value in areas.polygons._asdict().items()}
    arrays["words"] = np.frombuffer(json.dumps(words).encode(), np.uint8)
    return {name: value.copy() for name, value in arrays.items()}


def from_arrays(arrays: Mapping[str, NDArray[Any]]) -> tuple[Vocabulary, Snapshot]:
    """Return what `to_arrays` was given."""
    try:
        words = json.loads(bytes(arrays["words"]))
        given = {name: np.array(value, order="C") for name, value in arrays.items()}  # the caller keeps its own
        vocabulary = _vocabulary(words)
        columns = _columns(given)
        _check(columns, vocabulary)
        number = int(words["version"])
    except (KeyError, ValueError, TypeError) as error:
        raise InvalidColumnError("arrays", f"must be what Engine.to_arrays gave: {error}") from error
    return vocabulary, first_snapshot(columns, number)


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
    if words["format"] != FORMAT:
        raise InvalidColumnError("arrays", f"must have format {FORMAT}, got {words['format']}")
    book = ScheduleBook(extra_days=_days_from_words(words["extra_days"]))
    if words["schedules"]:
        book.intern_many(*(list(column) for column in zip(*words["schedules"], strict=True)))
    vocabulary = Vocabulary(book)
    vocabulary.offer_codes(words["offers"])
    vocabulary.feature_codes(words["feature_sets"], len(words["feature_sets"]))
    return vocabulary


def _check(columns: Columns, vocabulary: Vocabulary) -> None:
    """Refuse columns of unequal length and numbers that refer to nothing: kernels do not look."""
    n = columns.n_rows
    plain = [getattr(columns, field.name) for field in fields(columns) if field.name not in _NESTED]
    areas = columns.areas
    if any(column.shape != (n,) for column in (*plain, areas.kind, areas.radius_m, areas.polygon)):
        msg = "columns of unequal length"
        raise ValueError(msg)
    table = areas.polygons
    sizes: dict[str, tuple[NDArray[Any], int, int]] = {
        "point": (columns.point, 0, columns.ids.size),
        "offer": (columns.offer, 0, len(vocabulary.offers())),
        "schedule": (columns.schedule, -1, vocabulary.book.n_schedules),
        "feature_set": (columns.feature_set, 0, len(vocabulary.feature_sets())),
        "area_polygon": (areas.polygon, -1, table.boxes.shape[0]),
        "polygon_starts": (table.starts, 0, table.edges.shape[0] + 1),
    }
    for name, (codes, least, size) in sizes.items():
        if codes.size and not (least <= codes.min() and codes.max() < size):
            msg = f"{name} refers to what is not there"
            raise ValueError(msg)


def _columns(given: dict[str, NDArray[Any]]) -> Columns:
    polygons = PolygonTable(given["polygon_boxes"], given["polygon_starts"], given["polygon_edges"])
    areas = AreaColumns(given["area_kind"], given["area_radius_m"], given["area_polygon"], polygons)
    ids = IdTable.from_arena(given["ids_arena"], given["ids_offsets"], given["ids_order"])
    plain = {field.name: given[field.name] for field in fields(Columns) if field.name not in _NESTED}
    return Columns(ids=ids, areas=areas, **plain)

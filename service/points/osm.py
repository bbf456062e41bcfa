"""Points from an OpenStreetMap extract, with an account of every object that was met."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from engine.hours import hours_traits, is_valid_hours
from geo.osm import MapObject, read_objects
from service.points.rows import RawPoints
from service.points.schema import POINT_SCHEMA
from service.points.tags import Left, TagTable, Taken

__all__ = ["HoursFault", "OsmPoints", "points_from_osm"]

_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]")
_IDEOGRAM = re.compile("[\u3400-\u9fff\uac00-\ud7a3]")
_MAX_CHARS = 1_000
_NAMES = {
    "name": ("name", "brand"),
    "name_zh": ("name:zh", "name:zh-Hans", "name:zh-Hant"),
    "name_ko": ("name:ko",),
    "name_en": ("name:en",),
}
SEEN_BEFORE, UNUSABLE = "seen_before", "unusable"
KNOWN, UNKNOWN, MALFORMED, IN_WORDS = "known", "unknown", "malformed", "in_words"


@dataclass(frozen=True)
class HoursFault:
    """Opening hours that could not be used, by object."""

    object: str
    hours: str


@dataclass
class OsmPoints:
    """
    What a map holds.

    Attributes
    ----------
    raw
        A row for each offer of each object taken, by object and offer.
    object_of
        The point id of each row.
    taken
        The objects taken by point id, in order.
    besides
        Point ids of the objects that have none of the keys that are accounted for.
    usual
        How many rows of each offer are only usual for the business, not told by the map.
    left
        How many objects are left for each reason; only those with a key that is accounted for.
    left_tags
        The same by reason and tag (``amenity=bench``); an object may have several.
    keys
        For each key, how many of its objects are taken and left.
    hours
        How many of the objects taken have their hours known, unknown, malformed or told in words only; the last
        two count as unknown.
    malformed, in_words
        Which these are.
    left_with_hours
        How many objects that were left have hours.
    unusable_texts
        Names, addresses and brands that cannot be shown in one line, as ``object key``; left out.
    """

    raw: RawPoints
    object_of: list[str]
    taken: dict[str, Taken] = field(default_factory=dict)
    besides: set[str] = field(default_factory=set)
    usual: Counter[str] = field(default_factory=Counter)
    left: Counter[str] = field(default_factory=Counter)
    left_tags: dict[str, Counter[str]] = field(default_factory=dict)
    keys: dict[str, Counter[str]] = field(default_factory=dict)
    hours: Counter[str] = field(default_factory=Counter)
    malformed: list[HoursFault] = field(default_factory=list)
    in_words: list[HoursFault] = field(default_factory=list)
    left_with_hours: int = 0
    unusable_texts: list[str] = field(default_factory=list)


def points_from_osm(
    path: Path, table: TagTable, *, known: Iterable[str] = (), refused: Collection[str] = ()
) -> OsmPoints:
    """
    Return the points of an OSM file (PBF or XML).

    Parameters
    ----------
    path
        The file.
    table
        What tags mean.
    known
        Point ids that earlier sources have; such an object is left.
    refused
        Point ids whose rows were found to be unusable; such an object is left.

    Raises
    ------
    MapFileError
        If the file cannot be read.
    """
    reader = _Reader(table, set(known), refused)
    for item in read_objects(path, table.account_for + table.look_at):
        reader.meet(item)
    return reader.points()


class _Reader:
    """Takes and leaves one object after the other."""

    def __init__(self, table: TagTable, known: set[str], refused: Collection[str]) -> None:
        self._table = table
        self._known = known
        self._refused = refused
        self._rows: list[dict[str, Any]] = []
        self._account = OsmPoints(RawPoints(np.empty(0, np.int64), {}, [], [], empty_is_everywhere=False), [])
        self._account.keys = {key: Counter() for key in table.account_for}

    def meet(self, item: MapObject) -> None:
        point_id = f"osm:{item.name}"
        judged = self._table.judge(item.tags)
        if isinstance(judged, Taken):
            judged = self._obstacle(item, point_id) or judged
        if isinstance(judged, Left):
            self._leave(item, judged.reason)
        else:
            self._known.add(point_id)
            self._take(item, point_id, judged)

    def _obstacle(self, item: MapObject, point_id: str) -> Left | None:
        """Return why an object that would be a point cannot be taken."""
        if item.gap:
            return Left(item.gap)
        if point_id in self._known:
            return Left(SEEN_BEFORE)
        return Left(UNUSABLE) if point_id in self._refused else None

    def points(self) -> OsmPoints:
        n = len(self._rows)
        columns = {
            column.name: pa.array([row.get(column.name) for row in self._rows], column.type) for column in POINT_SCHEMA
        }
        self._account.raw = RawPoints(np.arange(1, n + 1), columns, [], [], empty_is_everywhere=False)
        self._account.object_of = [row["point_id"] for row in self._rows]
        return self._account

    def _take(self, item: MapObject, point_id: str, taken: Taken) -> None:
        account = self._account
        account.taken[point_id] = taken
        account.usual.update(taken.usual)
        if not self._count(item, "taken"):
            account.besides.add(point_id)
        usable = self._usable(item)
        features = [feature for feature in taken.features if not _UNPRINTABLE.search(feature)]
        common = {
            "point_id": point_id,
            "lat": item.lat,
            "lng": item.lng,
            "hours": self._hours(item),
            "features": ";".join(features) or None,
            "kind": taken.kind,
            "visibility": taken.visibility,
            "synthetic": False,
            "address": usable("address", _address(item.tags)),
        }
        for column, keys in _NAMES.items():
            common[column] = usable(column, next((item.tags[key] for key in keys if key in item.tags), None))
        self._rows += [common | {"offer": offer} for offer in taken.offers]

    def _leave(self, item: MapObject, reason: str) -> None:
        if not self._count(item, "left"):
            return
        self._account.left[reason] += 1
        tags = self._account.left_tags.setdefault(reason, Counter())
        tags.update(f"{key}={item.tags[key]}" for key in self._table.account_for if key in item.tags)
        self._account.left_with_hours += "opening_hours" in item.tags

    def _count(self, item: MapObject, what: str) -> bool:
        """Count an object for each of its keys; tell whether it has one that is accounted for."""
        keys = [key for key in self._table.account_for if key in item.tags]
        for key in keys:
            self._account.keys[key][what] += 1
        return bool(keys)

    def _hours(self, item: MapObject) -> str | None:
        hours = item.tags.get("opening_hours")
        if hours is None:
            state = UNKNOWN
        elif _UNPRINTABLE.search(hours) or not is_valid_hours(hours):
            state = MALFORMED
            self._account.malformed.append(HoursFault(f"osm:{item.name}", hours))
        elif "comment" in hours_traits(hours):
            # "by appointment" reads as open to an evaluator, and nobody may be there.
            state = IN_WORDS
            self._account.in_words.append(HoursFault(f"osm:{item.name}", hours))
        else:
            state = KNOWN
        self._account.hours[state] += 1
        return hours if state == KNOWN else None

    def _usable(self, item: MapObject) -> Callable[[str, str | None], str | None]:
        def usable(column: str, text: str | None) -> str | None:
            if text is None or (len(text) <= _MAX_CHARS and not _UNPRINTABLE.search(text)):
                return text
            self._account.unusable_texts.append(f"osm:{item.name} {column}")
            return None

        return usable


def _address(tags: dict[str, str]) -> str | None:
    """Return the address in one line: from large to small where it is written in Chinese or Korean, else from small."""
    if "addr:full" in tags:
        return tags["addr:full"]
    street = tags.get("addr:street") or tags.get("addr:place")
    number = tags.get("addr:housenumber")
    parts = [tags.get(f"addr:{key}") for key in ("province", "city", "district")]
    large = [part for part in parts if part is not None]
    small = [part for part in (street, number) if part is not None]
    if street is None:
        return None
    if _IDEOGRAM.search(street):
        return ("" if re.search("[\u4e00-\u9fff]", street) else " ").join([*large, *small])
    town = " ".join(part for part in (tags.get("addr:postcode"), tags.get("addr:city")) if part is not None)
    return ", ".join(part for part in (" ".join(small), town) if part)

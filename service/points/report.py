"""What an import took, what it left and why: for machines as JSON, for people as text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

__all__ = ["ImportReport", "ObjectReport", "SourceReport"]

_MAX_SHOWN = 20
_REASONS = {
    "gone": "out of use or vacant",
    "no_public_access": "customers may not enter (access=private or no)",
    "no_offer_left": "its tags take away every offer (takeaway=no, fee=no, ...)",
    "no_sector": "no rule for its tags",
    "street_furniture": "things in the street, machines without a counter",
    "traffic": "places for vehicles and passengers",
    "public_service": "schools, health, authorities, worship",
    "served_on_the_spot": "one goes there and is served there",
    "office": "an office serves nobody at the door",
    "other_craft": "a craft of no sector",
    "nodes_missing": "no place: cut by the edge of the extract",
    "parts_missing": "no place: a multipolygon that cannot be put together",
    "not_an_area": "no place: a relation that is no area",
    "location_invalid": "no place: a node without a valid location",
    "seen_before": "the same object was taken before",
    "unusable": "its rows cannot be used",
}


@dataclass(frozen=True)
class ObjectReport:
    """
    What became of the objects of a map.

    Attributes
    ----------
    n_objects, n_taken, n_left
        Objects that have amenity, shop, craft or office: all, those taken, those left.
    n_taken_besides
        Objects taken for another key alone (museums, stadiums).
    keys
        For each key, how many of its objects are taken and left.
    left
        How many are left for each reason.
    left_tags
        For each reason, how many by tag, the commonest first.
    hours
        Of the objects taken, how many have hours known, unknown, malformed, or told in words only.
    left_with_hours
        How many of the objects left have hours.
    malformed_hours, hours_in_words
        Object and string; these count as unknown.
    unusable_texts
        Names and addresses that cannot be shown in one line.
    usual_offers
        Rows by offer that the map does not tell, but are usual for the business.
    """

    n_objects: int
    n_taken: int
    n_left: int
    n_taken_besides: int
    keys: dict[str, dict[str, int]]
    left: dict[str, int]
    left_tags: dict[str, dict[str, int]]
    hours: dict[str, int]
    left_with_hours: int
    malformed_hours: list[dict[str, str]]
    hours_in_words: list[dict[str, str]]
    unusable_texts: list[str]
    usual_offers: dict[str, int]


@dataclass(frozen=True)
class SourceReport:
    """
    What came of one source.

    Attributes
    ----------
    source
        The file as it was named.
    n_points, n_rows
        Points and their offers that it gave.
    bad_rows
        Row and reason of what could not be used.
    ignored_columns
        Columns that mean nothing to linli.
    objects
        For a map, the account of its objects; None for a points file.
    """

    source: str
    n_points: int
    n_rows: int
    bad_rows: list[dict[str, Any]]
    ignored_columns: list[str]
    objects: ObjectReport | None


@dataclass(frozen=True)
class ImportReport:
    """
    What an import came to.

    Attributes
    ----------
    n_points, n_rows
        Points and their offers, all sources together.
    points_by_kind, rows_by_offer
        How many of each.
    points_by_hours
        How many points have hours ``known`` for any offer, or ``unknown``.
    default_areas
        Rows by offer for which their norm's radius stands in, since the source tells no area.
    timezone_origin, country_origin
        How many rows have theirs from a ``column``, an ``option``, the ``place`` (looked up with tzfpy, and tzdata's
        zone.tab), or ``nowhere``.
    sources
        One by one.
    """

    n_points: int
    n_rows: int
    points_by_kind: dict[str, int]
    rows_by_offer: dict[str, int]
    points_by_hours: dict[str, int]
    default_areas: dict[str, int]
    timezone_origin: dict[str, int]
    country_origin: dict[str, int]
    sources: list[SourceReport] = field(default_factory=list)

    @property
    def n_bad_rows(self) -> int:
        """How many rows could not be used, all sources together."""
        return sum(len(source.bad_rows) for source in self.sources)

    def as_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self) | {"n_bad_rows": self.n_bad_rows}

    def as_text(self) -> str:
        """Return the report as a person reads it."""
        lines = [
            f"{self.n_points} points with {self.n_rows} offers",
            *_counts("points by kind", self.points_by_kind),
            *_counts("offers", self.rows_by_offer),
            *_counts("points by hours", self.points_by_hours),
            *_counts("areas where a norm's default radius stands in", self.default_areas),
            *_counts("time zone from", self.timezone_origin),
            *_counts("country from", self.country_origin),
        ]
        for source in self.sources:
            lines += ["", *_source_lines(source)]
        return "\n".join(lines) + "\n"


def _source_lines(source: SourceReport) -> Iterator[str]:
    yield f"{source.source}: {source.n_points} points with {source.n_rows} offers"
    if source.objects is not None:
        yield from _object_lines(source.objects)
    if source.ignored_columns:
        yield f"  columns that mean nothing here: {', '.join(source.ignored_columns)}"
    if source.bad_rows:
        yield f"  rows that cannot be used: {len(source.bad_rows)}"
        yield from _shown([f"row {bad['row']}: {bad['reason']}" for bad in source.bad_rows])


def _object_lines(objects: ObjectReport) -> Iterator[str]:
    yield (
        f"  {objects.n_objects} objects with amenity, shop, craft or office: {objects.n_taken} taken, "
        f"{objects.n_left} left; {objects.n_taken_besides} more taken for other tags"
    )
    for key, counts in objects.keys.items():
        yield f"    {key}: {counts.get('taken', 0)} taken, {counts.get('left', 0)} left"
    yield "  left because"
    for reason, n in objects.left.items():
        commonest = ", ".join(f"{tag} {count}" for tag, count in list(objects.left_tags[reason].items())[:4])
        yield f"    {n:>6}  {reason}: {_REASONS.get(reason, reason)} ({commonest})"
    yield from (f"  {line}" for line in _counts("opening hours of the objects taken", objects.hours))
    for title, faults in (
        ("malformed hours, taken for unknown", objects.malformed_hours),
        ("hours told in words, taken for unknown", objects.hours_in_words),
    ):
        if faults:
            yield f"  {title}: {len(faults)}"
            yield from _shown([f"{fault['object']}: {fault['hours']!r}" for fault in faults])
    if objects.unusable_texts:
        yield f"  texts left out, since they cannot be shown in one line: {len(objects.unusable_texts)}"
        yield from _shown(objects.unusable_texts)
    yield from (f"  {line}" for line in _counts("offers not on the map, but usual", objects.usual_offers))


def _counts(title: str, counts: Mapping[str, int]) -> Iterator[str]:
    if counts:
        yield f"{title}: " + ", ".join(f"{name} {n}" for name, n in counts.items())


def _shown(lines: list[str]) -> Iterator[str]:
    for line in lines[:_MAX_SHOWN]:
        yield f"    {line}"
    if len(lines) > _MAX_SHOWN:
        yield f"    and {len(lines) - _MAX_SHOWN} more"

"""Crews and services as the store keeps them: JSON, all places in WGS 84."""

from __future__ import annotations

import datetime as dt
import functools
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import shapely

from engine.crews import Break, Crew
from engine.rosters import BookingRules

if TYPE_CHECKING:
    from engine.norms import OfferNorm

__all__ = ["CrewFacts", "ServiceFacts"]

_MOST_READ = 1 << 12  # that are not read anew from the same text


@dataclass(frozen=True)
class CrewFacts:
    """
    What is kept of a crew.

    Attributes
    ----------
    start, end
        Lat and lng; None: the place of its point, and where it starts.
    breaks
        When each begins at the earliest and at the latest, as ``12:00``, and its minutes.
    radius_m, area
        Where it works: so far around its start, or in an area as hexadecimal WKB; neither: everywhere.
    """

    name: str
    hours: str
    skills: tuple[str, ...] = ()
    people: int = 1
    start: tuple[float, float] | None = None
    end: tuple[float, float] | None = None
    breaks: tuple[tuple[str, str, int], ...] = ()
    radius_m: float | None = None
    area: str | None = None
    max_jobs: int | None = None
    is_paused: bool = False

    def as_json(self) -> str:
        """Return what the store keeps."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    @functools.lru_cache(maxsize=_MOST_READ)
    def of_json(cls, text: str) -> CrewFacts:
        """Return what `as_json` wrote."""
        told = json.loads(text)
        pairs = {name: told[name] and tuple(told[name]) for name in ("start", "end")}
        breaks = tuple(tuple(rest) for rest in told["breaks"])
        return cls(**told | pairs | {"skills": tuple(told["skills"]), "breaks": breaks})

    def crew(self, crew_id: str, point: Any) -> Crew:
        """Return the engine's crew; ``point`` is the row of its point, which has a time zone."""
        start = self.start or (point.lat, point.lng)
        rests = [
            Break(dt.time.fromisoformat(first), dt.time.fromisoformat(last), 60 * minutes)
            for first, last, minutes in self.breaks
        ]
        return Crew(
            crew_id,
            start,
            self.end or start,
            self.hours,
            point.timezone,
            point.country,
            frozenset(self.skills),
            self.people,
            tuple(rests),
            self.radius_m if self.area is None else shapely.from_wkb(bytes.fromhex(self.area)),
            self.max_jobs,
        )


@dataclass(frozen=True)
class ServiceFacts:
    """
    What is kept of a service.

    Attributes
    ----------
    offer
        Of its point, under whose norm it stands.
    hours
        OSM opening_hours in which windows lie; None: any in which a crew works.
    lead_s, width_s, step_s
        None: the norm's.
    """

    name: str
    offer: str
    duration_s: int
    price_minor: int
    currency: str
    skills: tuple[str, ...] = ()
    people: int = 1
    hours: str | None = None
    lead_s: int | None = None
    most_days: int = 30
    width_s: int | None = None
    step_s: int | None = None
    is_paused: bool = False

    def as_json(self) -> str:
        """Return what the store keeps."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    @functools.lru_cache(maxsize=_MOST_READ)
    def of_json(cls, text: str) -> ServiceFacts:
        """Return what `as_json` wrote."""
        told = json.loads(text)
        return cls(**told | {"skills": tuple(told["skills"])})

    def rules(self, norm: OfferNorm, point: Any, lead_s: int = 0) -> BookingRules:
        """Return when it may be booked; ``lead_s`` is the least lead, ``point`` the row of its point."""
        usual = BookingRules.of_norm(norm, point.timezone, point.country, self.hours)
        return BookingRules(
            usual.timezone,
            usual.country,
            usual.hours,
            max(lead_s, usual.lead_s if self.lead_s is None else self.lead_s),
            self.most_days,
            usual.step_s if self.step_s is None else self.step_s,
            usual.width_s if self.width_s is None else self.width_s,
        )

"""Crews, services and engagements as answers tell them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.clock import from_us
from service.crews.facts import CrewFacts, ServiceFacts
from service.crews.schemas import CrewAnswer, EngagementAnswer, ServiceAnswer
from service.points.areas import area_json

if TYPE_CHECKING:
    from engine.norms import Norms
    from service.store.connections import AnyRow

__all__ = ["crew_answer", "engagement_answer", "service_answer"]


def crew_answer(row: AnyRow) -> CrewAnswer:
    """Return a crew, its places in WGS 84."""
    facts = CrewFacts.of_json(row.facts)
    wkb = None if facts.area is None else bytes.fromhex(facts.area)
    has_area = facts.radius_m is not None or wkb is not None
    return CrewAnswer(
        point_id=row.point_id,
        crew_id=row.crew_id,
        name=facts.name,
        hours=facts.hours,
        skills=list(facts.skills),
        people=facts.people,
        start=_place(facts.start),
        end=_place(facts.end),
        breaks=[{"earliest": first, "latest": last, "minutes": minutes} for first, last, minutes in facts.breaks],
        area=area_json(facts.radius_m, wkb, "wgs84") if has_area else None,
        max_jobs=facts.max_jobs,
        paused=facts.is_paused,
        datum="wgs84",
        revision=row.revision,
    )


def service_answer(row: AnyRow, norms: Norms) -> ServiceAnswer:
    """Return a service, with the norm's values for what its merchant left out."""
    facts = ServiceFacts.of_json(row.facts)
    rules = facts.rules(norms.by_offer[facts.offer], _Nowhere)
    return ServiceAnswer(
        point_id=row.point_id,
        service_id=row.service_id,
        name=facts.name,
        offer=facts.offer,
        minutes=facts.duration_s // 60,
        price_minor=facts.price_minor,
        currency=facts.currency,
        skills=list(facts.skills),
        people=facts.people,
        hours=facts.hours,
        lead_minutes=rules.lead_s // 60,
        most_days=facts.most_days,
        window_minutes=rules.width_s // 60,
        step_minutes=rules.step_s // 60,
        paused=facts.is_paused,
        revision=row.revision,
    )


class _Nowhere:
    timezone, country = "UTC", None


def engagement_answer(row: AnyRow) -> EngagementAnswer:
    """Return an engagement, its place in WGS 84."""
    return EngagementAnswer(
        engagement_id=row.engagement_id,
        starts_at=from_us(row.starts_at),
        ends_at=from_us(row.ends_at),
        place=_place(None if row.lat is None else (row.lat, row.lng)),
    )


def _place(place: tuple[float, float] | None) -> dict[str, float] | None:
    return None if place is None else {"lat": place[0], "lng": place[1]}

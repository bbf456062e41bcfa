"""From bodies to facts of crews and services, each checked, without any store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.errors import InvalidHoursError, InvalidTimezoneError
from service.crews.facts import CrewFacts, ServiceFacts
from service.http.problems import as_problem, invalid
from service.matching.asks import place_in_wgs84
from service.points.areas import EVERYWHERE, Drawn, Kept, wkb_of
from service.points.rules import check_hours

if TYPE_CHECKING:
    from engine.norms import Norms
    from service.crews.schemas import CrewBody, PlaceBody, ServiceBody

__all__ = ["ONSITE", "check_at_point", "crew_facts", "place_of", "service_facts"]

ONSITE = "/onsite"
_TIME = 5  # characters of 12:00


def crew_facts(body: CrewBody) -> CrewFacts:
    """
    Return the facts of a crew.

    Raises
    ------
    ProblemError, GeoError
        If a place or its area cannot be one.
    """
    drawn: Any = body.area
    radius_m, area = None, None
    if isinstance(drawn, Drawn | Kept):
        area = wkb_of(drawn, body.datum).hex()
    elif drawn is not None and drawn is not EVERYWHERE:
        radius_m = drawn
    return CrewFacts(
        body.name,
        body.hours,
        tuple(body.skills),
        body.people,
        place_of(body.start, body.datum, "/start"),
        place_of(body.end, body.datum, "/end"),
        tuple((rest.earliest, rest.latest, rest.minutes) for rest in body.breaks),
        radius_m,
        area,
        body.max_jobs,
        body.paused,
    )


def service_facts(body: ServiceBody, norms: Norms) -> ServiceFacts:
    """
    Return the facts of a service.

    Raises
    ------
    ProblemError
        If its offer is none that visits are made for.
    """
    known = [offer for offer in norms.by_offer if offer.endswith(ONSITE)]
    if body.offer not in known:
        raise invalid("/offer", f"must be one of {', '.join(known)}, got {body.offer}")
    return ServiceFacts(
        body.name,
        body.offer,
        60 * body.minutes,
        body.price_minor,
        body.currency,
        tuple(body.skills),
        body.people,
        body.hours,
        _seconds(body.lead_minutes),
        body.most_days,
        _seconds(body.window_minutes),
        _seconds(body.step_minutes),
        body.paused,
    )


def check_at_point(hours: str | None, point: Any) -> None:
    """
    Refuse hours that cannot be of a point, given its row.

    Raises
    ------
    ProblemError
        If they are no opening_hours expression, or the point lies in no time zone.
    """
    if point.timezone is None:
        raise invalid("/hours", "cannot be of a point without a time zone: give the point one")
    if hours is None:
        return
    try:
        check_hours(hours, None, point.timezone, point.country)
    except (InvalidHoursError, InvalidTimezoneError) as error:
        problem = as_problem(error, "/hours")
        raise error if problem is None else problem from error


def place_of(body: PlaceBody | None, datum: str, where: str) -> tuple[float, float] | None:
    """Return a place of a body in WGS 84; raises `ProblemError` for one that is outside the earth."""
    return None if body is None else place_in_wgs84(body.lat, body.lng, datum, where)


def _seconds(minutes: int | None) -> int | None:
    return None if minutes is None else 60 * minutes

"""What requests and answers about crews and services hold."""

from __future__ import annotations

import datetime as dt
import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from service.bookings.schemas import SettledAnswer
from service.features import FEATURE
from service.http.fields import Answer, Body, DatumName, Id, Instant, Line
from service.http.json_bodies import check_text
from service.http.problems import invalid
from service.points.areas import AreaBody
from service.points.schemas import MAX_UNITS, Hours, OfferName
from service.stock.schemas import Currency

__all__ = [
    "MAX_BREAKS",
    "BulkCrewBody",
    "BulkServiceBody",
    "CrewAnswer",
    "CrewBody",
    "CrewsAnswer",
    "EngagementAnswer",
    "EngagementBody",
    "EngagementsAnswer",
    "IllBody",
    "PutCrewAnswer",
    "PutEngagementAnswer",
    "ServiceAnswer",
    "ServiceBody",
    "ServicesAnswer",
    "Skill",
]

MAX_BREAKS = 6
_MAX_SKILLS, _MAX_PEOPLE, _MAX_JOBS = 32, 20, 100
_DAY_MINUTES = 1_440
_WALL = r"^(?:[01][0-9]|2[0-3]):[0-5][0-9]$"

_SKILL = re.compile(FEATURE)


def _skill(skill: str) -> str:
    check_text(skill, "", 161)
    if _SKILL.fullmatch(skill) is None:
        raise invalid("", f"must be a key such as aircon or brand:midea, got {skill!r:.60}")
    return skill


Skill = Annotated[str, Field(max_length=161, examples=["aircon"]), AfterValidator(_skill)]
WallTime = Annotated[str, Field(pattern=_WALL, examples=["12:00"])]


def _once(skills: list[str]) -> list[str]:
    if len(set(skills)) != len(skills):
        raise invalid("", "must name a skill once")
    return skills


Skills = Annotated[list[Skill], Field(max_length=_MAX_SKILLS), AfterValidator(_once)]
People = Annotated[int, Field(ge=1, le=_MAX_PEOPLE)]


class PlaceBody(Body):
    """A place, in the body's datum."""

    lat: float = Field(json_schema_extra={"minimum": -90, "maximum": 90}, examples=[31.2304])
    lng: float = Field(json_schema_extra={"minimum": -180, "maximum": 180}, examples=[121.4737])


class BreakBody(Body):
    """A rest of every shift."""

    earliest: WallTime = Field(description="When it begins at the earliest, by the clock on the wall.")
    latest: WallTime = Field(description="When it begins at the latest; before the earliest: on the next day.")
    minutes: Annotated[int, Field(ge=1, le=480)]


class CrewBody(Body):
    """A crew, whole: what is left out takes its default."""

    name: Line
    hours: Hours = Field(
        description="OSM opening_hours: each span is a shift. Days off and holidays stand here, too.",
        examples=["Mo-Sa 08:00-18:00; PH off; 2027 Feb 05-12 off"],
    )
    skills: Skills = Field(default_factory=list)
    people: People = 1
    start: PlaceBody | None = Field(None, description="Where a shift begins; left out: at the point.")
    end: PlaceBody | None = Field(None, description="Where it ends; left out: where it began.")
    breaks: Annotated[list[BreakBody], Field(max_length=MAX_BREAKS)] = Field(default_factory=list)
    area: AreaBody = Field(None, description="Where it works; radius_m is around its start. Left out: everywhere.")
    max_jobs: Annotated[int, Field(ge=1, le=_MAX_JOBS)] | None = Field(
        None, description="Visits of a shift at most; left out: as many as fit."
    )
    paused: bool = Field(False, description="Nothing new is booked for it; what is promised stays.")
    datum: DatumName = "wgs84"


class BulkCrewBody(CrewBody):
    """One line of a bulk upsert."""

    crew_id: Id


class ServiceBody(Body):
    """What can be booked at a point, whole: what is left out takes its default."""

    name: Line
    offer: OfferName = Field(description="An offer of the point, in whose area it is done; its norm holds.")
    minutes: Annotated[int, Field(ge=5, le=_DAY_MINUTES, description="How long a visit takes.")]
    price_minor: Annotated[int, Field(ge=0, le=MAX_UNITS, description="Of a visit, in minor units of the currency.")]
    currency: Currency
    skills: Skills = Field(default_factory=list, description="That a crew must have, all of them.")
    people: People = Field(1, description="How many must come.")
    hours: Hours | None = Field(None, description="OSM opening_hours in which visits begin; null: any.")
    lead_minutes: Annotated[int, Field(ge=0, le=31 * _DAY_MINUTES)] | None = Field(
        None, description="Between booking and the window, at least; left out: the norm's."
    )
    most_days: Annotated[int, Field(ge=1, le=60)] = Field(30, description="How many days ahead, today among them.")
    window_minutes: Annotated[int, Field(ge=0, le=_DAY_MINUTES)] | None = Field(
        None, description="How long the window is that a customer is promised; left out: the norm's."
    )
    step_minutes: Annotated[int, Field(ge=5, le=_DAY_MINUTES)] | None = Field(
        None, description="How windows follow one another; left out: as the norm has it."
    )
    paused: bool = False


class BulkServiceBody(ServiceBody):
    """One line of a bulk upsert."""

    service_id: Id


class EngagementBody(Body):
    """A time at which a crew is taken, by itself or by illness."""

    starts_at: Instant
    ends_at: Instant
    place: PlaceBody | None = Field(None, description="Where it is then; left out: wherever it happens to be.")
    datum: DatumName = "wgs84"


class IllBody(Body):
    """A crew that cannot come."""

    until: Instant
    starts_at: Instant | None = Field(None, description="From when on; left out: from now on.")


class CrewAnswer(Answer):
    """A crew, as its merchant sees it."""

    point_id: str
    crew_id: str
    name: str
    hours: str
    skills: list[str]
    people: int
    start: dict[str, float] | None
    end: dict[str, float] | None
    breaks: list[dict[str, Any]]
    area: dict[str, Any] | None
    max_jobs: int | None
    paused: bool
    datum: Literal["wgs84"]
    revision: int


class PutCrewAnswer(CrewAnswer, SettledAnswer):
    """A crew as it was made or replaced, and what became of what it had promised."""


class CrewsAnswer(Answer):
    """A page of crews."""

    items: list[CrewAnswer]
    next_cursor: str | None


class ServiceAnswer(Answer):
    """A service; where the merchant left something out, the norm's value."""

    point_id: str
    service_id: str
    name: str
    offer: str
    minutes: int
    price_minor: int
    currency: str
    skills: list[str]
    people: int
    hours: str | None
    lead_minutes: int
    most_days: int
    window_minutes: int
    step_minutes: int
    paused: bool
    revision: int


class ServicesAnswer(Answer):
    """A page of services."""

    items: list[ServiceAnswer]
    next_cursor: str | None


class EngagementAnswer(Answer):
    """A time at which a crew is taken."""

    engagement_id: str
    starts_at: dt.datetime
    ends_at: dt.datetime
    place: dict[str, float] | None


class PutEngagementAnswer(EngagementAnswer, SettledAnswer):
    """When a crew is taken, and what became of what it had promised."""


class EngagementsAnswer(Answer):
    """All that are not over."""

    items: list[EngagementAnswer]

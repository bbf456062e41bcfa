"""What requests and answers about points hold."""

from __future__ import annotations

import datetime as dt
import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from engine.columns import MAX_LEAD_S
from service.bookings.schemas import SettledAnswer
from service.features import FEATURE
from service.http.fields import Answer, Body, DatumName, Line, line
from service.http.json_bodies import check_text
from service.http.problems import invalid
from service.http.query_text import day_of
from service.points.areas import AreaBody

__all__ = [
    "MAX_UNITS",
    "BulkPointBody",
    "CapacityAnswer",
    "CapacityBody",
    "DayAnswer",
    "Filled",
    "HoursAnswer",
    "OfferAnswer",
    "OfferBody",
    "PauseBody",
    "PointAnswer",
    "PointBody",
    "PointPatch",
    "PointsAnswer",
    "PublicOffer",
    "PublicPoint",
    "PutAnswer",
    "SlotBody",
]

MAX_UNITS = 2**53 - 1  # what every reader of JSON can hold
_MAX_OFFERS, _MAX_FEATURES, _MAX_SPECIAL_DAYS, _MAX_HOURS_CHARS = 64, 64, 100, 4_096
_FEATURE = re.compile(FEATURE)
_RESERVED = "merchant:"
_TIME = r"(?:[01][0-9]|2[0-9]|3[0-5]):[0-5][0-9]"
_SPECIAL_HOURS = rf"^(?:off|{_TIME}-{_TIME}(?:,{_TIME}-{_TIME}){{0,11}})$"


def _features(features: list[str]) -> list[str]:
    for feature in features:
        check_text(feature, "", 161)
        if _FEATURE.fullmatch(feature) is None:
            raise invalid("", f"must be keys such as lift or brand:linjia, got {feature!r:.60}")
        if feature.startswith(_RESERVED):
            raise invalid("", f"must not hold {_RESERVED}…, which every point has of its own merchant")
    return features


def _date(text: str) -> str:
    return day_of(text, "").isoformat()


def _once(days: list[SpecialDay]) -> list[SpecialDay]:
    dates = [day.date for day in days]
    if len(set(dates)) != len(dates):
        raise invalid("", "must name a day once")
    return days


Kind = Literal["store", "pickup_point", "community_station", "venue", "depot", "warehouse"]
Visibility = Literal["public", "unlisted", "internal"]
Features = Annotated[
    list[str],
    Field(max_length=_MAX_FEATURES, examples=[["lift", "brand:linjia"]]),
    AfterValidator(_features),
]
OfferName = Annotated[
    str, Field(pattern=r"^[a-z0-9_]{1,40}/[a-z0-9_]{1,40}$", max_length=81, examples=["retail/pickup"])
]
Hours = Annotated[str, Field(min_length=1, max_length=_MAX_HOURS_CHARS), line(_MAX_HOURS_CHARS)]
Units = Annotated[int, Field(ge=0, le=MAX_UNITS)]


class SpecialDay(Body):
    """A day on which its own hours hold alone, for all offers of a point."""

    date: Annotated[str, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"), AfterValidator(_date)]
    hours: Annotated[str, Field(pattern=_SPECIAL_HOURS, max_length=200, examples=["10:00-14:00", "off"])]


SpecialDays = Annotated[list[SpecialDay], Field(max_length=_MAX_SPECIAL_DAYS), AfterValidator(_once)]


class SlotBody(Body):
    """A preparation slot: so many orders are handed over in so many minutes."""

    orders: Annotated[int, Field(ge=1, le=MAX_UNITS)]
    minutes: Literal[5, 10, 15, 20, 30, 60]


class OfferBody(Body):
    """What a point offers: where, when, how much of it."""

    offer: OfferName
    area: AreaBody = Field(None, description="Left out: the radius of the offer's norm, and the answer says so.")
    hours: Hours | None = Field(None, description="OSM opening_hours; null: unknown, which is not open.")
    capacity: Units | None = Field(
        None,
        description="Orders that it can have in work at once, from hold to end; null: no limit. Visits are limited by "
        "crews: of an `…/onsite` offer, matches alone heed it.",
    )
    slot: SlotBody | None = Field(None, description="How fast it prepares orders; null: no limit.")
    lead_s: Annotated[int, Field(ge=0, le=MAX_LEAD_S)] | None = Field(
        None, description="Seconds between asking and the earliest time served; left out: none."
    )
    paused: bool = False


class PointBody(Body):
    """A point, whole: what is left out takes its default."""

    kind: Kind
    name: Line
    address: Line | None = None
    lat: float = Field(json_schema_extra={"minimum": -90, "maximum": 90}, examples=[31.2304])
    lng: float = Field(json_schema_extra={"minimum": -180, "maximum": 180}, examples=[121.4737])
    datum: DatumName = Field("wgs84", description="Datum of lat, lng and the areas.")
    timezone: str | None = Field(None, max_length=64, description="IANA name. Left out: looked up from the place.")
    country: str | None = Field(None, max_length=8, description="ISO 3166. Left out: that of the time zone.")
    visibility: Visibility = "public"
    features: Features = Field(default_factory=list)
    special_days: SpecialDays = Field(default_factory=list)
    paused: bool = False
    offers: Annotated[list[OfferBody], Field(min_length=1, max_length=_MAX_OFFERS)]


class BulkPointBody(PointBody):
    """One line of a bulk upsert."""

    point_id: str


class PointPatch(Body):
    """What of a point is to change; what is left out stays."""

    name: Line = ""
    address: Line | None = None
    visibility: Visibility = "public"
    features: Features = Field(default_factory=list)
    special_days: SpecialDays = Field(default_factory=list)
    paused: bool = False


class PauseBody(Body):
    """Which offer is meant."""

    offer: OfferName | None = Field(None, description="One offer; left out: the whole point.")


class CapacityBody(Body):
    """How many orders an offer can have in work at once."""

    units: Units | None = Field(description="null: no limit.")


class OfferAnswer(Answer):
    """An offer as its merchant sees it."""

    offer: str
    area: dict[str, Any]
    hours: str | None
    capacity: int | None
    in_work: int
    slot: SlotBody | None
    lead_s: int
    paused: bool


class PointAnswer(Answer):
    """A point as its merchant sees it."""

    point_id: str
    merchant_id: str
    kind: str
    name: str
    address: str | None
    lat: float
    lng: float
    datum: str
    timezone: str | None
    country: str | None
    visibility: str
    features: list[str]
    special_days: list[dict[str, str]]
    paused: bool
    synthetic: bool
    offers: list[OfferAnswer]
    revision: int
    created_at: dt.datetime
    updated_at: dt.datetime


class Filled(Answer):
    """A value that the request left out, and what stands in for it."""

    where: str
    value: Any
    source: Literal["norm", "place"]


class PutAnswer(PointAnswer, SettledAnswer):
    """A point as it was stored, and what became of visits that its crews had promised."""

    filled: list[Filled]


class PublicOffer(Answer):
    """An offer as everyone sees it."""

    offer: str
    hours: str | None
    lead_s: int
    paused: bool


class PublicPoint(Answer):
    """A point as everyone sees it: no stock, no shape of an area."""

    point_id: str
    merchant_id: str
    kind: str
    name: str
    address: str | None
    lat: float
    lng: float
    datum: str
    timezone: str | None
    country: str | None
    features: list[str]
    special_days: list[dict[str, str]]
    paused: bool
    offers: list[PublicOffer]


class PointsAnswer(Answer):
    """A page of points."""

    items: list[PointAnswer] | list[PublicPoint]
    next_cursor: str | None


class CapacityAnswer(Answer):
    """How many orders an offer can have in work at once."""

    point_id: str
    offer: str
    units: int | None
    stock_revision: int


class DayAnswer(Answer):
    """One local day; spans are wall time, ends exclusive."""

    date: dt.date
    open: list[tuple[str, str]]
    unknown: list[tuple[str, str]]
    is_holiday: bool | None
    is_makeup_workday: bool
    name: str | None
    is_special: bool


class HoursAnswer(Answer):
    """The days to come of an offer."""

    point_id: str
    offer: str
    timezone: str
    country: str | None
    hours: str
    days: list[DayAnswer]

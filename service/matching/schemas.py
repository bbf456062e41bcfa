"""What the matching routes take and tell, as the description of the API shows it."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from service.http.fields import Answer, Body, DatumName
from service.http.query_text import instant
from service.matching.items import ItemAsk
from service.matching.parameters import (
    EXAMPLE_TIME,
    FEATURE,
    MAX_BATCH,
    MAX_DISTANCE_M,
    MAX_FEATURES,
    MAX_ITEMS,
    MAX_K,
    MAX_QUANTITY,
    MAX_SPLIT,
)

__all__ = [
    "BatchAnswer",
    "BatchAsk",
    "BatchBody",
    "ExplainAnswer",
    "ExplainedPoint",
    "IndexTold",
    "MatchAnswer",
    "Matched",
    "OwnPoint",
    "PromiseTold",
]


def _instant(value: Any) -> Any:
    return instant(value, "at") if isinstance(value, str) else value


Instant = Annotated[dt.datetime, BeforeValidator(_instant), Field(examples=[EXAMPLE_TIME])]


class BatchAsk(Body):
    """One question of a batch."""

    lat: float = Field(json_schema_extra={"minimum": -90, "maximum": 90}, examples=[31.2304])
    lng: float = Field(json_schema_extra={"minimum": -180, "maximum": 180}, examples=[121.4737])
    offer: str = Field(examples=["retail/pickup"], max_length=100)
    at: Instant | None = Field(None, description="When it is wanted, with its offset; this very moment without.")
    quantity: int = Field(1, ge=1, le=MAX_QUANTITY)
    k: int = Field(1, ge=1, le=MAX_K)
    max_distance_m: float | None = Field(None, ge=0.0, le=MAX_DISTANCE_M)
    features: list[str] = Field(
        default_factory=list,
        description=f"What a point must have, at most {MAX_FEATURES}, each like {FEATURE}",
        examples=[["lift", "brand:corner"]],
    )
    unknown_hours: Literal["refuse", "allow"] = "refuse"
    items: list[ItemAsk] = Field(
        default_factory=list, max_length=MAX_ITEMS, description="A basket that a point must have whole."
    )
    split: int = Field(
        1,
        ge=1,
        le=MAX_SPLIT,
        description="Between how many points the basket may be divided where nobody has all of it.",
    )


class BatchBody(Body):
    """Up to 100 questions; each gets the answer that `GET /v1/match` would give."""

    asks: list[BatchAsk] = Field(min_length=1, json_schema_extra={"maxItems": MAX_BATCH})
    datum: DatumName = "wgs84"


class PromiseTold(Answer):
    """What a match promises."""

    order_by: dt.datetime = Field(description="The last instant to order, inclusive.")
    ready_at: dt.datetime = Field(description="When it is ready.")
    hold_until: dt.datetime | None = Field(description="Until when it is held, where the norm knows a hold.")
    cancel_free_until: dt.datetime | None = Field(description="Until when cancelling costs nothing.")


class Matched(Answer):
    """A point that can serve."""

    point_id: str
    offer: str
    distance_m: float
    lat: float
    lng: float
    promise: PromiseTold


class IndexTold(Answer):
    """Which version of the index answered, and how long ago it was known to miss nothing."""

    version: str
    age_s: float | None


class RefusedTold(Answer):
    """The nearest point of a reason; `next_open_at` where it would serve at another time."""

    point_id: str
    distance_m: float
    reason: str
    next_open_at: dt.datetime | None
    sku: str | None = Field(None, description="Where it is out of stock, the first SKU that it has not got.")


class NearestTold(Answer):
    """A point that could serve."""

    point_id: str
    distance_m: float


class Later(NearestTold):
    """The same at a later time."""

    at: dt.datetime


class OtherMode(NearestTold):
    """The same by another mode of the sector."""

    offer: str


class WouldHelp(Answer):
    """What was asked of the index instead, and found."""

    later: Later | None = Field(description="At the first time at which another question found somebody.")
    farther: NearestTold | None = Field(description="Without max_distance_m.")
    other_modes: list[OtherMode]


class PartTold(Answer):
    """A point, and what of the basket it is to give."""

    point_id: str
    offer: str
    distance_m: float
    items: list[ItemAsk]


class SplitTold(Answer):
    """A basket divided between the fewest points, then the nearest."""

    parts: list[PartTold]
    distance_m: float = Field(description="Of all parts together.")


class MatchAnswer(Answer):
    """Who can serve, nearest first; where nobody can, why, and what would help."""

    matches: list[Matched]
    at: dt.datetime
    asked_at: dt.datetime
    datum: str
    index: IndexTold
    reason: str | None = Field(None, description="Of the nearest point that has the offer, where nobody can serve.")
    refused: list[RefusedTold] | None = Field(None, description="The nearest point of each reason, nearest first.")
    next_open_at: dt.datetime | None = Field(
        None,
        description="When the first is open, and its lead time over, of the nearest that would serve at another time: "
        "with a minute at least to ask again.",
    )
    would_help: WouldHelp | None = None
    split: SplitTold | None = Field(None, description="The basket divided, where nobody has all of it.")
    is_split_unknown: bool = Field(
        False,
        description="Whether there is no split only because the search for the best among very many points was given "
        "up: a smaller max_distance_m helps, or fewer items; or because points of all that were found had no room: "
        "another time may help.",
    )


class BatchAnswer(Answer):
    """The answers in the order of the questions."""

    answers: list[MatchAnswer]


class ExplainedPoint(Answer):
    """A point that was passed over, and the first reason."""

    point_id: str
    distance_m: float
    reason: str
    sku: str | None = Field(None, description="Where it is out of stock, the first SKU that it has not got.")


class OwnChecks(Answer):
    """What each check says of a point by itself: `ok`, or a code."""

    visibility: str
    paused: str
    merchant: str
    features: str
    hours: str
    lead: str
    area: str
    capacity: str
    stock: str = Field(description="Whether it has what `items` asks for.")
    room: str = Field(
        description="Of a preparation slot, `full`; of visits that are booked here, `full` or `too_soon`."
    )
    distance: str


class OwnPoint(Answer):
    """A point of your own as it is stored, and what stands against it."""

    point_id: str
    distance_m: float | None = Field(description="Null where neither the index nor the store has an offer to measure.")
    reason: str = Field(description="The first reason, in the version of the index that answered.")
    sku: str | None = Field(None, description="Where it is out of stock, the first SKU that it has not got.")
    is_indexed: bool = Field(description="Whether that version knows the point with this offer.")
    has_offer: bool
    visibility: str
    merchant_status: str
    is_paused: bool
    features: list[str]
    hours: str | None
    capacity: int | None
    lead_s: int | None
    radius_m: float | None
    has_area: bool
    checks: OwnChecks | None = Field(description="Each by itself, by what is stored; null without the offer.")


class ExplainAnswer(Answer):
    """The match, the nearer points that were passed over, and the point that was asked about."""

    match: ExplainedPoint | None
    nearer: list[ExplainedPoint]
    n_more: int = Field(description="How many more were passed over.")
    point: OwnPoint | None = Field(description="All about the point of your own that was asked about.")
    at: dt.datetime
    asked_at: dt.datetime
    index: IndexTold

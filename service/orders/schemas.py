"""What requests and answers about orders hold."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from service.http.fields import Answer, Body, DatumName, Instant, line
from service.http.problems import invalid
from service.matching.parameters import MAX_FEATURES
from service.orders.codes import CODE_DIGITS
from service.orders.rules import MOST_MINOR
from service.payments.sandbox import MEANS
from service.skus import Sku

__all__ = [
    "MAX_QUANTITY",
    "AnswerBody",
    "CollectBody",
    "EraseAnswer",
    "EraseBody",
    "EventAnswer",
    "EventsAnswer",
    "ItemBody",
    "OfferedBody",
    "OrderAnswer",
    "OrderBody",
    "OrdersAnswer",
    "PlaceBody",
    "QuoteAnswer",
    "RejectBody",
]

MAX_QUANTITY = 999
MAX_ORDER_POINTS = 3
_MAX_ITEMS = 100
_MAX_REF_CHARS = 128

Quantity = Annotated[int, Field(ge=1, le=MAX_QUANTITY)]
Minor = Annotated[int, Field(ge=0, le=MOST_MINOR)]
Reference = Annotated[str, Field(min_length=1, max_length=_MAX_REF_CHARS), line(_MAX_REF_CHARS)]


class ItemBody(Body):
    """A line: so many units of an SKU."""

    sku: Sku
    quantity: Quantity = 1


def _once(items: list[ItemBody]) -> list[ItemBody]:
    if len({item.sku for item in items}) != len(items):
        raise invalid("", "must name an SKU once")
    return items


class OrderBody(Body):
    """What a customer wants, where, when, of which point."""

    point_id: Annotated[str, Field(max_length=200, examples=["corner:main"]), line(200)]
    offer: Annotated[str, Field(max_length=81, examples=["retail/pickup"])]
    lat: float = Field(json_schema_extra={"minimum": -90, "maximum": 90}, examples=[31.2304])
    lng: float = Field(json_schema_extra={"minimum": -180, "maximum": 180}, examples=[121.4737])
    datum: DatumName = "wgs84"
    at: Instant | None = Field(None, description="When it is collected; left out: as soon as the lead time allows.")
    items: Annotated[list[ItemBody], Field(max_length=_MAX_ITEMS), AfterValidator(_once)] = Field(default_factory=list)
    features: list[str] = Field(default_factory=list, max_length=MAX_FEATURES)
    unknown_hours: Literal["refuse", "allow"] = "refuse"
    buyer: Reference = Field(description="Your own name for the customer; only a digest is kept.")
    device: Reference | None = Field(None, description="Your own name for the device; only a digest is kept.")
    collector: Reference | None = Field(
        None, description="What another person shows who may collect it, such as a name; only a digest is kept."
    )
    max_points: Annotated[int, Field(ge=1, le=MAX_ORDER_POINTS)] = Field(
        1, description="Between how many points it may be divided where one rejects it and no other has all of it."
    )
    total_minor: Minor | None = Field(None, description="What the customer was told; another total is refused.")
    payment: Literal["counter"] | None = Field(
        None, description="counter: placed at once, paid when collected. Left out: held until it is placed."
    )


class PlaceBody(Body):
    """How it is paid."""

    payment: Literal["counter", "online"] = "counter"
    means: Annotated[str, Field(max_length=200), line(200)] | None = Field(
        None, description=f"What stands for the means of payment; of the sandbox one of {', '.join(MEANS)}."
    )


class RejectBody(Body):
    """Why a point does not take it."""

    reason: Literal["out_of_stock", "closed", "too_busy", "other"] = "other"


class CollectBody(Body):
    """What the one who collects shows."""

    code: Annotated[str, Field(pattern=rf"^[0-9]{{{CODE_DIGITS}}}$", examples=["482913"])]
    collector: Reference | None = Field(None, description="What a person shows who was named to collect it.")


class OfferedBody(Body):
    """Something else in the place of a line."""

    line: Annotated[int, Field(ge=1, le=1_000)]
    sku: Sku
    quantity: Quantity = 1


class AnswerBody(Body):
    """What the customer says to it."""

    line: Annotated[int, Field(ge=1, le=1_000, description="The line that was offered.")]
    takes: bool


class EraseBody(Body):
    """Whom to forget."""

    buyer: Reference


class EraseAnswer(Answer):
    """How much was forgotten."""

    orders: int
    bookings: int = Field(description="Of visits that are over.")
    open_bookings: int = Field(
        description="Of visits still to come: nothing of these is forgotten until they are cancelled."
    )


class LineAnswer(Answer):
    """A line of an order."""

    line: int
    sku: str
    name: str
    quantity: int
    price_minor: int
    state: str
    replaces: int | None
    answer_by: dt.datetime | None


class PaymentAnswer(Answer):
    """How it is paid, and where that is."""

    method: str
    state: str | None
    captured_minor: int | None


class OrderAnswer(Answer):
    """
    An order; `code` is told to the app alone, `next` what the caller can do.

    One that was divided has lines that are `parted`: each stands in one of the orders that `parts` names, whose `split_of`
    names this one. They are collected each with its own code, and paid together when the last of them has ended.
    """

    order_id: str
    state: str
    revision: int
    merchant_id: str
    point_id: str
    offer: str
    max_points: int
    split_of: str | None
    parts: list[str]
    lines: list[LineAnswer]
    currency: str | None
    total_minor: int
    fee_minor: int
    payment: PaymentAnswer | None
    order_at: dt.datetime
    ready_at: dt.datetime
    handover_at: dt.datetime
    cancel_free_until: dt.datetime | None
    expires_at: dt.datetime | None
    ended_at: dt.datetime | None
    has_collector: bool
    code: str | None
    next: list[str]


class OrdersAnswer(Answer):
    """A page of orders."""

    items: list[OrderAnswer]
    next_cursor: str | None


class EventAnswer(Answer):
    """What happened to an order; `capture_declined`: it has ended, and what was set aside for it can never be taken."""

    revision: int
    at: dt.datetime
    event: str
    state: str
    point_id: str
    by: str
    reason: str | None


class EventsAnswer(Answer):
    """What happened to an order, in order."""

    items: list[EventAnswer]


class QuoteAnswer(Answer):
    """What an order would be; nothing is held."""

    point_id: str
    offer: str
    items: list[dict[str, Any]]
    currency: str | None
    total_minor: int
    order_by: dt.datetime
    ready_at: dt.datetime
    handover_at: dt.datetime
    hold_until: dt.datetime | None
    cancel_free_until: dt.datetime | None
    expires_in_s: int | None

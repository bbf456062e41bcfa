"""What requests and answers about slots and bookings hold."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Literal

from pydantic import Field

from service.http.fields import Answer, Body, DatumName, Id, Instant, Note, line
from service.orders.codes import CODE_DIGITS
from service.orders.schemas import Minor, PaymentAnswer, Reference
from service.payments.sandbox import MEANS

__all__ = [
    "AbsentBody",
    "BookingAnswer",
    "BookingBody",
    "BookingEventAnswer",
    "BookingEventsAnswer",
    "BookingsAnswer",
    "CalendarAnswer",
    "CancelBody",
    "ComplainBody",
    "ConfirmBody",
    "DayAnswer",
    "FinishBody",
    "OverrunBody",
    "PayBody",
    "RescheduleBody",
    "SettledAnswer",
    "ShiftAnswer",
    "SlotAnswerItem",
    "SlotDay",
    "SlotsAnswer",
    "StartBody",
    "StopAnswer",
    "UnkeptVisit",
]

_MAX_ADDRESS_CHARS = 200
Code = Annotated[str, Field(pattern=rf"^[0-9]{{{CODE_DIGITS}}}$", examples=["482913"])]
Address = Annotated[str, Field(min_length=1, max_length=_MAX_ADDRESS_CHARS), line(_MAX_ADDRESS_CHARS)]
ProofName = Annotated[str, Field(pattern=r"^[a-z_]{1,40}$")]
ProofText = Annotated[str, Field(min_length=1, max_length=200), line(200)]


class BookingBody(Body):
    """What a customer wants, where, and in which window."""

    point_id: Annotated[str, Field(max_length=200, examples=["corner:main"]), line(200)]
    service_id: Id
    lat: float = Field(json_schema_extra={"minimum": -90, "maximum": 90}, examples=[31.2304])
    lng: float = Field(json_schema_extra={"minimum": -180, "maximum": 180}, examples=[121.4737])
    datum: DatumName = "wgs84"
    address: Address = Field(description="What the crew needs to find the door; told to it alone, and then forgotten.")
    starts_at: Instant = Field(description="When the window begins, as GET /v1/slots tells it.")
    buyer: Reference = Field(description="Your own name for the customer; only a digest is kept.")
    device: Reference | None = Field(None, description="Your own name for the device; only a digest is kept.")
    total_minor: Minor | None = Field(None, description="What the customer was told; another price is refused.")


class ConfirmBody(Body):
    """How it is paid."""

    payment: Literal["onsite", "online"] = Field("onsite", description="onsite: to the crew; online: set aside now.")
    means: Annotated[str, Field(max_length=200), line(200)] | None = Field(
        None, description=f"What stands for the means of payment; of the sandbox one of {', '.join(MEANS)}."
    )


class RescheduleBody(Body):
    """Another window."""

    starts_at: Instant


class CancelBody(Body):
    """Why, if need be."""

    reason: Literal["other", "no_crew", "closed", "customer_asked"] = "other"


class StartBody(Body):
    """What the customer shows at the door."""

    code: Code


class FinishBody(Body):
    """The proof that the sector's norm asks for, by name; `end_code` is the customer's second code."""

    proof: Annotated[dict[ProofName, ProofText], Field(max_length=16)] = Field(default_factory=dict)


class PayBody(Body):
    """How it was paid."""

    means: Literal["cash", "card", "transfer", "other"] = "cash"


class AbsentBody(Body):
    """Who was not there."""

    who: Literal["customer", "crew"]


class DoorBody(Body):
    """Where a visit is made, and for whom."""

    lat: float = Field(json_schema_extra={"minimum": -90, "maximum": 90}, examples=[31.2304])
    lng: float = Field(json_schema_extra={"minimum": -180, "maximum": 180}, examples=[121.4737])
    datum: DatumName = "wgs84"
    address: Address
    buyer: Reference = Field(description="Your own name for the customer: by it the place is forgotten again.")


class ComplainBody(Body):
    """What is wrong, and when it is to be made good."""

    starts_at: Instant
    note: Note = ""
    place: DoorBody | None = Field(
        None, description="Where it was, and whose; needed once that is forgotten, some days after the visit."
    )


class OverrunBody(Body):
    """How much longer a visit takes from now on; before the time that it was booked for it does not end by this."""

    minutes: Annotated[int, Field(ge=1, le=1_440)]


class SlotAnswerItem(Answer):
    """
    A window in which a visit can begin.

    When and by whom it is planned, what it costs in ways, and the witness, the crew's day with it as a sequence of names
    and times, are told to the point's merchant alone: they would say where others are visited.
    """

    starts_at: dt.datetime
    ends_at: dt.datetime
    planned_at: dt.datetime | None
    detour_s: int | None
    crew_id: str | None
    witness: list[dict[str, Any]] | None


class SlotDay(Answer):
    """A day: its windows, those that cost least first, or why there are none."""

    date: dt.date
    why_not: str | None
    slots: list[SlotAnswerItem]


class SlotsAnswer(Answer):
    """
    What can be booked.

    `first_day` is the first day on which anything can, also behind those that were asked; `travel` says how ways are
    counted.
    """

    point_id: str
    service_id: str
    price_minor: int
    currency: str
    minutes: int
    travel: str
    days: list[SlotDay]
    first_day: dt.date | None


class BookingAnswer(Answer):
    """
    A booked visit; the codes are told to the app alone, `address` and place to whoever has to come.

    `fee_minor` is owed for cancelling, rescheduling or not being there; `next` is what the caller can do.
    """

    booking_id: str
    state: str
    revision: int
    merchant_id: str
    point_id: str
    service_id: str
    offer: str
    crew_id: str | None
    starts_at: dt.datetime
    ends_at: dt.datetime
    minutes: int
    currency: str
    total_minor: int
    fee_minor: int
    paid_by: str | None
    payment: PaymentAnswer | None
    booked_at: dt.datetime
    begun_at: dt.datetime | None
    done_at: dt.datetime | None
    cancel_free_until: dt.datetime | None
    expires_at: dt.datetime | None
    complain_until: dt.datetime | None
    ended_at: dt.datetime | None
    complaint_of: str | None
    start_code: str | None
    end_code: str | None
    next: list[str]


class BookingsAnswer(Answer):
    """A page of bookings."""

    items: list[BookingAnswer]
    next_cursor: str | None


class BookingEventAnswer(Answer):
    """What happened to a booking; `capture_declined`: it has ended, and what was set aside for it can never be taken."""

    revision: int
    at: dt.datetime
    event: str
    state: str
    crew_id: str | None
    starts_at: dt.datetime
    by: str
    reason: str | None


class BookingEventsAnswer(Answer):
    """What happened to a booking, in order."""

    items: list[BookingEventAnswer]


class UnkeptVisit(BookingAnswer):
    """A visit that nobody can make in its window, with windows that could be booked instead."""

    slots: list[dict[str, Any]]


class SettledAnswer(Answer):
    """
    What became of promised visits: those first that nobody can make in their windows, to be told at once.

    `moved` are those to which another crew comes.
    """

    unkept: list[UnkeptVisit]
    moved: list[BookingAnswer]


class StopAnswer(Answer):
    """
    A stop of a crew's day: a visit, a break, or something else that it is taken by.

    `starts_at` is when it begins if nothing begins later than it must; `window` is what the customer was promised.
    """

    kind: Literal["visit", "break", "busy"]
    starts_at: dt.datetime
    ends_at: dt.datetime
    place: dict[str, float] | None
    booking_id: str | None
    state: str | None
    service: str | None
    address: str | None
    note: str | None
    window_starts_at: dt.datetime | None
    window_ends_at: dt.datetime | None
    next: list[str]


class ShiftAnswer(Answer):
    """A shift of a crew, its stops in their order."""

    starts_at: dt.datetime
    ends_at: dt.datetime
    stops: list[StopAnswer]


class DayAnswer(Answer):
    """The day of a crew: the shifts that begin on it."""

    point_id: str
    crew_id: str
    date: dt.date
    timezone: str
    shifts: list[ShiftAnswer]


class CalendarAnswer(Answer):
    """Where a crew's days can be read as iCalendar; whoever has the link can read them, until it is revoked."""

    path: str | None
    created_at: dt.datetime

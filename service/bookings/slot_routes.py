"""What can be booked, over HTTP."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Query, Request

from service.bookings.asking import asked_of
from service.bookings.days import local_day
from service.bookings.finding import day_behind, find_windows, told_witness
from service.bookings.refusing import visit_refusal
from service.bookings.schemas import SlotAnswerItem, SlotDay, SlotsAnswer
from service.clock import from_us
from service.errors import NotFeasibleError
from service.http.access import Orderer, app_of, owner_of
from service.http.context import services_of
from service.http.fields import DatumName, Degrees, whole_from
from service.http.problems import invalid
from service.http.query_text import day_of
from service.http.routing import StrictRoute, problems
from service.matching.asks import place_in_wgs84

if TYPE_CHECKING:
    from engine.slots import Slot
    from service.bookings.finding import FoundSlots
    from service.store.connections import ReadConnection

__all__ = ["router"]

router = APIRouter(tags=["bookings"], route_class=StrictRoute)

_MOST_DAYS, _USUAL_DAYS = 14, 7
_SECOND_US = 1_000_000
_ONE_DAY = dt.timedelta(1)


@router.get(
    "/v1/slots",
    summary="Ask when somebody can come",
    responses=problems("not-found", "not-feasible", "coordinate-out-of-range"),
)
async def get_slots(
    request: Request,
    context: Orderer,
    point: Annotated[str, Query(max_length=200, description="Whose crews.", examples=["corner:main"])],
    service: Annotated[str, Query(max_length=40, description="Which of its services.")],
    lat: Annotated[
        Degrees, Query(description="Degrees.", json_schema_extra={"minimum": -90, "maximum": 90}, examples=[31.2304])
    ],
    lng: Annotated[
        Degrees, Query(description="Degrees.", json_schema_extra={"minimum": -180, "maximum": 180}, examples=[121.4737])
    ],
    datum: Annotated[DatumName, Query(description="Datum of the place.")] = "wgs84",
    from_day: Annotated[
        str | None,
        Query(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$", description="First day, by the point's clock; left out: today."),
    ] = None,
    days: Annotated[int, whole_from(1, _MOST_DAYS), Query(description="How many days.")] = _USUAL_DAYS,
) -> SlotsAnswer:
    """
    Tell in which windows a visit can begin, so that everything promised before is kept as well.

    Each day has its windows, those first that cost the crew least, or says why there are none: `not_bookable`,
    `too_soon`, `no_crew`, `outside_area`, `full`, `no_time`, or what `match` says of the point. Where nothing fits,
    `first_day` tells the next day that would, as far ahead as there is time to look.
    """
    services, now_us = services_of(request), services_of(request).clock.now_us()
    place = place_in_wgs84(lat, lng, datum)
    # An app's key may be a merchant's: it hears no more of whom others visit than any app does.
    tells_crews = app_of(context) is None and owner_of(context) in {None, point.partition(":")[0]}
    first = None if from_day is None else day_of(from_day, "from_day")

    def ask(connection: ReadConnection) -> SlotsAnswer:
        asked = asked_of(connection, services.bookings.orders, point, service, *place)
        today = local_day(asked.rules.timezone, now_us // _SECOND_US)
        begin = first or today
        if begin < today:
            raise invalid("from_day", f"must not lie in the past, got {begin}; it is {today} there")
        found = find_windows(connection, services.bookings, asked, begin, days, now_us)
        next_day = min(found.answer.slots, default=None)
        if next_day is None:
            next_day = day_behind(connection, services.bookings, found, begin + days * _ONE_DAY, now_us)
        return _answer(found, begin, days, next_day, tells_crews=tells_crews)

    try:
        return await services.reads.run(context, ask)
    except NotFeasibleError as error:
        raise visit_refusal(error, []) from error


def _answer(
    found: FoundSlots, first_day: dt.date, n_days: int, next_day: dt.date | None, *, tells_crews: bool
) -> SlotsAnswer:
    asked, answer = found.asked, found.answer
    days = [first_day + number * _ONE_DAY for number in range(n_days)]
    return SlotsAnswer(
        point_id=asked.facts.point_id,
        service_id=asked.service_id,
        price_minor=asked.service.price_minor,
        currency=asked.service.currency,
        minutes=asked.service.duration_s // 60,
        travel=found.known.roster.table.travel.told,
        days=[
            SlotDay(
                date=day,
                why_not=answer.why_not.get(day),
                slots=[_item(found, slot, tells_crews=tells_crews) for slot in answer.slots.get(day, ())],
            )
            for day in days
        ],
        first_day=next_day,
    )


def _item(found: FoundSlots, slot: Slot, *, tells_crews: bool) -> SlotAnswerItem:
    starts, ends, planned = (from_us(at_s * _SECOND_US) for at_s in (slot.starts_s, slot.ends_s, slot.planned_s))
    if not tells_crews:
        return SlotAnswerItem(
            starts_at=starts, ends_at=ends, planned_at=None, detour_s=None, crew_id=None, witness=None
        )
    return SlotAnswerItem(
        starts_at=starts,
        ends_at=ends,
        planned_at=planned,
        detour_s=slot.detour_s,
        crew_id=found.days[slot.day].crew_id,
        witness=told_witness(found, slot),
    )

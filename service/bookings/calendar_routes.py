"""The days of a crew as an iCalendar feed: a link of its own, which can be revoked, and what is read under it."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request, Response

from service.audit.store import actor_of, record
from service.bookings.calendar_text import CrewCalendar, calendar_text
from service.bookings.calendars import calendar_of, delete_calendar, find_calendar, new_calendar
from service.bookings.days import local_day
from service.bookings.schemas import CalendarAnswer
from service.bookings.seeing import DAY_EDGE_US
from service.bookings.sheet import shifts_between
from service.clock import from_us, to_us
from service.crews.facts import CrewFacts
from service.crews.store import CREWS, find_kept
from service.http.access import AdminOrMerchant, not_found
from service.http.context import context_of, services_of
from service.http.intake import LINKS
from service.http.routing import StrictRoute, problems
from service.points.routes import own_merchant
from service.points.store import find_point, merchant_lock

if TYPE_CHECKING:
    from service.bookings.rosters import Rosters
    from service.bookings.schemas import ShiftAnswer
    from service.store.connections import AnyRow, ReadConnection, WriteConnection

__all__ = ["router"]

router = APIRouter(tags=["bookings"], route_class=StrictRoute)

_LINK = "/v1/points/{point_id}/crews/{crew_id}/calendar"
_KIND = "text/calendar"
_PAST_DAYS, _NEXT_DAYS = 1, 30  # shifts are forgotten two days after their end
_SECOND_US = 1_000_000
_DOCUMENT: dict[int | str, dict[str, Any]] = {
    200: {"description": "The days of the crew.", "content": {_KIND: {"schema": {"type": "string"}}}}
}
_HEADERS = {
    "Cache-Control": "private, no-cache",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Content-Disposition": 'inline; filename="crew.ics"',
}


@router.put(
    _LINK,
    summary="Make the calendar link of a crew",
    response_model=CalendarAnswer,
    responses={201: {"model": CalendarAnswer}, **problems("not-found")},
)
async def put_calendar(request: Request, context: AdminOrMerchant, point_id: str, crew_id: str) -> Response:
    """Make a link to the crew's days; it is told this once, and the link that there was is of no use any more."""
    merchant_id = own_merchant(context, point_id)

    def put(connection: WriteConnection) -> tuple[str, bool]:
        merchant_lock(connection, merchant_id)
        _check_crew(connection, point_id, crew_id)
        is_new = find_calendar(connection, point_id, crew_id) is None
        secret = new_calendar(connection, point_id, crew_id)
        record(connection, actor_of(context), "crew.link", point_id, merchant_id, crew_id=crew_id)
        return CalendarAnswer(
            path=f"{LINKS}{secret}.ics", created_at=from_us(connection.now_us)
        ).model_dump_json(), is_new

    body, is_new = await services_of(request).store.write(put, context.deadline)
    return Response(body, 201 if is_new else 200, {"Cache-Control": "no-store"}, "application/json")


@router.get(_LINK, summary="Read since when a crew has a calendar link", responses=problems("not-found"))
async def get_calendar(request: Request, context: AdminOrMerchant, point_id: str, crew_id: str) -> CalendarAnswer:
    """Tell since when there is a link; what it is is kept nowhere."""
    own_merchant(context, point_id)
    read = services_of(request).reads.run
    row = await read(context, lambda connection: find_calendar(connection, point_id, crew_id))
    if row is None:
        raise not_found()
    return CalendarAnswer(path=None, created_at=from_us(row.created_at))


@router.delete(_LINK, status_code=204, summary="Revoke the calendar link of a crew", responses=problems("not-found"))
async def delete_one_calendar(request: Request, context: AdminOrMerchant, point_id: str, crew_id: str) -> Response:
    """Let the link be of no use from now on."""
    merchant_id = own_merchant(context, point_id)

    def remove(connection: WriteConnection) -> None:
        merchant_lock(connection, merchant_id)
        if not delete_calendar(connection, point_id, crew_id):
            raise not_found()
        record(connection, actor_of(context), "crew.unlink", point_id, merchant_id, crew_id=crew_id)

    await services_of(request).store.write(remove, context.deadline)
    return Response(status_code=204)


@router.get(
    LINKS + "{token}.ics",
    summary="Read the days of a crew as iCalendar",
    response_class=Response,
    responses={**_DOCUMENT, **problems("not-found")},
)
async def get_feed(request: Request, token: str) -> Response:
    """
    Tell the shifts of a crew from yesterday to 30 days ahead, with what it does in them.

    Where it has to go is told from 12 hours before a shift until 12 hours after it.

    The link itself is the key: no other is needed, and whoever has it can read, until it is revoked.
    """
    services = services_of(request)
    now_us = services.clock.now_us()

    def read(connection: ReadConnection) -> CrewCalendar:
        row = calendar_of(connection, token)
        if row is None:
            raise not_found()
        return _calendar(connection, services.bookings.rosters, row, now_us)

    told = await services.store.read(read, context_of(request).deadline)
    return Response(await asyncio.to_thread(calendar_text, told), headers=_HEADERS, media_type=_KIND)


def _calendar(connection: ReadConnection, rosters: Rosters, row: AnyRow, now_us: int) -> CrewCalendar:
    point = find_point(connection, row.point_id)
    crew = find_kept(connection, CREWS, row.point_id, row.crew_id)
    if point is None or point.row.timezone is None or crew is None:
        raise not_found()
    timezone = point.row.timezone
    first = local_day(timezone, now_us // _SECOND_US) - dt.timedelta(_PAST_DAYS)
    shifts = shifts_between(connection, rosters, point.row, row.crew_id, first, _PAST_DAYS + 1 + _NEXT_DAYS)
    shifts = [_veiled(shift, now_us) for shift in shifts]
    name = CrewFacts.of_json(crew.facts).name
    return CrewCalendar(row.point_id, row.crew_id, name, timezone, from_us(now_us), shifts)


def _veiled(shift: ShiftAnswer, now_us: int) -> ShiftAnswer:
    """Return a shift as its crew may see it: where it has to go only around the shift itself."""
    if to_us(shift.starts_at) - DAY_EDGE_US <= now_us <= to_us(shift.ends_at) + DAY_EDGE_US:
        return shift
    hidden = {"address": None, "place": None, "note": None}
    return shift.model_copy(update={"stops": [stop.model_copy(update=hidden) for stop in shift.stops]})


def _check_crew(connection: ReadConnection, point_id: str, crew_id: str) -> None:
    if find_point(connection, point_id) is None or find_kept(connection, CREWS, point_id, crew_id) is None:
        raise not_found()

"""The days of crews over HTTP: the sheet of a day, a crew that falls ill, a visit that takes longer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Query, Request

from service.audit.store import actor_of, record
from service.bookings.acting import act_on, check_booking_act
from service.bookings.days import local_day
from service.bookings.rules import Act, Event, Party
from service.bookings.schemas import DayAnswer, OverrunBody, SettledAnswer
from service.bookings.seeing import DAY_EDGE_US, locked_seen
from service.bookings.settling import Settled
from service.bookings.sheet import Span, day_sheet
from service.bookings.telling import told
from service.bookings.under_way import overrun_visit
from service.clock import to_us
from service.crews.changing import engage, locked_point, settled
from service.crews.schemas import IllBody
from service.crews.store import CREWS, find_kept
from service.http.access import AdminOrMerchant, Crewed, crew_of, not_found
from service.http.context import services_of
from service.http.problems import invalid
from service.http.query_text import day_of
from service.http.routing import StrictRoute, problems
from service.points.routes import own_merchant
from service.points.store import find_point

if TYPE_CHECKING:
    from service.store.connections import ReadConnection, WriteConnection

__all__ = ["router"]

router = APIRouter(tags=["bookings"], route_class=StrictRoute)

_BODY = ("invalid-json", "text-invalid", "unsupported-media-type", "payload-too-large")
_LONGEST_US = 366 * 86_400_000_000
_EVER = Span(0, 2**62)


@router.get(
    "/v1/points/{point_id}/crews/{crew_id}/day", summary="Read the day of a crew", responses=problems("not-found")
)
async def get_day(
    request: Request,
    context: Crewed,
    point_id: str,
    crew_id: str,
    date: Annotated[
        str | None, Query(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$", description="By the point's clock; left out: today.")
    ] = None,
) -> DayAnswer:
    """
    Tell what a crew does on a day, where and when.

    A crew's key sees its own shifts from 12 hours before they begin until 12 hours after they end; a merchant sees all
    of its crews.
    """
    services = services_of(request)
    own, now_us = crew_of(context), services.clock.now_us()
    own_merchant(context, point_id)
    if own is not None and own != (point_id, crew_id):
        raise not_found()
    seen = _EVER if own is None else Span(now_us - DAY_EDGE_US, now_us + DAY_EDGE_US)
    day = None if date is None else day_of(date, "date")

    def read(connection: ReadConnection) -> DayAnswer:
        found = find_point(connection, point_id)
        if found is None or found.row.timezone is None:
            raise not_found()
        wanted = day or local_day(found.row.timezone, now_us // 1_000_000)
        return day_sheet(connection, services.bookings.rosters, found.row, crew_id, wanted, seen, now_us // 1_000_000)

    return await services.reads.run(context, read)


@router.post(
    "/v1/points/{point_id}/crews/{crew_id}:ill",
    summary="Say that a crew cannot come",
    responses=problems("not-found", "state-conflict", *_BODY),
)
async def post_ill(
    request: Request, context: AdminOrMerchant, point_id: str, crew_id: str, body: IllBody
) -> SettledAnswer:
    """
    Give a crew's visits to others where their windows can still be kept; who cannot be kept is told first.

    Nothing is booked for it until then; to end that sooner delete the engagement that begins with `ill-`.
    """
    merchant_id, services = own_merchant(context, point_id), services_of(request)
    actor = context.key_holder.key_id

    def ill(connection: WriteConnection) -> Settled:
        point = locked_point(connection, merchant_id, point_id)
        if find_kept(connection, CREWS, point_id, crew_id) is None:
            raise not_found()
        starts_us = connection.now_us if body.starts_at is None else to_us(body.starts_at)
        ends_us = to_us(body.until)
        if not 0 < ends_us - starts_us <= _LONGEST_US or ends_us <= connection.now_us:
            raise invalid("/until", "must lie behind now and starts_at, by a year at most")
        its = {"point_id": point_id, "crew_id": crew_id, "engagement_id": f"ill-{starts_us // 1_000_000}"}
        engage(connection, its | {"starts_at": starts_us, "ends_at": ends_us, "lat": None, "lng": None})
        record(connection, actor_of(context), "crew.ill", point_id, merchant_id, crew_id=crew_id)
        return settled(connection, services.bookings, point, crew_id, actor, "replan")

    return await told(services, context, await services.store.write(ill, context.deadline))


@router.post(
    "/v1/bookings/{booking_id}:overrun",
    summary="Say that a visit takes longer",
    responses=problems("not-found", "state-conflict", *_BODY),
)
async def post_overrun(request: Request, context: Crewed, booking_id: str, body: OverrunBody) -> SettledAnswer:
    """Let a visit that has begun take some minutes more from now on; whoever comes late by that is handed on, or told."""
    services = services_of(request)
    act = Act(Event.OVERRUN, Party.MERCHANT, context.key_holder.key_id)

    def overrun(connection: WriteConnection) -> Settled:
        row = locked_seen(connection, context, booking_id)
        check_booking_act(row, act)
        point = find_point(connection, row.point_id)
        if point is None:
            raise not_found()
        found = overrun_visit(connection, services.bookings, point.row, row, body.minutes, act.actor)
        act_on(connection, services.bookings, row, act)
        return found

    return await told(services, context, await services.store.write(overrun, context.deadline))

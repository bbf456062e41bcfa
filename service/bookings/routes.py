"""Bookings over HTTP, as an app makes them, and as they are read."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from engine.errors import EngineError
from service.bookings.asking import asked_of
from service.bookings.finding import candidate_for, known_candidate, windows_near
from service.bookings.holding import VisitWish, hold_visit
from service.bookings.refusing import visit_refusal
from service.bookings.rules import Party, StateName
from service.bookings.schemas import BookingAnswer, BookingBody, BookingEventsAnswer, BookingsAnswer
from service.bookings.seeing import booking_seen, bookings_seen, visitor_of
from service.bookings.store import BookingFilter, fell_through, list_booking_events, list_bookings
from service.bookings.views import booking_answer, booking_event_answer
from service.clock import from_us, to_us
from service.errors import NotFeasibleError, ServiceError
from service.http.access import Orderer, Ordering, Visitors, app_of
from service.http.context import RequestContext, services_of
from service.http.idempotency import Created, create_once
from service.http.pages import CursorText, PageSize, next_page, read_cursor
from service.http.problems import invalid
from service.http.revisions import etag
from service.http.routing import StrictRoute, problems
from service.matching.asks import check_span, place_in_wgs84
from service.orders.codes import customer_digest
from service.payments.store import find_payment, payments_of
from service.places import coarse_cell

if TYPE_CHECKING:
    import datetime as dt

    from service.bookings.point_rosters import Candidate
    from service.services import Services
    from service.store.connections import AnyRow, ReadConnection, WriteConnection

__all__ = ["BOOKS", "answer_booking", "find_candidate", "find_others", "router", "seconds_of"]

router = APIRouter(prefix="/v1/bookings", tags=["bookings"], route_class=StrictRoute)

BOOKS = (
    "invalid-json", "text-invalid", "unsupported-media-type", "payload-too-large", "not-found", "state-conflict",
    "sold-out", "not-feasible", "idempotency-key-missing", "idempotency-key-invalid", "idempotency-key-reused",
    "idempotency-in-progress",
)  # fmt: skip


@router.post(
    "",
    status_code=201,
    summary="Book a visit",
    response_model=BookingAnswer,
    responses=problems(*BOOKS, "price-changed", "coordinate-out-of-range"),
)
async def post_booking(request: Request, context: Ordering, body: BookingBody) -> Response:
    """
    Hold a window in which somebody comes, until it is confirmed or its time is over.

    That a crew can come, everything else that it has promised kept, is checked again in the booking's own transaction.
    Where nobody can, `slots` names other windows.
    """
    services = services_of(request)
    wish = _wish(services, context, body)
    wanted = (wish.point_id, wish.service_id, wish.lat, wish.lng)
    candidate = await find_candidate(services, context, wanted, wish.starts_s, is_new=True)

    def create(connection: WriteConnection) -> Created:
        check_span(body.starts_at, from_us(connection.now_us), "/starts_at")
        row = hold_visit(connection, services.bookings, wish, candidate)
        answer = booking_answer(row, services.norms, party=Party.CUSTOMER, payment=None)
        headers = {"ETag": etag(row.revision), "Location": f"/v1/bookings/{row.booking_id}"}
        return Created(answer.model_dump_json().encode(), headers=headers)

    async def refused(error: Exception) -> Any:
        return visit_refusal(error, await find_others(services, context, wanted, wish.starts_s, error))

    return await create_once(request, context, services, "POST /v1/bookings", create, refused=refused)


@router.get("", summary="List bookings", responses=problems("cursor-invalid"))
async def get_bookings(
    request: Request,
    context: Orderer,
    page_size: PageSize = 50,
    cursor: CursorText = None,
    point: Annotated[str | None, Query(max_length=200, description="Only those of this point.")] = None,
    state: Annotated[StateName | None, Query(description="Only those in this state.")] = None,
    crew: Annotated[str | None, Query(max_length=40, description="Only those of crews of this name.")] = None,
) -> BookingsAnswer:
    """List bookings, the oldest first: an app's own, those of a merchant's points, all as an admin."""
    services, party = services_of(request), visitor_of(context)
    told_crew = None if app_of(context) is not None else crew  # an app does not learn who comes
    wanted = bookings_seen(context, BookingFilter(point_id=point, state=state, crew_id=told_crew))
    listed = f"bookings {wanted}"
    after = read_cursor(services.secret, listed, cursor) or [""]

    def page_of(connection: ReadConnection) -> BookingsAnswer:
        rows = list_bookings(connection, wanted, after=after[0], limit=page_size + 1)
        page, following = next_page(services.secret, listed, rows, page_size, lambda row: [row.booking_id])
        paid, anew = payments_of(connection, [row.booking_id for row in page]), fell_through(connection, page)
        items = [
            booking_answer(
                row,
                services.norms,
                party=party,
                payment=paid.get(row.booking_id),
                fell_through_us=anew.get(row.booking_id),
            )
            for row in page
        ]
        return BookingsAnswer(items=items, next_cursor=following)

    return await services.reads.run(context, page_of)


@router.get("/{booking_id}", summary="Read a booking", responses=problems("not-found"))
async def get_booking(request: Request, response: Response, context: Visitors, booking_id: str) -> BookingAnswer:
    """Read a booking; the app that made it learns its codes once it is confirmed."""
    services = services_of(request)

    def read(connection: ReadConnection) -> tuple[AnyRow, AnyRow | None, int | None]:
        row = booking_seen(connection, context, booking_id, services.clock.now_us())
        return row, find_payment(connection, booking_id), fell_through(connection, [row]).get(booking_id)

    row, payment, anew_us = await services.reads.run(context, read)
    response.headers["ETag"] = etag(row.revision)
    secret = services.secret if row.owner == (app_of(context) or "") else None
    party = visitor_of(context)
    return booking_answer(row, services.norms, party=party, payment=payment, secret=secret, fell_through_us=anew_us)


@router.get("/{booking_id}/events", summary="What happened to a booking", responses=problems("not-found"))
async def get_booking_events(request: Request, context: Visitors, booking_id: str) -> BookingEventsAnswer:
    """Tell all that happened to a booking, and by which key."""
    services, party = services_of(request), visitor_of(context)

    def read(connection: ReadConnection) -> BookingEventsAnswer:
        booking_seen(connection, context, booking_id, services.clock.now_us())
        rows = list_booking_events(connection, booking_id)
        return BookingEventsAnswer(items=[booking_event_answer(row, party) for row in rows])

    return await services.reads.run(context, read)


def answer_booking(services: Services, row: AnyRow, payment: AnyRow | None, party: Party) -> Response:
    """Return a booking as the answer to what was done to it."""
    answer = booking_answer(row, services.norms, party=party, payment=payment)
    return Response(answer.model_dump_json(), 200, {"ETag": etag(row.revision)}, "application/json")


async def find_candidate(
    services: Services,
    context: RequestContext,
    wanted: tuple[str, str, float, float],
    starts_s: int,
    *,
    promised: AnyRow | None = None,
    is_new: bool = False,
) -> Candidate | None:
    """
    Return where a visit would stand, as `candidate_for` does; None where that cannot be said, for whatever reason.

    ``wanted`` and ``promised`` as `asked_of` has them.
    """
    now_us = services.clock.now_us()
    with suppress(EngineError):
        known = None if promised is not None else known_candidate(services.bookings, wanted, starts_s, now_us)
        if known is not None:
            return known

    def look(connection: ReadConnection) -> Candidate | None:
        try:
            asked = asked_of(connection, services.bookings.orders, *wanted, promised=promised)
            return candidate_for(connection, services.bookings, asked, starts_s, now_us, is_new=is_new)
        except (ServiceError, EngineError):  # the booking's own transaction says it
            return None

    return await services.reads.run(context, look)


async def find_others(
    services: Services,
    context: RequestContext,
    wanted: tuple[str, str, float, float],
    starts_s: int,
    error: Exception,
    *,
    promised: AnyRow | None = None,
) -> list[dict[str, Any]]:
    """Return windows that could be booked instead of one that was refused for an error; as `windows_near`."""
    if not isinstance(error, NotFeasibleError) or error.reason in {"no_offer", "outside_area"}:
        return []
    now_us = services.clock.now_us()

    def look(connection: ReadConnection) -> list[dict[str, Any]]:
        try:
            return windows_near(connection, services.bookings, wanted, starts_s, now_us, promised=promised)
        except NotFeasibleError:
            return []

    return await services.reads.run(context, look)


def _wish(services: Services, context: RequestContext, body: BookingBody) -> VisitWish:
    lat, lng = place_in_wgs84(body.lat, body.lng, body.datum, "")
    owner = app_of(context) or ""
    buyer = customer_digest(services.secret, "buyer", owner, body.buyer)
    return VisitWish(
        owner=owner,
        buyer=buyer,
        device=buyer if body.device is None else customer_digest(services.secret, "device", owner, body.device),
        point_id=body.point_id,
        service_id=body.service_id,
        lat=lat,
        lng=lng,
        cell=coarse_cell(lat, lng),
        address=body.address,
        starts_s=seconds_of(body.starts_at),
        total_minor=body.total_minor,
        actor=context.key_holder.key_id,
    )


def seconds_of(at: dt.datetime) -> int:
    """Return an instant in seconds since 1970; raises for one that lies between two."""
    seconds, rest_us = divmod(to_us(at), 1_000_000)
    if rest_us:
        raise invalid("/starts_at", f"must be a whole second, got {at.isoformat()}")
    return seconds

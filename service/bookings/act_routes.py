"""Bookings over HTTP, as customer, merchant and crew go on with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request, Response

from service.bookings.acting import (
    END_CODE,
    START_CODE,
    act_on,
    check_booking_act,
    check_code,
    check_departure,
    check_proof,
)
from service.bookings.paying import check_held, pay_online, told_payment
from service.bookings.refusing import visit_refusal
from service.bookings.rescheduling import Door, complain, door_of, reschedule
from service.bookings.routes import BOOKS, answer_booking, find_candidate, find_others, seconds_of
from service.bookings.rules import Act, Event, Party
from service.bookings.schemas import (
    AbsentBody,
    BookingAnswer,
    CancelBody,
    ComplainBody,
    ConfirmBody,
    DoorBody,
    FinishBody,
    PayBody,
    RescheduleBody,
    StartBody,
)
from service.bookings.seeing import booking_seen, locked_seen, visitor_of
from service.bookings.under_way import begin_visit, finish_visit, miss_visit, set_out
from service.bookings.views import booking_answer
from service.clock import from_us
from service.errors import NotFeasibleError
from service.http.access import Crewed, Ordering, Visitors
from service.http.context import RequestContext, services_of
from service.http.idempotency import Created, create_once
from service.http.problems import ProblemError
from service.http.revisions import check_match, etag
from service.http.routing import StrictRoute, problems
from service.matching.asks import check_span, place_in_wgs84
from service.orders.codes import customer_digest
from service.places import coarse_cell

if TYPE_CHECKING:
    from collections.abc import Callable

    from service.bookings.point_rosters import Candidate
    from service.store.connections import AnyRow, WriteConnection

    Change = Callable[[WriteConnection, AnyRow], AnyRow | ProblemError]

__all__ = ["router"]

router = APIRouter(prefix="/v1/bookings/{booking_id}", tags=["bookings"], route_class=StrictRoute)

_BODY = ("invalid-json", "text-invalid", "unsupported-media-type", "payload-too-large")
_ACTS = problems("not-found", "state-conflict", "precondition-failed")
_TAKES = problems("not-found", "state-conflict", "precondition-failed", *_BODY)
_CODES = problems("not-found", "state-conflict", "precondition-failed", "code-wrong", *_BODY)


@router.post(
    ":confirm",
    summary="Confirm a held visit",
    response_model=BookingAnswer,
    responses=problems("not-found", "state-conflict", "precondition-failed", "payment-declined", *_BODY),
)
async def confirm_booking(
    request: Request, context: Ordering, booking_id: str, body: ConfirmBody | None = None
) -> Response:
    """
    Confirm what is held: the window is promised. It is paid to the crew, or set aside online and taken when it is done.

    Where the provider does not answer, the visit stays held and its payment `authorising`: it is asked until it says
    what came of it, and the visit is confirmed then.
    """
    if body is not None and body.payment == "online":
        services = services_of(request)
        row, payment = await pay_online(
            services, context, booking_id, body.means or "ok", lambda _, row: _check_tag(request, row)
        )
        return answer_booking(services, row, payment, Party.CUSTOMER)

    def confirm(connection: WriteConnection, row: AnyRow) -> AnyRow:
        act = Act(Event.CONFIRM, Party.CUSTOMER, context.key_holder.key_id)
        check_booking_act(row, act)
        check_held(connection, row)
        return act_on(connection, services_of(request).bookings, row, act)

    return await _change(request, context, booking_id, Party.CUSTOMER, confirm)


@router.post(
    ":reschedule",
    summary="Choose another window",
    response_model=BookingAnswer,
    responses=problems("not-found", "state-conflict", "precondition-failed", "sold-out", "not-feasible", *_BODY),
)
async def reschedule_booking(request: Request, context: Ordering, booking_id: str, body: RescheduleBody) -> Response:
    """Move a visit into another window, or leave all as it was where nobody can come then; `fee_minor` says what it costs."""
    services, starts_s = services_of(request), seconds_of(body.starts_at)
    check_span(body.starts_at, from_us(services.clock.now_us()), "/starts_at")
    before, candidate = await _looked_up(request, context, booking_id, starts_s)

    def change(connection: WriteConnection, row: AnyRow) -> AnyRow:
        return reschedule(connection, services.bookings, row, starts_s, candidate, context.key_holder.key_id)

    try:
        return await _change(request, context, booking_id, Party.CUSTOMER, change)
    except NotFeasibleError as error:
        wanted = (before.point_id, before.service_id, before.lat, before.lng)
        others = await find_others(services, context, wanted, starts_s, error, promised=before)
        raise visit_refusal(error, others) from error


@router.post(":cancel", summary="Cancel a visit", response_model=BookingAnswer, responses=_TAKES)
async def cancel_booking(
    request: Request, context: Visitors, booking_id: str, body: CancelBody | None = None
) -> Response:
    """Cancel a visit: `fee_minor` says what that costs a customer by the sector's norm; a merchant owes an explanation."""
    party = visitor_of(context)
    return await _act(request, context, booking_id, Act(Event.CANCEL, party, "", (body or CancelBody()).reason))


@router.post(":depart", summary="Set out to a visit", response_model=BookingAnswer, responses=_ACTS)
async def depart_to_booking(request: Request, context: Crewed, booking_id: str) -> Response:
    """
    Say that the crew is on its way, from two days before the window on: it does not change any more by itself.

    The crew is given nothing more to do before that visit then.
    """
    services, act = services_of(request), Act(Event.DEPART, Party.MERCHANT, context.key_holder.key_id)

    def depart(connection: WriteConnection, row: AnyRow) -> AnyRow:
        check_booking_act(row, act)
        check_departure(connection, row)
        return set_out(connection, services.bookings, row, act)

    return await _change(request, context, booking_id, Party.MERCHANT, depart)


@router.post(":start", summary="Begin a visit", response_model=BookingAnswer, responses=_CODES)
async def start_booking(request: Request, context: Crewed, booking_id: str, body: StartBody) -> Response:
    """
    Begin, with the code that the customer shows at the door. After five wrong codes, wait.

    The crew's day goes on from when it really began. Where it comes too late to others by that, `:overrun` hands them on.
    """
    services, act = services_of(request), Act(Event.START, Party.MERCHANT, context.key_holder.key_id)

    def start(connection: WriteConnection, row: AnyRow) -> AnyRow | ProblemError:
        check_booking_act(row, act)
        wrong = check_code(connection, services.bookings, row, START_CODE, body.code)
        return wrong or begin_visit(connection, services.bookings, row, act)

    return await _change(request, context, booking_id, Party.MERCHANT, start)


@router.post(":finish", summary="Finish a visit", response_model=BookingAnswer, responses=_CODES)
async def finish_booking(
    request: Request, context: Crewed, booking_id: str, body: FinishBody | None = None
) -> Response:
    """
    Say that it is done, with the proof that the sector's norm asks for.

    From 12 hours after it was to be over the office, not the crew, can do so without the customer's `end_code`.
    """
    services, act = services_of(request), Act(Event.FINISH, Party.MERCHANT, context.key_holder.key_id)
    is_office, shown = context.key_holder.scope != "crew", (body or FinishBody()).proof

    def finish(connection: WriteConnection, row: AnyRow) -> AnyRow | ProblemError:
        check_booking_act(row, act)
        proof = check_proof(services.bookings, row, shown, now_us=connection.now_us, is_office=is_office)
        code = shown.get("end_code")
        wrong = (
            None if code is None else check_code(connection, services.bookings, row, END_CODE, code, "/proof/end_code")
        )
        if wrong is not None:
            return wrong
        done = finish_visit(connection, services.bookings, row, act, proof=proof)
        return act_on(connection, services.bookings, done, act._replace(event=Event.PAY)) if done.paid_by else done

    return await _change(request, context, booking_id, Party.MERCHANT, finish)


@router.post(":pay", summary="Say that a visit is paid", response_model=BookingAnswer, responses=_TAKES)
async def pay_booking(request: Request, context: Crewed, booking_id: str, body: PayBody | None = None) -> Response:
    """Say that the customer has paid, and how."""
    act = Act(Event.PAY, Party.MERCHANT, "")
    return await _act(request, context, booking_id, act, paid_by=(body or PayBody()).means)


@router.post(":absent", summary="Say who was not there", response_model=BookingAnswer, responses=_TAKES)
async def absent_from_booking(request: Request, context: Visitors, booking_id: str, body: AbsentBody) -> Response:
    """
    End a visit that one side did not come to.

    A crew says so of a customer once it has waited as long as the norm asks; a customer of a crew once the window is
    over. `fee_minor` says what a customer owes.
    """
    services, party = services_of(request), visitor_of(context)
    event = Event.CUSTOMER_ABSENT if body.who == "customer" else Event.CREW_ABSENT
    if context.key_holder.scope == "admin":  # who may speak for both
        party = Party.MERCHANT if event is Event.CUSTOMER_ABSENT else Party.CUSTOMER
    act = Act(event, party, context.key_holder.key_id)

    return await _change(
        request, context, booking_id, party, lambda connection, row: miss_visit(connection, services.bookings, row, act)
    )


@router.post(
    ":complain",
    status_code=201,
    summary="Complain about a visit",
    response_model=BookingAnswer,
    responses=problems(*BOOKS, "coordinate-out-of-range"),
)
async def complain_about_booking(request: Request, context: Ordering, booking_id: str, body: ComplainBody) -> Response:
    """Complain within the norm's time: another visit is booked that makes it good, and costs nothing."""
    services, starts_s = services_of(request), seconds_of(body.starts_at)
    door = None if body.place is None else _door(body.place)
    before, candidate = await _looked_up(request, context, booking_id, starts_s, door, is_new=True)

    def create(connection: WriteConnection) -> Created:
        check_span(body.starts_at, from_us(connection.now_us), "/starts_at")
        row = locked_seen(connection, context, booking_id)
        actor = context.key_holder.key_id
        buyer = None if body.place is None else customer_digest(services.secret, "buyer", row.owner, body.place.buyer)
        made = complain(connection, services.bookings, row, starts_s, candidate, actor, body.note, door, buyer)
        answer = booking_answer(made, services.norms, party=Party.CUSTOMER, payment=None)
        headers = {"ETag": etag(made.revision), "Location": f"/v1/bookings/{made.booking_id}"}
        return Created(answer.model_dump_json().encode(), headers=headers)

    async def refused(error: Exception) -> Any:
        at = door_of(before) or door
        wanted = None if at is None else (before.point_id, before.service_id, at.lat, at.lng)
        if wanted is None:
            return visit_refusal(error, [])
        return visit_refusal(error, await find_others(services, context, wanted, starts_s, error, promised=before))

    route = f"POST /v1/bookings/{booking_id}:complain"
    return await create_once(request, context, services, route, create, refused=refused)


def _door(body: DoorBody) -> Door:
    lat, lng = place_in_wgs84(body.lat, body.lng, body.datum, "/place")
    return Door(lat, lng, coarse_cell(lat, lng), body.address)


async def _looked_up(
    request: Request, context: RequestContext, of: str, starts_s: int, door: Door | None = None, *, is_new: bool = False
) -> tuple[AnyRow, Candidate | None]:
    """Return a booking that the caller may see, and where memory would put its visit in another window."""
    services = services_of(request)
    now_us = services.clock.now_us()
    row = await services.reads.run(context, lambda connection: booking_seen(connection, context, of, now_us))
    at = door_of(row) or door
    if at is None:
        return row, None
    wanted = (row.point_id, row.service_id, at.lat, at.lng)
    return row, await find_candidate(services, context, wanted, starts_s, promised=row, is_new=is_new)


async def _act(request: Request, context: RequestContext, booking_id: str, act: Act, **values: Any) -> Response:
    terms, what = services_of(request).bookings, act._replace(actor=context.key_holder.key_id)

    def change(connection: WriteConnection, row: AnyRow) -> AnyRow:
        return act_on(connection, terms, row, what, **values)

    return await _change(request, context, booking_id, act.party, change)


async def _change(request: Request, context: RequestContext, booking_id: str, party: Party, change: Change) -> Response:
    """Change a booking of the caller's, which is locked, and answer with it as it is then."""
    services = services_of(request)

    def write(connection: WriteConnection) -> tuple[AnyRow, AnyRow | None] | ProblemError:
        row = locked_seen(connection, context, booking_id)
        _check_tag(request, row)
        after = change(connection, row)
        return after if isinstance(after, ProblemError) else (after, told_payment(connection, after))

    found = await services.store.write(write, context.deadline)
    if isinstance(found, ProblemError):
        raise found
    return answer_booking(services, *found, party)


def _check_tag(request: Request, row: AnyRow) -> None:
    """Refuse a change whose If-Match holds another ETag."""
    if "if-match" in request.headers:
        check_match(request, etag(row.revision))

"""Orders over HTTP, as customer and merchant go on with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request, Response

from service.errors import NotFeasibleError, StateConflictError
from service.http.access import Counter, Ordering
from service.http.context import RequestContext, services_of
from service.http.problems import ProblemError
from service.http.revisions import check_match, etag
from service.http.routing import StrictRoute, problems
from service.orders.acting import Act, act, check_act, check_in_time, check_taken_on, locked_order
from service.orders.limits import check_unpaid, lock_holds
from service.orders.moving import reject
from service.orders.plans import known_of, plans_for
from service.orders.proposing import unfit
from service.orders.routing import was_moved
from service.orders.rules import ENDED, Event, Party, State
from service.orders.schemas import AnswerBody, OfferedBody, OrderAnswer, PlaceBody, RejectBody
from service.orders.seeing import check_seen, find_seen
from service.orders.substituting import answer_offer, check_answered, offer_line
from service.orders.views import order_answer
from service.payments.settling import authorise, authorised
from service.payments.store import begin_payment, find_payment, payment_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from service.orders.plans import Known
    from service.orders.store import OrderRecord
    from service.payments.ports import Outcome
    from service.services import Services
    from service.store.connections import AnyRow, ReadConnection, WriteConnection

__all__ = ["answer_with", "router"]

router = APIRouter(prefix="/v1/orders", tags=["orders"], route_class=StrictRoute)

_ACTS = problems("not-found", "state-conflict", "precondition-failed")
_BODY = ("invalid-json", "text-invalid", "unsupported-media-type", "payload-too-large")
_TAKES = problems("not-found", "state-conflict", "precondition-failed", *_BODY)


@router.post(
    "/{order_id}:place",
    summary="Place a held order",
    response_model=OrderAnswer,
    responses=problems("not-found", "state-conflict", "precondition-failed", "payment-declined", *_BODY),
)
async def place_order(request: Request, context: Ordering, order_id: str, body: PlaceBody | None = None) -> Response:
    """
    Place what is held, to be paid at the counter, or with an amount set aside online.

    Where the provider does not answer, the order stays held and its payment `authorising`: it is asked until it says
    what came of it, and the order is placed then, unless the point takes no orders on any more.
    """
    services = services_of(request)
    if body is not None and body.payment == "online":
        return await _pay(services, request, context, order_id, body.means or "ok")
    return await _act(request, context, order_id, Event.PLACE, Party.CUSTOMER, check=_check_unpaid, payment="counter")


@router.post("/{order_id}:cancel", summary="Cancel an order", response_model=OrderAnswer, responses=_ACTS)
async def cancel_order(request: Request, context: Ordering, order_id: str) -> Response:
    """Cancel an order; `fee_minor` says what that costs by the sector's norm."""
    return await _act(request, context, order_id, Event.CANCEL, Party.CUSTOMER)


@router.post("/{order_id}:accept", summary="Take an order on", response_model=OrderAnswer, responses=_ACTS)
async def accept_order(request: Request, context: Counter, order_id: str) -> Response:
    """Say that the point prepares it; once it was moved, `If-Match` says that it was read since."""
    return await _act(request, context, order_id, Event.ACCEPT, Party.MERCHANT)


@router.post("/{order_id}:ready", summary="Say that an order is ready", response_model=OrderAnswer, responses=_ACTS)
async def ready_order(request: Request, context: Counter, order_id: str) -> Response:
    """Say that it can be collected; it is held for as long as the sector's norm says."""
    return await _act(request, context, order_id, Event.READY, Party.MERCHANT, check=_check_answered)


@router.post("/{order_id}:reject", summary="Reject an order", response_model=OrderAnswer, responses=_TAKES)
async def reject_order(request: Request, context: Counter, order_id: str, body: RejectBody | None = None) -> Response:
    """
    Say that the point does not take it: the merchant's next point that can takes it over, or it ends.

    Where none that has all of it can take it and its `max_points` allows, it is divided between the fewest: what goes
    elsewhere than to its new `point_id` is `parted`, and stands in the orders that `parts` names. Once it was moved, each
    word of the merchant's needs `If-Match`, so that none is taken for the next point's.
    """
    services = services_of(request)
    now_us = services.clock.now_us()

    def read(connection: ReadConnection) -> tuple[OrderRecord, Known]:
        order = find_seen(connection, context, order_id)
        return order, known_of(connection, order, now_us)

    found, known = await services.reads.run(context, read)
    plans = await services.work.run(context, plans_for, services.index.view.engine, found, known, now_us)
    what = Act(Event.REJECT, Party.MERCHANT, context.key_holder.key_id, (body or RejectBody()).reason)

    def change(connection: WriteConnection, order: OrderRecord) -> OrderRecord:
        if order.row.revision != found.row.revision:  # else a word sent twice would be taken for the next point's, too
            raise StateConflictError("the order was changed at the same time: read it again")
        return reject(connection, services.orders, order, what, plans)

    return await _change(request, context, order_id, Party.MERCHANT, change)


@router.post(
    "/{order_id}:offer",
    summary="Offer something else in the place of a line",
    response_model=OrderAnswer,
    responses=problems("not-found", "state-conflict", "precondition-failed", "sold-out", *_BODY),
)
async def offer_in_order(request: Request, context: Counter, order_id: str, body: OfferedBody) -> Response:
    """Offer another SKU where the point has not got one; it is held until the customer answers, or his time is over."""
    services, actor = services_of(request), context.key_holder.key_id

    def change(connection: WriteConnection, order: OrderRecord) -> OrderRecord:
        try:
            return offer_line(
                connection, services.orders, order, actor, line=body.line, sku=body.sku, quantity=body.quantity
            )
        except NotFeasibleError as error:
            raise unfit(error) from error

    return await _change(request, context, order_id, Party.MERCHANT, change)


@router.post("/{order_id}:answer", summary="Answer to an offer", response_model=OrderAnswer, responses=_TAKES)
async def answer_in_order(request: Request, context: Ordering, order_id: str, body: AnswerBody) -> Response:
    """
    Take what was offered in the place of a line, or decline it: then that line is missing, and not paid.

    An order of which nothing is left is rejected.
    """
    services = services_of(request)
    event = Event.TAKE if body.takes else Event.DECLINE
    what = Act(event, Party.CUSTOMER, context.key_holder.key_id)

    def change(connection: WriteConnection, order: OrderRecord) -> OrderRecord:
        return answer_offer(connection, services.orders, order, what, line=body.line)

    return await _change(request, context, order_id, Party.CUSTOMER, change)


def answer_with(order: OrderRecord, payment: AnyRow | None, party: Party) -> Response:
    """Return an order as the answer to what was done to it."""
    answer = order_answer(order, payment, party=party)
    return Response(answer.model_dump_json(), 200, {"ETag": etag(order.row.revision)}, "application/json")


async def _act(
    request: Request,
    context: RequestContext,
    order_id: str,
    event: Event,
    party: Party,
    *,
    check: Callable[[WriteConnection, OrderRecord], None] | None = None,
    **values: Any,
) -> Response:
    services = services_of(request)
    what = Act(event, party, context.key_holder.key_id)

    def change(connection: WriteConnection, order: OrderRecord) -> OrderRecord:
        check_act(order, what)
        if check is not None:
            check(connection, order)
        return act(connection, services.orders, order, what, **values)

    return await _change(request, context, order_id, party, change)


async def _change(
    request: Request,
    context: RequestContext,
    order_id: str,
    party: Party,
    change: Callable[[WriteConnection, OrderRecord], OrderRecord],
) -> Response:
    """Change an order of the caller's, which is locked, and answer with it as it is then."""

    def write(connection: WriteConnection) -> tuple[OrderRecord, AnyRow | None]:
        order = _own(connection, request, context, order_id)
        if party is Party.MERCHANT and "if-match" not in request.headers and was_moved(connection, order_id):
            text = (
                "it was moved, and the word may be meant for the point before: read it, and send If-Match with its ETag"
            )
            raise StateConflictError(text)
        after = change(connection, order)
        return after, payment_of(connection, after.row)

    return answer_with(*await services_of(request).store.write(write, context.deadline), party)


def _check_answered(_connection: WriteConnection, order: OrderRecord) -> None:
    check_answered(order)


def _check_placed(connection: WriteConnection, order: OrderRecord) -> None:
    check_in_time(connection, order)
    check_taken_on(connection, order.row.merchant_id)


def _check_unpaid(connection: WriteConnection, order: OrderRecord) -> None:
    _check_placed(connection, order)
    buyer, device = order.row.buyer, order.row.device
    if buyer is not None:  # who was forgotten has no others
        lock_holds(connection, buyer, device)
        check_unpaid(connection, buyer, device)


def _own(connection: WriteConnection, request: Request, context: RequestContext, order_id: str) -> OrderRecord:
    """Return a locked order that the caller may see; an If-Match must hold its ETag."""
    order = check_seen(context, locked_order(connection, order_id))
    if "if-match" in request.headers:
        check_match(request, etag(order.row.revision))
    return order


async def _pay(services: Services, request: Request, context: RequestContext, order_id: str, means: str) -> Response:
    def begin(connection: WriteConnection) -> AnyRow | None:
        order = _own(connection, request, context, order_id)
        check_act(order, Act(Event.PLACE, Party.CUSTOMER, context.key_holder.key_id))
        _check_placed(connection, order)
        before = find_payment(connection, order_id)
        if before is not None and before.state in {"authorising", "releasing"}:
            return None
        return begin_payment(connection, order_id, order.row.total_minor, order.row.currency or "CNY")

    payment = await services.store.write(begin, context.deadline)
    if payment is not None:
        its, attempt, actor = payment.subject, payment.attempt, context.key_holder.key_id

        def settle(connection: WriteConnection, outcome: Outcome) -> None:
            authorised(connection, services.orders, its, attempt, outcome, actor)

        await authorise(services, payment, means, settle, context.deadline)

    def read(connection: ReadConnection) -> tuple[OrderRecord, AnyRow | None]:
        order, now = find_seen(connection, context, order_id), find_payment(connection, order_id)
        if order.row.state in ENDED:
            raise ProblemError("state-conflict", f"the order is {order.row.state}: nothing is taken for it")
        if now is not None and order.row.state == State.HELD and now.state != "authorising":
            check_taken_on(connection, order.row.merchant_id)
            raise ProblemError("payment-declined", "the payment was declined; the order is still held")
        return order, now

    return answer_with(*await services.reads.run(context, read), Party.CUSTOMER)

"""Orders over HTTP, as an app makes them and a customer goes on with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from service.bookings.forgetting import forget_visits
from service.clock import to_us
from service.http.access import Ordering, Parties, app_of
from service.http.context import RequestContext, services_of
from service.http.idempotency import Created, create_once
from service.http.pages import CursorText, PageSize, next_page, read_cursor
from service.http.problems import invalid
from service.http.revisions import etag
from service.http.routing import StrictRoute, problems
from service.matching.asks import check_offer, features_of, place_in_wgs84
from service.orders.codes import collector_digest, customer_digest
from service.orders.deciding import place_by_us
from service.orders.forgetting import forget_buyer
from service.orders.limits import check_holds
from service.orders.ordering import Wish, hold, judged, priced
from service.orders.proposing import refusal
from service.orders.rules import Party, StateName
from service.orders.schemas import (
    EraseAnswer,
    EraseBody,
    EventsAnswer,
    OrderAnswer,
    OrderBody,
    OrdersAnswer,
    QuoteAnswer,
)
from service.orders.seeing import find_seen, party_of, seen_by
from service.orders.store import OrderFilter, list_events, list_orders
from service.orders.taking import Place, check_left, slot_of
from service.orders.views import event_answer, order_answer
from service.payments.store import payment_of
from service.places import coarse_cell

if TYPE_CHECKING:
    from service.services import Services
    from service.store.connections import ReadConnection, WriteConnection

__all__ = ["erasing", "router"]

router = APIRouter(prefix="/v1/orders", tags=["orders"], route_class=StrictRoute)
erasing = APIRouter(tags=["orders"], route_class=StrictRoute)

_PICKUP = "/pickup"
_CREATES = problems(
    "invalid-json", "text-invalid", "unsupported-media-type", "payload-too-large", "not-found", "state-conflict",
    "sold-out", "not-feasible", "price-changed", "coordinate-out-of-range", "idempotency-key-missing",
    "idempotency-key-invalid", "idempotency-key-reused", "idempotency-in-progress",
)  # fmt: skip
_ASKS = problems(
    "invalid-json", "text-invalid", "unsupported-media-type", "payload-too-large", "not-found", "state-conflict",
    "sold-out", "not-feasible", "price-changed", "coordinate-out-of-range",
)  # fmt: skip


@router.post("", status_code=201, summary="Order", response_model=OrderAnswer, responses=_CREATES)
async def post_order(request: Request, context: Ordering, body: OrderBody) -> Response:
    """
    Hold what a customer wants at a point, or place it at once to be paid at the counter.

    Everything that the match said is checked again in the order's own transaction: offer, hours, lead time, area,
    features, capacity, slot, stock. Where it cannot be served, `reason` says why and `next` names the next point that
    can. The code is told by `GET /v1/orders/{order_id}`.
    """
    services = services_of(request)
    wish = _wish(services, context, body)

    def create(connection: WriteConnection) -> Created:
        order = hold(connection, services.orders, wish)
        answer = order_answer(order, None, party=Party.CUSTOMER)
        headers = {"ETag": etag(order.row.revision), "Location": f"/v1/orders/{order.row.order_id}"}
        return Created(answer.model_dump_json().encode(), headers=headers)

    async def refused(error: Exception) -> Any:
        return await services.work.run(context, refusal, services, wish, error)

    return await create_once(request, context, services, "POST /v1/orders", create, refused=refused)


@router.post(":quote", summary="Ask what an order would be", responses=_ASKS)
async def quote_order(request: Request, context: Ordering, body: OrderBody) -> QuoteAnswer:
    """
    Tell what an order would cost and promise, by the facts as they are stored now; nothing is held.

    What the order would be refused for is refused here, too, as that would be: how much the buyer holds, another
    `total_minor`.
    """
    services = services_of(request)
    wish = _wish(services, context, body)

    def ask(connection: ReadConnection) -> QuoteAnswer:
        now_us = services.clock.now_us()
        has_others = check_holds(connection, wish.buyer, wish.device, now_us, is_placed=wish.is_placed)
        quote = judged(connection, services.orders, wish, now_us)
        place = Place(wish.point_id, wish.offer, slot_of(to_us(quote.at), quote.facts.slot_s))
        entries = check_left(connection, place, quote.facts, wish.units, now_us)
        lines, total_minor = priced(connection, wish, entries, has_others=has_others)
        promise, at_us = quote.promise, None if wish.at is None else to_us(quote.at)
        return QuoteAnswer(
            point_id=wish.point_id,
            offer=wish.offer,
            items=[{name: line[name] for name in ("sku", "name", "quantity", "price_minor")} for line in lines],
            currency=next((line["currency"] for line in lines), None),
            total_minor=total_minor,
            order_by=promise.order_by,
            ready_at=promise.ready_at,
            handover_at=quote.at,
            hold_until=promise.hold_until,
            cancel_free_until=promise.cancel_free_until,
            expires_in_s=(place_by_us(quote.norm, now_us, at_us) - now_us) // 1_000_000,
        )

    try:
        return await services.reads.run(context, ask)
    except ValueError as error:
        raise await services.work.run(context, refusal, services, wish, error) from error


@router.get("", summary="List orders", responses=problems("cursor-invalid"))
async def get_orders(
    request: Request,
    context: Parties,
    page_size: PageSize = 50,
    cursor: CursorText = None,
    point: Annotated[str | None, Query(max_length=200, description="Only those of this point.")] = None,
    state: Annotated[StateName | None, Query(description="Only those in this state.")] = None,
    split_of: Annotated[
        str | None, Query(max_length=40, description="Only those that were parted from this order.")
    ] = None,
) -> OrdersAnswer:
    """List orders, the oldest first: an app's own, those of a merchant's points, all as an admin."""
    services, party = services_of(request), party_of(context)
    wanted = seen_by(context, OrderFilter(point_id=point, state=state, split_of=split_of))
    listed = f"orders {wanted}"
    after = read_cursor(services.secret, listed, cursor) or [""]

    def page_of(connection: ReadConnection) -> OrdersAnswer:
        found = list_orders(connection, wanted, after=after[0], limit=page_size + 1)
        page, following = next_page(services.secret, listed, found, page_size, lambda one: [one.row.order_id])
        items = [order_answer(one, payment_of(connection, one.row), party=party) for one in page]
        return OrdersAnswer(items=items, next_cursor=following)

    return await services.reads.run(context, page_of)


@router.get("/{order_id}", summary="Read an order", responses=problems("not-found"))
async def get_order(request: Request, response: Response, context: Parties, order_id: str) -> OrderAnswer:
    """Read an order; the app that made it learns its code."""
    services, party = services_of(request), party_of(context)

    def read(connection: ReadConnection) -> OrderAnswer:
        order = find_seen(connection, context, order_id)
        secret = services.secret if order.row.owner == _owner(context) else None
        return order_answer(order, payment_of(connection, order.row), party=party, secret=secret)

    answer = await services.reads.run(context, read)
    response.headers["ETag"] = etag(answer.revision)
    return answer


@router.get("/{order_id}/events", summary="What happened to an order", responses=problems("not-found"))
async def get_order_events(request: Request, context: Parties, order_id: str) -> EventsAnswer:
    """Tell all that happened to an order, and by which key."""

    def read(connection: ReadConnection) -> EventsAnswer:
        find_seen(connection, context, order_id)
        return EventsAnswer(items=[event_answer(row) for row in list_events(connection, order_id)])

    return await services_of(request).reads.run(context, read)


@erasing.post(
    "/v1/buyers:erase",
    summary="Forget a customer",
    responses=problems("invalid-json", "text-invalid", "unsupported-media-type", "payload-too-large"),
)
async def erase_buyer(request: Request, context: Ordering, body: EraseBody) -> EraseAnswer:
    """
    Forget whose a customer's orders and visits were, and where.

    Sums and what was sold stay. A visit that is still to come is not forgotten: cancel it first.
    """
    services = services_of(request)
    owner = _owner(context)
    buyer = customer_digest(services.secret, "buyer", owner, body.buyer)

    def erase(connection: WriteConnection) -> EraseAnswer:
        n_bookings, n_open = forget_visits(connection, services.bookings.rosters, owner, buyer)
        connection.erase()
        n_orders = forget_buyer(connection, owner, buyer)
        return EraseAnswer(orders=n_orders, bookings=n_bookings, open_bookings=n_open)

    return await services.store.write(erase, context.deadline)


def _owner(context: RequestContext) -> str:
    """Return the name of the app that asks; an admin has none, so that no app's name is his."""
    return app_of(context) or ""


def _wish(services: Services, context: RequestContext, body: OrderBody) -> Wish:
    lat, lng = place_in_wgs84(body.lat, body.lng, body.datum, "")
    check_offer(services, body.offer, "/offer")
    if not body.offer.endswith(_PICKUP):
        raise invalid("/offer", f"must be one that is collected, such as retail/pickup, got {body.offer}")
    owner = _owner(context)
    buyer = customer_digest(services.secret, "buyer", owner, body.buyer)
    return Wish(
        owner=owner,
        buyer=buyer,
        device=buyer if body.device is None else customer_digest(services.secret, "device", owner, body.device),
        collector=None if body.collector is None else collector_digest(services.secret, body.collector),
        point_id=body.point_id,
        offer=body.offer,
        lat=lat,
        lng=lng,
        cell=coarse_cell(lat, lng),
        at=body.at,
        features=features_of(body.features, "/features"),
        unknown_hours=body.unknown_hours,
        units={item.sku: item.quantity for item in body.items},
        total_minor=body.total_minor,
        is_placed=body.payment is not None,
        actor=context.key_holder.key_id,
        max_points=body.max_points,
    )

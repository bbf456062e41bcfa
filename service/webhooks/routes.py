"""Webhooks over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter, Request, Response

from service.audit.store import actor_of
from service.errors import ForbiddenUrlError
from service.http.access import Orderer, app_of, not_found, owner_of
from service.http.context import RequestContext, services_of
from service.http.idempotency import Created, create_once
from service.http.pages import CursorText, PageSize, next_page, read_cursor
from service.http.problems import invalid
from service.http.routing import StrictRoute, problems
from service.http.shares import whose as whose_share
from service.merchants.store import find_merchant
from service.webhooks.schemas import (
    AskedWebhook,
    DeliveryPage,
    Webhook,
    WebhookOnce,
    WebhookPage,
    delivery_of,
    webhook_of,
    webhook_once,
)
from service.webhooks.store import (
    Whose,
    create_webhook,
    delete_webhook,
    enable_webhook,
    find_webhook,
    list_deliveries,
    list_webhooks,
    rotate_secret,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.store.connections import AnyRow, ReadConnection, WriteConnection

__all__ = ["router"]

router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"], route_class=StrictRoute)

_RESOLVE_S = 2.0
_ONCE = (
    "not-found", "idempotency-key-missing", "idempotency-key-invalid", "idempotency-key-reused",
    "idempotency-in-progress",
)  # fmt: skip
_CREATES = problems(
    "invalid-json", "text-invalid", "unsupported-media-type", "payload-too-large", "state-conflict",
    "webhook-url-forbidden", *_ONCE,
)  # fmt: skip


@router.post("", status_code=201, response_model=WebhookOnce, summary="Make a webhook", responses=_CREATES)
async def post_webhook(request: Request, context: Orderer, body: AskedWebhook) -> Response:
    """
    Hear of orders: as a merchant of your own, as an app of those that you make, as an admin of one merchant's or all.

    The type of what is sent is `order.` or `booking.` with an `event` of `/events` behind it: `order.capture_declined` where
    what was set aside for an order that has ended can never be taken.
    """
    services, whose = services_of(request), _new_owner(context, body.merchant_id)
    forbidden = None
    try:
        _, asker = whose_share(context.key_holder)
        await services.urls.check(body.url, min(_RESOLVE_S, context.deadline.left_s()), asker)
    except ForbiddenUrlError as error:
        forbidden = error

    def create(connection: WriteConnection) -> Created:
        if forbidden is not None:  # told here, for a retry is answered as the first time whatever the name says by now
            raise forbidden
        if whose.merchant_id is not None and find_merchant(connection, whose.merchant_id) is None:
            raise not_found()
        return _shown(create_webhook(connection, actor_of(context), whose, body.url), connection, 201)

    return await create_once(request, context, services, "POST /v1/webhooks", create)


@router.get("", summary="List the webhooks", responses=problems("cursor-invalid"))
async def get_webhooks(
    request: Request, context: Orderer, page_size: PageSize = 50, cursor: CursorText = None
) -> WebhookPage:
    """List your webhooks by their ids; an admin sees all."""
    services, whose = services_of(request), _whose(context)
    listed = f"webhooks {whose}"
    after = read_cursor(services.secret, listed, cursor) or [""]
    rows = await services.reads.run(
        context, lambda connection: list_webhooks(connection, whose, after=after[0], limit=page_size + 1)
    )
    page, next_cursor = next_page(services.secret, listed, rows, page_size, lambda row: [row.webhook_id])
    now_us = services.clock.now_us()
    return WebhookPage(items=[webhook_of(row, now_us) for row in page], next_cursor=next_cursor)


@router.get("/{webhook_id}", summary="Read a webhook", responses=problems("not-found"))
async def get_webhook(request: Request, context: Orderer, webhook_id: str) -> Webhook:
    """Read a webhook: whether it is sent to, and if not, why."""
    row = await services_of(request).reads.run(
        context, lambda connection: find_webhook(connection, webhook_id, _whose(context))
    )
    return _told(request, row)


@router.delete("/{webhook_id}", status_code=204, summary="Delete a webhook", responses=problems("not-found"))
async def remove_webhook(request: Request, context: Orderer, webhook_id: str) -> Response:
    """Delete a webhook, and all that was to be delivered to it; where that is much, it is disabled first."""
    is_gone: bool | None = False
    while is_gone is False:
        is_gone = await services_of(request).store.write(
            lambda connection: delete_webhook(connection, actor_of(context), webhook_id, _whose(context)),
            context.deadline,
        )
    if is_gone is None:
        raise not_found()
    return Response(status_code=204)


@router.post(
    "/{webhook_id}:rotate", response_model=WebhookOnce, summary="Change the secret", responses=problems(*_ONCE)
)
async def rotate(request: Request, context: Orderer, webhook_id: str) -> Response:
    """Give a webhook a new secret; the one before signs too for 24 hours, so that receivers have time to change."""

    def create(connection: WriteConnection) -> Created:
        row = rotate_secret(connection, actor_of(context), webhook_id, _whose(context))
        if row is None:
            raise not_found()
        return _shown(row, connection, 200)

    return await create_once(request, context, services_of(request), f"POST /v1/webhooks/{webhook_id}:rotate", create)


@router.post("/{webhook_id}:enable", summary="Enable a webhook", responses=problems("not-found", "state-conflict"))
async def enable(request: Request, context: Orderer, webhook_id: str) -> Webhook:
    """Let a webhook that was disabled be sent to again, first what was still waiting; once more changes nothing."""

    def write(connection: WriteConnection) -> AnyRow | None:
        return enable_webhook(connection, actor_of(context), webhook_id, _whose(context))

    store = services_of(request).store
    row = await store.write(write, context.deadline)
    while row is not None and row.is_disabled:
        row = await store.write(write, context.deadline)
    return _told(request, row)


@router.get(
    "/{webhook_id}/deliveries",
    summary="What was sent, and what came of it",
    responses=problems("not-found", "cursor-invalid"),
)
async def get_deliveries(
    request: Request, context: Orderer, webhook_id: str, page_size: PageSize = 50, cursor: CursorText = None
) -> DeliveryPage:
    """List the deliveries of a webhook, the latest first; those that are done are kept for seven days."""
    services, listed = services_of(request), f"deliveries {webhook_id}"
    place = read_cursor(services.secret, listed, cursor)
    after = None if place is None else (int(place[0]), str(place[1]))

    def read(connection: ReadConnection) -> tuple[bool, Sequence[AnyRow]]:
        hook = find_webhook(connection, webhook_id, _whose(context))
        if hook is None:
            raise not_found()
        return hook.is_disabled, list_deliveries(connection, webhook_id, after=after, limit=page_size + 1)

    is_disabled, rows = await services.reads.run(context, read)
    page, next_cursor = next_page(services.secret, listed, rows, page_size, lambda row: [row.created_at, row.event_id])
    return DeliveryPage(items=[delivery_of(row, is_disabled=is_disabled) for row in page], next_cursor=next_cursor)


def _whose(context: RequestContext) -> Whose:
    """Return whose webhooks a caller may see."""
    app = app_of(context)
    return Whose(merchant_id=owner_of(context)) if app is None else Whose(app=app)


def _new_owner(context: RequestContext, merchant_id: str | None) -> Whose:
    """Return whose a new webhook is; raises where its maker may not say so."""
    whose = _whose(context)
    if merchant_id is None or merchant_id == whose.merchant_id:
        return whose
    if whose.app is not None:
        raise invalid("/merchant_id", "must not be given by an app, which hears of the orders that it makes")
    if whose.merchant_id is not None:
        raise not_found()
    return Whose(merchant_id=merchant_id)


def _shown(row: AnyRow, connection: WriteConnection, status: int) -> Created:
    now_us = connection.now_us
    shown, kept = (webhook_once(row, now_us, secret=secret) for secret in (row.secret, None))
    return Created(shown, status, kept_body=kept)


def _told(request: Request, row: AnyRow | None) -> Webhook:
    if row is None:
        raise not_found()
    return webhook_of(row, services_of(request).clock.now_us())

"""Merchants over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Query, Request, Response

from service.audit.store import actor_of
from service.http.access import Admin, AdminOrMerchant, not_found, owner_of
from service.http.context import RequestContext, services_of
from service.http.idempotency import Created, create_once
from service.http.pages import CursorText, PageSize, next_page, read_cursor
from service.http.revisions import check_match, etag
from service.http.routing import StrictRoute, problems
from service.merchants.rules import EventName, State, first_state
from service.merchants.schemas import Merchant, MerchantChanges, MerchantPage, NewMerchant, merchant_of
from service.merchants.store import create_merchant, find_merchant, list_merchants, move_merchant, rename_merchant

if TYPE_CHECKING:
    from service.store.connections import AnyRow, WriteConnection

__all__ = ["router"]

router = APIRouter(prefix="/v1/merchants", tags=["merchants"], route_class=StrictRoute)

_CREATES = problems(
    "invalid-json", "text-invalid", "unsupported-media-type", "payload-too-large", "state-conflict",
    "idempotency-key-missing", "idempotency-key-invalid", "idempotency-key-reused", "idempotency-in-progress",
)  # fmt: skip
_MOVES = problems("not-found", "state-conflict", "precondition-failed", "precondition-required")


@router.post("", status_code=201, response_model=Merchant, summary="Register a merchant", responses=_CREATES)
async def post_merchant(request: Request, context: Admin, body: NewMerchant) -> Response:
    """Register a merchant; its points serve once it is verified."""
    services = services_of(request)
    status = first_state(verify_at_once=services.settings.limits.verify_at_once)

    def create(connection: WriteConnection) -> Created:
        row = create_merchant(connection, actor_of(context), body.merchant_id, body.name, status)
        return Created(merchant_of(row).model_dump_json().encode(), headers={"ETag": etag(row.revision)})

    return await create_once(request, context, services, "POST /v1/merchants", create)


@router.get("", summary="List the merchants", responses=problems("cursor-invalid"))
async def get_merchants(
    request: Request,
    context: Admin,
    page_size: PageSize = 50,
    cursor: CursorText = None,
    status: Annotated[State | None, Query(description="Only those in this state.")] = None,
) -> MerchantPage:
    """List the merchants by their ids."""
    services, listed = services_of(request), f"merchants {status}"
    after = read_cursor(services.secret, listed, cursor) or [""]
    rows = await services.reads.run(
        context, lambda connection: list_merchants(connection, after=after[0], limit=page_size + 1, status=status)
    )
    page, next_cursor = next_page(services.secret, listed, rows, page_size, lambda row: [row.merchant_id])
    return MerchantPage(items=[merchant_of(row) for row in page], next_cursor=next_cursor)


@router.get("/{merchant_id}", summary="Read a merchant", responses=problems("not-found"))
async def get_merchant(request: Request, response: Response, context: AdminOrMerchant, merchant_id: str) -> Merchant:
    """Read a merchant: any as an admin, itself as a merchant."""
    _check_own(context, merchant_id)
    read = services_of(request).reads.run
    return _told(response, await read(context, lambda connection: find_merchant(connection, merchant_id)))


@router.patch(
    "/{merchant_id}",
    summary="Rename a merchant",
    responses=problems(
        "invalid-json", "text-invalid", "unsupported-media-type", "payload-too-large", "not-found",
        "precondition-failed", "precondition-required",
    ),
)  # fmt: skip
async def patch_merchant(
    request: Request, response: Response, context: AdminOrMerchant, merchant_id: str, body: MerchantChanges
) -> Merchant:
    """Change a merchant's name; `If-Match` holds the ETag that was read."""
    _check_own(context, merchant_id)
    row = await services_of(request).store.write(
        lambda connection: rename_merchant(
            connection, actor_of(context), merchant_id, body.name, lambda revision: check_match(request, etag(revision))
        ),
        context.deadline,
    )
    return _told(response, row)


@router.post("/{merchant_id}:verify", summary="Verify a merchant", responses=_MOVES)
async def verify_merchant(request: Request, response: Response, context: Admin, merchant_id: str) -> Merchant:
    """Let an unverified merchant serve."""
    return await _move(request, response, context, merchant_id, "verify")


@router.post("/{merchant_id}:suspend", summary="Suspend a merchant", responses=_MOVES)
async def suspend_merchant(request: Request, response: Response, context: Admin, merchant_id: str) -> Merchant:
    """Let a merchant serve no more, until it is reinstated."""
    return await _move(request, response, context, merchant_id, "suspend")


@router.post("/{merchant_id}:reinstate", summary="Reinstate a merchant", responses=_MOVES)
async def reinstate_merchant(request: Request, response: Response, context: Admin, merchant_id: str) -> Merchant:
    """Let a suspended merchant serve again: it is verified then."""
    return await _move(request, response, context, merchant_id, "reinstate")


async def _move(
    request: Request, response: Response, context: RequestContext, merchant_id: str, event: EventName
) -> Merchant:
    row = await services_of(request).store.write(
        lambda connection: move_merchant(
            connection, actor_of(context), merchant_id, event, lambda revision: check_match(request, etag(revision))
        ),
        context.deadline,
    )
    return _told(response, row)


def _check_own(context: RequestContext, merchant_id: str) -> None:
    if owner_of(context) not in {None, merchant_id}:
        raise not_found()


def _told(response: Response, row: AnyRow | None) -> Merchant:
    if row is None:
        raise not_found()
    response.headers["ETag"] = etag(row.revision)
    return merchant_of(row)

"""Keys over HTTP."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import orjson
from fastapi import APIRouter, Request, Response

from service.audit.store import actor_of
from service.clock import to_us
from service.http.access import AdminOrMerchant, not_found, owner_of
from service.http.context import RequestContext, services_of
from service.http.idempotency import Created, create_once
from service.http.pages import CursorText, PageSize, next_page, read_cursor
from service.http.problems import ProblemError, Trouble
from service.http.routing import StrictRoute, problems
from service.keys.formats import key_digest
from service.keys.rules import fault_of_key, fault_of_merchants_key
from service.keys.schemas import AskedKey, Key, KeyOnce, KeyPage, key_of
from service.keys.store import create_key, find_key, list_keys, revoke_key
from service.merchants.store import find_merchant
from service.services import Services

if TYPE_CHECKING:
    from collections.abc import Callable

    from service.store.connections import AnyRow, WriteConnection

__all__ = ["router"]

router = APIRouter(prefix="/v1/keys", tags=["keys"], route_class=StrictRoute)

_CREATES = problems(
    "invalid-json", "text-invalid", "unsupported-media-type", "payload-too-large", "not-found", "state-conflict",
    "idempotency-key-missing", "idempotency-key-invalid", "idempotency-key-reused", "idempotency-in-progress",
)  # fmt: skip
_STEP_S, _LONGEST_S = 0.005, 0.5


@router.post("", status_code=201, response_model=KeyOnce, summary="Make a key", responses=_CREATES)
async def post_key(request: Request, context: AdminOrMerchant, body: AskedKey) -> Response:
    """Make a key: any as an admin; as a merchant those of scope merchant, station and crew of your own."""
    services, is_own = services_of(request), owner_of(context) is not None
    merchant_id = _merchant_of(services, context, body)
    rate, expires_us = body.rate, _expires_us(body)
    if is_own:
        rate, expires_us = rate or context.key_holder.rate, expires_us or context.key_holder.expires_us

    def create(connection: WriteConnection) -> Created:
        if merchant_id is not None and find_merchant(connection, merchant_id) is None:
            raise not_found()
        if expires_us is not None and expires_us <= connection.now_us:
            raise _refused("expires_at", "must lie in the future")
        made = create_key(
            connection,
            scope=body.scope,
            label=body.label or "",
            merchant_id=merchant_id,
            crew=body.crew,
            rate=rate,
            expires_us=expires_us,
            actor=actor_of(context),
        )
        return Created(_body(made.row, made.secret), kept_body=_body(made.row, None))

    answer = await create_once(request, context, services, "POST /v1/keys", create)
    secret = orjson.loads(answer.body)["secret"]
    if secret is not None:
        await _until(lambda: services.ring.knows(key_digest(secret)))
    return answer


@router.get("", summary="List the keys", responses=problems("cursor-invalid"))
async def get_keys(
    request: Request, context: AdminOrMerchant, page_size: PageSize = 50, cursor: CursorText = None
) -> KeyPage:
    """List the keys by their ids, revoked and expired ones too for a month; a merchant sees those of its own."""
    services, owner = services_of(request), owner_of(context)
    listed = f"keys {owner}"
    after = read_cursor(services.secret, listed, cursor) or [""]
    rows = await services.reads.run(
        context, lambda connection: list_keys(connection, after=after[0], limit=page_size + 1, merchant_id=owner)
    )
    page, next_cursor = next_page(services.secret, listed, rows, page_size, lambda row: [row.key_id])
    return KeyPage(items=[key_of(row) for row in page], next_cursor=next_cursor)


@router.get("/{key_id}", summary="Read a key", responses=problems("not-found"))
async def get_key(request: Request, context: AdminOrMerchant, key_id: str) -> Key:
    """Read a key, without its secret."""
    row = await services_of(request).reads.run(
        context, lambda connection: find_key(connection, key_id, owner_of(context))
    )
    if row is None:
        raise not_found()
    return key_of(row)


@router.post("/{key_id}:revoke", summary="Revoke a key", responses=problems("not-found"))
async def revoke(request: Request, context: AdminOrMerchant, key_id: str) -> Key:
    """Let a key be of no use, on every server within 2 seconds; once more changes nothing."""
    services = services_of(request)
    row = await services.store.write(
        lambda connection: revoke_key(connection, key_id, owner_of(context), actor_of(context)), context.deadline
    )
    if row is None:
        raise not_found()
    await _until(lambda: not services.ring.knows(row.digest))
    return key_of(row)


def _body(row: AnyRow, secret: str | None) -> bytes:
    return KeyOnce(**key_of(row).model_dump(), secret=secret).model_dump_json().encode()


def _expires_us(body: AskedKey) -> int | None:
    return None if body.expires_at is None else to_us(body.expires_at)


def _merchant_of(services: Services, context: RequestContext, body: AskedKey) -> str | None:
    """Return whose key it is to be; raises where its maker may not make it."""
    owner, fault = owner_of(context), None
    if owner is not None:
        if body.merchant_id not in {None, owner}:
            raise not_found()
        default_rate = services.settings.limits.key_rate
        fault = fault_of_merchants_key(context.key_holder, body.scope, body.rate, default_rate, _expires_us(body))
    merchant_id = body.merchant_id if owner is None else owner
    fault = fault or fault_of_key(body.scope, merchant_id, body.crew)
    if fault is not None:
        raise _refused(*fault)
    return merchant_id


def _refused(field: str, reason: str) -> ProblemError:
    return ProblemError("validation", f"{field} {reason}", (Trouble(f"/{field}", reason),))


async def _until(is_done: Callable[[], bool]) -> None:
    """Wait until the follower of this process has come so far, so that its next answers know of it; not for long."""
    for _ in range(int(_LONGEST_S / _STEP_S)):
        if is_done():
            return
        await asyncio.sleep(_STEP_S)

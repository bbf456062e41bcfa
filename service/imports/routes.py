"""Imports over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query, Request

from service.audit.store import actor_of
from service.clock import from_us
from service.http.access import AdminOrMerchant, not_found, owner_of
from service.http.context import RequestContext, services_of
from service.http.idempotency import idempotency_key
from service.http.pages import CursorText, PageSize, next_page, read_cursor
from service.http.problems import ProblemError, Trouble, invalid
from service.http.routing import StrictRoute, problems
from service.imports.schemas import ErrorsPage, ImportAnswer, ImportDone, RowError
from service.imports.store import find_import, import_id_of, list_errors
from service.imports.streaming import import_stream

if TYPE_CHECKING:
    from service.store.connections import AnyRow, ReadConnection

__all__ = ["router"]

router = APIRouter(tags=["points"], route_class=StrictRoute)

_NDJSON = "application/x-ndjson"
_MOST_TOLD = 100
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "A point a line, each with its point_id; up to 1 000 000 lines of up to 256 KiB.",
        "content": {_NDJSON: {"schema": {"type": "string"}}},
    }
}


@router.post(
    "/v1/points:import",
    summary="Upsert many points",
    responses=problems(
        "not-found", "unsupported-media-type", "batch-too-large", "idempotency-key-missing", "idempotency-key-invalid",
        "idempotency-key-reused", "idempotency-in-progress",
    ),
    openapi_extra=_BODY,
)  # fmt: skip
async def post_import(
    request: Request,
    context: AdminOrMerchant,
    merchant_id: Annotated[str | None, Query(max_length=40, description="Whose points; an admin must say.")] = None,
) -> ImportDone:
    """
    Upsert a stream of points, a JSON object a line (NDJSON).

    A bad line is reported and leaves the others in; a point that is so already keeps its revision. If the stream
    breaks off, send the same again with the same `Idempotency-Key`: it goes on where it was.
    """
    owner = _merchant(context, merchant_id)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != _NDJSON:
        text = f"must be {_NDJSON}, got {kind or 'no Content-Type'}"
        raise ProblemError("unsupported-media-type", text, (Trouble("Content-Type", text),))
    services, import_id = services_of(request), import_id_of(owner, idempotency_key(request))
    filled = await import_stream(
        services, request.stream(), owner, import_id, actor=actor_of(context), deadline=context.deadline
    )

    def done(connection: ReadConnection) -> ImportDone:
        row = _owned(context, find_import(connection, import_id))
        errors = [_error(bad) for bad in list_errors(connection, import_id, limit=_MOST_TOLD)]
        return ImportDone(**_told(row), errors=errors, filled=filled)

    return await services.store.read(done, context.deadline)


@router.get("/v1/imports/{import_id}", summary="Read how far an import is", responses=problems("not-found"))
async def get_import(request: Request, context: AdminOrMerchant, import_id: str) -> ImportAnswer:
    """Tell how far an import has come."""
    read = services_of(request).store.read
    row = await read(lambda connection: find_import(connection, import_id), context.deadline)
    return ImportAnswer(**_told(_owned(context, row)))


@router.get(
    "/v1/imports/{import_id}/errors",
    summary="List the lines that were left out",
    responses=problems("not-found", "cursor-invalid"),
)
async def get_errors(
    request: Request, context: AdminOrMerchant, import_id: str, page_size: PageSize = 50, cursor: CursorText = None
) -> ErrorsPage:
    """List the lines that an import left out, each with the reason."""
    services, listed = services_of(request), f"import errors {import_id}"
    after = read_cursor(services.secret, listed, cursor) or [0]

    def page_of(connection: ReadConnection) -> ErrorsPage:
        _owned(context, find_import(connection, import_id))
        found = list_errors(connection, import_id, after=after[0], limit=page_size + 1)
        page, following = next_page(services.secret, listed, found, page_size, lambda bad: [bad.line])
        return ErrorsPage(items=[_error(bad) for bad in page], next_cursor=following)

    return await services.store.read(page_of, context.deadline)


def _merchant(context: RequestContext, merchant_id: str | None) -> str:
    owner = owner_of(context)
    if merchant_id is None:
        if not owner:
            raise invalid("merchant_id", "is required: whose points are they")
        return owner
    if owner not in {None, merchant_id}:
        raise not_found()
    return merchant_id


def _owned(context: RequestContext, row: AnyRow | None) -> AnyRow:
    if row is None or owner_of(context) not in {None, row.merchant_id}:
        raise not_found()
    return row


def _error(row: AnyRow) -> RowError:
    return RowError(line=row.line, type=row.slug, where=row.place, reason=row.reason)


def _told(row: AnyRow) -> dict[str, Any]:
    return {
        "import_id": row.import_id,
        "merchant_id": row.merchant_id,
        "state": row.state,
        "lines": row.lines_done,
        "upserted": row.upserted,
        "unchanged": row.lines_done - row.upserted - row.rejected,
        "rejected": row.rejected,
        "created_at": from_us(row.created_at),
        "updated_at": from_us(row.updated_at),
    }

"""Imports over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Query, Request

from service.http.access import AdminOrMerchant, not_found, owner_of
from service.http.context import RequestContext, services_of
from service.http.idempotency import idempotency_key
from service.http.pages import CursorText, PageSize, next_page, read_cursor
from service.http.problems import invalid
from service.http.routing import StrictRoute, problems
from service.imports.points import PointImport
from service.imports.schemas import ErrorsPage, ImportAnswer, ImportDone
from service.imports.store import find_import, import_id_of, list_errors
from service.imports.taking import IMPORT_PROBLEMS, NDJSON, kind_of_lines, lines_body, take_import
from service.imports.views import import_answer, row_error

if TYPE_CHECKING:
    from service.store.connections import AnyRow, ReadConnection

__all__ = ["router"]

router = APIRouter(tags=["points"], route_class=StrictRoute)

_LINES = "A point a line, each with its point_id; up to 1 000 000 lines of up to 256 KiB."


@router.post(
    "/v1/points:import",
    summary="Upsert many points",
    responses=problems(*IMPORT_PROBLEMS),
    openapi_extra=lines_body(_LINES, NDJSON),
)
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
    kind_of_lines(request, NDJSON)
    services, import_id = services_of(request), import_id_of(owner, idempotency_key(request))
    return await take_import(request, context, request.stream(), PointImport(owner, services), import_id)


@router.get("/v1/imports/{import_id}", summary="Read how far an import is", responses=problems("not-found"))
async def get_import(request: Request, context: AdminOrMerchant, import_id: str) -> ImportAnswer:
    """Tell how far an import has come."""
    read = services_of(request).reads.run
    row = await read(context, lambda connection: find_import(connection, import_id))
    return import_answer(_owned(context, row))


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
        return ErrorsPage(items=[row_error(bad) for bad in page], next_cursor=following)

    return await services.reads.run(context, page_of)


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

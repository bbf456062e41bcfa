"""Services over HTTP: what can be booked at a point."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter, Request, Response

from service.audit.store import actor_of, record
from service.crews.changing import locked_point, put_service
from service.crews.routes import check_id
from service.crews.rules import service_facts
from service.crews.schemas import ServiceAnswer, ServiceBody, ServicesAnswer
from service.crews.store import SERVICES, delete_kept, find_kept, list_kept
from service.crews.views import service_answer
from service.http.access import AdminOrMerchant, Anyone, not_found
from service.http.context import RequestContext, services_of
from service.http.pages import CursorText, PageSize, next_page, read_cursor
from service.http.revisions import check_if_given, check_match, etag
from service.http.routing import StrictRoute, problems
from service.points.routes import own_merchant
from service.points.store import find_point
from service.points.views import is_public

if TYPE_CHECKING:
    from service.store.connections import AnyRow, ReadConnection, WriteConnection

__all__ = ["router"]

router = APIRouter(prefix="/v1/points/{point_id}/services", tags=["crews"], route_class=StrictRoute)

_BODIES = ("invalid-json", "text-invalid", "unsupported-media-type", "payload-too-large")


@router.put(
    "/{service_id}",
    summary="Make a service, or replace it",
    response_model=ServiceAnswer,
    responses={
        201: {"model": ServiceAnswer},
        **problems(*_BODIES, "not-found", "state-conflict", "precondition-failed"),
    },
)
async def put_one_service(
    request: Request, context: AdminOrMerchant, point_id: str, service_id: str, body: ServiceBody
) -> Response:
    """Say what can be booked at a point; what is promised already stays as it was promised."""
    merchant_id, services = own_merchant(context, point_id), services_of(request)
    check_id(service_id, "service_id")
    facts = service_facts(body, services.norms)

    def put(connection: WriteConnection) -> tuple[AnyRow | None, bool]:
        point = locked_point(connection, merchant_id, point_id)
        before = find_kept(connection, SERVICES, point_id, service_id)
        check_if_given(request, None if before is None else etag(before.revision))
        put_service(connection, point, service_id, facts)
        action = "service.create" if before is None else "service.replace"
        record(connection, actor_of(context), action, point_id, merchant_id, service_id=service_id)
        return find_kept(connection, SERVICES, point_id, service_id), before is None

    row, is_new = await services.store.write(put, context.deadline)
    stored = _found(row)
    text = service_answer(stored, services.norms).model_dump_json()
    return Response(text, 201 if is_new else 200, {"ETag": etag(stored.revision)}, "application/json")


@router.get("/{service_id}", summary="Read a service", responses=problems("not-found"))
async def get_one_service(
    request: Request, response: Response, context: Anyone, point_id: str, service_id: str
) -> ServiceAnswer:
    """Read a service of a point that one may see."""
    services = services_of(request)

    def read(connection: ReadConnection) -> AnyRow:
        _check_seen(connection, context, point_id)
        return _found(find_kept(connection, SERVICES, point_id, service_id))

    row = await services.reads.run(context, read)
    response.headers["ETag"] = etag(row.revision)
    return service_answer(row, services.norms)


@router.get("", summary="List what can be booked at a point", responses=problems("not-found", "cursor-invalid"))
async def get_services(
    request: Request, context: Anyone, point_id: str, page_size: PageSize = 50, cursor: CursorText = None
) -> ServicesAnswer:
    """List the services of a point by id."""
    services, listed = services_of(request), f"services {point_id}"
    after = read_cursor(services.secret, listed, cursor) or [""]

    def page_of(connection: ReadConnection) -> ServicesAnswer:
        _check_seen(connection, context, point_id)
        rows = list_kept(connection, SERVICES, point_id, after=after[0], limit=page_size + 1)
        page, following = next_page(services.secret, listed, rows, page_size, lambda row: [row.service_id])
        return ServicesAnswer(items=[service_answer(row, services.norms) for row in page], next_cursor=following)

    return await services.reads.run(context, page_of)


@router.delete(
    "/{service_id}",
    status_code=204,
    summary="Delete a service",
    responses=problems("not-found", "precondition-failed", "precondition-required"),
)
async def delete_one_service(request: Request, context: AdminOrMerchant, point_id: str, service_id: str) -> Response:
    """Let nothing more be booked of a service; `If-Match` holds the ETag that was read. What is promised stays."""
    merchant_id = own_merchant(context, point_id)

    def remove(connection: WriteConnection) -> None:
        locked_point(connection, merchant_id, point_id)
        row = _found(find_kept(connection, SERVICES, point_id, service_id))
        check_match(request, etag(row.revision))
        delete_kept(connection, SERVICES, row)
        record(connection, actor_of(context), "service.delete", point_id, merchant_id, service_id=service_id)

    await services_of(request).store.write(remove, context.deadline)
    return Response(status_code=204)


def _check_seen(connection: ReadConnection, context: RequestContext, point_id: str) -> None:
    """Answer 404 about a point that a caller may not see: another's as its merchant, all that is not public else."""
    reads_all = context.key_holder.scope in {"admin", "merchant"}
    if reads_all:
        own_merchant(context, point_id)
    found = find_point(connection, point_id)
    if found is None or not (reads_all or is_public(found)):
        raise not_found()


def _found(row: AnyRow | None) -> AnyRow:
    if row is None:
        raise not_found()
    return row

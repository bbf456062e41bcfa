"""Crews and services of a point by file."""

from __future__ import annotations

from fastapi import APIRouter, Request

from service.crews.importing import CrewImport, ServiceImport
from service.http.access import AdminOrMerchant
from service.http.context import services_of
from service.http.idempotency import idempotency_key
from service.http.routing import StrictRoute, problems
from service.imports.schemas import ImportDone
from service.imports.store import import_id_of
from service.imports.taking import IMPORT_PROBLEMS, NDJSON, kind_of_lines, lines_body, take_import
from service.points.routes import own_merchant

__all__ = ["router"]

router = APIRouter(prefix="/v1/points/{point_id}", tags=["crews"], route_class=StrictRoute)

_LINES = "One a line, each with its {name}; up to 10 000 lines of up to 256 KiB."


@router.post(
    "/crews:import",
    summary="Make or replace many crews",
    responses=problems(*IMPORT_PROBLEMS),
    openapi_extra=lines_body(_LINES.format(name="crew_id"), NDJSON),
)
async def post_crew_import(request: Request, context: AdminOrMerchant, point_id: str) -> ImportDone:
    """
    Make or replace crews of a point, a JSON object a line (NDJSON).

    A bad line is reported and leaves the others in; so is one whose crew could not make any more what it has promised.
    If the stream breaks off, send the same again with the same `Idempotency-Key`: it goes on where it was.
    """
    merchant_id, services = own_merchant(context, point_id), services_of(request)
    kind_of_lines(request, NDJSON)
    kind = CrewImport(merchant_id, point_id, services.bookings, context.key_holder.key_id)
    import_id = import_id_of(f"{point_id} crews", idempotency_key(request))
    return await take_import(request, context, request.stream(), kind, import_id)


@router.post(
    "/services:import",
    summary="Make or replace many services",
    responses=problems(*IMPORT_PROBLEMS),
    openapi_extra=lines_body(_LINES.format(name="service_id"), NDJSON),
)
async def post_service_import(request: Request, context: AdminOrMerchant, point_id: str) -> ImportDone:
    """Make or replace services of a point, a JSON object a line (NDJSON); bad lines are reported as those of crews are."""
    merchant_id, services = own_merchant(context, point_id), services_of(request)
    kind_of_lines(request, NDJSON)
    kind = ServiceImport(merchant_id, point_id, services.bookings, context.key_holder.key_id)
    import_id = import_id_of(f"{point_id} services", idempotency_key(request))
    return await take_import(request, context, request.stream(), kind, import_id)

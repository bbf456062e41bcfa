"""The trail over HTTP."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request

from service.audit.schemas import AuditPage, audit_record
from service.audit.store import list_audit
from service.http.access import AdminOrMerchant, not_found, owner_of
from service.http.context import services_of
from service.http.pages import CursorText, PageSize, next_page, read_cursor
from service.http.routing import StrictRoute, problems

__all__ = ["router"]

router = APIRouter(prefix="/v1/audit", tags=["audit"], route_class=StrictRoute)

Wanted = Annotated[str | None, Query(max_length=200)]


@router.get("", summary="Who did what", responses=problems("cursor-invalid", "not-found"))
async def get_audit(
    request: Request,
    context: AdminOrMerchant,
    page_size: PageSize = 50,
    cursor: CursorText = None,
    action: Wanted = None,
    subject: Wanted = None,
    merchant_id: Wanted = None,
) -> AuditPage:
    """List the trail, the newest first; a merchant sees what concerns him."""
    services, owner = services_of(request), owner_of(context)
    if owner is not None and merchant_id not in {None, owner}:
        raise not_found()
    wanted = {"merchant_id": merchant_id if owner is None else owner, "action": action, "subject": subject}
    listed = f"audit {sorted(wanted.items())}"
    after = read_cursor(services.secret, listed, cursor)
    rows = await services.reads.run(
        context,
        lambda connection: list_audit(connection, before=after[0] if after else None, limit=page_size + 1, **wanted),
    )
    page, next_cursor = next_page(services.secret, listed, rows, page_size, lambda row: [row.id])
    return AuditPage(items=[audit_record(row) for row in page], next_cursor=next_cursor)

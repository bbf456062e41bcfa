"""What answers about the trail hold."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Any

from service.clock import from_us
from service.http.fields import Answer

if TYPE_CHECKING:
    from service.store.connections import AnyRow

__all__ = ["AuditPage", "AuditRecord", "audit_record"]


class AuditRecord(Answer):
    """Who did what to what, and when."""

    audit_id: int
    at: dt.datetime
    key_id: str
    scope: str
    merchant_id: str | None
    action: str
    subject: str
    request_id: str
    detail: dict[str, Any]


class AuditPage(Answer):
    """Records, the newest first."""

    items: list[AuditRecord]
    next_cursor: str | None


def audit_record(row: AnyRow) -> AuditRecord:
    """Return what is told of a row."""
    return AuditRecord(
        audit_id=row.id,
        at=from_us(row.at),
        key_id=row.key_id,
        scope=row.scope,
        merchant_id=row.merchant_id,
        action=row.action,
        subject=row.subject,
        request_id=row.request_id,
        detail=json.loads(row.detail) if row.detail else {},
    )

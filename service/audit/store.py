"""The trail in the store."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from service.store.tables import audit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.http.context import RequestContext
    from service.store.connections import AnyRow, ReadConnection, WriteConnection

__all__ = ["COMMAND", "Actor", "actor_of", "list_audit", "record"]


@dataclass(frozen=True)
class Actor:
    """Who does something: the key that a request came with, or a command on the machine."""

    key_id: str
    scope: str
    request_id: str


COMMAND = Actor("command", "admin", "command")


def actor_of(context: RequestContext) -> Actor:
    """Return who makes a request."""
    return Actor(context.key_holder.key_id, context.key_holder.scope, context.request_id)


def record(
    connection: WriteConnection, actor: Actor, action: str, subject: str, merchant_id: str | None, **detail: Any
) -> None:
    """
    Leave a record, in the transaction of what it tells of.

    Parameters
    ----------
    action
        A noun and a verb: ``merchant.verify``.
    subject
        The id of what it was done to.
    merchant_id
        The merchant whom it concerns and who may read it, None for what concerns none.
    detail
        Names and states, never places, secrets or what a person wrote.
    """
    values = {
        "key_id": actor.key_id,
        "scope": actor.scope,
        "request_id": actor.request_id,
        "action": action,
        "subject": subject,
        "merchant_id": merchant_id,
        "detail": json.dumps(detail) if detail else None,
    }
    connection.record_audit(values)


def list_audit(
    connection: ReadConnection,
    *,
    before: int | None,
    limit: int,
    merchant_id: str | None = None,
    action: str | None = None,
    subject: str | None = None,
) -> Sequence[AnyRow]:
    """Return records, the newest first, from before one of them."""
    query = select(audit).order_by(audit.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(audit.c.id < before)
    for column, wanted in ((audit.c.merchant_id, merchant_id), (audit.c.action, action), (audit.c.subject, subject)):
        if wanted is not None:
            query = query.where(column == wanted)
    return connection.rows(query)

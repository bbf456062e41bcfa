"""Webhooks in the store, as their owners see them."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, func, insert, select, tuple_, update

from service.audit.store import record
from service.errors import StateConflictError
from service.store.order_tables import webhook_deliveries, webhooks
from service.webhooks.deliveries import LOCK, release_some
from service.webhooks.rules import DISABLED_DELETED, OLD_SECRET_S, WEBHOOKS_AN_OWNER
from service.webhooks.signing import kept_secrets, new_secret, old_secrets

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Select

    from service.audit.store import Actor
    from service.store.connections import AnyRow, ReadConnection, WriteConnection

__all__ = [
    "Whose",
    "create_webhook",
    "delete_webhook",
    "enable_webhook",
    "find_webhook",
    "list_deliveries",
    "list_webhooks",
    "rotate_secret",
]

_SECOND_US = 1_000_000
_OLD_SECRETS = 4
_DELETED_AT_ONCE = 4_000  # deliveries


@dataclass(frozen=True)
class Whose:
    """
    Whose webhooks a caller may see: a merchant's, an app's, or all.

    Attributes
    ----------
    merchant_id, app
        Which; with neither, all.
    """

    merchant_id: str | None = None
    app: str | None = None

    def narrow(self, query: Select[Any]) -> Select[Any]:
        """Return a query of those alone."""
        if self.app is not None:
            return query.where(webhooks.c.owner == self.app)
        return query if self.merchant_id is None else query.where(webhooks.c.merchant_id == self.merchant_id)


def create_webhook(connection: WriteConnection, actor: Actor, whose: Whose, url: str) -> AnyRow:
    """
    Make a webhook: of a merchant's orders, of an app's, or of all.

    Raises
    ------
    StateConflictError
        If its owner has as many as there may be.
    """
    connection.lock(f"webhooks of {whose}")
    mine = (
        webhooks.c.merchant_id.is_not_distinct_from(whose.merchant_id),
        webhooks.c.owner.is_not_distinct_from(whose.app),
    )
    if connection.value(select(func.count()).select_from(webhooks).where(*mine)) >= WEBHOOKS_AN_OWNER:
        text = f"there are {WEBHOOKS_AN_OWNER} webhooks, as many as there may be: delete one"
        raise StateConflictError(text)
    webhook_id = f"wh_{secrets.token_hex(8)}"
    values = {
        "webhook_id": webhook_id,
        "owner": whose.app,
        "merchant_id": whose.merchant_id,
        "url": url,
        "secret": new_secret(),
        "is_disabled": False,
        "created_at": connection.now_us,
    }
    connection.run(insert(webhooks), values)
    record(connection, actor, "webhook.create", webhook_id, whose.merchant_id)
    return _found_again(connection, webhook_id)


def find_webhook(connection: ReadConnection, webhook_id: str, whose: Whose) -> AnyRow | None:
    """Return a webhook, None if there is none that may be seen."""
    return connection.row(whose.narrow(select(webhooks).where(webhooks.c.webhook_id == webhook_id)))


def list_webhooks(connection: ReadConnection, whose: Whose, *, after: str, limit: int) -> Sequence[AnyRow]:
    """Return webhooks by their ids, from behind one of them."""
    query = select(webhooks).where(webhooks.c.webhook_id > after).order_by(webhooks.c.webhook_id).limit(limit)
    return connection.rows(whose.narrow(query))


def delete_webhook(connection: WriteConnection, actor: Actor, webhook_id: str, whose: Whose) -> bool | None:
    """
    Delete a webhook with its deliveries; tell whether it is gone, None if there was none.

    Where it has many it is disabled then, with fewer of them: it is called again, in another transaction.
    """
    connection.lock(LOCK)  # or a delivery could be planned for it meanwhile
    row = _locked(connection, webhook_id, whose)
    if row is None:
        return None
    its = webhook_deliveries.c.webhook_id == webhook_id
    some = select(webhook_deliveries.c.event_id).where(its).limit(_DELETED_AT_ONCE)
    n_deleted = connection.run(delete(webhook_deliveries).where(its, webhook_deliveries.c.event_id.in_(some)))
    if n_deleted == _DELETED_AT_ONCE:
        values = {"is_disabled": True, "why_disabled": DISABLED_DELETED}
        connection.run(update(webhooks).where(webhooks.c.webhook_id == webhook_id).values(values))
        return False
    connection.run(delete(webhooks).where(webhooks.c.webhook_id == webhook_id))
    record(connection, actor, "webhook.delete", webhook_id, row.merchant_id)
    return True


def rotate_secret(connection: WriteConnection, actor: Actor, webhook_id: str, whose: Whose) -> AnyRow | None:
    """
    Give a webhook a new secret; return it, None if there is none.

    The one before signs too for a day, and those that still did go on to the end of theirs: whoever rotates twice since an
    answer got lost must not cut off a receiver that has none of the new ones.
    """
    row = _locked(connection, webhook_id, whose)
    if row is None:
        return None
    still = old_secrets(row.old_secret, row.old_until, connection.now_us)
    values = {
        "secret": new_secret(),
        "old_secret": kept_secrets(row.secret, still[: _OLD_SECRETS - 1]),
        "old_until": connection.now_us + OLD_SECRET_S * _SECOND_US,
    }
    return _changed(connection, actor, row, "webhook.rotate", values)


def enable_webhook(connection: WriteConnection, actor: Actor, webhook_id: str, whose: Whose) -> AnyRow | None:
    """
    Let a webhook be sent to again, first what was waiting; return it, None if there is none.

    Where much waits it is still disabled then, with less to do: it is called again, in another transaction.

    Raises
    ------
    StateConflictError
        If it is being deleted: some of what it would send is gone already, and what comes behind that would never be due.
    """
    row = _locked(connection, webhook_id, whose)
    if row is None or not row.is_disabled:
        return row
    if row.why_disabled == DISABLED_DELETED:
        text = f"{DISABLED_DELETED}: DELETE it again, and make another"
        raise StateConflictError(text)
    if not release_some(connection, webhook_id):
        return row
    values = {"is_disabled": False, "why_disabled": None, "failing_since": None}
    return _changed(connection, actor, row, "webhook.enable", values)


def list_deliveries(
    connection: ReadConnection, webhook_id: str, *, after: tuple[int, str] | None, limit: int
) -> Sequence[AnyRow]:
    """Return the deliveries of a webhook, the latest first, from behind one of them."""
    table = webhook_deliveries.c
    query = select(webhook_deliveries).where(table.webhook_id == webhook_id)
    if after is not None:
        query = query.where(tuple_(table.created_at, table.event_id) < after)
    return connection.rows(query.order_by(table.created_at.desc(), table.event_id.desc()).limit(limit))


def _locked(connection: WriteConnection, webhook_id: str, whose: Whose) -> AnyRow | None:
    query = select(webhooks).where(webhooks.c.webhook_id == webhook_id).with_for_update()
    return connection.row(whose.narrow(query))


def _changed(connection: WriteConnection, actor: Actor, row: AnyRow, action: str, values: dict[str, Any]) -> AnyRow:
    connection.run(update(webhooks).where(webhooks.c.webhook_id == row.webhook_id).values(**values))
    record(connection, actor, action, row.webhook_id, row.merchant_id)
    return _found_again(connection, row.webhook_id)


def _found_again(connection: ReadConnection, webhook_id: str) -> AnyRow:
    return connection.rows(select(webhooks).where(webhooks.c.webhook_id == webhook_id))[0]

"""Merchants in the store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import insert, select, update

from service.audit.store import record
from service.errors import StateConflictError
from service.merchants.rules import next_state
from service.store.tables import merchants

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from service.audit.store import Actor
    from service.merchants.rules import EventName, State
    from service.store.connections import AnyRow, ReadConnection, WriteConnection

__all__ = ["create_merchant", "find_merchant", "list_merchants", "move_merchant", "rename_merchant"]


def create_merchant(connection: WriteConnection, actor: Actor, merchant_id: str, name: str, status: State) -> AnyRow:
    """
    Register a merchant.

    Raises
    ------
    StateConflictError
        If its id is taken.
    """
    connection.lock(f"merchant {merchant_id}")
    if find_merchant(connection, merchant_id) is not None:
        text = f"the merchant_id {merchant_id} is taken"
        raise StateConflictError(text)
    values = {
        "merchant_id": merchant_id,
        "name": name,
        "status": status,
        "revision": 1,
        "created_at": connection.now_us,
        "updated_at": connection.now_us,
    }
    connection.run(insert(merchants), values)
    connection.record_change("merchant", merchant_id, 1, merchant_id)
    record(connection, actor, "merchant.create", merchant_id, merchant_id, status=status)
    return _found_again(connection, merchant_id)


def rename_merchant(
    connection: WriteConnection, actor: Actor, merchant_id: str, name: str, check: Callable[[int], None]
) -> AnyRow | None:
    """
    Give a merchant another name; return it, None if there is none. ``check`` may refuse its revision.

    The name that it has changes nothing.
    """
    row = _locked(connection, merchant_id, check)
    if row is None or row.name == name:
        return row
    return _changed(connection, actor, row, "merchant.change", {"name": name}, changed=["name"])


def move_merchant(
    connection: WriteConnection, actor: Actor, merchant_id: str, event: EventName, check: Callable[[int], None]
) -> AnyRow | None:
    """
    Let an event happen to a merchant; return it, None if there is none. ``check`` may refuse its revision.

    Raises
    ------
    StateConflictError
        Where its state does not allow the event.
    """
    row = _locked(connection, merchant_id, check)
    if row is None:
        return None
    status = next_state(row.status, event)
    return _changed(connection, actor, row, f"merchant.{event}", {"status": status}, before=row.status, after=status)


def find_merchant(connection: ReadConnection, merchant_id: str) -> AnyRow | None:
    """Return a merchant."""
    return connection.row(select(merchants).where(merchants.c.merchant_id == merchant_id))


def list_merchants(
    connection: ReadConnection, *, after: str, limit: int, status: State | None = None
) -> Sequence[AnyRow]:
    """Return merchants by their ids, from behind one of them."""
    query = select(merchants).where(merchants.c.merchant_id > after).order_by(merchants.c.merchant_id).limit(limit)
    return connection.rows(query if status is None else query.where(merchants.c.status == status))


def _locked(connection: WriteConnection, merchant_id: str, check: Callable[[int], None]) -> AnyRow | None:
    connection.lock(f"merchant {merchant_id}")
    row = find_merchant(connection, merchant_id)
    if row is not None:
        check(row.revision)
    return row


def _changed(
    connection: WriteConnection, actor: Actor, row: AnyRow, action: str, values: dict[str, str], **detail: object
) -> AnyRow:
    merchant_id, revision = row.merchant_id, row.revision + 1
    statement = update(merchants).where(merchants.c.merchant_id == merchant_id)
    connection.run(statement.values(revision=revision, updated_at=connection.now_us, **values))
    connection.record_change("merchant", merchant_id, revision, merchant_id)
    record(connection, actor, action, merchant_id, merchant_id, **detail)
    return _found_again(connection, merchant_id)


def _found_again(connection: ReadConnection, merchant_id: str) -> AnyRow:
    return connection.rows(select(merchants).where(merchants.c.merchant_id == merchant_id))[0]

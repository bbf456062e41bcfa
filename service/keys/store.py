"""Keys in the store."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import delete, func, insert, or_, select, update

from service.audit.store import COMMAND, record
from service.errors import StateConflictError
from service.keys.formats import key_digest, new_key
from service.keys.ring import lives
from service.store.tables import keys

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.audit.store import Actor
    from service.store.connections import AnyRow, ReadConnection, WriteConnection

__all__ = [
    "LIVE_KEYS_A_MERCHANT",
    "NewKey",
    "create_key",
    "find_key",
    "forget_keys",
    "has_admin",
    "list_keys",
    "revoke_crew_keys",
    "revoke_key",
]


LIVE_KEYS_A_MERCHANT = 100


@dataclass(frozen=True)
class NewKey:
    """A key as it is shown once: ``secret`` is kept nowhere, ``row`` is what is kept."""

    row: AnyRow
    secret: str


def create_key(
    connection: WriteConnection,
    *,
    scope: str,
    label: str,
    merchant_id: str | None = None,
    crew: str | None = None,
    rate: int | None = None,
    expires_us: int | None = None,
    actor: Actor = COMMAND,
) -> NewKey:
    """
    Make a key.

    Raises
    ------
    StateConflictError
        If its merchant has as many as there may be.
    """
    if merchant_id is not None:
        connection.lock(f"merchant {merchant_id}")
        _check_room(connection, merchant_id)
    secret, key_id = new_key(scope), f"key_{secrets.token_hex(8)}"
    connection.lock(f"key {key_id}")
    values = {
        "key_id": key_id,
        "digest": key_digest(secret),
        "scope": scope,
        "merchant_id": merchant_id,
        "label": label,
        "crew": crew,
        "rate": rate,
        "created_at": connection.now_us,
        "expires_at": expires_us,
        "revoked_at": None,
    }
    connection.run(insert(keys), values)
    connection.record_change("key", key_id, 1, merchant_id)
    record(connection, actor, "key.create", key_id, merchant_id, scope=scope)
    return NewKey(connection.rows(select(keys).where(keys.c.key_id == key_id))[0], secret)


def revoke_key(
    connection: WriteConnection, key_id: str, merchant_id: str | None = None, actor: Actor = COMMAND
) -> AnyRow | None:
    """Revoke a key, of one merchant's if given, and return it, None if there is none; once more changes nothing."""
    connection.lock(f"key {key_id}")
    row = find_key(connection, key_id, merchant_id)
    if row is not None and row.revoked_at is None:
        connection.run(update(keys).where(keys.c.key_id == key_id).values(revoked_at=connection.now_us))
        connection.record_change("key", key_id, 2, row.merchant_id)
        record(connection, actor, "key.revoke", key_id, row.merchant_id, scope=row.scope)
    return find_key(connection, key_id, merchant_id)


def revoke_crew_keys(
    connection: WriteConnection, merchant_id: str, point_id: str, crew_id: str | None = None, actor: Actor = COMMAND
) -> None:
    """Revoke the keys of a crew that is gone, or of all crews of a point: who has its name one day is somebody else."""
    query = select(keys.c.key_id, keys.c.crew).where(keys.c.merchant_id == merchant_id, keys.c.crew.is_not(None))
    for row in connection.rows(query.where(keys.c.revoked_at.is_(None)).order_by(keys.c.key_id)):
        of_point, _, of_crew = row.crew.partition("/")
        if of_point == point_id and crew_id in {None, of_crew}:
            revoke_key(connection, row.key_id, merchant_id, actor)


def find_key(connection: ReadConnection, key_id: str, merchant_id: str | None = None) -> AnyRow | None:
    """Return a key, of one merchant's if given."""
    query = select(keys).where(keys.c.key_id == key_id)
    return connection.row(query if merchant_id is None else query.where(keys.c.merchant_id == merchant_id))


def list_keys(
    connection: ReadConnection, *, after: str = "", limit: int = 100, merchant_id: str | None = None
) -> Sequence[AnyRow]:
    """Return keys by name, revoked ones too until they are forgotten."""
    query = select(keys).where(keys.c.key_id > after).order_by(keys.c.key_id).limit(limit)
    return connection.rows(query if merchant_id is None else query.where(keys.c.merchant_id == merchant_id))


def forget_keys(connection: WriteConnection, before_us: int, limit: int) -> int:
    """Delete keys that were revoked, or expired, before an instant; return how many. The trail still has their ids."""
    is_over = or_(keys.c.revoked_at < before_us, keys.c.expires_at < before_us)
    ids = [row[0] for row in connection.rows(select(keys.c.key_id).where(is_over).limit(limit))]
    return connection.run(delete(keys).where(keys.c.key_id.in_(ids))) if ids else 0


def has_admin(connection: ReadConnection, now_us: int) -> bool:
    """Tell whether any admin key lives at an instant."""
    query = select(keys.c.key_id).where(keys.c.scope == "admin", lives(now_us)).limit(1)
    return connection.row(query) is not None


def _check_room(connection: WriteConnection, merchant_id: str) -> None:
    query = select(func.count()).select_from(keys).where(keys.c.merchant_id == merchant_id, lives(connection.now_us))
    if connection.value(query) >= LIVE_KEYS_A_MERCHANT:
        text = f"the merchant has {LIVE_KEYS_A_MERCHANT} keys that live, as many as there may be: revoke one"
        raise StateConflictError(text)

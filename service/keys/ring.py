"""The keys as this process knows them: all that live, followed by the feed, so that none is looked up in the store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import and_, or_, select

from service.keys.formats import key_digest
from service.store.tables import keys

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement

    from service.clock import Clock
    from service.feed.outbox import Change, Position
    from service.store.connections import AnyRow, ReadConnection

__all__ = ["Caller", "KeyRing", "lives"]

_EXPIRED_US = 60_000_000  # so long after its end a key is still held: whoever made it may wait for it to be known


@dataclass(frozen=True)
class Caller:
    """
    Who asks.

    Attributes
    ----------
    key_id
        The key's name, which is no secret.
    scope
        Of `service.keys.formats.SCOPES`.
    merchant_id
        Whose key it is; None for those of no merchant.
    rate
        Requests a second, None for the default.
    expires_us
        When it ends, None for never.
    label
        What it is for; an app goes by it.
    crew
        Of a crew's key: its point, a slash, its id.
    """

    key_id: str
    scope: str
    merchant_id: str | None
    rate: int | None
    expires_us: int | None
    label: str = ""
    crew: str = ""


class KeyRing:
    """
    All keys that are neither revoked nor expired for long, by digest.

    Parameters
    ----------
    clock
        By which keys expire.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._callers: dict[str, Caller] = {}
        self._key_ids: frozenset[str] = frozenset()

    def caller_of(self, key: str, now_us: int) -> Caller | None:
        """Return who holds a key, None if nobody does any more."""
        caller = self._callers.get(key_digest(key))
        if caller is None or (caller.expires_us is not None and caller.expires_us <= now_us):
            return None
        return caller

    def knows(self, digest: str) -> bool:
        """Tell whether a key of this digest lives, as far as this process knows."""
        return digest in self._callers

    def reload(self, connection: ReadConnection, position: Position) -> None:
        """Read all keys."""
        self._read(connection)

    def follow(self, connection: ReadConnection, changes: Sequence[Change]) -> None:
        """Read all keys again where one has changed: there are few, and it is seldom."""
        if any(change.kind == "key" for change in changes):
            self._read(connection)

    def _read(self, connection: ReadConnection) -> None:
        self._callers = _callers(connection, self._clock.now_us() - _EXPIRED_US)
        self._key_ids = frozenset(caller.key_id for caller in self._callers.values())

    def verify(self, connection: ReadConnection) -> bool:
        """Tell whether the keys that live are those that are known: a revoked one among them would still open."""
        after_us = self._clock.now_us() - _EXPIRED_US
        known = {
            digest: caller
            for digest, caller in self._callers.items()
            if caller.expires_us is None or caller.expires_us > after_us
        }
        return _callers(connection, after_us) == known

    def still_holds(self, caller: Caller, now_us: int) -> bool:
        """Tell whether a caller's key still lives, for what goes on after it was let in."""
        is_over = caller.expires_us is not None and caller.expires_us <= now_us
        return not is_over and caller.key_id in self._key_ids


def _callers(connection: ReadConnection, after_us: int) -> dict[str, Caller]:
    """Return who holds the keys that end after an instant, by digest."""
    return {row.digest: _caller(row) for row in connection.rows(select(keys).where(lives(after_us)))}


def lives(at_us: int) -> ColumnElement[bool]:
    """Return the condition that a key is not revoked, and lasts beyond an instant."""
    return and_(keys.c.revoked_at.is_(None), or_(keys.c.expires_at.is_(None), keys.c.expires_at > at_us))


def _caller(row: AnyRow) -> Caller:
    return Caller(row.key_id, row.scope, row.merchant_id, row.rate, row.expires_at, row.label, row.crew or "")

"""What requests and answers about keys hold."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

from pydantic import Field

from service.clock import from_us
from service.http.fields import Answer, Body, Id, Instant, Line, line

if TYPE_CHECKING:
    from service.store.connections import AnyRow

__all__ = ["AskedKey", "Key", "KeyOnce", "KeyPage", "key_of"]

Scope: TypeAlias = Literal["admin", "merchant", "app", "planner", "station", "crew"]
Rate = Annotated[int, Field(ge=1, le=1_000_000, description="Requests a second; without, the server's default.")]


class AskedKey(Body):
    """A key to make."""

    scope: Scope
    merchant_id: Id | None = Field(None, description="Whose key it is; a merchant's own without.")
    label: Line | None = Field(
        None,
        description="What it is for, to know it again. Keys of scope app with the same label are one app: each sees and "
        "does what the others can. Without, a key is an app of its own.",
    )
    crew: Annotated[str, Field(max_length=250, examples=["corner:main/anna"]), line(250)] | None = Field(
        None, description="Of a key of scope crew: whose day it sees, a point, a slash, a crew."
    )
    rate: Rate | None = None
    expires_at: Instant | None = Field(
        None, description="When it ends; without, never, or with the merchant's key that makes it: none outlasts that."
    )


class Key(Answer):
    """A key, without its secret, which is kept nowhere."""

    key_id: str
    scope: Scope
    merchant_id: str | None
    label: str
    crew: str | None
    rate: int | None
    created_at: dt.datetime
    expires_at: dt.datetime | None
    revoked_at: dt.datetime | None


class KeyOnce(Key):
    """A new key with its secret: it is told once, and null where the request comes again."""

    secret: str | None


class KeyPage(Answer):
    """Keys by their ids."""

    items: list[Key]
    next_cursor: str | None


def key_of(row: AnyRow) -> Key:
    """Return what is told of a row."""
    return Key(
        key_id=row.key_id,
        scope=row.scope,
        merchant_id=row.merchant_id,
        label=row.label,
        crew=row.crew,
        rate=row.rate,
        created_at=from_us(row.created_at),
        expires_at=None if row.expires_at is None else from_us(row.expires_at),
        revoked_at=None if row.revoked_at is None else from_us(row.revoked_at),
    )

"""Lists in pages: a cursor says where the next one starts, and cannot be made up."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Callable, Sequence
from typing import Annotated, Any, TypeVar

from fastapi import Query

from service.http.fields import whole_from
from service.http.problems import ProblemError, Trouble

__all__ = ["CursorText", "PageSize", "cursor_of", "next_page", "read_cursor"]

T = TypeVar("T")

_LEAST, _MOST = 1, 200

PageSize = Annotated[int, whole_from(_LEAST, _MOST), Query(description="How many at most.")]
CursorText = Annotated[str | None, Query(max_length=1024, description="`next_cursor` of the page before.")]

_SUM_BYTES = 12


def cursor_of(secret: bytes, listed: str, after: list[Any]) -> str:
    """Return the cursor that goes on after a place in a list; ``listed`` says which list, filters included."""
    told = json.dumps(after, separators=(",", ":")).encode()
    return _encoded(_sum(secret, listed, told) + told)


def read_cursor(secret: bytes, listed: str, cursor: str | None) -> list[Any] | None:
    """
    Return the place that a cursor of this list stands for, None without one.

    Raises
    ------
    ProblemError
        If the list never gave it.
    """
    if cursor is None:
        return None
    try:
        raw = base64.b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, UnicodeEncodeError):
        raw = b""
    told = raw[_SUM_BYTES:]
    if (
        _encoded(raw) != cursor
        or len(raw) <= _SUM_BYTES
        or not hmac.compare_digest(raw[:_SUM_BYTES], _sum(secret, listed, told))
    ):
        text = "must be next_cursor of the page before, with the same filters"
        raise ProblemError("cursor-invalid", text, (Trouble("cursor", text),))
    place: list[Any] = json.loads(told)
    return place


def next_page(
    secret: bytes, listed: str, found: Sequence[T], size: int, place_of: Callable[[T], list[Any]]
) -> tuple[Sequence[T], str | None]:
    """Return a page, and the cursor of the next one where one more was found than the page takes."""
    page = found[:size]
    return page, cursor_of(secret, listed, place_of(page[-1])) if len(found) > size else None


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _sum(secret: bytes, listed: str, told: bytes) -> bytes:
    return hmac.digest(secret, listed.encode() + b"\0" + told, hashlib.sha256)[:_SUM_BYTES]

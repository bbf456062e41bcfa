"""Point ids: ``merchant:local``, so that whose a point is stands in its name."""

from __future__ import annotations

import re

__all__ = ["LOCAL_CHARS", "LOCAL_ID", "POINT_ID", "merchant_of", "why_no_point_id"]

_MERCHANT = "[a-z0-9][a-z0-9-]{1,39}"
LOCAL_CHARS = "A-Za-z0-9._~@:-"
LOCAL_ID = re.compile(rf"[A-Za-z0-9][{LOCAL_CHARS}]{{0,127}}")
POINT_ID = re.compile(rf"({_MERCHANT}):{LOCAL_ID.pattern}")
_FORM = "must be the merchant's id, a colon, then 1 to 128 letters, digits and any of ._~@:- behind the first"


def merchant_of(point_id: str) -> str | None:
    """Return the merchant that a point id names, None where it is no point id."""
    found = POINT_ID.fullmatch(point_id)
    return None if found is None else found[1]


def why_no_point_id(point_id: str, merchant_id: str) -> str | None:
    """Return why a text cannot be the id of a merchant's point, None if it can."""
    found = POINT_ID.fullmatch(point_id)
    if found is None:
        return f"{_FORM}, got {point_id!r:.80}"
    if found[1] != merchant_id:
        return f"must begin with {merchant_id}:, got {point_id!r:.80}"
    return None

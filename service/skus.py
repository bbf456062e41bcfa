"""What an SKU is: one rule for what is kept, ordered and asked for."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from service.http.problems import invalid

__all__ = ["SKU", "Sku", "why_no_sku"]

SKU = r"[A-Za-z0-9][A-Za-z0-9._~:-]{0,63}"
_WHOLE = re.compile(SKU)


def why_no_sku(sku: str) -> str | None:
    """Return why a text cannot be an SKU, None if it can."""
    if _WHOLE.fullmatch(sku) is not None:
        return None
    return f"must be 1 to 64 letters, digits and any of ._~:- behind the first, got {sku!r:.80}"


def _sku(sku: str) -> str:
    reason = why_no_sku(sku)
    if reason is not None:
        raise invalid("", reason)
    return sku


Sku = Annotated[str, Field(json_schema_extra={"pattern": f"^{SKU}$"}, examples=["milk-1l"]), AfterValidator(_sku)]

"""What requests and answers about stock hold."""

from __future__ import annotations

import datetime as dt
import re
from typing import Annotated

from pydantic import AfterValidator, Field

from service.http.fields import Answer, Body, Line
from service.http.problems import invalid
from service.points.schemas import MAX_UNITS, Units
from service.stock.currencies import CURRENCIES

__all__ = [
    "MAX_SKUS",
    "BulkStockBody",
    "PublicStock",
    "StockAnswer",
    "StockBody",
    "StockPage",
    "why_no_sku",
]

MAX_SKUS = 10_000
"""Of one point."""

_MAX_GOOD_FOR_S = 366 * 86_400
_SKU = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~:-]{0,63}")


def why_no_sku(sku: str) -> str | None:
    """Return why a text cannot be an SKU, None if it can."""
    if _SKU.fullmatch(sku) is not None:
        return None
    return f"must be 1 to 64 letters, digits and any of ._~:- behind the first, got {sku!r:.80}"


def _sku(sku: str) -> str:
    reason = why_no_sku(sku)
    if reason is not None:
        raise invalid("", reason)
    return sku


def _currency(code: str) -> str:
    if code not in CURRENCIES:
        raise invalid("", f"must be a currency of ISO 4217 such as CNY, got {code!r:.20}")
    return code


Sku = Annotated[
    str, Field(json_schema_extra={"pattern": f"^{_SKU.pattern}$"}, examples=["milk-1l"]), AfterValidator(_sku)
]
Currency = Annotated[
    str, Field(json_schema_extra={"enum": sorted(CURRENCIES)}, examples=["CNY"]), AfterValidator(_currency)
]


class StockBody(Body):
    """What a point has of one SKU, whole: what is left out takes its default."""

    name: Line
    price_minor: Annotated[int, Field(ge=0, le=MAX_UNITS, description="Of one unit, in minor units of the currency.")]
    currency: Currency = Field(description="ISO 4217; all that one point has is priced in one.")
    counted: Units | None = Field(
        description="Units there, those among them that open orders hold; null: made to order, no limit."
    )
    safety: Units = Field(0, description="Units kept back for those who come to the shelf.")
    good_for_s: Annotated[int, Field(ge=1, le=_MAX_GOOD_FOR_S)] | None = Field(
        None, description="Seconds for which a count is trusted; left out: until the next."
    )


class BulkStockBody(StockBody):
    """One line of a bulk upsert."""

    sku: Sku


class StockAnswer(Answer):
    """
    What a point has of one SKU, as its merchant sees it.

    Attributes
    ----------
    held
        Units that open orders hold.
    units
        That can still be ordered: those counted but for those held and kept back; null: no limit.
    available
        Whether any can be ordered now: there are units, and the count is still good.
    """

    point_id: str
    sku: str
    name: str
    price_minor: int
    currency: str
    counted: int | None
    held: int
    safety: int
    units: int | None
    counted_at: dt.datetime
    good_for_s: int | None
    good_until: dt.datetime | None
    available: bool
    revision: int


class PublicStock(Answer):
    """What a point has of one SKU, as everyone sees it: whether, but not how much."""

    sku: str
    name: str
    price_minor: int
    currency: str
    available: bool


class StockPage(Answer):
    """A page of what a point has."""

    items: list[StockAnswer] | list[PublicStock]
    next_cursor: str | None

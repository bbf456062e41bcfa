"""What requests and answers about stock hold."""

from __future__ import annotations

import datetime as dt
from typing import Annotated

from pydantic import AfterValidator, Field

from service.http.fields import Answer, Body, Line
from service.http.problems import invalid
from service.points.schemas import MAX_UNITS, Units
from service.skus import Sku
from service.stock.currencies import CURRENCIES

__all__ = [
    "MAX_SKUS",
    "BulkStockBody",
    "PublicStock",
    "StockAnswer",
    "StockBody",
    "StockPage",
]

MAX_SKUS = 10_000
"""Of one point."""

_MAX_GOOD_FOR_S = 366 * 86_400


def _currency(code: str) -> str:
    if code not in CURRENCIES:
        raise invalid("", f"must be a currency of ISO 4217 such as CNY, got {code!r:.20}")
    return code


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

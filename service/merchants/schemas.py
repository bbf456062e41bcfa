"""What requests and answers about merchants hold."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from service.clock import from_us
from service.http.fields import Answer, Body, Id, Line
from service.merchants.rules import State

if TYPE_CHECKING:
    from service.store.connections import AnyRow

__all__ = ["Merchant", "MerchantChanges", "MerchantPage", "NewMerchant", "merchant_of"]


class NewMerchant(Body):
    """A merchant to register."""

    merchant_id: Id
    name: Line


class MerchantChanges(Body):
    """What is to change of a merchant."""

    name: Line


class Merchant(Answer):
    """A merchant; its points serve while it is verified."""

    merchant_id: str
    name: str
    status: State
    revision: int
    created_at: dt.datetime
    updated_at: dt.datetime


class MerchantPage(Answer):
    """Merchants by their ids."""

    items: list[Merchant]
    next_cursor: str | None


def merchant_of(row: AnyRow) -> Merchant:
    """Return what is told of a row."""
    return Merchant(
        merchant_id=row.merchant_id,
        name=row.name,
        status=row.status,
        revision=row.revision,
        created_at=from_us(row.created_at),
        updated_at=from_us(row.updated_at),
    )

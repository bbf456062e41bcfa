"""What can be counted beside what is there, and what of it can be ordered."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from service.stock.schemas import MAX_SKUS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from service.stock.schemas import StockBody
    from service.store.connections import AnyRow

__all__ = ["SECOND_US", "Shelf", "StockFacts", "facts_of", "good_until_us", "has_units", "units_of", "why_held"]

SECOND_US = 1_000_000


class StockFacts(NamedTuple):
    """What a merchant says of an SKU, the fields named and ordered as the columns of the store."""

    sku: str
    name: str
    price_minor: int
    currency: str
    counted: int | None
    safety: int
    good_for_s: int | None


def facts_of(sku: str, body: StockBody) -> StockFacts:
    """Return what a body says of an SKU."""
    return StockFacts(sku, body.name, body.price_minor, body.currency, body.counted, body.safety, body.good_for_s)


def units_of(row: AnyRow) -> int | None:
    """Return the units of an entry that can be ordered, None where there is no limit."""
    return None if row.counted is None else max(0, int(row.counted) - int(row.held) - int(row.safety))


def good_until_us(row: AnyRow) -> int | None:
    """
    Return the first instant at which the count of an entry is no longer trusted, None where it is until the next.

    What is made to order has no count that could grow old.
    """
    if row.counted is None or row.good_for_s is None:
        return None
    return int(row.counted_at) + int(row.good_for_s) * SECOND_US


def has_units(row: AnyRow, wanted: int, now_us: int) -> bool:
    """Tell whether so many units of an entry can be ordered."""
    units, until = units_of(row), good_until_us(row)
    return (units is None or units >= wanted) and (until is None or now_us < until)


def why_held(held: int) -> str:
    """Return what to do about units that open orders hold."""
    return f"open orders hold {held} of it: answer those orders first"


class Shelf:
    """
    What is at a point while entries are added to it one by one.

    Parameters
    ----------
    held
        By SKU: units that orders hold, of deleted entries too.
    alive
        By SKU: the currency of those entries that are about to be replaced.
    currencies
        How many entries there are in each currency.
    """

    def __init__(self, held: Mapping[str, int], alive: Mapping[str, str], currencies: Mapping[str, int]) -> None:
        self._held = held
        self._alive = dict(alive)
        self._currencies = Counter(currencies)

    def add(self, facts: StockFacts) -> str | None:
        """Add or replace an entry; return why not where that cannot be, and leave all as it is."""
        held = self._held.get(facts.sku, 0)
        if facts.counted is not None and facts.counted < held:
            return f"{facts.counted} are counted, but {why_held(held)}"
        others = self._currencies.copy()
        if facts.sku in self._alive:
            others[self._alive[facts.sku]] -= 1
        others = +others
        if others.total() >= MAX_SKUS:
            return f"the point has {MAX_SKUS} SKUs, and no more are taken"
        if others and others.keys() != {facts.currency}:
            return f"all else at the point is priced in {', '.join(sorted(others))}, this in {facts.currency}"
        self._alive[facts.sku] = facts.currency
        self._currencies = others
        self._currencies[facts.currency] += 1
        return None

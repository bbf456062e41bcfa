"""What can be counted beside what is there."""

from __future__ import annotations

import re

import pytest

from service.skus import why_no_sku
from service.stock.currencies import CURRENCIES
from service.stock.rules import Shelf, StockFacts
from service.stock.schemas import MAX_SKUS


def _fact(sku: str, currency: str = "CNY", counted: int | None = 5) -> StockFacts:
    return StockFacts(sku, sku, 1, currency, counted, 0, None)


def test_shelf__takes_entries_in_their_order() -> None:
    shelf = Shelf({"a": 3, "gone": 2}, {"a": "CNY"}, {"CNY": 1})
    assert shelf.add(_fact("a", "EUR", 3)) is None  # alone, it may be priced anew
    assert "3 of it" in (shelf.add(_fact("a", "EUR", 2)) or "")
    assert "EUR" in (shelf.add(_fact("b", "CNY")) or "")
    assert shelf.add(_fact("b", "EUR")) is None
    assert "priced in EUR" in (shelf.add(_fact("a", "CNY")) or "")
    assert "2 of it" in (shelf.add(_fact("gone", "EUR", 1)) or "")
    assert shelf.add(_fact("gone", "EUR", None)) is None


def test_shelf__that_is_full_takes_only_what_it_has() -> None:
    shelf = Shelf({}, {"a": "CNY"}, {"CNY": MAX_SKUS - 1})
    assert shelf.add(_fact("b")) is None
    assert str(MAX_SKUS) in (shelf.add(_fact("c")) or "")
    assert shelf.add(_fact("a")) is None
    assert shelf.add(_fact("b", counted=0)) is None


def test_currencies__are_codes_that_prices_have() -> None:
    assert all(re.fullmatch("[A-Z]{3}", code) for code in CURRENCIES)
    assert {"CNY", "HKD", "MOP", "TWD", "EUR", "USD", "JPY", "XOF"} <= CURRENCIES
    assert CURRENCIES.isdisjoint({"XAU", "XXX", "XTS", "HRK", "BGN", "RMB", "CNH"})


@pytest.mark.parametrize("sku", ["a", "0", "A.b_c~d:e-f", "x" * 64])
def test_sku__may_be(sku: str) -> None:
    assert why_no_sku(sku) is None


@pytest.mark.parametrize("sku", ["", ".a", "-", "x" * 65, "a b", "a/b", "a\n", "é", "a;b"])
def test_sku__may_not_be(sku: str) -> None:
    assert why_no_sku(sku) is not None

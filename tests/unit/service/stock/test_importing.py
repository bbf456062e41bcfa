"""An import of stock: no more lines than are taken, and none behind them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from service.deadlines import Deadline
from service.http.context import RequestContext
from service.http.problems import ProblemError
from service.imports.streaming import import_stream
from service.stock.importing import StockImport
from service.stock.store import stock_of_points
from tests.registry import Offer, Point, Registry, opened


def test_import__of_more_lines_than_are_taken_ends_there(tmp_path: Path) -> None:
    with opened(tmp_path) as registry:
        registry.add_merchants(shop="verified")
        registry.put(Point("shop:1", 31.2, 121.5, [Offer("retail/pickup")]))
        assert StockImport("shop", "shop:1").most_lines == 100_000
        with pytest.raises(ProblemError, match="at most 900 lines"):
            _import(registry, 901)
        assert len(registry.services.store.read_now(lambda connection: stock_of_points(connection, None))) == 500
        _import(registry, 900, "another")


def _import(registry: Registry, n: int, key: str = "one") -> None:
    entry = {"name": "Milk", "price_minor": 1, "currency": "CNY", "counted": 1}

    async def lines() -> AsyncIterator[bytes]:
        for number in range(n):
            yield json.dumps(entry | {"sku": f"s{number}"}).encode() + b"\n"

    kind = StockImport("shop", "shop:1", most_lines=900)
    caller = registry.services.ring.caller_of(registry.keys["admin"], 0)
    running = import_stream(registry.services, lines(), kind, key, RequestContext("", caller, Deadline.after(60)))
    assert registry.runner.run(running) == {}

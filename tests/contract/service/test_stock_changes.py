"""What followers read of stock: all of a point, or what has changed since a revision, on both databases."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import pytest
from sqlalchemy import select, update

from service.stock.counting import lock_points
from service.stock.rules import StockFacts, good_until_us, units_of
from service.stock.store import (
    delete_entry,
    delete_stock,
    find_entry,
    list_entries,
    put_entries,
    stock_changes,
    stock_of_points,
)
from service.store.connections import WriteConnection
from service.store.database import Store
from service.store.order_tables import stock
from service.store.tables import points
from tests.feed_store import fill, opened_store
from tests.serving import Place

A, B = "m0:0", "m0:1"
PIECE = 500  # points that a follower asks about at once


@pytest.fixture(scope="module")
def store(place: Place) -> Iterator[Store]:
    with opened_store(place) as opened:
        fill(opened, 1, PIECE)
        yield opened


def _put(store: Store, point_id: str, *facts: StockFacts) -> None:
    def write(connection: WriteConnection) -> None:
        lock_points(connection, [point_id])
        assert put_entries(connection, "m0", point_id, facts) == {}

    store.write_now(write)


def _fact(sku: str, counted: int | None = 5, safety: int = 0, good_for_s: int | None = None) -> StockFacts:
    return StockFacts(sku, sku, 100, "CNY", counted, safety, good_for_s)


def _hold(connection: WriteConnection, point_id: str, sku: str, units: int) -> None:
    count = update(points).where(points.c.point_id == point_id).values(stock_revision=points.c.stock_revision + 1)
    revision = connection.value(count.returning(points.c.stock_revision))
    of_entry = (stock.c.point_id == point_id, stock.c.sku == sku)
    connection.run(update(stock).where(*of_entry).values(held=stock.c.held + units, revision=revision))


def _delete(connection: WriteConnection, point_id: str, sku: str) -> None:
    row = find_entry(connection, point_id, sku)
    assert row is not None
    delete_entry(connection, "m0", row)


def _told(found: Sequence[Any]) -> list[tuple[str, str, int | None, bool, int]]:
    return [(one.point_id, one.sku, one.units, one.is_deleted, one.revision) for one in found]


def test_stock__is_read_whole_and_by_what_changed_since_a_revision(store: Store) -> None:
    _put(store, A, _fact("a"), _fact("b", None), _fact("c", 3, 5), _fact("d", 9, 2, 60))
    _put(store, B, _fact("a", 1))
    store.write_now(partial(_hold, point_id=A, sku="d", units=4))
    whole = [(A, "a", 5, False, 1), (A, "b", None, False, 1), (A, "c", 0, False, 1), (A, "d", 3, False, 2)]
    found = store.read_now(lambda connection: stock_of_points(connection, [A, B, "m0:2"]))
    assert _told(found) == [*whole, (B, "a", 1, False, 1)]
    counted_at = store.read_now(
        lambda connection: connection.value(select(stock.c.counted_at).where(stock.c.sku == "d"))
    )
    assert [one.good_until_us for one in found] == [None, None, None, counted_at + 60_000_000, None]
    _put(store, A, _fact("e"), _fact("a", 0))
    store.write_now(partial(_delete, point_id=A, sku="b"))
    changed = [(A, "a", 0, False, 3), (A, "b", 0, True, 4), (A, "e", 5, False, 3)]
    known = {f"m0:{number}": 0 for number in range(2, PIECE)} | {A: 2, B: 1}
    assert _told(store.read_now(lambda connection: stock_changes(connection, known))) == changed
    assert _told(store.read_now(lambda connection: stock_changes(connection, {A: 3, B: 0}))) == [
        changed[1], (B, "a", 1, False, 1),
    ]  # fmt: skip
    assert store.read_now(lambda connection: stock_changes(connection, {A: 4, B: 1})) == []
    assert _told(store.read_now(lambda connection: stock_of_points(connection, None)))[:5] == [
        changed[0], whole[2], whole[3], changed[2], (B, "a", 1, False, 1),
    ]  # fmt: skip
    left = _told(store.read_now(lambda connection: stock_of_points(connection, [A])))
    assert left == [changed[0], whole[2], whole[3], changed[2]]


def test_units__are_those_that_the_merchant_is_told(store: Store) -> None:
    counts = [(None, 0, None), (None, 1, 60), (0, 0, 1), (3, 4, 60), (2**53 - 1, 0, 366 * 86_400), (7, 2, None)]
    _put(store, "m0:9", *(_fact(f"s{number}", *told) for number, told in enumerate(counts)))
    rows = store.read_now(lambda connection: stock_of_points(connection, ["m0:9"]))
    entries = store.read_now(lambda connection: list_entries(connection, "m0:9"))
    assert len(rows) == len(counts)
    told = [(row.units, row.good_until_us) for row in rows]
    assert told == [(units_of(entry), good_until_us(entry)) for entry in entries]


def test_stock__of_nothing_asked_is_nothing(store: Store) -> None:
    assert store.read_now(lambda connection: stock_of_points(connection, [])) == []
    assert store.read_now(lambda connection: stock_changes(connection, {})) == []


def test_entry__that_comes_back_keeps_what_orders_hold(store: Store) -> None:
    point_id = "m0:7"
    _put(store, point_id, _fact("a"))
    store.write_now(partial(_hold, point_id=point_id, sku="a", units=2))
    store.write_now(partial(delete_stock, merchant_id="m0", point_id=point_id))
    told = [(point_id, "a", 0, True, 3)]
    assert _told(store.read_now(lambda connection: stock_changes(connection, {point_id: 2}))) == told

    def count(connection: WriteConnection, counted: int) -> dict[int, str]:
        lock_points(connection, [point_id])
        return put_entries(connection, "m0", point_id, [_fact("a", counted)])

    assert list(store.write_now(partial(count, counted=1))) == [0]
    assert store.write_now(partial(count, counted=3)) == {}
    assert _told(store.read_now(lambda connection: stock_of_points(connection, [point_id]))) == [
        (point_id, "a", 1, False, 4)
    ]

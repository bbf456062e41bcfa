"""The live index knows what points have, whatever of it changes and in which order it hears of it."""

from __future__ import annotations

import datetime as dt
import random
import secrets
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from sqlalchemy import select, update

from service.feed.index import LiveIndex
from service.feed.outbox import Change, Position, feed_id, head, read_changes
from service.feed.snapshots import Snapshots, restored
from service.stock.counting import lock_points
from service.stock.rules import StockFacts
from service.stock.store import (
    delete_entry,
    delete_stock,
    find_entry,
    put_entries,
    stock_of_points,
)
from service.store.connections import ReadConnection, WriteConnection
from service.store.database import Store
from service.store.order_tables import stock
from service.store.tables import points
from tests.feed_store import fill, opened_store, put_merchant, put_point, set_units
from tests.scale import scaled
from tests.serving import Place

POINTS = [f"m0:{number}" for number in range(4)]
SKUS = ["milk", "Milk", "tea", "rice"]
MOST = 4
N_TURNS = scaled(300)
Known = dict[tuple[str, int], set[str]]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with opened_store(Place(tmp_path)) as store:
        fill(store, 1, len(POINTS))
        yield store


def _follow(store: Store, index: LiveIndex, after: Position) -> Position:
    with store.reading() as connection:
        found = read_changes(connection, after)
        if found:
            index.follow(connection, found)
        return found[-1].position if found else after


def _built(store: Store) -> tuple[LiveIndex, Position]:
    index = LiveIndex()
    with store.reading() as connection:
        position = head(connection)
        index.reload(connection, position)
    return index, position


def _ask(index: LiveIndex, sku: str, units: int, asked_at: dt.datetime | None = None) -> set[str]:
    answer = index.view.engine.nearest(
        31.0, 121.0, "laundry/pickup", k=9, items={sku: units}, require=(), asked_at=asked_at, at=asked_at
    )
    return {match.point_id for match in answer.matches}


def _known(index: LiveIndex) -> Known:
    return {(sku, units): _ask(index, sku, units) for sku in SKUS for units in range(1, MOST + 1)}


def _true(store: Store) -> Known:
    true: Known = {(sku, units): set() for sku in SKUS for units in range(1, MOST + 1)}
    with store.reading() as connection:
        alive = {row[0] for row in connection.rows(select(points.c.point_id).where(points.c.is_deleted.is_(False)))}
        for row in stock_of_points(connection, None):
            assert row.point_id in alive
            for units in range(1, MOST + 1):
                if row.units is None or row.units >= units:
                    true[row.sku, units].add(row.point_id)
    return true


def _is_alive(connection: WriteConnection, point_id: str) -> bool:
    is_deleted = select(points.c.is_deleted).where(points.c.point_id == point_id)
    return not connection.value(is_deleted)


def _count(connection: WriteConnection, point_id: str, *counts: tuple[str, int | None], good_for_s: int = 0) -> None:
    if not _is_alive(connection, point_id):
        return
    facts = [StockFacts(sku, sku, 1, "CNY", counted, 0, good_for_s or None) for sku, counted in counts]
    lock_points(connection, [point_id])
    put_entries(connection, "m0", point_id, facts)


def _hold(connection: WriteConnection, point_id: str, sku: str, units: int) -> None:
    count = update(points).where(points.c.point_id == point_id).values(stock_revision=points.c.stock_revision + 1)
    revision = connection.value(count.returning(points.c.stock_revision))
    entry = (stock.c.point_id == point_id) & (stock.c.sku == sku)
    can = (stock.c.held + units >= 0) & stock.c.counted.is_not(None) & (stock.c.held + units <= stock.c.counted)
    connection.run(update(stock).where(entry, can).values(held=stock.c.held + units, revision=revision))
    connection.record_change("stock", point_id, revision, "m0")


def _drop(connection: WriteConnection, point_id: str, sku: str) -> None:
    row = find_entry(connection, point_id, sku)
    if row is not None:
        delete_entry(connection, "m0", row)


def _delete(connection: WriteConnection, point_id: str) -> None:
    put_point(connection, point_id, is_deleted=True)
    delete_stock(connection, "m0", point_id)


def test_index__follows_what_a_point_has(store: Store) -> None:
    store.write_now(lambda c: _count(c, "m0:0", ("milk", 3)))
    index, position = _built(store)
    assert _ask(index, "milk", 3) == {"m0:0"}
    for write, had in (
        (lambda c: _hold(c, "m0:0", "milk", 1), {"m0:0": 2}),
        (lambda c: _count(c, "m0:1", ("milk", None), ("tea", 1)), {"m0:0": 2, "m0:1": 4}),
        (lambda c: _drop(c, "m0:1", "milk"), {"m0:0": 2}),
        (lambda c: put_point(c, "m0:0", lat=31.1), {"m0:0": 2}),
        (lambda c: _hold(c, "m0:0", "milk", -1), {"m0:0": 3}),
        (lambda c: _count(c, "m0:0", ("milk", 2**53 - 1)), {"m0:0": 4}),
        (lambda c: set_units(c, "m0:0", "laundry/pickup", 1), {"m0:0": 4}),
        (lambda c: _delete(c, "m0:0"), {}),
        (lambda c: put_point(c, "m0:0"), {}),
        (lambda c: _count(c, "m0:0", ("milk", 1)), {"m0:0": 1}),
        (lambda c: put_merchant(c, "m0", "verified"), {"m0:0": 1}),
    ):
        store.write_now(write)
        position = _follow(store, index, position)
        found = {units: _ask(index, "milk", units) for units in range(1, MOST + 1)}
        assert found == {
            units: {point_id for point_id, most in had.items() if most >= units} for units in range(1, MOST + 1)
        }
        with store.reading() as connection:
            assert index.verify(connection)


def test_index__trusts_a_count_as_long_as_it_is_good(store: Store) -> None:
    store.write_now(lambda c: _count(c, "m0:0", ("milk", 3), good_for_s=3600))
    followed, position = _built(store)
    store.write_now(lambda c: _count(c, "m0:1", ("milk", 3), good_for_s=3600))
    _follow(store, followed, position)
    built, _ = _built(store)
    now = dt.datetime.now(dt.UTC)
    for index in (followed, built):
        assert _ask(index, "milk", 1, now) == {"m0:0", "m0:1"}
        assert _ask(index, "milk", 1, now + dt.timedelta(hours=2)) == set()


def _some_write(drawn: random.Random) -> Callable[[WriteConnection], None]:
    point_id, sku = drawn.choice(POINTS), drawn.choice(SKUS)
    units = drawn.randrange(MOST + 1)
    counts = [(one, drawn.choice([None, *range(MOST + 1)])) for one in drawn.sample(SKUS, 2)]
    return drawn.choice(
        [
            lambda connection: _count(connection, point_id, *counts),
            lambda connection: _hold(connection, point_id, sku, drawn.choice([-1, 1])),
            lambda connection: _hold(connection, point_id, sku, drawn.choice([-1, 1])),
            lambda connection: _drop(connection, point_id, sku),
            lambda connection: _delete(connection, point_id),
            lambda connection: put_point(connection, point_id, lat=31 + units / 100),
            lambda connection: set_units(connection, point_id, "laundry/pickup", units),
        ]
    )


class DeafIndex(LiveIndex):
    """Does not hear of stock."""

    def follow(self, connection: ReadConnection, changes: Sequence[Change]) -> None:
        """Follow the rest."""
        rest = [change for change in changes if change.kind != "stock"]
        if rest:
            super().follow(connection, rest)


def test_index__that_does_not_hear_of_stock_is_found_out(store: Store) -> None:
    """The control of the tests here."""
    index = DeafIndex()
    with store.reading() as connection:
        position = head(connection)
        index.reload(connection, position)
    store.write_now(lambda c: _count(c, "m0:0", ("milk", 3)))
    _follow(store, index, position)
    assert _known(index) != _true(store)
    with store.reading() as connection:
        assert not index.verify(connection)


def _restored(store: Store, index: LiveIndex, position: Position, folder: Path) -> LiveIndex:
    """Return another index that goes on from what an index wrote to a folder."""
    another = LiveIndex()
    with store.reading() as connection:
        written = Snapshots(index, folder, every_s=3600.0)
        written.rested(position, feed_id(connection))
        written.close()
        assert restored(another, folder, connection) is not None
    return another


def test_index__equals_the_store_after_changes_in_any_order_and_from_a_snapshot(
    store: Store, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    seed = secrets.randbits(32)
    record_property("seed", seed)
    drawn = random.Random(seed)  # noqa: S311 - no secret
    index, position = _built(store)
    for turn in range(N_TURNS):
        for _ in range(drawn.randrange(1, 5)):
            store.write_now(_some_write(drawn))
        position = _follow(store, index, position)
        assert _known(index) == _true(store), (seed, turn)
        with store.reading() as connection:
            assert index.verify(connection), (seed, turn)
        if turn % 20 == 15:
            index = _restored(store, index, position, tmp_path / f"snapshots-{turn}")
    built, _ = _built(store)
    assert _known(built) == _true(store)

"""The live index follows what a subject is now, finds gaps, and is not held up by one bad point."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import delete, update

from engine.norms import load_norms
from service.audit.store import COMMAND
from service.clock import SettableClock, SystemClock
from service.feed.index import LiveIndex, store_digest
from service.feed.outbox import START, Change, Position, head, read_changes
from service.keys.ring import KeyRing
from service.keys.store import create_key, revoke_key
from service.merchants.store import rename_merchant
from service.points.rules import OfferFacts, facts_of_one
from service.points.schemas import PointBody
from service.points.store import write_points
from service.store.connections import WriteConnection
from service.store.database import Store
from service.store.tables import changes, offers, points
from tests.contract.service.shops import point
from tests.feed_store import facts_in, facts_of, fill, opened_store, put_merchant, put_point, set_units
from tests.serving import Place


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with opened_store(Place(tmp_path)) as store:
        fill(store, 2, 3)
        yield store


def _built(store: Store) -> tuple[LiveIndex, Position]:
    index = LiveIndex()
    with store.reading() as connection:
        position = head(connection)
        index.reload(connection, position)
    return index, position


def _follow(store: Store, index: LiveIndex, after: Position) -> Position:
    with store.reading() as connection:
        found = read_changes(connection, after)
        if found:
            index.follow(connection, found)
        return found[-1].position if found else after


def _is_equal(store: Store, index: LiveIndex) -> bool:
    with store.reading() as connection:
        return index.verify(connection) and facts_of(index) == facts_in(connection)


def test_index__built_from_a_store_equals_it(store: Store) -> None:
    index, _ = _built(store)
    assert index.n_points == 6
    assert _is_equal(store, index)


def test_index__follows_every_kind_of_change(store: Store) -> None:
    index, position = _built(store)
    for write in (
        lambda connection: put_point(connection, "m0:1", lat=31.4),
        lambda connection: put_point(connection, "m0:2", is_deleted=True),
        lambda connection: put_point(connection, "m0:2", lat=31.6),
        lambda connection: put_point(connection, "m1:new", lat=31.7),
        lambda connection: set_units(connection, "m1:0", "laundry/pickup", 0),
        lambda connection: put_merchant(connection, "m1", "suspended"),
    ):
        store.write_now(write)
        assert not _is_equal(store, index)
        position = _follow(store, index, position)
        assert _is_equal(store, index)


def test_index__is_not_told_by_a_stock_change_that_a_point_change_was_followed(store: Store) -> None:
    index, position = _built(store)

    def move_unseen(connection: WriteConnection) -> None:
        put_point(connection, "m0:1", lat=31.4)
        connection.run(delete(changes).where(changes.c.subject == "m0:1", changes.c.kind == "point"))

    store.write_now(move_unseen)
    store.write_now(lambda connection: set_units(connection, "m0:1", "laundry/pickup", 4))
    _follow(store, index, position)
    assert _is_equal(store, index)


def test_index__leaves_the_points_of_a_merchant_that_has_but_another_name(store: Store) -> None:
    index, position = _built(store)
    version = index.view.engine.version
    store.write_now(lambda c: rename_merchant(c, COMMAND, "m0", "Another name", lambda _revision: None))
    reached = _follow(store, index, position)
    assert index.view.engine.version == version
    assert index.view.position_of(version) == str(reached) != str(position)
    assert _is_equal(store, index)


def test_index__reads_of_a_renamed_merchant_what_is_not_as_it_is_known(store: Store) -> None:
    index, position = _built(store)

    def write(connection: WriteConnection) -> None:
        put_merchant(connection, "m0", "suspended")
        put_point(connection, "m1:1", lat=31.4)
        connection.run(delete(changes))  # nobody hears of either
        for merchant_id in ("m0", "m1"):
            rename_merchant(connection, COMMAND, merchant_id, "Another name", lambda _revision: None)

    store.write_now(write)
    assert not _is_equal(store, index)
    _follow(store, index, position)
    assert _is_equal(store, index)


def test_index__sees_that_a_merchant_serves_no_more_however_stock_changed_meanwhile(store: Store) -> None:
    index, position = _built(store)
    store.write_now(lambda connection: put_merchant(connection, "m0", "suspended"))
    for number in range(3):
        _set_units(store, f"m0:{number}")
        with store.reading() as connection:
            assert not index.verify(connection)
    _follow(store, index, position)
    assert _is_equal(store, index)


def _set_units(store: Store, point_id: str) -> None:
    store.write_now(lambda connection: set_units(connection, point_id, "laundry/pickup", 7))


def _set_revision(connection: WriteConnection, point_id: str, revision: int) -> None:
    connection.run(update(points).where(points.c.point_id == point_id).values(revision=revision))


def test_index__sees_one_point_ahead_as_far_as_another_is_behind(store: Store) -> None:
    index, _ = _built(store)
    for revision, point_id in ((7, "m0:0"), (7, "m0:1")):
        store.write_now(partial(_set_revision, point_id=point_id, revision=revision))
    index, _ = _built(store)
    for revision, point_id in ((6, "m0:0"), (8, "m0:1")):
        store.write_now(partial(_set_revision, point_id=point_id, revision=revision))
    with store.reading() as connection:
        assert index.digest() != store_digest(connection)


def test_index__sees_that_an_offer_whose_stock_had_changed_was_taken_away(store: Store) -> None:
    kept, sold = (
        OfferFacts(name, None, None, None, 4, 0, is_paused=False) for name in ("retail/delivery", "retail/pickup")
    )
    body = PointBody.model_validate(point(lat=31.0, lng=121.0))
    whole = facts_of_one("m0:shop", body, load_norms())._replace(offers=(kept, sold))
    store.write_now(lambda connection: write_points(connection, "m0", [whole]))
    store.write_now(lambda connection: set_units(connection, "m0:shop", "retail/pickup", 3))
    index, _ = _built(store)
    store.write_now(lambda connection: write_points(connection, "m0", [whole._replace(offers=(kept,))]))
    with store.reading() as connection:
        assert not index.verify(connection)


def _break(store: Store, point_id: str, hours: str | None) -> None:
    def write(connection: WriteConnection) -> None:
        connection.run(update(offers).where(offers.c.point_id == point_id).values(hours=hours))
        put_point(connection, point_id)

    store.write_now(write)


def test_index__leaves_out_a_point_that_it_cannot_take_and_takes_all_others(store: Store) -> None:
    index, position = _built(store)
    _break(store, "m0:1", "no hours at all")
    store.write_now(lambda connection: put_point(connection, "m0:2", lat=31.4))
    position = _follow(store, index, position)
    rebuilt, _ = _built(store)
    with store.reading() as connection:
        others = {key: fact for key, fact in facts_in(connection).items() if key[0] != "m0:1"}
    for one in (index, rebuilt):
        assert facts_of(one) == others
    store.write_now(lambda connection: set_units(connection, "m0:1", "laundry/pickup", 4))
    store.write_now(lambda connection: put_point(connection, "m0:1", is_deleted=True))
    position = _follow(store, index, position)
    assert _is_equal(store, index)
    _break(store, "m0:1", None)
    _follow(store, index, position)
    assert _is_equal(store, index)


def test_index__lets_no_version_stand_for_more_than_it_knows(store: Store) -> None:
    index, position = _built(store)
    fill_more = [f"m0:more-{number}" for number in range(600)]

    def write(connection: WriteConnection) -> None:
        for point_id in fill_more:
            put_point(connection, point_id)

    store.write_now(write)
    first = index.view.engine.version
    reached = _follow(store, index, position)
    last = index.view.engine.version
    assert last == first + 2
    assert index.view.position_of(first) == index.view.position_of(first + 1) == str(position)
    assert index.view.position_of(last) == str(reached)


def test_index__takes_changes_of_what_is_not_there(store: Store) -> None:
    index, position = _built(store)
    unknown = [Change(position, kind, "nobody:1", 1, "nobody", 0) for kind in ("point", "stock", "merchant", "key")]
    with store.reading() as connection:
        index.follow(connection, unknown)
    assert _is_equal(store, index)


def test_key_ring__finds_one_key_gone_and_another_come(store: Store) -> None:
    first = store.write_now(lambda connection: create_key(connection, scope="app", label="first"))
    ring = KeyRing(SystemClock())
    with store.reading() as connection:
        ring.reload(connection, START)
        assert ring.verify(connection)
    caller = ring.caller_of(first.secret, 0)
    assert caller is not None
    assert ring.still_holds(caller, 0)
    store.write_now(lambda connection: revoke_key(connection, first.row.key_id))
    store.write_now(lambda connection: create_key(connection, scope="app", label="second"))
    with store.reading() as connection:
        assert not ring.verify(connection)  # as many as before, but others
        ring.reload(connection, START)
    assert not ring.still_holds(caller, 0)


def test_key_ring__holds_no_key_that_expired_long_ago(store: Store) -> None:
    clock = SettableClock(dt.datetime(2026, 11, 25, 4, tzinfo=dt.UTC))
    expires_us = clock.now_us() + 1
    first = store.write_now(lambda c: create_key(c, scope="app", label="first", expires_us=expires_us))
    last = store.write_now(lambda c: create_key(c, scope="app", label="last"))
    ring = KeyRing(clock)
    with store.reading() as connection:
        ring.reload(connection, START)
        assert ring.knows(first.row.digest)
        clock.at += dt.timedelta(hours=1)
        assert ring.verify(connection), "it is no fault that one expired"
        ring.reload(connection, START)
        assert ring.verify(connection)
    assert not ring.knows(first.row.digest)
    assert ring.knows(last.row.digest)

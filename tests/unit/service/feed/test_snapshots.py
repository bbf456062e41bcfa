"""An index goes on from its snapshot where the feed still holds what came after, else not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import text, update

from service.feed.followers import Follower
from service.feed.index import LiveIndex
from service.feed.outbox import prune
from service.feed.snapshots import Snapshots, restored
from service.store.connections import WriteConnection
from service.store.database import Store
from service.store.tables import marks
from tests.feed_store import facts_in, facts_of, fill, opened_store, put_point, set_units, wait_until
from tests.serving import Place


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with opened_store(Place(tmp_path)) as store:
        fill(store, 2, 3)
        yield store


def _follow_once(store: Store, folder: Path) -> tuple[LiveIndex, int]:
    """Go on from the snapshot if there is one, follow to the end, write another; return how often it was built too."""
    index = LiveIndex()
    with store.reading() as connection:
        start = restored(index, folder, connection)
    snapshots = Snapshots(index, folder, every_s=3600, written=start)
    position, of_feed = start or (None, None)
    follower = Follower(store, [index], position=position, of_feed=of_feed, rested=snapshots.rested)
    follower.step()
    snapshots.close()
    return index, follower.n_reloads


def _is_equal(store: Store, index: LiveIndex) -> bool:
    with store.reading() as connection:
        return index.verify(connection) and facts_of(index) == facts_in(connection)


def test_snapshot__is_gone_on_from_with_what_changed_meanwhile(store: Store, tmp_path: Path) -> None:
    first, n_first = _follow_once(store, tmp_path)
    version = first.view.engine.version
    store.write_now(lambda connection: put_point(connection, "m0:1", is_deleted=True))
    store.write_now(lambda connection: set_units(connection, "m1:1", "laundry/pickup", 1))
    second, n_second = _follow_once(store, tmp_path)
    assert (n_first, n_second) == (1, 0)
    assert second.view.engine.version > version
    assert _is_equal(store, second)


def test_snapshot__of_an_empty_store_is_one_too(tmp_path: Path) -> None:
    with opened_store(Place(tmp_path)) as store:
        _follow_once(store, tmp_path)
        fill(store, 1, 2)
        index, n_reloads = _follow_once(store, tmp_path)
        assert n_reloads == 0
        assert _is_equal(store, index)


def _another_feed(connection: WriteConnection) -> None:
    connection.run(update(marks).where(marks.c.name == "feed_id").values(value="f" * 16))


def _pruned(connection: WriteConnection) -> None:
    put_point(connection, "m0:1", lat=31.9)
    prune(connection, connection.now_us + 1)


def _moved_back(connection: WriteConnection) -> None:
    """Restore a database whose feed kept its name."""
    connection.run(update(marks).where(marks.c.name == "kept_from").values(value="0-0"))
    connection.run(text("DELETE FROM changes WHERE id > 2"))


@pytest.mark.parametrize("happens", [_another_feed, _pruned, _moved_back])
def test_snapshot__is_not_gone_on_from_where_the_feed_does_not_hold_what_came_after(
    store: Store, tmp_path: Path, happens: Callable[[WriteConnection], None]
) -> None:
    _follow_once(store, tmp_path)
    store.write_now(happens)
    index, n_reloads = _follow_once(store, tmp_path)
    assert n_reloads == 1
    assert _is_equal(store, index)


def test_snapshot__that_does_not_equal_the_store_is_found_at_the_first_rest(store: Store, tmp_path: Path) -> None:
    _follow_once(store, tmp_path)

    def unseen(connection: WriteConnection) -> None:
        put_point(connection, "m0:1", lat=31.9)
        connection.run(text("DELETE FROM changes WHERE tx = 0 AND subject = 'm0:1' AND revision = 2"))

    store.write_now(unseen)
    index, n_reloads = _follow_once(store, tmp_path)
    assert n_reloads == 1
    assert _is_equal(store, index)


def test_snapshot__that_counts_revisions_as_they_once_were_is_passed_over(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("service.feed.snapshots._REVISIONS", "revisions")
        _follow_once(store, tmp_path)
    index, n_reloads = _follow_once(store, tmp_path)
    assert n_reloads == 1
    assert _is_equal(store, index)


def test_snapshot__is_written_beside_the_follower_when_it_is_time(store: Store, tmp_path: Path) -> None:
    index = LiveIndex()
    snapshots = Snapshots(index, tmp_path / "index", every_s=0.05)
    follower = Follower(store, [index], poll_s=0.01, rested=snapshots.rested)
    follower.start()
    try:
        wait_until(lambda: any((tmp_path / "index").glob("*.snapshot")), 5, "written")
        n_files = len(list((tmp_path / "index").glob("*.snapshot")))
    finally:
        follower.close()
        snapshots.close()
    assert n_files == len(list((tmp_path / "index").glob("*.snapshot")))  # nothing has changed since

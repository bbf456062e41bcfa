"""A transaction that is held open while others commit: a follower passes nothing by, a poller of numbers does (F10)."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import select

from service.feed.followers import Follower
from service.feed.outbox import Change, Position
from service.store.connections import ReadConnection, WriteConnection
from service.store.database import Store
from service.store.tables import changes
from tests.feed_store import fill, opened_store, set_units, wait_until
from tests.scale import scaled
from tests.serving import Place, fresh_database

N_TURNS = scaled(20)
N_OTHERS = 1_000
N_WRITERS = 4
HELD_S = 1.0


class Seen:
    """A handler that remembers what it was handed."""

    def __init__(self) -> None:
        self.changes: list[Change] = []
        self.from_start = Position(0, 0)

    def reload(self, connection: ReadConnection, position: Position) -> None:
        """Begin anew."""
        self.changes, self.from_start = [], position

    def follow(self, connection: ReadConnection, found: Sequence[Change]) -> None:
        """Remember."""
        self.changes += found

    def verify(self, connection: ReadConnection) -> bool:
        """Know nothing that could differ."""
        return True


class PlainPoller(threading.Thread):
    """What must lose events: asks again and again for numbers above the last that it has seen."""

    def __init__(self, store: Store) -> None:
        super().__init__(daemon=True)
        self._store = store
        self.seen: list[int] = []
        self.last = 0
        self.ended = threading.Event()

    def run(self) -> None:
        """Poll until the end, and once more."""
        is_last = False
        while not is_last:
            is_last = self.ended.is_set()
            with self._store.reading() as connection:
                later = select(changes.c.id).where(changes.c.id > self.last).order_by(changes.c.id)
                found = [row[0] for row in connection.rows(later)]
            self.seen += found
            self.last = found[-1] if found else self.last
            time.sleep(0.005)


@pytest.fixture
def store(postgres_url: str, tmp_path: Path) -> Iterator[Store]:
    with opened_store(Place(tmp_path, fresh_database(postgres_url))) as store:
        fill(store, 5, 4)
        yield store


def _hold(store: Store, begun: threading.Event) -> None:
    def held(connection: WriteConnection) -> None:
        set_units(connection, "m4:0", "laundry/pickup", 1)
        begun.set()
        time.sleep(HELD_S)

    store.write_now(held)


def _write(store: Store, merchant: int) -> None:
    for number in range(N_OTHERS // N_WRITERS):
        store.write_now(partial(set_units, point_id=f"m{merchant}:{number % 4}", offer="laundry/pickup", units=number))


def test_follower__passes_by_no_change_that_commits_late_and_a_plain_poller_does(store: Store) -> None:
    seen = Seen()
    follower, poller = Follower(store, [seen], poll_s=0.005), PlainPoller(store)
    follower.start()
    poller.start()
    try:
        for _ in range(N_TURNS):
            begun = threading.Event()
            held = threading.Thread(target=_hold, args=(store, begun))
            held.start()
            assert begun.wait(5)
            others = [threading.Thread(target=_write, args=(store, merchant)) for merchant in range(N_WRITERS)]
            for thread in others:
                thread.start()
            for thread in (*others, held):
                thread.join()
        with store.reading() as connection:
            rows = connection.rows(select(changes.c.tx, changes.c.id).order_by(changes.c.tx, changes.c.id))
        every = [Position(row.tx, row.id) for row in rows]
        wait_until(lambda: follower.position == every[-1], 5, "all is followed")
    finally:
        poller.ended.set()
        poller.join()
        follower.close()
    assert [change.position for change in seen.changes] == [one for one in every if one > seen.from_start]
    lost = {one.id for one in every} - set(poller.seen)
    assert len(lost) >= N_TURNS, "the control lost nothing: the test does not show what it should"


def test_follower__tells_how_old_what_it_may_not_read_yet_is(store: Store) -> None:
    follower = Follower(store, [Seen()], poll_s=0.01)
    follower.start()
    try:
        begun = threading.Event()
        held = threading.Thread(target=_hold, args=(store, begun))
        held.start()
        assert begun.wait(5)
        store.write_now(lambda connection: set_units(connection, "m0:0", "laundry/pickup", 5))
        time.sleep(HELD_S / 2)
        age_s = follower.age_s
        assert age_s is not None
        assert age_s > HELD_S / 4
        held.join()
        wait_until(lambda: (follower.age_s or 9) < HELD_S / 8, 5, "it has caught up")
    finally:
        follower.close()

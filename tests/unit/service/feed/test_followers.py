"""A follower knows how far it has come, however much is written meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from service.feed.followers import Follower
from service.feed.outbox import Change, Position
from service.store.connections import ReadConnection
from tests.feed_store import fill, opened_store, put_point
from tests.serving import Place

N_WRITTEN = 20


def test_follower__that_always_finds_something_new_is_current_all_the_same(tmp_path: Path) -> None:
    verified: list[Position] = []
    rested: list[Position] = []

    class Written:
        """Something else is written whenever something was followed."""

        n = 0

        def reload(self, connection: ReadConnection, position: Position) -> None:
            pass

        def verify(self, connection: ReadConnection) -> bool:
            verified.append(follower.position)
            return True

        def follow(self, connection: ReadConnection, changes: Sequence[Change]) -> None:
            if self.n < N_WRITTEN:
                self.n += 1
                store.write_now(lambda writing: put_point(writing, "m0:1", lat=31.0 + self.n / 100))

    with opened_store(Place(tmp_path)) as store:
        fill(store, 1, 2)
        follower = Follower(store, [Written()], verify_s=0.0, rested=lambda position, _feed: rested.append(position))
        follower.step()
        del rested[:], verified[:]
        store.write_now(lambda writing: put_point(writing, "m0:1", lat=30.9))
        follower.step()
    assert len(set(rested)) == N_WRITTEN + 1
    assert verified == rested

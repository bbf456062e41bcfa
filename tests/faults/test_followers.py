"""Cuts, gaps, repeats and restored databases: the index equals the store again at once (R8, F11)."""

from __future__ import annotations

import random
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from sqlalchemy import delete, select, update

from service.feed.followers import Follower
from service.feed.index import LiveIndex, store_digest
from service.feed.outbox import Change, Position, prune
from service.store.connections import ReadConnection, WriteConnection
from service.store.database import Store
from service.store.tables import changes, marks, offers, points
from tests.cut_wire import CutWire, wire_to
from tests.feed_store import facts_in, facts_of, fill, opened_store, put_point, set_units, some_change, wait_until
from tests.scale import scaled
from tests.serving import Place, fresh_database

N_ROUNDS = scaled(100)
N_MERCHANTS, N_POINTS = 4, 25
HEALED_S = 2.0
VERIFY_S = 0.3
SHORT_CUT_S, LONG_CUT_S = 0.3, float(max(8, scaled(60)))
STALE_S = 5.0


class UnrulyIndex(LiveIndex):
    """Is handed every change twice, shuffled, with some from long ago among them."""

    def __init__(self, drawn: random.Random) -> None:
        super().__init__()
        self._drawn = drawn
        self._old: list[Change] = []

    def follow(self, connection: ReadConnection, found: Sequence[Change]) -> None:
        """Follow a mess."""
        last = found[-1]
        mess = [*found, *found, *self._drawn.sample(self._old, min(5, len(self._old)))]
        self._drawn.shuffle(mess)
        self._old += found
        super().follow(connection, [*mess, last])


class BlindIndex(LiveIndex):
    """Never finds a difference: what the checker must catch."""

    def verify(self, connection: ReadConnection) -> bool:
        """See nothing."""
        return True


@dataclass
class Followed:
    """A store, and an index that follows it over a wire of its own."""

    store: Store
    wire: CutWire | None
    index: LiveIndex
    follower: Follower
    drawn: random.Random
    moved_back: list[str] = field(default_factory=list)

    def write(self, n: int = 1) -> None:
        """Make some changes, each in a transaction."""
        for _ in range(n):
            self.store.write_now(some_change(self.drawn, N_MERCHANTS, N_POINTS))

    def differs(self) -> str | None:
        """Return how the index differs from the store, None if it does not."""
        with self.store.reading() as connection:
            if self.index.digest() != store_digest(connection):
                return "digest"
            known, true = facts_of(self.index), facts_in(connection)
        wrong = sorted(key for key in known.keys() | true.keys() if known.get(key) != true.get(key))
        return f"{len(wrong)} rows, such as {wrong[0]}: {known.get(wrong[0])}, {true.get(wrong[0])}" if wrong else None

    def is_equal(self) -> bool:
        """Whether the index equals the store, and says that it does."""
        return not self.follower.has_gap and self.differs() is None

    def watch(self, ended: threading.Event) -> None:
        """Look all the time whether its position moves back within one feed."""
        last: tuple[str | None, Position] = (None, Position(0, 0))
        while not ended.is_set():
            now = self.follower.feed_id, self.follower.position
            if now[0] == last[0] and now[1] < last[1]:
                self.moved_back.append(f"{last} -> {now}")
            last = now
            time.sleep(0.001)


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    url = fresh_database(request.getfixturevalue("postgres_url")) if request.param == "postgres" else None
    return Place(tmp_path, url)


@pytest.fixture
def seed(record_property: Callable[[str, object], None]) -> int:
    seed = secrets.randbits(32)
    record_property("seed", seed)
    return seed


def _followed(stack: ExitStack, place: Place, index: LiveIndex, seed: int) -> Followed:
    store = stack.enter_context(opened_store(place))
    fill(store, N_MERCHANTS, N_POINTS)
    wire, own = None, store
    if place.database is not None:
        wire, through = stack.enter_context(wire_to(place.database))
        own = stack.enter_context(opened_store(Place(place.folder, through)))
    follower = Follower(own, [index], poll_s=0.02, verify_s=VERIFY_S)
    stack.callback(follower.close)
    follower.start()
    followed = Followed(store, wire, index, follower, random.Random(seed))  # noqa: S311
    ended = threading.Event()
    watcher = threading.Thread(target=followed.watch, args=(ended,))
    stack.callback(watcher.join)
    stack.callback(ended.set)
    watcher.start()
    return followed


@pytest.fixture
def followed(place: Place, seed: int) -> Iterator[Followed]:
    with ExitStack() as stack:
        one = _followed(stack, place, UnrulyIndex(random.Random(seed)), seed)  # noqa: S311
        yield one
        assert not one.moved_back


def _cut(followed: Followed) -> None:
    if followed.wire is None:
        followed.write(10)
        return
    followed.wire.cut()
    followed.write(20)
    time.sleep(SHORT_CUT_S)
    followed.wire.heal()


def _lose_records(followed: Followed) -> None:
    drawn = followed.drawn

    def write(connection: WriteConnection) -> None:
        last = connection.value(select(changes.c.id).order_by(changes.c.id.desc()).limit(1)) or 0
        for _ in range(5):
            some_change(drawn, N_MERCHANTS, N_POINTS)(connection)
        connection.run(delete(changes).where(changes.c.id > last, changes.c.tx == connection.tx))

    followed.store.write_now(write)
    followed.write(3)


def _lose_a_record_that_stock_follows(followed: Followed) -> None:
    def write(connection: WriteConnection) -> None:
        put_point(connection, "m1:3", lat=31.9)
        connection.run(delete(changes).where(changes.c.subject == "m1:3", changes.c.tx == connection.tx))

    followed.store.write_now(write)
    followed.store.write_now(lambda connection: set_units(connection, "m1:3", "laundry/pickup", 9))


def _truncate(followed: Followed) -> None:
    """Prune behind the follower's back: what it has not read is no longer kept."""
    if followed.wire is not None:
        followed.wire.cut()
    followed.write(20)
    followed.store.write_now(lambda connection: prune(connection, connection.now_us + 1))
    if followed.wire is not None:
        followed.wire.heal()


def _restore(followed: Followed) -> None:
    """Let the database be what a backup held: older facts, another feed, and fewer records."""

    def write(connection: WriteConnection) -> None:
        older = update(points).where(points.c.revision > 1, points.c.merchant_id == "m2")
        connection.run(older.values(revision=points.c.revision - 1, lat=31.5))
        stocked = select(points.c.point_id).where(points.c.stock_revision > 0)
        connection.run(update(offers).where(offers.c.point_id.in_(stocked)).values(capacity=4))
        connection.run(update(points).where(points.c.stock_revision > 0).values(stock_revision=0))
        first = connection.value(select(changes.c.id).order_by(changes.c.id.desc()).offset(3).limit(1))
        if first is not None:
            connection.run(delete(changes).where(changes.c.id >= first))
        connection.run(update(marks).where(marks.c.name == "feed_id").values(value=secrets.token_hex(8)))

    followed.store.write_now(write)


FAULTS = {
    "cut": _cut,
    "records lost": _lose_records,
    "a record lost that stock follows": _lose_a_record_that_stock_follows,
    "history truncated": _truncate,
    "database restored": _restore,
}


def test_index__equals_the_store_within_2_s_of_any_fault_healed(
    followed: Followed, record_property: Callable[[str, object], None]
) -> None:
    followed.write(50)
    wait_until(followed.is_equal, HEALED_S, "at first")
    slowest: dict[str, float] = {}
    for number in range(max(N_ROUNDS, len(FAULTS))):
        name = list(FAULTS)[number % len(FAULTS)]
        followed.write(followed.drawn.randrange(5))
        FAULTS[name](followed)
        took_s = wait_until(followed.is_equal, HEALED_S, f"{name}: {followed.differs()}")
        slowest[name] = max(slowest.get(name, 0.0), took_s)
    record_property("slowest_s", {name: round(took_s, 3) for name, took_s in slowest.items()})


@pytest.mark.parametrize("fault", [_lose_records, _lose_a_record_that_stock_follows])
def test_checker__catches_an_index_that_never_looks_for_gaps(
    place: Place, seed: int, fault: Callable[[Followed], None]
) -> None:
    with ExitStack() as stack:
        blind = _followed(stack, place, BlindIndex(), seed)
        fault(blind)
        if fault is _lose_records:
            with pytest.raises(AssertionError, match="not within"):
                wait_until(blind.is_equal, HEALED_S, "blind")
        else:  # the stock's own record gives the point's away
            wait_until(blind.is_equal, HEALED_S, "blind")


def test_follower__that_is_cut_off_says_how_old_it_is_and_catches_up(
    postgres_url: str, tmp_path: Path, seed: int
) -> None:
    with ExitStack() as stack:
        one = _followed(stack, Place(tmp_path, fresh_database(postgres_url)), LiveIndex(), seed)
        assert one.wire is not None
        one.wire.cut()
        cut_at = time.monotonic()
        writes = 0
        while time.monotonic() - cut_at < LONG_CUT_S:
            one.write(10)
            writes += 10
            time.sleep(0.05)
            age_s, cut_s = one.follower.age_s, time.monotonic() - cut_at
            assert age_s is not None
            assert age_s > cut_s - 0.5, "it claims to be newer than it can be"
        assert (one.follower.age_s or 0) > STALE_S
        one.wire.heal()
        wait_until(lambda: one.is_equal() and (one.follower.age_s or 9) < 1, HEALED_S, "the long cut")
        assert one.follower.n_reloads == 1  # the first: a cut alone needs no other
        assert not one.moved_back

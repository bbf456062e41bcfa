"""A service that knows of a gap in its index is not ready until it is closed, however often that fails (R8, F11)."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from sqlalchemy import delete, update

from service.feed.followers import Follower
from service.feed.index import LiveIndex, store_digest
from service.feed.outbox import Position
from service.store.connections import ReadConnection, WriteConnection
from service.store.tables import changes, marks
from tests.feed_store import fill, put_point, wait_until
from tests.registry import WAIT_S, Registry, opened
from tests.serving import fresh_database

READY = httpx.codes.OK, None
UNREADY = httpx.codes.SERVICE_UNAVAILABLE, "the index is being built"
N_FAILED, N_ASKED = 3, 5


class HeldIndex(LiveIndex):
    """Is not read anew while it is held: at first that fails, and once it may pass it waits."""

    def __init__(self) -> None:
        super().__init__()
        self.n_failed = 0
        self.fails = threading.Event()
        self.waits = threading.Event()
        self.is_free = threading.Event()
        self.is_free.set()

    def hold(self) -> None:
        """Let it fail from now on."""
        self.is_free.clear()
        self.fails.set()

    def let_go(self) -> None:
        """Let it be read again."""
        self.fails.clear()
        self.is_free.set()

    def reload(self, connection: ReadConnection, position: Position) -> None:
        """Fail, or wait, or be read."""
        if self.fails.is_set():
            self.n_failed += 1
            raise RuntimeError("planted: it cannot be read")
        if not self.is_free.is_set():
            self.waits.set()
            self.is_free.wait(WAIT_S)
        super().reload(connection, position)


class BoastfulFollower(Follower):
    """Hides its gaps: what the checker must catch."""

    @property
    def has_gap(self) -> bool:
        """Own up to nothing."""
        return False


@dataclass
class Held:
    """A registry whose service follows with an index that can be held."""

    registry: Registry
    index: HeldIndex

    def readiness(self) -> tuple[int, str | None]:
        """Return what /readyz answers, and why."""
        answer = self.registry.runner.run(self.registry.client.get("/readyz"))
        return answer.status_code, answer.json()["why"]

    def is_equal(self) -> bool:
        """Whether the index equals the store."""
        with self.registry.services.store.reading() as connection:
            return self.index.digest() == store_digest(connection)

    def write(self, fault: Callable[[WriteConnection], None]) -> None:
        """Commit what leaves a gap."""
        self.registry.services.store.write_now(fault)


def _lose_a_record(connection: WriteConnection) -> None:
    put_point(connection, "m0:1", lat=31.9)
    connection.run(delete(changes).where(changes.c.tx == connection.tx, changes.c.subject == "m0:1"))


def _restore(connection: WriteConnection) -> None:
    _lose_a_record(connection)
    connection.run(update(marks).where(marks.c.name == "feed_id").values(value=secrets.token_hex(8)))


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest) -> str | None:
    return fresh_database(request.getfixturevalue("postgres_url")) if request.param == "postgres" else None


@contextmanager
def _held(folder: Path, database: str | None, kind: type[Follower] = Follower) -> Iterator[Held]:
    with opened(folder, database=database) as registry:
        services, index = registry.services, HeldIndex()
        fill(services.store, 2, 3)
        follower = services.follower = kind(services.store, [index], poll_s=0.02, verify_s=0.05)
        follower.start()
        try:
            yield Held(registry, index)
        finally:
            index.let_go()
            follower.close()


@pytest.mark.parametrize("fault", [_lose_a_record, _restore])
def test_service__with_a_known_gap_is_not_ready_until_it_is_closed(
    tmp_path: Path, database: str | None, fault: Callable[[WriteConnection], None]
) -> None:
    with _held(tmp_path, database) as held:
        assert held.readiness() == READY
        held.index.hold()
        held.write(fault)
        wait_until(lambda: held.index.n_failed > 0, WAIT_S, "the gap is found")
        while held.index.n_failed < N_FAILED:
            assert held.readiness() == UNREADY
        held.index.fails.clear()
        assert held.index.waits.wait(WAIT_S)
        assert [held.readiness() for _ in range(N_ASKED)] == [UNREADY] * N_ASKED
        assert not held.is_equal()
        held.index.let_go()
        wait_until(lambda: held.readiness() == READY, WAIT_S, "the gap is closed")
        assert held.is_equal()


def test_checker__catches_a_service_that_hides_a_gap(tmp_path: Path) -> None:
    with _held(tmp_path, None, BoastfulFollower) as held:
        held.index.hold()
        held.write(_lose_a_record)
        wait_until(lambda: held.index.n_failed > 0, WAIT_S, "the gap is found")
        assert held.readiness() != UNREADY

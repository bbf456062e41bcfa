"""Every committed event reaches every consumer, in order per subject, however often consumers die (R7, F9)."""

from __future__ import annotations

import json
import random
import secrets
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import select

from service.store.database import Store
from service.store.tables import changes
from tests.faults.event_consumer import DONE, MARK_FIRST
from tests.feed_store import fill, opened_store, put_point, some_change
from tests.scale import scaled
from tests.serving import ROOT, Place, Serving, fresh_database, running_service

N_EVENTS = scaled(10_000)
N_KILLS = scaled(200)
N_CONSUMERS = 2
N_MERCHANTS, N_POINTS = 4, 5
N_WRITERS = 3
MOST_DUPLICATES = 0.01
LONGEST = 2 * N_EVENTS * N_CONSUMERS // max(1, N_KILLS)

Sent = list[tuple[str, str]]


@dataclass(frozen=True)
class Verdict:
    """What became of the events that were committed."""

    n_lost: int
    n_disordered: int
    n_duplicates: int
    n_unstable: int

    @property
    def is_good(self) -> bool:
        """Whether it is what was promised."""
        return not (self.n_lost or self.n_disordered or self.n_unstable)


def judged(committed: set[str], sent: Sent) -> Verdict:
    """Judge what a consumer sent: ids and data of events, in the order in which they were sent."""
    data_of: dict[str, set[str]] = {}
    for event_id, data in sent:
        data_of.setdefault(event_id, set()).add(data)
    latest: Counter[tuple[str, str]] = Counter()
    n_disordered = 0
    for data in dict.fromkeys(data for _, data in sent):
        told = json.loads(data)
        subject = told["kind"], told["subject"]
        n_disordered += told["revision"] <= latest[subject]
        latest[subject] = max(latest[subject], told["revision"])
    return Verdict(
        n_lost=len(committed - set(data_of)),
        n_disordered=n_disordered,
        n_duplicates=len(sent) - len(data_of),
        n_unstable=sum(len(data) > 1 for data in data_of.values()) + len(set(data_of) - committed),
    )


@dataclass(frozen=True)
class Written:
    """A service with a store beside it into which much is written."""

    serving: Serving
    store: Store

    def write_all(self, n: int, seed: int) -> None:
        """Make changes by several writers at once, and the one that ends it."""

        def write(number: int) -> None:
            drawn = random.Random(f"{seed} {number}")  # noqa: S311
            for _ in range(n // N_WRITERS):
                self.store.write_now(some_change(drawn, N_MERCHANTS, N_POINTS))

        writers = [threading.Thread(target=write, args=(number,)) for number in range(N_WRITERS)]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        self.store.write_now(lambda connection: put_point(connection, f"m0:{DONE}"))

    def committed(self) -> set[str]:
        """Return the ids of all events."""
        rows = self.store.read_now(lambda connection: connection.rows(select(changes.c.tx, changes.c.id)))
        with self.serving.client() as client, client.stream("GET", "/v1/events") as answer:
            here = next(line for line in answer.iter_lines() if line.startswith("id: "))
        return {f"{row.tx}-{row.id}-{here.rpartition('-')[2]}" for row in rows}

    def consume(self, folder: Path, n_kills: int, drawn: random.Random, *how: str, longest: int = LONGEST) -> Sent:
        """Let a consumer die so many times, after `longest` events at the latest, then live to the end; return what it sent."""
        for life in range(n_kills + 1):
            dies_at = 0 if life == n_kills else drawn.randint(1, longest)
            words = [self.serving.base_url, self.serving.admin_key, str(folder), str(dies_at), *how]
            code = subprocess.run([sys.executable, "-m", "tests.faults.event_consumer", *words], cwd=ROOT, check=False)
            if code.returncode == 0:
                break
            assert code.returncode == -9
        lines = (folder / "sent").read_text().splitlines()
        return [(line.partition("\t")[0], line.partition("\t")[2]) for line in lines]


@pytest.fixture(params=["sqlite", "postgres"])
def written(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Written]:
    url = fresh_database(request.getfixturevalue("postgres_url")) if request.param == "postgres" else None
    place = Place(tmp_path / "data", url)
    with running_service(place) as serving, opened_store(place) as store:
        fill(store, N_MERCHANTS, N_POINTS)
        yield Written(serving, store)


def _at_once(works: list[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_consumers__killed_between_sending_and_marking_lose_nothing(
    written: Written, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    seed = secrets.randbits(32)
    record_property("seed", seed)
    sent: dict[int, Sent] = {}
    folders = [tmp_path / f"consumer-{number}" for number in range(N_CONSUMERS)]
    for folder in folders:
        folder.mkdir()

    def consume(number: int) -> None:
        drawn = random.Random(f"{seed} consumer {number}")  # noqa: S311
        sent[number] = written.consume(folders[number], N_KILLS // N_CONSUMERS, drawn)

    _at_once([lambda: written.write_all(N_EVENTS, seed), *(lambda n=n: consume(n) for n in range(N_CONSUMERS))])
    committed = written.committed()
    verdicts = [judged(committed, sent[number]) for number in range(N_CONSUMERS)]
    record_property("verdicts", str(verdicts))
    assert len(committed) > N_EVENTS * 0.8
    assert all(verdict.is_good for verdict in verdicts), verdicts
    assert sum(verdict.n_duplicates for verdict in verdicts) <= MOST_DUPLICATES * sum(map(len, sent.values())) + 1


def test_consumers__that_mark_before_they_send_are_found_to_lose_events(written: Written, tmp_path: Path) -> None:
    written.write_all(60, 1)
    folder = tmp_path / "consumer"
    folder.mkdir()
    dying = random.Random(2)  # noqa: S311
    sent: Sent = []
    for _ in range(3):
        sent = written.consume(folder, 1, dying, MARK_FIRST)
        if not judged(written.committed(), sent).is_good:
            break
        (folder / "mark").unlink()
        (folder / "sent").unlink()
    assert judged(written.committed(), sent).n_lost > 0


def test_judged__finds_planted_faults() -> None:
    def data(subject: str, revision: int) -> str:
        return json.dumps({"kind": "point", "subject": subject, "revision": revision})

    sent = [("1", data("a", 1)), ("2", data("b", 1)), ("3", data("a", 2))]
    committed = {"1", "2", "3"}
    assert judged(committed, sent) == Verdict(0, 0, 0, 0)
    assert judged(committed, [*sent[:2], sent[1], sent[2]]) == Verdict(0, 0, 1, 0)
    assert judged(committed, sent[1:]).n_lost == 1
    assert judged(committed, sent[::-1]).n_disordered == 1
    assert judged(committed, [*sent, ("3", data("a", 3))]).n_unstable == 1
    assert judged(committed, [*sent, ("4", data("a", 3))]).n_unstable == 1

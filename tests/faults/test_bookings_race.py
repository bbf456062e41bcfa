"""No minute of a crew is booked twice: two hundred buyers at the last ten visits, with cancels, moves and holds that expire (R1)."""

from __future__ import annotations

import datetime as dt
import logging
import random
import secrets
import shutil
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.faults.buying import Answer, Caller, at_once, change
from tests.faults.visits import Provider, book, open_provider, starts, states_of, unsound_visits, wrong_visits
from tests.scale import FULL
from tests.serving import Place, fresh_database, running_service
from tests.unguarded import without

N_ROUNDS = 50 if FULL else 2
N_BUYERS = 200
CREWS = ("anna", "bert")
N_VISITS = 10
N_AT_ONCE = 50
SEED = secrets.randbelow(2**32)
_LOG = logging.getLogger(__name__)
_EXPIRE = "UPDATE bookings SET expires_at = booked_at WHERE booking_id = '{}'"
_WRITING = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'linli' AND backend_xid IS NOT NULL
"""


@dataclass
class Race:
    """What many buyers did at a provider, a day a round, and what was seen meanwhile."""

    provider: Provider
    booked: dict[str, str] = field(default_factory=dict)
    """When the visits begin that stay, by booking."""
    refused: int = 0
    wrong: list[str] = field(default_factory=list)
    n_reads: int = 0
    most_overlapping: int = 0
    ended: threading.Event = field(default_factory=threading.Event)

    @property
    def place(self) -> Place:
        """Where the facts are."""
        return self.provider.serving.place

    def round(self, number: int) -> None:
        """Let all buyers come for the visits of a day, and more until all are booked."""
        windows = starts(1 + number, 1)

        def buy(thread: int) -> None:
            drawn = random.Random(f"{SEED} {number} {thread}")  # noqa: S311
            app = self.provider.app()
            for _ in range(N_BUYERS // N_AT_ONCE):
                does = drawn.choices(("buys", "cancels", "leaves", "moves"), (50, 20, 15, 15))[0]
                self.buyer(app, windows, drawn, does)
            app.close()

        first = self.provider.app()
        for does in ("leaves", "cancels"):  # whatever the others draw
            self.buyer(first, windows, random.Random(f"{SEED} {number}"), does)  # noqa: S311
        first.close()
        at_once(N_AT_ONCE, buy)
        self._book_the_rest(windows, 60.0)

    def buyer(self, app: Caller, windows: list[str], drawn: random.Random, does: str) -> None:
        """Let one buyer come for a window."""
        at = drawn.choice(windows)
        body, key = self.provider.body(at), uuid.uuid4().hex
        answer = book(app, body, key)
        while answer.status == 503 or answer.slug == "idempotency-in-progress":  # nobody knows: it is asked again
            time.sleep(0.05)
            answer = book(app, body, key)
        if answer.status != 201:
            self._note_refusal("books", answer)
            return
        booking_id = answer.told["booking_id"]
        if does == "leaves":
            change(self.place, _EXPIRE.format(booking_id))
            return
        if does == "cancels":
            self._act(app, booking_id, "cancel", {}, {"state": "cancelled"})
            return
        if self._act(app, booking_id, "confirm", None, {"state": "confirmed"}):
            self.booked[booking_id] = at
        if does == "moves":
            other = drawn.choice(windows)
            if self._act(app, booking_id, "reschedule", {"starts_at": other}, {"starts_at": other}):
                self.booked[booking_id] = other

    def _act(self, app: Caller, booking_id: str, event: str, body: Any, after: dict[str, str]) -> bool:
        """Let a customer do something, again where nobody knows whether it was done; tell whether it is as it is to be after."""
        path, is_unsure = f"/v1/bookings/{booking_id}", False
        while True:
            answer = app.call("POST", f"{path}:{event}", body)
            if answer.status == 200:
                return True
            if answer.status == 503:
                is_unsure = True
            elif not is_unsure or answer.slug != "state-conflict":
                self._note_refusal(event, answer)
                return False
            found = app.call("GET", path)
            if found.status == 200 and all(_same(found.told[name], value) for name, value in after.items()):
                return True
            time.sleep(0.05)

    def _note_refusal(self, what: str, answer: Answer) -> None:
        if (answer.status, answer.slug) == (409, "sold-out"):
            self.refused += 1
        else:
            self.wrong.append(f"{what}: {answer}")

    def _book_the_rest(self, windows: list[str], seconds: float) -> None:
        """Let buyers come until each window is booked by each crew, as holds expire."""
        app, until = self.provider.app(), time.monotonic() + seconds
        while (left := self.left(windows)) and time.monotonic() < until:
            for at in left:
                self.buyer(app, [at], random.Random(SEED), "buys")  # noqa: S311
            time.sleep(0.05)
        app.close()

    def left(self, windows: list[str]) -> list[str]:
        """Return the windows in which more visits fit than are booked."""
        booked = list(self.booked.values())
        return [at for at in windows if booked.count(at) < len(CREWS)]

    def watch(self) -> None:
        """Look at all days over and over."""
        while not self.ended.wait(0.05):
            self.wrong += wrong_visits(self.place)
            self.n_reads += 1

    def count_overlapping(self) -> None:
        """Count the transactions that have begun to write, over and over."""
        if self.place.database is None:
            return
        with psycopg.connect(self.place.database, autocommit=True) as connection:
            while not self.ended.wait(0.003):
                row = connection.execute(_WRITING).fetchone()
                self.most_overlapping = max(self.most_overlapping, 0 if row is None else row[0])


def _same(told: str, wanted: str) -> bool:
    """Tell whether two words are the same, or two instants, however they are written."""
    if "T" not in wanted:
        return told == wanted
    return dt.datetime.fromisoformat(told) == dt.datetime.fromisoformat(wanted)


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    url = fresh_database(request.getfixturevalue("postgres_url")) if request.param == "postgres" else None
    return Place(tmp_path / "data", url)


@contextmanager
def open_race(place: Place, guard: str | None = None) -> Iterator[Race]:
    """Give a race that has not begun, at a linli that may lack a guard."""
    program = None if guard is None else without(guard)
    flags = [] if place.database is None or guard is not None else ["--workers=2"]  # they are of the whole linli
    with running_service(place, *flags, program=program) as serving, open_provider(serving, "race", CREWS) as provider:
        yield Race(provider)


@pytest.fixture
def race(place: Place) -> Iterator[Race]:
    with open_race(place) as race:
        yield race


@pytest.fixture(scope="module")
def booked_up(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the folder of a store in which all visits of a day are booked, to be copied."""
    place = Place(tmp_path_factory.mktemp("booked") / "data")
    with open_race(place) as race:
        app = race.provider.app()
        for at in starts(1, 1) * len(CREWS):
            race.buyer(app, [at], random.Random(SEED), "buys")  # noqa: S311
        app.close()
        assert race.wrong == wrong_visits(place) == []
    return place.folder


def test_last_visits__are_booked_once(race: Race, place: Place, record_property: Callable[[str, object], None]) -> None:
    watching = [threading.Thread(target=race.watch), threading.Thread(target=race.count_overlapping)]
    for thread in watching:
        thread.start()
    begun, wrong_after = time.monotonic(), []
    try:
        for number in range(N_ROUNDS):
            race.round(number)
            wrong_after += wrong_visits(place) + [
                f"round {number}: {at} is free" for at in race.left(starts(1 + number, 1))
            ]
    finally:
        race.ended.set()
        for thread in watching:
            thread.join()
    seconds = time.monotonic() - begun
    ended = states_of(place)
    told = {"bookings": dict(ended), "refused": race.refused, "reads": race.n_reads}
    told |= {"overlapping": race.most_overlapping, "seconds": round(seconds, 1)}
    record_property("race", str(told))
    _LOG.info("%s", told)
    assert race.wrong == wrong_after == [], f"seed {SEED}"
    assert ended["confirmed"] == len(race.booked) == N_ROUNDS * N_VISITS
    assert {"cancelled", "expired"} <= ended.keys() <= {"confirmed", "cancelled", "expired"}
    assert race.refused > N_ROUNDS * N_VISITS
    assert unsound_visits(place) == []
    assert race.n_reads > 10
    assert place.database is None or race.most_overlapping > 1


@pytest.mark.parametrize(
    ("place", "guard"),
    [("postgres", "visits"), *([("sqlite", "memory")] if FULL else [])],
    indirect=["place"],
)
def test_last_visits__are_booked_twice_without_the_guard(place: Place, guard: str) -> None:
    windows = starts(1, 1)
    with open_race(place, guard) as race:

        def buy(thread: int) -> None:
            app = race.provider.app()
            book(app, race.provider.body(windows[thread % len(windows)]))
            app.close()

        for _ in CREWS:  # days that are there to be read
            buy(0)
        at_once(N_AT_ONCE, buy)
        wrong = wrong_visits(place)
        assert states_of(place)["held"] > N_VISITS, wrong
    assert any(one.startswith("booked twice") for one in wrong), wrong
    assert any(one.startswith("stands 0 times") for one in wrong), wrong


@pytest.mark.parametrize(
    ("planted", "found"),
    [
        ("UPDATE bookings SET crew_id = 'anna'", "booked twice"),
        ("UPDATE bookings SET crew_id = 'anna'", "elsewhere"),
        ("UPDATE shifts SET day = replace(day, '3000', '3900')", "late"),
        ("DELETE FROM shifts", "stands 0 times"),
        ("UPDATE bookings SET state = 'cancelled'", "nobody wants it"),
    ],
)
def test_checker__finds_what_is_planted(booked_up: Path, tmp_path: Path, planted: str, found: str) -> None:
    place = Place(tmp_path / "data")
    shutil.copytree(booked_up, place.folder)
    change(place, planted)
    assert any(one.startswith(found) for one in wrong_visits(place))

"""An acknowledged booking survives, and each stands whole in a day that can be kept: killed at every write, and under buyers (R2, F1)."""

from __future__ import annotations

import json
import random
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from service.store.sqlite_engines import integrity
from tests.contract.service.talking import ask
from tests.faults.buying import Caller, change
from tests.faults.killing import Killer, acked_in, running_killer
from tests.faults.visiting import book_once, booking_terms_of, enter_provider, wish_at
from tests.faults.visits import Provider, book, open_provider, starts, unsound_visits, wrong_visits
from tests.faults.writing import opened
from tests.feed_store import wait_until
from tests.scale import FULL
from tests.serving import LINLI, Place, Serving, fresh_database, running_service

STEP, N_KILLED = (1, 100) if FULL else (20, 3)  # of the script
N_KILLS = 100 if FULL else 2
N_BUYERS = 32
CREWS = tuple(f"crew-{number}" for number in range(50 if FULL else 10))
WINDOWS = 250
SEED = secrets.randbelow(2**32)
DRAWN = random.Random(SEED)  # noqa: S311
_KEYS = "SELECT key, body FROM idempotency WHERE route = 'POST /v1/bookings'"
_REVISIONS = "SELECT booking_id, revision FROM bookings"


@pytest.fixture(scope="module")
def provided(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder whose store has a provider, to be copied."""
    folder = tmp_path_factory.mktemp("provider")
    with opened(str(folder)) as store:
        store.write_now(enter_provider)
    return folder


@pytest.fixture
def killer(provided: Path, tmp_path: Path) -> Iterator[Killer]:
    with running_killer("tests.faults.visiting", provided, tmp_path, wrong_after) as running:
        yield running


def wrong_after(place: Place, told: list[str]) -> list[str]:
    """Return what is wrong after a kill: bookings acknowledged and gone, or not whole, or a crew's time that is not theirs."""
    with opened(str(place.folder)):  # as the next start does
        pass
    assert integrity(place.folder / "linli.db") == "ok"
    booked = {key: json.loads(body)["booking_id"] for key, body in ask(place, _KEYS)}
    revisions = dict(ask(place, _REVISIONS))
    kept = {key: revisions.get(booking_id, 0) for key, booking_id in booked.items()}
    acked = acked_in(told)
    lost = [f"lost {key} {revision}" for key, revision in acked.items() if kept.get(key, 0) < revision]
    torn = [f"key without booking {key}" for key, revision in kept.items() if revision == 0]
    torn += [f"booking without key {one}" for one in revisions.keys() - set(booked.values())]
    return lost + torn + unsound_visits(place) + wrong_visits(place)


def test_script__killed_at_every_write_keeps_what_was_acknowledged_and_each_booking_whole(
    killer: Killer, record_property: Callable[[str, object], None]
) -> None:
    n_calls = killer.see_all_kept(STEP, N_KILLED, DRAWN)
    record_property("calls", n_calls)
    assert n_calls >= 400


def test_checker__finds_a_booking_acknowledged_too_early(killer: Killer) -> None:
    killer.see_lost((10, 11, 12, 13), 20)


@pytest.mark.parametrize(
    ("planted", "found"),
    [
        ("DELETE FROM booking_events WHERE revision = 1", "events missing"),
        ("DELETE FROM changes WHERE kind = 'booking'", "event not in the outbox"),
        ("DELETE FROM changes WHERE kind = 'shift'", "shift not in the outbox"),
        ("DELETE FROM idempotency", "booking without key"),
        ("DELETE FROM bookings", "lost key-0"),
        ("DELETE FROM shifts", "stands 0 times"),
        ("UPDATE bookings SET shift_at = shift_at - 1", "elsewhere"),
        ("UPDATE bookings SET state = 'cancelled'", "state not the last event's"),
    ],
)
def test_checker__finds_what_is_planted(provided: Path, tmp_path: Path, planted: str, found: str) -> None:
    folder = tmp_path / "store"
    shutil.copytree(provided, folder)
    with opened(str(folder)) as store:
        terms, wanted = booking_terms_of(store), wish_at(starts(1, 1)[0])
        store.write_now(lambda connection: book_once(connection, terms, "key-0", wanted))
    place, told = Place(folder), ["ok key-0 1"]
    assert wrong_after(place, told) == []
    change(place, planted)
    assert any(found in one for one in wrong_after(place, told))


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    url = fresh_database(request.getfixturevalue("postgres_url")) if request.param == "postgres" else None
    return Place(tmp_path / "data", url)


def test_server__killed_under_buyers_keeps_every_booking_that_it_acknowledged(
    place: Place, record_property: Callable[[str, object], None]
) -> None:
    acked = dict[str, int]()
    with running_service(place) as serving, open_provider(serving, "killed", CREWS) as provider:
        _book_until_killed(serving, provider, acked)
    ready_s = []
    for number in range(N_KILLS - 1):
        begun, program = time.monotonic(), LINLI if number % 10 == 0 else None  # as users do, or loaded before
        with running_service(place, admin_key=serving.admin_key, program=program) as serving:
            ready_s.append(time.monotonic() - begun)
            _book_until_killed(serving, provider, acked)
        revisions = dict(ask(place, _REVISIONS))
        lost = [one for one, revision in acked.items() if revisions.get(one, 0) < revision]
        assert lost == [], f"seed {SEED}"
        assert wrong_visits(place) == [], f"seed {SEED}"
    record_property("acked", len(acked))
    record_property("ready_s", round(max(ready_s), 2))
    assert len(acked) > 10 * N_KILLS
    assert unsound_visits(place) == []
    assert ask(place, "SELECT count(*) FROM idempotency WHERE route = 'POST /v1/bookings' AND status = 201") == ask(
        place, "SELECT count(*) FROM bookings"
    )
    assert place.database is not None or integrity(place.folder / "linli.db") == "ok"


def _book_until_killed(serving: Serving, provider: Provider, acked: dict[str, int]) -> None:
    """Let buyers book at a server until it is killed, at any time after some were answered."""
    buyers = [
        threading.Thread(
            target=_book_on, args=(Caller(serving.base_url, provider.app_key), provider, f"{SEED} {number}", acked)
        )
        for number in range(N_BUYERS)
    ]
    before = len(acked)
    for buyer in buyers:
        buyer.start()
    wait_until(lambda: len(acked) > before + 15, 30, "some were answered")
    time.sleep(DRAWN.uniform(0.0, 0.5))
    serving.kill()
    for buyer in buyers:
        buyer.join()


def _book_on(app: Caller, provider: Provider, seed: str, acked: dict[str, int]) -> None:
    """Book, confirm, move and cancel what is booked, until nothing answers."""
    drawn, windows = random.Random(f"{seed} {len(acked)}"), starts(1, WINDOWS // 5)  # noqa: S311
    while (answer := book(app, provider.body(drawn.choice(windows)))).status:
        if answer.status != 201:
            assert answer.slug == "sold-out" or answer.status == 503, answer
            continue
        booking_id = answer.told["booking_id"]
        acked[booking_id] = 1
        for event, body in _goes_on(drawn, windows):
            done = app.call("POST", f"/v1/bookings/{booking_id}:{event}", body)
            if done.status == 200:
                acked[booking_id] = done.told["revision"]
            elif (done.status, done.slug) != (409, "sold-out"):
                assert done.status in {0, 503}, done
                break
    app.close()


def _goes_on(drawn: random.Random, windows: list[str]) -> list[tuple[str, dict[str, str] | None]]:
    """Return what the customer does after he has booked: half of all visits are cancelled, so that time is left."""
    moves = ("reschedule", {"starts_at": drawn.choice(windows)})
    gives_up: tuple[str, dict[str, str] | None] = ("cancel", {})
    goes_on: list[list[tuple[str, dict[str, str] | None]]] = [
        [],
        [("confirm", None)],
        [("confirm", None), moves],
        [gives_up],
        [("confirm", None), gives_up],
        [("confirm", None), moves, gives_up],
    ]
    return drawn.choice(goes_on)

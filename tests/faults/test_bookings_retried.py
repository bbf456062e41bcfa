"""A retry books once: sent five times at once, cut and killed, its commit's reply lost; a refusal stays one (R6, F8)."""

from __future__ import annotations

import json
import secrets
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.contract.service.talking import ask
from tests.cut_wire import wire_to
from tests.faults.buying import Answer, Caller
from tests.faults.retrying import Losing, Sent, send_and_kill, settled
from tests.faults.visits import Provider, book, open_provider, starts, unsound_visits, wrong_visits
from tests.scale import FULL
from tests.serving import Place, fresh_database, running_service

N_BOOKINGS = 2_000 if FULL else 60
N_LIVES = 10 if FULL else 1
N_LOST = 500 if FULL else 20
N_CREWS = 10
N_DAYS = 50
PATH = "/v1/bookings"
REFUSED = ("sold-out", "price-changed", "not-feasible")
SEED = secrets.randbelow(2**32)


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    url = fresh_database(request.getfixturevalue("postgres_url")) if request.param == "postgres" else None
    return Place(tmp_path / "data", url)


def _prepared(provider: Provider) -> tuple[list[Sent], str]:
    """
    Return the bookings to send, every tenth of which a rule refuses, and the one that takes the last window.

    All crews have the last day off but one, who is booked at eight.
    """
    windows, (taken, *_) = starts(1, N_DAYS), starts(N_DAYS + 1, 1)
    off = f"Mo-Su 07:30-13:30; {_hours_date(taken)} off"
    for number in range(1, N_CREWS):
        provider.put_crew(f"crew-{number}", hours=off)
    app = provider.app()
    taking = book(app, provider.body(taken))
    app.close()
    assert taking.status == 201, taking
    bodies = [provider.body(windows[number % len(windows)]) for number in range(N_BOOKINGS)]
    refused: list[dict[str, Any]] = [{"starts_at": taken}, {"total_minor": 1}, {"lat": 32.5}]  # as REFUSED has them
    for number in range(9, N_BOOKINGS, 10):
        bodies[number] |= refused[number // 10 % 3]
    sent = [Sent(f"key-{number}", json.dumps(body).encode()) for number, body in enumerate(bodies)]
    return sent, str(taking.told["booking_id"])


def _hours_date(starts_at: str) -> str:
    year, month, day = starts_at[:10].split("-")
    name = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"][int(month) - 1]
    return f"{year} {name} {day}"


def _settle(provider: Provider, base_url: str, sent: list[Sent], taking: str) -> Answer:
    """Send all until they are answered, some again after all is different; return a wrong sending."""
    app, own = Caller(base_url, provider.app_key), Caller(base_url, provider.own_key)
    for one in sent:
        one.answers.append(settled(app, PATH, one))
    assert app.call("POST", f"{PATH}/{taking}:cancel", {}).status == 200
    service = f"/v1/points/{provider.point_id}/services/clean"
    told = own.call("GET", service).told
    known = {
        name: told[name] for name in ("name", "offer", "minutes", "currency", "hours", "lead_minutes", "most_days")
    }
    assert own.call("PUT", service, {**known, "price_minor": 1, "window_minutes": 0, "step_minutes": 60}).status == 200
    for one in [*sent[:: max(1, N_BOOKINGS // 100)], *sent[9::10]]:
        one.answers.append(settled(app, PATH, one))
    other = settled(app, PATH, Sent(sent[0].key, sent[1].body))
    app.close()
    own.close()
    return other


def test_bookings__sent_five_times_under_cuts_and_kills_are_made_once(
    place: Place, record_property: Callable[[str, object], None]
) -> None:
    workers = [] if place.database is None else ["--workers=2"]
    unexpected: list[Answer] = []
    crews = [f"crew-{number}" for number in range(N_CREWS)]
    with running_service(place, *workers) as serving, open_provider(serving, "retried", crews) as provider:
        (sent, taking), admin_key, step = _prepared(provider), serving.admin_key, N_BOOKINGS // N_LIVES
        unexpected += send_and_kill(serving, provider.app_key, PATH, sent[:step], SEED)
    for first in range(step, N_BOOKINGS, step):
        with running_service(place, *workers, admin_key=admin_key) as serving:
            unexpected += send_and_kill(serving, provider.app_key, PATH, sent[first : first + step], SEED)
    assert unexpected == [], f"seed {SEED}"
    n_answered = sum(bool(one.answers) for one in sent)
    with running_service(place, *workers, admin_key=admin_key) as serving:
        other = _settle(provider, serving.base_url, sent, taking)
    assert (other.status, other.slug) == (422, "idempotency-key-reused")
    assert [one.key for one in sent if len({(answer.status, answer.body) for answer in one.answers}) != 1] == []
    told = Counter(one.answers[0].slug or "booked" for one in sent)
    record_property("retried", f"{told}, {n_answered} answered before the last start")
    assert told.keys() == {"booked", *REFUSED}
    assert told["booked"] == N_BOOKINGS - N_BOOKINGS // 10
    assert ask(place, "SELECT count(*) FROM bookings")[0][0] == told["booked"] + 1
    assert len({json.loads(one.answers[0].body).get("booking_id", one.key) for one in sent}) == N_BOOKINGS
    assert unsound_visits(place) == wrong_visits(place) == []


def test_bookings__sent_again_with_another_key_are_made_twice(tmp_path: Path) -> None:
    place = Place(tmp_path / "data")
    with running_service(place) as serving, open_provider(serving, "twice", ["anna", "bert"]) as provider:
        app, body = provider.app(), json.dumps(provider.body(starts(1, 1)[0])).encode()
        assert [settled(app, PATH, Sent(key, body)).status for key in ("once", "once", "twice")] == [201] * 3
        app.close()
    assert ask(place, "SELECT count(*) FROM bookings")[0][0] == 2


@pytest.fixture(scope="module")
def losing(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Losing, Provider]]:
    database, folder = fresh_database(postgres_url), tmp_path_factory.mktemp("lost")
    crews = [f"crew-{number}" for number in range(N_CREWS)]
    with (
        wire_to(database) as (wire, address),
        running_service(Place(folder, address)) as serving,
        open_provider(serving, "lost", crews) as provider,
    ):
        yield Losing(wire, Place(folder, database), serving.base_url, provider.app_key, PATH, "bookings"), provider


def _bodies(provider: Provider) -> list[bytes]:
    windows = starts(1, N_DAYS)
    return [json.dumps(provider.body(windows[number % len(windows)])).encode() for number in range(N_LOST)]


def test_bookings__whose_commit_was_not_heard_of_are_made_once_by_a_retry(
    losing: tuple[Losing, Provider], record_property: Callable[[str, object], None]
) -> None:
    lost, provider = losing
    first, n_made = lost.send_all(_bodies(provider), "once", "once")
    record_property("lost", str(dict(first)))
    assert first == {503: N_LOST}
    assert n_made == N_LOST
    assert unsound_visits(lost.place) == wrong_visits(lost.place) == []


def test_bookings__whose_commit_was_not_heard_of_are_made_twice_without_their_key(
    losing: tuple[Losing, Provider],
) -> None:
    lost, provider = losing
    _first, n_made = lost.send_all(_bodies(provider), "twice", "other")
    assert n_made == 2 * N_LOST

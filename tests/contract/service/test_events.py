"""Event streams of a real service over both databases."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx
import pytest
from sqlalchemy import update

from service.feed.events import EventPage, read_page
from service.feed.events import Place as EventPlace
from service.feed.outbox import prune
from service.keys.store import create_key, revoke_key
from service.store.connections import WriteConnection
from service.store.database import Store
from service.store.tables import marks
from tests.event_client import Event, events_of
from tests.feed_store import fill, opened_store, put_merchant, put_point, set_units, some_change, wait_until
from tests.lived import lived_s
from tests.serving import Place, Serving, fresh_database, running_service

MOST_STREAMS, MOST_OF_ONE = 12, 3


@dataclass
class Live:
    """A service, and its store opened beside it."""

    serving: Serving
    store: Store

    def key(self, scope: str, merchant_id: str | None = None) -> tuple[str, str]:
        """Return the name and the secret of a new key that the service knows."""
        made = self.store.write_now(lambda c: create_key(c, scope=scope, label="test", merchant_id=merchant_id))

        with self.serving.client(made.secret) as client:
            wait_until(lambda: client.get("/v1/events?after=x").status_code != 401, 5, "a new key is known")
        return str(made.row.key_id), made.secret

    @contextmanager
    def stream(self, key: str | None = None, **ask: str) -> Iterator[Iterator[Event]]:
        """Give the events of a stream that is open."""
        headers = {"Last-Event-ID": ask.pop("last")} if "last" in ask else {}
        with (
            self.serving.client(key) as client,
            client.stream("GET", "/v1/events", params=ask, headers=headers) as answer,
        ):
            assert answer.status_code == 200, answer.read()
            assert answer.headers["content-type"].startswith("text/event-stream")
            yield events_of(answer.iter_lines())

    def n_streams(self) -> int:
        """Return how many streams the service has open."""
        with self.serving.client() as client:
            text = client.get("/metrics").text
        return int(
            float(next(line for line in text.splitlines() if line.startswith("linli_event_streams ")).split()[1])
        )


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def live(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    folder = tmp_path_factory.mktemp("events")
    url = fresh_database(request.getfixturevalue("postgres_url")) if request.param == "postgres" else None
    place = Place(folder, url)
    with running_service(place, streams=MOST_STREAMS) as serving, opened_store(place) as store:
        fill(store, 2, 3)
        yield Live(serving, store)


def _rename_feed(connection: WriteConnection, feed: str) -> None:
    connection.run(update(marks).where(marks.c.name == "feed_id").values(value=feed))


def _change_much(connection: WriteConnection, drawn: random.Random) -> None:
    for _ in range(20):
        some_change(drawn, 2, 3)(connection)


def _next_told(events: Iterator[Event]) -> Event:
    return next(event for event in events if event.name)


def _here(live: Live) -> str:
    with live.stream() as events:
        return next(events).id


def test_events__begin_at_the_head_and_tell_a_change_with_its_revision(live: Live) -> None:
    with live.stream() as events:
        assert not next(events).name
        live.store.write_now(lambda connection: set_units(connection, "m0:1", "laundry/pickup", 3))
        told = _next_told(events)
    data = json.loads(told.data)
    assert (told.name, data["kind"], data["subject"], data["merchant_id"]) == ("stock.changed", "stock", "m0:1", "m0")
    assert data["revision"] >= 1
    assert data["at"].endswith("+00:00")


def test_events__come_again_with_the_same_ids_from_any_id_on(live: Live) -> None:
    with live.stream(after="0-0") as events:
        first = [_next_told(events) for _ in range(8)]
    assert len({event.id for event in first}) == 8
    with live.stream(last=first[2].id, after="0-0") as events:  # the header goes before the parameter
        assert [_next_told(events) for _ in range(5)] == first[3:]


def test_events__tell_a_merchant_of_its_own_alone(live: Live) -> None:
    _, key = live.key("merchant", "m0")
    with live.stream(key) as events:
        next(events)
        for merchant_id in ("m1", "m0"):
            live.store.write_now(partial(put_point, point_id=f"{merchant_id}:2", lat=31.5))
        assert json.loads(_next_told(events).data)["subject"] == "m0:2"
    with live.stream(key, after="0-0") as events:
        live.store.write_now(lambda connection: put_merchant(connection, "m0"))
        seen = [json.loads(_next_told(events).data) for _ in range(4)]
    assert {data["merchant_id"] for data in seen} == {"m0"}


def _change_others(connection: WriteConnection, n_changes: int) -> None:
    connection.record_changes("point", [("m1:0", number) for number in range(n_changes)], "m1")


def test_events__of_a_merchant_are_looked_for_among_so_many_of_others_at_a_time(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.feed.events._SPAN", 5)
    place = EventPlace.parse(_here(live))
    for units in (81, 82):
        live.store.write_now(partial(_change_others, n_changes=12))
        live.store.write_now(partial(set_units, point_id="m0:1", offer="laundry/pickup", units=units))
    pages: list[EventPage] = []
    while not pages or pages[-1].is_full:
        pages.append(live.store.read_now(partial(read_page, after=place, merchant_id="m0")))
        place = pages[-1].reached
    assert [len(page.changes) for page in pages] == [0, 0, 1, 0, 0, 1]
    assert [page.is_passing for page in pages] == [True, True, False, True, True, False]
    assert {change.subject for page in pages for change in page.changes} == {"m0:1"}
    assert place == EventPlace.parse(_here(live))


def test_events__of_a_merchant_tell_how_far_they_are_among_many_of_others(live: Live) -> None:
    _, key = live.key("merchant", "m0")
    here = _here(live)
    live.store.write_now(partial(_change_others, n_changes=100_100))
    live.store.write_now(lambda connection: set_units(connection, "m0:1", "laundry/pickup", 83))
    with live.stream(key, last=here) as events:
        passed = [next(events), next(events)]
        told = _next_told(events)
    assert [event.name for event in passed] == ["", ""]
    assert len({here, told.id, *(event.id for event in passed)}) == 4
    assert json.loads(told.data)["subject"] == "m0:1"


@pytest.mark.parametrize(
    "ask",
    [
        {"after": "soon"},
        {"after": "-1-0"},
        {"after": "0-0 "},
        {"after": "0-1-XYZ"},  # not letters of a feed
        {"after": "0-" + "9" * 19},  # more digits than any position has
        {"last": ""},
        {"last": "1"},
    ],
)
def test_events__refuse_what_is_no_id_naming_where_it_stands(live: Live, ask: dict[str, str]) -> None:
    headers = {"Last-Event-ID": ask["last"]} if "last" in ask else {}
    with live.serving.client() as client:
        answer = client.get("/v1/events", params={k: v for k, v in ask.items() if k != "last"}, headers=headers)
    assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (422, "validation")
    assert answer.json()["errors"][0]["where"] == ("Last-Event-ID" if "last" in ask else "after")


@pytest.mark.parametrize("scope", ["app", "planner", "station", "crew"])
def test_events__are_for_admins_and_merchants(live: Live, scope: str) -> None:
    _, key = live.key(scope)
    with live.serving.client(key) as client:
        assert client.get("/v1/events").status_code == 403


def test_events__say_reset_to_who_was_away_too_long_and_to_who_knows_another_feed(live: Live) -> None:
    with live.stream(after="0-0") as events:
        old = _next_told(events)
    here = _here(live)
    live.store.write_now(lambda connection: prune(connection, connection.now_us, limit=3))
    feed = here.rpartition("-")[2]
    ahead = f"{'9' * 17}-{'9' * 17}-{feed}"
    for gone in (old.id, ahead, here.replace(feed, "0" * 8)):
        with live.stream(last=gone) as events:
            told = _next_told(events)
            assert told.name == "reset"
            assert told.id == json.loads(told.data)["position"]
            live.store.write_now(lambda connection: set_units(connection, "m0:0", "laundry/pickup", 5))
            assert _next_told(events).name == "stock.changed"
        assert told.id.rpartition("-")[2] == feed


def test_events__say_reset_on_an_open_stream_when_the_database_was_restored(live: Live) -> None:
    before = _here(live).rpartition("-")[2]
    with live.stream() as events:
        next(events)
        for feed in ("f" * 16, before + "0" * 8):
            live.store.write_now(partial(_rename_feed, feed=feed))
            live.store.write_now(lambda connection: set_units(connection, "m0:0", "laundry/pickup", 6))
            assert _next_told(events).name == "reset"


def test_events__are_refused_when_as_many_are_open_as_may_be(live: Live) -> None:
    wait_until(lambda: live.n_streams() == 0, 5, "earlier streams have ended")
    with ExitStack() as stack:
        keys = [live.key("admin")[1] for _ in range(MOST_STREAMS // MOST_OF_ONE)]
        streams = [stack.enter_context(live.stream(key)) for key in keys for _ in range(MOST_OF_ONE)]
        for events in streams:
            next(events)
        with live.serving.client() as client:
            answer = client.get("/v1/events")
        assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (503, "overloaded")
        assert answer.headers["retry-after"]
    wait_until(lambda: live.n_streams() == 0, 5, "streams end with their clients")


def test_events__end_within_2_s_of_their_key(live: Live) -> None:
    key_id, key = live.key("merchant", "m1")
    with live.stream(key) as events:
        next(events)
        live.store.write_now(lambda connection: revoke_key(connection, key_id))
        begun = lived_s()
        assert {event.name for event in events} <= {"", "key.changed"}  # up to its end
        assert lived_s() - begun < 2
    with live.serving.client(key) as client:
        assert client.get("/v1/events").status_code == 401


def test_events__to_a_client_that_does_not_read_are_not_kept_and_hold_up_no_other(live: Live) -> None:
    with live.serving.client() as client, client.stream("GET", "/v1/events") as stuck, live.stream() as events:
        next(events)
        drawn = random.Random(1)  # noqa: S311
        for _ in range(20):
            live.store.write_now(partial(_change_much, drawn=drawn))
        live.store.write_now(lambda connection: set_units(connection, "m0:0", "laundry/pickup", 77))
        seen = 0
        while seen < 300:
            seen += bool(next(events).name)
        assert stuck.status_code == 200
    wait_until(lambda: live.n_streams() == 0, 5, "streams end with their clients")


def test_events__end_when_the_server_stops(tmp_path: Path) -> None:
    ended: list[float] = []
    with running_service(tmp_path) as serving:

        def follow() -> None:
            with serving.client() as client, client.stream("GET", "/v1/events") as answer:
                list(answer.iter_lines())
            ended.append(lived_s())

        threads = [threading.Thread(target=follow) for _ in range(3)]
        for thread in threads:
            thread.start()
        with serving.client() as client:
            wait_until(lambda: "linli_event_streams 3" in client.get("/metrics").text, 5, "all are open")
        begun = lived_s()
        assert serving.stop() is not None
        for thread in threads:
            thread.join(5)
        assert len(ended) == 3
        assert max(ended) - begun < 4
        assert '"level":"error"' not in serving.log.read_text()


def test_events__send_a_sign_of_life_with_the_place_reached(tmp_path: Path) -> None:
    with running_service(tmp_path) as serving, serving.client() as client:
        with client.stream("GET", "/v1/events", timeout=httpx.Timeout(30)) as answer:
            events = events_of(answer.iter_lines())
            first = next(events)
            begun, begun_lived_s = time.monotonic(), lived_s()
            beat = next(events)
        assert time.monotonic() - begun > 13
        assert lived_s() - begun_lived_s < 17
        assert (beat.name, beat.id, beat.comments) == ("", first.id, [""])

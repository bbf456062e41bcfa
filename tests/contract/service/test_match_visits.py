"""A match for a visit at home is the nearest provider with a crew that can come, not one whose door is open."""

from __future__ import annotations

import datetime as dt
import io
import threading
import time
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from service.bookings.coming import Coming
from service.errors import StorageUnavailableError
from service.matching.arrow_batches import ARROW
from service.matching.asks import Ask
from service.matching.rooms import Rooms
from tests.contract.service.desk import LNG, Desk, open_desk
from tests.contract.service.talking import problem
from tests.contract.service.visiting import OFFER, OFFERED, Visits
from tests.registry import opened

NOBODY_YET = {"hours": "Mo-Su 08:00-18:00; 2026 Nov 01-30 off"}


@pytest.fixture
def visits(desk: Desk) -> Visits:
    return Visits(desk)


def _match(visits: Visits, at: str, **more: Any) -> dict[str, Any]:
    visits.desk.registry.follow()
    asked = {"lat": str(visits.desk.lat), "lng": str(LNG), "offer": OFFER, "at": at} | more
    answer = visits.desk.send("GET", "/v1/match", params=asked)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def _streamed(columns: dict[str, Any]) -> dict[str, Any]:
    """Return the body of a batch."""
    table, sink = pa.table(columns), io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return {"content": sink.getvalue(), "headers": {"Content-Type": ARROW}}


def _by_arrow(visits: Visits, at: str) -> dict[str, Any]:
    columns = {"lat": [visits.desk.lat], "lng": [LNG], "offer": [OFFER], "at": [at]}
    answer = visits.desk.send("POST", "/v1/match:batch", **_streamed(columns))
    return dict(pa.ipc.open_stream(answer.content).read_all().to_pylist()[0])


def test_match__passes_over_a_provider_without_a_crew_that_can_come(visits: Visits) -> None:
    near = visits.provider("anna", crew=NOBODY_YET)
    at = visits.tomorrow(10)
    alone = _match(visits, at)
    assert (alone["matches"], alone["reason"]) == ([], "full")
    assert [(one["point_id"], one["reason"]) for one in alone["refused"]] == [(near, "full")]
    far = visits.provider("bert", lat=visits.desk.lat + 0.01)
    assert [one["point_id"] for one in _match(visits, at, k="2")["matches"]] == [far]
    visits.crew(near, "carl")
    assert [one["point_id"] for one in _match(visits, at, k="2")["matches"]] == [near, far]


def test_match__passes_over_a_provider_whose_services_are_all_paused(visits: Visits) -> None:
    near, at = visits.provider("anna"), visits.tomorrow(10)
    far = visits.provider("bert", lat=visits.desk.lat + 0.01)
    visits.service(near, paused=True)
    assert [one["point_id"] for one in _match(visits, at, k="2")["matches"]] == [far]
    visits.service(far, paused=True)
    nobody = _match(visits, at)
    assert (nobody["matches"], nobody["refused"][0]["reason"]) == ([], "full")
    visits.service(near)
    assert [one["point_id"] for one in _match(visits, at, k="2")["matches"]] == [near]


def test_match__knows_after_a_restart_that_nobody_can_come(tmp_path: Path) -> None:
    """Crews and services stand in no snapshot of the index."""
    with open_desk(tmp_path) as desk:
        visits = Visits(desk)
        visits.provider("anna", crew=NOBODY_YET)
        at, asked = visits.tomorrow(10), {"lat": str(desk.lat), "lng": str(LNG), "offer": OFFER}
        assert (_match(visits, at)["matches"], _match(visits, at)["reason"]) == ([], "full")
    with opened(tmp_path) as registry:
        assert registry.services.follower.n_reloads == 0
        again = registry.send("GET", "/v1/match", params=asked | {"at": at}).json()
        assert (again["matches"], again["reason"]) == ([], "full")


def test_match__asks_no_provider_twice(visits: Visits, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many it has to pass over, more of them at each step."""
    places = [visits.desk.lat + 0.001 * number for number in range(12)]
    near = [visits.provider("anna", crew=NOBODY_YET, lat=lat) for lat in places]
    far = visits.provider("bert", lat=visits.desk.lat + 0.02)
    rooms, asked = visits.desk.registry.services.rooms, []
    is_free = rooms.is_free

    def spy(point_id: str, ask: Ask) -> bool:
        asked.append(point_id)
        return is_free(point_id, ask)

    monkeypatch.setattr(rooms, "is_free", spy)
    assert [one["point_id"] for one in _match(visits, visits.tomorrow(10))["matches"]] == [far]
    assert asked == [*near, far]


def test_match__follows_each_booking_and_says_when_somebody_can_come_again(visits: Visits) -> None:
    point_id = visits.provider("anna", service={"window_minutes": 0, "minutes": 480})
    at = visits.tomorrow(9)
    assert [one["point_id"] for one in _match(visits, at)["matches"]] == [point_id]
    booking = visits.book(point_id, at)
    told = _match(visits, at)
    assert told["matches"] == []
    later = told["would_help"]["later"]
    assert later["point_id"] == point_id
    assert [one["point_id"] for one in _match(visits, later["at"])["matches"]] == [point_id]
    visits.done(booking, "cancel", "app", {})
    assert [one["point_id"] for one in _match(visits, at)["matches"]] == [point_id]


def test_match__says_when_somebody_can_come_though_the_door_opens_before(visits: Visits) -> None:
    """The crew begins at noon; the provider is open from ten."""
    point_id = visits.provider("anna", service={"window_minutes": 0}, crew={"hours": "Mo-Su 12:00-18:00"})
    visits.change_point(point_id, offers=[{**OFFERED, "hours": "Mo-Su 10:00-18:00"}])
    told = _match(visits, visits.tomorrow(9))
    assert (told["matches"], told["reason"]) == ([], "closed")
    later = told["would_help"]["later"]
    assert (later["point_id"], dt.datetime.fromisoformat(later["at"])) == (
        point_id,
        dt.datetime.fromisoformat(visits.tomorrow(12)),
    )


def _refused(told: dict[str, Any]) -> list[tuple[str, str]]:
    """Return who was refused nearby, and why."""
    return [(one["point_id"], one["reason"]) for one in told["refused"] if one["reason"] != "outside_area"]


def test_match__of_a_provider_that_is_booked_longer_before_is_too_soon(visits: Visits) -> None:
    """Its service has a lead time of its own; its offer has none."""
    point_id, at = visits.provider("anna", service={"lead_minutes": 24 * 60}), visits.tomorrow(10)
    told = _match(visits, at)
    assert (told["matches"], told["reason"], _refused(told)) == ([], "too_soon", [(point_id, "too_soon")])
    assert told["would_help"]["later"]["point_id"] == point_id
    assert _by_arrow(visits, at)["status"] == "too_soon"
    query: dict[str, Any] = {"lat": visits.desk.lat, "lng": LNG, "offer": OFFER, "at": at, "point": point_id}
    about = visits.desk.send("GET", "/v1/match:explain", "corner", params=query).json()["point"]
    assert (about["reason"], about["checks"]["room"], about["checks"]["lead"]) == ("too_soon", "too_soon", "ok")
    visits.service(point_id, lead_minutes=0)
    about = visits.desk.send("GET", "/v1/match:explain", "corner", params=query).json()["point"]
    assert (about["reason"], about["checks"]["room"]) == ("matched", "ok")


def test_match__of_a_provider_without_a_crew_is_told_as_full_by_arrow_too_if_it_is_the_nearest(visits: Visits) -> None:
    shut = {**OFFERED, "hours": "Mo-Su 00:00-01:00"}
    far, at = visits.provider("anna", crew=NOBODY_YET, lat=visits.desk.lat + 0.01), visits.tomorrow(10)
    assert (_match(visits, at)["reason"], _by_arrow(visits, at)["status"]) == ("full", "full")
    near = visits.desk.shop(offer=shut)
    told = _match(visits, at)
    assert (told["reason"], _refused(told)) == ("closed", [(near, "closed"), (far, "full")])
    assert _by_arrow(visits, at)["status"] == "closed"


def test_explanation__counts_all_that_were_passed_over_behind_one_without_room_too(visits: Visits) -> None:
    full, at = visits.provider("anna", crew=NOBODY_YET), visits.tomorrow(10)
    store = visits.desk.shop(lat=visits.desk.lat + 0.001)
    free = visits.provider("bert", lat=visits.desk.lat + 0.01)
    visits.desk.registry.follow()
    query: dict[str, Any] = {"lat": visits.desk.lat, "lng": LNG, "offer": OFFER, "at": at}
    told = visits.desk.send("GET", "/v1/match:explain", params=query).json()
    assert [(one["point_id"], one["reason"]) for one in told["nearer"]] == [(full, "full"), (store, "no_offer")]
    assert (told["match"]["point_id"], told["n_more"]) == (free, 0)


def test_match__of_a_visit_now_does_not_hang_on_the_second(visits: Visits) -> None:
    point_id = visits.provider("anna", service={"lead_minutes": 0}, crew={"hours": "24/7"})
    for seconds in (0.0, 0.000001, 0.499999, 0.499999, 0.000001):
        visits.desk.pass_(seconds)
        for at in (visits.desk.now, visits.desk.now + dt.timedelta(minutes=10)):
            assert [one["point_id"] for one in _match(visits, at.isoformat())["matches"]] == [point_id], at


def test_match__of_a_provider_that_is_not_booked_here_goes_by_its_door(visits: Visits) -> None:
    point_id = visits.desk.shop(offer={"offer": OFFER, "hours": "24/7", "area": {"radius_m": 8000}})
    assert [one["point_id"] for one in _match(visits, visits.tomorrow(3))["matches"]] == [point_id]


def _asked_of_pickup(visits: Visits, monkeypatch: pytest.MonkeyPatch) -> tuple[dict[str, Any], list[threading.Thread]]:
    """Ask for laundry to be fetched; return the answer, and where it was asked whether a crew can come instead."""
    threads, can_come = list[threading.Thread](), Coming.can_come

    def note(coming: Coming, point_id: str, ask: Ask) -> bool:
        threads.append(threading.current_thread())
        return can_come(coming, point_id, ask)

    with monkeypatch.context() as patched:
        patched.setattr(Coming, "can_come", note)
        return _match(visits, visits.tomorrow(10), offer="laundry/pickup"), threads


def test_match__asks_whether_a_crew_of_another_mode_can_come_without_keeping_others_waiting(
    visits: Visits, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = {"hours": "24/7", "area": {"radius_m": 3000}, "lead_s": 0}
    point_id = visits.desk.shop(offer={"offer": "laundry/onsite", **place})
    visits.service(point_id, offer="laundry/onsite")
    visits.crew(point_id, "anna")
    told, threads = _asked_of_pickup(visits, monkeypatch)
    assert [one["point_id"] for one in told["would_help"]["other_modes"]] == [point_id]
    assert threads
    assert threading.current_thread() not in threads, "all others wait for its loop"
    fetching = visits.desk.shop(offer={"offer": "laundry/pickup", **place})
    told, threads = _asked_of_pickup(visits, monkeypatch)
    assert ([one["point_id"] for one in told["matches"]], threads) == ([fetching], [])


def _asked_where_a_visit_would_help(visits: Visits) -> dict[str, str]:
    """Make one that launders at home; return a question for one that fetches."""
    place = {"hours": "24/7", "area": {"radius_m": 3000}, "lead_s": 0}
    point_id = visits.desk.shop(offer={"offer": "laundry/onsite", **place})
    visits.service(point_id, offer="laundry/onsite")
    visits.crew(point_id, "anna")
    asked = {"lat": str(visits.desk.lat), "lng": str(LNG), "at": visits.tomorrow(10), "offer": "laundry/pickup"}
    told = _match(visits, asked["at"], offer="laundry/pickup")
    assert [one["point_id"] for one in told["would_help"]["other_modes"]] == [point_id]
    return asked


def test_match__tells_what_the_index_knows_where_the_store_does_not_answer(
    visits: Visits, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = _asked_where_a_visit_would_help(visits)
    store = visits.desk.registry.services.store

    def fail(*_: Any) -> Any:
        message = "the database is gone"
        raise StorageUnavailableError(message)

    monkeypatch.setattr(store, "submit_read", fail)
    told = visits.desk.send("GET", "/v1/match", params=asked)
    assert told.status_code == 200, told.text
    assert (told.json()["matches"], told.json()["would_help"]["other_modes"]) == ([], [])
    of_visits = visits.desk.send("GET", "/v1/match", params=asked | {"offer": "laundry/onsite"})
    assert problem(of_visits) == (503, "storage-unavailable")


def test_match__waits_for_a_store_that_hangs_no_longer_than_its_deadline(
    visits: Visits, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does its thread; of what would help, half as long, so that what is known is told."""
    asked = _asked_where_a_visit_would_help(visits)
    services, can_come, n_at_work = visits.desk.registry.services, Coming.can_come, list[int]()

    def count(coming: Coming, point_id: str, ask: Ask) -> bool:
        n_at_work.append(1)
        try:
            return can_come(coming, point_id, ask)
        finally:
            n_at_work.pop()

    monkeypatch.setattr(Coming, "can_come", count)
    monkeypatch.setattr(services.store, "submit_read", lambda *_: Future[Any]())
    limits = services.settings.limits.model_copy(update={"deadline_s": 1.0})
    monkeypatch.setattr(services.settings, "limits", limits)
    told = visits.desk.send("GET", "/v1/match", params=asked)
    assert (told.status_code, n_at_work) == (200, [])
    assert told.json()["would_help"]["other_modes"] == []
    of_visits = visits.desk.send("GET", "/v1/match", params=asked | {"offer": "laundry/onsite"})
    time.sleep(0.1)
    assert (*problem(of_visits), n_at_work) == (503, "deadline-exceeded", [])


def test_match_and_booking__agree_on_every_window_of_a_day(visits: Visits) -> None:
    point_id = visits.provider("anna", service={"window_minutes": 30, "hours": "Mo-Su 09:00-17:00"})
    visits.book(point_id, visits.tomorrow(12))
    offered = set(visits.starts(point_id))
    for hour in range(7, 19):
        for minute in (0, 30):
            at = visits.tomorrow(hour, minute)
            is_matched = bool(_match(visits, at)["matches"])
            answer = visits.ask(visits.body(point_id, at))
            assert (answer.status_code == 201) == is_matched, (at, answer.text)
            if is_matched:
                assert answer.json()["starts_at"] in offered
                visits.done(answer.json(), "cancel", "app", {})


def test_batch_and_explanation__say_the_same(visits: Visits) -> None:
    point_id, at = visits.provider("anna", crew=NOBODY_YET), visits.tomorrow(10)
    visits.desk.registry.follow()
    ask = {"lat": visits.desk.lat, "lng": LNG, "offer": OFFER, "at": at}
    batch = visits.desk.send("POST", "/v1/match:batch", json={"asks": [ask]}).json()
    assert batch["answers"][0]["reason"] == "full"
    asked = {name: str(value) for name, value in ask.items()} | {"point": point_id}
    told = visits.desk.send("GET", "/v1/match:explain", "corner", params=asked).json()
    assert (told["match"], told["point"]["reason"]) == (None, "full")


def test_explanation__of_a_point_without_room_says_so_where_a_nearer_one_has_some(visits: Visits) -> None:
    near, at = visits.provider("anna"), visits.tomorrow(10)
    far = visits.provider("berta", crew=NOBODY_YET, lat=visits.desk.lat + 0.001)
    visits.desk.registry.follow()
    ask = {"lat": str(visits.desk.lat), "lng": str(LNG), "offer": OFFER, "at": at}
    for point_id, reason in ((near, "matched"), (far, "full")):
        told = visits.desk.send("GET", "/v1/match:explain", "corner", params=ask | {"point": point_id}).json()
        assert (told["match"]["point_id"], told["nearer"], told["point"]["reason"]) == (near, [], reason)


def _batch(visits: Visits, kind: str, n: int) -> dict[str, Any]:
    """Return a body with places for all of which a provider is asked in the store."""
    ask: dict[str, Any] = {"lat": visits.desk.lat, "lng": LNG, "offer": OFFER}
    if kind == "json":
        return {"json": {"asks": [ask] * min(n, 100)}}
    return _streamed({name: pa.array([value] * n) for name, value in ask.items()})


@pytest.mark.parametrize("kind", ["arrow", "json"])
def test_batch__ends_with_its_deadline(visits: Visits, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not only its answer: what goes on asking in a thread keeps that from all others."""
    visits.provider("anna")
    services, asked = visits.desk.registry.services, []

    def wait(_rooms: Rooms, point_id: str, _ask: Ask) -> bool:
        asked.append(point_id)
        time.sleep(0.05)
        return True

    monkeypatch.setattr(Rooms, "is_free", wait)
    assert visits.desk.send("POST", "/v1/match:batch", **_batch(visits, kind, 3)).status_code == 200
    limits = services.settings.limits.model_copy(update={"deadline_s": 1.0})
    monkeypatch.setattr(services.settings, "limits", limits)
    answer = visits.desk.send("POST", "/v1/match:batch", **_batch(visits, kind, 1_000))
    assert problem(answer) == (503, "deadline-exceeded")
    time.sleep(0.1)
    n_asked = len(asked)
    time.sleep(0.3)
    assert len(asked) == n_asked < 30


def test_arrow_batch__says_what_single_questions_do_and_reads_the_store_once_a_point_and_day(
    visits: Visits, monkeypatch: pytest.MonkeyPatch
) -> None:
    near = visits.provider("anna", service={"window_minutes": 0, "minutes": 240, "hours": "Mo-Su 09:00-17:00"})
    visits.provider("berta", crew=NOBODY_YET, lat=visits.desk.lat + 0.001)
    visits.provider("carl", lat=visits.desk.lat + 0.01)
    visits.book(near, visits.tomorrow(9))
    hours = [visits.tomorrow(hour, minute) for hour in (3, 9, 12, 13, 14, 17) for minute in (0, 30)]
    asks = [(visits.desk.lat + 0.0012 * number, at) for number in range(6) for at in hours]
    single = [_match(visits, at, lat=str(lat)) for lat, at in asks]
    store, n_reads = visits.desk.registry.services.store, list[int]()
    submit_read = store.submit_read

    def count(fn: Any, deadline: Any) -> Any:
        n_reads.append(1)
        return submit_read(fn, deadline)

    monkeypatch.setattr(store, "submit_read", count)
    columns: dict[str, pa.Array[Any]] = {
        "lat": pa.array([lat for lat, _ in asks]),
        "lng": pa.array([LNG] * len(asks)),
        "offer": pa.array([OFFER] * len(asks)),
        "at": pa.array([dt.datetime.fromisoformat(at) for _, at in asks], pa.timestamp("us", "UTC")),
    }
    answer = visits.desk.send("POST", "/v1/match:batch", **_streamed(columns))
    told = pa.ipc.open_stream(answer.content).read_all().column("point_id").to_pylist()
    assert told == [one["matches"][0]["point_id"] if one["matches"] else None for one in single]
    assert len(set(told)) == 3
    assert len(n_reads) <= 9, "3 points, 3 days"

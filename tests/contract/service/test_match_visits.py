"""A match for a visit at home is the nearest provider with a crew that can come, not one whose door is open."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from service.matching.asks import Ask
from tests.contract.service.desk import LNG, Desk, open_desk
from tests.contract.service.visiting import OFFER, Visits
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


def test_match__of_a_provider_that_is_not_booked_here_goes_by_its_door(visits: Visits) -> None:
    point_id = visits.desk.shop(offer={"offer": OFFER, "hours": "24/7", "area": {"radius_m": 8000}})
    assert [one["point_id"] for one in _match(visits, visits.tomorrow(3))["matches"]] == [point_id]


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

"""What takes longer than a moment: one caller's many batches and reads keep nobody else from being answered."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, event

from service.matching import routes
from service.points import routes as point_routes
from service.points.rules import facts_of_one
from service.points.store import list_points
from tests.contract.service.desk import LNG, PICKUP, Desk
from tests.contract.service.talking import problem
from tests.contract.service.visiting import OFFER, Visits

_WAIT_S = 20.0
_N_BATCHES = 40
_SHARE = 2


class _Waiting:
    """What waits in its threads until it may go on."""

    def __init__(self) -> None:
        self._may_go = threading.Event()
        self.n_begun = 0

    def wait(self) -> None:
        self.n_begun += 1
        assert self._may_go.wait(_WAIT_S)

    def let_go(self) -> None:
        self._may_go.set()


class _Held(_Waiting):
    """Batches of more than one question."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        super().__init__()
        self._answers = routes._answers
        patch.setattr(routes, "_answers", self._held)

    def _held(self, services: Any, asks: Any, deadline: Any) -> dict[str, Any]:
        if len(asks) > 1:
            self.wait()
        return self._answers(services, asks, deadline)


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[_Held]:
    batches = _Held(monkeypatch)
    yield batches
    batches.let_go()


class _Callers:
    """Requests that are under way together."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def send(self, method: str, path: str, key: str, **more: Any) -> httpx.Response:
        registry = self._desk.registry
        headers = {"Authorization": f"Bearer {registry.keys[key]}"}
        async with asyncio.timeout(_WAIT_S / 2):
            return await registry.client.request(method, path, headers=headers, **more)

    def batch(self, key: str, n: int) -> Coroutine[Any, Any, httpx.Response]:
        ask = {"lat": self._desk.lat, "lng": LNG, "offer": PICKUP}
        return self.send("POST", "/v1/match:batch", key, json={"asks": [ask] * n})

    async def begun(self, held: _Waiting, n: int) -> None:
        async with asyncio.timeout(_WAIT_S / 2):
            while held.n_begun < n:  # noqa: ASYNC110 - it is counted in threads
                await asyncio.sleep(0.005)


def test_batches_of_one_caller__keep_nobody_else_waiting(desk: Desk, held: _Held) -> None:
    visits, callers = Visits(desk), _Callers(desk)
    visits.provider("anna")
    place = {"lat": str(desk.lat), "lng": str(LNG)}
    visit = place | {"offer": OFFER, "at": visits.tomorrow(10)}
    desk.registry.follow()

    async def flooded() -> list[httpx.Response]:
        flood = [asyncio.create_task(callers.batch("app", 2)) for _ in range(_N_BATCHES)]
        await callers.begun(held, _SHARE)
        others = [
            await callers.send("GET", "/v1/match", "other-app", params=visit),
            await callers.send("GET", "/v1/match", "app", params=visit),
            await callers.batch("other-app", 1),
            await callers.send("GET", "/v1/match:explain", "other-app", params=place | {"offer": PICKUP}),
            await callers.send("PUT", "/v1/points/rival:one", "rival", json=desk.plain_shop),
        ]
        assert (held.n_begun, any(one.done() for one in flood)) == (_SHARE, False)
        held.let_go()
        return others + await asyncio.gather(*flood)

    answers = desk.registry.runner.run(flooded())
    assert {answer.status_code for answer in answers} <= {200, 201}, [answer.text for answer in answers]


def test_batch_whose_turn_does_not_come__is_told_to_try_again(
    desk: Desk, held: _Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch that nobody waits for any more has its thread until it ends."""
    callers, services = _Callers(desk), desk.registry.services
    limits = services.settings.limits.model_copy(update={"deadline_s": 0.5})
    monkeypatch.setattr(services.settings, "limits", limits)

    async def flooded() -> list[httpx.Response]:
        first = [asyncio.create_task(callers.batch("app", 2)) for _ in range(_SHARE)]
        await callers.begun(held, _SHARE)
        return [*await asyncio.gather(*first), await callers.batch("app", 1)]

    *first, last = desk.registry.runner.run(flooded())
    assert [problem(answer) for answer in first] == [(503, "deadline-exceeded")] * _SHARE
    assert (*problem(last), last.headers["Retry-After"]) == (503, "overloaded", "1")
    held.let_go()
    monkeypatch.undo()
    assert desk.registry.runner.run(callers.batch("app", 1)).status_code == 200


def test_points_of_one_merchant_that_take_long_to_read__keep_no_other_waiting(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_go, callers = threading.Event(), _Callers(desk)

    def late(point_id: str, *given: Any) -> Any:
        assert point_id.startswith("rival:") or may_go.wait(_WAIT_S)
        return facts_of_one(point_id, *given)

    monkeypatch.setattr(point_routes, "facts_of_one", late)

    async def flooded() -> list[int]:
        many = (
            callers.send("PUT", f"/v1/points/corner:many-{number}", "corner", json=desk.plain_shop)
            for number in range(20)
        )
        flood = [asyncio.create_task(one) for one in many]
        await asyncio.sleep(0.1)
        try:
            other = await callers.send("PUT", "/v1/points/rival:alone", "rival", json=desk.plain_shop)
        finally:
            may_go.set()
        return [answer.status_code for answer in (other, *await asyncio.gather(*flood))]

    assert desk.registry.runner.run(flooded()) == [httpx.codes.CREATED] * 21


class _HeldLists(_Waiting):
    """Lists of points with the feature ``slow``."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        super().__init__()
        patch.setattr(point_routes, "list_points", self._held)

    def _held(self, connection: Any, wanted: Any, **more: Any) -> Any:
        if wanted.feature == "slow":
            self.wait()
        return list_points(connection, wanted, **more)


@pytest.fixture
def held_lists(monkeypatch: pytest.MonkeyPatch) -> Iterator[_HeldLists]:
    lists = _HeldLists(monkeypatch)
    yield lists
    lists.let_go()


def _reads(callers: _Callers, key: str, n: int) -> list[asyncio.Task[httpx.Response]]:
    slow = {"feature": "slow"}
    return [asyncio.create_task(callers.send("GET", "/v1/points", key, params=slow)) for _ in range(n)]


def test_reads_of_one_caller__keep_nobody_else_waiting(desk: Desk, held_lists: _HeldLists) -> None:
    point_id, callers = desk.shop(), _Callers(desk)
    n_half = desk.registry.services.store.n_readers // 2

    async def flooded() -> list[httpx.Response]:
        flood = _reads(callers, "app", 40)
        await callers.begun(held_lists, n_half)
        others = [
            await callers.send("GET", "/v1/points", "other-app"),
            await callers.send("GET", f"/v1/points/{point_id}", "corner"),
            await callers.send("GET", "/v1/keys", "admin"),
        ]
        assert (held_lists.n_begun, any(one.done() for one in flood)) == (n_half, False)
        held_lists.let_go()
        return others + await asyncio.gather(*flood)

    answers = desk.registry.runner.run(flooded())
    assert {answer.status_code for answer in answers} == {200}, [answer.text for answer in answers]


def test_read_whose_turn_does_not_come__is_told_to_try_again(
    desk: Desk, held_lists: _HeldLists, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A read that nobody waits for any more has its thread until it ends."""
    callers, services = _Callers(desk), desk.registry.services
    n_half = services.store.n_readers // 2
    limits = services.settings.limits.model_copy(update={"deadline_s": 0.5})
    monkeypatch.setattr(services.settings, "limits", limits)

    async def flooded() -> list[httpx.Response]:
        first = _reads(callers, "app", n_half)
        await callers.begun(held_lists, n_half)
        answers = await asyncio.gather(*first)
        return [*answers, *[await callers.send("GET", "/v1/points", key) for key in ("other-app", "app")]]

    *first, other, last = desk.registry.runner.run(flooded())
    assert [problem(answer) for answer in first] == [(503, "deadline-exceeded")] * n_half
    assert other.status_code == 200
    assert (*problem(last), last.headers["Retry-After"]) == (503, "overloaded", "1")
    held_lists.let_go()
    assert desk.registry.runner.run(callers.send("GET", "/v1/points", "app")).status_code == 200


@pytest.mark.parametrize(("key", "reads"), [("app", False), ("station", False), ("corner", True)])
def test_list_of_points__reads_areas_for_whom_it_tells_them_alone(desk: Desk, key: str, reads: bool) -> None:
    desk.shop()
    said: list[str] = []

    def note(*given: Any) -> None:
        said.append(given[2])

    event.listen(Engine, "before_cursor_execute", note)
    try:
        listed = desk.send("GET", "/v1/points", key).json()["items"]
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    assert listed != []
    assert any("offers.hours" in statement for statement in said)
    assert any("offers.area" in statement for statement in said) is reads

"""The gate as a stranger sees it: who is let in, what is told to whom, and what stays behind."""

from __future__ import annotations

import asyncio
import contextlib
import io
import itertools
import logging
import re
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from fastapi import APIRouter, FastAPI

from service.audit.store import COMMAND
from service.http import newcomers
from service.http.app import create_app
from service.http.gate import Gate
from service.http.intake import network_of
from service.http.routing import StrictRoute, register_problems
from service.keys.formats import new_key
from service.keys.store import create_key, revoke_key
from service.logs import set_up_logs
from service.merchants.store import create_merchant
from service.services import Services, open_services
from service.settings import load_settings
from tests.lived import lived_s

_INSTANT = re.compile(r"T\d\d:\d\d:\d\d\.\d+")  # half a minute past one can look like a latitude
MATCH = "/v1/match?lat=31.2304&lng=121.4737&offer=repair"
LINK = "/v1/calendars/nobodys.ics"
N_INFLIGHT = 4
IP_RATE = 20
ADDRESSES = (f"198.51.{high}.{low}" for high, low in itertools.product(range(256), range(256)))
RAW: dict[tuple[str, str], Any] = {("GET", "/v1/match"): lambda _services, _scope, _context: b"{}"}


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    settings = load_settings({}, data=tmp_path_factory.mktemp("data"), inflight=N_INFLIGHT, ip_rate=IP_RATE)
    with open_services(settings) as opened:
        yield opened


@pytest.fixture(scope="module")
def key(services: Services) -> str:
    return _key(services)


@pytest.fixture
def log_lines() -> Iterator[Callable[[], str]]:
    """Let the logs be written as `linli serve` does, and give what was written."""
    root, of_client = logging.getLogger(), logging.getLogger("httpx")
    handlers, level, written = root.handlers[:], root.level, io.StringIO()
    with contextlib.redirect_stderr(written):
        set_up_logs("info")
    (ours,) = root.handlers
    root.handlers[:] = [*handlers, ours]
    of_client.disabled = True
    yield written.getvalue
    of_client.disabled = False
    root.removeHandler(ours)
    root.setLevel(level)


def _key(services: Services, **values: Any) -> str:
    """Make a key and wait until the ring knows of it."""
    made = services.store.write_now(lambda connection: create_key(connection, scope="app", label="a test", **values))
    if values.get("expires_us", 1) > 0:
        _wait(lambda: services.ring.caller_of(made.secret, 0) is not None)
    return made.secret


def _keys_of_merchant(services: Services, merchant_id: str) -> list[str]:
    services.store.write_now(lambda connection: create_merchant(connection, COMMAND, merchant_id, "A shop", "verified"))
    return [_key(services, merchant_id=merchant_id) for _ in range(2)]


def _wait(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _ask(
    app: Any, path: str, *, method: str = "GET", headers: Any = (), address: str | None = None, **more: Any
) -> httpx.Response:
    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app=app, client=(address or next(ADDRESSES), 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://linli") as client:
            return await client.request(
                method, path, headers=[(n.encode(), v.encode("latin-1")) for n, v in headers], **more
            )

    return asyncio.run(ask())


def _bearer(key: str) -> list[tuple[str, str]]:
    return [("Authorization", f"Bearer {key}")]


def _slug(response: httpx.Response) -> str:
    assert response.headers["content-type"] == "application/problem+json"
    return str(response.json()["type"]).rpartition("/")[2]


def _other_sum(key: str) -> str:
    return key[:-1] + ("0" if key[-1] != "0" else "1")


STRANGERS: dict[str, Callable[[str], tuple[str, list[tuple[str, str]]]]] = {
    "no key": lambda key: (MATCH, []),
    "another scheme": lambda key: (MATCH, [("Authorization", f"Basic {key}")]),
    "no scheme": lambda key: (MATCH, [("Authorization", key)]),
    "no key after the scheme": lambda key: (MATCH, [("Authorization", "Bearer ")]),
    "two spaces": lambda key: (MATCH, [("Authorization", f"Bearer  {key}")]),
    "two headers, both right": lambda key: (MATCH, _bearer(key) * 2),
    "two headers, one right": lambda key: (MATCH, _bearer(key) + _bearer("x")),
    "two keys in one header": lambda key: (MATCH, [("Authorization", f"Bearer {key}, Bearer {key}")]),
    "malformed": lambda key: (MATCH, _bearer("linli_app_")),
    "bad sum": lambda key: (MATCH, _bearer(_other_sum(key))),
    "well formed, of nobody": lambda key: (MATCH, _bearer(new_key("admin"))),
    "cut": lambda key: (MATCH, _bearer(key[:-1])),
    "longer": lambda key: (MATCH, _bearer(key + "x")),
    "of 10,000 letters": lambda key: (MATCH, _bearer(key * 200)),
    "not ASCII": lambda key: (MATCH, [("Authorization", b"Bearer \xff\xfe".decode("latin-1"))]),
    "in the query": lambda key: (f"{MATCH}&key={key}", []),
    "in the query, right header too": lambda key: (f"{MATCH}&key={key}", _bearer(key)),
    "in the path, right header too": lambda key: (f"/v1/points/{key}", _bearer(key)),
    "its beginning in the query": lambda key: (f"{MATCH}&key={key[:12]}", _bearer(key)),
    "unknown path": lambda key: ("/v1/nothing", []),
    "unknown path outside": lambda key: ("/admin.php", []),
    "unknown method": lambda key: (MATCH, []),
}


@pytest.mark.parametrize("who", STRANGERS)
def test_gate__sends_strangers_away(who: str, services: Services, key: str) -> None:
    path, headers = STRANGERS[who](key)
    told = _ask(create_app(services), path, method="BREW" if who == "unknown method" else "GET", headers=headers)
    assert (told.status_code, _slug(told)) == (401, "unauthenticated")
    assert told.headers["www-authenticate"] == 'Bearer realm="linli"'
    assert told.json() == _ask(create_app(services), MATCH).json(), "the same body whatever was wrong"
    assert key not in told.text


def test_gate__lets_a_key_in(services: Services, key: str) -> None:
    for scheme in ("Bearer", "bearer", "BEARER"):
        told = _ask(Gate(services, RAW, FastAPI()), MATCH, headers=[("Authorization", f"{scheme} {key}")])
        assert told.status_code == 200


def test_gate__lets_a_name_in_that_only_begins_like_a_key(services: Services, key: str) -> None:
    gate = Gate(services, RAW, FastAPI())
    assert _ask(gate, f"{MATCH}&note=linli_shop", headers=_bearer(key)).status_code == 200


def test_gate__knows_no_revoked_or_expired_key(services: Services) -> None:
    gate = Gate(services, RAW, FastAPI())
    expired = _key(services, expires_us=-1)
    assert _ask(gate, MATCH, headers=_bearer(expired)).status_code == 401
    revoked = _key(services)
    assert _ask(gate, MATCH, headers=_bearer(revoked)).status_code == 200
    caller = services.ring.caller_of(revoked, 0)
    assert caller is not None
    services.store.write_now(lambda connection: revoke_key(connection, caller.key_id))
    _wait(lambda: services.ring.caller_of(revoked, 0) is None)
    assert _ask(gate, MATCH, headers=_bearer(revoked)).status_code == 401


@pytest.mark.parametrize(
    ("method", "path", "status", "slug"),
    [
        ("GET", "/v1/nothing", 404, "not-found"),
        ("GET", "/v1/match/", 404, "not-found"),  # no redirect, which would repeat query and Host
        ("GET", "/docs/..%2fv1%2fmatch", 404, "not-found"),
        ("GET", f"{MATCH.partition('?')[0]}%0A", 404, "not-found"),  # the end of a line is no end of a path
        ("GET", "/v1/events%0A", 404, "not-found"),
        ("POST", "/v1/points:import%0A", 404, "not-found"),
        ("HEAD", MATCH, 405, "method-not-allowed"),
        ("OPTIONS", MATCH, 405, "method-not-allowed"),
        ("POST", MATCH, 405, "method-not-allowed"),
        ("TRACE", MATCH, 405, "method-not-allowed"),
        ("GET", "/v1/match:batch", 405, "method-not-allowed"),
    ],
)
def test_gate__tells_a_key_holder_what_is_not_there(
    method: str, path: str, status: int, slug: str, services: Services, key: str
) -> None:
    told = _ask(create_app(services), path, method=method, headers=_bearer(key), follow_redirects=False)
    assert told.status_code == status
    assert method == "HEAD" or _slug(told) == slug
    if status == 405:
        assert told.headers["allow"] == ("POST" if path.endswith("batch") else "GET")


@pytest.mark.parametrize("path", ["/healthz", "/openapi.json", "/docs"])
def test_gate__needs_no_key_for_what_is_open(path: str, services: Services) -> None:
    assert _ask(create_app(services), path).status_code == 200


@pytest.mark.parametrize("address", ["203.0.113.7", "not-an-address", ""])
def test_metrics__are_told_to_no_stranger(address: str, services: Services) -> None:
    assert _ask(create_app(services), "/metrics", address=address or "x").status_code == 401


def test_gate__reads_no_body_of_a_match(services: Services, key: str) -> None:
    gate = Gate(services, RAW, FastAPI())
    assert _ask(gate, MATCH, headers=_bearer(key), content=b"x" * 5_000_000).status_code == 200


@pytest.mark.parametrize("coding", ["gzip", "zstd", "br", "deflate", "gzip, gzip", "GZIP", "x", "identity, gzip"])
@pytest.mark.parametrize("path", [MATCH, "/v1/match:batch", "/v1/points:import"])
def test_gate__takes_no_encoded_body(coding: str, path: str, services: Services, key: str) -> None:
    taken: list[int] = []

    async def bomb() -> Any:
        for _ in range(64):
            taken.append(1)
            yield b"\x1f\x8b" + bytes(65_536)

    method = "GET" if path == MATCH else "POST"
    headers = [*_bearer(key), ("Content-Encoding", coding)]
    told = _ask(create_app(services), path, method=method, headers=headers, content=bomb())
    assert (told.status_code, _slug(told)) == (415, "unsupported-encoding")
    assert taken == [], "nothing of it is read"


def test_gate__asks_for_the_key_before_it_tells_of_encodings(services: Services) -> None:
    address = next(ADDRESSES)
    headers = [("Content-Encoding", "gzip")]
    told = [_ask(create_app(services), MATCH, headers=headers, address=address) for _ in range(2 * IP_RATE + 2)]
    assert {response.status_code for response in told} == {401, 429}, "strangers are counted whatever they send"


def test_gate__takes_identity(services: Services, key: str) -> None:
    gate = Gate(services, RAW, FastAPI())
    assert _ask(gate, MATCH, headers=[*_bearer(key), ("Content-Encoding", "identity")]).status_code == 200


RATELIMIT = re.compile(r'"second";r=(\d+);t=(\d+)')


def test_gate__tells_the_policy_and_what_is_left_as_the_draft_has_it(services: Services) -> None:
    gate, key = Gate(services, RAW, FastAPI()), _key(services, rate=3)
    time.sleep(1 - time.time() % 1)
    told = [_ask(gate, MATCH, headers=_bearer(key)) for _ in range(4)]
    assert [response.status_code for response in told] == [200, 200, 200, 429]
    assert "ratelimit" not in told[0].headers, "more than half is left"
    assert {response.headers["ratelimit-policy"] for response in told[1:]} == {'"second";q=3;w=1'}
    left = [RATELIMIT.fullmatch(response.headers["ratelimit"]) for response in told[1:]]
    assert [found and found.groups() for found in left] == [("1", "1"), ("0", "1"), ("0", "1")]
    assert _slug(told[3]) == "rate-limited"
    assert told[3].headers["retry-after"] == "1", "not before the window ends"


def test_gate__counts_strangers_by_address_and_tells_them_the_same(services: Services) -> None:
    address, app = next(ADDRESSES), create_app(services)
    time.sleep(1 - time.time() % 1)
    told = [_ask(app, MATCH, address=address) for _ in range(IP_RATE + 1)]
    assert [response.status_code for response in told] == [401] * IP_RATE + [429]
    assert told[-1].headers["ratelimit-policy"] == f'"second";q={IP_RATE};w=1'
    assert _ask(app, MATCH).status_code == 401, "another address is not concerned"


@pytest.mark.parametrize(
    ("path", "status"), [("/openapi.json", 429), ("/docs", 429), ("/healthz", 200), ("/readyz", 200)]
)
def test_gate__counts_who_reads_the_description_and_never_who_asks_whether_it_lives(
    path: str, status: int, services: Services
) -> None:
    address, app = next(ADDRESSES), create_app(services)
    assert _ask(app, path).status_code == 200  # what is made once is made
    time.sleep(1 - time.time() % 1)
    told = [_ask(app, path, address=address).status_code for _ in range(IP_RATE + 1)]
    assert told == [200] * IP_RATE + [status]


def test_gate__counts_who_guesses_a_link_as_it_counts_who_guesses_a_key(services: Services, key: str) -> None:
    address, app = next(ADDRESSES), create_app(services)
    assert _ask(app, LINK).status_code == 404
    time.sleep(1 - time.time() % 1)
    told = [_ask(app, LINK, address=address, headers=_bearer(key)).status_code for _ in range(IP_RATE + 1)]
    assert told == [404] * IP_RATE + [429], "a key that is sent with it changes nothing"


@pytest.mark.parametrize(
    ("host", "counted_as"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::"),
        ("fe80::1%eth0", "fe80::"),
        ("", ""),
        ("x" * 900, "x" * 64),  # what a proxy tells
    ],
)
def test_network_of__counts_one_line_as_one(host: str, counted_as: str) -> None:
    assert network_of(host) == counted_as


def _failing_app() -> FastAPI:
    app, router = FastAPI(), APIRouter(route_class=StrictRoute)

    async def fail(lat: float, lng: float) -> None:
        try:
            raise KeyError("31.2304 linli of the secret")
        except KeyError as cause:
            raise RuntimeError(f"secret at {lat},{lng}") from cause

    async def misjudge(lat: float, lng: float) -> None:
        raise ValueError(f"secret at {lat},{lng}")

    router.add_api_route("/v1/fail", fail)

    async def swell(lat: float, lng: float) -> None:
        raise MemoryError(f"secret at {lat},{lng}")

    router.add_api_route("/v1/misjudge", misjudge)
    router.add_api_route("/v1/swell", swell)
    app.include_router(router)
    register_problems(app)
    return app


def _fail_raw(_services: Any, _scope: Any, _context: Any) -> Any:
    raise RuntimeError("secret at 31.2304,121.4737")


@pytest.mark.parametrize("path", ["/v1/fail", "/v1/misjudge", "/v1/raw"])
def test_gate__a_failure_tells_where_the_log_has_it_and_nothing_else(
    path: str, services: Services, key: str, log_lines: Callable[[], str]
) -> None:
    gate = Gate(services, {("GET", "/v1/raw"): _fail_raw}, _failing_app())
    told = _ask(gate, f"{path}?lat=31.2304&lng=121.4737", headers=_bearer(key))
    assert (told.status_code, _slug(told)) == (500, "internal")
    request_id = told.headers["x-request-id"]
    assert request_id in told.json()["detail"]
    lines = log_lines()
    found = [orjson.loads(line) for line in lines.splitlines() if request_id in line]
    assert {line["level"] for line in found} == {"error", "info"}
    assert re.search(r"Error at \S*test_gate\.py:\d+ (_fail_raw|fail|misjudge) < ", lines), "it says where"
    for secret in ("secret", "31.23", "121.47", key, "lat="):
        assert secret not in told.text + _INSTANT.sub("", lines)


def test_gate__what_finds_no_memory_is_told_as_overload_and_logged(
    services: Services, key: str, log_lines: Callable[[], str]
) -> None:
    told = _ask(Gate(services, {}, _failing_app()), "/v1/swell?lat=31.2304&lng=121.4737", headers=_bearer(key))
    assert (told.status_code, _slug(told), told.headers["retry-after"]) == (503, "overloaded", "1")
    lines = log_lines()
    assert re.search(r"failed: MemoryError at \S*test_gate\.py:\d+ swell < ", lines), "it says where"
    for secret in ("secret", "31.23", "121.47", key, "lat="):
        assert secret not in told.text + _INSTANT.sub("", lines)


@pytest.mark.parametrize("who", STRANGERS)
def test_gate__logs_neither_key_nor_query_nor_place(
    who: str, services: Services, key: str, log_lines: Callable[[], str]
) -> None:
    path, headers = STRANGERS[who](key)
    told = _ask(create_app(services), path, headers=headers)
    lines = log_lines()
    assert told.headers["x-request-id"] in lines
    for secret in (key[10:], key[10:-2], "lat=", "31.23", "121.47", "repair", "nothing", "admin.php"):
        assert secret not in _INSTANT.sub("", lines)


def test_logs__cut_keys_wherever_they_stand(key: str, log_lines: Callable[[], str]) -> None:
    logging.getLogger("service.test").warning("got %s", f"/v1/match?key={key}")
    try:
        raise RuntimeError(key)
    except RuntimeError:
        logging.getLogger("service.test").exception("failed with %s", key)
    lines = log_lines()
    assert "linli_app_[redacted]" in lines
    assert key[10:] not in lines


def test_gate__request_ids_differ(services: Services) -> None:
    app = create_app(services)
    ids = {_ask(app, "/healthz").headers["x-request-id"] for _ in range(5)}
    assert len(ids) == 5
    assert all(re.fullmatch("[0-9a-f]{16}", name) for name in ids)


class Slow:
    """An application whose answers wait until they are let go, or until their client goes."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.n_begun = 0

    async def __call__(self, _scope: Any, receive: Any, send: Any) -> None:
        """Answer once all are let go."""
        self.n_begun += 1
        await self.go.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"late"})


class Crowd:
    """Requests at once through one gate, by turns of four keys."""

    def __init__(self, services: Services, key: str) -> None:
        self.keys = (key, *(_key(services) for _ in range(3)))
        self.slow = Slow()
        self.gate = Gate(services, RAW, self.slow)
        transport = httpx.ASGITransport(app=self.gate, client=(next(ADDRESSES), 1))
        self.client = httpx.AsyncClient(transport=transport, base_url="http://linli", headers=_bearer(key))

    def begin(self, n: int, path: str = "/v1/slow") -> list[asyncio.Task[httpx.Response]]:
        """Begin requests that last."""
        return [asyncio.ensure_future(self.get(path, number % len(self.keys))) for number in range(n)]

    async def get(self, path: str, number: int) -> httpx.Response:
        """Ask with one of the keys."""
        return await self.client.get(path, headers=_bearer(self.keys[number]))

    async def begun(self, n: int) -> None:
        """Wait until so many have come through."""
        async with asyncio.timeout(5):
            while self.slow.n_begun < n:  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0.001)


def _in_crowd(services: Services, key: str, what: Callable[[Crowd], Awaitable[None]]) -> None:
    async def run() -> None:
        crowd = Crowd(services, key)
        async with crowd.client:
            await what(crowd)
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == {asyncio.current_task()}, "no task is left"

    asyncio.run(run())
    assert services.n_inflight == 0


@pytest.mark.parametrize("path", ["/v1/slow", LINK])
def test_gate__sheds_what_is_over_the_limit_in_milliseconds(path: str, services: Services, key: str) -> None:
    async def crowded(crowd: Crowd) -> None:
        running = crowd.begin(N_INFLIGHT)
        await crowd.begun(N_INFLIGHT)
        seconds = []
        for _ in range(50):
            started = time.thread_time()  # of a busy machine nothing is asked
            told = await crowd.client.get(path)
            seconds.append(time.thread_time() - started)
            assert (told.status_code, _slug(told), told.headers["retry-after"]) == (503, "overloaded", "1")
        assert sorted(seconds)[48] < 0.020
        crowd.slow.go.set()
        assert [response.status_code for response in await asyncio.gather(*running)] == [200] * N_INFLIGHT
        assert (await crowd.client.get("/v1/slow")).status_code == 200, "normal again"

    _in_crowd(services, key, crowded)


def test_gate__strangers_that_might_be_known_soon_hold_no_place_while_they_wait(
    services: Services, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services.follower, "has_come_to", lambda _instant: False)  # the store is away

    async def crowded(crowd: Crowd) -> None:
        asked = [_bearer(new_key("app")) for _ in range(2 * N_INFLIGHT)]
        strangers = [asyncio.ensure_future(crowd.client.get("/v1/slow", headers=one)) for one in asked]
        await asyncio.sleep(0.05)
        running = crowd.begin(N_INFLIGHT)
        await crowd.begun(N_INFLIGHT)
        assert {response.status_code for response in await asyncio.gather(*strangers)} == {401}
        crowd.slow.go.set()
        assert {response.status_code for response in await asyncio.gather(*running)} == {200}

    _in_crowd(services, key, crowded)


def test_newcomers__wait_no_more_than_some_at_once(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services.follower, "has_come_to", lambda _instant: False)
    monkeypatch.setattr(newcomers, "_MOST", 3)

    async def crowded() -> None:
        waiting = newcomers.Newcomers(services)
        asked = [asyncio.ensure_future(waiting.becomes_known(new_key("app"))) for _ in range(5)]
        await asyncio.sleep(0)
        assert [one.done() for one in asked] == [False] * 3 + [True] * 2
        assert await asyncio.gather(*asked) == [False] * 5
        assert await waiting.becomes_known(_key(services)) is False, "it is known already"

    asyncio.run(crowded())


def test_gate__a_key_has_half_of_all_places_and_keeps_out_no_other(services: Services, key: str) -> None:
    async def crowded(crowd: Crowd) -> None:
        running = [asyncio.ensure_future(crowd.get("/v1/slow", 0)) for _ in range(N_INFLIGHT // 2)]
        await crowd.begun(N_INFLIGHT // 2)
        told = await crowd.get("/v1/slow", 0)
        assert (told.status_code, _slug(told), told.headers["retry-after"]) == (503, "overloaded", "1")
        assert "this key has 2 requests at work" in told.json()["detail"]
        assert (await crowd.get(MATCH, 0)).status_code == 200, "which holds no place"
        running.append(asyncio.ensure_future(crowd.get("/v1/slow", 1)))
        await crowd.begun(N_INFLIGHT // 2 + 1)
        crowd.slow.go.set()
        assert {response.status_code for response in await asyncio.gather(*running)} == {200}
        assert (await crowd.get("/v1/slow", 0)).status_code == 200

    _in_crowd(services, key, crowded)


def test_gate__matches_that_come_at_once_are_no_overload(services: Services, key: str) -> None:
    async def crowded(crowd: Crowd) -> None:
        many = crowd.begin(10 * N_INFLIGHT, MATCH)
        assert {response.status_code for response in await asyncio.gather(*many)} == {200}

    _in_crowd(services, key, crowded)


def test_gate__answers_whether_it_lives_while_it_sheds(services: Services, key: str) -> None:
    async def crowded(crowd: Crowd) -> None:
        running = crowd.begin(N_INFLIGHT)
        await crowd.begun(N_INFLIGHT)
        alive = crowd.begin(1, "/healthz")
        await crowd.begun(N_INFLIGHT + 1)
        crowd.slow.go.set()
        assert all(response.status_code == 200 for response in await asyncio.gather(*running, *alive))

    _in_crowd(services, key, crowded)


@pytest.mark.parametrize("path", ["/v1/events", "/v1/points:import"])
def test_gate__what_lasts_uses_up_nothing_of_the_others(path: str, services: Services, key: str) -> None:
    async def crowded(crowd: Crowd) -> None:
        lasting = crowd.begin(2 * N_INFLIGHT, path)
        await crowd.begun(2 * N_INFLIGHT)
        assert services.n_inflight == 0
        assert (await crowd.client.get(MATCH)).status_code == 200
        crowd.slow.go.set()
        assert all(response.status_code == 200 for response in await asyncio.gather(*lasting))

    _in_crowd(services, key, crowded)


def test_gate__what_lasts_has_a_limit_of_its_own(services: Services, key: str) -> None:
    async def crowded(crowd: Crowd) -> None:
        lasting = crowd.begin(16, "/v1/points:import")
        await crowd.begun(16)
        assert _slug(await crowd.client.get("/v1/points:import")) == "overloaded"
        crowd.slow.go.set()
        await asyncio.gather(*lasting)
        assert (await crowd.client.get("/v1/points:import")).status_code == 200

    _in_crowd(services, key, crowded)


@pytest.mark.parametrize(("path", "n"), [("/v1/events", 50), ("/v1/points:import", 4), ("/v1/slow", N_INFLIGHT // 2)])
@pytest.mark.parametrize("whose", ["key", "merchant"])
def test_gate__what_one_has_at_work_keeps_out_no_other(
    path: str, n: int, whose: str, services: Services, key: str
) -> None:
    async def crowded(crowd: Crowd) -> None:
        own = 1
        if whose == "merchant":
            crowd.keys, own = (*_keys_of_merchant(services, f"shop-{n}"), key), 2
        lasting = [asyncio.ensure_future(crowd.get(path, number % own)) for number in range(n)]
        await crowd.begun(n)
        async with asyncio.timeout(5):
            told = await crowd.get(path, 0)
        assert (told.status_code, _slug(told), told.headers["retry-after"]) == (503, "overloaded", "1")
        assert f"this {whose} has {n} requests at work" in told.json()["detail"]
        lasting.append(asyncio.ensure_future(crowd.get(path, own)))
        await crowd.begun(n + 1)
        crowd.slow.go.set()
        assert {response.status_code for response in await asyncio.gather(*lasting)} == {200}
        assert (await crowd.get(path, 0)).status_code == 200

    _in_crowd(services, key, crowded)


def test_gate__aborted_requests_free_their_place(services: Services, key: str) -> None:
    async def crowded(crowd: Crowd) -> None:
        for _ in range(20):
            running = crowd.begin(N_INFLIGHT)
            await asyncio.sleep(0)
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
        crowd.slow.go.set()
        assert [r.status_code for r in await asyncio.gather(*crowd.begin(N_INFLIGHT))] == [200] * N_INFLIGHT

    _in_crowd(services, key, crowded)


def test_gate__a_request_ends_with_its_deadline(tmp_path: Path) -> None:
    async def crowded(crowd: Crowd) -> None:
        started = lived_s()
        told = await crowd.client.get("/v1/slow")
        assert _slug(told) == "deadline-exceeded"
        assert told.headers["retry-after"] == "1"
        assert lived_s() - started <= 0.2 + 0.25

    with open_services(load_settings({}, data=tmp_path, deadline_s=0.2)) as services:
        _in_crowd(services, _key(services), crowded)


@pytest.mark.parametrize(
    ("path", "is_stopping", "status"), [(MATCH, False, 200), (MATCH, True, 503), (LINK, False, 404), (LINK, True, 503)]
)
def test_gate__takes_no_more_once_it_stops(
    path: str, is_stopping: bool, status: int, services: Services, key: str
) -> None:
    gate = Gate(services, RAW, FastAPI())
    services.is_stopping = is_stopping
    with contextlib.ExitStack() as stack:
        stack.callback(setattr, services, "is_stopping", False)
        told = _ask(gate, path, headers=_bearer(key))
    assert told.status_code == status
    assert told.headers.get("retry-after") == ("1" if is_stopping else None)

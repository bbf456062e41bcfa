"""How answers come out: late, or never, behind one that is not taken; without a length over HTTP/1.0."""

from __future__ import annotations

import asyncio
import logging
import re
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from uvicorn.config import Config
from uvicorn.server import ServerState

from service.http.gate import Gate
from service.http.protocol import WireLimits, limited_protocol
from service.keys.store import create_key
from service.services import Services, open_services
from service.settings import load_settings

BIG, SMALL, PARTS, MATCH = "/v1/big", "/v1/small", "/v1/parts", "/v1/match"
SLOW, STUCK = "/v1/slow", "/v1/stuck"
RAW: dict[tuple[str, str], Any] = {("GET", MATCH): lambda _services, _scope, _context: b"{}"}
N_BYTES = 4_000_000
STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")
COUNTED = re.compile(rb'^linli_requests_total\{.*status="(\d+)"\} (\d+)', re.MULTILINE)


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    with open_services(load_settings({}, data=tmp_path, deadline_s=0.5)) as opened:
        yield opened


def _key(services: Services) -> str:
    made = services.store.write_now(lambda connection: create_key(connection, scope="app", label="a test"))
    deadline = time.monotonic() + 10
    while services.ring.caller_of(made.secret, 0) is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return made.secret


class Answering:
    """An application with a big answer, a small one, one in parts that tells no length, and two that do not come: nothing, and half."""

    def __init__(self) -> None:
        self.is_late = False
        """Whether time was up before an answer had begun."""
        self.n_asked = 0

    async def __call__(self, scope: Any, _receive: Any, send: Any) -> None:
        """Answer."""
        self.n_asked += 1
        if scope["path"] == STUCK:
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
            await send({"type": "http.response.body", "body": b"x", "more_body": True})
        if scope["path"] in {SLOW, STUCK}:
            await asyncio.Event().wait()
        body = b"x" * (N_BYTES if scope["path"] == BIG else 1)
        headers = [] if scope["path"] == PARTS else [(b"content-length", b"%d" % len(body))]
        try:
            await send({"type": "http.response.start", "status": 200, "headers": headers})
        except asyncio.CancelledError:
            self.is_late = True
            raise
        if not headers:
            await send({"type": "http.response.body", "body": b"part, ", "more_body": True})
        await send({"type": "http.response.body", "body": body})


def _heard(
    services: Services,
    *paths: str,
    version: str = "1.1",
    is_time: Callable[[Answering], bool] = lambda _app: True,
    then: Callable[[ServerState], None] = lambda _state: None,
) -> bytes:
    """Ask for all at once, and listen, when it is time, until the connection ends."""
    head = f"HTTP/{version}\r\nHost: linli\r\nAuthorization: Bearer {_key(services)}\r\n"
    sent = "\r\n".join(f"GET {path} {head}" for path in paths) + "Connection: close\r\n\r\n"
    app, protocol = Answering(), limited_protocol(WireLimits())
    config = Config(Gate(services, RAW, app), lifespan="off", log_config=None, interface="asgi3")

    async def run() -> bytes:
        loop, (ours, theirs), parts, state = asyncio.get_running_loop(), socket.socketpair(), [], ServerState()
        ours.setblocking(False)
        with ours:
            await loop.connect_accepted_socket(lambda: protocol(config, state, {}, loop), theirs)
            await loop.sock_sendall(ours, sent.encode())
            async with asyncio.timeout(20):
                while not is_time(app):  # noqa: ASYNC110 - nothing tells of it
                    await asyncio.sleep(0.01)
                then(state)
                while part := await loop.sock_recv(ours, 65_536):
                    parts.append(part)
        return b"".join(parts)

    return asyncio.run(run())


def _counted(services: Services) -> dict[int, int]:
    return {int(status): int(n) for status, n in COUNTED.findall(services.metrics.text())}


def test_answer__is_a_problem_where_the_client_takes_the_one_before_too_late(services: Services) -> None:
    first, _, second = _heard(services, BIG, SMALL, is_time=lambda app: app.is_late).partition(b"x" * N_BYTES)
    assert STATUS.findall(first) + STATUS.findall(second) == [b"200", b"503"]
    assert b"application/problem+json" in second
    assert b"deadline-exceeded" in second
    assert _counted(services) == {200: 1, 503: 1}


@pytest.mark.parametrize("second", [SMALL, MATCH])
def test_answer__is_a_close_where_the_client_does_not_take_the_one_before(second: str, services: Services) -> None:
    heard = _heard(services, BIG, second, is_time=lambda _app: 499 in _counted(services))
    assert STATUS.findall(heard) == [b"200"]
    assert heard.endswith(b"x" * N_BYTES)
    assert _counted(services).keys() == {200, 499}
    assert services.n_inflight == 0, "it keeps no place from the others"


@pytest.mark.parametrize(("version", "told"), [("1.0", b"part, x"), ("1.1", b"6\r\npart, \r\n1\r\nx\r\n0\r\n\r\n")])
def test_answer__of_unknown_length_comes_in_chunks_only_where_the_client_knows_them(
    version: str, told: bytes, services: Services
) -> None:
    head, _, body = _heard(services, PARTS, version=version).partition(b"\r\n\r\n")
    assert body == told
    assert (b"transfer-encoding" in head) == (version == "1.1")
    assert b"connection: close" in head


@pytest.mark.parametrize(
    ("paths", "status", "end"),
    [
        ([SLOW], 503, b'it may still come to be"}'),
        ([STUCK], 200, b"\r\n\r\nx"),  # what has begun breaks off
        ([BIG, SMALL], 200, b"x" * N_BYTES),  # the client does not take the one before
    ],
)
def test_answer__of_what_a_stopping_server_cuts_is_a_problem_or_a_close(
    paths: list[str], status: int, end: bytes, services: Services, caplog: pytest.LogCaptureFixture
) -> None:
    def cut(state: ServerState) -> None:
        services.stop_taking()
        for task in state.tasks:
            task.cancel()

    heard = _heard(services, *paths, is_time=lambda app: app.n_asked == len(paths), then=cut)
    assert STATUS.findall(heard) == [b"%d" % status]
    assert heard.endswith(end)
    assert [record.getMessage() for record in caplog.records if record.levelno > logging.INFO] == []
    assert services.n_inflight == 0

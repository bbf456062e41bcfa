"""A real uvicorn in a thread, and what a raw socket hears from it."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn

from service.http.whole_answers import send_whole

__all__ = ["Heard", "WireServer", "exchange", "listen", "served"]


@dataclass
class WireServer:
    """A server that echoes: the length of the body that came, and each request it was asked."""

    port: int = 0
    asked: list[dict[str, Any]] = field(default_factory=list)
    bodies: list[bytes | None] = field(default_factory=list)
    loop: asyncio.AbstractEventLoop | None = None
    server: uvicorn.Server | None = None

    async def app(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Read the whole body, then answer; `/early` and `/whole` answer before, `/slow` after a while, `/big` with much."""
        if scope["type"] != "http":
            return
        self.asked.append(scope)
        if scope["path"] == "/early":
            await _answer(send, b"early")
        if scope["path"] == "/whole":
            send_whole(send.__self__, 200, [], b"whole", closes=False)
            return
        body: bytes | None = b""
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                body = None
                break
            body = (body or b"") + message["body"]
            if not message["more_body"]:
                break
        self.bodies.append(body)
        if body is None or scope["path"] == "/early":
            return
        if scope["path"] == "/slow":
            await asyncio.sleep(0.2)
        await _answer(send, b"x" * 40_000_000 if scope["path"] == "/big" else b"%d" % len(body))

    def connect(self) -> socket.socket:
        """Open a raw socket to it."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def in_loop(self, what: Any) -> Any:
        """Return what a function returns in the server's own thread."""

        async def call() -> Any:
            return what()

        assert self.loop is not None
        return asyncio.run_coroutine_threadsafe(call(), self.loop).result(20)

    @property
    def n_connections(self) -> int:
        """How many connections it holds."""
        assert self.server is not None
        return len(self.server.server_state.connections)


async def _answer(send: Any, body: bytes) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


@contextmanager
def served(protocol: Any, loop: str = "uvloop") -> Iterator[WireServer]:
    """Give a server on a free port that speaks by ``protocol``."""
    wire = WireServer()
    settings = uvicorn.Config(
        wire.app,
        http=protocol,
        loop=loop,
        lifespan="off",
        log_config=None,
        access_log=False,
        ws="none",
        interface="asgi3",
    )
    server = wire.server = uvicorn.Server(settings)
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    wire.port = listener.getsockname()[1]

    async def run() -> None:
        wire.loop = asyncio.get_running_loop()
        await server.serve(sockets=[listener])

    thread = threading.Thread(target=_run, args=(settings, run))
    thread.start()
    try:
        deadline = time.monotonic() + 20
        while not server.started:
            assert time.monotonic() < deadline, "the server did not start"
            time.sleep(0.005)
        yield wire
    finally:
        server.should_exit = True
        thread.join(timeout=20)
        listener.close()
        assert not thread.is_alive(), "the server did not stop"


def _run(settings: uvicorn.Config, run: Any) -> None:
    with asyncio.Runner(loop_factory=settings.get_loop_factory()) as runner:
        runner.run(run())


@dataclass(frozen=True)
class Heard:
    """All that a connection said until it was closed, or until we stopped listening."""

    text: bytes
    closed: bool
    after_s: float

    @property
    def statuses(self) -> list[int]:
        """The statuses of the answers, in their order."""
        return [int(part[:3]) for part in self.text.split(b"HTTP/1.1 ")[1:]]

    @property
    def bodies(self) -> list[bytes]:
        """The bodies of the answers, in their order."""
        return [part.partition(b"\r\n\r\n")[2] for part in self.text.split(b"HTTP/1.1 ")[1:]]


def listen(connection: socket.socket, patience_s: float, enough: Callable[[Heard], bool] | None = None) -> Heard:
    """Listen until the connection is closed or what was heard is enough, at most ``patience_s``."""
    began, parts, closed = time.monotonic(), list[bytes](), False
    while not closed and (left := patience_s - (time.monotonic() - began)) > 0:
        connection.settimeout(left)
        try:
            part = connection.recv(1 << 20)
        except TimeoutError:
            break
        except ConnectionError:
            part = b""
        parts.append(part)
        closed = not part
        if enough is not None and enough(Heard(b"".join(parts), closed, 0.0)):
            break
    return Heard(b"".join(parts), closed, time.monotonic() - began)


def exchange(
    wire: WireServer,
    pieces: Sequence[bytes],
    *,
    every_s: float = 0.0,
    patience_s: float = 5.0,
    enough: Callable[[Heard], bool] | None = None,
) -> Heard:
    """Send the pieces one by one from a thread of their own, and hear what comes back meanwhile."""
    with wire.connect() as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        stop = threading.Event()
        sender = threading.Thread(target=_send, args=(connection, pieces, every_s, stop))
        sender.start()
        try:
            return listen(connection, patience_s, enough)
        finally:
            stop.set()
            sender.join(timeout=20)


def _send(connection: socket.socket, pieces: Sequence[bytes], every_s: float, stop: threading.Event) -> None:
    for piece in pieces:
        try:
            connection.sendall(piece)
        except (OSError, ValueError):
            return
        if every_s and stop.wait(every_s):
            return

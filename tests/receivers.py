"""Receivers of webhooks: real servers on this machine that answer well, badly, or not at all."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

__all__ = ["CERTIFICATES", "Canary", "Got", "Receiver", "canary", "receiver", "redirect"]

CERTIFICATES = Path(__file__).resolve().parent / "certificates"
Answer = Callable[[BaseHTTPRequestHandler], None]


@dataclass(frozen=True)
class Got:
    """A request that came."""

    path: str
    headers: dict[str, str]
    body: bytes
    at: float

    @property
    def event_id(self) -> str:
        """The id that it came with."""
        return self.headers["webhook-id"]


@dataclass
class Receiver:
    """
    A receiver.

    Attributes
    ----------
    port
        Where it listens, on 127.0.0.1.
    answer
        What it does with a request that it has read: a status to send, or a function.
    got
        What came, in order.
    n_sent
        Bytes that it could send of a long answer.
    """

    port: int
    answer: int | Answer = 204
    got: list[Got] = field(default_factory=list)
    n_sent: int = 0
    ended: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        """Where it is to be reached by http."""
        return f"http://127.0.0.1:{self.port}/hook"

    def wait(self, n: int, seconds: float = 10.0) -> list[Got]:
        """Return what came once it is so many."""
        until = time.monotonic() + seconds
        while len(self.got) < n:
            assert time.monotonic() < until, f"{len(self.got)} of {n} came within {seconds} s"
            time.sleep(0.005)
        return list(self.got)

    def hang(self, _handler: BaseHTTPRequestHandler) -> None:
        """Answer nothing until it is closed."""
        self.ended.wait()

    def flood(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer 200 and a gigabyte, as far as it is taken."""
        handler.send_response(200)
        handler.send_header("Content-Length", str(1 << 30))
        handler.end_headers()
        self._send_for_ever(handler, bytes(4096))

    def flood_head(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer with a head that does not end."""
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
        self._send_for_ever(handler, b"x-more: " + b"y" * 1000 + b"\r\n")

    def drip(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer a letter every tenth of a second."""
        for letter in b"HTTP/1.1 200 OK\r\nx-more: " + b"y" * 10_000:
            if self.ended.wait(0.1):
                return
            handler.wfile.write(bytes([letter]))

    def _send_for_ever(self, handler: BaseHTTPRequestHandler, part: bytes) -> None:
        while self.n_sent < 1 << 30:
            handler.wfile.write(part)
            self.n_sent += len(part)


def redirect(to: str, status: int = 302) -> Answer:
    """Return an answer that sends elsewhere."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("Location", to)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    receiver: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        one = self.receiver
        one.got.append(Got(self.path, headers, body, time.time()))
        with contextlib.suppress(OSError):
            if callable(one.answer):
                one.answer(self)
            else:
                self.send_response(one.answer)
                self.send_header("Content-Length", "0")
                self.end_headers()

    def log_message(self, *_arguments: Any) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, *_arguments: Any) -> None:
        pass  # a client that went away, a certificate that was not taken


@contextlib.contextmanager
def receiver(answer: int | Answer = 204, *, certificate: Path | None = None, port: int = 0) -> Iterator[Receiver]:
    """Give a receiver, by TLS where it has a certificate."""
    handler = type("Handler", (_Handler,), {})
    with _Server(("127.0.0.1", port), handler) as server:
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        one = Receiver(server.server_address[1], answer)
        handler.receiver = one  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield one
        finally:
            one.ended.set()
            server.shutdown()
            thread.join()


@dataclass
class Canary:
    """A listener that nobody must reach."""

    port: int
    n_connections: int = 0


@contextlib.contextmanager
def canary(host: str = "127.0.0.1", port: int = 0) -> Iterator[Canary]:
    """Give a canary."""
    with socket.create_server((host, port)) as server:
        one = Canary(server.getsockname()[1])

        def listen() -> None:
            with contextlib.suppress(OSError):
                while True:
                    server.accept()[0].close()
                    one.n_connections += 1

        thread = threading.Thread(target=listen, daemon=True)
        thread.start()
        yield one
        server.shutdown(socket.SHUT_RDWR)
        thread.join(5)

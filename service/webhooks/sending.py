"""Send one request to exactly the address that was checked, and take from the answer what is needed: its status."""

from __future__ import annotations

import asyncio
import socket
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httptools

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from service.webhooks.urls import Target

__all__ = ["Told", "post"]

MOST_BYTES = 65_536
_BUFFER = 16_384  # of the system for a connection: what a receiver sends beyond it stays with the receiver
_CHUNK = 8_192
_CONNECT_S = 5.0
_OK, _REDIRECTS, _ERRORS, _GONE, _FINAL = 200, 300, 400, 410, 200


@dataclass(frozen=True)
class Told:
    """
    What came of a try.

    Attributes
    ----------
    text
        For its owner: a status, or why there is none.
    is_delivered
        Whether the receiver took it.
    is_gone
        Whether it wants no more.
    """

    text: str
    is_delivered: bool = False
    is_gone: bool = False


class _Answer:
    """Reads the head of an answer; what comes behind it is counted and dropped."""

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self.status: int | None = None
        self.is_whole = False
        self.n_bytes = 0

    def feed(self, data: bytes) -> None:
        self.n_bytes += len(data)
        self._parser.feed_data(data)

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        self.status = status if status >= _FINAL else None  # one that only announces another

    def on_message_complete(self) -> None:
        self.is_whole = self.status is not None

    @property
    def is_over(self) -> bool:
        return self.is_whole or self.n_bytes >= MOST_BYTES


async def post(
    target: Target,
    addresses: Sequence[str],
    headers: Mapping[str, str],
    body: bytes,
    *,
    seconds: float,
    tls: ssl.SSLContext,
) -> Told:
    """Send a body; whatever happens is told, within so many seconds. No redirect is followed, no proxy is asked."""
    answer = _Answer()
    try:
        async with asyncio.timeout(seconds):
            reader, writer = await _connected(target, addresses, tls)
            try:
                writer.write(_request(target, headers, body))
                await _read(reader, answer)
            finally:
                writer.transport.abort()
    except (OSError, httptools.HttpParserError, httptools.HttpParserUpgrade) as error:  # a timeout is an OSError
        if answer.status is None:
            return Told(_why(error))
    return _told(answer.status)


async def _connected(
    target: Target, addresses: Sequence[str], tls: ssl.SSLContext
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    failed: OSError = ConnectionError()
    for address in addresses:
        try:
            async with asyncio.timeout(_CONNECT_S):
                connection = await _socket(address, target.port)
        except OSError as error:
            failed = error
            continue
        if not target.is_secure:
            return await asyncio.open_connection(sock=connection, limit=_CHUNK)
        return await asyncio.open_connection(sock=connection, limit=_CHUNK, ssl=tls, server_hostname=target.host)
    raise failed


async def _socket(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    connection = socket.socket(family, socket.SOCK_STREAM)
    try:
        connection.setblocking(False)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        await asyncio.get_running_loop().sock_connect(connection, (address, port))
    except BaseException:
        connection.close()
        raise
    return connection


def _request(target: Target, headers: Mapping[str, str], body: bytes) -> bytes:
    lines = {
        "host": target.authority,
        "user-agent": "linli",
        "content-type": "application/json",
        "content-length": str(len(body)),
        "connection": "close",
        **headers,
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"POST {target.path} HTTP/1.1\r\n{head}\r\n".encode("ascii") + body


async def _read(reader: asyncio.StreamReader, answer: _Answer) -> None:
    while not answer.is_over:
        data = await reader.read(min(_CHUNK, MOST_BYTES - answer.n_bytes))
        if not data:
            return
        answer.feed(data)


def _told(status: int | None) -> Told:
    if status is None:
        return Told("no HTTP answer came")
    if _OK <= status < _REDIRECTS:
        return Told(f"status {status}", is_delivered=True)
    if _REDIRECTS <= status < _ERRORS:
        return Told(f"status {status}: redirects are not followed")
    return Told(f"status {status}", is_gone=status == _GONE)


def _why(error: Exception) -> str:
    """Return why there is no status, in words of our own: an error of the system may quote what is not for others."""
    for kind, text in (
        (ssl.SSLCertVerificationError, "the certificate is not one of this host"),
        (ssl.SSLError, "TLS could not be agreed on"),
        (TimeoutError, "no answer in time"),
        (ConnectionRefusedError, "the connection was refused"),
        (ConnectionResetError, "the connection was broken off"),
        (OSError, "no connection could be made"),
    ):
        if isinstance(error, kind):
            return text
    return "no HTTP answer came"

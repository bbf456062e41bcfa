"""What one connection may send and how slowly, and which heads are refused before there is a request."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from http import HTTPStatus

from service.errors import ServiceError

__all__ = ["NO_ANSWER", "REFUSALS", "WireLimits", "fault_of_head", "fault_so_far", "head_without_upgrade"]

NO_ANSWER = 0
REFUSALS = {
    status: f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n".encode()
    for status in (400, 408, 414, 431)
}
_UPGRADE = frozenset({b"connection", b"http2-settings", b"upgrade"})
_ONCE = frozenset({b"content-length", b"content-type", b"host", b"transfer-encoding"})


@dataclass(frozen=True, kw_only=True)
class WireLimits:
    """
    What a connection may send, and how slowly.

    Attributes
    ----------
    max_url_bytes, max_header_bytes, max_headers
        Of one request; bytes of headers are those of names and values. Trailers count as headers do.
    max_pipelined
        Requests that may wait behind the one at work; with one more the connection is closed after their answers,
        and the client asks the rest again (RFC 9112 section 9.3.2).
    max_unread_bytes
        Of a body whose answer is sent already; the connection is closed where more comes.
    receive_head_s
        From connecting, or from the first byte of a later request, to the end of its headers.
    receive_body_s, min_body_bytes_s
        A body has ``receive_body_s``, and every ``min_body_bytes_s`` that come give it one second more, but never
        more than ``receive_body_s`` from now: a long upload lives while it comes at that pace, and one that stops is
        refused after ``receive_body_s``. While linli itself does not read, the time does not count.
    send_stall_s
        A client that takes not one byte of its answer for so long is cut off.
    linger_s
        How long what still comes is read and dropped after a refusal: a close with unread bytes resets the connection,
        and the client would lose the answer.
    """

    max_url_bytes: int = 8_192
    max_header_bytes: int = 16_384
    max_headers: int = 100
    max_pipelined: int = 64
    max_unread_bytes: int = 262_144
    receive_head_s: float = 9.0
    receive_body_s: float = 9.0
    min_body_bytes_s: int = 1_024
    send_stall_s: float = 30.0
    linger_s: float = 0.5

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not 0 < value < math.inf:
                text = f"{field.name} must be above 0 and finite, got {value!r}"
                raise ServiceError(text)


def fault_of_head(
    url: bytes, headers: Sequence[tuple[bytes, bytes]], version: Callable[[], str], n_bytes: int, limits: WireLimits
) -> int | None:
    """
    Return the status that refuses a head, None for a good one.

    Names are in lower case, ``n_bytes`` is at least what the headers have, and ``version`` is asked only where it
    matters. Refused is, too, what two readers could take for different requests (RFC 9112 sections 3.2, 6.1 and 6.3).
    """
    if len(url) > limits.max_url_bytes:
        return 414
    if len(headers) > limits.max_headers:
        return 431
    if n_bytes > limits.max_header_bytes:
        n_bytes = sum(len(name) + len(value) for name, value in headers)
        if n_bytes > limits.max_header_bytes:
            return 431
    named = dict(headers)
    if len(named) != len(headers) and _repeats(headers):
        return 400
    coding = named.get(b"transfer-encoding")
    if coding is None and b"host" in named:
        return None
    if coding is not None and (coding.lower() != b"chunked" or b"content-length" in named):
        return 400
    if b"host" in named:
        return None if version() == "1.1" else 400  # HTTP/1.0 knows no coding
    return None if version() == "1.0" and coding is None else 400


def fault_so_far(url: bytes, headers: Sequence[tuple[bytes, bytes]], n_bytes: int, limits: WireLimits) -> int | None:
    """Return the status that refuses a head of which more is to come; it has ``n_bytes`` at least, with all marks."""
    if len(url) > limits.max_url_bytes:
        return 414
    most = limits.max_url_bytes + limits.max_header_bytes + 4 * limits.max_headers
    return 431 if len(headers) > limits.max_headers or n_bytes > most else None


def _repeats(headers: Sequence[tuple[bytes, bytes]]) -> bool:
    seen = [name for name, _ in headers if name in _ONCE]
    return len(seen) != len(set(seen))


def head_without_upgrade(method: bytes, url: bytes, version: str, headers: Sequence[tuple[bytes, bytes]]) -> bytes:
    """Return the head as it would have come without the wish for another protocol."""
    closes = any(name == b"connection" and b"close" in value.lower() for name, value in headers)
    head = [method, b" ", url, b" HTTP/", version.encode(), b"\r\n"]
    for name, value in headers:
        if name not in _UPGRADE:
            head += [name, b": ", value, b"\r\n"]
    head.append(b"connection: close\r\n\r\n" if closes else b"\r\n")
    return b"".join(head)

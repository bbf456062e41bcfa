"""Send an answer over ASGI."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from service.http.problems import MEDIA_TYPE, problem_body
from service.http.whole_answers import send_whole

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from starlette.types import Message, Send

    from service.http.problems import ProblemError

__all__ = ["GONE", "JSON", "Answer", "send_answer", "send_problem"]

JSON = b"application/json"
GONE = 499
"""The status that is counted where nobody takes an answer."""
_OK = 200


class Answer:
    """
    Sends one answer, and remembers how far it has come.

    Attributes
    ----------
    status
        0 until its head is out: it waits until the client has taken what came before.
    """

    def __init__(self, send: Send, headers: list[tuple[bytes, bytes]], *, closes: bool) -> None:
        self._send = send
        self._headers = headers
        self._closes = closes
        self._open_ended: RequestResponseCycle | None = None
        self.status = 0

    async def __call__(self, message: Message) -> None:
        """Send a message, the first one with the gate's own headers."""
        if message["type"] != "http.response.start":
            if self._open_ended is not None:  # uvicorn takes a part for all that is left
                self._open_ended.expected_content_length = len(message.get("body", b""))
            await self._send(message)
            return
        headers = self.with_own(message.get("headers", ()))
        cycle = self._cycle
        if cycle is not None and cycle.scope["http_version"] == "1.0" and not _has_length(headers):
            cycle.chunked_encoding = False  # which HTTP/1.0 does not know: the answer lasts until the connection ends
            self._open_ended = cycle
        await self._send({**message, "headers": headers})
        self.status = message["status"]

    def sends_whole(self, body: bytes) -> bool:
        """Send a good answer past the two messages, if the server is uvicorn and need not wait for the client."""
        cycle = self._cycle
        if cycle is None or cycle.flow.write_paused:
            return False
        self.status = _OK
        send_whole(cycle, _OK, [(b"content-type", JSON), *self._headers], body, closes=self._closes)
        return True

    def with_own(self, headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        """Return a route's headers with those of the gate."""
        own = [*headers, *self._headers]
        if self._closes:
            own.append((b"connection", b"close"))
        return own

    def give_up(self) -> None:
        """Close the connection after what came before, in place of an answer, or of what is left of it."""
        self.status = self.status or GONE
        cycle = self._cycle
        if cycle is not None:
            cycle.disconnected = True  # else uvicorn would answer for us
            cycle.transport.close()

    @property
    def can_begin(self) -> bool:
        """Whether nothing of it is out, and its head need not wait for the client."""
        cycle = self._cycle
        return not self.status and (cycle is None or not cycle.flow.write_paused)

    @property
    def _cycle(self) -> RequestResponseCycle | None:
        cycle = getattr(self._send, "__self__", None)
        return cycle if isinstance(cycle, RequestResponseCycle) else None


def _has_length(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    return any(name.lower() == b"content-length" for name, _ in headers)


async def send_answer(
    send: Send, status: int, body: bytes, headers: list[tuple[bytes, bytes]], *, media_type: bytes = JSON
) -> None:
    """Send a whole answer."""
    own = [(b"content-type", media_type), (b"content-length", b"%d" % len(body)), *headers]
    await send({"type": "http.response.start", "status": status, "headers": own})
    await send({"type": "http.response.body", "body": body})


async def send_problem(send: Send, problem: ProblemError, headers: list[tuple[bytes, bytes]]) -> None:
    """Send a problem. What is left of the request's body is the protocol's business: it drops a little, then closes."""
    own = [*headers, *_encoded(problem.headers)]
    await send_answer(send, problem.http_status, problem_body(problem), own, media_type=MEDIA_TYPE.encode())


def _encoded(headers: Mapping[str, Any]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode("latin-1"), str(value).encode("latin-1")) for name, value in headers.items()]

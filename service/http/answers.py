"""Send an answer over ASGI."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from service.http.problems import MEDIA_TYPE, problem_body

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import Send

    from service.http.problems import ProblemError

__all__ = ["JSON", "send_answer", "send_problem"]

JSON = b"application/json"


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

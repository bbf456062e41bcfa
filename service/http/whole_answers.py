"""An answer whose head and body are known together, sent at once: what uvicorn does in two messages, in one step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

if TYPE_CHECKING:
    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

__all__ = ["send_whole"]


def send_whole(
    cycle: RequestResponseCycle, status: int, headers: list[tuple[bytes, bytes]], body: bytes, *, closes: bool
) -> None:
    """
    Send a whole answer to a GET request, whose client takes what is sent.

    Parameters
    ----------
    headers
        Lower-case names and values of our own making, so that nothing of them is to be checked; ``content-length``
        and ``connection`` come of themselves.
    closes
        Whether the connection ends with it.
    """
    if cycle.disconnected:
        return
    lines = [STATUS_LINE[status]]
    for name, value in (*cycle.default_headers, *headers):
        lines += name, b": ", value, b"\r\n"
    cycle.keep_alive = cycle.keep_alive and not closes
    if not cycle.keep_alive:
        lines.append(b"connection: close\r\n")
    lines += b"content-length: %d\r\n\r\n" % len(body), body
    cycle.response_started = cycle.response_complete = True
    cycle.waiting_for_100_continue = False
    cycle.transport.write(b"".join(lines))
    cycle.message_event.set()
    if not cycle.keep_alive:
        cycle.transport.close()
    cycle.on_response()

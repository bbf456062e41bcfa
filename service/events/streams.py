"""One event stream: reads the outbox in place, sends, and ends with its client, its key or the server."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import TYPE_CHECKING

import orjson
from fastapi import Response

from service.clock import from_us
from service.deadlines import Deadline
from service.errors import ServiceError
from service.feed.events import EventPage, Place, read_page

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from service.feed.outbox import Change
    from service.keys.ring import Caller
    from service.services import Services

__all__ = ["MEDIA_TYPE", "EventStream", "event_text"]

_LOG = logging.getLogger(__name__)
MEDIA_TYPE = "text/event-stream"
_HEARTBEAT_S = 15.0
_LOOK_S = 0.5
_AGAIN_S = 1.0
_RETRY_MS = 1000


class EventStream(Response):
    """
    Server-sent events from a place on.

    Nothing is buffered beyond one page: a client that does not read lets its stream stand still at its place, until
    the connection is cut because nothing was taken from it.

    Parameters
    ----------
    services
        What it reads from and is woken by.
    caller
        Whose key it ends with.
    merchant_id
        Whose changes alone it tells.
    first
        The page that it begins with.
    """

    media_type = MEDIA_TYPE

    def __init__(self, services: Services, caller: Caller, merchant_id: str | None, first: EventPage) -> None:
        self.status_code = 200
        self.background = None
        self.init_headers({"Cache-Control": "no-cache", "X-Accel-Buffering": "no"})
        self._services = services
        self._caller = caller
        self._merchant_id = merchant_id
        self._first = first

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until one of the three has gone."""
        with self._services.hub.joined(self._merchant_id) as woken:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            sending = asyncio.create_task(self._send_all(send, woken))
            gone = asyncio.create_task(_until_gone(receive))
            tasks = (sending, gone)
            try:
                while self._may_go_on() and not (sending.done() or gone.done()):
                    await asyncio.wait(tasks, timeout=_LOOK_S, return_when=asyncio.FIRST_COMPLETED)
                has_gone = gone.done()
            finally:
                for task in tasks:
                    task.cancel()
                ends = await asyncio.gather(*tasks, return_exceptions=True)
        for end in ends:
            if isinstance(end, Exception):
                _LOG.error("an event stream failed", exc_info=end)
        if not has_gone:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_AGAIN_S):
                    await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send_all(self, send: Send, woken: asyncio.Event) -> None:
        page = self._first
        # Never the id of what is still to be sent: a client that goes in between would miss it.
        place = "" if page.changes or page.is_reset else f"id: {page.reached}\n"
        await _send(send, f": linli\nretry: {_RETRY_MS}\n{place}\n".encode())
        await _send(send, _page_bytes(page))
        told_at = time.monotonic()
        while True:
            is_quiet = False
            if page.is_passing:
                await asyncio.sleep(self._services.hub.pause_s)
            elif not page.is_full:
                is_quiet = not await _is_set_within(woken, told_at + _HEARTBEAT_S - time.monotonic())
                await asyncio.sleep(self._services.hub.pause_s)
                woken.clear()
            page = await self._read(page.reached)
            told = _page_bytes(page) or (f":\nid: {page.reached}\n\n".encode() if is_quiet or page.is_passing else b"")
            if told:
                await _send(send, told)
                told_at = time.monotonic()

    async def _read(self, after: Place) -> EventPage:
        seconds = self._services.settings.limits.deadline_s
        while True:
            try:
                return await self._services.store.read(
                    lambda connection: read_page(connection, after, self._merchant_id), Deadline.after(seconds)
                )
            except ServiceError as error:  # the store is away: the client waits with us
                _LOG.warning("events cannot be read: %s", error)
                await asyncio.sleep(_AGAIN_S)

    def _may_go_on(self) -> bool:
        services = self._services
        return not services.is_stopping and services.ring.still_holds(self._caller, services.clock.now_us())


def event_text(change: Change, feed: str | None) -> str:
    """Return a change as one event."""
    data = {
        "kind": change.kind,
        "subject": change.subject,
        "revision": change.revision,
        "merchant_id": change.merchant_id,
        "at": from_us(change.at_us).isoformat(),
    }
    return f"id: {Place(change.position, feed)}\nevent: {change.kind}.changed\ndata: {orjson.dumps(data).decode()}\n\n"


def _page_bytes(page: EventPage) -> bytes:
    if page.is_reset:
        data = orjson.dumps({"position": str(page.reached)}).decode()
        return f"id: {page.reached}\nevent: reset\ndata: {data}\n\n".encode()
    return "".join(event_text(change, page.reached.feed) for change in page.changes).encode()


async def _send(send: Send, body: bytes) -> None:
    if body:
        await send({"type": "http.response.body", "body": body, "more_body": True})


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _is_set_within(woken: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(max(0.0, seconds)):
            await woken.wait()
    except TimeoutError:
        return False
    return True

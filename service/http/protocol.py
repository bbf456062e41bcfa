"""
What a connection may cost before there is a request: caps on URL and headers, and deadlines for receiving.

A connection is in one of three phases. In *head* and *body* a deadline runs; between two messages it is *idle*, and
uvicorn's own keep-alive timeout counts. A request that comes in one piece never meets a timer.
"""

from __future__ import annotations

import asyncio
from asyncio.events import TimerHandle
from collections.abc import Callable
from typing import Any, ClassVar

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from service.http.send_stall import SendStall
from service.http.turn_writes import Turn, TurnTransport
from service.http.wire_limits import NO_ANSWER, REFUSALS, WireLimits, fault_of_head, fault_so_far, head_without_upgrade

__all__ = ["LimitedProtocol", "WireLimits", "limited_protocol"]

_IDLE, _HEAD, _BODY = range(3)
_PIECE = 16_384  # a head is looked at after every so many bytes: a socket gives 256 KiB at once
_MAX_DISCARDED = 1_048_576


class _RefusedError(Exception):
    """Stops the parser inside one of its callbacks."""


class LimitedProtocol(HttpToolsProtocol):
    """uvicorn's HTTP/1.1 over httptools, with limits; what breaks them gets a status line without body, and a close."""

    limits: ClassVar[WireLimits] = WireLimits()
    turn: ClassVar[Turn] = Turn()

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.url = b""
        self.headers = []
        self._phase = _HEAD
        self._n_piece = 0
        self._n_head = 0  # bytes since the head began; of a pipelined one, an upper bound
        self._n_between = 0  # bytes since the last one of a body: chunk sizes, extensions, trailers
        self._n_unread = 0
        self._n_discarded = 0
        self._deadline = 0.0  # 0.0: not set yet
        self._timer: TimerHandle | None = None
        self._excused = False
        self._refused: int | None = None
        self._stall: SendStall = None  # type: ignore[assignment]  # of a transport, as uvicorn's own

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the deadline of the first head: a socket may say nothing at all."""
        transport = TurnTransport(transport, self.turn, self.loop, self._lingers)
        super().connection_made(transport)
        self._stall = SendStall(self.loop, transport, self.limits.send_stall_s)
        self._watch(0)

    def connection_lost(self, exc: Exception | None) -> None:
        """Leave no timer behind."""
        super().connection_lost(exc)
        self._unset_keepalive_if_required()  # uvicorn leaves it where the connection was reset
        self._stall.cancel()
        self._cancel_timer()

    def data_received(self, data: bytes) -> None:
        """Feed the parser, in pieces where much came at once."""
        n = len(data)
        if self._refused is not None:
            self._n_discarded += n
            if self._n_discarded > _MAX_DISCARDED:
                self.transport.abort()
            return
        self._unset_keepalive_if_required()
        if self._phase == _IDLE:
            self._begin_head(0)
        if n <= _PIECE:
            self._feed(data)
        else:
            view = memoryview(data)
            for start in range(0, n, _PIECE):
                if not self._feed(view[start : start + _PIECE]):
                    break
        if self._phase != _IDLE and self._refused is None:
            self._watch(n)

    def _feed(self, piece: bytes | memoryview) -> bool:
        self._n_piece = n = len(piece)
        self._n_head += n
        in_body = self._phase == _BODY
        n_body = len(self.cycle.body) if in_body else 0
        try:
            while piece:
                try:
                    self.parser.feed_data(piece)
                    break
                except httptools.HttpParserUpgrade as upgrade:
                    piece = piece[upgrade.args[0] :]
                    self._ignore_upgrade()
        except httptools.HttpParserError:
            self._refuse(400)
            return False
        if self._phase == _IDLE:
            return True
        if self._phase == _HEAD:
            fault = fault_so_far(self.url, self.headers, self._n_head - _PIECE, self.limits)
        else:
            fault = self._fault_of_open_body(n if in_body else 0, n_body)
        if fault is not None:
            self._refuse(fault)
        return fault is None

    def _ignore_upgrade(self) -> None:
        """
        Begin a request that asks for another protocol as if it did not (RFC 9110 section 7.8).

        The parser takes its body for that protocol: Java's client, which asks for h2c by default, would lose it, and
        whoever can set a header could hide a second request in it. So the head is read again without the wish.
        """
        head = head_without_upgrade(self.parser.get_method(), self.url, self.parser.get_http_version(), self.headers)
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn sets it
        self.parser.feed_data(head)

    def on_message_begin(self) -> None:
        """Begin a head, unless its first bytes (an empty line before it) did so already."""
        super().on_message_begin()
        if self._phase != _HEAD:
            self._begin_head(self._n_piece)

    def on_headers_complete(self) -> None:
        """Judge the head, then let uvicorn start the request."""
        fault = fault_of_head(self.url, self.headers, self.parser.get_http_version, self._n_head, self.limits)
        if fault is None and len(self.pipeline) >= self.limits.max_pipelined:
            fault = NO_ANSWER
        if fault is None and self.parser.should_upgrade():
            if self.parser.get_method() != b"CONNECT":
                return
            fault = 400
        if fault is not None:
            self._refuse(fault)
            raise _RefusedError
        super().on_headers_complete()
        self.headers = []  # trailers would reach the scope, after the application had looked at it
        self._phase, self._deadline, self._n_between, self._n_unread = _BODY, 0.0, 0, 0

    def on_message_complete(self) -> None:
        """Be idle until the next message."""
        if self._phase == _BODY:  # else it asks for an upgrade, and was not begun
            super().on_message_complete()
            self._phase = _IDLE

    def on_response_complete(self) -> None:
        """Start what waits; after the last answer say the refusal that waits for it."""
        waiting = bool(self.pipeline)
        super().on_response_complete()
        if self._refused is not None and not waiting:
            self._say_refusal()

    def pause_writing(self) -> None:
        """Watch a client that does not take its answer."""
        super().pause_writing()
        self._stall.watch()

    def resume_writing(self) -> None:
        """Note that the client took some of its answer."""
        super().resume_writing()
        self._stall.note_progress()

    def on_refused(self, status: int) -> None:
        """Hear of a refusal."""

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _begin_head(self, n: int) -> None:
        self._phase, self._n_head, self._deadline = _HEAD, n, 0.0

    def _fault_of_open_body(self, n: int, n_body: int) -> int | None:
        cycle = self.cycle
        if cycle.response_complete:
            self._n_unread += n
            return NO_ANSWER if self._n_unread > self.limits.max_unread_bytes else None
        self._n_between = 0 if len(cycle.body) > n_body else self._n_between + n
        many = len(self.headers) > self.limits.max_headers
        return 431 if many or self._n_between > self.limits.max_header_bytes else None

    def _watch(self, n: int) -> None:
        """Set or move the deadline after ``n`` bytes of a message that is not whole yet, and see that a timer runs."""
        now, limits = self.loop.time(), self.limits
        in_body = self._phase == _BODY
        if self._deadline == 0.0:
            self._deadline = now + (limits.receive_body_s if in_body else limits.receive_head_s)
        elif in_body:
            self._deadline = min(now + limits.receive_body_s, self._deadline + n / limits.min_body_bytes_s)
        self._excused = self._excused or self.flow.read_paused
        if self._timer is not None and self._timer.when() > self._deadline:
            self._cancel_timer()
        if self._timer is None:
            self._timer = self.loop.call_at(self._deadline, self._look_at_deadline)

    def _look_at_deadline(self) -> None:
        self._timer = None
        if self._phase == _IDLE or self.transport.is_closing():
            return
        now, in_body = self.loop.time(), self._phase == _BODY
        if self._excused or self.flow.read_paused or (in_body and self.cycle.waiting_for_100_continue):
            self._excused = self.flow.read_paused
            self._deadline = now + (self.limits.receive_body_s if in_body else self.limits.receive_head_s)
        if now < self._deadline - 0.001:
            self._timer = self.loop.call_at(self._deadline, self._look_at_deadline)
        else:
            self._refuse(408 if in_body or self._n_head else NO_ANSWER)

    def _refuse(self, status: int) -> None:
        """Take nothing more; say why as soon as the answers to earlier requests are out, and close."""
        if self._refused is not None:
            return
        self._refused = status
        self.on_refused(status)
        cycle = self.cycle
        if self._phase == _BODY and cycle.response_complete:
            self._refused = NO_ANSWER  # it has its answer
        elif self._phase == _BODY and self.pipeline and self.pipeline[0][0] is cycle:
            self.pipeline.popleft()  # refused before it was begun; an earlier one is at work
            self.flow.pause_reading()
            return
        elif self._phase == _BODY:
            if cycle.response_started:
                self._refused = NO_ANSWER
            cycle.disconnected, cycle.waiting_for_100_continue = True, False
            cycle.message_event.set()
        elif not self._is_answered():
            self.flow.pause_reading()
            return
        self._say_refusal()

    def _is_answered(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle  # None before the first request
        return cycle is None or cycle.response_complete

    def _lingers(self) -> bool:
        """Before a close, drop what is left of a body: a reset would take the answer away. Else see the answer taken."""
        if self._refused is None and self._phase == _BODY and self.cycle.response_complete:
            self._refused = NO_ANSWER
            self._say_refusal()
            return True
        self._stall.watch()
        return False

    def _say_refusal(self) -> None:
        if self.transport.is_closing():
            return
        self._unset_keepalive_if_required()
        self._cancel_timer()
        if self._refused:
            self.transport.write(REFUSALS[self._refused])
        self.flow.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()
            self._timer = self.loop.call_later(self.limits.linger_s, self.transport.abort)
        else:
            self.transport.close()


def limited_protocol(limits: WireLimits, on_refused: Callable[[int], None] | None = None) -> type[LimitedProtocol]:
    """
    Return the protocol class for ``uvicorn.Config(http=…)``.

    ``on_refused`` is called with the status of every refusal, 0 where the connection is closed without one.
    """
    members: dict[str, Any] = {"limits": limits, "turn": Turn()}
    if on_refused is not None:
        members["on_refused"] = lambda _protocol, status: on_refused(status)
    return type("LimitedProtocol", (LimitedProtocol,), members)

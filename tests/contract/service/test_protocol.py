"""What breaks the wire's limits gets a status line without body and a close; what keeps them is answered."""

from __future__ import annotations

import gc
import socket
import struct
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.errors import ServiceError
from service.http.protocol import LimitedProtocol, WireLimits, limited_protocol
from tests.scale import scaled
from tests.wire import Heard, WireServer, exchange, listen, served

WAIT_S = 0.3
LIMITS = WireLimits(receive_head_s=WAIT_S, receive_body_s=WAIT_S, send_stall_s=WAIT_S, linger_s=0.2, max_pipelined=8)
CLOSE_ONLY = 0
HOST = b"Host: linli\r\n"
GET = b"GET / HTTP/1.1\r\n" + HOST
POST = b"POST / HTTP/1.1\r\n" + HOST
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"


class Case(NamedTuple):
    """A bad request and what it must get; ``every_s`` is waited after each piece."""

    name: str
    pieces: Sequence[bytes]
    statuses: Sequence[int]
    every_s: float = 0.0

    def __str__(self) -> str:
        return self.name


def _drip(start: bytes, rest: bytes) -> list[bytes]:
    return [start, *(bytes([byte]) for byte in rest)]


BAD = (
    # Row 17: two readers could see different requests.
    Case("length-and-coding", [POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"], [400]),
    Case("coding-and-length", [POST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"], [400]),
    Case("two-equal-lengths", [POST + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\na"], [400]),
    Case("two-lengths", [POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab"], [400]),
    Case("list-of-lengths", [POST + b"Content-Length: 1, 1\r\n\r\na"], [400]),
    Case("signed-length", [POST + b"Content-Length: +1\r\n\r\na"], [400]),
    Case("other-coding", [POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"], [400]),
    Case("coding-twice", [CHUNKED[:-2] + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"], [400]),
    Case("coding-in-1.0", [b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"], [400]),
    Case(
        "two-types",
        [POST + b"Content-Type: application/json\r\nContent-Type: text/csv\r\nContent-Length: 0\r\n\r\n"],
        [400],
    ),
    Case("two-hosts", [GET + HOST + b"\r\n"], [400]),
    Case("no-host", [b"GET / HTTP/1.1\r\n\r\n"], [400]),
    # Row 18: too much before there is a request.
    Case("20000-headers", [GET + b"".join(b"X%d: a\r\n" % i for i in range(20_000)) + b"\r\n"], [431]),
    Case("101-headers", [GET + b"X: a\r\n" * 100 + b"\r\n"], [431]),
    Case("header-of-64-kB", [GET + b"X: " + b"a" * 65_536 + b"\r\n\r\n"], [431]),
    Case("header-of-2-MB", [GET + b"X: " + b"a" * 2_000_000 + b"\r\n\r\n"], [431]),
    Case("header-over-limit", [GET + b"X: " + b"a" * 16_384 + b"\r\n\r\n"], [431]),
    Case("headers-without-end", [GET, *[b"X: a\r\n" * 20] * 10], [431], 0.01),
    Case("url-of-32-kB", [b"GET /" + b"a" * 32_768 + b" HTTP/1.1\r\n" + HOST + b"\r\n"], [414]),
    Case("url-over-limit", [b"GET /" + b"a" * 8_192 + b" HTTP/1.1\r\n" + HOST + b"\r\n"], [414]),
    Case("url-without-end", [b"GET /", *[b"a" * 1_000] * 40], [414], 0.005),
    Case("empty-lines-without-end", [b"\r\n" * 200_000], [431]),
    Case("trailers", [CHUNKED + b"0\r\n" + b"X: a\r\n" * 110], [431]),
    Case("trailer-without-end", [CHUNKED + b"0\r\nX: ", *[b"a" * 5_000] * 10], [431], 0.005),
    Case("chunk-extension", [CHUNKED + b"1;", *[b"a" * 5_000] * 10], [431], 0.005),
    # Row 19: too slow.
    Case("silent", [], [CLOSE_ONLY]),
    Case("head-stops", [GET], [408]),
    Case("head-drips", _drip(GET, b"X: " + b"a" * 60), [408], 0.03),
    Case("url-drips", _drip(b"", b"GET /" + b"a" * 60), [408], 0.03),
    Case("empty-lines-drip", _drip(b"", b"\r\n" * 40), [408], 0.03),
    Case("body-stops", [POST + b"Content-Length: 5\r\n\r\nab"], [408]),
    Case("body-drips", _drip(POST + b"Content-Length: 500\r\n\r\n", b"a" * 60), [408], 0.03),
    Case("chunks-drip", [CHUNKED, *[b"1\r\na\r\n"] * 60], [408], 0.03),
    # What cannot be parsed.
    Case("not-http", [b"\x16\x03\x01\x02\x00\x01\x00"], [400]),
    Case("http-2", [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"], [400]),
    Case("http-0.9", [b"GET /\r\n\r\n"], [400]),
    Case("tunnel", [b"CONNECT linli:80 HTTP/1.1\r\n" + HOST + b"\r\n"], [400]),
    Case("bad-chunk", [CHUNKED + b"zz\r\n"], [400]),
    Case("folded-header", [GET + b"X: a\r\n b\r\n\r\n"], [400]),
    Case("space-before-colon", [GET + b"X : a\r\n\r\n"], [400]),
    Case("bare-line-feed", [b"GET / HTTP/1.1\nHost: linli\n\n"], [400]),
)


def _fault(heard: Heard, statuses: Sequence[int]) -> str | None:
    """Return what is wrong with what a bad request got; None if nothing is."""
    if not heard.closed:
        return "left open"
    if heard.after_s > WAIT_S + 2:
        return f"closed after {heard.after_s:.1f} s"
    if (heard.statuses or [CLOSE_ONLY]) not in [[status] for status in statuses]:
        return f"answered {heard.statuses}"
    return None if heard.text.endswith(b"\r\n\r\n") or not heard.text else "has a body"


@pytest.fixture(scope="module", params=["uvloop", "asyncio"])
def wire(request: pytest.FixtureRequest) -> Iterator[WireServer]:
    with served(limited_protocol(LIMITS), request.param) as server:
        yield server


@pytest.mark.parametrize("case", BAD, ids=str)
def test_limited_protocol__refuses_and_closes(wire: WireServer, case: Case) -> None:
    heard = exchange(wire, case.pieces, every_s=case.every_s)
    assert _fault(heard, case.statuses) is None, heard


def test_refuses_and_closes__finds_every_fault_of_the_stock_protocol() -> None:
    with served(HttpToolsProtocol) as stock, ThreadPoolExecutor(len(BAD)) as pool:
        heard = pool.map(lambda case: exchange(stock, case.pieces, every_s=case.every_s, patience_s=2.5), BAD)
        passed = [case.name for case, one in zip(BAD, heard, strict=True) if _fault(one, case.statuses) is None]
    assert passed == []


GOOD = (
    ("get", [GET + b"\r\n"], [b"0"]),
    ("byte-by-byte", [bytes([byte]) for byte in POST + b"Content-Length: 2\r\n\r\nab"], [b"2"]),
    ("url-at-limit", [b"GET /" + b"a" * 8_191 + b" HTTP/1.1\r\n" + HOST + b"\r\n"], [b"0"]),
    ("headers-at-limit", [GET + b"X: " + b"a" * (16_384 - 10) + b"\r\n\r\n"], [b"0"]),
    ("100-headers", [GET + b"X: a\r\n" * 99 + b"\r\n"], [b"0"]),
    ("length", [POST + b"Content-Length: 3\r\n\r\nabc"], [b"3"]),
    ("chunks", [CHUNKED + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"], [b"5"]),
    ("large-body", [POST + b"Content-Length: 3000000\r\n\r\n", b"a" * 3_000_000], [b"3000000"]),
    ("large-chunks", [CHUNKED, b"186a0\r\n" + b"a" * 100_000 + b"\r\n", b"0\r\n\r\n"], [b"100000"]),
    ("empty-line-first", [b"\r\n" + GET + b"\r\n"], [b"0"]),
    ("http-1.0", [b"GET / HTTP/1.0\r\n\r\n"], [b"0"]),
    ("continue", [POST + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n", b"ab"], [b"", b"2"]),
    ("pipelined", [(POST + b"Content-Length: 1\r\n\r\na") * 8], [b"1"] * 8),
    ("pipelined-after-slow", [GET.replace(b"/", b"/slow", 1) + b"\r\n" + GET + b"\r\n"], [b"0"] * 2),
    # Java's client asks for h2c by default, also with a body.
    ("upgrade", [GET + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAA\r\n\r\n"], [b"0"]),
    ("upgrade-with-body", [POST + b"Connection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 3\r\n\r\nabc"], [b"3"]),
    ("upgrade-twice", [(GET + b"Connection: upgrade\r\nUpgrade: websocket\r\n\r\n") * 3], [b"0"] * 3),
)


@pytest.mark.parametrize(("pieces", "answers"), [case[1:] for case in GOOD], ids=[case[0] for case in GOOD])
def test_limited_protocol__answers_what_keeps_the_limits(
    wire: WireServer, pieces: list[bytes], answers: list[bytes]
) -> None:
    heard = exchange(wire, pieces, every_s=0.001 if len(pieces) > 5 else 0.0, enough=lambda h: h.bodies == answers)
    assert heard.bodies == answers


STREAM = b"".join(
    (
        GET + b"\r\n",
        POST + b"Content-Length: 300\r\n\r\n" + b"a" * 300,
        CHUNKED + b"5;ext=1\r\nabcde\r\n0\r\nX: trailer\r\n\r\n",
        POST + b"Connection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 3\r\n\r\nabc",
        GET + b"Connection: close\r\n\r\n",
    )
)


@given(st.lists(st.integers(1, len(STREAM) - 1), unique=True, max_size=8).map(sorted))
@settings(max_examples=scaled(200), suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_limited_protocol__answers_alike_however_the_bytes_are_cut(wire: WireServer, cuts: list[int]) -> None:
    pieces = [STREAM[start:end] for start, end in zip([0, *cuts], [*cuts, None], strict=True)]
    heard = exchange(wire, pieces, every_s=0.0005)
    assert heard.bodies == [b"0", b"300", b"5", b"3", b"0"]
    assert heard.closed


def test_limited_protocol__reads_a_hidden_request_as_the_body_it_is(wire: WireServer) -> None:
    hidden = b"GET /hidden HTTP/1.1\r\n" + HOST + b"\r\n"
    head = POST + b"Connection: upgrade\r\nUpgrade: h2c\r\nContent-Length: %d\r\n\r\n" % len(hidden)
    wire.asked.clear()
    exchange(wire, [head + hidden], patience_s=0.2)
    assert [scope["path"] for scope in wire.asked] == ["/"]


def test_limited_protocol__keeps_trailers_from_the_headers(wire: WireServer) -> None:
    wire.asked.clear()
    exchange(wire, [CHUNKED + b"0\r\nAuthorization: stolen\r\n\r\n"], patience_s=0.2)
    assert [name for name, _ in wire.asked[0]["headers"]] == [b"host", b"transfer-encoding"]


def test_limited_protocol__lets_a_long_upload_live_while_it_comes_at_the_pace(wire: WireServer) -> None:
    piece = b"a" * 200
    pieces = [POST + b"Content-Length: 6000\r\n\r\n", *[piece] * 30]  # 4 kB/s for four times the deadline
    heard = exchange(wire, pieces, every_s=0.05, enough=lambda heard: heard.bodies == [b"6000"])
    assert heard.statuses == [200]


def test_limited_protocol__closes_an_upload_that_stops_after_much_came(wire: WireServer) -> None:
    wire.bodies.clear()
    heard = exchange(wire, [POST + b"Content-Length: 200000\r\n\r\n", b"a" * 50_000])
    assert _fault(heard, [408]) is None, heard
    _until(lambda: wire.bodies == [None])  # the application hears of it


def test_limited_protocol__answers_what_came_before_it_refuses_what_follows(wire: WireServer) -> None:
    slow = b"GET /slow HTTP/1.1\r\n" + HOST + b"\r\n"
    for bad, statuses in (
        (b"nonsense\r\n\r\n", [200, 400]),
        (POST + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\n", [200, 400]),
        (CHUNKED + b"zz\r\n", [200, 400]),
        (slow * 9, [200] * 9),  # one at work and eight that wait, as the limit has it
    ):
        heard = exchange(wire, [slow + bad])
        assert (heard.closed, heard.statuses) == (True, statuses), bad


def test_limited_protocol__keeps_one_upload_s_fault_from_the_others_of_its_turn(wire: WireServer) -> None:
    faults: list[Any] = []
    upload = POST + b"Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"
    with wire.connect() as good, wire.connect() as bad:
        _until(lambda: wire.n_connections == 2)

        def both_at_once() -> None:
            assert wire.loop is not None
            wire.loop.set_exception_handler(lambda _loop, fault: faults.append(fault))
            _protocol_of(wire, good).data_received(GET + b"\r\n")
            _protocol_of(wire, bad).data_received(upload)

        wire.in_loop(both_at_once)
        assert listen(good, 1, lambda heard: heard.bodies == [b"0"]).statuses == [200]
        assert listen(bad, 1).statuses == [400]
    wire.in_loop(lambda: wire.loop and wire.loop.set_exception_handler(None))
    assert faults == []


def _protocol_of(wire: WireServer, client: socket.socket) -> Any:
    assert wire.server is not None
    connections: Any = wire.server.server_state.connections
    (protocol,) = (one for one in connections if one.client == client.getsockname())
    return protocol


def test_limited_protocol__stops_reading_a_body_that_was_answered(wire: WireServer) -> None:
    early = b"POST /early HTTP/1.1\r\n" + HOST + b"Content-Length: 90000000\r\n\r\n"
    heard = exchange(wire, [early, *[b"a" * 100_000] * 900])
    assert heard.statuses == [200]
    assert heard.closed


def test_limited_protocol__closes_behind_an_early_answer_without_a_reset(wire: WireServer) -> None:
    early = b"POST /early HTTP/1.1\r\n" + HOST + b"Connection: close\r\nContent-Length: 600000\r\n\r\n"
    with wire.connect() as connection:
        connection.sendall(early + b"a" * 600_000)
        told = b"".join(iter(lambda: connection.recv(65_536), b""))  # a reset would raise
    assert told.endswith(b"early")


@pytest.mark.parametrize("path", [b"/early", b"/whole"])
def test_limited_protocol__closes_where_a_body_stops_that_was_announced_and_answered(
    wire: WireServer, path: bytes
) -> None:
    head = b"GET " + path + b" HTTP/1.1\r\n" + HOST + b"Expect: 100-continue\r\nContent-Length: 100\r\n\r\n"
    heard = exchange(wire, [head, b"a"], every_s=0.1)
    assert (heard.closed, heard.statuses) == (True, [200])


def test_limited_protocol__cuts_off_a_client_that_takes_no_answer(wire: WireServer) -> None:
    with wire.connect() as connection:
        connection.sendall(b"GET /big HTTP/1.1\r\n" + HOST + b"\r\n")
        _until(lambda: wire.n_connections == 1)
        _until(lambda: wire.n_connections == 0)
        assert len(listen(connection, 3).text) < 40_000_000


def test_limited_protocol__leaves_the_idle_time_between_requests_to_uvicorn(wire: WireServer) -> None:
    with wire.connect() as connection:
        connection.sendall(GET + b"\r\n")
        assert not listen(connection, 3 * WAIT_S).closed
        connection.sendall(GET + b"\r\n")
        assert listen(connection, 0.2).statuses == [200]


def test_limited_protocol__leaves_no_timer_behind(wire: WireServer) -> None:
    _until(lambda: wire.n_connections == 0)
    with wire.connect() as connection:
        connection.sendall(GET)
        _until(lambda: wire.in_loop(_timers_of_connections) > 0)  # the count sees a timer that runs
    for case in BAD[::5]:
        exchange(wire, case.pieces)
    _until(lambda: wire.in_loop(_timers_of_connections) == 0)


def test_limited_protocol__closes_where_the_client_resets_as_it_is_refused(wire: WireServer) -> None:
    _until(lambda: _was_reset_as_it_is_refused(wire))
    _until(lambda: wire.n_connections == 0)
    _until(lambda: wire.in_loop(_timers_of_connections) == 0)


def _was_reset_as_it_is_refused(wire: WireServer) -> bool:
    """Let a client reset just before it is refused; tell whether that came about in one turn of the loop."""
    _until(lambda: wire.n_connections == 0)
    with wire.connect() as client:  # it says nothing, and so is told nothing: no write would find out
        _until(lambda: wire.n_connections == 1)

        def reset() -> None:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()

        def both_at_once() -> bool:
            timers = _timers()
            if len(timers) != 1:  # it is refused already
                return False
            assert wire.loop is not None
            wire.loop.call_at(timers[0].when() - 0.001, reset)
            time.sleep(2 * WAIT_S)  # both are due: it is refused before the reset is seen
            return True

        return bool(wire.in_loop(both_at_once))


def _timers_of_connections() -> int:
    return len(_timers())


def _timers() -> list[Any]:
    timers = (thing for thing in gc.get_objects() if type(thing).__name__ == "TimerHandle")
    return [timer for timer in timers if not timer.cancelled() and "Protocol" in repr(timer)]


def _until(is_so, patience_s: float = 5.0) -> None:
    deadline = time.monotonic() + patience_s
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_limited_protocol__tells_of_each_refusal() -> None:
    told: list[int] = []
    with served(limited_protocol(LIMITS, told.append)) as wire:
        exchange(wire, [b"nonsense\r\n\r\n"])
        exchange(wire, [])
        exchange(wire, [GET])
    assert told == [400, CLOSE_ONLY, 408]


@pytest.mark.parametrize(
    "settings",
    [{"max_headers": 0}, {"receive_head_s": -1.0}, {"linger_s": float("nan")}, {"send_stall_s": float("inf")}],
)
def test_wire_limits__refuse_what_is_no_limit(settings: dict[str, Any]) -> None:
    with pytest.raises(ServiceError, match=next(iter(settings))):
        WireLimits(**settings)


def test_wire_limits__close_the_slow_within_ten_seconds() -> None:
    limits = LimitedProtocol.limits
    assert max(limits.receive_head_s, limits.receive_body_s) + limits.linger_s <= 10

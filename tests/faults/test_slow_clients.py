"""Slow, silent and vanishing clients hold nothing: the others are answered, and every descriptor comes back."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.http.protocol import WireLimits, limited_protocol
from tests.scale import scaled
from tests.wire import WireServer, listen, served

LIMITS = WireLimits(receive_head_s=1.0, receive_body_s=1.0, linger_s=0.2)
PATIENCE_S = 10.0
FDS_PATIENCE_S = 15.0
GET = b"GET / HTTP/1.1\r\nHost: linli\r\n\r\n"
SLOW = (GET[:-2] + b"X: ", b"POST / HTTP/1.1\r\nHost: linli\r\nContent-Length: 9000\r\n\r\n")
RESET = struct.pack("ii", 1, 0)


def _n_fds() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def _wait_for(wire: WireServer, n_fds: int, patience_s: float) -> None:
    deadline = time.monotonic() + patience_s
    while (wire.n_connections or _n_fds() > n_fds) and time.monotonic() < deadline:
        time.sleep(0.02)


@contextmanager
def _dripping(wire: WireServer, n: int) -> Iterator[list[socket.socket]]:
    """Give sockets that send a byte every 100 ms, half of them in the head and half in the body."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(wire.connect()) for _ in range(n)]
        for number, connection in enumerate(sockets):
            connection.sendall(SLOW[number % 2])
        stop = threading.Event()
        drip = threading.Thread(target=_drip, args=(sockets, stop))
        drip.start()
        try:
            yield sockets
        finally:
            stop.set()
            drip.join(timeout=20)


def _drip(sockets: list[socket.socket], stop: threading.Event) -> None:
    left = list(sockets)
    while not stop.wait(0.1):
        for connection in list(left):
            try:
                connection.send(b"a")
            except OSError:
                left.remove(connection)


def _is_answered(wire: WireServer) -> bool:
    with wire.connect() as connection:
        connection.sendall(GET.replace(b"Host", b"Connection: close\r\nHost"))
        return listen(connection, 5).statuses == [200]


def _slow_fault(protocol: type, n: int, patience_s: float) -> str | None:
    """Return what dripping sockets did that they must not, None if nothing."""
    with served(protocol) as wire:
        assert _is_answered(wire)
        n_fds = _n_fds()
        with _dripping(wire, n) as sockets:
            assert _is_answered(wire)  # so all before it were accepted
            deadline = time.monotonic() + patience_s
            n_answered = n_asked = 0
            while wire.n_connections and time.monotonic() < deadline:
                n_asked, n_answered = n_asked + 1, n_answered + _is_answered(wire)
                time.sleep(0.01)
            if n_answered < n_asked or not n_asked:
                return f"{n_answered} of {n_asked} normal requests were answered"
            heard = [listen(connection, max(0.1, deadline - time.monotonic())) for connection in sockets]
            n_open = sum(not one.closed for one in heard)
            if n_open:
                return f"{n_open} of {n} dripping sockets were left open"
            _wait_for(wire, n_fds + n, FDS_PATIENCE_S)
            if _n_fds() > n_fds + n:
                return f"{_n_fds() - n_fds - n} descriptors did not come back"
            told = {tuple(one.statuses) for one in heard}
            return None if told <= {(408,), ()} else f"they were told {told}"


def test_dripping_sockets__are_closed_while_all_others_are_answered() -> None:
    assert _slow_fault(limited_protocol(LIMITS), scaled(500), PATIENCE_S) is None


def test_dripping_sockets__are_found_open_where_no_deadline_runs() -> None:
    assert "left open" in (_slow_fault(HttpToolsProtocol, 4, 2.5) or "")


def _half_open(wire: WireServer, n: int) -> list[socket.socket]:
    """Begin requests and never go on: every other one is reset, the rest is given back, open and still."""
    still = []
    for number in range(n):
        connection = wire.connect()
        connection.sendall(GET[: number % (len(GET) - 1)])
        if number % 2:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            connection.close()
        else:
            still.append(connection)
    return still


def _left_by_half_open(protocol: type, n: int, patience_s: float) -> int:
    """Return how many connections the server still holds after a while."""
    with served(protocol) as wire, ExitStack() as stack:
        assert _is_answered(wire)
        before = _n_fds()
        still = [stack.enter_context(connection) for connection in _half_open(wire, n)]
        assert _is_answered(wire)  # so all before it were accepted
        _wait_for(wire, before + len(still), patience_s)
        return max(wire.n_connections, _n_fds() - before - len(still))


def test_half_open__leaves_no_descriptor() -> None:
    assert _left_by_half_open(limited_protocol(LIMITS), scaled(200), FDS_PATIENCE_S) == 0


def test_half_open__is_seen_where_no_deadline_runs() -> None:
    assert _left_by_half_open(HttpToolsProtocol, 8, 1.5) == 4


def test_connect_and_close__leaves_no_descriptor_and_harms_no_request() -> None:
    with served(limited_protocol(LIMITS)) as wire:
        assert _is_answered(wire)
        before = _n_fds()
        stop, answered = threading.Event(), list[bool]()
        asking = threading.Thread(target=_ask_until, args=(wire, stop, answered))
        asking.start()
        for number in range(scaled(5_000)):  # 5 s of 1 000 each second
            with wire.connect() as connection:
                if number % 2:
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            time.sleep(0.001)
        stop.set()
        asking.join(timeout=20)
        assert len(answered) > 1
        assert all(answered)
        assert _is_answered(wire)  # so all before it were accepted
        _wait_for(wire, before, FDS_PATIENCE_S)
        assert (wire.n_connections, _n_fds()) == (0, before)


def _ask_until(wire: WireServer, stop: threading.Event, answered: list[bool]) -> None:
    while not stop.wait(0.005):
        answered.append(_is_answered(wire))

"""
A client process of the benchmark: ``python -m benchmarks.http_load PORT SECONDS CONNECTIONS [once]``.

Requests come on standard input, each behind a NUL but the first; one without a body ends before its empty line. Each
connection sends its next request when it has the answer to the last; with ``once`` no request is sent twice. Prints
answers a second, the median and the 99th percentile of their times in microseconds, and how many were not 200 or 201.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
import time
from typing import TYPE_CHECKING, cast

import uvloop

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["main"]

_HEAD_END, _LENGTH = b"\r\n\r\n", b"content-length: "


class _Client(asyncio.Protocol):
    def __init__(self, requests: Iterator[bytes], end: float, times: list[float]) -> None:
        self.requests = requests
        self.end = end
        self.times = times
        self.n_bad = 0
        self.received = b""
        self.sent_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self._send()

    def _send(self) -> None:
        request = next(self.requests, None)
        if request is None:
            raise RuntimeError("there were not enough requests for the time")
        self.sent_at = time.perf_counter()
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self.received += data
        head = self.received.find(_HEAD_END)
        if head < 0:
            return
        place = self.received.find(_LENGTH) + len(_LENGTH)
        length = int(self.received[place : self.received.find(b"\r", place)])
        if len(self.received) < head + len(_HEAD_END) + length:
            return
        now = time.perf_counter()
        self.times.append(now - self.sent_at)
        self.n_bad += not self.received.startswith((b"HTTP/1.1 200", b"HTTP/1.1 201"))
        self.received = b""
        if now < self.end:
            self._send()
        else:
            self.transport.close()


async def main(port: int, seconds: float, connections: int, requests: Iterator[bytes]) -> None:
    """Load a server and print what came of it."""
    times: list[float] = []
    end = time.perf_counter() + seconds
    loop = asyncio.get_running_loop()
    clients = [
        (await loop.create_connection(lambda: _Client(requests, end, times), "127.0.0.1", port))[1]
        for _ in range(connections)
    ]
    await asyncio.sleep(seconds + 0.2)
    times.sort()
    median, high = times[len(times) // 2], times[len(times) * 99 // 100]
    n_bad = sum(client.n_bad for client in clients)
    sys.stdout.write(f"{len(times) / seconds} {median * 1e6} {high * 1e6} {n_bad}\n")


if __name__ == "__main__":
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    given = [one if _HEAD_END in one else one + _HEAD_END for one in sys.stdin.buffer.read().split(b"\0")]
    sent = iter(given) if sys.argv[4:] == ["once"] else itertools.cycle(given)
    uvloop.run(main(int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]), sent))

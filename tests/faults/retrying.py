"""Requests that are sent five times at once, cut on the way, by a server that is killed; and how each is answered at last."""

from __future__ import annotations

import os
import random
import signal
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from tests.contract.service.talking import ask
from tests.cut_wire import CutWire
from tests.faults.buying import Answer, Caller, at_once
from tests.faults.test_beside import children
from tests.serving import Place, Serving

__all__ = ["Losing", "Sent", "send_and_kill", "settled"]

N_SENT = 5
N_GROUPS = 4
CUT_SHARE = 0.3
_RESET = struct.pack("ii", 1, 0)


@dataclass
class Sent:
    """What is sent to make one thing, and all answers to it that are final."""

    key: str
    body: bytes
    answers: list[Answer] = field(default_factory=list)


def settled(app: Caller, path: str, sent: Sent) -> Answer:
    """Send a request until it is answered."""
    until = time.monotonic() + 20
    while time.monotonic() < until:
        answer = app.call("POST", path, sent.body, sent.key)
        if answer.status in {201, 422} or (answer.status == 409 and answer.slug != "idempotency-in-progress"):
            return answer
        time.sleep(0.02)
    raise AssertionError("it is never answered")


@dataclass
class Losing:
    """A service whose wire to PostgreSQL loses the reply of a commit by which something is made at a path, in a table."""

    wire: CutWire
    place: Place
    base_url: str
    app_key: str
    path: str
    table: str

    def send_all(self, bodies: Sequence[bytes], name: str, again: str) -> tuple[Counter[int], int]:
        """Lose the reply of each commit, and send it again; return what was told first, and how many more there are."""
        first: Counter[int] = Counter()
        app, n_before, n_lost = Caller(self.base_url, self.app_key), self._n_made(), self.wire.n_lost
        for number, body in enumerate(bodies):
            self.wire.lose_commit_of(f"POST {self.path}".encode())
            first[app.call("POST", self.path, body, f"{name}-{number}").status] += 1
            assert settled(app, self.path, Sent(f"{again}-{number}", body)).status == 201
        app.close()
        assert self.wire.n_lost == n_lost + len(bodies)
        return first, self._n_made() - n_before

    def _n_made(self) -> int:
        return int(ask(self.place, f"SELECT count(*) FROM {self.table}")[0][0])  # noqa: S608 - our own word


def send_and_kill(serving: Serving, app_key: str, path: str, part: Sequence[Sent], seed: int) -> list[Answer]:
    """Send requests to a server that is killed on the way; return answers that nobody should get."""
    all_sent = threading.Event()
    told = (serving, part, all_sent, random.Random(seed))  # noqa: S311
    killing = threading.Thread(target=_kill_on_the_way, args=told)
    killing.start()
    unexpected = _Senders(serving.base_url, app_key, path, part, seed).run()
    all_sent.set()
    killing.join()
    return unexpected


class _Senders:
    """Groups of five who send one request at the same moment, until a server that is killed ends it."""

    def __init__(self, base_url: str, app_key: str, path: str, part: Sequence[Sent], seed: int) -> None:
        self._base_url = base_url
        self._app_key = app_key
        self._path = path
        self._part = part
        self._seed = seed
        self._together = [threading.Barrier(N_SENT) for _ in range(N_GROUPS)]
        self._unexpected: list[Answer] = []

    def run(self) -> list[Answer]:
        """Send all; return answers that nobody should get."""
        at_once(N_SENT * N_GROUPS, self._send_on)
        return self._unexpected

    def _send_on(self, thread: int) -> None:
        group = thread // N_SENT
        drawn, app = random.Random(f"{self._seed} {thread}"), Caller(self._base_url, self._app_key)  # noqa: S311
        for sent in self._part[group::N_GROUPS]:
            self._together[group].wait(60)
            if drawn.random() < CUT_SHARE:
                self._cut(sent, drawn)
            else:
                self._note(sent, app.call("POST", self._path, sent.body, sent.key))
        app.close()

    def _cut(self, sent: Sent, drawn: random.Random) -> None:
        """Send a request and break the wire: in the middle of it, or before its answer."""
        place = urlsplit(self._base_url)
        head = (
            f"POST {self._path} HTTP/1.1\r\nHost: linli\r\nAuthorization: Bearer {self._app_key}\r\n"
            f"Idempotency-Key: {sent.key}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(sent.body)}\r\n\r\n"
        )
        data = head.encode() + sent.body
        with suppress(OSError), socket.create_connection((place.hostname or "", place.port or 0), 5) as wire:
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            wire.sendall(data if drawn.random() < 0.7 else data[: drawn.randrange(len(data))])
            time.sleep(drawn.uniform(0.0, 0.01))

    def _note(self, sent: Sent, answer: Answer) -> None:
        if answer.status in {201, 409} and answer.slug != "idempotency-in-progress":
            sent.answers.append(answer)
        elif answer.status not in {0, 409, 503}:
            self._unexpected.append(answer)


def _kill_on_the_way(serving: Serving, part: Sequence[Sent], all_sent: threading.Event, drawn: random.Random) -> None:
    """Kill a worker once a quarter has been answered, and the server once half of them have."""
    for share in (4, 2):
        while sum(bool(sent.answers) for sent in part) < len(part) / share and not all_sent.wait(0.002):
            pass
        if share == 2:
            serving.kill()
        elif serving.place.database is not None:
            with suppress(ProcessLookupError, IndexError):
                os.kill(drawn.choice(children(serving.process.pid)), signal.SIGKILL)

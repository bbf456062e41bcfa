"""
Servers and commands that start at once: a process that has loaded all of linli forks one for each that a test wants.

``python -m tests.nursery`` reads a JSON object a line (``module``, ``argv``, ``environment``, ``out``, ``errors``, ``status``)
and prints the number of the new process, which runs ``main`` of the module; how it ended stands in the file ``status``. To load linli and its
kernels takes three seconds of a processor, what differs between two servers a tenth of that. Tests of the start itself
start linli as users do.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from functools import cache
from pathlib import Path
from typing import Any

__all__ = ["Forked", "nursery"]

_ROOT = Path(__file__).resolve().parents[1]
_LONGEST_S = 120.0


class Forked:
    """What `subprocess.Popen` is, of a process that another one has forked."""

    def __init__(self, pid: int, status: Path) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._status = status

    def poll(self) -> int | None:
        """Return how it ended, None while it runs."""
        if self.returncode is None and self._status.exists():
            self.returncode = int(self._status.read_text())
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it has ended, so many seconds at most."""
        until = None if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            if until is not None and time.monotonic() > until:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0.0)
            time.sleep(0.002)
        return code

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        with contextlib.suppress(ProcessLookupError):  # it has, and that is about to be told
            if self.poll() is None:
                os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill it (SIGKILL)."""
        self.send_signal(signal.SIGKILL)


class Nursery:
    """Forks linli; one for the whole run, started when it is first wanted."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="linli-")
        self._lock = threading.Lock()
        self._n = 0
        command = [sys.executable, "-m", "tests.nursery"]
        self._process = subprocess.Popen(
            command, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        atexit.register(self.close)

    def close(self) -> None:
        """End it; what it has forked goes on."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._folder.cleanup()

    def fork(
        self, argv: list[str], environment: dict[str, str], out: Path, errors: Path, module: str = "service.cli"
    ) -> Forked:
        """Start ``linli``, or another module, in the root of the tree, with files that take what it prints."""
        out.write_bytes(b"")
        errors.write_bytes(b"")
        with self._lock:
            self._n += 1
            status = Path(self._folder.name) / str(self._n)
            asked = {"module": module, "argv": argv, "environment": environment, "status": str(status)}
            asked |= {"out": str(out), "errors": str(errors)}
            into, told = self._process.stdin, self._process.stdout
            assert into is not None
            assert told is not None
            into.write(json.dumps(asked) + "\n")
            return Forked(int(told.readline()), status)

    def run(self, arguments: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
        """Run ``linli`` with arguments to its end; one that takes too long is killed."""
        with tempfile.TemporaryDirectory(dir=self._folder.name) as told:
            out, errors = Path(told) / "out", Path(told) / "errors"
            process = self.fork(arguments, environment, out, errors)
            try:
                code = process.wait(_LONGEST_S)
            finally:
                process.kill()
            return subprocess.CompletedProcess(arguments, code, out.read_text(), errors.read_text())


@cache
def nursery() -> Nursery:
    """Return the one of this run."""
    return Nursery()


def _load() -> None:
    import service.cli
    import service.http.app
    import service.server
    import service.store.postgres  # noqa: F401 - loaded once for all
    from engine import warm_up
    from service.kernels import prepare_kernels

    prepare_kernels()
    warm_up()
    gc.collect()
    gc.freeze()


def _become(asked: dict[str, Any]) -> None:
    """Turn this process into what is asked for, and leave another behind that tells how it ends."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    child = os.fork()
    if child:
        os.write(1, f"{child}\n".encode())
        os.closerange(0, 3)
        _pid, status = os.waitpid(child, 0)
        new = Path(asked["status"] + ".new")
        new.write_text(str(os.waitstatus_to_exitcode(status)))
        new.rename(asked["status"])
        os._exit(0)
    os.environ.clear()
    os.environ.update(asked["environment"])
    for number, name in enumerate((os.devnull, asked["out"], asked["errors"])):
        file = os.open(name, os.O_WRONLY if number else os.O_RDONLY)
        os.dup2(file, number)
        os.close(file)
    sys.argv = ["linli", *asked["argv"]]


def main() -> None:
    _load()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        if os.fork() == 0:
            asked = json.loads(line)
            _become(asked)
            importlib.import_module(asked["module"]).main()
            return


if __name__ == "__main__":
    main()

"""
Scripts over a store that are killed at every call that writes.

A module that calls `run_killed` as ``python -m MODULE WARM`` reads lines ``FOLDER CALL FAULT``: for each a child runs the
script on the store in the folder, is killed at its CALL-th call that writes, and what it was told is in FOLDER/told. One
that is forked has all loaded, so that only the script takes time.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from service.store.database import Store
from tests.faults.writing import opened
from tests.serving import ROOT, Place

__all__ = ["Killer", "Say", "acked_in", "run_killed", "running_killer"]

Say = Callable[[str], None]
Script = Callable[[Store, str], Callable[[Say], None]]
_PR_SET_PTRACER = 0x59616D61
_CALLS = "write,pwrite64,fdatasync,fsync"


class Killer:
    """
    Runs a script killed at a chosen call.

    Parameters
    ----------
    start
        A folder whose store the script begins with.
    folder
        Where it is copied to.
    server
        The process that runs `run_killed`.
    wrong_after
        Returns what is wrong at a place, given the lines that were told.
    """

    def __init__(
        self,
        start: Path,
        folder: Path,
        server: subprocess.Popen[str],
        wrong_after: Callable[[Place, list[str]], list[str]],
    ) -> None:
        self._start = start
        self._folder = folder
        self._server = server
        self._wrong_after = wrong_after

    def killed_at(self, call: int, fault: str = "none") -> tuple[bool, list[str]]:
        """Kill the script at a call; return whether it came to its end, and what is wrong then."""
        folder = self._folder / "store"
        shutil.copytree(self._start, folder)
        into, out = self._server.stdin, self._server.stdout
        assert isinstance(into, IO) or into is not None
        assert out is not None
        into.write(f"{folder} {call} {fault}\n")
        into.flush()
        status = int(out.readline())
        lines = (folder / "told").read_text().splitlines()
        wrong = self._wrong_after(Place(folder), lines)
        shutil.rmtree(folder)
        assert status == 0 or "done" not in lines
        return status == 0, wrong


@contextmanager
def running_killer(
    module: str, start: Path, folder: Path, wrong_after: Callable[[Place, list[str]], list[str]]
) -> Iterator[Killer]:
    """Give one who kills the script of a module, which is loaded once."""
    shutil.copytree(start, folder / "warm")
    command = [sys.executable, "-m", module, str(folder / "warm")]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        yield Killer(start, folder, server, wrong_after)
        assert server.stdin is not None
        server.stdin.close()


def acked_in(told: list[str]) -> dict[str, int]:
    """Return the latest revision that was acknowledged, by key, of lines ``ok KEY REVISION``."""
    acked: dict[str, int] = {}
    for line in told:
        if line.startswith("ok "):
            _ok, key, revision = line.split()
            acked[key] = max(acked.get(key, 0), int(revision))
    return acked


def run_killed(warm: str, warm_up: Callable[[Store], Any], script: Script) -> None:
    """
    Run a script killed for each line that is read.

    Parameters
    ----------
    warm
        A store in which ``warm_up`` loads all that the script will want.
    script
        Gets the store and the fault that is planted; what it returns is what is killed.
    """
    with opened(warm) as store:
        warm_up(store)
    for line in sys.stdin:
        folder, call, fault = line.split()
        sys.stdout.write(f"{_killed(script, Path(folder), int(call), fault)}\n")
        sys.stdout.flush()


def _run(script: Script, folder: Path, fault: str) -> None:
    """Run the script in a child that waits for its tracer first."""
    told = os.open(folder / "told", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    run = script(opened(str(folder)), fault)
    ctypes.CDLL(None).prctl(_PR_SET_PTRACER, -1)
    os.kill(os.getpid(), signal.SIGSTOP)
    run(lambda text: _write(told, text))
    _write(told, "done")
    os._exit(0)


def _write(file: int, text: str) -> None:
    os.write(file, f"{text}\n".encode())


def _killed(script: Script, folder: Path, call: int, fault: str) -> int:
    """Run the script killed at a call; return how it ended."""
    child = os.fork()
    if child == 0:
        try:
            _run(script, folder, fault)
        finally:
            os._exit(1)
    os.waitpid(child, os.WUNTRACED)
    inject = f"inject={_CALLS}:signal=SIGKILL:when={call}"
    command = ["strace", "-f", "-p", str(child), "-o", str(folder / "trace"), "-e", f"trace={_CALLS}", "-e", inject]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as tracer:
        assert tracer.stderr is not None
        attached = tracer.stderr.readline()
        assert "attached" in attached, attached
        time.sleep(0.005)
        os.kill(child, signal.SIGCONT)
        _pid, status = os.waitpid(child, 0)
        tracer.stderr.read()
    return status

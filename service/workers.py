"""Several worker processes on one socket: started, started again when they die, stopped together."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from service.settings import Settings

__all__ = ["Supervisor", "patience_s", "worker_starter"]

_LOG = logging.getLogger(__name__)
_LOOK_S = 0.05
_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 30.0
_STEADY_S = 60.0
_MARGIN_S = 5.0
_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_TOLD_TO = {0, 128 + signal.SIGTERM, 128 + signal.SIGINT, -signal.SIGTERM, -signal.SIGINT}  # also half way of its start


@dataclass
class _Worker:
    number: int
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    due_at: float = 0.0
    pause_s: float = _FIRST_PAUSE_S


class Supervisor:
    """
    Keeps a number of workers alive until a signal says stop.

    Parameters
    ----------
    start
        Starts the worker of a number.
    n_workers
        How many, numbered from 1.
    patience_s
        How long a worker may take to stop before it is killed.
    """

    def __init__(self, start: Callable[[int], subprocess.Popen[bytes]], n_workers: int, *, patience_s: float) -> None:
        self._start = start
        self._workers = [_Worker(number) for number in range(1, n_workers + 1)]
        self._patience_s = patience_s
        self._signals: list[int] = []

    def run(self, stopping: Callable[[], None]) -> int:
        """
        Start the workers and watch them; return the exit code of the whole, which is about to end: no signal counts from then on.

        Parameters
        ----------
        stopping
            Called once no worker is started any more.
        """
        for number in _SIGNALS:
            signal.signal(number, self._note)
        try:
            while not self._signals:
                self._look_after()
                time.sleep(_LOOK_S)
            stopping()
            return self._stop()
        finally:
            for process in self._alive():
                process.kill()
                process.wait()
            for number in _SIGNALS:
                signal.signal(number, signal.SIG_IGN)

    def _note(self, number: int, _frame: Any) -> None:
        self._signals.append(number)

    def _look_after(self) -> None:
        now = time.monotonic()
        for worker in self._workers:
            if worker.process is None:
                if now >= worker.due_at:
                    self._begin(worker, now)
                continue
            code = worker.process.poll()
            if code is None:
                continue
            if now - worker.started_at >= _STEADY_S:
                worker.pause_s = _FIRST_PAUSE_S
            worker.process = None
            self._put_off(worker, now, f"ended ({code})")

    def _begin(self, worker: _Worker, now: float) -> None:
        try:
            worker.process, worker.started_at = self._start(worker.number), now
        except OSError as error:  # the system has no memory, process or file left: the others go on
            self._put_off(worker, now, f"cannot be started ({error.strerror})")

    def _put_off(self, worker: _Worker, now: float, why: str) -> None:
        worker.due_at = now + worker.pause_s
        _LOG.error("worker %d %s; another starts in %.1f s", worker.number, why, worker.pause_s)
        worker.pause_s = min(_LONGEST_PAUSE_S, 2 * worker.pause_s)

    def _stop(self) -> int:
        """Hand on every signal, and wait."""
        until, started = time.monotonic() + self._patience_s, [worker.process for worker in self._workers]
        while alive := self._alive():
            while self._signals:
                number = self._signals.pop(0)
                for process in alive:
                    process.send_signal(number)
            if time.monotonic() > until:
                _LOG.error("%d workers did not stop within %.0f s and are killed", len(alive), self._patience_s)
                return 1
            time.sleep(_LOOK_S)
        return int(any(process is not None and process.returncode not in _TOLD_TO for process in started))

    def _alive(self) -> list[subprocess.Popen[bytes]]:
        return [worker.process for worker in self._workers if worker.process and worker.process.poll() is None]


def worker_starter(settings: Settings, listener: socket.socket) -> Callable[[int], subprocess.Popen[bytes]]:
    """
    Return what starts a worker on a socket.

    A worker gets the settings in its environment, where no other user sees the database's password, and one end of a
    pipe: when this process ends, however that comes about, the worker sees it and stops too.
    """
    ours, _theirs = os.pipe()  # the other end is handed to nobody and stays open as long as this process lives
    environment = {**os.environ, **settings.environment()}

    def start(number: int) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "service.worker", str(listener.fileno()), str(ours), str(number)]
        # A session of its own: Ctrl-C reaches the workers once, from here.
        return subprocess.Popen(  # noqa: S603 - our own module
            command, env=environment, pass_fds=(listener.fileno(), ours), start_new_session=True
        )

    return start


def patience_s(settings: Settings) -> float:
    """Return how long a worker may take to stop."""
    return settings.server.announce_s + settings.server.drain_s + _MARGIN_S

"""Several worker processes: one that cannot be started takes none of the others down."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from service.workers import Supervisor


@pytest.fixture
def heard() -> Iterator[list[int]]:
    """Give the signals that come while no supervisor hears them."""
    told: list[int] = []
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = {number: signal.signal(number, lambda number, _frame: told.append(number)) for number in numbers}
    yield told
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("heard")
def test_worker_that_cannot_be_started__is_tried_again_and_the_others_go_on(caplog: pytest.LogCaptureFixture) -> None:
    tried: list[int] = []
    workers: list[subprocess.Popen[bytes]] = []

    def start(number: int) -> subprocess.Popen[bytes]:
        tried.append(number)
        if number == 2 and tried.count(2) <= 2:
            raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        workers.append(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]))
        if number == 2:
            assert [worker.poll() for worker in workers] == [None] * 3
            os.kill(os.getpid(), signal.SIGTERM)
        return workers[-1]

    assert Supervisor(start, 3, patience_s=30.0).run(lambda: None) == 0
    assert tried == [1, 2, 3, 2, 2]
    assert [worker.returncode for worker in workers] == [-signal.SIGTERM] * 3
    told = [record.getMessage() for record in caplog.records]
    why = f"worker 2 cannot be started ({os.strerror(errno.EAGAIN)})"
    assert told == [f"{why}; another starts in 0.2 s", f"{why}; another starts in 0.4 s"]


class Stubborn(subprocess.Popen[bytes]):
    """A worker that stops for no signal, and in whose killing another SIGTERM comes."""

    def kill(self) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        super().kill()


def test_signal__that_comes_while_workers_are_killed_leaves_none_of_them(heard: list[int]) -> None:
    workers: list[Stubborn] = []
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(60)"

    def start(_number: int) -> Stubborn:
        worker = Stubborn([sys.executable, "-c", code], stdout=subprocess.PIPE)
        assert worker.stdout is not None
        with worker.stdout as told:
            told.readline()  # it ignores the signal from now on
        workers.append(worker)
        if len(workers) == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return worker

    assert Supervisor(start, 2, patience_s=0.1).run(lambda: None) == 1
    os.kill(os.getpid(), signal.SIGTERM)
    assert heard == []
    assert [worker.returncode for worker in workers] == [-signal.SIGKILL] * 2

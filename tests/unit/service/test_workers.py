"""Several worker processes: one that cannot be started takes none of the others down."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys

import pytest

from service.workers import Supervisor


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

"""
Scripts that are killed, or stopped, at calls that write.

A module that calls `run_killed` as ``python -m MODULE WARM`` reads lines ``FOLDER CALL WORDS``: for each a child runs the
script in the folder, is killed at its CALL-th call that writes, and what it was told is in FOLDER/told. One that is forked
has all loaded, so that only the script takes time. With CALL ``each`` it is stopped at every such call, is said to be so by
a line ``stopped``, and goes on with a line that is read.

A process that is killed leaves what stands in its files then. So one run shows what kills at all of its calls would leave:
its folder is copied behind each while it is stopped, and opened as the next start would.
"""

from __future__ import annotations

import ctypes
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.serving import ROOT, Place, environment_of

__all__ = ["FILE_CALLS", "Killer", "Say", "acked_in", "run_killed", "running_killer"]

Say = Callable[[str], None]
Script = Callable[[Path, str], Callable[[Say], None]]
WrongAfter = Callable[[Place, list[str]], list[str]]
FILE_CALLS = "write,pwrite64,fdatasync,fsync"
_OTHER_CHANGES = "ftruncate,?unlink,unlinkat,?rename,?renameat,renameat2"
"""Who is killed at a write has done these before it; who is stopped behind each call is stopped behind these, too."""

_PR_SET_PTRACER = 0x59616D61


class Killer:
    """
    Runs a script killed at a chosen call.

    Parameters
    ----------
    start
        A folder with all that the script begins with.
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
        wrong_after: WrongAfter,
    ) -> None:
        self._start = start
        self._folder = folder
        self._server = server
        self._wrong_after = wrong_after

    def killed_at(self, call: int, words: str = "none") -> tuple[bool, list[str]]:
        """Kill the script at a call; return whether it came to its end, and what is wrong then."""
        folder = self._folder / "store"
        shutil.copytree(self._start, folder)
        status = int(self._answer(f"{folder} {call} {words}"))
        is_done, wrong = self._judged(folder)
        assert (status == 0) == is_done
        return is_done, wrong

    def stopped_at_each(self, step: int, words: str = "none") -> Iterator[tuple[int, list[str]]]:
        """Stop the script at each call; give every ``step``-th, and what would be wrong if it were killed there."""
        folder, call = self._folder / "store", 0
        shutil.copytree(self._start, folder)
        said = self._answer(f"{folder} each {words}")
        while said == "stopped":
            call += 1
            if call % step == 0:
                killed = self._folder / "killed"
                shutil.copytree(folder, killed)
                yield call, self._judged(killed)[1]
            said = self._answer("on")
        assert int(said) == 0
        assert self._judged(folder)[0]

    def see_all_kept(self, step: int, kills: int, drawn: random.Random, words: str = "none") -> int:
        """
        Fail where anything is wrong at every ``step``-th call, or after kills at calls that are drawn.

        Returns
        -------
        int
            How many calls there are.
        """
        call = 0
        for call, wrong in self.stopped_at_each(step, words):
            assert wrong == [], f"stopped at call {call}: {wrong}"
        for killed in drawn.choices(range(1, call + 1), k=kills):
            assert self.killed_at(killed, words)[1] == [], f"killed at call {killed}"
        return call

    def see_lost(self, calls: Sequence[int], step: int) -> None:
        """Fail unless a script that acknowledges too early is seen to lose something, killed as well as stopped."""
        killed = [self.killed_at(call, "tells-first")[1] for call in calls]
        assert any(wrong and wrong[0].startswith("lost") for wrong in killed), killed
        stopped = [wrong for _call, wrong in self.stopped_at_each(step, "tells-first")]
        assert any(wrong and wrong[0].startswith("lost") for wrong in stopped)

    def _answer(self, line: str) -> str:
        into, out = self._server.stdin, self._server.stdout
        assert into is not None
        assert out is not None
        into.write(f"{line}\n")
        into.flush()
        return out.readline().strip()

    def _judged(self, folder: Path) -> tuple[bool, list[str]]:
        """Return whether the script came to its end, and what is wrong; the folder is gone afterwards."""
        lines = (folder / "told").read_text().splitlines()
        wrong = self._wrong_after(Place(folder), lines)
        shutil.rmtree(folder)
        return "done" in lines, wrong


@contextmanager
def running_killer(
    module: str, start: Path, folder: Path, wrong_after: WrongAfter, *arguments: str
) -> Iterator[Killer]:
    """Give one who kills the script of a module, which is loaded once."""
    shutil.copytree(start, folder / "warm")
    command = [sys.executable, "-m", module, str(folder / "warm"), *arguments]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment_of(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
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


def run_killed(warm: str, script: Script, warm_up: Callable[[Path], None], calls: str = FILE_CALLS) -> None:
    """
    Run a script killed for each line that is read.

    Parameters
    ----------
    warm
        A folder in which ``warm_up`` loads all that the script will want, and leaves no thread.
    script
        Gets a folder and the words; what it returns is what is killed.
    calls
        At which it is.
    """
    warm_up(Path(warm))
    for line in sys.stdin:
        folder, call, words = line.split()
        child = _begun(script, Path(folder), words)
        status = _stopped(child, calls) if call == "each" else _killed(child, calls, int(call))
        _say(str(status))


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _begun(script: Script, folder: Path, words: str) -> int:
    """Return a child that has all open and waits for its tracer."""
    child = os.fork()
    if child == 0:
        try:
            _run(script, folder, words)
        finally:
            os._exit(1)
    os.waitpid(child, os.WUNTRACED)
    return child


def _run(script: Script, folder: Path, words: str) -> None:
    """Run the script in a child that waits for its tracer first."""
    told = os.open(folder / "told", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # which is for those who ask
    run = script(folder, words)
    ctypes.CDLL(None).prctl(_PR_SET_PTRACER, -1)
    os.kill(os.getpid(), signal.SIGSTOP)
    run(lambda text: _write(told, text))
    _write(told, "done")
    os._exit(0)


def _write(file: int, text: str) -> None:
    os.write(file, f"{text}\n".encode())


def _killed(child: int, calls: str, call: int) -> int:
    """Let the script go on and be killed at a call; return how it ended."""
    with _traced(child, calls, f"SIGKILL:when={call}"):
        os.kill(child, signal.SIGCONT)
        return os.waitpid(child, 0)[1]


def _stopped(child: int, calls: str) -> int:
    """Let the script go on and be stopped at each call; return how it ended."""
    with _traced(child, f"{calls},{_OTHER_CHANGES}", "SIGSTOP:when=1+"):
        while True:
            os.kill(child, signal.SIGCONT)
            _pid, status = os.waitpid(child, os.WUNTRACED)
            if not os.WIFSTOPPED(status):
                return status
            _say("stopped")
            if not sys.stdin.readline():  # nobody asks any more
                os.kill(child, signal.SIGKILL)


@contextmanager
def _traced(child: int, calls: str, sent: str) -> Iterator[None]:
    """Send a child, by all of its threads, a signal at such calls."""
    inject = ["-e", f"trace={calls}", "-e", f"inject={calls}:signal={sent}"]
    command = ["strace", "-f", "-p", str(child), "-o", os.devnull, *inject]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as tracer:
        assert tracer.stderr is not None
        attached = tracer.stderr.readline()
        assert "attached" in attached, attached
        time.sleep(0.005)
        yield
        tracer.stderr.read()

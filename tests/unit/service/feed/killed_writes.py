"""
Processes that are killed while they write a snapshot: ``python -m tests.unit.service.feed.killed_writes``.

One process for every call of the system or of a file that the writer makes, killed before it.
"""

from __future__ import annotations

import io
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from service.feed.snapshot_files import write_snapshot
from tests.unit.service.feed.cities import city, meta_of

CALLS = {"posix", "fcntl", "_io", "io"}


class Killer:
    """Kills its process before the n-th call."""

    def __init__(self, n: int) -> None:
        self.n_left = n

    def __call__(self, _frame: FrameType, event: str, called: object) -> None:
        owner = getattr(called, "__self__", None)
        if event == "c_call" and (getattr(called, "__module__", None) in CALLS or isinstance(owner, io.IOBase)):
            self.n_left -= 1
            if self.n_left < 0:
                os.kill(os.getpid(), signal.SIGKILL)


def plainly(folder: Path) -> None:
    """Write the new snapshot as a writer would that thinks of no crash."""
    content = (folder.parent / "new" / "index-000000000001.snapshot").read_bytes()
    with (folder / "index-000000000002.snapshot").open("wb", buffering=0) as file:
        for first in range(0, len(content), 8192):
            file.write(content[first : first + 8192])


def main() -> None:
    """Write old and new, then kill a writer of the new one beside the old one at every step, a folder each."""
    root, how = Path(sys.argv[1]), sys.argv[2]
    old, new = city(1), city(2)
    first = write_snapshot(root / "old", old, meta_of(1))
    write_snapshot(root / "new", new, meta_of(2))
    ways: dict[str, Callable[[Path], object]] = {
        "linli": lambda folder: write_snapshot(folder, new, meta_of(2)),
        "plain": plainly,
    }
    step, status = 0, signal.SIGKILL.value
    while status == signal.SIGKILL:
        folder = root / f"step-{step:04d}"
        folder.mkdir()
        shutil.copy(first, folder)
        child = os.fork()
        if child == 0:
            sys.setprofile(Killer(step))
            ways[how](folder)
            sys.setprofile(None)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        step += 1
    sys.exit(status)


if __name__ == "__main__":
    main()

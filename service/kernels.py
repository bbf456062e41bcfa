"""Compile the kernels once a machine, in one process at a time, and show it."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from rich.console import Console

    Progress = Callable[[int, int], None]

__all__ = ["compile_once", "prepare_kernels"]

_WHAT = "Preparing linli for this machine, once"


def prepare_kernels() -> None:
    """Compile the kernels unless that has been done on this machine; the progress goes to standard error."""
    from geo.jit import cache_folder, kernels_compiled

    if kernels_compiled():
        return
    from rich.console import Console

    from engine import warm_up

    compile_once(cache_folder(), kernels_compiled, warm_up, Console(stderr=True, highlight=False))


def compile_once(
    folder: Path, is_compiled: Callable[[], bool], warm_up: Callable[[Progress], None], console: Console
) -> None:
    """
    Compile the kernels into a folder unless another process is doing, or has done it.

    Parameters
    ----------
    folder
        Holds what is compiled, and the lock.
    is_compiled
        Whether it is done.
    warm_up
        Compiles, and calls ``progress(done, total)`` as it goes.
    console
        Where it is shown.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "compiling.lock").open("w")
    except OSError as error:
        text = f"Kernels are compiled in every run: {folder} cannot be written: {error.strerror}"
        console.print(text, markup=False, soft_wrap=True)
        return
    with lock, _alone(lock.fileno(), console):
        if not is_compiled():
            with _shown(console) as progress:
                warm_up(progress)


@contextlib.contextmanager
def _alone(file: int, console: Console) -> Iterator[None]:
    if sys.platform == "win32":  # it has no such lock: two processes would both compile, each for itself
        yield
        return
    import fcntl

    # The system lets go of the lock when its holder ends, however that comes about.
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        console.print("Waiting for another linli that prepares this machine")
        fcntl.flock(file, fcntl.LOCK_EX)
    yield


@contextlib.contextmanager
def _shown(console: Console) -> Iterator[Progress]:
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    if not console.is_terminal:
        console.print(f"{_WHAT}: compiling the kernels takes a minute or more", soft_wrap=True)
        yield lambda _done, _total: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(_WHAT)

        def progress(done: int, total: int) -> None:
            bar.update(task, description=f"{_WHAT}: {done} of {total} kernels", completed=done, total=total)

        yield progress


if __name__ == "__main__":
    prepare_kernels()

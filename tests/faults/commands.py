"""
Commands that are killed on their way: ``python -m tests.faults.commands WARM [CALLS]``, as `tests.faults.killing` has it.

The words are those of the command, apart by commas; ``DATA`` is a folder that is killed with it.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from pathlib import Path

import service.store.postgres  # noqa: F401 - loaded once for all
from service.cli import main
from tests.faults.killing import FILE_CALLS, Say, run_killed

__all__ = ["DATA"]

DATA = "data"


def _script(folder: Path, words: str) -> Callable[[Say], None]:
    def run(_say: Say) -> None:
        sys.argv = ["linli", *words.replace("DATA", str(folder / DATA)).split(",")]
        try:
            main()
        except SystemExit as ended:
            if ended.code:
                raise

    return run


def _warm_up(folder: Path) -> None:
    """Do each command once."""
    file = folder / "b.zip"
    with contextlib.redirect_stdout(sys.stderr):  # what they print is no answer
        for words in ("migrate,--data=DATA", f"backup,{file},--data=DATA", f"restore,{file},--data=DATA,--force"):
            _script(folder / "first", words)(lambda _text: None)


if __name__ == "__main__":
    run_killed(sys.argv[1], _script, _warm_up, *sys.argv[2:] or [FILE_CALLS])

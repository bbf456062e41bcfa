"""Kernels are compiled once a machine, by one process, in sight."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from service.kernels import compile_once

ROOT = Path(__file__).resolve().parents[3]


class Machine:
    """A folder, whether it is filled, and how often that was done."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "kernels"
        self.n_warmed = 0
        self.may_end = threading.Event()
        self.may_end.set()
        self.has_begun = threading.Event()

    def is_compiled(self) -> bool:
        return (self.folder / "compiled").exists()

    def warm_up(self, progress: Callable[[int, int], None]) -> None:
        self.n_warmed += 1
        self.has_begun.set()
        progress(12, 31)
        assert self.may_end.wait(60)
        (self.folder / "compiled").touch()

    def prepare(self, *, terminal: bool = False) -> str:
        told = io.StringIO()
        console = Console(file=told, force_terminal=terminal, width=120)
        compile_once(self.folder, self.is_compiled, self.warm_up, console)
        return told.getvalue()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_compile_once__counts_the_kernels_on_a_terminal_and_says_one_line_elsewhere(machine: Machine) -> None:
    assert "Preparing linli for this machine, once: 12 of 31 kernels" in machine.prepare(terminal=True)
    (machine.folder / "compiled").unlink()
    told = machine.prepare().splitlines()
    assert len(told) == 1
    assert told[0].startswith("Preparing linli for this machine, once")


def test_compile_once__lets_one_compile_and_the_others_wait(machine: Machine) -> None:
    machine.may_end.clear()
    told: list[str] = []
    both = [threading.Thread(target=lambda: told.append(machine.prepare())) for _ in range(2)]
    both[0].start()
    assert machine.has_begun.wait(60)
    both[1].start()
    both[1].join(0.2)
    assert both[1].is_alive()
    machine.may_end.set()
    for one in both:
        one.join(60)
    assert machine.n_warmed == 1
    assert sorted(text.split()[0] for text in told) == ["Preparing", "Waiting"]


def test_compile_once__is_not_held_up_by_one_that_was_killed(machine: Machine) -> None:
    code = f"""
import os, pathlib
from rich.console import Console
from service.kernels import compile_once
compile_once(pathlib.Path({str(machine.folder)!r}), lambda: False, lambda _: os._exit(9), Console())
"""
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, timeout=60, check=False)
    assert run.returncode == 9
    machine.prepare()
    assert machine.n_warmed == 1


def test_compile_once__goes_on_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "kernels").write_text("a file")
    machine = Machine(tmp_path)
    assert "cannot be written" in machine.prepare()
    assert machine.n_warmed == 0


@pytest.mark.parametrize("arguments", [["match"], ["coverage"], ["demo"]], ids=lambda words: words[0])
def test_help__of_commands_with_kernels_prepares_nothing(arguments: list[str], tmp_path: Path) -> None:
    code = f"import sys; sys.argv = ['linli', *{arguments!r}, '--help']; from service.cli import main; main()"
    env = os.environ | {"XDG_CACHE_HOME": str(tmp_path)}
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True, timeout=60, check=False
    )
    assert (run.returncode, run.stderr) == (0, "")
    assert list(tmp_path.iterdir()) == []

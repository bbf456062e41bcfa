"""The scripts of the workshop say what they could not do, and the Makefile lists what it offers."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TARGETS = {"setup", "check", "test", "test-all", "test-full", "bench", "demo", "system", "wheel", "lock", "clean"}


def _run(command: list[str], **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=ROOT, env={**os.environ, **env}, capture_output=True, text=True, timeout=60, check=False
    )


def _path_with_only(folder: Path, *programs: str) -> str:
    for program in programs:
        found = shutil.which(program)
        assert found is not None
        (folder / program).symlink_to(found)
    return str(folder)


def test_system__names_in_one_line_what_is_left_out(tmp_path: Path) -> None:
    only = _path_with_only(tmp_path, "bash", "env", "paste")
    run = _run(["bash", "tools/system.sh"], PATH=only)
    assert run.returncode == 0, run.stderr
    (line,) = run.stdout.splitlines()
    assert line.startswith("make system: left out (no apt-get here): chromium strace util-linux")


def test_setup__names_the_pythons_it_needs_and_leaves_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "tools").mkdir()
    shutil.copy(ROOT / "tools" / "setup.sh", tmp_path / "tools")
    only = _path_with_only(tmp_path, "bash", "env", "dirname")
    run = _run(["bash", str(tmp_path / "tools" / "setup.sh")], PATH=only, PYTHON="")
    assert run.returncode == 1
    assert "needs Python 3.11, 3.12 or 3.13" in run.stderr
    assert not (tmp_path / ".venv").exists()


def test_make__lists_every_target_without_a_name() -> None:
    run = _run(["make", "--no-print-directory"])
    assert run.returncode == 0, run.stderr
    assert set(re.findall(r"^([a-z-]+) ", run.stdout, flags=re.MULTILINE)) >= TARGETS


def test_ci__runs_check_and_all_tests_and_can_be_executed() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert script.read_text(encoding="utf-8").splitlines()[-1] == "make check test-all"

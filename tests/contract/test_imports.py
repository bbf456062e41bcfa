"""The import contracts hold, and each is seen to catch a planted import."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("engine", "geo", "service", "fixtures")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Give a copy of the packages and their contracts."""
    for package in PACKAGES:
        shutil.copytree(
            ROOT / package,
            tmp_path / package,
            ignore=lambda _, names: [n for n in names if Path(n).suffix not in {"", ".py"}],
        )
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def _lint(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)


def test_imports__keep_every_contract(copy: Path) -> None:
    run = _lint(copy)
    assert run.returncode == 0, run.stdout
    assert "5 kept, 0 broken" in run.stdout


@pytest.mark.parametrize(
    ("module", "line"),
    [
        pytest.param("geo/errors.py", "import engine", id="geo imports the engine"),
        pytest.param("engine/errors.py", "import service", id="the engine imports the service"),
        pytest.param("fixtures/planted.py", "import service", id="fixtures import the service"),
        pytest.param("engine/errors.py", "import fixtures", id="the engine imports the fixtures"),
        pytest.param("geo/kernels/planted.py", "import shapely", id="a kernel imports shapes"),
        pytest.param("geo/errors.py", "import sqlite3", id="geo imports a database"),
    ],
)
def test_imports__fail_on_a_planted_one(copy: Path, module: str, line: str) -> None:
    path = copy / module
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    path.write_text(f"{text}\n{line}\n", encoding="utf-8")
    run = _lint(copy)
    assert run.returncode == 1
    assert "1 broken" in run.stdout, run.stdout

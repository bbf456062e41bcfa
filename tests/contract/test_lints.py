"""Each lint of ours is seen to catch a planted fault, and the repository has none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tools.lints import problems

ROOT = Path(__file__).resolve().parents[2]
PYPROJECT = """
[build-system]
requires = []
[project]
dependencies = ["numpy>=2.1"]
[dependency-groups]
dev = ["pytest>=8"]
"""
LOCK = "numpy==2.4.0 \\\n    --hash=sha256:00\npytest==9.0.0 \\\n    --hash=sha256:00\n"


def _write(root: Path, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    """Give a small repository without a fault."""
    _write(tmp_path, "pyproject.toml", PYPROJECT)
    _write(tmp_path, "requirements.lock", LOCK)
    _write(tmp_path, "Makefile", "help:\n")
    _write(tmp_path, "geo/kernels/metric.py", "import math\nimport numpy as np\nfrom geo.jit import kernel\n")
    _write(tmp_path, "engine/units.py", "x = 1\n" * 299)
    return tmp_path


def test_problems__are_none_in_this_repository() -> None:
    assert problems(ROOT) == []


def test_problems__are_none_where_there_is_no_fault(sound: Path) -> None:
    assert problems(sound) == []


def _long(root: Path) -> None:
    _write(root, "service/orders/rules.py", "x = 1\n" * 300)


def _impure_kernel(root: Path) -> None:
    _write(root, "engine/kernels/matching.py", "import numpy as np\nfrom engine.errors import EngineError\n")


def _relative_kernel(root: Path) -> None:
    _write(root, "geo/kernels/covers.py", "from . import metric\n")


def _registry(root: Path) -> None:
    _write(root, "requirements.lock", "--index-url https://example.org/simple\n" + LOCK)


def _local_wheel(root: Path) -> None:
    _write(root, "requirements.lock", LOCK + "h3 @ file:h3.whl\n")


def _unlocked(root: Path) -> None:
    _write(root, "pyproject.toml", PYPROJECT.replace('"numpy>=2.1"', '"numpy>=2.1", "h3>=4"'))


def _too_old(root: Path) -> None:
    _write(root, "pyproject.toml", PYPROJECT.replace("pytest>=8", "pytest>=10"))


def _machine_path(root: Path) -> None:
    _write(root, "docs/guide.md", "Look into " + "/".join(("", "root", "linli", "docs")) + ".\n")


@pytest.mark.parametrize(
    ("plant", "says"),
    [
        (_long, "service/orders/rules.py: 300 lines"),
        (_impure_kernel, "engine/kernels/matching.py:2: imports engine.errors"),
        (_relative_kernel, "geo/kernels/covers.py:1: imports ."),
        (_registry, "requirements.lock:1: holds an address"),
        (_local_wheel, "requirements.lock:5: holds an address"),
        (_unlocked, "requirements.lock: has nothing for 'h3>=4'"),
        (_too_old, "requirements.lock: has 9.0.0 for 'pytest>=10'"),
        (_machine_path, "docs/guide.md:1: names a path of one machine"),
    ],
)
def test_problems__names_a_planted_fault(sound: Path, plant: Callable[[Path], None], says: str) -> None:
    plant(sound)
    found = problems(sound)
    assert len(found) == 1
    assert found[0].startswith(says)

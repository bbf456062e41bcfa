"""Nothing is installed but what was reviewed: `tools/setup.sh` with tiny packages in a folder, and no network (S16)."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = {"pip": ("bash", "dirname"), "uv": ("bash", "dirname", "uv")}
BACKEND = """
import pathlib, shutil

def build_wheel(folder, config_settings=None, metadata_directory=None):
    (wheel,) = pathlib.Path("built").iterdir()
    shutil.copy(wheel, folder)
    return wheel.name

build_editable = build_wheel
"""
PYPROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "{name}"
version = "1.0"
"""


def _wheel(folder: Path, name: str, requires: str = "") -> Path:
    told = f"{name}-1.0.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n" + (
        f"Requires-Dist: {requires}\n" if requires else ""
    )
    files = {
        f"{name}.py": "",
        f"{told}/METADATA": metadata,
        f"{told}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{told}/RECORD"] = "".join(f"{path},,\n" for path in [*files, f"{told}/RECORD"])
    folder.mkdir(exist_ok=True)
    wheel = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return wheel


def _buildable(folder: Path, name: str) -> None:
    """Lay out what can be built without anything else."""
    _wheel(folder / "built", name)
    (folder / "backend.py").write_text(BACKEND)
    (folder / "pyproject.toml").write_text(PYPROJECT.format(name=name))
    (folder / "PKG-INFO").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")


def _source(folder: Path, name: str) -> Path:
    """Make a source distribution that could be built here."""
    tree = folder / f"{name}-1.0"
    tree.mkdir()
    _buildable(tree, name)
    made = folder / f"{name}-1.0.tar.gz"
    with tarfile.open(made, "w:gz") as archive:
        archive.add(tree, tree.name)
    shutil.rmtree(tree)
    return made


def _locked(file: Path) -> str:
    return f"{file.name.partition('-')[0]}==1.0 --hash=sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}\n"


@dataclass
class Tree:
    """A project of its own with linli's script, the packages that are to be had, and an environment."""

    root: Path
    path: str

    @property
    def packages(self) -> Path:
        """Where packages are to be had."""
        return self.root / "packages"

    def set_up(self, lock: str) -> subprocess.CompletedProcess[str]:
        """Lay the environment out as a lock says."""
        (self.root / "requirements.lock").write_text(lock)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "UV_"))}
        environment = {**kept, "PATH": self.path, "PIP_CONFIG_FILE": os.devnull, "UV_NO_CONFIG": "1", "UV_OFFLINE": "1"}
        environment |= {"PIP_NO_INDEX": "1", "UV_NO_CACHE": "1"}
        environment |= {"PIP_FIND_LINKS": str(self.packages), "UV_FIND_LINKS": str(self.packages)}
        script = ["bash", str(self.root / "tools" / "setup.sh")]
        return subprocess.run(script, env=environment, capture_output=True, text=True, timeout=60, check=False)

    def installed(self) -> set[str]:
        """Return what is installed beside pip."""
        code = "from importlib.metadata import distributions as d; print(*(one.metadata['Name'] for one in d()))"
        run = subprocess.run(
            [self.root / ".venv" / "bin" / "python", "-c", code], capture_output=True, text=True, check=True
        )
        return set(run.stdout.split()) - {"pip", "setuptools"}


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("project")
    subprocess.run([sys.executable, "-m", "venv", root / ".venv"], check=True)
    (root / "tools").mkdir()
    shutil.copy(ROOT / "tools" / "setup.sh", root / "tools")
    _buildable(root, "project")
    (root / "packages").mkdir()
    return root


@pytest.fixture(params=["pip", "uv"])
def tree(request: pytest.FixtureRequest, empty: Path, tmp_path: Path) -> Tree:
    (tmp_path / "bin").mkdir()
    for program in PROGRAMS[request.param]:
        found = shutil.which(program, path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
        assert found is not None, program
        (tmp_path / "bin" / program).symlink_to(found)
    shutil.copytree(empty, tmp_path / "project", symlinks=True)
    return Tree(tmp_path / "project", str(tmp_path / "bin"))


def test_setup__installs_what_the_lock_says(tree: Tree) -> None:
    lock = _locked(_wheel(tree.packages, "first")) + _locked(_wheel(tree.packages, "second", "first"))
    _wheel(tree.packages, "stranger")
    run = tree.set_up(lock)
    assert run.returncode == 0, run.stderr
    assert tree.installed() == {"first", "second", "project"}


def test_setup__takes_no_file_that_has_changed(tree: Tree) -> None:
    lock = _locked(_wheel(tree.packages, "first")) + _locked(_wheel(tree.packages, "second"))
    _wheel(tree.packages, "second", "first")
    _fails(tree, lock, "(?i)hash")


@pytest.mark.parametrize("is_first_locked", [True, False])  # a hash anywhere makes pip ask for all
def test_setup__takes_no_package_without_a_hash(tree: Tree, is_first_locked: bool) -> None:
    first = _locked(_wheel(tree.packages, "first"))
    _wheel(tree.packages, "second")
    _fails(tree, f"{first if is_first_locked else 'first==1.0'}\nsecond==1.0\n", "(?i)hash")


def test_setup__takes_no_package_that_only_another_asks_for(tree: Tree) -> None:
    lock = _locked(_wheel(tree.packages, "first", "stranger"))
    _wheel(tree.packages, "stranger")
    _fails(tree, lock, "(?is)hash.*stranger")


def test_setup__builds_no_package_from_its_source(tree: Tree) -> None:
    _fails(tree, _locked(_source(tree.packages, "first")), "first")


def test_lock__holds_pinned_packages_with_their_hashes_and_nothing_else() -> None:
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8").replace("\\\n", "")
    entry = re.compile(r"[a-z0-9-]+(\[[a-z0-9,-]+\])?==[0-9][^ ;]*( ; [^#\\]*?)?( +--hash=sha256:[0-9a-f]{64})+")
    strange = [line for line in text.splitlines() if not entry.fullmatch(line.strip())]
    assert strange == []


def _fails(tree: Tree, lock: str, named: str) -> None:
    run = tree.set_up(lock)
    assert run.returncode != 0
    assert re.search(named, run.stderr), run.stderr
    assert tree.installed() == set()

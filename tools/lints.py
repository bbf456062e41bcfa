"""
Small lints of our own, each born of a mistake made twice; every message names the remedy.

``python -m tools.lints`` checks the repository it stands in; exit code 1 where something is found.
"""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

__all__ = ["main", "problems"]

PACKAGES = ("engine", "geo", "service", "fixtures")
FOLDERS = (*PACKAGES, "benchmarks", "tests", "docs", ".ci")
MAX_LINES = 300
KERNELS_MAY_IMPORT = ("__future__", "math", "typing", "numpy", "numba", "geo.jit", "geo.kernels", "engine.kernels")
PINNED = re.compile(r"^([a-z0-9][a-z0-9._-]*)==(\S+)", re.MULTILINE)
ADDRESS = re.compile(r"https?:|file:|git\+|--(?:extra-)?index-url|--find-links|--trusted-host", re.IGNORECASE)
MACHINE_PATH = re.compile(r"(?<![\w./-])/(?:work|root|home/\w+|opt/\w+)/")
TEXT_SUFFIXES = {".py", ".md", ".toml", ".txt", ".sh", ".js", ".css", ".j2", ".html"}


def problems(root: Path) -> list[str]:
    """Return one line for every fault found under ``root``, in the order of the lints."""
    return [
        *_long_modules(root),
        *_kernel_imports(root),
        *_lock_addresses(root),
        *_lock_gaps(root),
        *_machine_paths(root),
    ]


def _long_modules(root: Path) -> Iterator[str]:
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            n_lines = len(path.read_text(encoding="utf-8").splitlines())
            if n_lines >= MAX_LINES:
                yield (
                    f"{path.relative_to(root)}: {n_lines} lines, must be under {MAX_LINES}: "
                    "split it by its nouns, one module each"
                )


def _imports(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.lineno, node.module or "."


def _kernel_imports(root: Path) -> Iterator[str]:
    for package in ("engine", "geo"):
        for path in sorted((root / package / "kernels").rglob("*.py")):
            for line, module in _imports(ast.parse(path.read_text(encoding="utf-8"))):
                if not any(module == name or module.startswith(f"{name}.") for name in KERNELS_MAY_IMPORT):
                    yield (
                        f"{path.relative_to(root)}:{line}: imports {module}, may import only "
                        f"{', '.join(KERNELS_MAY_IMPORT)}: pass what it needs as an argument"
                    )


def _lock_addresses(root: Path) -> Iterator[str]:
    for number, line in enumerate((root / "requirements.lock").read_text(encoding="utf-8").splitlines(), start=1):
        if ADDRESS.search(line):
            yield f"requirements.lock:{number}: holds an address or a path: write it anew with `make lock`"


def _lock_gaps(root: Path) -> Iterator[str]:
    settings = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = [*settings["project"].get("dependencies", ()), *settings["build-system"]["requires"]]
    for group in settings.get("dependency-groups", {}).values():
        wanted.extend(group)
    lock = (root / "requirements.lock").read_text(encoding="utf-8")
    pinned = {canonicalize_name(name): version for name, version in PINNED.findall(lock)}
    for text in wanted:
        requirement = Requirement(text)
        version = pinned.get(canonicalize_name(requirement.name))
        if version is None or version not in requirement.specifier:
            yield f"requirements.lock: has {version or 'nothing'} for {text!r} of pyproject.toml: run `make lock`"


def _machine_paths(root: Path) -> Iterator[str]:
    files = [path for folder in FOLDERS for path in sorted((root / folder).rglob("*")) if path.is_file()]
    for path in [*files, *sorted(root.glob("*.md")), root / "Makefile"]:
        if path.suffix not in TEXT_SUFFIXES and path.name not in {"Makefile", "run"}:
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            if MACHINE_PATH.search(line):
                yield f"{path.relative_to(root)}:{number}: names a path of one machine: say it relative to the repository"


def main() -> int:
    """Print what was found under the current folder; return the exit code."""
    found = problems(Path.cwd())
    for line in found:
        sys.stderr.write(f"{line}\n")
    sys.stdout.write(f"own lints: {len(found) or 'no'} problem{'' if len(found) == 1 else 's'}\n")
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())

"""
The public API is the ``__all__`` of each package, held against a file that changes on purpose only.

After a wanted change write it anew: ``python -m tests.contract.test_public_api``.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

PACKAGES = ("geo", "engine", "fixtures", "service")
SNAPSHOT = Path(__file__).with_name("public_api.txt")


def public_names() -> list[str]:
    """Return ``package.name`` for every public name, sorted within each package."""
    return [f"{name}.{public}" for name in PACKAGES for public in sorted(importlib.import_module(name).__all__)]


def test_public_api__is_the_one_in_the_snapshot() -> None:
    assert public_names() == SNAPSHOT.read_text(encoding="utf-8").splitlines(), (
        "the public API changed: if that is wanted, tell it in CHANGELOG.md and run "
        "`python -m tests.contract.test_public_api`"
    )


@pytest.mark.parametrize("package", PACKAGES)
def test_public_api__names_exist_once_and_are_public(package: str) -> None:
    module = importlib.import_module(package)
    names = list(module.__all__)
    assert len(names) == len(set(names))
    assert [name for name in names if name.startswith("_") or not hasattr(module, name)] == []


if __name__ == "__main__":
    SNAPSHOT.write_text("".join(f"{name}\n" for name in public_names()), encoding="utf-8")
    sys.stdout.write(f"{SNAPSHOT.name}: {len(public_names())} names\n")

"""The files that a command writes: none of them one that it reads, no two of them the same."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

__all__ = ["check_targets"]


def check_targets(targets: Mapping[str, Path | None], *, read: Iterable[Path | None]) -> None:
    """
    Refuse to write over what is read, or one result over another, by whatever link; exit code 2.

    Parameters
    ----------
    targets
        Files to write by the options that name them, such as ``--out``; None for what is not wanted.
    read
        Files that are read, or that are not to be touched.
    """
    taken = [path for path in read if path is not None]
    n_read = len(taken)
    for option, target in targets.items():
        if target is None:
            continue
        if any(_is_same(target, path) for path in taken[:n_read]):
            message = f"must be another file than those that are read, got {target}"
            raise typer.BadParameter(message, param_hint=option)
        if any(_is_same(target, path) for path in taken[n_read:]):
            message = f"must be a file of its own, got {target}"
            raise typer.BadParameter(message, param_hint=option)
        taken.append(target)


def _is_same(one: Path, other: Path) -> bool:
    if os.path.realpath(one) == os.path.realpath(other):
        return True
    with suppress(OSError, ValueError):
        return one.samefile(other)  # by its number: some disks hold A.csv and a.csv for one name
    return False

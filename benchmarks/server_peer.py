"""What a server or database has to offer to benchmark `servers`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.feasible_city import Asked

__all__ = ["AbsentError", "Peer", "imported", "rows_of"]

Ask = Callable[[Asked], NDArray[np.int64]]


class AbsentError(Exception):
    """A peer is not on this machine; the text says what of it."""


@dataclass(frozen=True)
class Peer:
    """
    One peer that holds the city.

    Attributes
    ----------
    name, setting
        What it is, and what all its ways have in common.
    ways
        By name, ways to ask it for the row of each query's nearest feasible point, -1 where there is none.
    """

    name: str
    setting: str
    ways: Mapping[str, Ask]


def imported(name: str) -> Any:
    """Import a package that linli does not install."""
    try:
        return import_module(name)
    except ImportError as error:
        msg = f"no package {name}"
        raise AbsentError(msg) from error


def rows_of(n: int, query: object, row: object) -> NDArray[np.int64]:
    """Return n rows, -1 where a query is not among those answered."""
    found = np.full(n, -1, np.int64)
    found[np.asarray(query, np.int64)] = np.asarray(row, np.int64)
    return found

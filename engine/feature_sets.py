"""Numbers for sets of features, and which of them are enough for what is asked. Append-only."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from engine.views import read_only

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["EnoughSets", "FeatureSets"]

_MAX_KEPT = 256


@dataclass(frozen=True, eq=False)
class EnoughSets:
    """
    The sets that hold all that is asked, among those known when it was asked.

    Attributes
    ----------
    enough
        bool by set.
    are_all
        Whether every set is enough.
    """

    enough: NDArray[np.bool_]
    are_all: bool

    @cached_property
    def address(self) -> int:
        """Where ``enough`` stands."""
        return self.enough.ctypes.data


class FeatureSets:
    """
    Sets of features by number; any thread may enter and ask.

    Attributes
    ----------
    code_of
        The number of each set.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.code_of: dict[frozenset[str], int] = {}
        self._codes_with: dict[str, list[int]] = {}
        self._sets: list[frozenset[str]] = []
        self._asked: dict[frozenset[str], EnoughSets] = {}
        self.codes([frozenset()])

    def __len__(self) -> int:
        return len(self._sets)

    def all(self) -> list[frozenset[str]]:
        """Return all sets by code."""
        return list(self._sets)

    def codes(self, sets: Iterable[frozenset[str]]) -> list[int]:
        """Return the codes of sets, new ones entered."""
        with self._lock:
            return [self._enter(features) for features in sets]

    def _enter(self, features: frozenset[str]) -> int:
        code = self.code_of.get(features)
        if code is None:
            code = self.code_of[features] = len(self._sets)
            for feature in features:
                self._codes_with.setdefault(feature, []).append(code)
            self._sets.append(features)  # last: who counts the sets finds each of them by its features
        return code

    def kept(self, wanted: frozenset[str]) -> EnoughSets | None:
        """Return what `enough` returned if no set was entered since, and it is kept."""
        held = self._asked.get(wanted)
        return held if held is not None and held.enough.size == len(self._sets) else None

    def enough(self, wanted: frozenset[str]) -> EnoughSets:
        """Return which sets hold all of these; of a question that is kept only new sets are looked at."""
        n, held = len(self._sets), self._asked.get(wanted)
        if held is None:
            enough = self._find(wanted, n)
        else:
            new = [wanted <= features for features in self._sets[held.enough.size : n]]
            enough = read_only(np.concatenate([held.enough, np.array(new, np.bool_)]))
        if len(self._asked) >= _MAX_KEPT:
            self._asked.clear()
        made = self._asked[wanted] = EnoughSets(enough, bool(enough.all()))
        return made

    def _find(self, wanted: frozenset[str], n: int) -> NDArray[np.bool_]:
        if not wanted:
            return read_only(np.ones(n, np.bool_))
        out = np.zeros(n, np.bool_)
        rarest = min((self._codes_with.get(feature, []) for feature in wanted), key=len)
        out[[code for code in list(rarest) if code < n and wanted <= self._sets[code]]] = True
        return read_only(out)

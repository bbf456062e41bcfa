"""The best cover of a basket: the fewest that have all of its lines together, then the nearest, then by id."""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["MAX_STEPS", "Keepers", "TooManyStepsError", "best_cover"]

MAX_STEPS = 1_000_000_000
"""How many comparisons of two keepers a search may take: some seconds."""

_A_LOOK = 20_000  # what a look at the keepers costs, in steps, beside those it takes
_A_CHUNK = 200_000
_MOST_DOMINANT = 1000
_SLACK = 1.0 + 1e-12  # sums in floating point are that exact


class TooManyStepsError(Exception):
    """The search took `MAX_STEPS`: nothing is known of the best cover."""


class Keepers(NamedTuple):
    """
    Rows that have some lines of a basket.

    Attributes
    ----------
    lines
        int64[n], a bit for each line that a row has.
    metres
        float64[n], how far it is.
    rank
        int64[n], the order of ids.
    row
        int64[n], its number.
    """

    lines: NDArray[np.int64]
    metres: NDArray[np.float64]
    rank: NDArray[np.int64]
    row: NDArray[np.int64]

    def at(self, places: NDArray[np.int64] | list[int]) -> Keepers:
        """Return those at some places, in their order."""
        return Keepers(self.lines[places], self.metres[places], self.rank[places], self.row[places])


def best_cover(keepers: Keepers, n_lines: int, most: int) -> Keepers:
    """
    Return the best cover of a basket by up to so many keepers, nearest first; none where there is none.

    It is the best of all: of covers by as many the one with the least exact sum of distances, then with the smallest
    ids, nearest first.

    Parameters
    ----------
    n_lines
        From 1 to 62.

    Raises
    ------
    TooManyStepsError
        If it is not found within `MAX_STEPS`.
    """
    keepers = keepers.at(np.lexsort((keepers.rank, keepers.metres)))
    keepers = keepers.at(_undominated(keepers.lines))
    search = _Search(keepers)
    for n_points in range(1, most + 1):
        search.extend((1 << n_lines) - 1, n_points, np.arange(keepers.row.size), (), 0.0)
        if search.best:
            break
    return keepers.at(search.best)


def _undominated(lines: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the places of those that no nearer one has all the lines of: no best cover has others; some are kept where there are many."""
    kept: list[int] = []
    rest = np.arange(lines.size)
    while rest.size and len(kept) < _MOST_DOMINANT:
        kept.append(int(rest[0]))
        rest = rest[lines[rest] & ~lines[rest[0]] != 0]
    return np.concatenate((np.array(kept, np.int64), rest))


class _Search:
    """The best cover of those tried so far: places of keepers, nearest first, and what a better one may sum to at most."""

    def __init__(self, keepers: Keepers) -> None:
        self._keepers = keepers
        self._n_steps = 0
        self._key: tuple[Fraction, list[int]] | None = None
        self._bound_m = np.inf
        self.best: list[int] = []

    def extend(
        self, lines: int, n_left: int, places: NDArray[np.int64], chosen: tuple[int, ...], total_m: float
    ) -> None:
        """Try all that so many more, of some places, have lines together with what is chosen; fewer cannot."""
        self._spend(_A_LOOK + places.size)
        given = np.bitwise_count(self._keepers.lines[places] & lines)
        least = lines.bit_count() - (n_left - 1) * int(given.max(initial=0))  # if all others give the most
        able = places[given >= max(1, least)]
        metres = self._keepers.metres[able]
        if not able.size or total_m + n_left * metres[0] > self._bound_m:
            return
        if n_left == 1:
            self._take([*chosen, int(able[0])])
            return
        has_rarest = self._having_rarest(lines, able)
        if n_left == 2:
            self._pair(lines, able, has_rarest, chosen, total_m)
            return
        numbers = np.arange(able.size)
        for i in np.flatnonzero(has_rarest).tolist():
            far_m = total_m + float(metres[i])
            if far_m + (n_left - 1) * metres[0] > self._bound_m:
                break
            others = able[~has_rarest | (numbers > i)]  # with those before it all was tried
            left = lines & ~int(self._keepers.lines[able[i]])
            self.extend(left, n_left - 1, others, (*chosen, int(able[i])), far_m)

    def _having_rarest(self, lines: int, able: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Tell which have the line that the fewest have: one of these is in every cover."""
        held = self._keepers.lines[able] & lines
        bits = np.unpackbits(held.astype("<i8").view(np.uint8).reshape(-1, 8), axis=1, bitorder="little")
        n_having = bits.sum(axis=0, dtype=np.int64).tolist()
        rarest = min((line for line in range(lines.bit_length()) if lines >> line & 1), key=n_having.__getitem__)
        return bits[:, rarest] != 0

    def _pair(
        self,
        lines: int,
        able: NDArray[np.int64],
        has_rarest: NDArray[np.bool_],
        chosen: tuple[int, ...],
        total_m: float,
    ) -> None:
        """Try each that has the rarest line with the nearest that has the rest."""
        first, metres = able[has_rarest], self._keepers.metres[able]
        missing = lines & ~self._keepers.lines[first]
        start = 0
        while start < first.size:
            room_m = self._bound_m - total_m - self._keepers.metres[first[start]]
            second = able[: np.searchsorted(metres, room_m, "right")]
            if not second.size:
                return
            stop = min(first.size, start + max(1, _A_CHUNK // second.size))
            self._spend((stop - start) * second.size)
            has_rest = (missing[start:stop, None] & ~self._keepers.lines[second]) == 0
            nearest = has_rest.argmax(axis=1)
            found = np.flatnonzero(has_rest[np.arange(stop - start), nearest])
            for one, other in zip(first[start:stop][found].tolist(), second[nearest[found]].tolist(), strict=True):
                self._take([*chosen, one, other])
            start = stop

    def _take(self, cover: list[int]) -> None:
        """Let a cover be the best if it is better than that."""
        self._spend(_A_LOOK)
        cover = sorted(cover)
        metres = self._keepers.metres[cover].tolist()
        if sum(metres) > self._bound_m:
            return
        key = sum(map(Fraction, metres), Fraction()), self._keepers.rank[cover].tolist()
        if self._key is None or key < self._key:
            self.best, self._key, self._bound_m = cover, key, sum(metres) * _SLACK

    def _spend(self, n_steps: int) -> None:
        self._n_steps += n_steps
        if self._n_steps > MAX_STEPS:
            raise TooManyStepsError

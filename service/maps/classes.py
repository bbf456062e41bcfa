"""Symbols, colours and classes of a legend, told apart by people of every colour vision."""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from engine.coverage import band_name
from service.maps.page import HexClass

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["DISTANCE_COLOURS", "SHORTFALL_COLOURS", "SYMBOLS", "Classes", "band_classes", "count_classes"]

# Outlines of about the same area round the origin, radius near 1.
SYMBOLS = {
    "circle": "M-1 0a1 1 0 1 0 2 0a1 1 0 1 0-2 0z",
    "square": "M-.89-.89H.89V.89H-.89z",
    "triangle": "M0-1.2L1.13.8H-1.13z",
    "wedge": "M0 1.2L1.13-.8H-1.13z",
    "diamond": "M0-1.25L1.25 0L0 1.25L-1.25 0z",
    "pentagon": "M0-1.15L1.09-.36L.68.93H-.68L-1.09-.36z",
    "star": "M0-1.4L.37-.5L1.33-.43L.6.19L.82 1.13L0 .63L-.82 1.13L-.6.19L-1.33-.43L-.37-.5z",
    "cross": "M-.42-1.2H.42V-.42H1.2V.42H.42V1.2H-.42V.42H-1.2V-.42H-.42z",
    "hexagon": "M-.55-.96H.55L1.1 0L.55.96H-.55L-1.1 0z",
    "bar": "M-1.3-.65H1.3V.65H-1.3z",
}

# ColorBrewer "Oranges" and "Blues" (Harrower and Brewer, 2003): safe for colour-blind eyes, and in grey print.
SHORTFALL_COLOURS = ("#f4f1ea", "#fdd9b0", "#fdae6b", "#f16913", "#c24102", "#7f2704")
DISTANCE_COLOURS = ("#e3eef8", "#b4d2e8", "#6aaed6", "#3282be", "#08519c", "#08306b")


@dataclass(frozen=True)
class Classes:
    """Ranges of a value: class i holds what is above ``uppers[i - 1]`` and up to ``uppers[i]``, the last the rest."""

    uppers: tuple[float, ...]
    legend: tuple[HexClass, ...]

    def of(self, value: float) -> int:
        """Return the class of a value."""
        return bisect_left(self.uppers, value)


def count_classes(highest: float, noun: str, colours: Sequence[str] = SHORTFALL_COLOURS) -> Classes:
    """
    Return classes for counts from 0 to ``highest``: none, then ranges between round numbers.

    Parameters
    ----------
    noun
        What is counted, in the plural; it ends the labels.
    colours
        From none to most; at most as many classes as there are colours.
    """
    n_ranges = len(colours) - 1
    uppers = [0.0]
    for part in range(1, n_ranges):
        upper = _round_up(highest * (part / n_ranges) ** 1.6)
        if uppers[-1] < upper < highest:
            uppers.append(upper)
    labels = [f"no {noun}"]
    labels += [_count_range(int(low) + 1, int(high), noun) for low, high in pairwise(uppers)]
    if highest > uppers[-1]:
        labels.append(f"{int(uppers[-1]) + 1:,} {noun} or more".replace(",", " "))
    else:
        uppers.pop()
    return Classes(tuple(uppers), _legend(labels, colours))


def band_classes(bands_m: Sequence[float], colours: Sequence[str] = DISTANCE_COLOURS) -> Classes:
    """Return classes for distances: within each band, then beyond the last."""
    uppers = tuple(sorted({float(band) for band in bands_m}))[: len(colours) - 1]
    names = [band_name(upper) for upper in uppers]
    labels = [f"up to {names[0]} m"]
    labels += [f"over {low} up to {high} m" for low, high in pairwise(names)]
    labels.append(f"over {names[-1]} m")
    return Classes(uppers, _legend(labels, colours))


def _legend(labels: Sequence[str], colours: Sequence[str]) -> tuple[HexClass, ...]:
    n = len(labels)
    step = (len(colours) - 1) / max(1, n - 1)
    return tuple(HexClass(label, colours[round(i * step)]) for i, label in enumerate(labels))


def _count_range(low: int, high: int, noun: str) -> str:
    if low == high:
        return f"{low:,} {noun}".replace(",", " ")
    return f"{low:,} to {high:,} {noun}".replace(",", " ")


def _round_up(value: float) -> float:
    if value <= 1:
        return 1.0
    magnitude = 10.0 ** math.floor(math.log10(value))
    return next(step * magnitude for step in (1, 2, 3, 5, 10) if step * magnitude >= value)

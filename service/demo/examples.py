"""Orders worth explaining: those where nearer points could not serve, for different reasons."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine import Engine, Match, Refusal
from service.demo.day import Day

__all__ = ["Explained", "choose_examples"]

_FEWEST, _MOST = 2, 6
_LOOKED_AT_A_SECTOR = 12


@dataclass(frozen=True)
class Explained:
    """
    An order and why it is served as it is.

    Attributes
    ----------
    order
        Its place in the day.
    refused
        All nearer points that have the offer, nearest first, and why they cannot serve.
    n_others
        How many nearer points do not have the offer at all.
    """

    order: int
    match: Match
    refused: tuple[Refusal, ...]
    n_others: int

    @property
    def reasons(self) -> set[str]:
        """Why nearer points cannot serve."""
        return {refusal.reason for refusal in self.refused}


def choose_examples(engine: Engine, day: Day, n: int) -> list[Explained]:
    """
    Return n served orders of different sectors that show as many reasons as can be, fewest points first.

    Only orders are taken whose answer is the same at the day's start as at their turn, so that the explanation,
    which knows the capacity of the start, holds for both.
    """
    nearest = engine.nearest_many(day.lat, day.lng, day.offer, k=_MOST + 1, require=())
    n_refused = (nearest.distance_m < day.distance_m[:, None]).sum(axis=1)
    tells = day.served & (n_refused >= _FEWEST) & (n_refused <= _MOST)
    names = nearest.point_ids()
    found = []
    for sector in dict.fromkeys(day.sector.tolist()):
        rows = np.flatnonzero(tells & (day.sector == sector))
        found += [_explained(engine, day, i, names[i][: n_refused[i]]) for i in _spread(rows)]
    return _most_telling([example for example in found if example is not None], day, n)


def _spread(rows: NDArray[np.int64]) -> list[int]:
    """Return at most a few of the rows, from first to last."""
    return rows[:: max(1, -(-rows.size // _LOOKED_AT_A_SECTOR))].tolist()


def _explained(engine: Engine, day: Day, i: int, nearer: list[str | None]) -> Explained | None:
    """Return an order with its reasons, None if it would be served by another point at the day's start."""
    place, ask = (float(day.lat[i]), float(day.lng[i]), day.offer[i]), day.ask(i)
    told = [engine.explain(*place, point=name, **ask) for name in nearer]
    match = told[0].match
    refused = tuple(one.point for one in told if one.point is not None)
    if match is None or match.point_id != engine.point_ids(day.row[[i]])[0]:
        return None
    if any(refusal.reason == "matched" for refusal in refused):
        return None
    return Explained(i, match, refused, len(told[0].nearer) + told[0].n_more - len(refused))


def _most_telling(found: list[Explained], day: Day, n: int) -> list[Explained]:
    chosen: list[Explained] = []
    while len(chosen) < n and found:
        shown = {reason for example in chosen for reason in example.reasons}
        sectors = {str(day.sector[example.order]) for example in chosen}
        worth = [
            (
                str(day.sector[example.order]) not in sectors,
                len(example.reasons - shown),
                len(example.reasons),
                -len(example.refused),
            )
            for example in found
        ]
        chosen.append(found.pop(worth.index(max(worth))))
    return chosen

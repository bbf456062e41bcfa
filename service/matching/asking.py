"""Ask the engine for a batch of orders: all against the same facts, or one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine import Engine
from service.matching.columns import Orders

__all__ = ["Found", "Terms", "match_in_turn", "match_together"]


@dataclass(frozen=True, kw_only=True)
class Terms:
    """
    What holds for every order of a file.

    Attributes
    ----------
    unknown_hours
        ``"refuse"`` or ``"allow"``.
    max_distance_m
        The farthest match, None for no limit.
    threads
        How many share the work, None for one a processor.
    """

    unknown_hours: str = "refuse"
    max_distance_m: float | None = None
    threads: int | None = None

    def ask(self) -> dict[str, Any]:
        """Return the engine's arguments."""
        return {"unknown_hours": self.unknown_hours, "max_distance_m": self.max_distance_m}


@dataclass(frozen=True)
class Found:
    """
    Answers of n orders.

    Attributes
    ----------
    row
        int64[n], -1 where nobody can serve.
    code
        uint8[n] of `engine.REASONS`: of the nearest point with the offer where nobody can serve.
    distance_m
        float64[n], inf where nobody can serve.
    """

    row: NDArray[np.int64]
    code: NDArray[np.uint8]
    distance_m: NDArray[np.float64]

    @classmethod
    def nothing(cls, n: int) -> Found:
        """Return n orders without a match."""
        return cls(np.full(n, -1), np.zeros(n, np.uint8), np.full(n, np.inf))


def match_together(engine: Engine, orders: Orders, terms: Terms) -> Found:
    """Match orders, each against the same facts."""
    found = Found.nothing(len(orders))
    ask = terms.ask() | {"threads": terms.threads}
    for wants in np.flatnonzero(np.bincount(orders.wants)).tolist():
        chosen = np.flatnonzero(orders.wants == wants)
        features = orders.feature_sets[wants]
        matches = engine.nearest_many(**_asked(orders, chosen), features=features, **ask)
        found.row[chosen], found.distance_m[chosen] = matches.row[:, 0], matches.distance_m[:, 0]
        unserved = chosen[matches.row[:, 0] < 0]
        if unserved.size:
            refusals = engine.refusals_many(**_asked(orders, unserved), features=features, **ask)
            found.code[unserved] = refusals.code
    return found


def match_in_turn(engine: Engine, orders: Orders, terms: Terms, units: NDArray[np.int64]) -> Found:
    """Match orders one after the other; each match takes its quantity off ``units``, in place."""
    found = Found.nothing(len(orders))
    for chosen in _runs(orders):
        features = orders.feature_sets[orders.wants[chosen[0]]]
        matches = engine.nearest_in_turn(**_asked(orders, chosen), units=units, features=features, **terms.ask())
        found.row[chosen], found.distance_m[chosen] = matches.row[:, 0], matches.distance_m[:, 0]
        if matches.code is not None:
            found.code[chosen] = matches.code
    return found


def _runs(orders: Orders) -> Iterator[NDArray[np.int64]]:
    """
    Give orders in parts of one set of features each, in turn where they can take units from each other.

    Notes
    -----
    Units belong to one offer of a point, so that orders of different offers never meet. An offer asked for
    with one set of features goes with all others that ask for the same; one with several is cut wherever
    the set changes.
    """
    uniform = np.zeros(len(orders.offers), np.int64)
    np.maximum.at(uniform, orders.offer, orders.wants)
    least = np.full(len(orders.offers), len(orders.feature_sets))
    np.minimum.at(least, orders.offer, orders.wants)
    is_mixed = (least != uniform)[orders.offer]
    for wants in np.unique(orders.wants[~is_mixed]).tolist():
        yield np.flatnonzero(~is_mixed & (orders.wants == wants))
    for offer in np.unique(orders.offer[is_mixed]).tolist():
        chosen = np.flatnonzero(orders.offer == offer)
        changes = np.flatnonzero(np.diff(orders.wants[chosen])) + 1
        yield from np.split(chosen, changes)


def _asked(orders: Orders, chosen: NDArray[np.int64]) -> dict[str, Any]:
    at = slice(None) if chosen.size == len(orders) else chosen  # a slice copies nothing
    codes = orders.offer[at]
    is_one = codes.min() == codes.max()
    return {
        "lat": orders.lat[at],
        "lng": orders.lng[at],
        "offer": orders.offers[codes[0]]
        if is_one
        else pa.DictionaryArray.from_arrays(codes, pa.array(orders.offers, pa.string())),
        "at": orders.at[at],
        "asked_at": orders.asked_at[at],
        "quantity": orders.quantity[at],
    }

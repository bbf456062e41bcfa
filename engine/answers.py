"""What the engine answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.facts import RowFacts

__all__ = ["REASONS", "Answer", "Explanation", "Found", "Match", "Matches", "Pairs", "Refusal", "Refusals", "Refused"]

REASONS = (
    "matched",
    "no_offer",
    "paused",
    "suspended",
    "feature_missing",
    "closed",
    "hours_unknown",
    "too_soon",
    "outside_area",
    "full",
    "out_of_stock",
    "no_crew",
    "too_far",
)
"""Why a point does not match, by code; the first that fails in this order is told."""


class Match(NamedTuple):
    """A point that can serve, and how far it is in metres."""

    point_id: str
    offer: str
    distance_m: float


class Answer(NamedTuple):
    """The matches of one question, nearest first, and the version of the index they come from."""

    matches: list[Match]
    version: int


class Found(NamedTuple):
    """The rows that answer one question, nearest first, how far each is in metres, and what is known of them."""

    rows: list[int]
    distance_m: list[float]
    facts: RowFacts


class Refused(NamedTuple):
    """
    A row that has an offer, how far it is in metres, and its first reason of `REASONS`: ``matched`` if it can serve.

    Where it is out of stock, ``missing`` is the first SKU, in sorted order, that it has not got.
    """

    row: int
    point_id: str
    distance_m: float
    reason: str
    missing: str | None = None


@dataclass(frozen=True)
class Matches:
    """
    The matches of q questions.

    Attributes
    ----------
    row
        int64[q, k]: row numbers of this version, nearest first, -1 where there is none.
    distance_m
        float64[q, k], inf where there is none.
    version
        The version of the index.
    facts
        What that version knows of its rows.
    code
        uint8[q] of `REASONS` from `Engine.nearest_in_turn`: why nobody served, judged at the query's turn.
    """

    row: NDArray[np.int64]
    distance_m: NDArray[np.float64]
    version: int
    facts: RowFacts
    code: NDArray[np.uint8] | None = None

    def point_ids(self) -> list[list[str | None]]:
        """Return the point ids in the shape of ``row``, None where there is none."""
        flat = self.facts.point_ids(self.row).to_pylist()
        k = self.row.shape[1]
        return [flat[start : start + k] for start in range(0, len(flat), k)]


@dataclass(frozen=True)
class Refusals:
    """
    For q questions the nearest row that has the offer, and the first reason why it cannot serve.

    Attributes
    ----------
    row
        int64[q], -1 where no row has the offer.
    code
        uint8[q] of `REASONS`: 0 where the row can serve.
    distance_m
        float64[q], inf where there is none.
    version
        The version of the index.
    """

    row: NDArray[np.int64]
    code: NDArray[np.uint8]
    distance_m: NDArray[np.float64]
    version: int


@dataclass(frozen=True)
class Pairs:
    """
    All pairs of a place and a row whose service area contains it, by query, then row.

    Attributes
    ----------
    query, row
        int64[p].
    version
        The version of the index.
    """

    query: NDArray[np.int64]
    row: NDArray[np.int64]
    version: int

    def __iter__(self) -> Iterator[NDArray[np.int64]]:
        return iter((self.query, self.row))


@dataclass(frozen=True)
class Refusal:
    """
    A point and the first reason why it does not match.

    Attributes
    ----------
    point_id, offer
        The point; the offer asked for.
    distance_m
        How far it is.
    reason
        Of `REASONS`; ``matched`` if it can serve and others are only nearer.
    visibility
        ``public``, or why no customer ever finds it.
    missing
        Where it is out of stock, the first SKU, in sorted order, that it has not got.
    """

    point_id: str
    offer: str
    distance_m: float
    reason: str
    visibility: str = "public"
    missing: str | None = None


@dataclass(frozen=True)
class Explanation:
    """
    A match and why nearer points were passed over.

    Attributes
    ----------
    match
        The nearest that can serve, None if there is none.
    nearer
        At most 20 public points before it, nearest first; all count where nobody can serve.
    n_more
        How many more there are.
    point
        The point that was asked about.
    version
        The version of the index.
    """

    match: Match | None
    nearer: list[Refusal]
    n_more: int
    point: Refusal | None
    version: int

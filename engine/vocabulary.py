"""What rows refer to by number and versions share: offers, SKUs, sets of features, schedules. Append-only."""

from __future__ import annotations

from itertools import repeat
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from engine.day_tables import DayTables, KeptDays
from engine.drafts import Draft
from engine.errors import InvalidQueryError
from engine.feature_sets import FeatureSets
from engine.hours import ScheduleBook
from engine.openings import OpeningTimes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from engine.feature_sets import EnoughSets

__all__ = ["Vocabulary"]


class Vocabulary:
    """
    Numbers for offers, SKUs, feature sets and schedules, the same in every version of an index.

    Attributes
    ----------
    book, days, openings
        The schedules, the hours of whole days, and when they open next.
    """

    def __init__(self, book: ScheduleBook | None = None, kept_days: KeptDays | None = None) -> None:
        self.book = book or ScheduleBook()
        self.days = DayTables(self.book, kept_days)
        self.openings = OpeningTimes(self.book.extra_days)
        self._offers: dict[str, int] = {}
        self._offer_names: list[str] = []
        self._skus: dict[str, int] = {}
        self._feature_sets = FeatureSets()

    def draft(self) -> Draft:
        """Return a draft for one change: one at a time, for who alone may change the index."""
        return Draft(self.book, self._offers, self._skus, self._feature_sets.code_of)

    def enter(self, draft: Draft) -> None:
        """Enter what a draft has that is new; a version that refers to it is put in place afterwards."""
        self.book.enter(*draft.new_schedules())
        self._feature_sets.codes(draft.feature_sets.new)
        self._skus.update(draft.skus.new)
        self._offers.update(draft.offers.new)
        self._offer_names = list(self._offers)

    def find_offer(self, offer: str) -> int:
        """Return the code of an offer, -1 if nobody ever had it."""
        return self._offers.get(offer, -1)

    def offer_name(self, code: int) -> str:
        """Return the offer that has a code."""
        return self._offer_names[code]

    def offers(self) -> list[str]:
        """Return all offers by code."""
        return list(self._offers)

    def find_sku(self, sku: str) -> int:
        """Return the code of an SKU, -1 if nobody ever kept it."""
        return self._skus.get(sku, -1)

    def find_skus(self, skus: Iterable[str]) -> NDArray[np.int32]:
        """Return the codes of SKUs as `find_sku` does."""
        return np.fromiter(map(self._skus.get, skus, repeat(-1)), np.int32)

    def skus(self) -> list[str]:
        """Return all SKUs by code."""
        return list(self._skus)

    def feature_sets(self) -> list[frozenset[str]]:
        """Return all sets of features by code."""
        return self._feature_sets.all()

    def enough_features(self, required: Iterable[str]) -> NDArray[np.bool_]:
        """Return for each set of features whether it holds all that are required."""
        found = self.find_enough(required)
        if found is None:
            raise InvalidQueryError("features", f"must be a set of strings, got {required!r:.60}", value=required)
        return found.enough

    def find_enough(self, required: Any) -> EnoughSets | None:
        """Return which sets of features hold all that are required; None where that is no set of strings."""
        if not isinstance(required, list | tuple | set | frozenset):
            return None
        try:
            wanted = frozenset(required)
        except TypeError:  # of lists
            return None
        kept = self._feature_sets.kept(wanted)
        if kept is not None:
            return kept
        return self._feature_sets.enough(wanted) if all(isinstance(feature, str) for feature in wanted) else None

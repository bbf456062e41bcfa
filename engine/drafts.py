"""What one change adds to a vocabulary: numbered at once, and entered when nothing can be refused any more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from engine.errors import InvalidColumnError
from engine.inputs import Column, distinct_lists

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from engine.hour_expressions import HourExpression
    from engine.hours import ScheduleBook, ScheduleKey

__all__ = ["Draft"]

_Name = TypeVar("_Name")


class _Codes(Generic[_Name]):
    """
    Codes of names: those that are known as they are, new ones behind them.

    Attributes
    ----------
    new
        The new names, by code.
    """

    def __init__(self, known: Mapping[_Name, int]) -> None:
        self._known = known
        self.new: dict[_Name, int] = {}

    def of(self, names: Iterable[_Name]) -> list[int]:
        """Return the codes of names."""
        known, new = self._known, self.new
        return [known[name] if name in known else new.setdefault(name, len(known) + len(new)) for name in names]

    def find(self, name: _Name) -> int:
        """Return the code of a name, -1 if it has none."""
        return self._known.get(name, self.new.get(name, -1))


class Draft:
    """
    What one change adds to an `engine.vocabulary.Vocabulary`.

    Its codes go on from those that are there: one is made at a time, by who alone may change the index. Nobody else finds
    them before it is entered, and where the change is refused it is not.

    Attributes
    ----------
    offers, skus, feature_sets, schedules
        Their codes, new ones apart.
    """

    def __init__(
        self,
        book: ScheduleBook,
        offers: Mapping[str, int],
        skus: Mapping[str, int],
        feature_sets: Mapping[frozenset[str], int],
    ) -> None:
        self._book = book
        self.offers, self.skus, self.feature_sets = _Codes(offers), _Codes(skus), _Codes(feature_sets)
        self.schedules = _Codes(book.ids)
        self._expressions: dict[ScheduleKey, HourExpression] = {}

    def offer_codes(self, offers: Iterable[str]) -> NDArray[np.int64]:
        """Return the codes of offers."""
        return np.array(self.offers.of(offers), np.int64)

    def find_offer(self, offer: str) -> int:
        """Return the code of an offer, -1 if nobody has it in this change or ever had it."""
        return self.offers.find(offer)

    def sku_codes(self, skus: Iterable[str]) -> NDArray[np.int64]:
        """Return the codes of SKUs."""
        return np.array(self.skus.of(skus), np.int64)

    def feature_codes(self, features: Column | None, n: int) -> NDArray[np.int32]:
        """Return the code of each row's set of features."""
        if features is None:
            return np.zeros(n, np.int32)
        items, number = distinct_lists(features, "features")
        if number.size != n:
            raise InvalidColumnError("features", f"must have {n} elements, one for every row, got {number.size}")
        first = np.unique(number, return_index=True)[1].tolist()
        sets = [_feature_set(item, position) for item, position in zip(items, first, strict=True)]
        codes = self.feature_sets.of(sets)
        return np.array(codes, np.int32)[number] if n else np.zeros(0, np.int32)

    def schedule_ids(self, hours: Column, timezones: Column, countries: Column) -> NDArray[np.int32]:
        """Return the id of each row's schedule, -1 where it has no hours; checked as `ScheduleBook.intern_many` does."""
        read = self._book.read_many(hours, timezones, countries)
        self._expressions.update(zip(read.keys, read.expressions, strict=True))
        return np.array([*self.schedules.of(read.keys), -1], np.int32)[read.number]

    def new_schedules(self) -> tuple[list[ScheduleKey], list[HourExpression]]:
        """Return the new schedules by id, and what their expressions mean."""
        keys = list(self.schedules.new)
        return keys, [self._expressions[key] for key in keys]


def _feature_set(item: object, position: int) -> frozenset[str]:
    if item is None:
        return frozenset()
    if isinstance(item, set | frozenset | list | tuple) or (isinstance(item, np.ndarray) and item.ndim == 1):
        features = list(item)
        if all(isinstance(feature, str) and feature for feature in features):
            return frozenset(features)
    raise InvalidColumnError("features", f"must be a set of strings, got {item!r:.60}", position=position, value=item)

"""What one version of the index knows of its rows, for those who tell an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from engine.errors import InvalidQueryError

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from engine.hours import ScheduleKey
    from engine.openings import OpeningTimes
    from engine.snapshots import Snapshot
    from engine.vocabulary import Vocabulary

__all__ = ["RowFact", "RowFacts"]


class RowFact(NamedTuple):
    """
    What is known of one row.

    Attributes
    ----------
    point_id, offer
        Whose row it is.
    lat, lng
        Degrees, WGS 84.
    lead_s
        Seconds between asking and the earliest time served, 0 where none is set.
    schedule
        A number of `RowFacts.schedules`, -1 where hours are unknown.
    """

    point_id: str
    offer: str
    lat: float
    lng: float
    lead_s: int
    schedule: int


class RowFacts:
    """
    The facts of one version, whatever changes after it: row numbers mean the same rows as in its answers.

    Attributes
    ----------
    snapshot
        The version, for the engine's own modules.
    """

    __slots__ = ("_vocabulary", "snapshot")

    def __init__(self, vocabulary: Vocabulary, snapshot: Snapshot) -> None:
        self._vocabulary = vocabulary
        self.snapshot = snapshot

    @property
    def version(self) -> int:
        """The number of the version."""
        return self.snapshot.number

    @property
    def schedules(self) -> tuple[ScheduleKey, ...]:
        """(expression, time zone, country) by schedule; those of later versions may follow."""
        return self._vocabulary.book.keys

    @property
    def openings(self) -> OpeningTimes:
        """When schedules are open, with the holidays that this index was given."""
        return self._vocabulary.openings

    def row(self, row: int) -> RowFact:
        """
        Return the facts of one row.

        Raises
        ------
        InvalidQueryError
            For a number that is no row of this version.
        """
        snapshot = self.snapshot
        if not 0 <= row < snapshot.n_rows:
            raise InvalidQueryError("row", f"must be a row of version {snapshot.number}, got {row!r:.40}", value=row)
        part = snapshot.base if row < snapshot.middle.first_row else snapshot.part_of(row)
        offer, lat, lng, lead_s, schedule = part.values
        at = row - part.first_row
        name = self._vocabulary.offer_name(offer[at])
        return RowFact(part.name_of(row), name, lat[at], lng[at], lead_s[at], schedule[at])

    def point_ids(self, rows: NDArray[np.int64]) -> pa.Array[Any]:
        """Return the point ids of rows in one Arrow array, null where a row is negative."""
        return self.snapshot.point_ids(np.ravel(rows))

    def lead_s(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the lead times of rows in seconds: 0 where none is set, or a row is negative."""
        return self.snapshot.values_of("lead_s", rows, 0).astype(np.int64)

    def schedule(self, rows: NDArray[np.int64]) -> NDArray[np.int32]:
        """Return the numbers in `schedules` of rows, int32: -1 where hours are unknown, or a row is negative."""
        return self.snapshot.values_of("schedule", rows, -1)

    def places(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return (lat, lng) of rows in degrees, NaN where a row is negative."""
        return self.snapshot.values_of("lat", rows, np.nan), self.snapshot.values_of("lng", rows, np.nan)

"""The public face of the index: who can serve this place, at this time."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine import queries, single
from engine.answers import Answer, Explanation, Found, Matches, Pairs, Refusals, Refused
from engine.arrays import from_arrays, to_arrays
from engine.asks import question_of
from engine.changes import apply_changes, columns_of_point, first_version
from engine.day_tables import KeptDays
from engine.explaining import check_point, explain, refused
from engine.facts import RowFacts
from engine.holidays import HolidayFile
from engine.hours import ScheduleBook
from engine.inputs import Column
from engine.live import LiveSnapshot
from engine.snapshots import Snapshot
from engine.splits import Split, split
from engine.stock import StockEntries
from engine.vocabulary import Vocabulary

__all__ = ["Engine"]


class Engine:
    """
    An index of points and their offers, in memory; made by `from_columns`, changed by `apply`.

    Readers never wait: every answer comes from one immutable version, and names it; row numbers are that version's only.
    """

    def __init__(self, vocabulary: Vocabulary, snapshot: Snapshot, *, is_still: bool = False) -> None:
        self._vocabulary = vocabulary
        self._live = LiveSnapshot(snapshot, is_still=is_still)

    @property
    def _snapshot(self) -> Snapshot:
        return self._live.current

    @property
    def _now(self) -> tuple[Vocabulary, Snapshot]:
        return self._vocabulary, self._live.current

    @property
    def facts(self) -> RowFacts:
        """What the current version knows of its rows."""
        return RowFacts(*self._now)

    @classmethod
    def from_columns(
        cls,
        point_ids: Column,
        offers: Column,
        lat: Column,
        lng: Column,
        areas: Column | None = None,
        hours: Column | None = None,
        timezone: str | Column | None = None,
        country: str | Column | None = None,
        capacity: Column | None = None,
        lead_s: Column | None = None,
        features: Column | None = None,
        paused: Column | None = None,
        suspended: Column | None = None,
        visibility: Column | None = None,
        stock: Column | StockEntries | Mapping[str, Column] | None = None,
        *,
        extra_days: HolidayFile | None = None,
        kept_days: KeptDays | None = None,
    ) -> Self:
        """
        Build the index from columns, one row for every offer of every point, numbered as they come.

        Columns are lists, NumPy or Arrow; a missing value is None or an Arrow null (NaN raises).

        Parameters
        ----------
        point_ids, offers
            n strings, repeated where a point has several offers; n of ``sector/mode`` in ``[a-z0-9_]``; norms are not asked.
        lat, lng
            n degrees, WGS 84; one place for all rows of a point.
        areas
            n of: shapely polygon or multipolygon in lng/lat, radius in metres, or None for everywhere.
        hours
            n OSM opening_hours expressions, or None where they are unknown; always open is ``24/7``.
        timezone, country
            One IANA name, or n, required where hours are given; one ISO 3166 code, or n, where they name public holidays.
        capacity, lead_s
            n of units left, or None for no limit; n of seconds between asking and the earliest time served.
        features, paused, suspended, visibility
            n sets of strings, or None; n booleans; n of ``public``, ``unlisted`` or ``internal``; only public ones are ever matched.
        stock
            n mappings from SKU to units left or (units, good_until), or a point's and SKU's each, `StockEntries`. Units
            None are no limit; from good_until on a count is not trusted, and counts as none. A point without stock has
            no SKU. It is the point's: its rows agree, or one of them has it.
        extra_days, kept_days
            Holidays that an operator adds before the packages know them; where the hours of days are kept, if it is shared.

        Raises
        ------
        ValueError
            A subclass that names the argument and the position of the first bad element.

        Examples
        --------
        >>> engine = Engine.from_columns(["a", "b"], ["retail/pickup"] * 2, [31.2, 31.3], [121.5, 121.5])
        >>> engine.nearest(31.21, 121.5, "retail/pickup").matches[0].point_id
        'a'
        """
        given = {name: value for name, value in locals().items() if name not in {"cls", "extra_days", "kept_days"}}
        vocabulary = Vocabulary(ScheduleBook(extra_days=extra_days), kept_days)
        return cls(vocabulary, first_version(vocabulary, given))

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Return the engine that `to_arrays` wrote."""
        return cls(*from_arrays(arrays))

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return this version as named arrays; rows are numbered anew where some were removed."""
        return to_arrays(self._vocabulary, self._snapshot)

    @property
    def version(self) -> int:
        """The number of the current version: 1, and one more with every `apply`."""
        return self._snapshot.number

    def still(self) -> Self:
        """Return an engine that stays at the current version, for several questions about the same facts; it takes no changes."""
        return type(self)(self._vocabulary, self._snapshot, is_still=True)

    @property
    def n_rows(self) -> int:
        """How many rows the current version numbers, removed ones too."""
        return self._snapshot.n_rows

    @property
    def offers(self) -> list[str]:
        """The offers that points have had, as `row_offers` numbers them."""
        return self._vocabulary.offers()

    def nearest(self, lat: float, lng: float, offer: str, k: int = 1, **ask: Any) -> Answer:
        """Return the k nearest points that can serve one place; ``ask`` as of `nearest_many`."""
        self._live.count_queries(1)
        return single.nearest(self._vocabulary, self._snapshot, lat, lng, offer, k, ask)

    def found(self, lat: float, lng: float, offer: str, k: int = 1, **ask: Any) -> Found:
        """Return what `nearest` does, as rows with the facts of their version."""
        self._live.count_queries(1)
        facts = self.facts
        return Found(*single.find(self._vocabulary, facts.snapshot, lat, lng, offer, k, ask), facts)

    def refused(
        self, lat: float, lng: float, offer: str, k: int = 5, *, facts: RowFacts | None = None, **ask: Any
    ) -> tuple[list[Refused], RowFacts]:
        """
        Return the k nearest public rows that have the offer, nearest first, why each cannot serve, and their facts.

        ``facts`` names the version to ask: that of `found`, whose answer this explains; None for the current one.
        """
        facts = facts or self.facts
        return refused(self._vocabulary, facts.snapshot, lat, lng, offer, k, ask), facts

    def nearest_many(
        self, lat: ArrayLike, lng: ArrayLike, offer: str | Column, k: int = 1, threads: int | None = None, **ask: Any
    ) -> Matches:
        """
        Return the k nearest rows that can serve each of q places, by distance, then point id.

        Parameters
        ----------
        lat, lng, offer
            q degrees, WGS 84; one ``sector/mode``, or q; one that nobody has matches nothing.
        k, threads
            At least 1; how many threads share the queries, None for one a processor.
        **ask
            ``at``, ``asked_at``, ``trusted_at``, ``quantity``, ``items`` (one or q of each), ``max_distance_m``,
            ``unknown_hours``, ``features`` and ``require``, as `engine.asks.Question` says.

        Raises
        ------
        ValueError
            A subclass that names the argument and the position of the first bad element.
        """
        question = question_of(ask)
        found = queries.nearest_many(*self._now, lat, lng, offer, k=k, threads=threads, question=question)
        self._live.count_queries(found.row.shape[0])
        return found

    def prepare(self, *, wait: bool = True) -> None:
        """
        List the rows near every cell, from which `nearest_many` answers several times as fast.

        About 2 to 8 µs and 55 to 170 bytes a row; done by itself, beside all else, once there was a query for every fourth row,
        and again when changes were merged and there were as many since. The version stays, and neither readers nor changes wait for it.
        Without ``wait`` another thread does it; where that fails, the logger ``engine.live`` says so.
        """
        (self._live.list_now if wait else self._live.list_beside)()

    def nearest_in_turn(
        self, lat: ArrayLike, lng: ArrayLike, offer: str | Column, *, units: NDArray[np.int64], **ask: Any
    ) -> Matches:
        """
        Serve q places in the order in which they come, the first come first; arguments as of `nearest_many`.

        Each match takes its quantity off ``units``, int64[n_rows] as `units` gives, in place, not off the index.
        The answer has ``code``: why nobody served a query, judged at its turn.
        """
        return queries.in_turn(*self._now, lat, lng, offer, units=units, question=question_of(ask))

    def refusals_many(
        self,
        lat: ArrayLike,
        lng: ArrayLike,
        offer: str | Column,
        *,
        units: NDArray[np.int64] | None = None,
        threads: int | None = None,
        **ask: Any,
    ) -> Refusals:
        """Return for each of q places the nearest row that has the offer, and why it cannot serve (or that it can)."""
        question = question_of(ask)
        return queries.refusals_many(*self._now, lat, lng, offer, units=units, threads=threads, question=question)

    def nearest_point_many(self, lat: ArrayLike, lng: ArrayLike, *, threads: int | None = None) -> Matches:
        """Return the nearest public row of any offer for each of q places; nothing else is asked."""
        return queries.nearest_of_any(*self._now, lat, lng, threads=threads)

    def serving_many(self, lat: ArrayLike, lng: ArrayLike, offer: str | Column) -> Pairs:
        """Return every pair of a place and a public row with the offer whose service area contains it, no more asked."""
        return queries.serving_many(*self._now, lat, lng, offer)

    def explain(self, lat: float, lng: float, offer: str, point: str | None = None, *, row: int | None = None, **ask: Any) -> Explanation:  # fmt: skip
        """
        Return the match of one place, and why the points nearer than it were passed over.

        Arguments as of `nearest`; ``point``, "why not me?", is an id, and raises `UnknownPointError` if there is none;
        ``row`` is told as the match, -1 for none, where those before it that can serve, ``matched``, have no room.
        """
        check_point(point)
        return explain(*self._now, lat, lng, offer, point=point, row=row, question=question_of(ask))

    def split(self, lat: float, lng: float, offer: str, items: Mapping[str, int], *, max_points: int = 3, without: Collection[str] = (), **ask: Any) -> Split:  # fmt: skip
        """
        Divide a basket that nobody has whole between the fewest points, then the nearest, as `engine.splits.split` says.

        Exact over all splits into up to ``max_points`` within ``max_distance_m``, ``without`` some; ``ask`` as of `nearest_many`.
        """
        self._live.count_queries(1)
        return split(*self._now, lat, lng, offer, items, max_points=max_points, without=without, ask=ask)

    def apply(self, changes: Mapping[str, Any]) -> int:
        """
        Change the index as one, all of it or, on an error, nothing; return the new version.

        Parameters
        ----------
        changes
            ``remove``: point ids; then ``upsert``: columns as of `from_columns`, which replace all offers
            of their points, and their stock: without ``stock`` none is kept; then ``capacity``: (point ids, offers, units
            left or None); then ``stock``: (point ids, SKUs, units, good_until) sets single entries, and units
            `NOT_KEPT` remove them; an SKU that is new to its point costs what an upsert of it does, others little.
        """
        return self._live.change(lambda before: apply_changes(self._vocabulary, before, dict(changes))).number

    def upsert(self, point: Mapping[str, Any]) -> int:
        """Enter one point, or replace all its offers: `from_columns`' names, ``offers`` a list, others one value or as many."""
        return self.apply({"upsert": columns_of_point(point)})

    def remove(self, point_id: str) -> int:
        """Remove one point with all its offers; return the new version."""
        return self.apply({"remove": [point_id]})

    def set_capacity(self, point_id: str, offer: str, units: int | None) -> int:
        """Set the units left of one offer (None: no limit); return the new version."""
        return self.apply({"capacity": ([point_id], [offer], [units])})

    def units(self) -> NDArray[np.int64]:
        """Return a copy of the units left by row, -1 where there is no limit."""
        return self._snapshot.flat_units()

    def point_ids(self, rows: NDArray[np.int64]) -> list[str | None]:
        """Return the point ids of rows of the current version, None where a row is negative."""
        return self._snapshot.point_ids(queries.row_numbers(rows)).to_pylist()

    def positions(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return (lat, lng) in degrees by row of the current version."""
        return self._snapshot.column("lat"), self._snapshot.column("lng")

    def row_offers(self) -> NDArray[np.int64]:
        """Return each row's offer of the current version, as its place in `offers`."""
        return self._snapshot.column("offer").astype(np.int64)

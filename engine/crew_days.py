"""Days of crews: where each starts, its stops in their order, where it ends, and between which instants."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.errors import InvalidColumnError, UnkeptDayError
from engine.kernels import days as kernels
from engine.kernels.days import NEVER_S, DayArrays
from engine.kernels.slots import write_starts
from engine.travel import travel_seconds

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

    from engine.travel import Travel

__all__ = ["CrewDay", "CrewDays", "Place", "Stop"]

Place = tuple[float, float]

_STOPS, _DAY = "stops", "day"
_LEGS = 32  # asked for at a time


class Stop(NamedTuple):
    """
    What a crew does between the two ends of its day.

    Attributes
    ----------
    stop_id
        Its name.
    place
        Lat and lng in degrees, WGS 84; None for a break, which is taken wherever the crew is.
    duration_s
        Seconds that it takes, the way to it not among them.
    earliest_s, latest_s
        Between which instants it starts, inclusive, in seconds since 1970: of a job the window that was promised, of
        a private engagement twice the same.
    is_set_out
        Whether its crew has set out to it, or begun it: nothing is inserted before it any more.
    has_begun
        Whether it began at its earliest instant: its crew was there by then, however far it is and whenever the day was to
        begin.
    """

    stop_id: str
    place: Place | None
    duration_s: int
    earliest_s: int
    latest_s: int
    is_set_out: bool = False
    has_begun: bool = False


class CrewDay(NamedTuple):
    """
    A day of a crew.

    Attributes
    ----------
    crew_id
        Whose.
    start, end
        Lat and lng of where it leaves from, and comes back to.
    starts_s, ends_s
        When it leaves at the earliest, and when it is back at the latest, in seconds since 1970.
    stops
        In their order.
    """

    crew_id: str
    start: Place
    end: Place
    starts_s: int
    ends_s: int
    stops: tuple[Stop, ...] = ()

    def with_stop(self, stop: Stop, after: int) -> CrewDay:
        """Return the day with one stop more, behind so many others."""
        return self._replace(stops=(*self.stops[:after], stop, *self.stops[after:]))

    def without_stop(self, stop_id: str) -> CrewDay:
        """Return the day without a stop."""
        return self._replace(stops=tuple(stop for stop in self.stops if stop.stop_id != stop_id))


class CrewDays:
    """
    Days as arrays, each kept whole: no stop of it is late.

    Parameters
    ----------
    days
        Which; their places in this sequence are their numbers.
    travel
        How long the ways take.
    at
        When one sets out, for a travel that knows of times.
    first_number
        What errors call the first day.

    Raises
    ------
    UnkeptDayError
        For a day whose stops cannot be kept.
    InvalidColumnError
        For a duration or a window that is none, or two stops of one name.

    Attributes
    ----------
    days
        As they are now.
    places
        float64[D, M, 2], lat and lng of each node; of a break, of the stop before it.
    arrays
        What kernels read.
    """

    def __init__(
        self, days: Sequence[CrewDay], travel: Travel, *, at: dt.datetime | None = None, first_number: int = 0
    ) -> None:
        self.days = list(days)
        self._first = first_number
        self.travel, self._at = travel, at
        n, most = len(self.days), max((len(day.stops) for day in self.days), default=0) + 2
        wide = (n, most)
        self.places = np.zeros((*wide, 2))
        numbers = [np.zeros(wide, np.int64) for _ in range(6)]
        placed, is_set_out = np.zeros(wide, np.bool_), np.zeros(wide, np.bool_)
        self.arrays = DayArrays(np.full(n, 2, np.int64), placed, is_set_out, *numbers)
        for number, day in enumerate(self.days):
            self._write(number, day)
        self._bound()

    def replace(self, number: int, day: CrewDay) -> None:
        """Put another day in the place of one; raises as the class does, and leaves all as it was then."""
        self.put(number, self.alone(day, number))

    def put(self, number: int, alone: CrewDays) -> None:
        """Put the day that `alone` returned, of a table with the same travel, in the place of one."""
        (day,) = alone.days
        n = len(day.stops) + 2
        if n > self.places.shape[1]:
            self._widen(2 * n)
        self.days[number] = day
        self.places[number, :n] = alone.places[0]
        self.arrays.n_nodes[number] = n
        for mine, its in zip(self.arrays[1:], alone.arrays[1:], strict=True):
            mine[number, :n] = its[0]

    def alone(self, day: CrewDay, number: int = 0) -> CrewDays:
        """Return a table of one day; raises as the class does, of the day of a number."""
        return CrewDays([day], self.travel, at=self._at, first_number=number)

    def only(self, number: int) -> CrewDays:
        """Return a table of one of the days, as it is now: what `alone` makes of it, without its ways told anew."""
        n = int(self.arrays.n_nodes[number])
        table = copy.copy(self)
        parts: Any = (array[number : number + 1, :n].copy() for array in self.arrays[1:])
        table.days, table.places = [self.days[number]], self.places[number : number + 1, :n].copy()
        table.arrays = DayArrays(self.arrays.n_nodes[number : number + 1].copy(), *parts)
        return table

    def copy(self) -> CrewDays:
        """Return a table that can be changed apart from this one."""
        table = copy.copy(self)
        copies: Any = (array.copy() for array in self.arrays)
        table.days, table.places, table.arrays = list(self.days), self.places.copy(), DayArrays(*copies)
        return table

    def starts_s(self, number: int) -> list[int]:
        """Return when each stop of a day starts if none starts later than it must, in seconds since 1970."""
        n = int(self.arrays.n_nodes[number])
        return [int(start) for start in self.arrays.first[number, 1 : n - 1]]

    def starts_by_s(self, numbers: NDArray[np.int64], now_s: int) -> NDArray[np.int64]:
        """
        Return when each node of some days starts by what `find_slots` says of now: int64[n, M], in seconds since 1970.

        What has no place is as it was planned, and the crew goes home as soon as it can.
        """
        starts_s = self.arrays.first[numbers].copy()
        write_starts(self.arrays, numbers, now_s, starts_s)
        return starts_s

    def ways_s(self, place: Place, of: NDArray[np.bool_] | None = None) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """
        Return int64[D, M] seconds from each node to a place, and back; `NEVER_S` where there is no way.

        ``of`` says of which days they are wanted: those of others are `NEVER_S`.
        """
        there, shape = np.array([place]), self.places.shape[:2]
        which = slice(None) if of is None else np.flatnonzero(of)
        places = self.places[which]
        nodes = places.reshape(-1, 2)
        to, back = np.full(shape, NEVER_S), np.full(shape, NEVER_S)
        to[which] = travel_seconds(self.travel, nodes, there, self._at).reshape(places.shape[:2])
        back[which] = travel_seconds(self.travel, there, nodes, self._at).reshape(places.shape[:2])
        return to, back

    def _write(self, number: int, day: CrewDay) -> None:
        arrays, n = self.arrays, len(day.stops) + 2
        arrays.n_nodes[number] = n
        begun_s = min((stop.earliest_s for stop in day.stops if stop.has_begun), default=day.starts_s)
        nodes = [
            Stop("start", day.start, 0, min(day.starts_s, begun_s), day.ends_s),
            *day.stops,
            Stop("end", day.end, 0, day.starts_s, day.ends_s),
        ]
        names = {stop.stop_id for stop in day.stops}
        if len(names) < len(day.stops):
            raise InvalidColumnError(_STOPS, "must have a name each", position=self._first + number)
        spots: list[Place] = []
        for stop in nodes:
            _check(self._first + number, stop)
            spots.append(stop.place or spots[-1])
        self.places[number, :n] = spots
        arrays.placed[number, :n] = [stop.place is not None for stop in nodes]
        arrays.is_set_out[number, :n] = [stop.is_set_out for stop in nodes]
        arrays.duration[number, :n] = [stop.duration_s for stop in nodes]
        begun = max((node for node, stop in enumerate(nodes) if stop.has_begun), default=0)
        if begun:  # behind it nothing is done before the day begins
            arrays.duration[number, begun] = max(nodes[begun].duration_s, day.starts_s - nodes[begun].earliest_s)
        arrays.earliest[number, :n] = [stop.earliest_s for stop in nodes]
        arrays.latest[number, :n] = [stop.latest_s for stop in nodes]
        placed = np.flatnonzero(arrays.placed[number, :n])
        places = self.places[number, placed]
        ways = self._legs_s(places[:-1], places[1:])
        is_there = [nodes[node].has_begun for node in placed[1:]]
        arrays.way[number, placed[:-1]] = np.where(is_there, 0, ways)

    def _legs_s(self, origins: NDArray[np.float64], destinations: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return int64[n] seconds from each origin to its destination: few at a time, since all pairs are told of what is asked."""
        pieces = (slice(first, first + _LEGS) for first in range(0, len(origins), _LEGS))
        told = [travel_seconds(self.travel, origins[piece], destinations[piece], self._at) for piece in pieces]
        return np.concatenate([np.diagonal(pairs) for pairs in told])

    def _bound(self) -> None:
        unkept = np.empty(len(self.days), np.int64)
        kernels.bound_days(self.arrays, unkept)
        late = np.flatnonzero(unkept >= 0)
        for number in late[:1]:
            day, node = self.days[number], int(unkept[number])
            name = (["start"] + [stop.stop_id for stop in day.stops] + ["end"])[node]
            late_s = int(self.arrays.first[number, node] - self.arrays.latest[number, node])
            message = f"of crew {day.crew_id!r} cannot be kept: {name!r} would start {late_s} s late"
            error = UnkeptDayError(_DAY, message, position=self._first + int(number), value=name)
            error.late_s, error.node = late_s, node
            error.positions = tuple((self._first + late).tolist())
            raise error

    def _widen(self, n_nodes: int) -> None:
        more = n_nodes - self.places.shape[1]
        self.places = np.pad(self.places, ((0, 0), (0, more), (0, 0)))
        widened: Any = (np.pad(array, ((0, 0), (0, more))) for array in self.arrays[1:])
        self.arrays = DayArrays(self.arrays.n_nodes, *widened)


def _check(number: int, stop: Stop) -> None:
    if not 0 <= stop.duration_s < NEVER_S or stop.earliest_s > stop.latest_s:
        told = f"{stop.stop_id!r:.60}, {stop.duration_s} s, {stop.earliest_s} to {stop.latest_s}"
        message = f"must take at least 0 s and start in a window that does not end before it begins, got {told}"
        raise InvalidColumnError(_STOPS, message, position=number)

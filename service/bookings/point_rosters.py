"""The roster of a point in memory: its crews and their days, and where a visit would stand among them."""

from __future__ import annotations

import datetime as dt
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from service.bookings.days import n_visits
from service.bookings.late_crews import late_crews, late_days

if TYPE_CHECKING:
    from engine.crew_days import CrewDay, CrewDays
    from engine.rosters import Roster, VisitAsk
    from engine.slots import Slot
    from service.crews.facts import CrewFacts

__all__ = ["Candidate", "KeptCrew", "Nobody", "PointRoster", "Spot"]

_SECOND_US = 1_000_000


class KeptCrew(NamedTuple):
    """A crew, with the revision of which it is known."""

    facts: CrewFacts
    revision: int


class Nobody(NamedTuple):
    """Nobody can come: not what memory says, but what was read in the store when a visit was asked for."""


class Spot(NamedTuple):
    """
    Where a visit would stand, as memory has it: to be checked on what the store says.

    Attributes
    ----------
    slot
        In a table of that day alone.
    table
        The day without it, and how long its ways take.
    revision
        Of the shift, 0 where nothing was planned in it.
    crew_revision, point_revision
        Of what else the day follows from.
    visit
        What was asked: for another one another crew may be needed.
    """

    slot: Slot
    table: CrewDays
    revision: int
    crew_revision: int
    point_revision: int
    visit: VisitAsk

    @property
    def day(self) -> CrewDay:
        """The day without it."""
        return self.table.days[0]


Candidate: TypeAlias = Spot | Nobody
"""What is known of a visit before the transaction that makes it."""


@dataclass
class PointRoster:
    """
    The crews of a point and their days; whoever asks it holds its lock.

    Attributes
    ----------
    point
        The row of the point, as `service.orders.store.find_facts` returns it.
    first_day, n_days
        Which local days can be asked for; shifts that begin on the day before, or on the day
        behind, are among its days, too: a window may reach over midnight.
    revisions
        Of the shifts in which something was planned, by the number of their day.
    asked
        What was asked last of each service, and how many seconds wide its windows were, by its id.
    """

    point: Any
    first_day: dt.date
    n_days: int
    crews: dict[str, KeptCrew]
    roster: Roster
    revisions: dict[int, int]
    asked: dict[str, tuple[VisitAsk, int]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        days = self.roster.table.days
        self._numbers = {(day.crew_id, day.starts_s): number for number, day in enumerate(days)}
        self._left_out = {(day.crew_id, day.starts_s) for day in self.roster.left_out}

    @property
    def n_crew_days(self) -> int:
        """How many days of crews it counts for: a crew counts for one at least, and so does a roster without any."""
        return max(len(self.roster.table.days), len(self.crews), 1)

    def covers(self, day: dt.date) -> bool:
        """Tell whether a local day can be asked for."""
        return 0 <= (day - self.first_day).days < self.n_days

    def as_of(self, now_s: int) -> Roster:
        """
        Return the roster as it can still be kept: who cannot be back from a shift by the next one begins that later.

        Its days have the numbers and the stops of those that are planned; whoever asks it holds the lock.
        """
        late = late_days(self.roster.table, now_s)
        return self.roster.with_days(late) if late else self.roster

    def candidate(self, visit: VisitAsk, starts_s: int, width_s: int, now_s: int, *, waits: bool = True) -> Spot | None:
        """
        Return where a visit would cost least in a window.

        None, too, where others ask, or crews are late and have to be told anew, and the caller does not wait for that.
        """
        if not self.lock.acquire(blocking=waits):
            return None
        try:
            slot = self.roster.slot(visit, starts_s, width_s, now_s)  # none better where a crew is late
            if slot is not None and self.roster.table.days[slot.day].crew_id in late_crews(self.roster.table, now_s):
                slot = self.as_of(now_s).slot(visit, starts_s, width_s, now_s) if waits else None
            if slot is None:
                return None
            table, revision = self.roster.table.only(slot.day), self.revisions.get(slot.day, 0)
        finally:
            self.lock.release()
        crew_revision = self.crews[table.days[0].crew_id].revision
        return Spot(slot._replace(day=0), table, revision, crew_revision, self.point.point_revision, visit)

    def concerns(self, crew_id: str, starts_s: int) -> bool:
        """Tell whether a shift is among the days, or was left out because it could not be kept."""
        name = (crew_id, starts_s)
        return name in self._numbers or name in self._left_out

    def take(self, alone: CrewDays, revision: int) -> bool:
        """Take a shift anew, as it is at a revision and alone in a table; tell whether that could be done."""
        (day,), table = alone.days, self.roster.table
        number = self._numbers.get((day.crew_id, day.starts_s))
        if number is None or alone.travel != table.travel:
            return False
        with self.lock:
            self.roster.put(number, alone, n_visits(day))
            self.revisions[number] = revision
        return True

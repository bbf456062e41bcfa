"""Customers who are forgotten: whose visits that are over were, and where, in the bookings and in the days of crews."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.crew_days import CrewDays
from engine.errors import EngineError
from service.bookings.days import day_of, find_shift, write_shift
from service.bookings.store import bookings_of_buyer, bookings_of_ids, forget_bookings_of
from service.crews.store import lock_roster
from service.places import centre_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from engine.crew_days import CrewDay, Place
    from service.bookings.rosters import Rosters
    from service.store.connections import AnyRow, WriteConnection

__all__ = ["forget_visits"]

_SECOND_US = 1_000_000


def forget_visits(connection: WriteConnection, rosters: Rosters, owner: str, buyer: str) -> tuple[int, int]:
    """Forget whose an app's visits were that are over, and where; return how many, and how many are still open."""
    for point_id in sorted({row.point_id for row in bookings_of_buyer(connection, owner, buyer)}):
        lock_roster(connection, point_id)  # else a complaint would copy what goes
    rows = bookings_of_buyer(connection, owner, buyer)
    gone = [row for row in rows if row.ended_at is not None]
    shifts: dict[tuple[str, str, int], list[AnyRow]] = {}
    for row in gone:
        if row.crew_id is not None:
            shifts.setdefault((row.point_id, row.crew_id, row.shift_at), []).append(row)
    for its in sorted(shifts):
        _forget_places(connection, rosters, shifts[its])
    forget_bookings_of(connection, [row.booking_id for row in gone])
    return len(gone), len(rows) - len(gone)


def _forget_places(connection: WriteConnection, rosters: Rosters, rows: Sequence[AnyRow]) -> None:
    """
    Let a crew's day tell the cells of visits that are over, no more their places.

    Where the day could not be kept then, they have no place at all, which makes the way to the next stop that of the one
    before. Where it could not be kept either, as behind a visit that began sooner than its crew could come, they are where
    the crew goes next.
    """
    first = rows[0]
    found = find_shift(connection, first.point_id, first.crew_id, first.shift_at // _SECOND_US)
    if found is None:
        return
    old = day_of(found)
    centres = {row.booking_id: None if row.cell is None else centre_of(row.cell) for row in rows}
    centres |= _moved_there(connection, old, centres)
    nowhere = _with_places(old, dict.fromkeys(centres))
    days = (_with_places(old, centres), nowhere, _with_places(old, _next_places(old, centres)))
    table = CrewDays([], rosters.travel(connection, first.point_id))
    write_shift(connection, first, next((day for day in days if _is_kept(table, day)), nowhere), found.revision)


def _moved_there(
    connection: WriteConnection, day: CrewDay, centres: Mapping[str, Place | None]
) -> dict[str, Place | None]:
    """Return which visits that were forgotten before are told to have been where those are that are forgotten now."""
    whose = {stop.place: centres[stop.stop_id] for stop in day.stops if stop.stop_id in centres and stop.place}
    there = {stop.stop_id: stop.place for stop in day.stops if stop.stop_id not in centres and stop.place in whose}
    forgotten = (row.booking_id for row in bookings_of_ids(connection, list(there)).values() if row.lat is None)
    return {name: whose[there[name]] for name in forgotten}


def _next_places(day: CrewDay, names: Collection[str]) -> dict[str, Place | None]:
    """Return for some stops of a day where the next one of the others is, or where the day ends."""
    places: dict[str, Place | None] = {}
    ahead = day.end
    for stop in reversed(day.stops):
        if stop.stop_id in names:
            places[stop.stop_id] = ahead
        else:
            ahead = stop.place or ahead
    return places


def _is_kept(table: CrewDays, day: CrewDay) -> bool:
    try:
        table.alone(day)
    except EngineError:
        return False
    return True


def _with_places(day: CrewDay, places: Mapping[str, Place | None]) -> CrewDay:
    stops = (stop._replace(place=places.get(stop.stop_id, stop.place)) for stop in day.stops)
    return day._replace(stops=tuple(stops))

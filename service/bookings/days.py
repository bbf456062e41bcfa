"""Days of crews as the store keeps them, what engages crews in them, and how those of one crew go together."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from sqlalchemy import bindparam, delete, select, text, update

from engine.crew_days import CrewDay, Stop
from engine.crews import BREAK
from service.clock import from_us
from service.errors import StateConflictError
from service.store.plain import Plain
from service.store.visit_tables import shifts

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Collection, Iterable, Sequence

    from service.store.connections import AnyRow, ReadConnection, WriteConnection

__all__ = [
    "BUSY",
    "NOT_BACK",
    "VISIT",
    "begins_by",
    "behind",
    "day_of",
    "days_before",
    "days_beside",
    "drop_shift",
    "engagements_in",
    "find_shift",
    "free_s",
    "is_visit",
    "joined_days",
    "list_shifts",
    "local_day",
    "n_visits",
    "overlaps",
    "shift_name",
    "waiting",
    "with_engagements",
    "write_shift",
]

VISIT = "vis_"
"""How the ids of bookings, and with them the names of visits in a day, begin."""
BUSY = "busy "
"""How the names of engagements in a day begin."""
NOT_BACK = "busy shift before"
"""What keeps a crew from a shift until it is back from the one before; no engagement has this name."""
_SECOND_US = 1_000_000
_t = shifts.c
_ITS = (_t.point_id == bindparam("of_point"), _t.crew_id == bindparam("of_crew"), _t.starts_at == bindparam("begun_at"))
_SHIFT = Plain(select(shifts).where(*_ITS))
_BEFORE = Plain(
    select(shifts)
    .where(
        _t.point_id == bindparam("of_point"),
        _t.crew_id == bindparam("of_crew"),
        _t.starts_at < bindparam("begun_at"),
        _t.ends_at > bindparam("since"),
    )
    .order_by(_t.starts_at)
)
_ADD = Plain(
    text(
        "INSERT INTO shifts (point_id, crew_id, starts_at, ends_at, day, revision)"
        " VALUES (:of_point, :of_crew, :begun_at, :ends, :told, 1) ON CONFLICT DO NOTHING"
    )
)
_DROP = Plain(delete(shifts).where(*_ITS))
_WRITE = Plain(
    update(shifts)
    .where(*_ITS, _t.revision == bindparam("read"))
    .values(ends_at=bindparam("ends"), day=bindparam("told"), revision=_t.revision + 1)
)


def is_visit(stop: Stop) -> bool:
    """Tell whether a stop is a visit that was booked."""
    return stop.stop_id.startswith(VISIT)


def engagements_in(day: CrewDay) -> set[str]:
    """Return the names of a day's engagements: they end when they end, however late their crew is."""
    return {stop.stop_id for stop in day.stops if stop.stop_id.startswith(BUSY)}


def n_visits(day: CrewDay) -> int:
    """Return how many visits a day holds."""
    return sum(map(is_visit, day.stops))


def with_engagements(day: CrewDay, engagements: Sequence[AnyRow]) -> CrewDay:
    """
    Return a day with the engagements that fall into it, in order of their starts, each in its place by time.

    They are cut to the day, and where two overlap the later one begins behind the other. In one that is on already the
    crew is, and where one goes on it stays: there is no way to its place then, or home. A break for which they leave no
    time is left out.
    """
    taken_s = day.starts_s
    spans: list[tuple[int, int]] = []
    for row in engagements:
        start_s = max(taken_s, row.starts_at // _SECOND_US)
        end_s = min(day.ends_s, -(-row.ends_at // _SECOND_US))
        if start_s < end_s:
            place = None if row.lat is None else (row.lat, row.lng)
            is_there = place is not None and start_s == day.starts_s
            stop = Stop(f"{BUSY}{row.engagement_id}", place, end_s - start_s, start_s, start_s, has_begun=is_there)
            spans.append((start_s, end_s))
            stops = [other for other in day.stops if _has_time(other, spans)]
            after = sum(begins_by(other, start_s, taken_s) for other in stops)
            end = place if place and end_s == day.ends_s else day.end
            day = day._replace(end=end, stops=(*stops[:after], stop, *stops[after:]))
            taken_s = end_s
    return day


def begins_by(stop: Stop, at_s: int, free_s: int = 0) -> bool:
    """Tell whether a stop comes before an engagement that begins then: a break only if its crew, once free, can be done."""
    return max(stop.earliest_s, free_s) + stop.duration_s <= at_s if _is_break(stop) else stop.earliest_s <= at_s


def _has_time(stop: Stop, spans: Sequence[tuple[int, int]]) -> bool:
    """Tell whether spans of time, in order, leave enough for a stop, if it is a break."""
    at_s = stop.earliest_s
    for start_s, end_s in spans:
        if at_s + stop.duration_s <= start_s:
            return True
        at_s = max(at_s, end_s)
    return at_s <= stop.latest_s or not _is_break(stop)


def behind(day: CrewDay, others: Iterable[CrewDay]) -> CrewDay:
    """Return a shift in which nothing can be done before its crew is back from others, of which some began before it."""
    before = (other for other in others if other.starts_s < day.starts_s and n_visits(other))
    return waiting(day, max((other.ends_s for other in before), default=day.starts_s))


def waiting(day: CrewDay, back_s: int) -> CrewDay:
    """Return a shift in which nothing can be done before an instant; what engages its crew then does so behind it."""
    back_s = min(back_s, day.ends_s)
    if back_s <= day.starts_s:
        return day
    left = [_behind(stop, back_s) for stop in day.stops if _has_time(stop, [(day.starts_s, back_s)])]
    stops = [stop for stop in left if stop.duration_s > 0 or not stop.stop_id.startswith(BUSY)]
    return day._replace(stops=(Stop(NOT_BACK, None, back_s - day.starts_s, day.starts_s, day.starts_s), *stops))


def _behind(stop: Stop, back_s: int) -> Stop:
    if stop.earliest_s >= back_s or not stop.stop_id.startswith(BUSY):
        return stop
    left_s = max(0, stop.latest_s + stop.duration_s - back_s)  # it ends when it ends, however late it was to begin
    return stop._replace(duration_s=left_s, earliest_s=back_s, latest_s=back_s, has_begun=False)


def joined_days(bases: Sequence[CrewDay], stored: Collection[CrewDay]) -> list[CrewDay]:
    """
    Return the days of a crew, of which no two overlap: as they are stored, and as its hours have it for the rest.

    A shift that lasts into the next one, because a visit ran over, keeps the crew from that until it is back.

    Hours are read anew where the clock, the country or the holidays of a point become others. A stored day with visits
    stands in the place of all that overlap it; where its crew does not work any more, nothing else is asked of it. Where
    all of its visits have begun it stands in the place of none that begins behind it: that waits for it. One without
    visits stands only where hours still have it.
    """
    by_hours = {day.starts_s: day for day in bases}
    asked = [day for day in stored if day.starts_s in by_hours or (n_visits(day) and overlaps(day, bases))]
    asked.sort(key=lambda day: (not n_visits(day), day.starts_s not in by_hours, day.starts_s))
    spans: list[CrewDay] = []  # as hours have them, however long they last
    found: list[CrewDay] = []
    told = {day.starts_s for day in stored if n_visits(day)}  # nothing stands in for them
    for day in (*asked, *(behind(day, asked) for day in bases if day.starts_s not in told)):
        span = by_hours.get(day.starts_s) or (day._replace(ends_s=day.starts_s) if _is_begun(day) else day)
        if not overlaps(span, spans) and not overlaps(day, found):
            spans.append(span)
            found.append(day)
    return sorted(found, key=lambda day: day.starts_s)


def _is_begun(day: CrewDay) -> bool:
    return all(stop.has_begun for stop in day.stops if is_visit(stop))


def overlaps(day: CrewDay, others: Iterable[CrewDay]) -> bool:
    """Tell whether a day overlaps any of others, or begins when one does; not where the later one waits for the other."""
    return any(_overlap(*sorted((day, other), key=lambda one: one.starts_s)) for other in others)


def _overlap(first: CrewDay, second: CrewDay) -> bool:
    return first.starts_s == second.starts_s or free_s(second) < min(first.ends_s, second.ends_s)


def free_s(day: CrewDay) -> int:
    """Return when a crew that is not back from the shift before can do something in a day, in seconds since 1970."""
    return day.starts_s + sum(stop.duration_s for stop in day.stops if stop.stop_id == NOT_BACK)


def _is_break(stop: Stop) -> bool:
    return stop.stop_id.startswith(BREAK)


def local_day(timezone: str, at_s: int) -> dt.date:
    """Return the day of an instant by a clock on the wall."""
    return from_us(at_s * _SECOND_US).astimezone(ZoneInfo(timezone)).date()


def day_of(row: AnyRow) -> CrewDay:
    """Return the day of a row of ``shifts``."""
    told = json.loads(row.day)
    stops = tuple(
        Stop(name, place and (place[0], place[1]), *its)  # of an older row without what came last
        for name, place, *its in told["stops"]
    )
    start, end = (tuple(told[name]) for name in ("start", "end"))
    return CrewDay(row.crew_id, start, end, row.starts_at // _SECOND_US, row.ends_at // _SECOND_US, stops)


def find_shift(connection: ReadConnection, point_id: str, crew_id: str, starts_s: int) -> AnyRow | None:
    """Return a shift in which something was planned, or is no more."""
    return connection.row(_SHIFT, _its(point_id, crew_id, starts_s))


def list_shifts(
    connection: ReadConnection, point_id: str, from_us: int, to_us: int, crew_id: str | None = None
) -> Sequence[AnyRow]:
    """Return the shifts of a point's crews, or of one, that overlap a span of time."""
    query = select(shifts).where(_t.point_id == point_id, _t.ends_at > from_us, _t.starts_at < to_us)
    query = query if crew_id is None else query.where(_t.crew_id == crew_id)
    return connection.rows(query.order_by(_t.crew_id, _t.starts_at))


def days_beside(connection: ReadConnection, point_id: str, day: CrewDay) -> list[CrewDay]:
    """Return the other shifts of the day's crew that lie in it, too, as they were or have become, and hold a visit."""
    span = (day.starts_s * _SECOND_US, day.ends_s * _SECOND_US)
    rows = list_shifts(connection, point_id, *span, day.crew_id)
    others = [day_of(row) for row in rows if row.starts_at != span[0]]
    return [other for other in others if n_visits(other)]


def days_before(connection: ReadConnection, point_id: str, day: CrewDay, since_s: int) -> list[CrewDay]:
    """Return the shifts of the day's crew that began before it, in order, and ended after an instant."""
    its = _its(point_id, day.crew_id, day.starts_s)
    return [day_of(row) for row in connection.rows(_BEFORE, its | {"since": since_s * _SECOND_US})]


def shift_name(point_id: str, crew_id: str, starts_s: int) -> str:
    """Return what the feed calls a shift."""
    return f"{point_id} {crew_id} {starts_s}"


def write_shift(connection: WriteConnection, of: AnyRow, day: CrewDay, read_revision: int) -> None:
    """
    Write a day, which must still be of the revision that was read, 0 for one that is not there.

    This write is what makes two bookings of one minute of a crew impossible: each demands the day that it has judged.

    Parameters
    ----------
    of
        The row of the day's point, or of a booking there: whose it is.

    Raises
    ------
    StateConflictError
        If it is of another revision by now.
    """
    point_id = of.point_id
    values = _its(point_id, day.crew_id, day.starts_s) | {"ends": day.ends_s * _SECOND_US, "told": _text(day)}
    if read_revision:
        n_written = connection.run(_WRITE, values | {"read": read_revision})
    else:
        n_written = connection.run(_ADD, values)
    if n_written != 1:
        raise StateConflictError("the crew's day was changed at the same time: ask again")
    name = shift_name(point_id, day.crew_id, day.starts_s)
    connection.record_change("shift", name, read_revision + 1, of.merchant_id)


def drop_shift(connection: WriteConnection, row: AnyRow) -> None:
    """Delete a shift in which nothing is planned any more: it follows from its crew's hours again."""
    connection.run(_DROP, _its(row.point_id, row.crew_id, row.starts_at // _SECOND_US))


def _its(point_id: str, crew_id: str, starts_s: int) -> dict[str, Any]:
    return {"of_point": point_id, "of_crew": crew_id, "begun_at": starts_s * _SECOND_US}


def _text(day: CrewDay) -> str:
    return json.dumps({"start": day.start, "end": day.end, "stops": day.stops})

"""The days of a crew as iCalendar (RFC 5545), for the calendar of a phone."""

from __future__ import annotations

import datetime as dt
import functools
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple
from zoneinfo import ZoneInfo

from icalendar import Calendar, Event, Timezone, vText

from service.bookings.rules import State

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from service.bookings.schemas import ShiftAnswer, StopAnswer

__all__ = ["CrewCalendar", "calendar_text"]

_PRODUCT = "-//linli//days of a crew//EN"
_AGAIN = dt.timedelta(minutes=15)  # when it should be read once more
_WORDS = {"break": "Break", "busy": "Busy"}
_STATUS: dict[str, str] = {State.HELD: "TENTATIVE", State.CUSTOMER_ABSENT: "CANCELLED"}


class CrewCalendar(NamedTuple):
    """
    What is told of a crew.

    Attributes
    ----------
    name
        The crew's.
    stamp
        When it is told: what a reader has kept of an event with an older stamp has been replaced.
    """

    point_id: str
    crew_id: str
    name: str
    timezone: str
    stamp: dt.datetime
    shifts: Sequence[ShiftAnswer]


def calendar_text(told: CrewCalendar) -> bytes:
    """
    Return a calendar with an event for each shift, which blocks no time, and for each stop in it.

    Times are in UTC, so that no reader needs the rules of a time zone; windows stand in words by the point's clock. Its zone
    is told all the same: a calendar needs a component (RFC 5545, 3.6), and a crew may have no shift.
    """
    calendar = Calendar()
    calendar.add("prodid", _PRODUCT)
    calendar.add("version", "2.0")
    calendar.add("method", "PUBLISH")
    calendar.add("name", vText(told.name))
    calendar.add("x-wr-calname", vText(told.name))
    calendar.add("x-wr-timezone", vText(told.timezone))
    calendar.add("refresh-interval", _AGAIN, parameters={"VALUE": "DURATION"})
    calendar.add_component(_zone(told.timezone))
    for shift in told.shifts:
        for event in _events(told, shift):
            calendar.add_component(event)
    return calendar.to_ical()


@functools.cache
def _zone(timezone: str) -> Timezone:
    return Timezone.from_tzid(timezone)


def _events(told: CrewCalendar, shift: ShiftAnswer) -> Iterator[Event]:
    own = f"{int(shift.starts_at.timestamp())}-{told.crew_id}-{told.point_id}@linli"
    whole = _event(f"shift-{own}", told.stamp, shift.starts_at, shift.ends_at, f"{told.name}: shift")
    whole.add("transp", "TRANSPARENT")
    yield whole
    seen: Counter[str] = Counter()
    for stop in shift.stops:
        if stop.booking_id is not None:
            yield _visit(told, stop, stop.booking_id)
            continue
        uid = f"{stop.kind}-{seen[stop.kind]}-{own}"
        seen[stop.kind] += 1
        yield _event(uid, told.stamp, stop.starts_at, stop.ends_at, _WORDS.get(stop.kind, "Visit"))


def _visit(told: CrewCalendar, stop: StopAnswer, booking_id: str) -> Event:
    event = _event(f"{booking_id}@linli", told.stamp, stop.starts_at, stop.ends_at, stop.service or "Visit")
    event.add("status", _STATUS.get(stop.state or "", "CONFIRMED"))
    event.add("description", vText("\n".join(_lines(told, stop))))
    if stop.address is not None:
        event.add("location", vText(stop.address))
        if stop.place is not None:
            event.add("geo", (stop.place["lat"], stop.place["lng"]))
    return event


def _lines(told: CrewCalendar, stop: StopAnswer) -> Iterator[str]:
    if stop.window_starts_at is not None and stop.window_ends_at is not None:
        zone = ZoneInfo(told.timezone)
        first, last = (at.astimezone(zone) for at in (stop.window_starts_at, stop.window_ends_at))
        yield f"Begins between {first:%H:%M} and {last:%H:%M}"
    yield f"State: {stop.state}"
    if stop.note:
        yield stop.note


def _event(uid: str, stamp: dt.datetime, starts_at: dt.datetime, ends_at: dt.datetime, summary: str) -> Event:
    event = Event()
    event.add("uid", vText(uid))
    event.add("dtstamp", stamp)
    event.add("dtstart", starts_at)
    if ends_at > starts_at:  # one that takes no time has no end
        event.add("dtend", ends_at)
    event.add("summary", vText(summary))
    return event

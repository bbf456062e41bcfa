"""Windows that can be booked, asked of a point's roster in memory."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, NamedTuple

from engine.rosters import SlotAnswer
from engine.slots import witness
from service.bookings.asking import asked_of, is_outside, is_too_far, judged_at
from service.bookings.days import local_day
from service.bookings.point_rosters import Nobody
from service.clock import from_us
from service.deadlines import Deadline

if TYPE_CHECKING:
    from engine.crew_days import CrewDay
    from engine.slots import Slot
    from service.bookings.asking import Asked
    from service.bookings.holding import BookingTerms
    from service.bookings.point_rosters import Candidate, PointRoster
    from service.store.connections import AnyRow, ReadConnection

__all__ = [
    "FoundSlots",
    "candidate_for",
    "day_behind",
    "find_windows",
    "known_candidate",
    "told_witness",
    "windows_near",
]

_SECOND_US = 1_000_000
_ONE_DAY = dt.timedelta(1)
_MOST_OTHERS, _OTHER_DAYS = 6, 3
_DAYS_A_LOOK = 14
_LOOKS_AHEAD_S = 1.0


class FoundSlots(NamedTuple):
    """
    What a roster says.

    Attributes
    ----------
    known
        The roster that was asked.
    answer
        Windows by day, and why there are none.
    days
        The days in which the windows were found, by number, as they were then: the roster may have others by now.
    """

    asked: Asked
    known: PointRoster
    answer: SlotAnswer
    days: dict[int, CrewDay]


def find_windows(
    connection: ReadConnection,
    terms: BookingTerms,
    asked: Asked,
    first_day: dt.date,
    n_days: int,
    now_us: int,
    *,
    is_fresh: bool = False,
) -> FoundSlots:
    """
    Return what can be booked on local days: what a crew can keep, and the point's offer serves at that time.

    ``is_fresh`` asks the store rather than memory, which learns of a change a moment later.
    """
    rosters = terms.rosters
    if is_too_far(asked, first_day, now_us):
        known = rosters.without_days(connection, asked.facts, first_day)
    elif is_outside(terms.orders.checker, asked):  # whether or not a crew could come
        known = rosters.without_days(connection, asked.facts, first_day)
        outside = {first_day + number * _ONE_DAY: "outside_area" for number in range(n_days)}
        return FoundSlots(asked, known, SlotAnswer({}, outside), {})
    elif is_fresh:
        known = rosters.made(connection, asked.facts, first_day, n_days)
    else:
        known = rosters.roster(connection, asked.facts, first_day, n_days, asked.begun_at)
    with known.lock:
        answer = known.as_of(-(-now_us // _SECOND_US)).slots(
            asked.visit, asked.rules, from_us(now_us), first_day, n_days
        )
        table = known.roster.table.days
        days = {slot.day: table[slot.day] for slots in answer.slots.values() for slot in slots}
    for day, slots in list(answer.slots.items()):
        reasons = [judged_at(terms.orders.checker, asked, slot.starts_s) for slot in slots]
        left = [slot for slot, reason in zip(slots, reasons, strict=True) if reason == "matched"]
        if left:
            answer.slots[day] = left
        else:
            del answer.slots[day]
            answer.why_not[day] = reasons[0]
    return FoundSlots(asked, known, answer, days)


def day_behind(
    connection: ReadConnection, terms: BookingTerms, found: FoundSlots, first_day: dt.date, now_us: int
) -> dt.date | None:
    """
    Return the first local day from one on with windows in which what was asked can be booked.

    None where there is none as far as it may be booked, or was none in the time that one request has for that.
    """
    asked, until = found.asked, Deadline.after(_LOOKS_AHEAD_S)
    last_day = local_day(asked.rules.timezone, now_us // _SECOND_US) + asked.rules.most_days * _ONE_DAY
    day = first_day if _is_anybody_able(found) else last_day
    while day < last_day and not until.is_over:
        later = find_windows(connection, terms, asked, day, _DAYS_A_LOOK, now_us)
        if later.answer.slots:
            return min(later.answer.slots)
        day += _DAYS_A_LOOK * _ONE_DAY
    return None


def _is_anybody_able(found: FoundSlots) -> bool:
    """Tell whether a crew of the point can make the visit at all, on whatever day."""
    visit, point = found.asked.visit, found.asked.facts
    kept = ((crew_id, one.facts) for crew_id, one in found.known.crews.items() if not one.facts.is_paused)
    crews = (facts.crew(crew_id, point) for crew_id, facts in kept)
    place = (visit.job.lat, visit.job.lng)
    return any(crew.can_do(visit.skills, visit.people) and crew.works_at(place) for crew in crews)


def candidate_for(
    connection: ReadConnection,
    terms: BookingTerms,
    asked: Asked,
    starts_s: int,
    now_us: int,
    *,
    is_new: bool = False,
) -> Candidate | None:
    """
    Return where a visit would stand that begins in a window, as memory has it, None where that knows nobody.

    For one that ``is_new``, which takes the place of no other, the store is asked then, which may know of a crew that
    became free a moment ago; whoever makes the booking need not look for one again. What lies too far ahead is nothing
    that memory is asked.
    """
    day = local_day(asked.rules.timezone, starts_s)
    if is_too_far(asked, day, now_us):
        return None
    known = terms.rosters.roster_at(connection, asked.facts, starts_s, asked.begun_at)
    if not asked.is_promised:
        known.asked[asked.service_id] = (asked.visit, asked.rules.width_s)
    window = (asked.visit, starts_s, asked.rules.width_s, -(-now_us // _SECOND_US))
    spot = known.candidate(*window)
    if spot is None and is_new:
        return terms.rosters.made(connection, asked.facts, day, 1).candidate(*window) or Nobody()
    return spot


def known_candidate(
    terms: BookingTerms, wanted: tuple[str, str, float, float], starts_s: int, now_us: int
) -> Candidate | None:
    """
    Return what `candidate_for` does from memory alone, without waiting for anybody; None where that is not enough.

    ``wanted`` as `asked_of` has it. The service may be another by now: the booking's transaction judges it anew.
    """
    point_id, service_id, lat, lng = wanted
    known = terms.rosters.known(point_id, starts_s)
    asked = None if known is None else known.asked.get(service_id)
    if known is None or asked is None:
        return None
    visit, width_s = asked
    job = visit.job._replace(lat=lat, lng=lng)
    return known.candidate(visit._replace(job=job), starts_s, width_s, -(-now_us // _SECOND_US), waits=False)


def windows_near(
    connection: ReadConnection,
    terms: BookingTerms,
    wanted: tuple[str, str, float, float],
    starts_s: int,
    now_us: int,
    *,
    promised: AnyRow | None = None,
    is_fresh: bool = False,
) -> list[dict[str, Any]]:
    """
    Return windows that could be booked instead of one, those first that lie next to it.

    ``wanted`` and ``promised`` as `asked_of` has them.
    """
    asked = asked_of(connection, terms.orders, *wanted, promised=promised)
    today = local_day(asked.rules.timezone, now_us // _SECOND_US)
    first = max(today, local_day(asked.rules.timezone, starts_s))
    if is_too_far(asked, first, now_us):
        return []
    found = find_windows(connection, terms, asked, first, _OTHER_DAYS, now_us, is_fresh=is_fresh)
    slots = [slot for day in found.answer.slots.values() for slot in day]
    slots.sort(key=lambda slot: (abs(slot.starts_s - starts_s), slot.starts_s))
    return [_told_window(slot) for slot in slots[:_MOST_OTHERS]]


def _told_window(slot: Slot) -> dict[str, Any]:
    starts, ends = (from_us(at_s * _SECOND_US).isoformat() for at_s in (slot.starts_s, slot.ends_s))
    return {"starts_at": starts, "ends_at": ends}


def told_witness(found: FoundSlots, slot: Slot) -> list[dict[str, Any]]:
    """Return the crew's day with the visit as a sequence of names and times, which shows that it can be kept."""
    table = found.known.roster.table.alone(found.days[slot.day])
    day = witness(table, found.asked.visit.job, slot._replace(day=0), "this visit")
    starts_s = table.alone(day).starts_s(0)
    return [
        {"stop": stop.stop_id, "starts_at": from_us(at_s * _SECOND_US).isoformat(), "minutes": stop.duration_s / 60}
        for stop, at_s in zip(day.stops, starts_s, strict=True)
    ]

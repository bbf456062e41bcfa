"""A crew's day, walked through stop by stop: what the engine's days and slots are held against."""

from __future__ import annotations

import numpy as np

from engine.crew_days import CrewDay, Place, Stop
from engine.travel import Travel, travel_seconds

__all__ = ["late_stops", "way_s"]


def late_stops(day: CrewDay, travel: Travel) -> list[str]:
    """Return what is late on a day on which the crew drives, waits, and begins each stop as soon as it may."""
    begun = [stop.earliest_s for stop in day.stops if stop.has_begun]
    now, here, driven, late = min([day.starts_s, *begun]), day.start, 0, []
    stops = (*day.stops, Stop("end", day.end, 0, day.starts_s, day.ends_s))
    for number, stop in enumerate(stops):
        now = now if stop.has_begun else max(now, day.starts_s)
        there = next(one.place for one in stops[number:] if one.place is not None)
        is_there = next(one.has_begun for one in stops[number:] if one.place is not None)
        left = 0 if is_there else way_s(travel, here, there) - driven
        if stop.place is None:  # it sets out, and rests when the rest is due
            moved = min(left, max(0, stop.earliest_s - now))
            now, driven = max(now + moved, stop.earliest_s), driven + moved
        else:
            now, here, driven = max(now + left, stop.earliest_s), stop.place, 0
        late += [stop.stop_id] if now > stop.latest_s else []
        now += stop.duration_s
    return late


def way_s(travel: Travel, here: Place, there: Place) -> int:
    """Return how many seconds the way takes from one place to another."""
    return int(travel_seconds(travel, np.array([here]), np.array([there]), None)[0, 0])

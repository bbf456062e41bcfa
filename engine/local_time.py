"""Local days and minutes of many instants in many time zones, right to the second where clocks change."""

from __future__ import annotations

import datetime as dt
import functools
import zoneinfo
from collections.abc import Sequence
from importlib import resources

import numpy as np
from numpy.typing import NDArray

from engine.errors import InvalidQueryError, InvalidTimezoneError

__all__ = [
    "FIRST_S",
    "LAST_S",
    "MINUTES_A_DAY",
    "changes_on_minutes",
    "check_instants",
    "check_timezone",
    "day_offsets",
    "local_minutes",
    "told_apart",
    "wall_instants_s",
]

MINUTES_A_DAY = 1440
_DAY_S = 86_400
_FEW_DAYS = 8  # whose minutes are counted off
FIRST_S = 0
LAST_S = int(dt.datetime(9999, 1, 1, tzinfo=dt.UTC).timestamp()) - 1
_INSTANT_ARGUMENT, _ZONE_ARGUMENT = "at", "timezone"


def check_timezone(name: object, *, position: int | None = None) -> str:
    """
    Return an IANA time zone's name, or raise `InvalidTimezoneError` naming ``timezone``.

    Names that mean the machine's own zone (``localtime``) are none.
    """
    if isinstance(name, str) and (name in _packaged_names() or name in _all_names()):
        return name
    message = f"must be an IANA time zone such as Asia/Shanghai, got {name!r:.60}"
    raise InvalidTimezoneError(_ZONE_ARGUMENT, message, position=position, value=name)


def check_instants(at_s: NDArray[np.int64]) -> None:
    """Raise `InvalidQueryError` where an instant lies outside the years 1970 to 9998."""
    good = (at_s >= FIRST_S) & (at_s <= LAST_S)
    if good.all():
        return
    position = int(np.argmin(good))
    value = int(at_s[position])
    message = f"must lie in the years 1970 to 9998, got {value} seconds since 1970"
    raise InvalidQueryError(_INSTANT_ARGUMENT, message, position=position, value=value)


def local_minutes(at_s: NDArray[np.int64], zones: Sequence[str]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """
    Return the day since 1970-01-01 and the minute of it that a clock on the wall shows, by zone and instant.

    Parameters
    ----------
    at_s
        Shape (q,), UTC seconds since 1970, checked by `check_instants`.
    zones
        z names, checked by `check_timezone`.

    Returns
    -------
    tuple
        Days and minutes, each int32 of shape (z, q).

    Notes
    -----
    A zone is asked twice for each UTC day that occurs: its offset at the first second and after the last. Where
    they differ the change is found by bisection, so an instant costs a table look-up. No zone has changed twice in
    one UTC day since 1970.
    """
    days = np.empty((len(zones), at_s.size), np.int32)
    minutes = np.empty_like(days)
    if at_s.size == 0:
        return days, minutes
    occurring, rank = _distinct(at_s // _DAY_S)
    for row, zone in enumerate(zones):
        offsets = np.array([day_offsets(zone, day) for day in occurring.tolist()], np.int64)
        before, change_s, after = offsets.T
        wall_s = at_s + np.where(at_s < change_s[rank], before[rank], after[rank])
        days[row] = wall_s // _DAY_S
        minutes[row] = wall_s % _DAY_S // 60
    return days, minutes


def told_apart(at_s: NDArray[np.int64], zones: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """
    Return instants, ascending, of which `local_minutes` tells all that it tells of those given, and which is each one's own.

    Parameters
    ----------
    at_s
        Shape (q,), UTC seconds since 1970, checked by `check_instants`.
    zones
        Names, checked by `check_timezone`.

    Notes
    -----
    One a minute where all instants lie within few days on which `changes_on_minutes`, else one a second.
    """
    first, last = (int(end) // _DAY_S for end in (at_s.min(initial=LAST_S), at_s.max(initial=FIRST_S)))
    if 0 <= last - first < _FEW_DAYS and all(changes_on_minutes(day, zones) for day in range(first, last + 1)):
        minutes, rank = _distinct(at_s // 60)
        return minutes * 60, rank
    return np.unique(at_s, return_inverse=True)


def _distinct(numbers: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the distinct ones of numbers that lie close together, ascending, and the rank of each among them."""
    first = int(numbers.min())
    seen = np.zeros(int(numbers.max()) - first + 1, np.bool_)
    seen[numbers - first] = True
    return np.flatnonzero(seen) + first, (np.cumsum(seen) - 1)[numbers - first]


def changes_on_minutes(day: int, zones: Sequence[str]) -> bool:
    """Tell whether no zone's clock is off by seconds on a UTC day, or changes in the midst of a minute."""
    return not any(second % 60 for zone in zones for second in day_offsets(zone, day))


@functools.lru_cache(maxsize=1 << 12)
def wall_instants_s(timezone: str, step_s: int, day: dt.date) -> tuple[int, ...]:
    """
    Return the instants of a day at which the clock on the wall shows so many seconds, twice as many, and so on.

    None where it skips them, two where it repeats them.
    """
    zone, midnight = zoneinfo.ZoneInfo(timezone), dt.datetime.combine(day, dt.time())
    found = set()
    for wall_s in range(0, _DAY_S, step_s):
        for fold in (0, 1):
            wall = (midnight + dt.timedelta(seconds=wall_s)).replace(tzinfo=zone, fold=fold)
            at = wall.astimezone(dt.UTC)
            if at.astimezone(zone).replace(tzinfo=None) == wall.replace(tzinfo=None):
                found.add(int(at.timestamp()))
    return tuple(sorted(found))


@functools.cache
def _packaged_names() -> frozenset[str]:
    # zoneinfo falls back on this package; to ask zoneinfo opens 600 files, which takes longer than to open an index.
    return frozenset((resources.files("tzdata") / "zones").read_text(encoding="utf-8").split())


@functools.cache
def _all_names() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones()) - {"localtime"}


@functools.lru_cache(maxsize=1 << 16)
def day_offsets(zone: str, day: int) -> tuple[int, int, int]:
    """Return a UTC day's first offset in seconds, the second from which another holds, and that one."""
    tz = zoneinfo.ZoneInfo(zone)
    low, high = day * _DAY_S, (day + 1) * _DAY_S
    before, after = _offset(tz, low), _offset(tz, high)
    if before == after:
        return before, high, after
    while high - low > 1:
        middle = (low + high) // 2
        if _offset(tz, middle) == before:
            low = middle
        else:
            high = middle
    return before, high, after


def _offset(tz: zoneinfo.ZoneInfo, at_s: int) -> int:
    offset = dt.datetime.fromtimestamp(at_s, tz).utcoffset()
    return 0 if offset is None else int(offset.total_seconds())

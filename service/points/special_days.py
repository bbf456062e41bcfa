"""Special days: what an opening_hours expression says, but for these days."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["hours_with_special_days"]

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def hours_with_special_days(hours: str | None, special_days: Sequence[Mapping[str, Any]]) -> str | None:
    """
    Return an expression that holds on all days but the special ones, where theirs holds alone.

    Parameters
    ----------
    hours
        The expression of ordinary days; None where they are unknown: then no day is known.
    special_days
        Each with ``date`` (ISO 8601) and ``hours``: times such as ``10:00-14:00``, or ``off``.
    """
    if hours is None:
        return None
    rules = [hours]
    for day in special_days:
        date = dt.date.fromisoformat(day["date"])
        rules.append(f"{date.year} {_MONTHS[date.month - 1]} {date.day:02} {day['hours']}")
    return "; ".join(rules)

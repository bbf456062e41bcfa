"""Dates of ``opening_hours`` expressions that no year has."""

from __future__ import annotations

import re

__all__ = ["unreal_date"]

_COMMENT = re.compile(r'"[^"]*"')
_RANGE = r"(?:(?<!\d)\d\d?|[a-z\]]) ?- ?(?:\d{4} ?)?"  # of dates: in 2026-2027 Jun 31 it is one of years
_DATE = r"(?<![a-z])(?:Feb ?3[01]|(?:Apr|Jun|Sep|Nov) ?31)"
_NO_DATE = re.compile(f"(?P<range>{_RANGE})?(?P<date>{_DATE})", re.IGNORECASE)


def unreal_date(expression: str) -> str | None:
    """
    Return the first date that no year has, such as ``Jun 31``, None where there is none.

    The evaluator takes it for every day. As the end of a range it is the last day of its month, and none here.
    """
    dates = _NO_DATE.finditer(_COMMENT.sub("", expression))
    return next((found["date"] for found in dates if found["range"] is None), None)

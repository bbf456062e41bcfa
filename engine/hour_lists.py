"""
Lists in ``opening_hours`` expressions that are written with spaces at their commas.

By the letter ``, `` begins an additional rule, and days without times are open all day: ``Sa, Su 09:00-16:00`` would be
open around the clock on Saturdays.
"""

from __future__ import annotations

import re

__all__ = ["DAY", "DAY_ITEM", "QUOTED", "TIME", "with_close_commas"]

_OFFSET = r"(?: [+-]\d+ days?)?"
DAY = r"(?i:Mo|Tu|We|Th|Fr|Sa|Su)"
DAY_ITEM = rf"(?:PH{_OFFSET}|SH|{DAY}(?:-{DAY}|\[[^][]*\]{_OFFSET})?)"
TIME = r"\d{1,2}:\d{2}"
QUOTED = re.compile(r'("[^"]*")')

_MONTH = r"(?i:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_DATE_ITEM = rf"(?:(?i:easter)|{_MONTH}(?: ?\d{{1,2}}(?:-\d{{1,2}})?)?){_OFFSET}"
_SPAN = rf"{TIME}(?:-{TIME})?\+?"
_SPACED = "(?: +, *|, +)"
_DAYS = re.compile(
    rf"({DAY_ITEM}){_SPACED}(?=(?!(?i:sun|week)){DAY_ITEM})"
    rf"|({_DATE_ITEM}){_SPACED}(?=(?:\d{{4}} ?)?{_MONTH}|(?i:easter))"
)
_TIMES = re.compile(  # whole, so that each is read once
    rf"(?:(?P<days>{DAY_ITEM}|{_DATE_ITEM}){_SPACED})?"
    rf"(?P<times>(?>{_SPAN}(?: *, *{_SPAN})*))"
    r"(?P<closed> *(?i:off|closed|unknown))?"
)
_BETWEEN_TIMES = re.compile(" +, *|,  +")  # one space behind the comma makes no rule of times for the evaluator


def with_close_commas(expression: str) -> str:
    """
    Return an expression in which lists of days, of dates or of times are written without spaces, others as it came.

    Only what stands directly at a comma counts: ``Mo-Fr 08:00-12:00, We 14:00-18:00`` has times before and days behind
    it, and two rules. A comma between days and their times (``Mo-Fr, 08:00-12:00``) is left out. Times that are taken
    from others (``10:00-20:00 , 12:00-14:00 off``) are a rule.
    """
    pieces = QUOTED.split(expression)
    pieces[::2] = [_TIMES.sub(_close_times, _DAYS.sub(_close_days, piece)) for piece in pieces[::2]]
    return "".join(pieces)


def _close_days(found: re.Match[str]) -> str:
    return f"{found[1] or found[2]},"


def _close_times(found: re.Match[str]) -> str:
    if found["closed"]:
        return found[0]
    days = f"{found['days']} " if found["days"] else ""
    return days + _BETWEEN_TIMES.sub(",", found["times"])

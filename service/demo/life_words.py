"""The life of an order in words, a line for each step."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from service.demo.words import metres, offer_words

if TYPE_CHECKING:
    from service.demo.life import OrderLife, Step

__all__ = ["LIFE_WORDS", "life_lines", "wall_clock"]

LIFE_WORDS = "One order, from its match to the counter"

_TIMEZONE = "Europe/Helsinki"
_DAY = dt.timedelta(hours=12)
_LABELS = {
    "match": "match",
    "hold": "held",
    "place": "placed",
    "accept": "accepted",
    "ready": "ready",
    "wrong_code": "refused",
    "collect": "collected",
}


def life_lines(life: OrderLife) -> list[str]:
    """Return what is wanted, and a line for each step; in between what is in stock, where it has changed."""
    lines = [f"{offer_words('retail/pickup')}, wanted at {wall_clock(life.wanted_at, life.wanted_at)}"]
    stock = None
    for step in life.steps:
        lines.append(f"   {wall_clock(step.at, step.at)}  {_LABELS[step.name]:<9}  {_told(life, step)}")
        if step.stock != stock:
            lines.append(f"                     stock: {_stock(step)}")
        stock = step.stock
    return lines


def _told(life: OrderLife, step: Step) -> str:
    until = "" if step.until is None else wall_clock(step.until, step.at)
    wanted = " and ".join(f"{quantity} {name}" for quantity, name in life.lines)
    total = f"{life.total_minor / 100:.2f} {life.currency}"
    return {
        "match": f"{life.name}, {metres(life.distance_m)} away, can serve it",
        "hold": f"{wanted} for {total}, until {until}",
        "place": f"code {life.code}, to be paid at the counter; answered by {until}",
        "accept": f"the shop prepares it for {wall_clock(life.wanted_at, step.at)}",
        "ready": f"it can be collected until {until}",
        "wrong_code": f"code {life.wrong_code}: {life.refusal}",
        "collect": f"code {life.code}: handed over, {total} paid",
    }[step.name]


def _stock(step: Step) -> str:
    return ", ".join(
        f"{shelf.counted} {shelf.name}" + (f" ({shelf.held} held)" if shelf.held else "") for shelf in step.stock
    )


def wall_clock(instant: dt.datetime, seen_at: dt.datetime) -> str:
    """Return the local time of day, with the day where that is far off."""
    form = "%H:%M" if instant - seen_at < _DAY else "%a %d %b %H:%M"
    return instant.astimezone(ZoneInfo(_TIMEZONE)).strftime(form)

"""Explained orders in words, the same for the terminal and for the page."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import numpy as np

from service.demo.examples import Explained
from service.demo.run import TIMEZONE, Demo
from service.demo.words import REASON_WORDS, metres, number, offer_words

__all__ = ["clock", "example_lines", "example_text"]


def example_lines(demo: Demo) -> list[list[str]]:
    """Return the explained orders as lines for a terminal."""
    points = demo.full.points
    names = dict(zip(points["point_id"].to_pylist(), points["name"].to_pylist(), strict=True))
    told = []
    for position, example in enumerate(demo.examples, 1):
        day, i = demo.full.day, example.order
        match_name = names[example.match.point_id] or example.match.point_id
        lines = [f"{position}. {offer_words(day.offer[i])}, wanted at {clock(day.at[i])}"]
        lines.append(f"   {example_text(demo, example, match_name)}")
        lines += [
            f"   x {metres(refusal.distance_m):>7}  {names[refusal.point_id] or refusal.point_id}: "
            f"{REASON_WORDS[refusal.reason]}"
            for refusal in example.refused
        ]
        lines.append(f"   > {metres(example.match.distance_m):>7}  {match_name}: serves it")
        told.append(lines)
    return told


def example_text(demo: Demo, example: Explained, match_name: str) -> str:
    """Return an explained order in a few sentences."""
    day, i = demo.full.day, example.order
    units = int(day.quantity[i])
    reasons = list(dict.fromkeys(REASON_WORDS[refusal.reason] for refusal in example.refused))
    told = " and ".join([", ".join(reasons[:-1]), reasons[-1]] if len(reasons) > 1 else reasons)
    return (
        f"Asked at {clock(day.asked_at[i])}, {units} {'unit' if units == 1 else 'units'}. "
        f"{number(example.n_others)} nearer places do not offer it. {len(example.refused)} nearer ones do, and cannot: "
        f"{told}. {match_name}, {metres(example.match.distance_m)} away, can."
    )


def clock(instant: np.datetime64) -> str:
    """Return the local time of day."""
    moment = instant.astype("datetime64[s]").item()
    return f"{moment.replace(tzinfo=ZoneInfo('UTC')).astimezone(ZoneInfo(TIMEZONE)):%H:%M}"

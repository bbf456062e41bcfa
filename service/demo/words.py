"""How the demonstration calls and draws things."""

from __future__ import annotations

import functools
from dataclasses import dataclass

from engine.norms import Norms, load_norms
from service.maps import Category

__all__ = ["REASON_WORDS", "category", "metres", "number", "offer_words", "sector_words", "share"]

REASON_WORDS = {
    "no_offer": "nobody offers it",
    "paused": "paused",
    "suspended": "suspended",
    "feature_missing": "lacks a feature",
    "closed": "closed",
    "hours_unknown": "hours unknown",
    "too_soon": "too soon",
    "outside_area": "outside area",
    "full": "full",
    "out_of_stock": "out of stock",
    "no_crew": "no crew",
    "too_far": "too far",
}
"""Reasons as the head of a column."""

NOTHING = "\N{EN DASH}"


@dataclass(frozen=True)
class _Look:
    symbol: str
    colour: str


# Shapes tell the sectors apart as well as colours do; these are apart for every colour vision (after Okabe and Ito).
_LOOKS = {
    "retail": _Look("circle", "#0072B2"),
    "food_service": _Look("square", "#D55E00"),
    "housekeeping": _Look("triangle", "#A0478A"),
    "laundry": _Look("wedge", "#3F9FD8"),
    "appliance_repair": _Look("diamond", "#8C6D00"),
    "ticketing": _Look("star", "#882255"),
    "fresh_food": _Look("pentagon", "#009E73"),
    "community": _Look("cross", "#222222"),
}
_OTHER = _Look("hexagon", "#666666")


@functools.cache
def _norms() -> Norms:
    return load_norms()


def category(sector: str) -> Category:
    """Return how the points of a sector are called and drawn."""
    look, labels = _LOOKS.get(sector, _OTHER), _norms().sectors[sector].labels
    return Category(sector, labels.en, look.symbol, look.colour, labels.zh)


def sector_words(sector: str) -> str:
    """Return a sector in English and Chinese."""
    labels = _norms().sectors[sector].labels
    return f"{labels.en} {labels.zh}"


def offer_words(offer: str) -> str:
    """Return an offer in English and Chinese."""
    sector, _, mode = offer.partition("/")
    labels = _norms().modes[mode]
    return f"{sector_words(sector)}, {labels.en} {labels.zh}"


def number(value: float) -> str:
    """Return a whole number with narrow spaces between thousands."""
    return f"{value:,.0f}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def metres(value: float | None) -> str:
    """Return whole metres, a dash where there are none."""
    return NOTHING if value is None else f"{number(value)} m"


def share(part: float, whole: float) -> str:
    """Return a part in per cent."""
    return f"{100 * part / whole:.1f} %" if whole else NOTHING

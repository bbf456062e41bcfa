"""What can serve whom, in memory: points, offers, norms, opening hours, the H3 index, matching, coverage."""

from engine.answers import REASONS, Answer, Explanation, Match, Matches, Pairs, Refusal, Refusals
from engine.engine import Engine
from engine.warming import warm_up

__all__ = [
    "REASONS",
    "Answer",
    "Engine",
    "Explanation",
    "Match",
    "Matches",
    "Pairs",
    "Refusal",
    "Refusals",
    "warm_up",
]

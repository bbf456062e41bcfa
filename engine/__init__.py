"""What can serve whom, in memory: points, offers, norms, opening hours, the H3 index, matching, coverage."""

from engine.answers import REASONS, Answer, Explanation, Match, Matches, Pairs, Refusal, Refusals
from engine.coverage import CoverageFigures, CoverageReport, coverage
from engine.engine import Engine
from engine.errors import EngineError
from engine.norms import Norms, OfferNorm, load_norms
from engine.warming import warm_up

__all__ = [
    "REASONS",
    "Answer",
    "CoverageFigures",
    "CoverageReport",
    "Engine",
    "EngineError",
    "Explanation",
    "Match",
    "Matches",
    "Norms",
    "OfferNorm",
    "Pairs",
    "Refusal",
    "Refusals",
    "coverage",
    "load_norms",
    "warm_up",
]

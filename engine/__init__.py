"""What can serve whom, in memory: points, offers, norms, opening hours, the H3 index, matching, coverage."""

from engine.answers import REASONS, Answer, Explanation, Found, Match, Matches, Pairs, Refusal, Refusals, Refused
from engine.baskets import Baskets
from engine.coverage import CoverageFigures, CoverageReport, coverage
from engine.engine import Engine
from engine.errors import EngineError
from engine.facts import RowFact, RowFacts
from engine.norms import Norms, OfferNorm, load_norms
from engine.openings import OpeningTimes
from engine.previews import DayPreview, hours_preview
from engine.promises import Promise, Promises, promise, promises_many
from engine.splits import Split, SplitPart
from engine.stock import NOT_KEPT, StockEntries
from engine.warming import warm_up

__all__ = [
    "NOT_KEPT",
    "REASONS",
    "Answer",
    "Baskets",
    "CoverageFigures",
    "CoverageReport",
    "DayPreview",
    "Engine",
    "EngineError",
    "Explanation",
    "Found",
    "Match",
    "Matches",
    "Norms",
    "OfferNorm",
    "OpeningTimes",
    "Pairs",
    "Promise",
    "Promises",
    "Refusal",
    "Refusals",
    "Refused",
    "RowFact",
    "RowFacts",
    "Split",
    "SplitPart",
    "StockEntries",
    "coverage",
    "hours_preview",
    "load_norms",
    "promise",
    "promises_many",
    "warm_up",
]

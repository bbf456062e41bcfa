"""The parameters of a question: one table, which the reader of the query and the description of the API both follow."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from geo.datums import DATUMS
from service.features import FEATURE, FEATURE_VALUE
from service.skus import SKU

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "DAYS_AHEAD",
    "EXAMPLE_TIME",
    "FEATURE",
    "MAX_BATCH",
    "MAX_DISTANCE_M",
    "MAX_FEATURES",
    "MAX_ITEMS",
    "MAX_K",
    "MAX_LINE_UNITS",
    "MAX_QUANTITY",
    "MAX_SPLIT",
    "NAMES",
    "OF_STREAMS",
    "OWN_DATUM",
    "PARAMETERS",
    "POINT",
    "UNKNOWN_HOURS",
    "Parameter",
    "described",
]

MAX_K = 50
MAX_BATCH = 100
MAX_QUANTITY = 1_000_000
MAX_DISTANCE_M = 20_100_000.0  # beyond half a meridian: the whole earth
MAX_FEATURES = 20
MAX_ITEMS, MAX_LINE_UNITS, MAX_SPLIT = 50, 999, 3
DAYS_AHEAD = 400
UNKNOWN_HOURS = ("refuse", "allow")
OWN_DATUM = "wgs84"
EXAMPLE_TIME = "2026-11-26T10:00:00+08:00"
_VALUE = f"^{FEATURE_VALUE}$"


@dataclass(frozen=True)
class Parameter:
    """A parameter of a query: its name, its sentence, its JSON schema."""

    name: str
    description: str
    schema: Mapping[str, Any]
    example: Any = None
    required: bool = field(default=False, kw_only=True)

    def described(self) -> dict[str, Any]:
        """Return it as OpenAPI has it."""
        told = {"name": self.name, "in": "query", "required": self.required, "description": self.description}
        return told | {"schema": dict(self.schema)} | ({} if self.example is None else {"example": self.example})


PARAMETERS = (
    Parameter("lat", "Latitude in degrees.", {"type": "number", "minimum": -90, "maximum": 90}, 31.2304, required=True),
    Parameter(
        "lng", "Longitude in degrees.", {"type": "number", "minimum": -180, "maximum": 180}, 121.4737, required=True
    ),
    Parameter(
        "offer",
        "What is needed: a sector and a mode that has a norm.",
        {"type": "string", "pattern": "^[a-z0-9_]+/[a-z0-9_]+$"},
        "retail/pickup",
        required=True,
    ),
    Parameter(
        "datum",
        "Of lat and lng here, and of those in the answer.",
        {"type": "string", "enum": list(DATUMS), "default": OWN_DATUM},
    ),
    Parameter(
        "at",
        f"When it is wanted, with its offset (write + as %2B); without, this very moment: what takes time is "
        f"too_soon then. At most {DAYS_AHEAD} days ahead.",
        {"type": "string", "format": "date-time"},
        EXAMPLE_TIME,
    ),
    Parameter("quantity", "Units needed.", {"type": "integer", "minimum": 1, "maximum": MAX_QUANTITY, "default": 1}, 1),
    Parameter("k", "How many matches.", {"type": "integer", "minimum": 1, "maximum": MAX_K, "default": 1}, 3),
    Parameter(
        "max_distance_m",
        "The farthest match in metres, inclusive; without, as far as areas serve.",
        {"type": "number", "minimum": 0, "maximum": MAX_DISTANCE_M},
        5000,
    ),
    Parameter(
        "features",
        f"What a point must have, all of it: at most {MAX_FEATURES} keys separated by commas.",
        {"type": "string", "pattern": f"^{FEATURE}(?:,{FEATURE})*$"},
        "lift,cold_locker",
    ),
    Parameter("brand", "Only points of a brand: the feature brand:…", {"type": "string", "pattern": _VALUE}, "corner"),
    Parameter(
        "merchant",
        "Only points of a merchant: the feature merchant:…",
        {"type": "string", "pattern": _VALUE},
        "corner-shop",
    ),
    Parameter(
        "items",
        f"A basket that a point must have whole: at most {MAX_ITEMS} SKUs separated by commas, each with its quantity "
        "behind a * where that is not 1.",
        {"type": "string", "pattern": rf"^{SKU}(?:\*[0-9]+)?(?:,{SKU}(?:\*[0-9]+)?)*$"},
        "milk-1l*2,bread",
    ),
    Parameter(
        "split",
        "Between how many points a basket may be divided where nobody has all of it.",
        {"type": "integer", "minimum": 1, "maximum": MAX_SPLIT, "default": 1},
        2,
    ),
    Parameter(
        "unknown_hours",
        "Whether points whose hours are unknown at that time may match.",
        {"type": "string", "enum": list(UNKNOWN_HOURS), "default": UNKNOWN_HOURS[0]},
    ),
)
NAMES = frozenset(parameter.name for parameter in PARAMETERS)

POINT = Parameter(
    "point",
    "A point of your own that asks why it is not found: all about it is told.",
    {"type": "string", "maxLength": 256},
    "corner-shop:01",
)
_SHARED = {"datum", "max_distance_m", "unknown_hours"}
OF_STREAMS = tuple(parameter for parameter in PARAMETERS if parameter.name in _SHARED)
"""What holds for all places of an Arrow stream."""


def described(*also: Parameter) -> list[dict[str, Any]]:
    """Return the parameters of a question, and others, as OpenAPI has them."""
    return [parameter.described() for parameter in (*PARAMETERS, *also)]

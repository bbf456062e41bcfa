"""What can be wrong with an argument of the engine; one class a reason."""

from __future__ import annotations

from geo.errors import ArgumentError

__all__ = [
    "EngineError",
    "InvalidColumnError",
    "InvalidHoursError",
    "InvalidNormError",
    "InvalidOfferError",
    "InvalidQueryError",
    "InvalidTimezoneError",
    "UnkeptDayError",
    "UnknownPointError",
]


class EngineError(ArgumentError):
    """Base of all errors of ``engine``: as `geo.errors.ArgumentError`, it names argument, position and value."""


class InvalidColumnError(EngineError):
    """A column of points with a value that it cannot hold, or of another length than the others."""


class InvalidOfferError(EngineError):
    """Not an offer of the form ``sector/mode``."""


class InvalidHoursError(EngineError):
    """Not an OSM opening_hours expression."""


class InvalidTimezoneError(EngineError):
    """Not an IANA time zone or ISO 3166 country, or missing where hours need it."""


class InvalidNormError(EngineError):
    """A norm file that says something it cannot say; ``argument`` is ``file: key``."""


class InvalidQueryError(EngineError):
    """A question with a value that makes no sense: k, quantity, a limit, a time without a zone."""


class UnkeptDayError(EngineError):
    """
    A day with a stop that the crew cannot begin in time; ``position`` is the day, ``value`` the stop's name.

    Attributes
    ----------
    late_s
        By how many seconds it would start late.
    node
        Which it is: 0 for the start of the day, 1 for its first stop.
    positions
        Of all such days, this one first.
    """

    late_s: int = 0
    node: int = 0
    positions: tuple[int, ...] = ()


class UnknownPointError(EngineError):
    """A point (or an offer of it) that is not in the index."""

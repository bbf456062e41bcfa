"""What can be wrong with an argument of the engine; one class a reason."""

from __future__ import annotations

__all__ = [
    "EngineError",
    "InvalidColumnError",
    "InvalidHoursError",
    "InvalidNormError",
    "InvalidOfferError",
    "InvalidQueryError",
    "InvalidTimezoneError",
    "UnknownPointError",
]


class EngineError(ValueError):
    """
    Base of all errors of ``engine``: a bad argument, named with its position.

    Attributes
    ----------
    argument
        Name of the argument as the caller wrote it.
    position
        Index of the first offending element, None where the argument is one value.
    value
        What came.
    """

    def __init__(self, argument: str, expected: str, *, position: int | None = None, value: object = None) -> None:
        self.argument = argument
        self.position = position
        self.value = value
        where = argument if position is None else f"{argument}[{position}]"
        super().__init__(f"{where} {expected}")


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


class UnknownPointError(EngineError):
    """A point (or an offer of it) that is not in the index."""

"""What can be wrong with a place, a cell or a shape; one class a reason."""

from __future__ import annotations

__all__ = [
    "AntimeridianError",
    "ArgumentError",
    "CoverTooLargeError",
    "EmptyGeometryError",
    "GeoError",
    "GeometryTooLargeError",
    "InvalidCellError",
    "InvalidDatumError",
    "InvalidGeometryError",
    "InvalidLatLngError",
    "InvalidResolutionError",
    "MapFileError",
    "UnsupportedGeometryError",
]


class ArgumentError(ValueError):
    """
    A bad argument, named with its position.

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


class GeoError(ArgumentError):
    """Base of all errors of ``geo``."""


class InvalidLatLngError(GeoError):
    """A latitude or longitude that is not finite or out of range."""


class InvalidCellError(GeoError):
    """Not an H3 cell, or not written in its one form (15 lower-case hexadecimal digits)."""


class InvalidResolutionError(GeoError):
    """Not an H3 resolution from 0 to 15, or a cell of another resolution than asked for."""


class InvalidDatumError(GeoError):
    """Not one of the known coordinate datums."""


class InvalidGeometryError(GeoError):
    """A shape that crosses itself, has an open ring, a hole outside its shell, overlapping parts."""


class EmptyGeometryError(GeoError):
    """A shape without area (or with less than a square metre)."""


class GeometryTooLargeError(GeoError):
    """A shape with more vertices, holes or cover cells than allowed."""


class CoverTooLargeError(GeometryTooLargeError):
    """A shape whose cover by cells would pass the limit, however few vertices draw it."""


class AntimeridianError(GeoError):
    """A ring that crosses the antimeridian, to be split as RFC 7946 section 3.1.9 says."""


class UnsupportedGeometryError(GeoError):
    """A shape of a kind that is no service area: another type, a collection, a ring round a pole."""


class MapFileError(GeoError):
    """A map file that cannot be read; ``argument`` is the file."""

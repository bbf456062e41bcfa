"""H3 cells as uint64: over arrays, by ancestry, and as text in one form only."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import h3.api.numpy_int as h3
import numpy as np
from numpy.typing import ArrayLike, NDArray

from geo.errors import InvalidCellError, InvalidResolutionError
from geo.jit import H3_COMPILED
from geo.kernels import cells as kernels
from geo.kernels import encoding
from geo.metric import distance_m
from geo.places import check_latlng

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "ancestor_cells",
    "cell_boundary",
    "cell_centers",
    "cell_distance_m",
    "cell_from_text",
    "cell_to_text",
    "cells_union",
    "check_resolution",
    "latlng_to_cell_many",
    "parents",
]

FINEST_RESOLUTION = kernels.FINEST_RESOLUTION
_BASES = np.full(encoding.N_BASES, encoding.UNKNOWN, np.int16)  # filled as places come
_TEXT_FORM = re.compile(r"8[0-9a-f]{14}", re.ASCII)


def latlng_to_cell_many(lat: ArrayLike, lng: ArrayLike, resolution: int) -> NDArray[np.uint64]:
    """
    Return the H3 cell of each place, equal to H3's ``latLngToCell`` (direct, not by ancestry).

    Parameters
    ----------
    lat, lng
        Degrees, WGS 84, n of each; lng in [-180, 180].
    resolution
        0 to 15.

    Raises
    ------
    InvalidLatLngError
        If a value is not finite or out of range.
    InvalidResolutionError
        If the resolution is none.

    Examples
    --------
    >>> [hex(cell) for cell in latlng_to_cell_many([20.0], [123.0], 2)]
    ['0x824b9ffffffffff']
    """
    lats, lngs = check_latlng(lat, lng)
    out = np.empty(lats.shape[0], np.uint64)
    resolution = check_resolution(resolution)
    if resolution and H3_COMPILED:
        code = encoding.encode_on_faces(lats, lngs, resolution, _BASES, out)
    else:
        code = kernels.encode(lats, lngs, resolution, out)
    if code != 0:
        msg = f"H3 could not encode the places: error {code}"
        raise RuntimeError(msg)
    return out


def ancestor_cells(lat: ArrayLike, lng: ArrayLike, resolution: int) -> NDArray[np.uint64]:
    """
    Return the cell of each place by ancestry: encoded at resolution 15, then its parent.

    H3's hierarchy is not nested: 6 % of places lie in another cell when encoded coarsely. Everything that
    groups places by cell uses ancestry, so that a parent holds exactly what its children hold.

    Parameters
    ----------
    lat, lng
        Degrees, WGS 84, n of each.
    resolution
        0 to 15.

    Raises
    ------
    InvalidLatLngError, InvalidResolutionError
        As `latlng_to_cell_many`.
    """
    resolution = check_resolution(resolution)
    return parents(latlng_to_cell_many(lat, lng, FINEST_RESOLUTION), resolution)


def parents(cells: NDArray[np.uint64], resolution: int) -> NDArray[np.uint64]:
    """
    Return the ancestor of each cell, shape (n,), at a resolution no finer than any cell's.

    Raises
    ------
    InvalidResolutionError
        If the resolution is none, or finer than a cell's.
    """
    resolution = check_resolution(resolution)
    own = (cells >> np.uint64(52)) & np.uint64(0xF)
    if cells.size and int(own.min()) < resolution:
        position = int(own.argmin())
        text = f"must have a resolution of at least {resolution}, got {int(own[position])}"
        raise InvalidResolutionError("cells", text, position=position, value=int(cells[position]))
    mask = np.uint64((1 << (3 * (FINEST_RESOLUTION - resolution))) - 1)
    cleared = cells & np.uint64(~(0xF << 52) & (2**64 - 1))
    return cleared | np.uint64(resolution << 52) | mask


def check_resolution(resolution: object) -> int:
    """Return an H3 resolution from 0 to 15 or raise `InvalidResolutionError`."""
    whole = isinstance(resolution, int | np.integer) and not isinstance(resolution, bool)
    if not whole or not 0 <= int(resolution) <= FINEST_RESOLUTION:  # type: ignore[call-overload]
        text = f"must be a whole number from 0 to {FINEST_RESOLUTION}, got {resolution!r:.40}"
        raise InvalidResolutionError("resolution", text, value=resolution)
    return int(resolution)  # type: ignore[call-overload]


def cell_from_text(text: object, resolution: int | None = None, *, argument: str = "cell") -> int:
    """
    Return the H3 cell that a text names, written in its one form: 15 lower-case hexadecimal digits.

    Parameters
    ----------
    text
        Nothing but the digits: no prefix, no blank, no upper case, so that one cell has one key.
    resolution
        The resolution that it must have; None takes any.
    argument
        How the caller calls it, for the error.

    Raises
    ------
    InvalidCellError
        If it is not the text of an H3 cell.
    InvalidResolutionError
        If it is a cell of another resolution.
    """
    if not isinstance(text, str) or not _TEXT_FORM.fullmatch(text) or not h3.is_valid_cell(int(text, 16)):
        raise InvalidCellError(
            argument, f"must be an H3 cell of 15 lower-case hexadecimal digits, got {text!r:.40}", value=text
        )
    cell = int(text, 16)
    if resolution is not None and h3.get_resolution(cell) != check_resolution(resolution):
        expected = f"must be an H3 cell of resolution {resolution}, got {text} of {h3.get_resolution(cell)}"
        raise InvalidResolutionError(argument, expected, value=text)
    return cell


def cell_to_text(cell: int) -> str:
    """Return the one text form of a cell: 15 lower-case hexadecimal digits."""
    return f"{int(cell):015x}"


def cells_union(cells: Iterable[int]) -> NDArray[np.uint64]:
    """
    Return a list of cells of mixed resolution as one set: sorted, without those inside another of them.

    Raises
    ------
    InvalidCellError
        If a value is no H3 cell; the error names its position.
    """
    values = list(cells)
    _check_cells(values)
    kept = {int(cell) for cell in values}
    inside = {c for c in kept if any(h3.cell_to_parent(c, r) in kept for r in range(h3.get_resolution(c)))}
    return np.array(sorted(kept - inside), np.uint64)


def _check_cells(cells: Iterable[int]) -> None:
    for position, cell in enumerate(cells):
        _check_cell(cell, "cells", position)


def _check_cell(cell: int, argument: str, position: int | None = None) -> None:
    if not 0 <= int(cell) < 2**63 or not h3.is_valid_cell(int(cell)):
        raise InvalidCellError(argument, f"must be an H3 cell, got {cell!r:.40}", position=position, value=cell)


def cell_centers(cells: NDArray[np.uint64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """
    Return the centres of cells, shape (n,), as (lat, lng) in degrees.

    Raises
    ------
    InvalidCellError
        If a value is no H3 cell; the error names its position.
    """
    _check_cells(np.asarray(cells, object).tolist())  # H3 has a centre for many a number that is no cell
    return _centers(np.ascontiguousarray(cells, np.uint64))


def _centers(cells: NDArray[np.uint64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the centres of what are cells, for which H3 has no error."""
    lat, lng = np.empty((2, cells.shape[0]))
    kernels.centers(cells, lat, lng)
    return lat, lng


def cell_boundary(cell: int) -> NDArray[np.float64]:
    """Return the outline of a cell as (lat, lng) degrees, shape (m, 2), for drawing; membership is by ancestry."""
    return np.array(h3.cell_to_boundary(int(cell)))


def cell_distance_m(a: int, b: int) -> float:
    """
    Return the distance in metres between the centres of two cells, however far and across pentagons.

    Raises
    ------
    InvalidCellError
        If one is no H3 cell.
    """
    _check_cell(a, "a")
    _check_cell(b, "b")
    lat, lng = _centers(np.array([a, b], np.uint64))
    return float(distance_m(lat[:1], lng[:1], lat[1:], lng[1:])[0])

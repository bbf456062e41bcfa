"""Shapes across 180 degrees, in one piece where plane geometry is to tell their middle or their area."""

from __future__ import annotations

from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

__all__ = ["joined_at_180", "turned_back"]


def joined_at_180(shapes: Any) -> Any:
    """
    Return shapes in lng/lat degrees of which those across 180 degrees go on eastward, up to 360.

    Parameters
    ----------
    shapes
        One or an array. One that is wider than half the earth is taken for one across 180 degrees where it is
        narrower so; every other is left as it is.
    """
    widths = _widths(shapes)
    if not (widths > 180.0).any():
        return shapes
    joined = shapely.transform(shapes, _eastward)
    return np.where((widths > 180.0) & (_widths(joined) < widths), joined, shapes)[()]


def turned_back(lng: Any) -> Any:
    """Return longitudes up to 360 as those from -180 to 180."""
    return lng - 360.0 * (lng > 180.0)


def _widths(shapes: Any) -> NDArray[np.float64]:
    bounds = shapely.bounds(shapes)
    return np.asarray(bounds[..., 2] - bounds[..., 0])


def _eastward(lnglat: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.column_stack([lnglat[:, 0] % 360.0, lnglat[:, 1]])

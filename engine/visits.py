"""The order in which a batch of questions is answered: what one reads of the index, the next finds in the processor's caches."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.kernels import visits as kernels
from engine.kernels.state import MAY_BE_ONE, Asks
from engine.lean import taken
from engine.sorting import sorted_by

__all__ = ["along_curve", "in_visiting_order"]

MANY = 4096
"""A batch of fewer questions is answered as it comes: they are too far apart to share anything."""


def in_visiting_order(asks: Asks) -> tuple[Asks, NDArray[np.int32]]:
    """Return questions so that those near one another follow one another, their positions left to be filled, and which each is."""
    if asks.lat.size < MANY:
        return asks, np.arange(asks.lat.size, dtype=np.int32)
    order = along_curve(asks.lat, asks.lng)
    names = ("lat", "lng", *MAY_BE_ONE)
    return asks._replace(**{name: taken(getattr(asks, name), order) for name in names}), order


def along_curve(lat: NDArray[np.float64], lng: NDArray[np.float64]) -> NDArray[np.int32]:
    """
    Return the order in which Morton's curve over the box of all (Morton 1966) passes places, one at least.

    As fine as sorting by two digits allows: 200 000 places take 2 ms, and the nearest of each is then found in two
    thirds of the time.
    """
    key = np.empty(lat.size, np.uint64)
    kernels.curve_keys(lat, lng, float(lat.min()), float(lat.max()), float(lng.min()), float(lng.max()), key)
    return sorted_by(key)[0]

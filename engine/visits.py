"""The order in which a batch of questions is answered: what one reads of the index, the next finds in the processor's caches."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.kernels import visits as kernels
from engine.kernels.state import MAY_BE_ONE, Asks
from engine.lean import taken
from engine.sorting import sorted_by

__all__ = ["along_curve", "asks_in_order", "visiting_order"]

MANY = 4096
"""A batch of fewer questions is answered as it comes: they are too far apart to share anything."""


def visiting_order(lat: NDArray[np.float64], lng: NDArray[np.float64]) -> NDArray[np.int32]:
    """
    Return an order of places in which those near one another follow one another; of few places theirs.

    By Morton's curve over the box of all (Morton 1966), as fine as sorting by two digits allows: 200 000 places take
    2 ms, and the nearest of each is then found in two thirds of the time.
    """
    return along_curve(lat, lng) if lat.size >= MANY else np.arange(lat.size, dtype=np.int32)


def along_curve(lat: NDArray[np.float64], lng: NDArray[np.float64]) -> NDArray[np.int32]:
    """Return the order in which a curve over the box of all passes places, of which there is one at least."""
    key = np.empty(lat.size, np.uint64)
    kernels.curve_keys(lat, lng, float(lat.min()), float(lat.max()), float(lng.min()), float(lng.max()), key)
    return sorted_by(key)[0]


def asks_in_order(asks: Asks, order: NDArray[np.int32]) -> Asks:
    """Return questions in the order that is theirs, their positions left to be filled."""
    if asks.lat.size < MANY:
        return asks
    names = ("lat", "lng", *MAY_BE_ONE)
    return asks._replace(**{name: taken(getattr(asks, name), order) for name in names})

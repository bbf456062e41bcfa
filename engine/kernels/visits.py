"""Put questions that are near one another together, and their answers back where they were asked."""

import math

import numpy as np
from numpy.typing import NDArray

from engine.kernels.state import Best
from geo.jit import kernel
from geo.kernels.metric import told_distance_m

CURVE_BITS = 11  # of latitude and of longitude


@kernel
def _spread(bits: np.uint64) -> np.uint64:
    # Every second bit: of a number of up to 16 bits.
    bits = (bits | (bits << np.uint64(8))) & np.uint64(0x00FF00FF)
    bits = (bits | (bits << np.uint64(4))) & np.uint64(0x0F0F0F0F)
    bits = (bits | (bits << np.uint64(2))) & np.uint64(0x33333333)
    return (bits | (bits << np.uint64(1))) & np.uint64(0x55555555)


# Axes: q places.
@kernel
def curve_keys(
    lat: NDArray[np.float64],
    lng: NDArray[np.float64],
    south: float,
    north: float,
    west: float,
    east: float,
    key: NDArray[np.uint64],
) -> None:
    """Write where Morton's curve over a box passes each place of it: ``2 * CURVE_BITS`` bits each."""
    most = float((1 << CURVE_BITS) - 1)
    a_degree_north = most / (north - south) if north > south else 0.0
    a_degree_east = most / (east - west) if east > west else 0.0
    for i in range(lat.shape[0]):
        up = np.uint64((lat[i] - south) * a_degree_north)
        along = np.uint64((lng[i] - west) * a_degree_east)
        key[i] = (_spread(up) << np.uint64(1)) | _spread(along)


# Axes: q queries, k neighbours.
@kernel
def tell(
    best: Best,
    order: NDArray[np.int32],
    start: int,
    stop: int,
    row: NDArray[np.int64],
    distance_m: NDArray[np.float64],
) -> None:
    """Write what was found for the queries ``start`` to ``stop`` of an order to their places, inf where nothing was."""
    for query in range(start, stop):
        to = order[query]
        for at in range(row.shape[1]):
            chord_sq = best.chord_sq[query, at]
            row[to, at] = best.row[query, at]
            distance_m[to, at] = told_distance_m(chord_sq) if chord_sq < math.inf else math.inf

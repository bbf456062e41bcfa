"""H3 cells over arrays: encode, take parents, find centres."""

import math

import numpy as np
from numpy.typing import NDArray

from geo.jit import cell_to_latlng_rad, h3_kernel, latlng_rad_to_cell

FINEST_RESOLUTION = 15


# Axes: n places.
@h3_kernel
def encode(lat: NDArray[np.float64], lng: NDArray[np.float64], resolution: int, out: NDArray[np.uint64]) -> int:
    """
    Write the cell of each place by H3's own function; return H3's first error code, 0 if none.

    Parameters
    ----------
    lat, lng
        Degrees, each of shape (n,), finite and in range.
    resolution
        0 to 15.
    out
        Shape (n,).
    """
    latlng_rad = np.empty(2)
    cell = np.empty(1, np.uint64)
    for i in range(lat.shape[0]):
        latlng_rad[0] = math.radians(lat[i])
        latlng_rad[1] = math.radians(lng[i])
        code = latlng_rad_to_cell(latlng_rad, resolution, cell)
        if code != 0:
            return code
        out[i] = cell[0]
    return 0


@h3_kernel
def centers(cells: NDArray[np.uint64], lat: NDArray[np.float64], lng: NDArray[np.float64]) -> int:
    """Write the centre of each cell in degrees, all of shape (n,); return H3's first error code, 0 if none."""
    latlng_rad = np.empty(2)
    for i in range(cells.shape[0]):
        code = cell_to_latlng_rad(cells[i], latlng_rad)
        if code != 0:
            return code
        lat[i] = math.degrees(latlng_rad[0])
        lng[i] = math.degrees(latlng_rad[1])
    return 0

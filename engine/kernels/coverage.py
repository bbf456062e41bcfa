"""Weighted figures of distances, group by group."""

import math

import numpy as np
from numpy.typing import NDArray

from geo.jit import kernel

TOTAL, UNSERVED, MEAN, MEDIAN, P95, WORST = 0, 1, 2, 3, 4, 5
N_FIGURES = 6


@kernel
def _quantile(
    first: int, weight: NDArray[np.float64], distance_m: NDArray[np.float64], scale: float, goal: float
) -> float:
    """Return the first distance from a row on whose cumulative weight, times the scale, reaches the goal."""
    row = first
    reached = weight[row]
    while scale * reached < goal:
        row += 1
        reached += weight[row]
    return float(distance_m[row])


# Axes: n demand rows, g groups, b bands.
@kernel
def group_figures(
    starts: NDArray[np.int64],
    weight: NDArray[np.float64],
    distance_m: NDArray[np.float64],
    bands_m: NDArray[np.float64],
    out_within: NDArray[np.float64],
    out: NDArray[np.float64],
) -> None:
    """
    Write the weight within each band and the figures of each group of rows.

    Parameters
    ----------
    starts
        First row of each group, shape (g + 1,), the last being n; ascending, a group may be empty.
    weight
        Shape (n,), finite and above 0.
    distance_m
        Shape (n,), ascending within a group, inf where nothing serves the row.
    bands_m
        Limits, inclusive, shape (b,).
    out_within
        Shape (g, b).
    out
        Shape (g, N_FIGURES), columns as the constants above; NaN where a group has nothing that is served.

    Notes
    -----
    A quantile is the first distance whose cumulative weight reaches the share of what is served; the shares are
    compared as products of whole numbers, so that whole weights meet them exactly. Sums run in the order of the
    rows. O(n * b), no allocation. Brute-force twin: `brute_figures`.
    """
    for group in range(starts.shape[0] - 1):
        first = starts[group]
        served_weight = 0.0
        unserved_weight = 0.0
        moment = 0.0
        out[group, :] = math.nan
        out_within[group, :] = 0.0
        for row in range(first, starts[group + 1]):
            if distance_m[row] == math.inf:
                unserved_weight += weight[row]
                continue
            served_weight += weight[row]
            moment += weight[row] * distance_m[row]
            out[group, WORST] = distance_m[row]
            for band in range(bands_m.shape[0]):
                if distance_m[row] <= bands_m[band]:
                    out_within[group, band] += weight[row]
        out[group, TOTAL] = served_weight + unserved_weight
        out[group, UNSERVED] = unserved_weight
        if served_weight > 0.0:
            out[group, MEAN] = moment / served_weight
            out[group, MEDIAN] = _quantile(first, weight, distance_m, 2.0, served_weight)
            out[group, P95] = _quantile(first, weight, distance_m, 20.0, 19.0 * served_weight)

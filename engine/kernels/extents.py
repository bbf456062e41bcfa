"""Tell where on the faces of the icosahedron rows lie, so that their cells can be shared out."""

import math

import numpy as np
from numpy.typing import NDArray

from geo.jit import kernel
from geo.kernels.lattice import HALF_SQRT_3, face_of, in_spacings, on_face
from geo.kernels.metric import ECCENTRICITY_SQ


# Axes: n rows.
@kernel
def extents(xyz: NDArray[np.float64], start: int, stop: int, out: NDArray[np.float64]) -> None:
    """
    Write for each face how many of the rows from ``start`` to ``stop`` lie on it, and within which i and j.

    ``out`` has shape (20, 2, 5): count, least i, most i, least j, most j, at resolutions 0 and 1.
    """
    out[:, :, 0] = 0.0
    out[:, :, 1] = out[:, :, 3] = math.inf
    out[:, :, 2] = out[:, :, 4] = -math.inf
    face = 0
    for row in range(start, stop):
        x, y, z = xyz[row, 0], xyz[row, 1], xyz[row, 2] / (1.0 - ECCENTRICITY_SQ)
        face = face_of(x, y, z, face)
        px, py = on_face(face, x, y, z)
        for turned in range(2):
            u, v = in_spacings(px, py, turned)
            j = v / HALF_SQRT_3
            i = u + 0.5 * j
            box = out[face, turned]
            box[0] += 1.0
            box[1] = min(box[1], i)
            box[2] = max(box[2], i)
            box[3] = min(box[3], j)
            box[4] = max(box[4], j)


# Axes: n rows.
@kernel
def along(
    xyz: NDArray[np.float64], start: int, stop: int, step: int, face: int, resolution: int, out: NDArray[np.float64]
) -> int:
    """Write i at a resolution of every so manyth row from ``start`` to ``stop`` that lies on a face; return how many."""
    found = 0
    at = face
    for row in range(start, stop, step):
        x, y, z = xyz[row, 0], xyz[row, 1], xyz[row, 2] / (1.0 - ECCENTRICITY_SQ)
        at = face_of(x, y, z, at)
        if at == face and found < out.shape[0]:
            px, py = on_face(face, x, y, z)
            u, v = in_spacings(px, py, resolution)
            out[found] = u + 0.5 * v / HALF_SQRT_3
            found += 1
    return found

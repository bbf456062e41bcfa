"""H3 cells of places from the lattices on the faces: H3's own function is asked only where rounding could decide."""

import math

import numpy as np
from numpy.typing import NDArray

from geo.jit import h3_kernel, inlined_kernel, kernel, latlng_rad_to_cell
from geo.kernels.cells import FINEST_RESOLUTION
from geo.kernels.lattice import FRAMES, HALF_SQRT_3, N_FACES, in_spacings, nearest_center, on_face
from geo.kernels.metric import sine_and_cosine

UNKNOWN, NEVER = -1, -2
N_MIDDLES = 7  # of cells at resolution 0 along i and along j of a face, those outside among them
N_BASES = N_FACES * N_MIDDLES * N_MIDDLES * 8
_EDGE = 0.5 - 1e-3
"""In spacings from a cell's middle: beyond it H3 may round to the neighbour. Its own error is under a millionth."""
_FACE_DOUBT = 1e-9
_NEAR_MIDDLE_SQ = 1e-6
"""Of the distance from a face's middle, in spacings of resolution 0: there H3's arc cosine loses half its digits."""
# The digit of a child by its offset from its parent's middle: (offset along i + 1) * 3 + offset along j + 1.
_DIGIT = np.array([1, 3, 7, 5, 0, 2, 7, 4, 6, 7, 7, 7, 7, 7, 7, 7], np.int64)
_TURNED = (0, 5, 3, 1, 6, 4, 2, 7)  # each digit, a sixth of a turn on


def _turns() -> NDArray[np.uint64]:
    """Return for 0 to 5 sixths of a turn, and three digits in nine bits, the digits after it."""
    digits = np.arange(8)
    out = np.empty((6, 512), np.uint64)
    for turn in range(6):
        out[turn] = (digits[:, None, None] * 64 + digits[:, None] * 8 + digits).ravel()
        digits = np.array(_TURNED)[digits]
    return out


_TURNS = _turns()


@kernel
def _turned(word: np.uint64, turn: int) -> np.uint64:
    out = np.uint64(0)
    for group in range(5):
        shift = np.uint64(9 * group)
        out |= _TURNS[turn, np.int64((word >> shift) & np.uint64(511))] << shift
    return out


@kernel
def _sevenths(number: int) -> int:
    # The whole number nearest to a seventh of one under 2^27: a product instead of a division.
    return (((number + 3 + 7 * (1 << 26)) * 613_566_757) >> 32) - (1 << 26)


@kernel
def _face_beyond_doubt(x: float, y: float, z: float) -> int:
    largest = second = -2.0
    face = 0
    for other in range(N_FACES):
        along = FRAMES[other, 0, 0] * x + FRAMES[other, 0, 1] * y + FRAMES[other, 0, 2] * z
        if along > largest:
            second = largest
            largest = along
            face = other
        elif along > second:
            second = along
    return face if largest - second > _FACE_DOUBT else -1


@inlined_kernel
def _on_lattice(face: int, x: float, y: float, z: float, resolution: int) -> tuple[int, np.uint64]:
    # Which cell of resolution 0 of a face holds a direction, with the first digit below that is not 0: -1 where in
    # doubt. And all digits, not turned. Round pentagons the turn depends on that first digit, else on the cell alone.
    px, py = on_face(face, x, y, z)
    u, v = in_spacings(px, py, resolution)
    nearest_i, nearest_j = nearest_center(u, v)
    dx, dy = u - (nearest_i - 0.5 * nearest_j), v - nearest_j * HALF_SQRT_3
    off = max(abs(dx), abs(0.5 * dx + HALF_SQRT_3 * dy), abs(-0.5 * dx + HALF_SQRT_3 * dy))
    i, j = int(nearest_i), int(nearest_j)
    word, first = np.uint64(0), 0
    for level in range(resolution, 0, -1):
        if level & 1:
            up_i, up_j = _sevenths(3 * i - j), _sevenths(i + 2 * j)
            off_i, off_j = i - (2 * up_i + up_j), j - (3 * up_j - up_i)
        else:
            up_i, up_j = _sevenths(2 * i + j), _sevenths(3 * j - i)
            off_i, off_j = i - (3 * up_i - up_j), j - (up_i + 2 * up_j)
        digit = int(_DIGIT[((off_i + 1) * 3 + off_j + 1) & 15])
        word |= np.uint64(digit) << np.uint64(3 * (FINEST_RESOLUTION - level))
        first = digit if digit != 0 else first
        i, j = up_i, up_j
    half = N_MIDDLES // 2
    clear = off < _EDGE and px * px + py * py > _NEAR_MIDDLE_SQ and abs(i) <= half and abs(j) <= half
    at = ((face * N_MIDDLES + i + half) * N_MIDDLES + j + half) * 8 + first
    return at if clear else -1, word


@kernel
def _learnt(word: np.uint64, unused: np.uint64, cell: np.uint64) -> int:
    # The base cell of a place's face and how its digits are turned, from a place whose cell H3 told.
    base = int((cell >> np.uint64(45)) & np.uint64(127))
    for turn in range(6):
        if (_turned(word, turn) | unused) == (cell & np.uint64((1 << 45) - 1)):
            return base * 8 + turn
    return NEVER


# Axes: n places.
@h3_kernel
def encode_on_faces(
    lat: NDArray[np.float64],
    lng: NDArray[np.float64],
    resolution: int,
    bases: NDArray[np.int16],
    out: NDArray[np.uint64],
) -> int:
    """
    Write the cell of each place as H3's own function gives it; return H3's first error code, 0 if none.

    Parameters
    ----------
    lat, lng
        Degrees, each of shape (n,), finite and in range.
    resolution
        1 to 15.
    bases
        int16[N_BASES], `UNKNOWN` at first: what H3 told about the cells of resolution 0 that stand on each face.
        Several threads may fill it, with the same.
    out
        Shape (n,).

    Notes
    -----
    A place is projected on its face without trigonometry beyond sines and cosines, and its cell's digits read off the
    lattice, as H3 does. Near an edge of a cell or of a face, and near a face's middle, 1 place in 200, H3 is asked.
    """
    latlng_rad = np.empty(2)
    cell = np.empty(1, np.uint64)
    unused = np.uint64((1 << (3 * (FINEST_RESOLUTION - resolution))) - 1)
    head = (np.uint64(1) << np.uint64(59)) | (np.uint64(resolution) << np.uint64(52)) | unused
    for row in range(lat.shape[0]):
        sin_lat, cos_lat = sine_and_cosine(lat[row])
        sin_lng, cos_lng = sine_and_cosine(lng[row])
        x, y, z = cos_lat * cos_lng, cos_lat * sin_lng, sin_lat
        face = _face_beyond_doubt(x, y, z)
        at, word = _on_lattice(max(face, 0), x, y, z, resolution)
        known = int(bases[at]) if face >= 0 and at >= 0 else NEVER
        if known >= 0:
            out[row] = head | (np.uint64(known >> 3) << np.uint64(45)) | _turned(word, known & 7)
            continue
        latlng_rad[0] = math.radians(lat[row])
        latlng_rad[1] = math.radians(lng[row])
        code = latlng_rad_to_cell(latlng_rad, resolution, cell)
        if code != 0:
            return code
        out[row] = cell[0]
        if known == UNKNOWN:
            bases[at] = _learnt(word, unused, cell[0])
    return 0

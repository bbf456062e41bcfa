"""H3 cells as a lattice of hexagons on the faces of the icosahedron: by dot products, without trigonometry."""

import math

import numpy as np
from numpy.typing import NDArray

from geo.jit import kernel
from geo.kernels.metric import ECCENTRICITY_SQ, SEMI_MAJOR_M

N_FACES = 20
FINEST_RESOLUTION = 15
SQRT_3 = math.sqrt(3.0)
HALF_SQRT_3 = SQRT_3 / 2.0

# Uber's H3, src/h3lib/lib/faceijk.c: centres of the faces (latitude and longitude in radians) and the
# azimuth of each face's i axis at class II resolutions.
_CENTRES = np.array(
    [
        (0.803582649718989942, 1.248397419617396099),
        (1.307747883455638156, 2.536945009877921159),
        (1.054751253523952054, -1.347517358900396623),
        (0.600191595538186799, -0.450603909469755746),
        (0.491715428198773866, 0.401988202911306943),
        (0.172745327415618701, 1.678146885280433686),
        (0.605929321571350690, 2.953923329812411617),
        (0.427370518328979641, -1.888876200336285401),
        (-0.079066118549212831, -0.733429513380867741),
        (-0.230961644455383637, 0.506495587332349035),
        (0.079066118549212831, 2.408163140208925497),
        (0.230961644455383637, -2.635097066257444203),
        (-0.172745327415618701, -1.463445768309359553),
        (-0.605929321571350690, -0.187669323777381622),
        (-0.427370518328979641, 1.252716453253507838),
        (-0.600191595538186799, 2.690988744120037492),
        (-0.491715428198773866, -2.739604450678486295),
        (-0.803582649718989942, -1.893195233972397139),
        (-1.307747883455638156, -0.604647643711872080),
        (-1.054751253523952054, 1.794075294689396615),
    ]
)
_I_AZIMUTHS = np.array(
    [
        5.619958268523939882,
        5.760339081714187279,
        0.780213654393430055,
        0.430469363979999913,
        6.130269123335111400,
        2.692877706530642877,
        2.982963003477243874,
        3.532912002790141181,
        3.494305004259568154,
        3.003214169499538391,
        5.930472956509811562,
        0.138378484090254847,
        0.448714947059150361,
        0.158629650112549365,
        5.891865957979238535,
        2.711123289609793325,
        3.294508837434268316,
        3.804819692245439833,
        3.664438879055192436,
        2.361378999196363184,
    ]
)
_CLASS_III_TURN = 0.333473172251832115336090755351601070065900389  # radians, asin(sqrt(3 / 28))
_COS_TURN, _SIN_TURN = math.cos(_CLASS_III_TURN), math.sin(_CLASS_III_TURN)
_SPACING = 0.38196601125010500003  # of cell centres at resolution 0, on a face's plane at distance 1
_LARGEST_CURVATURE_M = 6_399_594.0  # radius of curvature of the ellipsoid at a pole, rounded up
SPACING_M = _SPACING * _LARGEST_CURVATURE_M
"""No two places are farther apart in metres than their distance on a face's plane, in spacings, times this."""

IN_FACE_SQ = 0.8727  # of the cosine to the centre: nearer than that no other face's centre can be


def _frames() -> NDArray[np.float64]:
    lat, lng = _CENTRES.T
    outward = np.stack([np.cos(lat) * np.cos(lng), np.cos(lat) * np.sin(lng), np.sin(lat)], axis=1)
    north = np.stack([-np.sin(lat) * np.cos(lng), -np.sin(lat) * np.sin(lng), np.cos(lat)], axis=1)
    east = np.stack([-np.sin(lng), np.cos(lng), np.zeros(N_FACES)], axis=1)

    def at(azimuth: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.cos(azimuth)[:, None] * north + np.sin(azimuth)[:, None] * east

    return np.stack([outward, at(_I_AZIMUTHS), at(_I_AZIMUTHS - math.pi / 2.0)], axis=1)


FRAMES = _frames()  # face, axis (outward, x, y), coordinate
SCALES = 7.0 ** (np.arange(FINEST_RESOLUTION + 1) / 2.0)  # spacings of resolution 0 in one of each resolution


@kernel
def face_of(x: float, y: float, z: float, guess: int) -> int:
    """Return the face whose centre is nearest to a direction of any length; quick where ``guess`` is right."""
    largest = FRAMES[guess, 0, 0] * x + FRAMES[guess, 0, 1] * y + FRAMES[guess, 0, 2] * z
    face = guess
    if not (largest > 0.0 and largest * largest > IN_FACE_SQ * (x * x + y * y + z * z)):
        for other in range(N_FACES):
            along = FRAMES[other, 0, 0] * x + FRAMES[other, 0, 1] * y + FRAMES[other, 0, 2] * z
            if along > largest:
                largest = along
                face = other
    return face


@kernel
def on_face(face: int, x: float, y: float, z: float) -> tuple[float, float]:
    """Return where a direction meets a face's plane, in spacings of resolution 0."""
    inverse = 1.0 / ((FRAMES[face, 0, 0] * x + FRAMES[face, 0, 1] * y + FRAMES[face, 0, 2] * z) * _SPACING)
    along_x = FRAMES[face, 1, 0] * x + FRAMES[face, 1, 1] * y + FRAMES[face, 1, 2] * z
    along_y = FRAMES[face, 2, 0] * x + FRAMES[face, 2, 1] * y + FRAMES[face, 2, 2] * z
    return along_x * inverse, along_y * inverse


@kernel
def spacing_m_at(face: int, x: float, y: float, z: float) -> float:
    """
    Return how many metres a spacing of resolution 0 stands for at most at a place on a face.

    x, y and z are its earth-centred position in metres, z divided by ``1 - ECCENTRICITY_SQ``: as long as the radius
    of curvature there. A plane that touches a sphere shows all lengths too large, by the cosine at least.
    """
    along = FRAMES[face, 0, 0] * x + FRAMES[face, 0, 1] * y + FRAMES[face, 0, 2] * z
    return along * (_SPACING * _LARGEST_CURVATURE_M / SEMI_MAJOR_M)


@kernel
def farthest_m(spacings: float, spacing_m: float) -> float:
    """Return how far in metres two places may be that are so many spacings of resolution 0 apart on a face's plane."""
    # From the one place, where `spacing_m_at` was told, towards the middle of the face the cosine grows.
    return spacings * spacing_m * (1.0 + spacings * _SPACING)


@kernel
def in_spacings(px: float, py: float, resolution: int) -> tuple[float, float]:
    """Turn and scale a place on a plane to the axes and spacings of a resolution (odd ones are turned)."""
    scale = SCALES[resolution]
    if resolution & 1:
        return (px * _COS_TURN + py * _SIN_TURN) * scale, (py * _COS_TURN - px * _SIN_TURN) * scale
    return px * scale, py * scale


@kernel
def nearest_center(x: float, y: float) -> tuple[float, float]:
    """Return i and j, whole numbers, of the hexagon that holds a place in spacings of its resolution."""
    j = y * (1.0 / HALF_SQRT_3)
    i = x + 0.5 * j
    q = i - j
    whole_q = np.floor(q + 0.5)
    whole_j = np.floor(j + 0.5)
    whole_s = np.floor(0.5 - i)
    off_q = abs(whole_q - q)
    off_j = abs(whole_j - j)
    off_s = abs(whole_s + i)
    q_worst = off_q > off_j and off_q > off_s
    j_worst = not q_worst and off_j > off_s
    out_j = -whole_q - whole_s if j_worst else whole_j
    out_s = whole_s if q_worst or j_worst else -whole_q - whole_j
    return -out_s, out_j


@kernel
def center_at(i: float, j: float, resolution: int) -> tuple[float, float]:
    """Return a hexagon's centre on its face's plane, in spacings of resolution 0."""
    x = (i - 0.5 * j) / SCALES[resolution]
    y = j * HALF_SQRT_3 / SCALES[resolution]
    if resolution & 1:
        return x * _COS_TURN - y * _SIN_TURN, y * _COS_TURN + x * _SIN_TURN
    return x, y


@kernel
def ecef_of(face: int, px: float, py: float) -> tuple[float, float, float]:
    """Return the earth-centred position, in metres, of a place on a face's plane."""
    x = FRAMES[face, 0, 0] + (FRAMES[face, 1, 0] * px + FRAMES[face, 2, 0] * py) * _SPACING
    y = FRAMES[face, 0, 1] + (FRAMES[face, 1, 1] * px + FRAMES[face, 2, 1] * py) * _SPACING
    z = FRAMES[face, 0, 2] + (FRAMES[face, 1, 2] * px + FRAMES[face, 2, 2] * py) * _SPACING
    inverse = 1.0 / math.sqrt(x * x + y * y + z * z)
    sin_lat = z * inverse
    normal_m = SEMI_MAJOR_M / math.sqrt(1.0 - ECCENTRICITY_SQ * sin_lat * sin_lat)
    return normal_m * x * inverse, normal_m * y * inverse, normal_m * (1.0 - ECCENTRICITY_SQ) * sin_lat

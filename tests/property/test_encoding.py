"""Cells read off the faces' lattices equal H3's own, where its cells are odd and where rounding could decide."""

import h3.api.numpy_int as h3
import numba
import numpy as np
import pytest

from geo.kernels import cells, encoding
from geo.kernels.lattice import FRAMES, N_FACES

COMPILED = not numba.config.DISABLE_JIT
SHARE = 1 if COMPILED else 100


def _sphere(rng, n):
    return np.stack([np.degrees(np.arcsin(rng.uniform(-1, 1, n))), rng.uniform(-180, 180, n)], axis=1)


def _round(rng, places, spread_deg, each):
    near = np.repeat(np.asarray(places), each, axis=0)
    off = rng.normal(size=near.shape) * spread_deg
    off[:, 1] /= np.maximum(0.02, np.cos(np.radians(near[:, 0])))
    near = near + off
    return np.stack([np.clip(near[:, 0], -90, 90), (near[:, 1] + 180.0) % 360.0 - 180.0], axis=1)


def _pentagons(rng, resolution):
    return np.concatenate(
        [
            _round(rng, [h3.cell_to_latlng(cell) for cell in h3.get_pentagons(at)], 60.0 / 7 ** (at / 2), 1200 // SHARE)
            for at in {0, min(1, resolution), min(4, resolution), resolution}
        ]
    )


def _faces(rng, _):
    """Middles of faces, and where two and three meet."""
    outward = FRAMES[:, 0]
    sums = [outward]
    for one in range(N_FACES):
        near = outward[outward @ outward[one] > 0.7]
        sums += [near + outward[one], [near.sum(axis=0)]]
    direction = np.concatenate(sums)
    direction /= np.linalg.norm(direction, axis=1)[:, None]
    middles = np.degrees(np.stack([np.arcsin(direction[:, 2]), np.arctan2(direction[:, 1], direction[:, 0])], axis=1))
    each = max(1, 100 // SHARE)
    return np.concatenate([_round(rng, middles, spread, each) for spread in (0.0, 1e-12, 1e-9, 1e-6, 1e-2, 1.0)])


def _edges(rng, resolution):
    """Corners of cells, middles of their edges, and their own, and hardly beside."""
    places = []
    for lat, lng in _sphere(rng, 600 // SHARE):
        cell = h3.latlng_to_cell(lat, lng, resolution)
        corners = np.array(h3.cell_to_boundary(cell))
        if np.ptp(corners[:, 1]) < 180.0:
            places += [corners, (corners + np.roll(corners, 1, axis=0)) / 2, [h3.cell_to_latlng(cell)]]
    places = np.concatenate(places)
    return np.concatenate([_round(rng, places, spread, 1) for spread in (0.0, 1e-13, 1e-10, 1e-8, 1e-6)])


PLACES = {
    "sphere": lambda rng, _: _sphere(rng, 60_000 // SHARE),
    "pentagons": _pentagons,
    "faces": _faces,
    "edges": _edges,
    "poles": lambda rng, _: np.stack([np.repeat([90.0, -90.0], 50), rng.uniform(-180, 180, 100)], axis=1),
}


@pytest.mark.parametrize("resolution", [1, 2, 5, 8, 11, 14, 15])
@pytest.mark.parametrize("name", PLACES)
def test_encode_on_faces__equals_h3(name, resolution):
    places = PLACES[name](np.random.default_rng(resolution), resolution)
    lat, lng = np.ascontiguousarray(places.T)
    bases, wanted = np.full(encoding.N_BASES, encoding.UNKNOWN, np.int16), np.empty(lat.size, np.uint64)
    if COMPILED:
        wanted[:] = [h3.latlng_to_cell(*place, resolution) for place in places]
    else:  # interpreted, H3 gets degrees that were radians: on an edge that may decide
        assert cells.encode(lat, lng, resolution, wanted) == 0
    for _ in range(2):  # H3 is asked for every first, then hardly
        found = np.zeros(lat.size, np.uint64)
        assert encoding.encode_on_faces(lat, lng, resolution, bases, found) == 0
        assert (found == wanted).all()
    assert (bases != encoding.NEVER).all()


def test_encode_on_faces__asks_h3_for_few():
    n = 20_000 // SHARE
    lat, lng = np.ascontiguousarray(_sphere(np.random.default_rng(0), n).T)
    bases, out = np.full(encoding.N_BASES, encoding.UNKNOWN, np.int16), np.empty(n, np.uint64)
    for _ in range(3):
        encoding.encode_on_faces(lat, lng, 15, bases, out)
    learnt = np.flatnonzero(bases >= 0)
    assert learnt.size > min(800, n // 4)
    bases[learnt] ^= 1  # other turns: wrong wherever H3 is not asked
    wrong = np.empty(n, np.uint64)
    encoding.encode_on_faces(lat, lng, 15, bases, wrong)
    assert (wrong != out).mean() > 0.97

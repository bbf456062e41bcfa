"""Rows sorted by numbers: as NumPy's stable sort, however many and however alike they are."""

import numba
import numpy as np
import pytest

from engine import Engine
from engine.sorting import sorted_by

MANY = 40_000 if not numba.config.DISABLE_JIT else 2_000


@pytest.mark.parametrize("n", [0, 1, 2, 511, 512, MANY])
@pytest.mark.parametrize("highest", [0, 3, 2**11 - 1, 2**11, 2**52 - 1, 2**64 - 1])
def test_sorted_by__is_stable(n, highest):
    rng = np.random.default_rng(n)
    key = rng.integers(0, highest, n, np.uint64, endpoint=True)
    key[: n // 3] = key[n // 2 : n // 2 + n // 3]
    before = key.copy()
    rows, in_order = sorted_by(key)
    assert (rows == np.argsort(key, kind="stable")).all()
    assert (in_order == key[rows]).all()
    assert (key == before).all()


@pytest.mark.parametrize("n_offers", [1, 3, 5_000])
def test_build__orders_rows_by_offer_and_then_cell(n_offers):
    n = 6_000
    rng = np.random.default_rng(n_offers)
    offers = [f"a/m{number}" for number in rng.permutation(np.arange(n) % n_offers)]
    lat, lng = rng.normal(60.0, 0.1, n), rng.normal(25.0, 0.1, n)
    engine = Engine.from_columns([f"p{row}" for row in range(n)], offers, lat, lng)
    asked = rng.integers(n, size=50)
    found = engine.nearest_many(lat[asked], lng[asked], [offers[row] for row in asked])
    assert (found.row[:, 0] == asked).all()

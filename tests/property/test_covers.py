"""The best cover equals every set tried, whatever lies at one distance, and is found in few steps where many keep much."""

from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import covers
from engine.covers import Keepers, TooManyStepsError, best_cover
from tests.scale import scaled


def random_keepers(rng, n, n_lines, share, step_m=0.0):
    """Up to n keepers of a share of the lines each, no two of the same; their distances are whole steps, if any."""
    bits = 1 << np.arange(n_lines, dtype=np.int64)
    lines = rng.permutation(np.unique(((rng.random((n, n_lines)) < share) * bits).sum(axis=1)))
    lines = lines[lines != 0]
    metres = 3000 * np.sqrt(rng.random(lines.size))
    if step_m:
        metres = np.round(metres / step_m) * step_m
    return Keepers(lines, metres, rng.permutation(lines.size), np.arange(lines.size))


def brute_cover(keepers, n_lines, most):
    """Rows of the best cover, nearest first, by trying every set of up to so many."""
    columns = (keepers.metres, keepers.rank, keepers.lines, keepers.row)
    able = sorted(zip(*(column.tolist() for column in columns), strict=True))
    for n in range(1, most + 1):
        found = [
            (sum(Fraction(metres) for metres, *_ in some), [rank for _, rank, *_ in some], [row for *_, row in some])
            for some in combinations(able, n)
            if np.bitwise_or.reduce([lines for _, _, lines, _ in some]) == (1 << n_lines) - 1
        ]
        if found:
            return min(found)[-1]
    return []


@settings(max_examples=scaled(3000), deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(0, 13),
    n_lines=st.integers(1, 9),
    most=st.integers(1, 5),
    step_m=st.sampled_from([0.0, 1000.0, 9000.0]),
)
def test_best_cover__equals_every_set_tried(seed, n, n_lines, most, step_m):
    rng = np.random.default_rng(seed)
    keepers = random_keepers(rng, n, n_lines, rng.choice([0.2, 0.4, 0.6]), step_m)
    assert best_cover(keepers, n_lines, most).row.tolist() == brute_cover(keepers, n_lines, most)


HARD = [
    (800, 50, 0.25, 3, 0, 10_000_000),  # none, and long to see
    (800, 62, 0.4, 3, 3, 10_000_000),
    (3000, 50, 0.3, 3, 3, 200_000_000),
    (10_000, 50, 0.2, 2, 0, 200_000),
    (10_000, 50, 0.5, 3, 2, 20_000_000),
    (100, 40, 0.2, 8, 5, 100_000_000),
]


@pytest.mark.parametrize(("n", "n_lines", "share", "most", "n_points", "n_steps"), HARD)
def test_best_cover__of_many_that_keep_much_takes_few_steps(n, n_lines, share, most, n_points, n_steps, monkeypatch):
    monkeypatch.setattr(covers, "MAX_STEPS", n_steps)
    found = best_cover(random_keepers(np.random.default_rng(3), n, n_lines, share), n_lines, most)
    assert found.row.size == n_points
    if n_points:
        assert np.bitwise_or.reduce(found.lines) == (1 << n_lines) - 1


def test_best_cover__is_given_up_after_its_most_steps(monkeypatch):
    keepers = random_keepers(np.random.default_rng(3), 800, 50, 0.25)
    monkeypatch.setattr(covers, "MAX_STEPS", 1_000_000)
    with pytest.raises(TooManyStepsError):
        best_cover(keepers, 50, 3)

"""Pages of units that versions share."""

import numpy as np

from engine.kernels.state import PAGE_ROWS, units_left
from engine.units import UnitPages, flat_units, paged_units


def test_paged_units__come_back_flat():
    for n in (0, 1, PAGE_ROWS, PAGE_ROWS + 1):
        flat = np.arange(n, dtype=np.int64)
        assert flat_units(paged_units(flat), n).tolist() == flat.tolist()
        assert UnitPages.of(flat).flat().tolist() == flat.tolist()


def test_unit_pages__every_version_keeps_its_own_units():
    rng = np.random.default_rng(5)
    flat = rng.integers(0, 9, 3 * PAGE_ROWS + 7)
    versions = [(UnitPages.of(flat), flat)]
    for step in range(60):
        pages, flat = versions[-1][0], versions[-1][1].copy()
        if step % 3:
            rows = rng.integers(0, flat.size, 40)
            units = rng.integers(-1, 99, 40)
            for row, left in zip(rows, units, strict=True):  # the last of a row counts
                flat[row] = left
            pages = pages.with_units(rows, units)
        else:
            start = int(rng.integers(0, flat.size))
            tail = rng.integers(0, 9, int(rng.integers(0, 2 * PAGE_ROWS)))
            flat = np.concatenate([flat[:start], tail])
            pages = pages.with_tail(start, tail)
            if flat.size < PAGE_ROWS:
                grown = np.zeros(2 * PAGE_ROWS, np.int64)
                pages, flat = pages.with_tail(flat.size, grown), np.concatenate([flat, grown])
        versions.append((pages, flat))
    for pages, flat in versions:
        assert np.array_equal(pages.flat(), flat)
        rows = np.arange(0, flat.size, 97)
        assert np.array_equal(pages.of_rows(rows), flat[rows])
        assert [units_left(pages.searched, row) for row in rows[:5]] == flat[rows[:5]].tolist()


def test_unit_pages__a_pool_stays_small():
    pages = UnitPages.of(np.zeros(10 * PAGE_ROWS, np.int64))
    for i in range(1000):
        pages = pages.with_units(np.array([i % 10 * PAGE_ROWS]), np.array([i]))
    assert pages.left.shape[0] <= 2 * (10 + 1)  # pages, and the one that is written
    assert pages.flat()[::PAGE_ROWS].tolist() == list(range(990, 1000))


def test_unit_pages__no_change_writes_into_pages_it_was_given():
    given = paged_units(np.arange(5)).left
    given.flags.writeable = False
    pages = UnitPages.around(given, 5)
    assert pages.with_units(np.empty(0, np.int64), np.empty(0, np.int64)).flat().tolist() == [0, 1, 2, 3, 4]
    assert pages.with_tail(5, np.empty(0, np.int64)).flat().tolist() == [0, 1, 2, 3, 4]
    assert pages.with_units(np.array([2]), np.array([9])).flat().tolist() == [0, 1, 9, 3, 4]
    assert given[0, :5].tolist() == [0, 1, 2, 3, 4]


def test_unit_pages__know_whether_any_row_has_a_limit():
    pages = UnitPages.of(np.full(3, -1))
    assert not pages.has_limit
    assert pages.with_units(np.array([1]), np.array([0])).has_limit
    assert pages.with_tail(3, np.array([4])).has_limit
    assert not pages.with_tail(3, np.array([-1])).has_limit

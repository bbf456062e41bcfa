"""Columns in the memory of one element, what they cost, and who may be given them."""

import datetime as dt

import numpy as np
import pytest

from engine import Engine
from engine.kernels.state import PAGE_ROWS
from engine.lean import is_repeated, lean, taken
from engine.packing import arrays_of, pack
from engine.units import UnitPages

OFFER = "a/b"
NOW = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)


def _engine(n, **columns):
    return Engine.from_columns([f"p{row}" for row in range(n)], [OFFER] * n, np.linspace(1, 2, n), [0.0] * n, **columns)


def _n_bytes(engine):
    arrays = [array for array, _ in arrays_of(engine._snapshot.searched)]
    return sum(array.itemsize if is_repeated(array) else array.nbytes for array in arrays)


def test_lean__keeps_the_values():
    alike, other = np.full(5, 7, np.int32), np.array([7, 7, 1, 7], np.int32)
    assert is_repeated(lean(alike))
    assert lean(alike).tolist() == alike.tolist()
    assert lean(alike).dtype == np.int32
    assert lean(other) is other
    assert lean(np.empty(0)).size == 0
    assert taken(lean(alike), np.array([4, 0])).tolist() == [7, 7]
    assert taken(other, np.array([2, 0])).tolist() == [1, 7]


def test_pack__refuses_one_element_seen_often_where_kernels_read_rows():
    engine = _engine(30)
    part = engine._snapshot.base.part
    assert is_repeated(part.lead_s)
    pack(part)
    with pytest.raises(ValueError, match="contiguous"):
        pack(part._replace(row=np.broadcast_to(np.int32(0), 30)))
    with pytest.raises(ValueError, match="contiguous"):
        pack((np.broadcast_to(np.int64(0), 30),))


def test_engine__pays_for_what_rows_have_of_their_own():
    n = 5 * PAGE_ROWS
    plain = _n_bytes(_engine(n))
    assert plain < 60 * n
    assert _n_bytes(_engine(n, lead_s=list(range(n)))) - plain == 4 * (n - 1)


@pytest.mark.parametrize("is_alike", [True, False])
def test_engine__answers_from_columns_that_are_alike_or_not(is_alike):
    n = 40
    some = (lambda value, _: [value] * n) if is_alike else (lambda value, other: [value] * (n - 1) + [other])
    engine = _engine(
        n,
        areas=some(500_000.0, None),
        lead_s=some(3600, 0),
        features=some({"lift"}, None),
        paused=some(False, True),
        hours=some("24/7", None),
        timezone="UTC",
        capacity=some(2, 1),
    )
    part = engine._snapshot.base.part
    assert is_repeated(part.radius_m) == is_repeated(part.schedule) == is_repeated(part.flags) == is_alike
    ask = {"at": NOW, "features": ("lift",), "quantity": 2}
    for _ in range(2):
        assert engine.nearest(1.0, 0.0, OFFER, asked_at=NOW - dt.timedelta(hours=1), **ask).matches[0].point_id == "p0"
        assert not engine.nearest(1.0, 0.0, OFFER, asked_at=NOW, **ask).matches
        assert not engine.nearest(20.0, 0.0, OFFER, **ask).matches
        assert (engine.serving_many([2.0], [0.0], OFFER).row == np.arange(n)).all()
        engine = Engine.from_arrays(engine.to_arrays())


def test_unit_pages__without_a_limit_are_one_until_they_are_written():
    flat = np.full(3 * PAGE_ROWS + 5, -1, np.int64)
    pages = UnitPages.of(flat)
    assert pages.left.shape[0] == 1
    assert not pages.has_limit
    flat[PAGE_ROWS] = 4
    assert UnitPages.of(flat).left.shape[0] == 2
    written = pages.with_units(np.array([PAGE_ROWS]), np.array([4]))
    assert (written.flat() == flat).all()
    assert (pages.flat() == -1).all()
    grown = written
    for turn in range(20):
        rows = np.array([turn, 3 * PAGE_ROWS + turn % 5])
        flat[rows] = turn
        grown = grown.with_units(rows, np.array([turn, turn]))
        assert (grown.flat() == flat).all()
    assert grown.left.shape[0] <= 16
    longer = grown.with_tail(3 * PAGE_ROWS + 2, np.arange(PAGE_ROWS))
    assert (longer.flat() == np.concatenate([flat[: 3 * PAGE_ROWS + 2], np.arange(PAGE_ROWS)])).all()
